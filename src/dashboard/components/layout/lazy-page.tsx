import type { FunctionComponent } from "preact"
import { useLayoutEffect, useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { Failure, Skeleton } from "./states.tsx"

/** px */
const skeletonHeight = 400

/** A page whose code loads on the first visit, to keep the initial bundle small. */
export function lazyPage(load: () => Promise<FunctionComponent>): FunctionComponent {
  return function LazyPage() {
    const { router } = useApp()
    const [state, setState] = useState<{ Page?: FunctionComponent; error?: unknown }>({})
    // A layout effect, so that a page that has already loaded renders before the next paint.
    useLayoutEffect(() => {
      load().then(
        (Page) => setState({ Page }),
        () =>
          setState({
            error: new Error("The server is restarting or was updated. Reload the page."),
          }),
      )
    }, [])
    const { Page, error } = state
    if (Page) return <Page />
    return (
      <main class="page" id="main">
        {error === undefined ? (
          <Skeleton height={skeletonHeight} />
        ) : (
          <Failure error={error} onRetry={() => router.reload()} />
        )}
      </main>
    )
  }
}

import type { FunctionComponent } from "preact"
import { useLayoutEffect, useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { Failure, Skeleton } from "./states.tsx"

/** px of a page that is on its way. */
const expected = 400

/** A page that is loaded when somebody goes there: the first one has to be fast, and few go to all of them. */
export function lazyPage(load: () => Promise<FunctionComponent>): FunctionComponent {
  return function Later() {
    const { place } = useApp()
    const [state, setState] = useState<{ Page?: FunctionComponent; error?: unknown }>({})
    // Before the browser paints, which it does not do between this and what is loaded already.
    useLayoutEffect(() => {
      load().then(
        (Page) => setState({ Page }),
        () =>
          setState({
            error: new Error("The server is restarting, or of another version by now: load it anew."),
          }),
      )
    }, [])
    const { Page, error } = state
    if (Page) return <Page />
    return (
      <main class="page" id="main">
        {error === undefined ? (
          <Skeleton height={expected} />
        ) : (
          <Failure error={error} again={() => place.reload()} />
        )}
      </main>
    )
  }
}

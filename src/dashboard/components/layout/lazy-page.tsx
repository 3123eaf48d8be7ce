import type { ComponentChildren, FunctionComponent } from "preact"
import { useLayoutEffect, useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { Failure, Skeleton } from "./states.tsx"

/** Heights of the skeletons in px. */
const skeletonHeight = { page: 400, panel: 180 }

/** Returns a page whose code is loaded on the first visit, to keep the initial bundle small. */
export function lazyPage(load: () => Promise<FunctionComponent>): FunctionComponent {
  return lazy(load, skeletonHeight.page, (content) => (
    <main class="page" id="main">
      {content}
    </main>
  ))
}

/** Returns a panel whose code is loaded when the panel is first shown. */
export function lazyPanel<Props extends object>(
  load: () => Promise<FunctionComponent<Props>>,
): FunctionComponent<Props> {
  return lazy(load, skeletonHeight.panel, (content) => <section class="panel">{content}</section>)
}

/**
 * Returns a component whose code is loaded when it is first shown. While loading, it shows a skeleton of this height.
 * `frame` wraps the skeleton, or the error if the code cannot be loaded.
 */
function lazy<Props extends object>(
  load: () => Promise<FunctionComponent<Props>>,
  height: number,
  frame: (content: ComponentChildren) => ComponentChildren,
): FunctionComponent<Props> {
  return function Lazy(props) {
    const { router } = useApp()
    const [state, setState] = useState<{ Component?: FunctionComponent<Props>; error?: unknown }>({})
    // A layout effect, so that a component that is already loaded renders before the next paint.
    useLayoutEffect(() => {
      load().then(
        (Component) => setState({ Component }),
        () =>
          setState({
            error: new Error("The server is restarting or was updated. Reload the page."),
          }),
      )
    }, [])
    const { Component, error } = state
    if (Component) return <Component {...props} />
    return frame(
      error === undefined ? (
        <Skeleton height={height} />
      ) : (
        <Failure error={error} onRetry={() => router.reload()} />
      ),
    )
  }
}

import { useLayoutEffect } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { useHasPageViews } from "../../state/page-views.ts"
import { Skeleton } from "./states.tsx"

/** px */
const skeletonHeight = 400

/** Opens the first page of a website: Web if it has page views, else the overview of its custom events. */
export function Start() {
  const { router } = useApp()
  const hasPageViews = useHasPageViews()
  useLayoutEffect(() => {
    if (hasPageViews !== undefined)
      router.navigate(router.pageHref(hasPageViews ? "web" : "overview"), "replace")
  }, [hasPageViews])
  return (
    <main class="page" id="main">
      <Skeleton height={skeletonHeight} />
    </main>
  )
}

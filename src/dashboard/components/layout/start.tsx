import { useLayoutEffect } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { useHasPageViews } from "../../state/page-views.ts"
import { Skeleton } from "./states.tsx"

/** Height of the skeleton in px. */
const skeletonHeight = 400

/**
 * Opens a website's start page: Web if the website has page views, otherwise the overview of custom events. Unless the
 * user can open both of these pages, opens the first page that the user can open.
 */
export function Start() {
  const { router, session } = useApp()
  const hasBoth = session.canOpen("web") && session.canOpen("overview")
  const hasPageViews = useHasPageViews(hasBoth)
  const [first] = session.pages
  useLayoutEffect(() => {
    if (!hasBoth && first !== undefined) router.navigate(router.pageHref(first), "replace")
    else if (hasPageViews !== undefined)
      router.navigate(router.pageHref(hasPageViews ? "web" : "overview"), "replace")
  }, [hasPageViews, hasBoth, first])
  return (
    <main class="page" id="main">
      <Skeleton height={skeletonHeight} />
    </main>
  )
}

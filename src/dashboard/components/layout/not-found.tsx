import { useApp } from "../../state/app.ts"
import { Link } from "../controls/link.tsx"
import { homePath } from "./home.ts"
import { Page } from "./page.tsx"
import { Empty } from "./states.tsx"

/** The page for unknown URLs, and for pages that the user cannot see. */
export function NotFound() {
  const { session, preferences, router } = useApp()
  const home =
    router.location.value.share === undefined ? homePath(session, preferences) : router.pageHref("overview")
  return (
    <Page title="Not found" scoped={false}>
      <Empty title="Page not found or no access">
        <Link class="button" href={home}>
          Go to start page
        </Link>
      </Empty>
    </Page>
  )
}

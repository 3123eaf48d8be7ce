import { useApp } from "../../state/app.ts"
import { isSingleWebsite } from "../../state/session.ts"
import { Link } from "../controls/link.tsx"
import { NoMatch } from "./no-match.tsx"
import { Empty } from "./states.tsx"

interface NoPageDataProps {
  /** What the page script did not report: errors, web vitals. */
  what: string
  /** The attribute of the script tag that turns it on. */
  option: string
}

/**
 * Shown if the range has no data of a kind that the page script sends only if it is turned on. Says how to
 * turn it on.
 */
export function NoPageData({ what, option }: NoPageDataProps) {
  const { router, session, view } = useApp()
  const { filters, website } = view.value
  if (filters.length > 0) return <NoMatch />
  return (
    <Empty title={`No ${what} in this range`}>
      <p>
        The page script reports {what} if its tag has <code>{option}</code>.
      </p>
      {session.canOpen("install") && isSingleWebsite(website) && (
        <Link class="button" href={router.pageHref("install")}>
          Setup instructions
        </Link>
      )}
    </Empty>
  )
}

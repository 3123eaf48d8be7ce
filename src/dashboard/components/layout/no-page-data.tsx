import { useApp } from "../../state/app.ts"
import { isSingleWebsite } from "../../state/session.ts"
import { Link } from "../controls/link.tsx"
import { NoMatch } from "./no-match.tsx"
import { Empty } from "./states.tsx"

interface NoPageDataProps {
  /** The missing data, such as errors or web vitals. */
  what: string
  /** The attribute of the script tag that makes the script send the data. */
  option: string
}

/**
 * Shown if there is no data of a kind that the page script does not send by default. Explains how to enable it, unless
 * filters might be the reason.
 */
export function NoPageData({ what, option }: NoPageDataProps) {
  const { router, session, view } = useApp()
  const { filters, website } = view.value
  if (filters.length > 0) return <NoMatch />
  return (
    <Empty title={`No ${what} in this range`}>
      <p>
        To report {what}, add <code>{option}</code> to the tag of the page script.
      </p>
      {session.canOpen("install") && isSingleWebsite(website) && (
        <Link class="button" href={router.pageHref("install")}>
          Setup instructions
        </Link>
      )}
    </Empty>
  )
}

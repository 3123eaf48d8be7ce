import { useApp } from "../../state/app.ts"
import { rangeParams } from "../../state/range.ts"
import { Link } from "../controls/link.tsx"
import { Empty } from "./states.tsx"

/** Shown if the page number in the URL is past the end of the list. */
export function NoMoreResults() {
  const { router } = useApp()
  return (
    <Empty title="No more results">
      <Link class="button" href={router.hrefWith({ page: undefined })}>
        Go to first page
      </Link>
    </Empty>
  )
}

/** Shown if no events match the view. A button clears the filters or, if there are none, selects the last 90 days. */
export function NoMatch() {
  const { view, router } = useApp()
  return view.value.filters.length > 0 ? (
    <Empty title="No events match these filters">
      <Link class="button" href={router.hrefWith({ f: undefined })}>
        Clear filters
      </Link>
    </Empty>
  ) : (
    <Empty title="No events in this range">
      <Link class="button" href={router.hrefWith(rangeParams({ preset: "last_90d" }))}>
        Show last 90 days
      </Link>
    </Empty>
  )
}

import { useApp } from "../../state/app.ts"
import { rangeParams } from "../../state/range.ts"
import { Link } from "../controls/link.tsx"
import { Empty } from "./states.tsx"

/** Nothing fits, and how to see something again. */
export function NoMatch() {
  const { view, place } = useApp()
  return view.value.filters.length > 0 ? (
    <Empty title="No event fits these filters">
      <Link class="button" href={place.with({ f: undefined })}>
        Remove the filters
      </Link>
    </Empty>
  ) : (
    <Empty title="No events in this range">
      <Link class="button" href={place.with(rangeParams({ preset: "last_90d", from: "", to: "" }))}>
        Look at the last 90 days
      </Link>
    </Empty>
  )
}

import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { useApp } from "../state/app.ts"
import { type Filter, filterParam } from "../state/filters.ts"
import type { QueryState } from "../state/use-query.ts"
import { type ErrorGroup, locationText } from "./error-group.ts"

interface SelectedErrorProps {
  group: ErrorGroup
  filters: readonly Filter[]
  query: QueryState
}

/** The selected error, with links to its visitors and back to all errors. */
export function SelectedError({ group, filters, query }: SelectedErrorProps) {
  const { router, session } = useApp()
  const format = useFormat()
  const [totals] = query.rows<{ users: number }>("totals")
  const location = locationText(group)
  return (
    <Panel
      title="Error"
      actions={
        <>
          {session.canOpen("people") && (
            <Link class="button small" href={router.pageHref("people", { f: filters.map(filterParam) })}>
              {totals && totals.users > 0
                ? `Show ${format.countOf(totals.users, "visitor")}`
                : "Show visitors"}
            </Link>
          )}
          <Link class="button small" href={router.hrefWith({ error: undefined })}>
            All errors
          </Link>
        </>
      }
    >
      <p class="error-message">{group.message ?? "No message"}</p>
      {location !== "" && <p class="muted error-message">{location}</p>}
    </Panel>
  )
}

import { DownloadCsv, type Sort } from "../components/charts/data-table.tsx"
import { RowTable, useChangeColumn } from "../components/charts/row-table.tsx"
import { Link } from "../components/controls/link.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { useApp } from "../state/app.ts"
import type { QueryState } from "../state/use-query.ts"

interface WebsiteRow {
  /** null: events without a website. */
  website_id: string | null
  events: number
  users: number
  previous?: { events: number } | null
}

interface WebsitesProps {
  /** Its result `websites` has the rows. */
  query: QueryState
  sort: Sort
  onSort: (sort: Sort) => void
}

/** The events of each website, in the view of all websites. */
export function Websites({ query, sort, onSort }: WebsitesProps) {
  const { router, session } = useApp()
  const change = useChangeColumn<WebsiteRow>({
    value: ({ events }) => events,
    previous: ({ previous }) => previous?.events,
  })
  const rows = query.rows<WebsiteRow>("websites")
  const max = Math.max(...rows.map(({ events }) => events), 1)
  const nameOf = ({ website_id: id }: WebsiteRow) => session.nameOf(id ?? "none")
  return (
    <Panel
      title="Websites"
      actions={
        <DownloadCsv
          file="websites"
          columns={["website", "events", "visitors"]}
          rows={rows.map((row) => [nameOf(row), row.events, row.users])}
        />
      }
    >
      <Loaded query={query} id="websites" height={34 * (session.sites.value.length + 2)}>
        {() => (
          <RowTable
            name="Websites"
            rows={rows}
            keyOf={({ website_id }) => website_id ?? "none"}
            barOf={({ events }) => events / max}
            sort={sort}
            onSort={onSort}
            columns={[
              {
                heading: "Website",
                cell: (row) => <Link href={router.websiteHref(row.website_id ?? "none")}>{nameOf(row)}</Link>,
              },
              { heading: "Events", sort: "events", count: (row) => row.events },
              { heading: "Visitors", sort: "users", count: (row) => row.users },
              ...change,
            ]}
          />
        )}
      </Loaded>
    </Panel>
  )
}

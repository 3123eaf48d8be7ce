import { DataTable, DownloadCsv, type Sort } from "../components/charts/data-table.tsx"
import { Change } from "../components/charts/stat.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
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
  const { router, session, view } = useApp()
  const format = useFormat()
  const { compare } = view.value
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
          <DataTable
            name="Websites"
            columns={["Website", "Events", "Visitors", ...(compare ? ["Change"] : [])]}
            numeric={[false, true, true, true]}
            bars={rows.map(({ events }) => events / max)}
            keys={rows.map(({ website_id }) => website_id ?? "none")}
            sorting={{
              ...sort,
              keys: [undefined, "events", "users", ...(compare ? ["change"] : [])],
              onSort,
            }}
            rows={rows.map((row) => [
              <Link key="name" href={router.websiteHref(row.website_id ?? "none")}>
                {nameOf(row)}
              </Link>,
              format.count(row.events),
              format.count(row.users),
              ...(compare
                ? [
                    <Change
                      key="change"
                      value={row.events}
                      previous={row.previous?.events ?? 0}
                      format={format}
                    />,
                  ]
                : []),
            ])}
          />
        )}
      </Loaded>
    </Panel>
  )
}

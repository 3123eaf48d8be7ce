import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { Link } from "../components/controls/link.tsx"
import { Pager } from "../components/controls/pager.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { usePage } from "../components/controls/use-page.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { useApp } from "../state/app.ts"
import { useProfileNames } from "../state/profile-names.ts"
import { useQuery, useRunQuery } from "../state/use-query.ts"
import { NoResults } from "./no-results.tsx"

/** Rows per page. */
const pageSize = 50
/** Rows in a CSV file: the API's limit per request. */
const fileRows = 10_000

interface Visitor {
  anonymous_id: string
  profile_id: string | null
  events: number
  sessions: number
  first_seen: string
  last_seen: string
}

/** The visitors with a matching event in the range. */
export function Visitors({ search }: { search: string }) {
  const { router, now } = useApp()
  const format = useFormat()
  const { page, onPage } = usePage()
  const parameter = { name: "people", ...(search === "" ? {} : { search }) }
  const query = useQuery([{ ...parameter, limit: pageSize, page }])
  const runQuery = useRunQuery()
  const rows = query.rows<Visitor>("people")
  const nameOf = useProfileNames(rows.map((row) => row.profile_id))
  const total = query.meta("people")?.total ?? 0
  const loadCsvRows = async () => {
    const visitors = await runQuery<Visitor>({ ...parameter, limit: fileRows })
    return visitors.map((row) => [
      row.anonymous_id,
      row.profile_id,
      row.events,
      row.sessions,
      row.first_seen,
      row.last_seen,
    ])
  }
  return (
    <Panel
      title="Visitors"
      hint="Visitors active in this range, most recent first."
      actions={
        <DownloadCsv
          file="visitors"
          columns={["visitor", "profile", "events", "sessions", "first seen", "last seen"]}
          rows={loadCsvRows}
        />
      }
    >
      <Loaded query={query} id="people" height={780}>
        {() =>
          rows.length > 0 ? (
            <>
              <DataTable
                name="Visitors"
                columns={["Visitor", "Profile", "Events", "Sessions", "First seen", "Last seen"]}
                numeric={[false, false, true, true, true, true]}
                keys={rows.map((row) => row.anonymous_id)}
                rows={rows.map((row) => [
                  <Link
                    key="visitor"
                    class="people-id"
                    href={router.pageHref("person", { visitor: row.anonymous_id })}
                  >
                    {row.anonymous_id}
                  </Link>,
                  row.profile_id === null ? (
                    ""
                  ) : (
                    <Link
                      key="profile"
                      class="people-id"
                      href={router.pageHref("person", { profile: row.profile_id })}
                    >
                      {nameOf(row.profile_id) ?? row.profile_id}
                    </Link>
                  ),
                  format.count(row.events),
                  format.count(row.sessions),
                  format.moment(row.first_seen, now()),
                  format.moment(row.last_seen, now()),
                ])}
              />
              <Pager page={page} size={pageSize} total={total} onPage={onPage} />
            </>
          ) : search === "" && page === 1 ? (
            <NoMatch />
          ) : (
            <NoResults noun="visitor" search={search} />
          )
        }
      </Loaded>
    </Panel>
  )
}

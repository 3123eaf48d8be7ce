import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { Link } from "../components/controls/link.tsx"
import { Pager } from "../components/controls/pager.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { useApp } from "../state/app.ts"
import { useAsk, useQuery } from "../state/use-query.ts"
import { NoResults } from "./no-results.tsx"
import { perPage, usePage } from "./paging.ts"

/** Rows of a file: as many as the API gives at a time. */
const fileRows = 10_000

interface Visitor {
  anonymous_id: string
  profile_id: string | null
  events: number
  sessions: number
  first_seen: string
  last_seen: string
}

/** Anonymous ids with an event in the range. */
export function Visitors({ search }: { search: string }) {
  const { place, now } = useApp()
  const format = useFormat()
  const { page, onPage } = usePage()
  const asked = { name: "people", ...(search === "" ? {} : { search }) }
  const answered = useQuery([{ ...asked, limit: perPage, page }])
  const ask = useAsk()
  const rows = answered.rows<Visitor>("people")
  const total = answered.meta("people")?.total ?? 0
  const fileOf = async () => {
    const people = await ask<Visitor>({ ...asked, limit: fileRows })
    return people.map((row) => [
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
      hint="Whoever had an event in this range that fits the filters, the one seen last first."
      actions={
        <DownloadCsv
          file="visitors"
          columns={["visitor", "profile", "events", "sessions", "first seen", "last seen"]}
          rows={fileOf}
        />
      }
    >
      <Loaded answered={answered} of="people" height={780}>
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
                    href={place.to("person", { visitor: row.anonymous_id })}
                  >
                    {row.anonymous_id}
                  </Link>,
                  row.profile_id === null ? (
                    ""
                  ) : (
                    <Link
                      key="profile"
                      class="people-id"
                      href={place.to("person", { profile: row.profile_id })}
                    >
                      {row.profile_id}
                    </Link>
                  ),
                  format.count(row.events),
                  format.count(row.sessions),
                  format.moment(row.first_seen, now()),
                  format.moment(row.last_seen, now()),
                ])}
              />
              <Pager page={page} size={perPage} total={total} onPage={onPage} />
            </>
          ) : search === "" && page === 1 ? (
            <NoMatch />
          ) : (
            <NoResults what="visitor" search={search} />
          )
        }
      </Loaded>
    </Panel>
  )
}

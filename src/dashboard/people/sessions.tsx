import { CardMenu } from "../components/charts/card-menu.tsx"
import { DataTable } from "../components/charts/data-table.tsx"
import { Pager } from "../components/controls/pager.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { usePage } from "../components/controls/use-page.ts"
import { NoMoreResults } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { type Selection, selectedUnit, selectionOptions } from "../components/people/selection.ts"
import { useApp } from "../state/app.ts"
import { useProfileNames } from "../state/profile-names.ts"
import { useQuery, useRunQuery } from "../state/use-query.ts"
import { NoneSelected, PersonLink } from "./selected.tsx"

/** Number of rows per page, and maximum number of rows in a CSV file (the API's limit per request). */
const pageSize = 50
const fileRows = 10_000

interface SessionRow {
  session_id: string
  anonymous_id: string | null
  profile_id: string | null
  events: number
  first_event: string
  last_event: string
  started_at: string
  ended_at: string
  duration_ms: number
}

/** The sessions behind a number in a report. */
export function Sessions({ selection }: { selection: Selection }) {
  const { now } = useApp()
  const format = useFormat()
  const { page, onPage } = usePage()
  const parameter = { name: "sessions", ...selectionOptions(selection) }
  const query = useQuery([{ ...parameter, limit: pageSize, page }])
  const runQuery = useRunQuery()
  const rows = query.rows<SessionRow>("sessions")
  const nameOf = useProfileNames(rows.map((row) => row.profile_id))
  const total = query.meta("sessions")?.total ?? 0
  const loadCsvRows = async () => {
    const sessions = await runQuery<SessionRow>({ ...parameter, limit: fileRows })
    return sessions.map((row) => [
      row.session_id,
      row.anonymous_id,
      row.profile_id,
      row.events,
      row.first_event,
      row.last_event,
      row.started_at,
      row.ended_at,
      row.duration_ms,
    ])
  }
  return (
    <Panel
      title="Sessions"
      hint={`${query.isLoading ? "" : `${format.countOf(total, "session")}, `}most recent first.`}
      actions={
        <CardMenu
          file="sessions"
          columns={[
            "session",
            "visitor",
            "profile",
            "events",
            "first event",
            "last event",
            "started",
            "ended",
            "duration in ms",
          ]}
          rows={loadCsvRows}
        />
      }
    >
      <Loaded query={query} id="sessions" height={780}>
        {() =>
          rows.length > 0 ? (
            <>
              <DataTable
                name="Sessions"
                columns={["Visitor", "Profile", "Events", "First event", "Last event", "Started", "Duration"]}
                numeric={[false, false, true, false, false, true, true]}
                keys={rows.map((row) => row.session_id)}
                rows={rows.map((row) => [
                  <PersonLink key="visitor" id={row.anonymous_id} param="visitor" />,
                  <PersonLink
                    key="profile"
                    id={row.profile_id}
                    param="profile"
                    name={nameOf(row.profile_id ?? "")}
                  />,
                  format.count(row.events),
                  row.first_event,
                  row.last_event,
                  format.moment(row.started_at, now()),
                  format.duration(row.duration_ms),
                ])}
              />
              <Pager page={page} size={pageSize} total={total} onPage={onPage} />
            </>
          ) : page === 1 ? (
            <NoneSelected unit={selectedUnit(selection)} />
          ) : (
            <NoMoreResults />
          )
        }
      </Loaded>
    </Panel>
  )
}

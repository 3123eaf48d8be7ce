import { CardMenu } from "../components/charts/card-menu.tsx"
import { DataTable } from "../components/charts/data-table.tsx"
import { Pager } from "../components/controls/pager.tsx"
import { unitTitle } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { usePage } from "../components/controls/use-page.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { type Selection, selectedUnit, selectionOptions } from "../components/people/selection.ts"
import { useApp } from "../state/app.ts"
import { useProfileNames } from "../state/profile-names.ts"
import { useQuery, useRunQuery } from "../state/use-query.ts"
import { NoResults } from "./no-results.tsx"
import { NoneSelected, PersonLink } from "./selected.tsx"

/** Number of rows per page. */
const pageSize = 50
/** Maximum number of rows in a CSV file, which is the API's limit per request. */
const fileRows = 10_000

interface Visitor {
  /** null if the events belong to a profile but have no anonymous ID. */
  anonymous_id: string | null
  profile_id: string | null
  events: number
  sessions: number
  first_seen: string
  last_seen: string
}

interface VisitorsProps {
  search?: string
  /** Whether any profiles match the search. */
  hasProfiles?: boolean
  /** Limits the list to the visitors or profiles behind a number in a report. */
  selection?: Selection
}

/** The visitors with matching events in the range, or the visitors or profiles of a selection. */
export function Visitors({ search = "", hasProfiles = false, selection }: VisitorsProps) {
  const { now, view } = useApp()
  const { filters } = view.value
  const format = useFormat()
  const { page, onPage } = usePage()
  const unit = selectedUnit(selection)
  const isProfiles = unit.value === "profile"
  const parameter = {
    name: "people",
    ...(search === "" ? {} : { search }),
    ...(selection ? selectionOptions(selection) : {}),
  }
  const query = useQuery([{ ...parameter, limit: pageSize, page }])
  const runQuery = useRunQuery()
  const rows = query.rows<Visitor>("people")
  const nameOf = useProfileNames(rows.map((row) => row.profile_id))
  const total = query.meta("people")?.total ?? 0
  const title = unitTitle(unit)
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
  const ids = (row: Visitor) => {
    const [visitor, profile] = [
      <PersonLink key="visitor" id={row.anonymous_id} param="visitor" />,
      <PersonLink key="profile" id={row.profile_id} param="profile" name={nameOf(row.profile_id ?? "")} />,
    ]
    return isProfiles ? [profile, visitor] : [visitor, profile]
  }
  return (
    <Panel
      title={title}
      hint={
        selection
          ? `${query.isLoading ? "" : `${format.countOf(total, unit.one)}, `}most recent first. Counts and times cover all of their events in this range.`
          : `Visitors active in this range, most recent first. Counts and times cover their events in this range${filters.length > 0 ? " that match the filters" : ""}.`
      }
      actions={
        <CardMenu
          file={unit.many}
          columns={[
            "visitor",
            "profile",
            "events",
            "sessions",
            "first seen in this range",
            "last seen in this range",
          ]}
          rows={loadCsvRows}
        />
      }
    >
      <Loaded query={query} id="people" height={780}>
        {() =>
          rows.length > 0 ? (
            <>
              <DataTable
                name={title}
                columns={[
                  ...(isProfiles ? ["Profile", "Visitor"] : ["Visitor", "Profile"]),
                  "Events",
                  "Sessions",
                  "First seen in this range",
                  "Last seen in this range",
                ]}
                numeric={[false, false, true, true, true, true]}
                keys={rows.map((row) => String(isProfiles ? row.profile_id : row.anonymous_id))}
                rows={rows.map((row) => [
                  ...ids(row),
                  format.count(row.events),
                  format.count(row.sessions),
                  format.moment(row.first_seen, now()),
                  format.moment(row.last_seen, now()),
                ])}
              />
              <Pager page={page} size={pageSize} total={total} onPage={onPage} />
            </>
          ) : selection && page === 1 ? (
            <NoneSelected unit={unit} />
          ) : search === "" && page === 1 ? (
            <NoMatch />
          ) : hasProfiles && page === 1 ? (
            <p class="muted">No visitor ID contains “{search}”. The profiles above match.</p>
          ) : (
            <NoResults noun="visitor" search={search} />
          )
        }
      </Loaded>
    </Panel>
  )
}

import { CardMenu } from "../components/charts/card-menu.tsx"
import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { readSort, type Sort } from "../components/charts/data-table.tsx"
import { LastSeen, RowTable, useChangeColumn } from "../components/charts/row-table.tsx"
import { useDirection } from "../components/charts/stat.tsx"
import { Link } from "../components/controls/link.tsx"
import { Pager } from "../components/controls/pager.tsx"
import { SearchField } from "../components/controls/search-field.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { usePage } from "../components/controls/use-page.ts"
import { EventMovers } from "../components/layout/event-movers.tsx"
import { NoMatch, NoMoreResults } from "../components/layout/no-match.tsx"
import { Page } from "../components/layout/page.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { SearchPeople } from "../components/people/search-people.tsx"
import { peopleOf } from "../components/people/selection.ts"
import { useApp } from "../state/app.ts"
import { compared, type PinnedTile } from "../state/boards.ts"
import { eventFilters } from "../state/filters.ts"
import { comparisonOption } from "../state/query-cache.ts"
import { useQuery, useRunQuery } from "../state/use-query.ts"

const pageRows = 50
/** Maximum number of rows in a CSV file, which is the API's limit per request. */
const fileRows = 10_000
/**
 * Approximate height of the table in px. It need not be exact, because there is nothing below the table that could
 * move.
 */
const tableHeight = 446

interface NameRow {
  name: string
  total_events: number
  unique_users: number
  unique_sessions: number
  /** null if these events occurred only in the previous period. */
  last_occurrence: string | null
  previous?: { total_events: number } | null
}

interface Summary {
  total_events: number
  previous?: { total_events: number } | null
}

/** API names of the sortable columns, keyed by their names in the URL. */
const sortable: Record<string, string> = {
  name: "name",
  events: "total_events",
  visitors: "unique_users",
  sessions: "unique_sessions",
  seen: "last_occurrence",
  // Sorting by share is equivalent to sorting by events.
  share: "total_events",
  change: "change",
}

const defaultSort: Sort = { by: "events", order: "desc" }

/** All event names in the range, with totals. */
export function Events() {
  const { router, view } = useApp()
  const { params } = router.location.value
  const search = params.get("search") ?? ""
  const sort = readSort(params, sortable, defaultSort, view.value.compare)
  const { page, onPage } = usePage()
  const parameter = {
    name: "custom_events",
    id: "names",
    sortBy: sortable[sort.by],
    sortOrder: sort.order,
    ...(search === "" ? {} : { filters: [{ field: "event_name", op: "contains_any_case", value: search }] }),
    ...comparisonOption(view.value.compare),
  }
  const query = useQuery([
    { ...parameter, limit: pageRows, page },
    { name: "custom_events_summary", id: "summary", ...comparisonOption(view.value.compare) },
  ])
  const runQuery = useRunQuery()
  const [summary] = query.rows<Summary>("summary")
  const totalEvents = summary?.total_events ?? 0
  const loadCsvRows = async () =>
    csvRows(await runQuery<NameRow>({ ...parameter, limit: fileRows }), totalEvents)
  return (
    <Page title="Events">
      {search === "" && page === 1 && <EventMovers isComparable={Boolean(summary?.previous?.total_events)} />}
      <Panel
        title="All events"
        chart="events"
        pin={tileOf(search)}
        actions={
          <>
            <SearchField
              label="Search events"
              value={search}
              pageKey="/"
              onSearch={(text) => router.setParams({ search: text || undefined, page: undefined }, "replace")}
            />
            <CardMenu file="events" columns={csvColumns} rows={loadCsvRows} />
          </>
        }
      >
        <Loaded query={query} id="names" height={tableHeight}>
          {() => {
            const rows = query.rows<NameRow>("names")
            const total = query.meta("names")?.total ?? rows.length
            return rows.length === 0 ? (
              <NoRows search={search} isBeyond={total > 0} />
            ) : (
              <>
                <NameTable rows={rows} totalEvents={totalEvents} sort={sort} />
                <Pager page={page} size={pageRows} total={total} onPage={onPage} />
                <ComparisonNote query={query} id="names" />
              </>
            )
          }}
        </Loaded>
      </Panel>
    </Page>
  )
}

/** Number of rows in the table on a board, where the table has no pages. */
const tileRows = 20

/** Returns the most frequent events as a tile for boards. */
function tileOf(search: string): PinnedTile {
  return {
    kind: "table",
    title: "Events",
    query: {
      parameters: [{ name: "custom_events", limit: tileRows, ...compared }],
      filters: search === "" ? [] : [{ field: "event_name", op: "contains_any_case", value: search }],
    },
    columns: [
      { column: "name", label: "Event", format: "text" },
      { column: "total_events", label: "Events", format: "count" },
      { column: "unique_users", label: "Visitors", format: "count" },
      { column: "unique_sessions", label: "Sessions", format: "count" },
      { column: "last_occurrence", label: "Last seen in this range", format: "time" },
    ],
  }
}

interface NameTableProps {
  rows: readonly NameRow[]
  /** Number of events in the range, including events that do not match the search. */
  totalEvents: number
  sort: Sort
}

function NameTable({ rows, totalEvents, sort }: NameTableProps) {
  const { router, view } = useApp()
  const format = useFormat()
  const directionOf = useDirection()
  const change = useChangeColumn<NameRow>({
    value: (row) => row.total_events,
    previous: (row) => row.previous?.total_events,
    better: (row) => directionOf(row.name),
  })
  return (
    <RowTable
      name="All events"
      rows={rows}
      keyOf={(row) => row.name}
      barOf={(row) => shareOf(row, totalEvents) / 100}
      sort={sort}
      onSort={({ by, order }) => router.setParams({ sort: by, order, page: undefined }, "replace")}
      columns={[
        {
          heading: "Event",
          sort: "name",
          cell: ({ name }) => <Link href={router.pageHref("event", { name })}>{name}</Link>,
        },
        { heading: "Events", sort: "events", count: (row) => row.total_events },
        {
          heading: "Share",
          sort: "share",
          isNumber: true,
          cell: (row) => format.rate(shareOf(row, totalEvents)),
        },
        ...change,
        {
          heading: "Visitors",
          sort: "visitors",
          count: (row) => row.unique_users,
          people: ({ name }) => ({
            selection: peopleOf("custom"),
            filters: [...view.value.filters, ...eventFilters(name)],
          }),
        },
        { heading: "Sessions", sort: "sessions", count: (row) => row.unique_sessions },
        {
          heading: "Last seen in this range",
          sort: "seen",
          isNumber: true,
          cell: (row) => <LastSeen time={row.last_occurrence} />,
        },
      ]}
    />
  )
}

/** Returns the percentage of all events that have this name. */
function shareOf({ total_events }: NameRow, totalEvents: number): number {
  return totalEvents === 0 ? 0 : (100 * total_events) / totalEvents
}

const csvColumns = [
  "name",
  "events",
  "share in percent",
  "events in previous period",
  "visitors",
  "sessions",
  "last seen in this range",
]

function csvRows(rows: readonly NameRow[], totalEvents: number) {
  return rows.map((row) => [
    row.name,
    row.total_events,
    // Rounded to two decimal places, as in the API.
    Math.round(100 * shareOf(row, totalEvents)) / 100,
    row.previous?.total_events,
    row.unique_users,
    row.unique_sessions,
    row.last_occurrence,
  ])
}

function NoRows({ search, isBeyond }: { search: string; isBeyond: boolean }) {
  const { router } = useApp()
  if (isBeyond) return <NoMoreResults />
  if (search === "") return <NoMatch />
  return (
    <Empty title={`No event names contain “${search}”`}>
      <Link class="button" href={router.hrefWith({ search: undefined, page: undefined })}>
        Show all events
      </Link>{" "}
      <SearchPeople search={search} />
    </Empty>
  )
}

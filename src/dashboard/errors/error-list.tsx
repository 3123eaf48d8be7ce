import { CardMenu } from "../components/charts/card-menu.tsx"
import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { readSort, type Sort } from "../components/charts/data-table.tsx"
import { LastSeen, RowTable, useChangeColumn } from "../components/charts/row-table.tsx"
import { Link } from "../components/controls/link.tsx"
import { Pager } from "../components/controls/pager.tsx"
import { SearchField } from "../components/controls/search-field.tsx"
import { usePage } from "../components/controls/use-page.ts"
import { NoMoreResults } from "../components/layout/no-match.tsx"
import { NoPageData } from "../components/layout/no-page-data.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { SearchPeople } from "../components/people/search-people.tsx"
import { useApp } from "../state/app.ts"
import { compared, type PinnedTile } from "../state/boards.ts"
import { comparisonOption } from "../state/query-cache.ts"
import { useQuery, useRunQuery } from "../state/use-query.ts"
import { groupFields, groupOf, groupParam, locationText } from "./error-group.ts"

const pageRows = 50
/** Maximum number of rows in a CSV file, which is the API's limit per request. */
const fileRows = 10_000
/** Approximate height of the table in px. It need not be exact, because the panel below the table is off screen. */
const tableHeight = 446

type GroupRow = Record<(typeof groupFields)[number], string | null> & {
  events: number
  users: number
  sessions: number
  /** null if these errors occurred only in the previous period. */
  last: string | null
  previous?: { events: number } | null
}

/** API names of the sortable columns, keyed by their names in the URL. */
const sortable: Record<string, string> = {
  errors: "events",
  visitors: "users",
  sessions: "sessions",
  seen: "last",
  change: "change",
}

const defaultSort: Sort = { by: "errors", order: "desc" }

/** The errors in the range, grouped by message and location. */
export function ErrorList() {
  const { router, view } = useApp()
  const { params } = router.location.value
  const search = params.get("search") ?? ""
  const sort = readSort(params, sortable, defaultSort, view.value.compare)
  const { page, onPage } = usePage()
  const parameter = {
    name: "events",
    id: "groups",
    kinds: ["error"],
    by: groupFields,
    measures: ["events", "users", "sessions", "last"],
    sortBy: sortable[sort.by],
    sortOrder: sort.order,
    ...(search === ""
      ? {}
      : { filters: [{ field: "property.message", op: "contains_any_case", value: search }] }),
    ...comparisonOption(view.value.compare),
  }
  const query = useQuery([{ ...parameter, limit: pageRows, page }])
  const runQuery = useRunQuery()
  const loadCsvRows = async () => {
    const rows = await runQuery<GroupRow>({ ...parameter, limit: fileRows })
    return rows.map((row) => [
      ...groupFields.map((field) => row[field]),
      row.events,
      row.previous?.events,
      row.users,
      row.sessions,
      row.last,
    ])
  }
  return (
    <Panel
      title="All errors"
      chart="errors"
      pin={allErrors}
      hint="Grouped by message and location."
      actions={
        <>
          <SearchField
            label="Search messages"
            value={search}
            pageKey="/"
            onSearch={(text) => router.setParams({ search: text || undefined, page: undefined }, "replace")}
          />
          <CardMenu file="errors" columns={csvColumns} rows={loadCsvRows} />
        </>
      }
    >
      <Loaded query={query} id="groups" height={tableHeight}>
        {() => {
          const rows = query.rows<GroupRow>("groups")
          const total = query.meta("groups")?.total ?? rows.length
          if (rows.length > 0) {
            return (
              <>
                <GroupTable rows={rows} sort={sort} />
                <Pager page={page} size={pageRows} total={total} onPage={onPage} />
                <ComparisonNote query={query} id="groups" />
              </>
            )
          }
          if (total > 0) return <NoMoreResults />
          return search === "" ? (
            <NoPageData what="errors" option="data-track-errors" />
          ) : (
            <Empty title={`No messages contain “${search}”`}>
              <SearchPeople search={search} />
            </Empty>
          )
        }}
      </Loaded>
    </Panel>
  )
}

/** The most frequent errors, as a tile for boards. */
const allErrors: PinnedTile = {
  kind: "table",
  title: "Errors",
  query: {
    parameters: [
      {
        name: "events",
        kinds: ["error"],
        by: groupFields,
        measures: ["events", "users", "last"],
        limit: 20,
        ...compared,
      },
    ],
  },
  columns: [
    { column: groupFields[0], label: "Error", format: "text" },
    { column: "events", label: "Errors", format: "count", better: "lower" },
    { column: "users", label: "Visitors", format: "count" },
    { column: "last", label: "Last seen in this range", format: "time" },
  ],
}

const csvColumns = [
  "message",
  "script",
  "line",
  "errors",
  "errors in previous period",
  "visitors",
  "sessions",
  "last seen in this range",
]

function GroupTable({ rows, sort }: { rows: readonly GroupRow[]; sort: Sort }) {
  const { router } = useApp()
  const max = Math.max(...rows.map((row) => row.events), 1)
  const change = useChangeColumn<GroupRow>({
    value: (row) => row.events,
    previous: (row) => row.previous?.events,
    better: () => "lower",
  })
  return (
    <RowTable
      name="All errors"
      rows={rows}
      keyOf={(row) => groupParam(groupOf(row))}
      barOf={(row) => row.events / max}
      sort={sort}
      onSort={({ by, order }) => router.setParams({ sort: by, order, page: undefined }, "replace")}
      columns={[
        { heading: "Error", cell: (row) => <GroupLink row={row} /> },
        { heading: "Errors", sort: "errors", count: (row) => row.events },
        ...change,
        { heading: "Visitors", sort: "visitors", count: (row) => row.users },
        { heading: "Sessions", sort: "sessions", count: (row) => row.sessions },
        {
          heading: "Last seen in this range",
          sort: "seen",
          isNumber: true,
          cell: (row) => <LastSeen time={row.last} />,
        },
      ]}
    />
  )
}

function GroupLink({ row }: { row: GroupRow }) {
  const { router } = useApp()
  const group = groupOf(row)
  return (
    <span class="error-group">
      <Link href={router.pageHref("errors", { error: groupParam(group) })}>
        {group.message ?? "No message"}
      </Link>{" "}
      <span class="muted">{locationText(group)}</span>
    </span>
  )
}

import { useState } from "preact/hooks"
import { CardMenu } from "../components/charts/card-menu.tsx"
import { type Sort, sortOption } from "../components/charts/data-table.tsx"
import { RangeChart } from "../components/charts/range-chart.tsx"
import { RowTable, useChangeColumn } from "../components/charts/row-table.tsx"
import { stackSeries } from "../components/charts/stacked.ts"
import type { Direction } from "../components/charts/stat.tsx"
import { FieldPicker } from "../components/controls/field-picker.tsx"
import { useGranularity } from "../components/controls/granularity.tsx"
import { Pager } from "../components/controls/pager.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { usePage } from "../components/controls/use-page.ts"
import { Value } from "../components/controls/value.tsx"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { peopleOf } from "../components/people/selection.ts"
import { useApp } from "../state/app.ts"
import { compared, type PinnedTile } from "../state/boards.ts"
import { eventFilters, type Filter, fieldName, valueFilter } from "../state/filters.ts"
import { comparisonOption } from "../state/query-cache.ts"
import { useQuery, useRunQuery } from "../state/use-query.ts"

/** Maximum number of fields to group by. */
const maxFields = 2
/** Number of groups with their own color in the chart; the others form a single series. */
const stackedGroups = 5
/** Number of rows per page, and maximum number of rows in a CSV file (the API's limit per request). */
const pageRows = 10
const fileRows = 10_000

interface BreakdownProps {
  /** Name of the event. */
  event: string
  /** Selects the events. */
  filters: readonly Filter[]
  /** The property keys of these events. */
  keys: readonly string[]
  /** Which direction of change is better. */
  better: Direction | undefined
}

/** Breaks the event down by one or two fields. */
export function Breakdown({ event, filters, keys, better }: BreakdownProps) {
  const { router } = useApp()
  const split = [...new Set(router.location.value.params.getAll("split"))].slice(0, maxFields)
  const set = (at: number, field: string | undefined) => {
    const others = split.filter((_, index) => index !== at)
    router.setParams({
      split: field === undefined ? others : others.toSpliced(at, 0, field),
      page: undefined,
    })
  }
  const [first, second] = split
  return (
    <Panel
      title="Breakdown"
      chart="breakdown"
      class="event-breakdown"
      pin={split.length === 0 ? undefined : tileOf(event, split)}
      actions={
        <>
          <FieldPicker
            label="Group by"
            field={first}
            keys={keys}
            withPeople
            excluded={second}
            onChange={(field) => set(0, field)}
          />
          {first !== undefined && (
            <FieldPicker
              label="then by"
              field={second}
              keys={keys}
              withPeople
              excluded={first}
              onChange={(field) => set(1, field)}
            />
          )}
        </>
      }
    >
      {split.length === 0 ? (
        <p class="muted">Select a property or field to break the event down by its values.</p>
      ) : (
        <Groups key={split.join("\n")} split={split} filters={filters} better={better} />
      )}
    </Panel>
  )
}

/** Returns the table of groups as a tile for boards. */
function tileOf(event: string, split: readonly string[]): PinnedTile {
  const measures = ["events", "users", "sessions"]
  return {
    kind: "table",
    title: `${event} by ${split.map(fieldName).join(" and ")}`,
    query: {
      parameters: [{ name: "events", by: split, measures, limit: pageRows, ...compared }],
      filters: eventFilters(event),
    },
    columns: [
      ...split.map((column) => ({ column, label: fieldName(column), format: "text" as const })),
      { column: "events", label: "Events", format: "count" },
      { column: "users", label: "Visitors", format: "count" },
      { column: "sessions", label: "Sessions", format: "count" },
    ],
  }
}

/** The measures of a group, and its values keyed by field name. */
interface Group {
  events: number
  users: number
  sessions: number
  previous?: { events: number } | null
  /** The values of fields are text, or null if the events have no value. */
  [field: string]: unknown
}

interface GroupsProps extends Pick<BreakdownProps, "filters" | "better"> {
  split: readonly string[]
}

function Groups({ split, filters, better }: GroupsProps) {
  const { view } = useApp()
  const granularity = useGranularity()
  const runQuery = useRunQuery()
  const { compare } = view.value
  const { page, onPage } = usePage("replace")
  const [sort, setSort] = useState<Sort>({ by: "events", order: "desc" })
  const groups = {
    name: "events",
    id: "groups",
    ...sortOption(sort.by === "share" ? { ...sort, by: "events" } : sort, compare),
    by: split,
    measures: ["events", "users", "sessions"],
    ...comparisonOption(compare),
  }
  const query = useQuery(
    [
      { ...groups, limit: pageRows, page },
      { name: "events", id: "stack", by: split, measures: ["events"], granularity, limit: stackedGroups },
      { name: "events", id: "trend", measures: ["events"], granularity },
    ],
    { filters: [...filters] },
  )
  const trend = query.rows<{ date: string; events: number }>("trend")
  const totalEvents = trend.reduce((sum, { events }) => sum + events, 0)
  const loadCsvRows = async () => {
    const all = await runQuery<Group>({ ...groups, limit: fileRows }, { filters: [...filters] })
    return all.map((row) => [...split.map((field) => row[field]), row.events, row.users, row.sessions])
  }
  const title = `Events by ${split.map(fieldName).join(" and ")}`
  return (
    <>
      <Loaded query={query} id="stack" height={296}>
        {() => {
          const groupRows = query.rows<Group & { date: string }>("stack")
          if (groupRows.length === 0) return <NoMatch />
          return (
            <RangeChart
              name={`${title} over time`}
              file="events-by-value-over-time"
              kind="bars"
              people={{ selection: peopleOf("custom"), filters }}
              {...stackSeries(
                trend.map(({ date, events }) => ({ date, value: events })),
                groupRows.map((row) => ({ date: row.date, name: groupLabel(row, split), value: row.events })),
              )}
            />
          )
        }}
      </Loaded>
      {/* If the whole request failed, the chart above already shows the error. */}
      {!query.error && (
        <Loaded query={query} id="groups" height={430}>
          {() => {
            const rows = query.rows<Group>("groups")
            if (rows.length === 0) return null
            return (
              <>
                <GroupTable
                  title={title}
                  split={split}
                  filters={filters}
                  rows={rows}
                  totalEvents={totalEvents}
                  better={better}
                  sort={sort}
                  onSort={(next) => {
                    setSort(next)
                    onPage(1)
                  }}
                />
                <div class="table-foot">
                  <Pager
                    page={page}
                    size={pageRows}
                    total={query.meta("groups")?.total ?? rows.length}
                    onPage={onPage}
                  />
                  <CardMenu
                    file="events-by-value"
                    columns={[...split.map(fieldName), "events", "visitors", "sessions"]}
                    rows={loadCsvRows}
                  />
                </div>
              </>
            )
          }}
        </Loaded>
      )}
    </>
  )
}

/** Returns the name of a group in the chart, composed of the group's values. */
function groupLabel(row: Group, split: readonly string[]): string {
  return split.map((field) => row[field] ?? "(none)").join(" · ")
}

interface GroupTableProps {
  title: string
  split: readonly string[]
  /** Selects the events. */
  filters: readonly Filter[]
  rows: readonly Group[]
  /** The number of events in all groups together. */
  totalEvents: number
  better: Direction | undefined
  sort: Sort
  onSort: (sort: Sort) => void
}

function GroupTable({ title, split, filters, rows, totalEvents, better, sort, onSort }: GroupTableProps) {
  const format = useFormat()
  const share = ({ events }: Group) => (totalEvents === 0 ? 0 : events / totalEvents)
  const change = useChangeColumn<Group>({
    value: ({ events }) => events,
    previous: ({ previous }) => previous?.events,
    better: () => better,
  })
  return (
    <RowTable
      name={title}
      rows={rows}
      keyOf={(row) => JSON.stringify(split.map((field) => row[field]))}
      barOf={share}
      sort={sort}
      onSort={onSort}
      columns={[
        ...split.map((field) => ({
          heading: fieldName(field),
          sort: field,
          cell: (row: Group) => <Value field={field} value={row[field] as string | null} />,
        })),
        { heading: "Events", sort: "events", count: (row) => row.events },
        { heading: "Share", sort: "share", isNumber: true, cell: (row) => format.rate(100 * share(row)) },
        ...change,
        {
          heading: "Visitors",
          sort: "users",
          count: (row) => row.users,
          people: (row) => ({
            selection: peopleOf("custom"),
            filters: [...filters, ...split.map((field) => valueFilter(field, row[field] as string | null))],
          }),
        },
        { heading: "Sessions", sort: "sessions", count: (row) => row.sessions },
      ]}
    />
  )
}

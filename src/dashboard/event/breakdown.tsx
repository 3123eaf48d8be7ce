import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { RangeChart } from "../components/charts/range-chart.tsx"
import { stackOf } from "../components/charts/stacked.ts"
import { Change } from "../components/charts/stat.tsx"
import { FieldPicker } from "../components/controls/field-picker.tsx"
import { useGranularity } from "../components/controls/granularity.tsx"
import { Pager } from "../components/controls/pager.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { useApp } from "../state/app.ts"
import { type Filter, fieldName } from "../state/filters.ts"
import { useAsk, useQuery } from "../state/use-query.ts"
import { Value } from "./value.tsx"

/** Fields that can be chosen at once. */
const mostFields = 2
/** Groups that have a colour of their own in the chart; all others are one. */
const stackedGroups = 5
/** Rows of a page of the table, and of a file: as many as the API gives at a time. */
const pageRows = 10
const fileRows = 10_000
interface BreakdownProps {
  /** Which events it is about. */
  filters: readonly Filter[]
  /** Of their properties. */
  keys: readonly string[]
}

/** The event by the values of a field or two. */
export function Breakdown({ filters, keys }: BreakdownProps) {
  const { place } = useApp()
  const split = [...new Set(place.spot.value.params.getAll("split"))].slice(0, mostFields)
  const set = (at: number, field: string | undefined) => {
    const others = split.filter((_, index) => index !== at)
    place.set({ split: field === undefined ? others : others.toSpliced(at, 0, field), page: undefined })
  }
  const [first, second] = split
  return (
    <Panel
      title="Breakdown"
      class="event-breakdown"
      actions={
        <>
          <FieldPicker
            label="by"
            field={first}
            keys={keys}
            withPeople
            without={second}
            onChange={(field) => set(0, field)}
          />
          {first !== undefined && (
            <FieldPicker
              label="and by"
              field={second}
              keys={keys}
              withPeople
              without={first}
              onChange={(field) => set(1, field)}
            />
          )}
        </>
      }
    >
      {split.length === 0 ? (
        <p class="muted">
          Choose a property or a field to see the event by its values, over time and in numbers.
        </p>
      ) : (
        <Groups key={split.join("\n")} split={split} filters={filters} />
      )}
    </Panel>
  )
}

/** A group's measures; beside them its values, by the names of the fields. */
interface Group {
  events: number
  users: number
  sessions: number
  previous?: { events: number } | null
  [field: string]: unknown
}

function Groups({ split, filters }: { split: readonly string[]; filters: readonly Filter[] }) {
  const { place, view } = useApp()
  const granularity = useGranularity()
  const ask = useAsk()
  const { compare } = view.value
  const page = Math.max(1, Math.floor(Number(place.spot.value.params.get("page")) || 1))
  const groups = {
    name: "events",
    id: "groups",
    by: split,
    measures: ["events", "users", "sessions"],
    ...(compare ? { compare: "previous_period" } : {}),
  }
  const answered = useQuery(
    [
      { ...groups, limit: pageRows, page },
      { name: "events", id: "stack", by: split, measures: ["events"], granularity, limit: stackedGroups },
      { name: "events", id: "course", measures: ["events"], granularity },
    ],
    { filters: [...filters] },
  )
  const course = answered.rows<{ date: string; events: number }>("course")
  const whole = course.reduce((sum, { events }) => sum + events, 0)
  const file = async () => {
    const all = await ask<Group>({ ...groups, limit: fileRows }, { filters: [...filters] })
    return all.map((row) => [...split.map((field) => row[field]), row.events, row.users, row.sessions])
  }
  const title = `Events by ${split.map(fieldName).join(" and ")}`
  return (
    <>
      <Loaded answered={answered} of="stack" height={296}>
        {() => {
          const parts = answered.rows<Group & { date: string }>("stack")
          if (parts.length === 0) return <NoMatch />
          return (
            <RangeChart
              name={`${title} over time`}
              file="events-by-value-over-time"
              kind="bars"
              {...stackOf(
                course.map(({ date, events }) => ({ date, value: events })),
                parts.map((row) => ({ date: row.date, name: nameOf(row, split), value: row.events })),
              )}
            />
          )
        }}
      </Loaded>
      {/* One message is enough where neither came. */}
      {!answered.error && (
        <Loaded answered={answered} of="groups" height={430}>
          {() => {
            const rows = answered.rows<Group>("groups")
            if (rows.length === 0) return null
            return (
              <>
                <GroupTable title={title} split={split} rows={rows} whole={whole} />
                <div class="event-table-foot">
                  <DownloadCsv
                    file="events-by-value"
                    columns={[...split.map(fieldName), "events", "visitors", "sessions"]}
                    rows={file}
                  />
                  <Pager
                    page={page}
                    size={pageRows}
                    total={answered.meta("groups")?.total ?? rows.length}
                    onPage={(next) => place.set({ page: next === 1 ? undefined : String(next) }, "replace")}
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

/** As the chart calls a group. */
function nameOf(row: Group, split: readonly string[]): string {
  return split.map((field) => row[field] ?? "none").join(" · ")
}

interface GroupTableProps {
  title: string
  split: readonly string[]
  rows: readonly Group[]
  /** All events together. */
  whole: number
}

function GroupTable({ title, split, rows, whole }: GroupTableProps) {
  const { view } = useApp()
  const format = useFormat()
  const { compare } = view.value
  const share = ({ events }: Group) => (whole === 0 ? 0 : events / whole)
  const measures = ["Events", "Share", ...(compare ? ["Change"] : []), "Visitors", "Sessions"]
  return (
    <DataTable
      name={title}
      columns={[...split.map(fieldName), ...measures]}
      numeric={[...split.map(() => false), ...measures.map(() => true)]}
      bars={rows.map(share)}
      keys={rows.map((row) => JSON.stringify(split.map((field) => row[field])))}
      rows={rows.map((row) => [
        ...split.map((field) => <Value key={field} field={field} value={row[field] as string | null} />),
        format.count(row.events),
        format.rate(100 * share(row)),
        ...(compare
          ? [<Change key="change" value={row.events} before={row.previous?.events ?? 0} format={format} />]
          : []),
        format.count(row.users),
        format.count(row.sessions),
      ])}
    />
  )
}

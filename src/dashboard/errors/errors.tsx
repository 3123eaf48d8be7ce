import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { RangeChart } from "../components/charts/range-chart.tsx"
import { Stat } from "../components/charts/stat.tsx"
import { GranularitySwitch, useGranularity, useProgress } from "../components/controls/granularity.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Page } from "../components/layout/page.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { peopleOf } from "../components/people/selection.ts"
import { PinButton } from "../components/saved/pin.tsx"
import { useApp } from "../state/app.ts"
import { compared, overTime, type PinnedTile } from "../state/boards.ts"
import type { Filter } from "../state/filters.ts"
import { comparisonOption } from "../state/query-cache.ts"
import { type QueryState, useQuery } from "../state/use-query.ts"
import { groupFilters, parseGroup } from "./error-group.ts"
import { ErrorList } from "./error-list.tsx"
import { ErrorPages } from "./error-pages.tsx"
import { Occurrences } from "./occurrences.tsx"
import { SelectedError } from "./selected-error.tsx"
import "./errors.css"

const counts = { name: "events", kinds: ["error"], measures: ["events", "users", "sessions"] } as const

/** The errors on a website's pages, or a single error. */
export function Errors() {
  const { router, session, view } = useApp()
  const group = parseGroup(router.location.value.params.get("error"))
  const errorFilters = group ? groupFilters(group) : []
  const filters = [...view.value.filters, ...errorFilters]
  const granularity = useGranularity()
  const query = useQuery(
    [
      { ...counts, id: "totals", ...comparisonOption(view.value.compare) },
      { ...counts, id: "trend", granularity, ...comparisonOption(view.value.compare) },
    ],
    { filters },
  )
  return (
    <Page title="Errors">
      {group && <SelectedError group={group} filters={filters} query={query} />}
      <Totals query={query} errorFilters={errorFilters} />
      <ErrorsOverTime query={query} errorFilters={errorFilters} filters={filters} />
      {group ? (
        // Individual errors contain people's IDs.
        session.canSeePeople && <Occurrences filters={filters} />
      ) : (
        <ErrorList />
      )}
      <ErrorPages filters={filters} />
    </Page>
  )
}

interface Totals {
  events: number
  users: number
  sessions: number
  previous?: Omit<Totals, "previous"> | null
}

type TrendRow = Totals & { date: string }

const stats = [
  { label: "Errors", column: "events" },
  { label: "Affected visitors", column: "users" },
  { label: "Affected sessions", column: "sessions" },
] as const

interface ErrorsProps {
  query: QueryState
  /** The filters that select the current error. Stored with pinned tiles. Empty if no error is selected. */
  errorFilters: Filter[]
}

function Totals({ query, errorFilters }: ErrorsProps) {
  const { view } = useApp()
  const format = useFormat()
  const trend = query.rows<TrendRow>("trend")
  const { started, isRunning } = useProgress(trend.map(({ date }) => date))
  return (
    <section class="panel stats" aria-label="Key metrics">
      <PinButton name="a key metric" tiles={numbersOf(errorFilters)} />
      <Loaded query={query} id="totals" height={88}>
        {() => {
          const [totals] = query.rows<Totals>("totals")
          return (
            <dl class="stats-row three">
              {stats.map(({ label, column }) => (
                <Stat
                  key={column}
                  label={label}
                  value={totals?.[column] ?? 0}
                  previous={view.value.compare ? (totals?.previous?.[column] ?? 0) : undefined}
                  values={trend.slice(0, started).map((row) => row[column])}
                  isRunning={isRunning}
                  better="lower"
                  format={format}
                />
              ))}
            </dl>
          )
        }}
      </Loaded>
      <ComparisonNote query={query} id="totals" />
    </section>
  )
}

function numbersOf(filters: Filter[]): PinnedTile[] {
  return stats.map(({ label, column }) => ({
    kind: "number",
    title: label,
    query: {
      parameters: [
        { ...counts, ...compared },
        { ...counts, ...overTime },
      ],
      filters,
    },
    measure: { column, label, format: "count", better: "lower" },
  }))
}

function ErrorsOverTime({ query, errorFilters, filters }: ErrorsProps & { filters: readonly Filter[] }) {
  const { view } = useApp()
  const rows = query.rows<TrendRow>("trend")
  const previous = {
    name: "Previous period",
    values: rows.map((row) => row.previous?.events),
    isPrevious: true,
  } as const
  return (
    <Panel
      title="Errors over time"
      chart="trend"
      actions={<GranularitySwitch />}
      pin={{
        kind: "chart",
        title: "Errors over time",
        query: { parameters: [{ ...counts, ...overTime }], filters: errorFilters },
        measure: { column: "events", label: "Errors", format: "count" },
        display: "bars",
      }}
    >
      <Loaded query={query} id="trend" height={306}>
        {() => (
          <RangeChart
            previous={query.meta("trend")?.previous}
            name="Errors over time"
            file="errors-over-time"
            kind="bars"
            people={{ selection: peopleOf("error"), filters }}
            dates={rows.map(({ date }) => date)}
            series={[
              { name: "Errors", values: rows.map(({ events }) => events) },
              ...(view.value.compare ? [previous] : []),
            ]}
          />
        )}
      </Loaded>
    </Panel>
  )
}

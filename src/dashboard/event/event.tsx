import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { useMetric } from "../components/charts/metric.ts"
import { RangeChart } from "../components/charts/range-chart.tsx"
import { type Direction, Stat, useDirection } from "../components/charts/stat.tsx"
import { stepParam } from "../components/controls/event-picker.tsx"
import { GranularitySwitch, useGranularity, useProgress } from "../components/controls/granularity.tsx"
import { Link } from "../components/controls/link.tsx"
import { Segmented } from "../components/controls/segmented.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Page } from "../components/layout/page.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { ValueMovers } from "../components/layout/value-movers.tsx"
import { peopleOf } from "../components/people/selection.ts"
import { PinButton } from "../components/saved/pin.tsx"
import { useApp } from "../state/app.ts"
import { compared, overTime, type PinnedTile } from "../state/boards.ts"
import { type Filter, eventFilters as filtersOfEvent } from "../state/filters.ts"
import { comparisonOption } from "../state/query-cache.ts"
import { type QueryState, useQuery } from "../state/use-query.ts"
import { Breakdown } from "./breakdown.tsx"
import "./event.css"
import { DirectionSwitch } from "./direction-switch.tsx"
import { Properties } from "./properties.tsx"
import type { PropertyKind } from "./property-kind.ts"

/**
 * Maximum number of property keys to load, which is also the API's limit for the number of values in an `in` filter.
 */
const maxKeys = 1_000

interface Counts {
  total_events: number
  unique_users: number
  unique_sessions: number
}

interface ComparedCounts extends Counts {
  previous?: Counts | null
}

/** The report on the event named in the URL. */
export function EventPage() {
  const { router } = useApp()
  const name = router.location.value.params.get("name") ?? ""
  if (name !== "") return <EventReport key={name} name={name} />
  return (
    <Page title="Event">
      <Empty title="No event selected">
        <Link class="button" href={router.pageHref("events")}>
          Select event
        </Link>
      </Empty>
    </Page>
  )
}

function EventReport({ name }: { name: string }) {
  const { view } = useApp()
  const granularity = useGranularity()
  const directionOf = useDirection()
  const { filters, compare } = view.value
  const comparison = comparisonOption(compare)
  const eventFilters: Filter[] = [...filters, { field: "event_name", op: "eq", value: name }]
  const totals = useQuery(
    [
      { name: "custom_events_summary", id: "summary", ...comparison },
      { name: "custom_events_trends", id: "trend", granularity, ...comparison },
    ],
    { filters: eventFilters },
  )
  const classification = useQuery(
    [{ name: "custom_events_property_classification", id: "kinds", top: 1, limit: maxKeys }],
    { filters: eventFilters },
  )
  const { metric: measure } = useMetric(measures, measures[0])
  const kinds = classification.rows<PropertyKind>("kinds")
  const isEmpty = totals.rows<Counts>("summary")[0]?.total_events === 0
  return (
    <Page title={name} actions={<EventActions name={name} />}>
      <Totals query={totals} name={name} better={directionOf(name)} />
      <TrendPanel query={totals} name={name} measure={measure} filters={eventFilters} />
      <ValueMovers filters={eventFilters} measure={measure} better={directionOf(name)} />
      {!isEmpty && (
        <>
          <Breakdown
            event={name}
            filters={eventFilters}
            keys={kinds.map((kind) => kind.property_key)}
            better={directionOf(name)}
          />
          <Properties event={name} filters={eventFilters} query={classification} />
        </>
      )}
    </Page>
  )
}

/** The button that marks lower counts as better, and links to other reports about the event. */
function EventActions({ name }: { name: string }) {
  const { router, session } = useApp()
  const step = stepParam({ name, filters: [] })
  return (
    <>
      <DirectionSwitch name={name} />
      {session.canOpen("live") && (
        <Link class="button" href={router.pageHref("live", { name })}>
          Recent events
        </Link>
      )}
      <Link class="button" href={router.pageHref("goals", { step })}>
        Create goal
      </Link>
      <Link class="button" href={router.pageHref("funnels", { step })}>
        Create funnel
      </Link>
    </>
  )
}

const perVisitor = ({ total_events, unique_users }: Counts) =>
  unique_users === 0 ? 0 : total_events / unique_users

interface TotalsProps {
  query: QueryState
  name: string
  better: Direction | undefined
}

/** Returns the event's totals as tiles for boards. */
function numbersOf(name: string, better: Direction | undefined): PinnedTile[] {
  const totals = [
    { column: "total_events", label: "Events" },
    { column: "unique_users", label: "Visitors" },
    { column: "unique_sessions", label: "Sessions" },
  ]
  return totals.map(({ column, label }) => ({
    kind: "number",
    title: `${name}: ${label.toLowerCase()}`,
    query: {
      parameters: [
        { name: "custom_events_summary", ...compared },
        { name: "custom_events_trends", ...overTime },
      ],
      filters: filtersOfEvent(name),
    },
    measure: { column, label, format: "count", ...(better ? { better } : {}) },
  }))
}

function Totals({ query, name, better }: TotalsProps) {
  const { view } = useApp()
  const format = useFormat()
  const trend = query.rows<Counts & { date: string }>("trend")
  const { started, isRunning } = useProgress(trend.map(({ date }) => date))
  const stats = [
    { label: "Events", of: (counts: Counts) => counts.total_events },
    { label: "Visitors", of: (counts: Counts) => counts.unique_users },
    { label: "Sessions", of: (counts: Counts) => counts.unique_sessions },
    { label: "Events per visitor", of: perVisitor, show: (value: number) => format.number(value) },
  ]
  return (
    <section class="panel stats" aria-label="Key metrics">
      <PinButton name="a key metric" tiles={numbersOf(name, better)} />
      <Loaded query={query} id="summary" height={88}>
        {() => {
          const [summary] = query.rows<ComparedCounts>("summary")
          const previous = summary?.previous
          return (
            <dl class="stats-row">
              {stats.map(({ label, of, show }) => (
                <Stat
                  key={label}
                  label={label}
                  value={summary ? of(summary) : 0}
                  previous={view.value.compare && previous?.total_events ? of(previous) : undefined}
                  values={trend.slice(0, started).map(of)}
                  isRunning={isRunning}
                  better={better}
                  format={format}
                  {...(show ? { show } : {})}
                />
              ))}
            </dl>
          )
        }}
      </Loaded>
      <ComparisonNote
        query={query}
        id="summary"
        isEmpty={!query.rows<ComparedCounts>("summary")[0]?.previous?.total_events}
      />
    </section>
  )
}

/** The measures that the chart can show. `name` is the measure's name in the API. */
const measures = [
  {
    value: "events",
    name: "events",
    column: "total_events",
    label: "Events",
    of: (counts: Counts) => counts.total_events,
  },
  {
    value: "visitors",
    name: "users",
    column: "unique_users",
    label: "Visitors",
    of: (counts: Counts) => counts.unique_users,
  },
] as const

type TrendMeasure = (typeof measures)[number]

interface TrendPanelProps {
  query: QueryState
  name: string
  measure: TrendMeasure
  /** Selects the events. */
  filters: readonly Filter[]
}

/** Events or visitors over time, compared with the previous period. */
function TrendPanel({ query, name, measure, filters }: TrendPanelProps) {
  const { router, view } = useApp()
  const title = `${measure.label} over time`
  return (
    <Panel
      title={title}
      chart="trend"
      pin={{
        kind: "chart",
        title: `${name}: ${title.toLowerCase()}`,
        query: {
          parameters: [{ name: "custom_events_trends", ...overTime, ...compared }],
          filters: filtersOfEvent(name),
        },
        measure: { column: measure.column, label: measure.label, format: "count" },
        display: "bars",
      }}
      actions={
        <>
          <Segmented
            legend="Metric"
            options={measures}
            value={measure.value}
            onChange={(show) => router.setParams({ show }, "replace")}
          />
          <GranularitySwitch />
        </>
      }
    >
      <Loaded query={query} id="trend" height={296}>
        {() => {
          const trend = query.rows<ComparedCounts & { date: string }>("trend")
          if (trend.every(({ total_events }) => total_events === 0)) return <NoMatch />
          const previousSeries = {
            name: "Previous period",
            values: trend.map(({ previous }) => (previous ? measure.of(previous) : undefined)),
            isPrevious: true,
          } as const
          return (
            <RangeChart
              previous={query.meta("trend")?.previous}
              name={title}
              file={`${measure.value}-over-time`}
              kind="bars"
              people={{ selection: peopleOf("custom"), filters }}
              dates={trend.map(({ date }) => date)}
              series={[
                { name: measure.label, values: trend.map(measure.of) },
                ...(view.value.compare ? [previousSeries] : []),
              ]}
            />
          )
        }}
      </Loaded>
    </Panel>
  )
}

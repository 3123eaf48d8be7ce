import { useState } from "preact/hooks"
import { CardMenu } from "../components/charts/card-menu.tsx"
import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { DataTable, type Sort, sortOption } from "../components/charts/data-table.tsx"
import { useMetric } from "../components/charts/metric.ts"
import { RangeChart } from "../components/charts/range-chart.tsx"
import { RowTable, useChangeColumn } from "../components/charts/row-table.tsx"
import { stackSeries } from "../components/charts/stacked.ts"
import { Stat, useDirection } from "../components/charts/stat.tsx"
import { ActiveVisitors } from "../components/controls/active-visitors.tsx"
import { GranularitySwitch, useGranularity, useProgress } from "../components/controls/granularity.tsx"
import { Link } from "../components/controls/link.tsx"
import { Segmented } from "../components/controls/segmented.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { ValueText } from "../components/controls/value.tsx"
import { BeforeAfter } from "../components/layout/before-after.tsx"
import { EventMovers } from "../components/layout/event-movers.tsx"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Page } from "../components/layout/page.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { peopleOf } from "../components/people/selection.ts"
import { PinButton } from "../components/saved/pin.tsx"
import { Install } from "../install/install.tsx"
import { useSetup } from "../install/use-setup.ts"
import { useApp } from "../state/app.ts"
import { isolate } from "../state/bidi.ts"
import { compared, overTime, type PinnedTile } from "../state/boards.ts"
import { addFilter, eventFilters, filterParam } from "../state/filters.ts"
import { comparisonOption } from "../state/query-cache.ts"
import { type QueryState, useQuery } from "../state/use-query.ts"
import { Websites } from "../websites/websites.tsx"
import { topEvents, topProperties, topRows } from "./top-tiles.ts"

/** Number of events with their own color in the chart; the others form a single series. */
const stackedEvents = 5

interface Summary {
  total_events: number
  unique_users: number
  unique_sessions: number
  unique_event_types: number
  previous?: Omit<Summary, "previous"> | null
}

interface TrendRow extends Summary {
  date: string
}

/** The key metrics. `value` is the name of a metric in the URL. */
const stats = [
  { value: "events", label: "Events", column: "total_events" },
  { value: "visitors", label: "Visitors", column: "unique_users" },
  { value: "sessions", label: "Sessions", column: "unique_sessions" },
  { value: "types", label: "Event types", column: "unique_event_types" },
] as const

/** The key metrics, as tiles for boards. */
const numbers = stats.map(
  ({ label, column }): PinnedTile => ({
    kind: "number",
    title: label,
    query: {
      parameters: [
        { name: "custom_events_summary", ...compared },
        { name: "custom_events_trends", ...overTime },
      ],
    },
    measure: { column, label, format: "count" },
  }),
)

/**
 * The only metric whose chart can be stacked by event. The numbers of events add up to the total, whereas a visitor
 * with two different events would be counted twice.
 */
const stackable = "events"

/** The overview of a website: totals, events over time, top events and top properties. */
export function Overview() {
  const { router, view, session } = useApp()
  const granularity = useGranularity()
  const { compare } = view.value
  const comparison = comparisonOption(compare)
  const [sort, setSort] = useState<Sort>({ by: "total_events", order: "desc" })
  const isAll = view.value.website === "all"
  const isStacked = useIsStacked()
  const query = useQuery([
    { name: "custom_events_summary", id: "summary", ...comparison },
    { name: "custom_events_trends", id: "trend", granularity, ...comparison },
    ...(isStacked
      ? [{ name: "custom_events_trends_by_event", id: "stack", granularity, limit: stackedEvents }]
      : []),
    { name: "custom_events", id: "top", limit: topRows, ...sortOption(sort, compare), ...comparison },
    { name: "custom_event_properties", id: "properties", limit: topRows },
  ])
  const [summary] = query.rows<Summary>("summary")
  const isEmpty = summary?.total_events === 0 && view.value.filters.length === 0
  const { setup, finish } = useSetup(view.value.website, isEmpty)
  const site = session.sites.value.find(({ id }) => id === view.value.website) ?? session.sites.value[0]
  const show = (page: "web" | "overview") =>
    page === "web" ? router.navigate(router.pageHref("web")) : finish()
  // Shows skeletons instead of zeros until it is known whether the website has any events.
  const panelQuery = setup === "unknown" ? { ...query, isLoading: true } : query
  return (
    <Page title="Overview" actions={<ActiveVisitors key={setup} />}>
      {setup === "waiting" && site ? (
        <Install key={site.id} site={site} onArrival={query.refetch} onShow={show} />
      ) : (
        <>
          <Totals query={panelQuery} />
          <Trend query={panelQuery} />
          <BeforeAfter />
          <EventMovers isComparable={Boolean(summary?.previous?.total_events)} />
          {isAll && <Websites />}
          <div class="columns">
            <TopEvents query={panelQuery} sort={sort} onSort={setSort} />
            <TopProperties query={panelQuery} />
          </div>
        </>
      )}
    </Page>
  )
}

function Totals({ query }: { query: QueryState }) {
  const { view } = useApp()
  const format = useFormat()
  const { choiceOf } = useMetric(stats, stats[0])
  const trend = query.rows<TrendRow>("trend")
  const { started, isRunning } = useProgress(trend.map(({ date }) => date))
  const [summary] = query.rows<Summary>("summary")
  const hasPrevious = Boolean(summary?.previous?.total_events)
  return (
    <section class="panel stats" aria-label="Key metrics">
      <PinButton name="a key metric" tiles={numbers} />
      <Loaded query={query} id="summary" height={88}>
        {() => (
          <dl class="stats-row">
            {stats.map((stat) => {
              const { label, column } = stat
              return (
                <Stat
                  key={column}
                  label={label}
                  choice={choiceOf(stat)}
                  value={summary?.[column] ?? 0}
                  previous={view.value.compare && hasPrevious ? summary?.previous?.[column] : undefined}
                  values={trend.slice(0, started).map((row) => row[column])}
                  isRunning={isRunning}
                  format={format}
                />
              )
            })}
          </dl>
        )}
      </Loaded>
      <ComparisonNote query={query} id="summary" isEmpty={!hasPrevious} />
    </section>
  )
}

/** Returns true if the URL selects a chart that is stacked by event. */
function useIsStacked(): boolean {
  const { router } = useApp()
  const { metric } = useMetric(stats, stats[0])
  return metric.value === stackable && router.location.value.params.get("stack") === "event"
}

/** Returns the chart as a tile for boards. */
function trendTile(title: string, { label, column }: (typeof stats)[number], isStacked: boolean): PinnedTile {
  const total = { name: "custom_events_trends", ...overTime, ...compared }
  const parts = { name: "custom_events_trends_by_event", ...overTime, limit: stackedEvents }
  return {
    kind: "chart",
    title,
    query: { parameters: isStacked ? [total, parts] : [total] },
    measure: { column, label, format: "count" },
    ...(isStacked ? { by: "event_name", display: "bars" } : { display: "lines" }),
  }
}

/**
 * The selected metric over time: a line compared with the previous period, or bars stacked by the most frequent events.
 */
function Trend({ query }: { query: QueryState }) {
  const { router, view } = useApp()
  const { metric } = useMetric(stats, stats[0])
  const isStacked = useIsStacked()
  const title = `${metric.label} over time`
  return (
    <Panel
      title={title}
      chart="trend"
      pin={trendTile(title, metric, isStacked)}
      actions={
        <>
          {metric.value === stackable && (
            <Segmented
              legend="Stack"
              options={[
                { value: "total", label: "Total" },
                { value: "event", label: "By event" },
              ]}
              value={isStacked ? "event" : "total"}
              onChange={(stack) =>
                router.setParams({ stack: stack === "event" ? stack : undefined }, "replace")
              }
            />
          )}
          <GranularitySwitch />
        </>
      }
    >
      <Loaded query={query} id={isStacked ? "stack" : "trend"} height={306}>
        {() => {
          const trend = query.rows<TrendRow>("trend")
          const { column } = metric
          const values = trend.map((row) => ({ date: row.date, value: row[column] }))
          const { dates, series } = isStacked
            ? stackSeries(
                values,
                query
                  .rows<{ date: string; event_name: string; total_events: number }>("stack")
                  .map(({ date, event_name, total_events }) => ({
                    date,
                    name: event_name,
                    value: total_events,
                  })),
              )
            : {
                dates: values.map(({ date }) => date),
                series: [{ name: metric.label, values: values.map(({ value }) => value) }],
              }
          const previous = {
            name: "Previous period",
            values: trend.map((row) => row.previous?.[column]),
            isPrevious: true,
          } as const
          return (
            <RangeChart
              previous={query.meta("trend")?.previous}
              name={title}
              file={`${metric.value}-over-time`}
              kind={isStacked ? "bars" : "lines"}
              people={{ selection: peopleOf("custom") }}
              dates={dates}
              series={[...series, ...(view.value.compare ? [previous] : [])]}
            />
          )
        }}
      </Loaded>
    </Panel>
  )
}

interface NameRow {
  name: string
  total_events: number
  unique_users: number
  percentage: number
  previous?: { total_events: number } | null
}

interface TopEventsProps {
  query: QueryState
  sort: Sort
  onSort: (sort: Sort) => void
}

function TopEvents({ query, sort, onSort }: TopEventsProps) {
  const { router, view } = useApp()
  const directionOf = useDirection()
  const change = useChangeColumn<NameRow>({
    value: (row) => row.total_events,
    previous: (row) => row.previous?.total_events,
    better: (row) => directionOf(row.name),
  })
  const rows = query.rows<NameRow>("top")
  const max = Math.max(...rows.map((row) => row.total_events), 1)
  return (
    <Panel
      title="Top events"
      chart="events"
      pin={topEvents}
      actions={
        <>
          <Link class="button small" href={router.pageHref("events")}>
            All events
          </Link>
          <CardMenu
            file="top-events"
            columns={["name", "events", "visitors", "share in percent"]}
            rows={rows.map((row) => [row.name, row.total_events, row.unique_users, row.percentage])}
          />
        </>
      }
    >
      <Loaded query={query} id="top" height={392}>
        {() =>
          rows.length === 0 ? (
            <NoMatch />
          ) : (
            <RowTable
              name="Top events"
              rows={rows}
              keyOf={(row) => row.name}
              barOf={(row) => row.total_events / max}
              sort={sort}
              onSort={onSort}
              columns={[
                {
                  heading: "Event",
                  sort: "name",
                  cell: ({ name }) => <Link href={router.pageHref("event", { name })}>{name}</Link>,
                },
                { heading: "Events", sort: "total_events", count: (row) => row.total_events },
                {
                  heading: "Visitors",
                  sort: "unique_users",
                  count: (row) => row.unique_users,
                  people: ({ name }) => ({
                    selection: peopleOf("custom"),
                    filters: [...view.value.filters, ...eventFilters(name)],
                  }),
                },
                ...change,
              ]}
            />
          )
        }
      </Loaded>
    </Panel>
  )
}

interface PropertyRow {
  name: string
  property_key: string
  property_value: string
  count: number
}

function TopProperties({ query }: { query: QueryState }) {
  const { router, view } = useApp()
  const format = useFormat()
  const rows = query.rows<PropertyRow>("properties")
  const max = Math.max(...rows.map((row) => row.count), 1)
  return (
    <Panel
      title="Top properties"
      chart="properties"
      pin={topProperties}
      actions={
        <CardMenu
          file="top-properties"
          columns={["event", "property", "value", "events"]}
          rows={rows.map((row) => [row.name, row.property_key, row.property_value, row.count])}
        />
      }
    >
      <Loaded query={query} id="properties" height={392}>
        {() =>
          rows.length === 0 ? (
            <Empty title="No properties">
              Send a JSON object as an event's <code>properties</code> to see its most frequent values here.
            </Empty>
          ) : (
            <DataTable
              name="Top properties"
              columns={["Property", "Event", "Events"]}
              numeric={[false, false, true]}
              bars={rows.map((row) => row.count / max)}
              rows={rows.map((row) => [
                <Link
                  key="value"
                  href={router.hrefWith({
                    f: addFilter(view.value.filters, {
                      field: `property.${row.property_key}`,
                      op: "eq",
                      value: row.property_value,
                    }).map(filterParam),
                  })}
                  label={`Filter by ${isolate(row.property_key)} = ${isolate(row.property_value)}`}
                >
                  {isolate(row.property_key)} = <ValueText value={row.property_value} />
                </Link>,
                <Link key="event" href={router.pageHref("event", { name: row.name })}>
                  {row.name}
                </Link>,
                format.count(row.count),
              ])}
            />
          )
        }
      </Loaded>
    </Panel>
  )
}

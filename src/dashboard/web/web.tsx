import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { useMetric } from "../components/charts/metric.ts"
import { RangeChart } from "../components/charts/range-chart.tsx"
import { Stat } from "../components/charts/stat.tsx"
import { ActiveVisitors } from "../components/controls/active-visitors.tsx"
import { GranularitySwitch, useGranularity, useProgress } from "../components/controls/granularity.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { BeforeAfter } from "../components/layout/before-after.tsx"
import { lazyPanel } from "../components/layout/lazy-page.tsx"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Page } from "../components/layout/page.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { PinButton } from "../components/saved/pin.tsx"
import { useApp } from "../state/app.ts"
import { compared, overTime, type PinnedTile } from "../state/boards.ts"
import type { ChartName } from "../state/embed.ts"
import type { Format } from "../state/format.ts"
import { useHasPageViews } from "../state/page-views.ts"
import { comparisonOption } from "../state/query-cache.ts"
import { type QueryState, useQuery } from "../state/use-query.ts"
import { Websites } from "../websites/websites.tsx"
import { CountryMap } from "./country-map.tsx"
import { pageViewPeople } from "./page-view-people.ts"
import { parameterOf, TablePanel } from "./table-panel.tsx"
import { countryTabs, deviceTabs, linkTabs, pageTabs, sourceTabs } from "./tabs.ts"
import "./web.css"

interface Totals {
  pageviews: number
  sessions: number
  /** As a percentage of sessions. */
  bounce_rate: number
  /** Seconds; null if no session reports its duration. */
  median_session_duration: number | null
}

interface Summary extends Totals {
  unique_visitors: number
  previous?: Omit<Summary, "previous"> | null
}

interface DateRow extends Totals {
  date: string
  visitors: number
  previous?: Omit<DateRow, "date" | "previous"> | null
}

/** The panels below the chart. Their first tables load in the same request as the totals. */
const panels = [
  { title: "Pages", param: "pages", tabs: pageTabs, hasFixedHeight: true },
  { title: "Sources", param: "sources", tabs: sourceTabs, hasFixedHeight: true },
  { title: "Countries", param: "countries", tabs: countryTabs },
  { title: "Devices", param: "devices", tabs: deviceTabs },
  { title: "Outgoing links", param: "links", tabs: linkTabs },
] as const

/** A website's page views: totals, a chart, and tables by page, source, country and device. */
export function Web() {
  const { view } = useApp()
  const granularity = useGranularity()
  const { compare, filters } = view.value
  const query = useQuery([
    { name: "summary_metrics", id: "summary", ...comparisonOption(compare) },
    { name: "events_by_date", id: "trend", granularity, ...comparisonOption(compare) },
    ...panels.map(({ tabs }) => parameterOf(tabs[0], compare)),
  ])
  const hasNone = query.rows<Summary>("summary")[0]?.pageviews === 0
  const isEmpty = hasNone && filters.length === 0
  const hasPageViews = useHasPageViews(isEmpty)
  // Shows skeletons instead of zeros until it is known whether the website has any page views.
  const panelQuery = isEmpty && hasPageViews === undefined ? { ...query, isLoading: true } : query
  return (
    <Page title="Web" actions={<ActiveVisitors />}>
      {isEmpty && hasPageViews === false ? (
        <NoPageViews />
      ) : (
        <>
          <KeyMetrics query={panelQuery} />
          <Trend query={panelQuery} />
          <BeforeAfter />
          {(panelQuery.isLoading || !hasNone) && <Movers />}
          {view.value.website === "all" && <Websites />}
          {(panelQuery.isLoading || !hasNone) && (
            <div class="columns">
              {panels.map((panel) => (
                <TablePanel key={panel.title} query={panelQuery} {...panel}>
                  {panel.param === "countries" && <CountryMap rows={panelQuery.rows("country")} />}
                </TablePanel>
              ))}
            </div>
          )}
        </>
      )}
    </Page>
  )
}

function NoPageViews() {
  const { router, session } = useApp()
  return (
    <section class="panel" aria-label="Page views">
      <Empty title="No page views yet">
        Add the script tag to your pages to see visitors, pages and sources here.
        {session.me.value?.user && (
          <>
            {" "}
            <Link href={router.pageHref("install")}>Show setup instructions</Link>
          </>
        )}
      </Empty>
    </section>
  )
}

/** `value`: the name in the URL. `measure`: the corresponding measure of page views, if there is one. */
const stats = [
  { value: "visitors", label: "Visitors", measure: "users", total: "unique_visitors", trend: "visitors" },
  { value: "sessions", label: "Sessions", measure: "sessions", total: "sessions", trend: "sessions" },
  { value: "views", label: "Views", measure: "events", total: "pageviews", trend: "pageviews" },
  {
    value: "bounces",
    label: "Bounce rate",
    total: "bounce_rate",
    trend: "bounce_rate",
    isRate: true,
    better: "lower",
  },
  {
    value: "duration",
    label: "Median duration",
    total: "median_session_duration",
    trend: "median_session_duration",
    show: (seconds: number, format: Format) => format.duration(seconds * 1_000),
  },
] as const

/** How boards display a number. */
function measureOf(stat: (typeof stats)[number], column: string) {
  const format = "isRate" in stat ? "percent" : "show" in stat ? "seconds" : "count"
  return { column, label: stat.label, format, ...("better" in stat ? { better: stat.better } : {}) } as const
}

/** The key metrics, as tiles for boards. */
const numbers = stats.map(
  (stat): PinnedTile => ({
    kind: "number",
    title: stat.label,
    query: {
      parameters: [
        { name: "summary_metrics", ...compared },
        { name: "events_by_date", ...overTime },
      ],
    },
    measure: measureOf(stat, stat.total),
    trend: stat.trend,
  }),
)

function KeyMetrics({ query }: { query: QueryState }) {
  const { view } = useApp()
  const format = useFormat()
  const { choiceOf } = useMetric(stats, stats[0])
  const trend = query.rows<DateRow>("trend")
  const { started, isRunning } = useProgress(trend.map(({ date }) => date))
  return (
    <section class="panel stats five" aria-label="Key metrics">
      <PinButton name="a key metric" tiles={numbers} />
      <Loaded query={query} id="summary" height={88}>
        {() => {
          const [summary] = query.rows<Summary>("summary")
          return (
            <dl class="stats-row five">
              {stats.map((stat) => {
                const { label, total, trend: column } = stat
                const value = summary?.[total]
                const show = "show" in stat ? stat.show : undefined
                return (
                  <Stat
                    key={label}
                    label={label}
                    choice={choiceOf(stat)}
                    value={value ?? 0}
                    previous={
                      view.value.compare && value !== null && summary?.previous?.pageviews
                        ? (summary.previous[total] ?? 0)
                        : undefined
                    }
                    values={trend.slice(0, started).map((row) => row[column] ?? 0)}
                    isRunning={isRunning}
                    format={format}
                    isRate={"isRate" in stat}
                    better={"better" in stat ? stat.better : undefined}
                    {...(value === null
                      ? { show: () => "–" }
                      : show
                        ? { show: (seconds: number) => show(seconds, format) }
                        : {})}
                  />
                )
              })}
            </dl>
          )
        }}
      </Loaded>
      <ComparisonNote
        query={query}
        id="summary"
        isEmpty={!query.rows<Summary>("summary")[0]?.previous?.pageviews}
      />
    </section>
  )
}

const ValueMovers = lazyPanel(async () => (await import("../components/layout/value-movers.tsx")).ValueMovers)

/** The name of the overview page's chart that lists the events with the largest changes. */
const eventMovers: ChartName = "movers"

/**
 * Shows the values that explain the change in the selected number. A rate or a duration cannot be split into parts that
 * add up, so the change in visitors is explained instead. The query runs only on request (`movers` in the URL), because
 * it counts the visitors for every value of every field.
 */
function Movers() {
  const { router, session, view, embed } = useApp()
  const { filters, compare } = view.value
  const { metric } = useMetric(stats, stats[0])
  // Some filters select whole sessions. The explanation would count only the matching events, so its numbers would
  // differ from the key metrics.
  if (!compare || !pageViewPeople(filters)) return null
  const { measure, label } = "measure" in metric ? metric : stats[0]
  if (embed?.chart === "movers" || router.location.value.params.has("movers"))
    return <ValueMovers filters={filters} kinds={["page_view"]} measure={{ name: measure, label }} />
  return (
    <Panel title="What explains the change" chart="movers">
      <button type="button" class="button" onClick={() => router.setParams({ movers: "1" }, "replace")}>
        Explain the change in {label.toLowerCase()}
      </button>{" "}
      {session.canOpen("overview") && (
        <Link class="button" href={`${router.pageHref("overview")}#${eventMovers}`}>
          Which events changed?
        </Link>
      )}
    </Panel>
  )
}

/** The selected number over time, compared with the previous period. */
function Trend({ query }: { query: QueryState }) {
  const { view } = useApp()
  const format = useFormat()
  const { metric } = useMetric(stats, stats[0])
  const title = `${metric.label} over time`
  return (
    <Panel
      title={title}
      chart="trend"
      actions={<GranularitySwitch />}
      pin={{
        kind: "chart",
        title,
        query: { parameters: [{ name: "events_by_date", ...overTime, ...compared }] },
        measure: measureOf(metric, metric.trend),
        display: "lines",
      }}
    >
      <Loaded query={query} id="trend" height={296}>
        {() => {
          const trend = query.rows<DateRow>("trend")
          if (trend.every(({ pageviews }) => pageviews === 0)) return <NoMatch />
          // If there are no sessions, rates and durations are undefined.
          const valuesOf = (rows: readonly (Omit<DateRow, "date" | "previous"> | null | undefined)[]) =>
            rows.map((row) => row?.[metric.trend] ?? undefined)
          const previous = {
            name: "Previous period",
            values: valuesOf(trend.map((row) => row.previous)),
            isPrevious: true,
          } as const
          return (
            <RangeChart
              previous={query.meta("trend")?.previous}
              name={title}
              file={`${metric.value}-over-time`}
              kind="lines"
              people={pageViewPeople(view.value.filters)}
              dates={trend.map(({ date }) => date)}
              series={[
                { name: metric.label, values: valuesOf(trend) },
                ...(view.value.compare ? [previous] : []),
              ]}
              isRate={"isRate" in metric}
              {...("show" in metric
                ? { value: (seconds: number) => metric.show(seconds, format), hasFractions: true }
                : {})}
            />
          )
        }}
      </Loaded>
    </Panel>
  )
}

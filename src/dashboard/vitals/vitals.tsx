import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { RangeChart } from "../components/charts/range-chart.tsx"
import { Stat } from "../components/charts/stat.tsx"
import { GranularitySwitch, useGranularity } from "../components/controls/granularity.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoPageData } from "../components/layout/no-page-data.tsx"
import { Page } from "../components/layout/page.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { useApp } from "../state/app.ts"
import { overTime } from "../state/boards.ts"
import { vitalText } from "../state/event-text.ts"
import { comparisonOption } from "../state/query-cache.ts"
import { type QueryState, useQuery } from "../state/use-query.ts"
import { type Metric, metrics, ratingOf } from "./thresholds.ts"
import { VitalBreakdown } from "./vital-breakdown.tsx"
import "./vitals.css"

interface OverviewRow {
  metric_name: string
  p75: number
  samples: number
  previous?: { p75: number | null } | null
}

interface TrendRow {
  date: string
  p75: number | null
  previous?: { p75: number | null } | null
}

const breakdowns = [
  { field: "path", title: "Pages", column: "Page" },
  { field: "device_type", title: "Devices", column: "Device" },
  { field: "country", title: "Countries", column: "Country" },
  { field: "browser_name", title: "Browsers", column: "Browser" },
] as const

/** The web vitals of a website's pages, and the selected one over time and by page, device, country and browser. */
export function Vitals() {
  const { router, view } = useApp()
  const chosen = router.location.value.params.get("metric")
  const metric = metrics.find((candidate) => candidate.metric === chosen) ?? metrics[0]
  const granularity = useGranularity()
  const filters = [{ field: "event_name", op: "eq", value: metric.metric }]
  const query = useQuery([
    { name: "vitals_overview", id: "overview", ...comparisonOption(view.value.compare) },
    {
      name: "vitals_time_series",
      id: "trend",
      granularity,
      filters,
      ...comparisonOption(view.value.compare),
    },
    ...breakdowns.map(({ field }) => ({
      name: "events",
      id: field,
      kinds: ["web_vital"],
      by: [field],
      measures: ["events", "p75:property.value"],
      filters,
      limit: 10,
      ...comparisonOption(view.value.compare),
    })),
  ])
  const isEmpty = !query.isLoading && query.rows("overview").length === 0
  return (
    <Page title="Vitals">
      <section class="panel stats five vitals" aria-label="Web vitals">
        <Loaded query={query} id="overview" height={150}>
          {() =>
            isEmpty ? (
              <NoPageData what="web vitals" option="data-track-web-vitals" />
            ) : (
              <dl class="stats-row five">
                {metrics.map((candidate) => (
                  <Vital
                    key={candidate.metric}
                    metric={candidate}
                    row={query
                      .rows<OverviewRow>("overview")
                      // A row has no samples if the metric was measured only in the previous period.
                      .find(({ metric_name, samples }) => metric_name === candidate.metric && samples > 0)}
                    isSelected={candidate === metric}
                  />
                ))}
              </dl>
            )
          }
        </Loaded>
        {!isEmpty && (
          <>
            <p class="comparison-note">
              75th percentiles: three out of four measurements were at least this good.
            </p>
            <ComparisonNote query={query} id="overview" />
          </>
        )}
      </section>
      {!isEmpty && (
        <>
          <VitalOverTime metric={metric} query={query} />
          <div class="columns vital-tables">
            {breakdowns.map((breakdown) => (
              <VitalBreakdown key={breakdown.field} {...breakdown} metric={metric} query={query} />
            ))}
          </div>
        </>
      )}
    </Page>
  )
}

interface VitalProps {
  metric: Metric
  /** Undefined if the metric was not reported. */
  row: OverviewRow | undefined
  isSelected: boolean
}

/** A web vital with its change and rating. */
function Vital({ metric, row, isSelected }: VitalProps) {
  const { router } = useApp()
  const format = useFormat()
  const text = (value: number) => vitalText(metric.metric, value)
  const rating = row && ratingOf(metric, row.p75)
  const previous = row?.previous?.p75 ?? undefined
  return (
    <Stat
      label={metric.metric}
      choice={{
        isSelected,
        onSelect: () => router.setParams({ metric: metric.metric }, "replace"),
      }}
      value={row?.p75 ?? 0}
      previous={previous}
      better="lower"
      show={row ? text : () => "–"}
      format={format}
      note={
        <>
          {previous !== undefined && <span>was {text(previous)}</span>}
          <span class={`badge ${rating?.look ?? ""}`}>{rating?.label ?? "No data"}</span>
          <span class="muted vital-name">{metric.name}</span>
          <span class="muted">
            {row ? format.countOf(row.samples, "measurement") : `Good up to ${text(metric.good)}`}
          </span>
        </>
      }
    />
  )
}

function VitalOverTime({ metric, query }: { metric: Metric; query: QueryState }) {
  const { view } = useApp()
  const text = (value: number) => vitalText(metric.metric, value)
  const rows = query.rows<TrendRow>("trend")
  const previous = {
    name: "Previous period",
    values: rows.map((row) => row.previous?.p75 ?? undefined),
    isPrevious: true,
  } as const
  return (
    <Panel
      title={`${metric.metric} over time`}
      chart="trend"
      hint={`75th percentile. Good up to ${text(metric.good)}, poor above ${text(metric.poor)}.`}
      actions={<GranularitySwitch />}
      pin={{
        kind: "chart",
        title: `${metric.metric} over time`,
        query: {
          parameters: [{ name: "vitals_time_series", ...overTime }],
          filters: [{ field: "event_name", op: "eq", value: metric.metric }],
        },
        measure: {
          column: "p75",
          label: "75th percentile",
          // CLS is a ratio.
          format: metric.metric === "CLS" ? "number" : "milliseconds",
        },
        display: "lines",
      }}
    >
      <Loaded query={query} id="trend" height={306}>
        {() => (
          <RangeChart
            previous={query.meta("trend")?.previous}
            name={`${metric.metric} over time`}
            file={`${metric.metric.toLowerCase()}-over-time`}
            kind="lines"
            hasFractions
            value={text}
            dates={rows.map(({ date }) => date)}
            series={[
              { name: "75th percentile", values: rows.map(({ p75 }) => p75 ?? undefined) },
              ...(view.value.compare ? [previous] : []),
            ]}
          />
        )}
      </Loaded>
    </Panel>
  )
}

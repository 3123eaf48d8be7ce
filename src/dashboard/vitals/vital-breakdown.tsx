import { CardMenu } from "../components/charts/card-menu.tsx"
import { changeValue, SortedTable } from "../components/charts/data-table.tsx"
import { Change } from "../components/charts/stat.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Value } from "../components/controls/value.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { vitalText } from "../state/event-text.ts"
import type { QueryState } from "../state/use-query.ts"
import { type Metric, ratingOf } from "./thresholds.ts"

interface VitalBreakdownProps {
  /** The field to break down by, which is also the ID of the query parameter. */
  field: "path" | "device_type" | "country" | "browser_name"
  title: string
  column: string
  metric: Metric
  query: QueryState
}

const percentile = "p75:property.value"

interface Row {
  /** The value of the field to break down by. */
  [field: string]: unknown
  events: number
  /** null if only the previous period has measurements. */
  [percentile]: number | null
  previous?: { [percentile]: number | null } | null
}

/** Sort value of a row without a value, which puts the row last in descending order. */
const noValue = Number.NEGATIVE_INFINITY

/**
 * Breaks down a web vital by a field, most measurements first, with the change since the previous period. Clicking a
 * value filters by it.
 */
export function VitalBreakdown({ field, title, column, metric, query }: VitalBreakdownProps) {
  const format = useFormat()
  const { compare } = useApp().view.value
  const rows = query.rows<Row>(field).map((row) => ({
    // The API returns the field as text or null.
    value: row[field] as string | null,
    samples: row.events,
    p75: row[percentile] ?? undefined,
    previous: row.previous?.[percentile] ?? undefined,
  }))
  const text = (p75: number) => vitalText(metric.metric, p75)
  const max = Math.max(...rows.map(({ samples }) => samples), 1)
  return (
    <Panel
      title={title}
      actions={
        <CardMenu
          file={`${metric.metric.toLowerCase()}-by-${column.toLowerCase()}`}
          columns={[
            column.toLowerCase(),
            "measurements",
            "75th percentile",
            "75th percentile in previous period",
          ]}
          rows={rows.map(({ value, samples, p75, previous }) => [value, samples, p75, previous])}
        />
      }
    >
      <Loaded query={query} id={field} height={240}>
        {() =>
          rows.length === 0 ? (
            <Empty title={`No ${metric.metric} measurements in this range`} />
          ) : (
            <SortedTable
              name={`${metric.metric} by ${column.toLowerCase()}`}
              columns={[column, metric.metric, ...(compare ? ["Change"] : []), "Rating", "Measurements"]}
              numeric={[false, true, ...(compare ? [true] : []), false, true]}
              bars={rows.map(({ samples }) => samples / max)}
              keys={rows.map(({ value }) => value ?? "")}
              values={rows.map(({ value, samples, p75, previous }) => [
                value ?? "",
                p75 ?? noValue,
                ...(compare
                  ? [p75 === undefined || previous === undefined ? noValue : changeValue(p75, previous)]
                  : []),
                undefined,
                samples,
              ])}
              rows={rows.map(({ value, samples, p75, previous }) => {
                const rating = p75 === undefined ? undefined : ratingOf(metric, p75)
                return [
                  <Value key="value" field={field} value={value}>
                    {value !== null && field === "country" ? format.country(value) : undefined}
                  </Value>,
                  p75 === undefined ? "–" : text(p75),
                  ...(compare
                    ? [<VitalChange key="change" p75={p75} previous={previous} show={text} />]
                    : []),
                  <span key="rating" class={`badge ${rating?.look ?? ""}`}>
                    {rating?.label ?? "No data"}
                  </span>,
                  format.count(samples),
                ]
              })}
            />
          )
        }
      </Loaded>
    </Panel>
  )
}

interface VitalChangeProps {
  /** The values in the current and in the previous period. Undefined if the period has no measurements. */
  p75: number | undefined
  previous: number | undefined
  show: (p75: number) => string
}

/** The change since the previous period, or a dash if one of the periods has no measurements. */
function VitalChange({ p75, previous, show }: VitalChangeProps) {
  const format = useFormat()
  if (p75 === undefined || previous === undefined) return "–"
  return <Change value={p75} previous={previous} better="lower" show={show} format={format} />
}

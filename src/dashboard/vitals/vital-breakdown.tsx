import { CardMenu } from "../components/charts/card-menu.tsx"
import { DataTable } from "../components/charts/data-table.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Value } from "../components/controls/value.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { vitalText } from "../state/event-text.ts"
import type { QueryState } from "../state/use-query.ts"
import { type Metric, ratingOf } from "./thresholds.ts"

interface VitalBreakdownProps {
  /** Also the id of its query parameter. */
  field: "path" | "device_type" | "country" | "browser_name"
  title: string
  column: string
  metric: Metric
  query: QueryState
}

type Row = Record<string, string | number | null>

/** Breaks one web vital down by a field, most measurements first. Click a value to filter by it. */
export function VitalBreakdown({ field, title, column, metric, query }: VitalBreakdownProps) {
  const format = useFormat()
  const rows = query.rows<Row>(field).map((row) => ({
    // The API returns the field as text, and the measures as numbers.
    value: row[field] as string | null,
    samples: Number(row.events),
    p75: Number(row["p75:property.value"]),
  }))
  const max = Math.max(...rows.map(({ samples }) => samples), 1)
  return (
    <Panel
      title={title}
      actions={
        <CardMenu
          file={`${metric.metric.toLowerCase()}-by-${column.toLowerCase()}`}
          columns={[column.toLowerCase(), "measurements", "75th percentile"]}
          rows={rows.map(({ value, samples, p75 }) => [value, samples, p75])}
        />
      }
    >
      <Loaded query={query} id={field} height={240}>
        {() =>
          rows.length === 0 ? (
            <Empty title={`No ${metric.metric} in this range`} />
          ) : (
            <DataTable
              name={`${metric.metric} by ${column.toLowerCase()}`}
              columns={[column, metric.metric, "Rating", "Measurements"]}
              numeric={[false, true, false, true]}
              bars={rows.map(({ samples }) => samples / max)}
              keys={rows.map(({ value }) => value ?? "")}
              rows={rows.map(({ value, samples, p75 }) => {
                const { label, look } = ratingOf(metric, p75)
                return [
                  <Value key="value" field={field} value={value}>
                    {value !== null && field === "country" ? format.country(value) : undefined}
                  </Value>,
                  vitalText(metric.metric, p75),
                  <span key="rating" class={`badge ${look}`}>
                    {label}
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

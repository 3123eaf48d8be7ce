import { DataTable } from "../components/charts/data-table.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { isolate } from "../state/bidi.ts"

/** The statistics of a numeric property: a row of `custom_events_property_numbers`. */
export interface NumberStats {
  property_key: string
  count: number
  min: number
  max: number
  avg: number
  sum: number
  p50: number
  p95: number
  /** Adjacent half-open bins, except that the last one includes `max`. */
  bins: { from: number; to: number; count: number }[]
}

/** The distribution of a numeric property, as a histogram with summary statistics. */
export function Histogram({ name, numbers }: { name: string; numbers: NumberStats }) {
  const format = useFormat()
  const { bins, min, max, avg, p50, p95 } = numbers
  const maxCount = Math.max(...bins.map(({ count }) => count), 1)
  const span = max - min
  const positionOf = (value: number) => `${span > 0 ? (100 * (value - min)) / span : 50}%`
  const statistics = [
    { label: "Min", value: min },
    { label: "Median", value: p50, look: "event-median" },
    { label: "Mean", value: avg },
    { label: "p95", value: p95, look: "event-p95" },
    { label: "Max", value: max },
  ]
  return (
    <div class="event-histogram">
      <div class="event-bins" aria-hidden="true">
        {bins.map(({ from, to, count }) => (
          <span
            key={from}
            class="event-bin"
            title={`${format.short(from)} – ${format.short(to)}: ${format.count(count)}`}
          >
            <span style={{ height: `${(100 * count) / maxCount}%` }} />
          </span>
        ))}
        <i class="event-mark event-median" style={{ left: positionOf(p50) }} />
        <i class="event-mark event-p95" style={{ left: positionOf(p95) }} />
      </div>
      <dl class="event-facts">
        {statistics.map(({ label, value, look }) => (
          <div key={label}>
            <dt class={look}>{label}</dt>
            <dd title={String(value)}>{format.short(value)}</dd>
          </div>
        ))}
      </dl>
      <div class="hidden">
        <DataTable
          name={`Distribution of ${isolate(name)}`}
          columns={["From", "To", "Events"]}
          numeric={[true, true, true]}
          rows={bins.map(({ from, to, count }) => [
            format.number(from),
            format.number(to),
            format.count(count),
          ])}
        />
      </div>
    </div>
  )
}

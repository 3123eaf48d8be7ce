import { DataTable } from "../components/charts/data-table.tsx"
import { useFormat } from "../components/controls/use-format.ts"

/** Of the numbers of a property, as the API gives it. */
export interface Numbers {
  property_key: string
  count: number
  min: number
  max: number
  avg: number
  sum: number
  p50: number
  p95: number
  /** Side by side; the last one holds the largest number too. */
  bins: { from: number; to: number; count: number }[]
}

/** How the numbers of a property spread. */
export function Histogram({ name, numbers }: { name: string; numbers: Numbers }) {
  const format = useFormat()
  const { bins, min, max, avg, p50, p95 } = numbers
  const most = Math.max(...bins.map(({ count }) => count), 1)
  const span = max - min
  const placeOf = (value: number) => `${span > 0 ? (100 * (value - min)) / span : 50}%`
  const facts = [
    { label: "Least", value: min },
    { label: "Median", value: p50, look: "event-median" },
    { label: "Mean", value: avg },
    { label: "p95", value: p95, look: "event-p95" },
    { label: "Most", value: max },
  ]
  return (
    <div class="event-histogram">
      <div class="event-bins" aria-hidden="true">
        {bins.map(({ from, to, count }) => (
          <span
            key={from}
            class="event-bin"
            title={`${format.short(from)} to ${format.short(to)}: ${format.count(count)}`}
          >
            <span style={{ height: `${(100 * count) / most}%` }} />
          </span>
        ))}
        <i class="event-mark event-median" style={{ left: placeOf(p50) }} />
        <i class="event-mark event-p95" style={{ left: placeOf(p95) }} />
      </div>
      <dl class="event-facts">
        {facts.map(({ label, value, look }) => (
          <div key={label}>
            <dt class={look}>{label}</dt>
            <dd title={String(value)}>{format.short(value)}</dd>
          </div>
        ))}
      </dl>
      <div class="hidden">
        <DataTable
          name={`How the numbers of ${name} spread`}
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

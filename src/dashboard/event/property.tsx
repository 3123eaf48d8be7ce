import { useId, useState } from "preact/hooks"
import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded } from "../components/layout/panel.tsx"
import { Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import type { Filter } from "../state/filters.ts"
import type { Answered } from "../state/use-query.ts"
import { AllValues } from "./all-values.tsx"
import { Histogram, type Numbers } from "./histogram.tsx"
import { type Kind, kindText, pictureOf } from "./kind.ts"
import { Value } from "./value.tsx"

/** Values of a property that are shown at once. */
export const shownValues = 6
/** px of a row of the table, of the bar of a rate, and of a histogram with its numbers. */
const rowHeight = 33
const rateHeight = 34
const histogramHeight = 192
/** px of a property of some values, with what stands around its picture. */
export const propertyHeight = 300

function heightOf(kind: Kind): number {
  const picture = pictureOf(kind)
  if (picture === "histogram") return histogramHeight
  const rows = rowHeight * Math.min(kind.cardinality, shownValues)
  return picture === "rate" ? rateHeight + rows : rows
}

interface TopValue {
  property_key: string
  property_value: string
  count: number
  /** Events that have any value. */
  total: number
  percentage: number
}

interface PropertyProps {
  event: string
  kind: Kind
  /** Which events it is about. */
  filters: readonly Filter[]
  /** Its answers `values` and `numbers`, of several properties. */
  answered: Answered
}

/** One property: how many values there are, and the picture that fits them. */
export function Property({ event, kind, filters, answered }: PropertyProps) {
  const { place } = useApp()
  const format = useFormat()
  const id = useId()
  const [isOpen, setOpen] = useState(false)
  const { property_key: key, cardinality } = kind
  const field = `property.${key}`
  const isNumeric = pictureOf(kind) === "histogram"
  const values = answered.rows<TopValue>("values").filter(({ property_key }) => property_key === key)
  const numbers = isNumeric
    ? answered.rows<Numbers>("numbers").find(({ property_key }) => property_key === key)
    : undefined
  return (
    <article class="event-property" aria-labelledby={id}>
      <header class="event-property-head">
        <div>
          <h3 id={id}>{key}</h3>
          <p class="muted">{kindText(kind, format)}</p>
        </div>
        <button
          type="button"
          class="button small quiet"
          aria-label={`Break down by ${key}`}
          onClick={() => {
            place.set({ split: field, page: undefined })
            document.querySelector(".event-breakdown")?.scrollIntoView({ block: "nearest" })
          }}
        >
          Break down
        </button>
      </header>
      <Loaded answered={answered} of={isNumeric ? "numbers" : "values"} height={heightOf(kind)}>
        {() => {
          if (values.length === 0 && answered.isStale) return <Skeleton height={heightOf(kind)} />
          if (numbers) return <Histogram name={key} numbers={numbers} />
          return <Values kind={kind} values={values} />
        }}
      </Loaded>
      <footer class="event-property-foot">
        {cardinality > values.length || numbers ? (
          <button type="button" class="button small quiet" onClick={() => setOpen(true)}>
            All {format.count(cardinality)} values
          </button>
        ) : (
          <span />
        )}
        <DownloadCsv
          file={`values of ${key}`}
          columns={numbers ? ["from", "to", "events"] : ["value", "events", "share in percent"]}
          rows={
            numbers
              ? numbers.bins.map(({ from, to, count }) => [from, to, count])
              : values.map((one) => [one.property_value, one.count, one.percentage])
          }
        />
      </footer>
      {isOpen && <AllValues event={event} kind={kind} filters={filters} onClose={() => setOpen(false)} />}
    </article>
  )
}

function Values({ kind, values }: { kind: Kind; values: readonly TopValue[] }) {
  const format = useFormat()
  const { property_key: key } = kind
  const picture = pictureOf(kind)
  const isRate = picture === "rate"
  const isSample = picture === "samples"
  const most = Math.max(...values.map(({ count }) => count), 1)
  const rows = isRate
    ? [...values].sort((one, other) => (one.property_value < other.property_value ? 1 : -1))
    : values
  return (
    <>
      {isRate && <Rate values={rows} />}
      <DataTable
        name={`Values of ${key}`}
        columns={isSample ? ["Value"] : ["Value", "Events", "Share"]}
        numeric={[false, true, true]}
        {...(isRate || isSample ? {} : { bars: rows.map(({ count }) => count / most) })}
        keys={rows.map((one) => one.property_value)}
        rows={rows.map((one) => [
          <Value key="value" field={`property.${key}`} value={one.property_value} />,
          ...(isSample ? [] : [format.count(one.count), format.rate((100 * one.count) / one.total)]),
        ])}
      />
    </>
  )
}

/** True and false as the parts of one bar; the table below has the numbers. */
function Rate({ values }: { values: readonly TopValue[] }) {
  return (
    <div class="event-rate" aria-hidden="true">
      {values.map((one) => (
        <span
          key={one.property_value}
          class={`event-rate-${one.property_value}`}
          style={{ flexGrow: one.count }}
        >
          {one.property_value}
        </span>
      ))}
    </div>
  )
}

import { useId, useState } from "preact/hooks"
import { CardMenu } from "../components/charts/card-menu.tsx"
import { SortedTable } from "../components/charts/data-table.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Value } from "../components/controls/value.tsx"
import { Loaded } from "../components/layout/panel.tsx"
import { Skeleton } from "../components/layout/states.tsx"
import { PeopleLink } from "../components/people/people-link.tsx"
import { peopleOf } from "../components/people/selection.ts"
import { useApp } from "../state/app.ts"
import { isolate } from "../state/bidi.ts"
import { type Filter, valueFilter } from "../state/filters.ts"
import type { QueryState } from "../state/use-query.ts"
import { AllValues } from "./all-values.tsx"
import { Histogram, type NumberStats } from "./histogram.tsx"
import { describeKind, type PropertyKind, visualizationOf } from "./property-kind.ts"

/** Maximum number of values to show per property. */
export const shownValues = 6
/** Height in px of a table row, a true/false bar, and a histogram with its statistics. */
const rowHeight = 33
const rateHeight = 34
const histogramHeight = 192
/** Height in px of a typical property card. */
export const propertyHeight = 300

function heightOf(kind: PropertyKind): number {
  const visualization = visualizationOf(kind)
  if (visualization === "histogram") return histogramHeight
  const rows = rowHeight * Math.min(kind.cardinality, shownValues)
  return visualization === "rate" ? rateHeight + rows : rows
}

interface TopValue {
  property_key: string
  property_value: string
  count: number
  /** Number of events with a value. */
  total: number
  percentage: number
}

interface PropertyProps {
  event: string
  kind: PropertyKind
  /** Selects the events. */
  filters: readonly Filter[]
  /** The query for all visible properties. Its parameters are `values` and, for histograms, `numbers`. */
  query: QueryState
}

/** Shows a property with a description of its values and a visualization that suits them. */
export function Property({ event, kind, filters, query }: PropertyProps) {
  const { router } = useApp()
  const format = useFormat()
  const id = useId()
  const [isOpen, setOpen] = useState(false)
  const { property_key: key, cardinality } = kind
  const field = `property.${key}`
  const isNumeric = visualizationOf(kind) === "histogram"
  const values = query.rows<TopValue>("values").filter(({ property_key }) => property_key === key)
  const numbers = isNumeric
    ? query.rows<NumberStats>("numbers").find(({ property_key }) => property_key === key)
    : undefined
  return (
    <article class="event-property" aria-labelledby={id}>
      <header class="event-property-head">
        <div>
          <h3 id={id}>{key}</h3>
          <p class="muted">{describeKind(kind, format)}</p>
        </div>
        <NumbersSwitch kind={kind} />
        <button
          type="button"
          class="button small quiet"
          aria-label={`Break down by ${isolate(key)}`}
          onClick={() => {
            router.setParams({ split: field, page: undefined })
            document.querySelector(".event-breakdown")?.scrollIntoView({ block: "nearest" })
          }}
        >
          Break down
        </button>
        <CardMenu
          file={`values of ${key}`}
          columns={numbers ? ["from", "to", "events"] : ["value", "events", "share in percent"]}
          rows={
            numbers
              ? numbers.bins.map(({ from, to, count }) => [from, to, count])
              : values.map((value) => [value.property_value, value.count, value.percentage])
          }
        />
      </header>
      <Loaded query={query} id={isNumeric ? "numbers" : "values"} height={heightOf(kind)}>
        {() => {
          if (values.length === 0 && query.isStale) return <Skeleton height={heightOf(kind)} />
          if (numbers) return <Histogram name={key} numbers={numbers} />
          return <Values kind={kind} values={values} filters={filters} />
        }}
      </Loaded>
      {(cardinality > values.length || numbers) && (
        <footer class="event-property-foot">
          <button type="button" class="button small quiet" onClick={() => setOpen(true)}>
            All {format.count(cardinality)} values
          </button>
        </footer>
      )}
      {isOpen && <AllValues event={event} kind={kind} filters={filters} onClose={() => setOpen(false)} />}
    </article>
  )
}

/**
 * A button that switches a numeric property from its default visualization to a histogram and back. Shown only if the
 * property has several values and the default is not a histogram.
 */
function NumbersSwitch({ kind }: { kind: PropertyKind }) {
  const { router } = useApp()
  const { property_key: key, is_numeric, cardinality } = kind
  const keys = router.location.value.params.getAll("numbers")
  const isOn = keys.includes(key)
  if (!is_numeric || cardinality < 2 || (visualizationOf(kind) === "histogram" && !isOn)) return null
  const others = keys.filter((other) => other !== key)
  return (
    <button
      type="button"
      class="button small quiet"
      aria-label={`${isOn ? "As values" : "As numbers"}: ${isolate(key)}`}
      onClick={() => router.setParams({ numbers: isOn ? others : [...others, key] }, "replace")}
    >
      {isOn ? "As values" : "As numbers"}
    </button>
  )
}

interface ValuesProps {
  kind: PropertyKind
  values: readonly TopValue[]
  /** Selects the events. */
  filters: readonly Filter[]
}

function Values({ kind, values, filters }: ValuesProps) {
  const format = useFormat()
  const { property_key: key } = kind
  const visualization = visualizationOf(kind)
  const isRate = visualization === "rate"
  const isSample = visualization === "samples"
  const max = Math.max(...values.map(({ count }) => count), 1)
  const rows = isRate ? [...values].sort((a, b) => (a.property_value < b.property_value ? 1 : -1)) : values
  return (
    <>
      {isRate && <Rate values={rows} />}
      <SortedTable
        name={`Values of ${isolate(key)}`}
        columns={isSample ? ["Value"] : ["Value", "Events", "Share"]}
        numeric={[false, true, true]}
        {...(isRate || isSample ? {} : { bars: rows.map(({ count }) => count / max) })}
        keys={rows.map(({ property_value }) => property_value)}
        values={rows.map(({ count }) => (isSample ? [] : [undefined, count, count]))}
        rows={rows.map(({ property_value, count, total }) => [
          <Value key="value" field={`property.${key}`} value={property_value} />,
          ...(isSample
            ? []
            : [
                <PeopleLink
                  key="events"
                  count={count}
                  label={`${format.count(count)}: people with ${isolate(key)} ${isolate(property_value)}`}
                  selection={peopleOf("custom")}
                  filters={[...filters, valueFilter(`property.${key}`, property_value)]}
                >
                  {format.count(count)}
                </PeopleLink>,
                format.rate((100 * count) / total),
              ]),
        ])}
      />
    </>
  )
}

/** The shares of true and false as a single bar. The table below it shows the numbers. */
function Rate({ values }: { values: readonly TopValue[] }) {
  return (
    <div class="event-rate" aria-hidden="true">
      {values.map(({ property_value, count }) => (
        <span key={property_value} class={`event-rate-${property_value}`} style={{ flexGrow: count }}>
          {property_value}
        </span>
      ))}
    </div>
  )
}

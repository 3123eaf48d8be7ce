import { SearchField } from "../components/controls/search-field.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty, Failure, Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import type { Filter } from "../state/filters.ts"
import { type Answered, useQuery } from "../state/use-query.ts"
import { type Kind, pictureOf } from "./kind.ts"
import { Property, propertyHeight, shownValues } from "./property.tsx"

/** Properties that are shown before somebody asks for all. */
const firstKeys = 12
/** Steps of a histogram. */
const bins = 20
/** Rows that the API gives at a time. */
const mostRows = 10_000

interface PropertiesProps {
  event: string
  /** Which events it is about. */
  filters: readonly Filter[]
  /** Its answer `kinds`. */
  answered: Answered
}

/** What the event's properties hold, each in the picture that fits its values. */
export function Properties({ event, filters, answered }: PropertiesProps) {
  const { place } = useApp()
  const format = useFormat()
  const { params } = place.spot.value
  const find = params.get("find") ?? ""
  const kinds = answered.rows<Kind>("kinds")
  const found = kinds.filter(({ property_key }) => property_key.toLowerCase().includes(find.toLowerCase()))
  const shown = params.get("keys") === "all" ? found : found.slice(0, firstKeys)
  const values = useValues(shown, shown.length === kinds.length, filters)
  const failure = answered.error ?? failureOf(answered.failure("kinds"))
  return (
    <Panel
      title="Properties"
      actions={
        kinds.length > firstKeys && (
          <SearchField
            label="Find a property"
            value={find}
            onSearch={(text) => place.set({ find: text || undefined }, "replace")}
          />
        )
      }
    >
      {answered.isLoading ? (
        <div class="event-properties">
          {[1, 2, 3].map((one) => (
            <Skeleton key={one} height={propertyHeight} />
          ))}
        </div>
      ) : failure ? (
        <Failure error={failure} again={answered.again} />
      ) : kinds.length === 0 ? (
        <Empty title="No properties">
          Events can carry any JSON object as <code>properties</code>; what this one holds is shown here.
        </Empty>
      ) : (
        <div class={answered.isStale ? "stale" : undefined} aria-busy={answered.isStale}>
          {found.length === 0 && <Empty title={`No property has “${find}” in its name`} />}
          {values.error ? (
            <Failure error={values.error} again={values.again} />
          ) : (
            <div class="event-properties">
              {shown.map((kind) => (
                <Property
                  key={kind.property_key}
                  event={event}
                  kind={kind}
                  filters={filters}
                  answered={values}
                />
              ))}
            </div>
          )}
          {shown.length < found.length && (
            <button
              type="button"
              class="button event-more"
              onClick={() => place.set({ keys: "all" }, "replace")}
            >
              Show all {format.count(found.length)} properties
            </button>
          )}
        </div>
      )}
    </Panel>
  )
}

/** The most frequent values of each property that is shown, and of numbers what a histogram takes. */
function useValues(shown: readonly Kind[], isAll: boolean, filters: readonly Filter[]): Answered {
  const keysOf = (kinds: readonly Kind[]) => [
    { field: "property_key", op: "in", value: kinds.map((kind) => kind.property_key) },
  ]
  const numbers = shown.filter((kind) => pictureOf(kind) === "histogram")
  const top = {
    name: "custom_events_property_top_values",
    id: "values",
    // Whoever wants all of them need not be asked event by event.
    filters: isAll ? [] : keysOf(shown),
    top: shownValues,
    limit: mostRows,
  }
  const histograms = {
    name: "custom_events_property_numbers",
    id: "numbers",
    filters: keysOf(numbers),
    top: bins,
    limit: mostRows,
  }
  const parameters = numbers.length > 0 ? [top, histograms] : [top]
  return useQuery(shown.length > 0 ? parameters : undefined, { filters: [...filters] })
}

function failureOf(text: string | undefined): Error | undefined {
  return text === undefined ? undefined : new Error(text)
}

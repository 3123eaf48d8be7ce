import { SearchField } from "../components/controls/search-field.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Empty, Failure, Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import type { Filter } from "../state/filters.ts"
import { type QueryState, useQuery } from "../state/use-query.ts"
import { Property, propertyHeight, shownValues } from "./property.tsx"
import { asNumbers, type PropertyKind, visualizationOf } from "./property-kind.ts"

/** Number of properties to show before "Show all" is clicked. */
const firstKeys = 12
/** Maximum number of bins per histogram. */
const bins = 20
/** The API's limit for the number of rows per request. */
const maxRows = 10_000

interface PropertiesProps {
  event: string
  /** Selects the events. */
  filters: readonly Filter[]
  /** A query with a parameter `kinds`, whose rows are the properties. */
  query: QueryState
}

/** The event's properties, each with a visualization suited to its values. */
export function Properties({ event, filters, query }: PropertiesProps) {
  const { router } = useApp()
  const format = useFormat()
  const { params } = router.location.value
  const search = params.get("find") ?? ""
  const numbers = params.getAll("numbers")
  const kinds = query
    .rows<PropertyKind>("kinds")
    .map((kind) => (numbers.includes(kind.property_key) ? asNumbers(kind) : kind))
  const matches = kinds.filter(({ property_key }) =>
    property_key.toLowerCase().includes(search.toLowerCase()),
  )
  const visible = params.get("keys") === "all" ? matches : matches.slice(0, firstKeys)
  const values = useValues(visible, visible.length === kinds.length, filters)
  const failure = query.error ?? toError(query.failure("kinds"))
  return (
    <Panel
      title="Properties"
      actions={
        kinds.length > firstKeys && (
          <SearchField
            label="Search properties"
            value={search}
            onSearch={(text) => router.setParams({ find: text || undefined }, "replace")}
          />
        )
      }
    >
      {query.isLoading ? (
        <div class="event-properties">
          {[1, 2, 3].map((key) => (
            <Skeleton key={key} height={propertyHeight} />
          ))}
        </div>
      ) : failure ? (
        <Failure error={failure} onRetry={query.refetch} />
      ) : kinds.length === 0 ? (
        <Empty title="No properties">
          Send a JSON object as the event's <code>properties</code> to see its values here.
        </Empty>
      ) : (
        <div class={query.isStale ? "stale" : undefined} aria-busy={query.isStale}>
          {matches.length === 0 && <Empty title={`No properties match “${search}”`} />}
          {values.error ? (
            <Failure error={values.error} onRetry={values.refetch} />
          ) : (
            <div class="event-properties">
              {visible.map((kind) => (
                <Property
                  key={kind.property_key}
                  event={event}
                  kind={kind}
                  filters={filters}
                  query={values}
                />
              ))}
            </div>
          )}
          {visible.length < matches.length && (
            <button
              type="button"
              class="button event-more"
              onClick={() => router.setParams({ keys: "all" }, "replace")}
            >
              Show all {format.count(matches.length)} properties
            </button>
          )}
        </div>
      )}
    </Panel>
  )
}

/** Queries the most frequent values of the given properties, and the bins of the properties shown as histograms. */
function useValues(
  properties: readonly PropertyKind[],
  isAll: boolean,
  filters: readonly Filter[],
): QueryState {
  const keyFilter = (kinds: readonly PropertyKind[]) => [
    { field: "property_key", op: "in", value: kinds.map((kind) => kind.property_key) },
  ]
  const numeric = properties.filter((kind) => visualizationOf(kind) === "histogram")
  const top = {
    name: "custom_events_property_top_values",
    id: "values",
    // If all properties are shown, the query needs no filter by key.
    filters: isAll ? [] : keyFilter(properties),
    top: shownValues,
    limit: maxRows,
  }
  const histograms = {
    name: "custom_events_property_numbers",
    id: "numbers",
    filters: keyFilter(numeric),
    top: bins,
    limit: maxRows,
  }
  const parameters = numeric.length > 0 ? [top, histograms] : [top]
  return useQuery(properties.length > 0 ? parameters : undefined, { filters: [...filters] })
}

function toError(text: string | undefined): Error | undefined {
  return text === undefined ? undefined : new Error(text)
}

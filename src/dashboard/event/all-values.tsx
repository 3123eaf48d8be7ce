import { useState } from "preact/hooks"
import { CardMenu } from "../components/charts/card-menu.tsx"
import { SortedTable } from "../components/charts/data-table.tsx"
import { Dialog } from "../components/controls/dialog.tsx"
import { SearchField } from "../components/controls/search-field.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Value } from "../components/controls/value.tsx"
import { Loaded } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { isolate } from "../state/bidi.ts"
import type { Filter } from "../state/filters.ts"
import { useQuery } from "../state/use-query.ts"
import type { PropertyKind } from "./property-kind.ts"

/** Maximum number of values to list. The others can be found with the search field. */
const maxValues = 200

interface AllValuesProps {
  event: string
  kind: PropertyKind
  /** Selects the events. */
  filters: readonly Filter[]
  onClose: () => void
}

/** A searchable dialog with a property's values, most frequent first. */
export function AllValues({ event, kind, filters, onClose }: AllValuesProps) {
  const format = useFormat()
  const [search, setSearch] = useState("")
  const { property_key: key, total_count: total, cardinality } = kind
  const field = `property.${key}`
  const keyFilter = [{ field: "property_key", op: "eq", value: key }]
  const query = useQuery(
    [
      {
        name: "custom_event_properties",
        id: "values",
        filters:
          search === "" ? keyFilter : [...keyFilter, { field, op: "contains_any_case", value: search }],
        limit: maxValues,
      },
    ],
    { filters: [...filters] },
  )
  const rows = query.rows<{ property_value: string; count: number }>("values")
  const max = Math.max(...rows.map(({ count }) => count), 1)
  const isTruncated = search === "" ? rows.length < cardinality : rows.length === maxValues
  const share = (count: number) => (total === 0 ? 0 : (100 * count) / total)
  return (
    <Dialog title={`Values of ${isolate(key)}`} onClose={onClose}>
      <div class="event-values-head">
        <SearchField label="Search values" value={search} onSearch={setSearch} autofocus />
        <CardMenu
          file={`${event}, values of ${key}`}
          columns={["value", "events", "share in percent"]}
          rows={rows.map(({ property_value, count }) => [property_value, count, share(count).toFixed(2)])}
        />
      </div>
      <Loaded query={query} id="values" height={420}>
        {() => (
          <div class="event-values">
            {rows.length === 0 ? (
              <Empty title={`No values contain “${search}”`} />
            ) : (
              <SortedTable
                name={`Values of ${isolate(key)}`}
                columns={["Value", "Events", "Share"]}
                numeric={[false, true, true]}
                bars={rows.map(({ count }) => count / max)}
                keys={rows.map(({ property_value }) => property_value)}
                values={rows.map(({ property_value, count }) => [property_value, count, count])}
                rows={rows.map(({ property_value, count }) => [
                  <Value key="value" field={field} value={property_value} onSelect={onClose} />,
                  format.count(count),
                  format.rate(share(count)),
                ])}
              />
            )}
            {isTruncated && rows.length > 0 && (
              <p class="muted">
                Showing the {format.count(rows.length)} most frequent values. Search to find others.
              </p>
            )}
          </div>
        )}
      </Loaded>
      <div class="dialog-actions">
        <button type="button" class="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  )
}

import { useState } from "preact/hooks"
import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { Dialog } from "../components/controls/dialog.tsx"
import { SearchField } from "../components/controls/search-field.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import type { Filter } from "../state/filters.ts"
import { useQuery } from "../state/use-query.ts"
import type { Kind } from "./kind.ts"
import { Value } from "./value.tsx"

/** Values that are listed; further ones are found by searching. */
const listedValues = 200

interface AllValuesProps {
  event: string
  kind: Kind
  /** Which events it is about. */
  filters: readonly Filter[]
  onClose: () => void
}

/** The values of a property, the most frequent first, and a search for the others. */
export function AllValues({ event, kind, filters, onClose }: AllValuesProps) {
  const format = useFormat()
  const [search, setSearch] = useState("")
  const { property_key: key, total_count: total, cardinality } = kind
  const field = `property.${key}`
  const ofKey = [{ field: "property_key", op: "eq", value: key }]
  const answered = useQuery(
    [
      {
        name: "custom_event_properties",
        id: "values",
        filters: search === "" ? ofKey : [...ofKey, { field, op: "contains", value: search }],
        limit: listedValues,
      },
    ],
    { filters: [...filters] },
  )
  const rows = answered.rows<{ property_value: string; count: number }>("values")
  const most = Math.max(...rows.map(({ count }) => count), 1)
  const isCut = search === "" ? rows.length < cardinality : rows.length === listedValues
  const share = (count: number) => (total === 0 ? 0 : (100 * count) / total)
  return (
    <Dialog title={`Values of ${key}`} onClose={onClose}>
      <div class="event-values-head">
        <SearchField label="Search values" value={search} onSearch={setSearch} autofocus />
        <DownloadCsv
          file={`${event}, values of ${key}`}
          columns={["value", "events", "share in percent"]}
          rows={rows.map(({ property_value, count }) => [property_value, count, share(count).toFixed(2)])}
        />
      </div>
      <Loaded answered={answered} of="values" height={420}>
        {() => (
          <div class="event-values">
            {rows.length === 0 ? (
              <Empty title={`No value contains “${search}”`}>Capital and small letters are told apart.</Empty>
            ) : (
              <DataTable
                name={`Values of ${key}`}
                columns={["Value", "Events", "Share"]}
                numeric={[false, true, true]}
                bars={rows.map(({ count }) => count / most)}
                keys={rows.map(({ property_value }) => property_value)}
                rows={rows.map(({ property_value, count }) => [
                  <Value key="value" field={field} value={property_value} onChosen={onClose} />,
                  format.count(count),
                  format.rate(share(count)),
                ])}
              />
            )}
            {isCut && rows.length > 0 && (
              <p class="muted">The {format.count(rows.length)} most frequent. Search for the others.</p>
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

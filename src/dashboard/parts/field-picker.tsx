import { type Filter, fieldNames } from "../state/filters.ts"
import { useAnswers } from "../state/use-answers.ts"

/** Fields of the event itself to break down by: an id of a person or session is another value each time. */
const ownFields = ["path", "namespace", "source"]
/** Keys to choose from. */
const mostKeys = 1_000

interface FieldPickerProps {
  label: string
  /** `path` or `property.plan`; undefined: none. */
  field: string | undefined
  /** Keys are of this event alone. */
  event?: string | undefined
  onChange: (field: string | undefined) => void
}

/** Chooses a field or property to break down by, from those that there are. */
export function FieldPicker({ label, field, event, onChange }: FieldPickerProps) {
  const ofEvent: Filter[] = event ? [{ field: "event_name", op: "eq", value: event }] : []
  const keys = useAnswers(
    [{ name: "custom_events_property_cardinality", id: "keys", filters: ofEvent, limit: mostKeys }],
    { filters: [] },
  )
  const known = keys.rows<{ property_key: string }>("keys").map((row) => `property.${row.property_key}`)
  const isOther = field !== undefined && !ownFields.includes(field) && !known.includes(field)
  const properties = [...new Set([...(isOther ? [field] : []), ...known])]
  return (
    <label class="inline-field">
      {label}
      <select value={field ?? ""} onChange={(change) => onChange(change.currentTarget.value || undefined)}>
        <option value="">nothing</option>
        <optgroup label="Fields">
          {ownFields.map((one) => (
            <option key={one} value={one}>
              {fieldNames[one]}
            </option>
          ))}
        </optgroup>
        {properties.length > 0 && (
          <optgroup label="Properties">
            {properties.map((one) => (
              <option key={one} value={one}>
                {one.replace(/^property\./, "")}
              </option>
            ))}
          </optgroup>
        )}
      </select>
    </label>
  )
}

import { useApp } from "../../state/app.ts"
import { type Filter, fieldName, peopleFields } from "../../state/filters.ts"
import { useQuery } from "../../state/use-query.ts"

/** Fields of the event itself. */
const ownFields = ["path", "namespace", "source"]
/** Keys to choose from. */
const mostKeys = 1_000

interface FieldPickerProps {
  label: string
  /** `path` or `property.plan`; undefined: none. */
  field: string | undefined
  /** Keys are of this event alone. */
  event?: string | undefined
  /** Keys, where the page knows them already. */
  keys?: readonly string[]
  /** Ids of people and sessions too: they say something where one event is looked at. */
  withPeople?: boolean
  /** Chosen elsewhere. */
  without?: string | undefined
  onChange: (field: string | undefined) => void
}

/** Chooses a field or property to break down by, from those that there are. */
export function FieldPicker({
  label,
  field,
  event,
  keys,
  withPeople = false,
  without,
  onChange,
}: FieldPickerProps) {
  const { session } = useApp()
  const ofEvent: Filter[] = event ? [{ field: "event_name", op: "eq", value: event }] : []
  const asked = useQuery(
    keys
      ? undefined
      : [{ name: "custom_events_property_cardinality", id: "keys", filters: ofEvent, limit: mostKeys }],
    { filters: [] },
  )
  const found = keys ?? asked.rows<{ property_key: string }>("keys").map((row) => row.property_key)
  const known = found.map((key) => `property.${key}`)
  const hasPeople = withPeople && !session.me.value?.share
  const fields = [...ownFields, ...(hasPeople ? peopleFields : [])]
  const isOther = field !== undefined && !fields.includes(field) && !known.includes(field)
  const properties = [...new Set([...(isOther ? [field] : []), ...known])]
  const optionsOf = (all: readonly string[]) =>
    all
      .filter((one) => one !== without)
      .map((one) => (
        <option key={one} value={one}>
          {fieldName(one)}
        </option>
      ))
  return (
    <label class="inline-field">
      {label}
      <select value={field ?? ""} onChange={(change) => onChange(change.currentTarget.value || undefined)}>
        <option value="">nothing</option>
        <optgroup label="Fields">{optionsOf(fields)}</optgroup>
        {properties.length > 0 && <optgroup label="Properties">{optionsOf(properties)}</optgroup>}
      </select>
    </label>
  )
}

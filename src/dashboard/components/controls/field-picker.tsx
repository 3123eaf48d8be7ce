import { useApp } from "../../state/app.ts"
import { fieldName, peopleFields } from "../../state/filters.ts"
import { usePropertyKeys } from "./property-keys.ts"
import { Select } from "./select.tsx"

/** The event fields that are always offered. */
const ownFields = ["path", "namespace", "source"]

interface FieldPickerProps {
  label: string
  /** For example `path` or `property.plan`; undefined for none. */
  field: string | undefined
  /** Offers only property keys of this event. */
  event?: string | undefined
  /** The property keys, if the page has already loaded them. */
  keys?: readonly string[]
  /** Whether to also offer the IDs of people and sessions, which are useful in a breakdown of a single event. */
  withPeople?: boolean
  /** The field that is selected in another picker, and therefore not offered. */
  excluded?: string | undefined
  onChange: (field: string | undefined) => void
}

/** Selects the field or property of a breakdown. */
export function FieldPicker({
  label,
  field,
  event,
  keys,
  withPeople = false,
  excluded,
  onChange,
}: FieldPickerProps) {
  const { session } = useApp()
  const loaded = usePropertyKeys(event, keys === undefined)
  const propertyFields = (keys ?? loaded.keys).map((key) => `property.${key}`)
  const hasPeople = withPeople && session.canSeePeople
  const fields = [...ownFields, ...(hasPeople ? peopleFields : [])]
  const isOther = field !== undefined && !fields.includes(field) && !propertyFields.includes(field)
  const properties = [...new Set([...(isOther ? [field] : []), ...propertyFields])]
  const optionsOf = (names: readonly string[]) =>
    names.filter((name) => name !== excluded).map((name) => ({ value: name, label: fieldName(name) }))
  return (
    <label class="inline-field">
      {label}
      <Select
        value={field ?? ""}
        options={[
          { value: "", label: "None" },
          { label: "Fields", options: optionsOf(fields) },
          ...(properties.length > 0 ? [{ label: "Properties", options: optionsOf(properties) }] : []),
        ]}
        onChange={(selected) => onChange(selected || undefined)}
      />
    </label>
  )
}

import { useId, useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import {
  type Condition,
  conditionOf,
  conditions,
  defaultCondition,
  eventFilters,
  type Filter,
  fieldNames,
  parseNumber,
  peopleFields,
} from "../../state/filters.ts"
import { useQuery } from "../../state/use-query.ts"
import { Dialog } from "./dialog.tsx"
import { usePropertyKeys } from "./property-keys.ts"
import { Select } from "./select.tsx"

/** Values to suggest; any other can be typed. */
const maxSuggestions = 50

interface FilterEditorProps {
  title: string
  /** Undefined for a new filter. */
  filter?: Filter | undefined
  /** Limits suggestions to this event. */
  event?: string | undefined
  onDone: (filter: Filter) => void
  onClose: () => void
}

/** Creates or edits a filter, with suggestions from the stored events. */
export function FilterEditor({ title, filter, event, onDone, onClose }: FilterEditorProps) {
  const { canSeePeople, canSeeCustomEvents } = useApp().session
  const ownFields = Object.keys(fieldNames).filter((name) => canSeePeople || !peopleFields.includes(name))
  const [typed, setTyped] = useState(filter?.field ?? "")
  const [condition, setCondition] = useState<Condition>(filter ? conditionOf(filter) : defaultCondition)
  const [text, setText] = useState(filter ? [filter.value].flat().join("\n") : "")
  const ids = { fields: useId(), values: useId(), error: useId() }
  const [error, setError] = useState("")
  const { keys: properties, isLoading } = usePropertyKeys(event)
  // A property key is accepted without its prefix, even before the list of keys is loaded.
  const isKey = properties.includes(typed) || (isLoading && typed !== "" && !typed.startsWith("property."))
  const field = !ownFields.includes(typed) && isKey ? `property.${typed}` : typed
  const values = useQuery(canSeeCustomEvents ? valuesQuery(field, ownFields) : undefined, {
    filters: eventFilters(event),
  })
  const fields = [
    ...ownFields.filter((name) => event === undefined || name !== "event_name"),
    ...properties.map((key) => `property.${key}`),
  ]
  const options = values
    .rows<Record<string, string | null>>("values")
    .flatMap((row) => row.property_value ?? row[field] ?? [])
  const { words, takes } = condition
  const apply = () => {
    const built = buildFilter(field, ownFields, condition, text)
    if (typeof built === "string") setError(built)
    else onDone(built)
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        class="form"
        onSubmit={(submit) => {
          submit.preventDefault()
          apply()
        }}
      >
        <label class="field">
          Field or property
          <input
            data-autofocus
            list={ids.fields}
            value={typed}
            required
            placeholder="property.plan"
            autocomplete="off"
            spellcheck={false}
            onInput={(input) => setTyped(input.currentTarget.value)}
          />
        </label>
        <datalist id={ids.fields}>
          {fields.map((name) => (
            <option key={name} value={name}>
              {fieldNames[name]}
            </option>
          ))}
        </datalist>
        <label class="field">
          Condition
          <Select
            value={words}
            options={conditions.map((option) => ({ value: option.words, label: option.words }))}
            onChange={(selected) =>
              setCondition(conditions.find((option) => option.words === selected) ?? condition)
            }
          />
        </label>
        {takes === "list" && (
          <label class="field">
            One value per line
            <textarea
              rows={4}
              value={text}
              spellcheck={false}
              aria-describedby={error ? ids.error : undefined}
              onInput={(input) => setText(input.currentTarget.value)}
            />
          </label>
        )}
        {(takes === "text" || takes === "number") && (
          <label class="field">
            Value
            <input
              list={ids.values}
              inputMode={takes === "number" ? "decimal" : "text"}
              value={text}
              autocomplete="off"
              spellcheck={false}
              aria-describedby={error ? ids.error : undefined}
              onInput={(input) => setText(input.currentTarget.value)}
            />
          </label>
        )}
        <datalist id={ids.values}>
          {options.map((value) => (
            <option key={value} value={value} />
          ))}
        </datalist>
        {error && (
          <p class="form-error" id={ids.error} role="alert">
            {error}
          </p>
        )}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary">
            Apply
          </button>
        </div>
      </form>
    </Dialog>
  )
}

function valuesQuery(field: string, ownFields: readonly string[]) {
  if (/^property\.[^.]+$/.test(field)) {
    const filters = [{ field: "property_key", op: "eq", value: field.slice("property.".length) }]
    return [{ name: "custom_event_properties", id: "values", filters, limit: maxSuggestions }]
  }
  if (!ownFields.includes(field)) return undefined
  return [{ name: "events", id: "values", by: [field], measures: ["events"], limit: maxSuggestions }]
}

/** The filter, or an error message. */
function buildFilter(
  field: string,
  ownFields: readonly string[],
  condition: Condition,
  text: string,
): Filter | string {
  const isKnown = ownFields.includes(field) || /^property\..+/.test(field)
  if (!isKnown) return "Unknown field. Choose one from the list, or enter a property as property.KEY."
  const { op } = condition
  switch (condition.takes) {
    case "boolean":
      return { field, op, value: condition.value }
    case "number": {
      const value = parseNumber(text)
      return value === undefined ? "This condition needs a number, such as 10.5." : { field, op, value }
    }
    case "list": {
      const value = text
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "")
      return value.length === 0 ? "Enter at least one value." : { field, op, value }
    }
    case "text":
      return { field, op, value: text }
  }
}

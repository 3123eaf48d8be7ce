import { useId, useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import {
  type Condition,
  conditionOf,
  conditions,
  type Filter,
  fieldNames,
  firstCondition,
  peopleFields,
  readNumber,
} from "../../state/filters.ts"
import { useQuery } from "../../state/use-query.ts"
import { Dialog } from "./dialog.tsx"

/** Values that are suggested; whoever means another one types it. */
const suggested = 50

interface FilterEditorProps {
  title: string
  /** Undefined: a new one. */
  filter?: Filter | undefined
  /** Suggestions come from this event alone. */
  event?: string | undefined
  onDone: (filter: Filter) => void
  onClose: () => void
}

/** Makes or changes one filter, with what there is as suggestions. */
export function FilterEditor({ title, filter, event, onDone, onClose }: FilterEditorProps) {
  const isShared = useApp().session.me.value?.share != null
  const ownFields = Object.keys(fieldNames).filter((name) => !isShared || !peopleFields.includes(name))
  const [typed, setTyped] = useState(filter?.field ?? "")
  const [condition, setCondition] = useState<Condition>(filter ? conditionOf(filter) : firstCondition)
  const [text, setText] = useState(filter ? [filter.value].flat().join("\n") : "")
  const ids = { fields: useId(), values: useId(), error: useId() }
  const [error, setError] = useState("")
  const ofEvent = event === undefined ? [] : [{ field: "event_name", op: "eq", value: event }]
  const keys = useQuery([{ name: "custom_events_property_cardinality", limit: 1_000 }], {
    filters: ofEvent as Filter[],
  })
  const properties = [
    ...new Set(
      keys
        .rows<{ property_key: string }>("custom_events_property_cardinality")
        .map((row) => row.property_key),
    ),
  ]
  // A key alone says it too.
  // Whoever types a key is not made to wait for the list of them.
  const isKey =
    properties.includes(typed) || (keys.isLoading && typed !== "" && !typed.startsWith("property."))
  const field = !ownFields.includes(typed) && isKey ? `property.${typed}` : typed
  const values = useQuery(valuesOf(field, ownFields), { filters: ofEvent as Filter[] })
  const fields = [
    ...ownFields.filter((name) => event === undefined || name !== "event_name"),
    ...properties.map((key) => `property.${key}`),
  ]
  const options = values
    .rows<Record<string, string | null>>("values")
    .flatMap((row) => row.property_value ?? row[field] ?? [])
  const { words, takes } = condition
  const done = () => {
    const made = filterOf(field, ownFields, condition, text)
    if (typeof made === "string") setError(made)
    else onDone(made)
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        class="form"
        onSubmit={(submit) => {
          submit.preventDefault()
          done()
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
          {fields.map((one) => (
            <option key={one} value={one}>
              {fieldNames[one]}
            </option>
          ))}
        </datalist>
        <label class="field">
          Condition
          <select
            value={words}
            onChange={(change) =>
              setCondition(conditions.find((one) => one.words === change.currentTarget.value) ?? condition)
            }
          >
            {conditions.map((one) => (
              <option key={one.words} value={one.words}>
                {one.words}
              </option>
            ))}
          </select>
        </label>
        {takes === "list" && (
          <label class="field">
            Values, each in a line of its own
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
          {options.map((one) => (
            <option key={one} value={one} />
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

function valuesOf(field: string, ownFields: readonly string[]) {
  if (/^property\.[^.]+$/.test(field)) {
    const filters = [{ field: "property_key", op: "eq", value: field.slice("property.".length) }]
    return [{ name: "custom_event_properties", id: "values", filters, limit: suggested }]
  }
  if (!ownFields.includes(field)) return undefined
  return [{ name: "events", id: "values", by: [field], measures: ["events"], limit: suggested }]
}

/** The filter, or what is wrong with it. */
function filterOf(
  field: string,
  ownFields: readonly string[],
  condition: Condition,
  text: string,
): Filter | string {
  const isKnown = ownFields.includes(field) || /^property\..+/.test(field)
  if (!isKnown) return "Choose a field from the list, or write property. and the property's key."
  const { op } = condition
  switch (condition.takes) {
    case "boolean":
      return { field, op, value: condition.value }
    case "number": {
      const value = readNumber(text)
      return value === undefined
        ? "This condition compares numbers: give one, such as 10.5."
        : { field, op, value }
    }
    case "list": {
      const value = text
        .split("\n")
        .map((one) => one.trim())
        .filter((one) => one !== "")
      return value.length === 0 ? "Give at least one value." : { field, op, value }
    }
    case "text":
      return { field, op, value: text }
  }
}

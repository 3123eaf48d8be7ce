import { useId, useLayoutEffect, useRef, useState } from "preact/hooks"
import { operators } from "../../../query/operators.ts"
import { useApp } from "../../state/app.ts"
import { isolate } from "../../state/bidi.ts"
import {
  type Condition,
  conditionOf,
  conditions,
  defaultCondition,
  type Filter,
  fieldName,
  fieldNames,
  parseNumber,
  peopleFields,
  valueOperatorOf,
  valuesFilter,
} from "../../state/filters.ts"
import { FilterFields } from "./filter-fields.tsx"
import { FilterValues } from "./filter-values.tsx"
import { usePropertyKeys } from "./property-keys.ts"
import { Select } from "./select.tsx"

/** The conditions to offer. "is" takes several values, so "is one of" is not a separate choice. */
const offered = conditions.filter(({ op }) => op !== "in" && op !== "not_in")

interface FilterEditorProps {
  /** Accessible name. */
  title: string
  /** Undefined for a new filter. */
  filter?: Filter | undefined
  /** Lists only the fields and values of this event. */
  event?: string | undefined
  onDone: (filter: Filter) => void
}

/** Creates or edits a filter: first the field, then the condition and values. */
export function FilterEditor({ title, filter, event, onDone }: FilterEditorProps) {
  const { canSeePeople } = useApp().session
  const ownFields = Object.keys(fieldNames).filter(
    (name) =>
      (canSeePeople || !peopleFields.includes(name)) && (event === undefined || name !== "event_name"),
  )
  const { keys: properties, isLoading } = usePropertyKeys(event)
  const [field, setField] = useState(filter?.field ?? "")
  const [isChoosing, setChoosing] = useState(filter === undefined)
  const [condition, setCondition] = useState(() => initialCondition(filter))
  const [selected, setSelected] = useState(() =>
    filter && valueOperatorOf(filter.op) ? [filter.value].flat().map(String) : [],
  )
  const [text, setText] = useState(filter && !valueOperatorOf(filter.op) ? String(filter.value) : "")
  const [error, setError] = useState("")
  const errorId = useId()
  const box = useRef<HTMLDivElement>(null)
  // This is a layout effect, so that keys that are pressed right after selecting a field go to its values.
  useLayoutEffect(() => box.current?.querySelector<HTMLElement>("[data-autofocus]")?.focus(), [isChoosing])
  const choose = (chosen: string) => {
    // The selected values are cleared, because the values of one field rarely occur in another.
    if (chosen !== field) {
      setSelected([])
      setText("")
    }
    setField(chosen)
    setChoosing(false)
  }
  const apply = () => {
    const built = buildFilter(field, condition, selected, text)
    if (typeof built === "string") setError(built)
    else onDone(built)
  }
  return (
    <div class="filter-editor" ref={box} role="dialog" aria-label={title}>
      {isChoosing ? (
        <FilterFields
          ownFields={ownFields}
          properties={properties}
          isLoading={isLoading}
          field={field}
          onSelect={choose}
        />
      ) : (
        <form
          class="filter-form"
          onSubmit={(submit) => {
            submit.preventDefault()
            apply()
          }}
        >
          <div class="filter-head">
            <button
              type="button"
              class="button small"
              aria-label={`Field: ${isolate(fieldName(field))}`}
              onClick={() => setChoosing(true)}
            >
              <span class="combobox-name">{fieldName(field)}</span>
            </button>
            <Select
              label="Condition"
              value={condition.words}
              options={offered.map(({ words }) => ({ value: words, label: words }))}
              onChange={(words) =>
                setCondition(offered.find((option) => option.words === words) ?? condition)
              }
            />
          </div>
          {valueOperatorOf(condition.op) ? (
            <FilterValues
              key={field}
              field={field}
              name={fieldName(field)}
              event={event}
              selected={selected}
              onChange={setSelected}
              text={text}
              onText={setText}
            />
          ) : (
            condition.takes !== "boolean" && (
              <label class="field filter-text">
                Value
                <input
                  data-autofocus
                  inputMode={condition.takes === "number" ? "decimal" : "text"}
                  value={text}
                  autocomplete="off"
                  spellcheck={false}
                  aria-describedby={error ? errorId : undefined}
                  onInput={(input) => setText(input.currentTarget.value)}
                />
                {condition.takes === "text" && (
                  <span class="muted">
                    {operators[condition.op].ignoresCase ? "Case-insensitive" : "Case-sensitive"}
                  </span>
                )}
              </label>
            )
          )}
          {error && (
            <p class="form-error" id={errorId} role="alert">
              {error}
            </p>
          )}
          <div class="filter-foot">
            <span class="muted">{selected.length > 1 && `${selected.length} values`}</span>
            <button
              type="submit"
              class="button small primary"
              data-autofocus={condition.takes === "boolean" ? true : undefined}
            >
              Apply
            </button>
          </div>
        </form>
      )}
    </div>
  )
}

function initialCondition(filter: Filter | undefined): Condition {
  if (!filter) return defaultCondition
  const op = valueOperatorOf(filter.op)
  return offered.find((condition) => condition.op === op) ?? conditionOf(filter)
}

/** Returns the filter, or an error message. `text`: the typed text. */
function buildFilter(
  field: string,
  condition: Condition,
  selected: readonly string[],
  text: string,
): Filter | string {
  const { op } = condition
  const valueOperator = valueOperatorOf(op)
  if (valueOperator) {
    const values = text === "" || selected.includes(text) ? selected : [...selected, text]
    return values.length === 0 ? "Select or enter a value." : valuesFilter(field, valueOperator, values)
  }
  if (condition.takes === "boolean") return { field, op, value: condition.value }
  if (condition.takes !== "number") return { field, op, value: text }
  const value = parseNumber(text)
  return value === undefined ? "This condition needs a number, such as 10.5." : { field, op, value }
}

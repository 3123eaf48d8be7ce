import type { ComponentChildren } from "preact"
import { useId } from "preact/hooks"
import { isolate } from "../../state/bidi.ts"
import { type Filter, filterParam, filterText, parseFilter } from "../../state/filters.ts"
import { type QueryState, useQuery } from "../../state/use-query.ts"
import { Combobox } from "./combobox.tsx"
import { Chips } from "./filter-bar.tsx"
import { Icon } from "./icons.tsx"

/**
 * An event with its own filters, as used in funnels, retention, paths and goals. An empty name stands for any event.
 */
export interface Step {
  name: string
  filters: Filter[]
}

/** Whether the step names an event or has a filter. */
export function isChosen({ name, filters }: Step): boolean {
  return name !== "" || filters.length > 0
}

/** Describes the step, for example “order_paid where plan is pro”. */
export function stepText({ name, filters }: Step): string {
  const event = name === "" ? "Any event" : name
  return filters.length === 0 ? event : `${isolate(event)} where ${filters.map(filterText).join(" and ")}`
}

/**
 * Describes a step of a result, which contains only the step's event name. Omits the filters if `step` has a different
 * name, because the result then belongs to an earlier selection.
 */
export function resultText(eventName: string | null, step: Step | undefined): string {
  const name = eventName ?? ""
  return stepText(step?.name === name ? step : { name, filters: [] })
}

/** A step as written in the URL: the name, or a JSON array with the name and the filters. */
export function stepParam({ name, filters }: Step): string {
  const isPlain = filters.length === 0 && !name.startsWith("[")
  return isPlain ? name : JSON.stringify([name, ...filters.map(filterParam)])
}

export function parseStep(param: string): Step {
  if (!param.startsWith("[")) return { name: param, filters: [] }
  try {
    // Text that starts with a bracket and is valid JSON is an array.
    const [name, ...filters]: unknown[] = JSON.parse(param)
    return { name: String(name), filters: filters.flatMap((filter) => parseFilter(String(filter)) ?? []) }
  } catch {
    return { name: param, filters: [] }
  }
}

/** A step in a query request. */
export function stepBody({ name, filters }: Step): object {
  return { ...(name === "" ? {} : { name }), filters }
}

export interface EventNames extends Pick<QueryState, "isLoading" | "error" | "refetch"> {
  names: string[]
}

/** The API's limit for the number of rows. If there are more names, the most frequent ones are offered. */
const maxNames = 10_000

const namesParameter = {
  name: "events",
  id: "names",
  by: ["event_name"],
  measures: ["events"],
  limit: maxNames,
}

/** The names of the events in the range, most frequent first. Empty if `isNeeded` is false. */
export function useEventNames(isNeeded = true): EventNames {
  const query = useQuery(isNeeded ? [namesParameter] : undefined, { filters: [] })
  const names = query.rows<{ event_name: string }>("names").map((row) => row.event_name)
  const { isLoading, error, refetch } = query
  return { names, isLoading, error, refetch }
}

interface EventPickerProps {
  label: string
  step: Step
  /** Event names to offer. */
  names: readonly string[]
  onChange: (step: Step) => void
  onRemove?: (() => void) | undefined
  /** Additional buttons. */
  children?: ComponentChildren
  /** Whether "any event" is allowed without a filter. */
  isAnyAllowed?: boolean
}

/** Selects an event and its filters. */
export function EventPicker({
  label,
  step,
  names,
  onChange,
  onRemove,
  isAnyAllowed = false,
  children,
}: EventPickerProps) {
  const id = useId()
  const none = isAnyAllowed || step.filters.length > 0 ? "Any event" : undefined
  const all = step.name === "" || names.includes(step.name) ? names : [step.name, ...names]
  return (
    <div class="event-picker">
      <label class="event-picker-label" for={id}>
        {label}
      </label>
      <Combobox
        id={id}
        label={`Events for ${label}`}
        value={step.name}
        options={all}
        none={none}
        placeholder={none ?? "Select an event"}
        onChange={(name) => onChange({ ...step, name })}
      />
      <Chips
        filters={step.filters}
        event={step.name === "" ? undefined : step.name}
        onChange={(filters) => onChange({ ...step, filters: [...filters] })}
      />
      {(children || onRemove) && (
        <div class="event-picker-buttons">
          {children}
          {onRemove && (
            <button
              type="button"
              class="button quiet small icon-only"
              aria-label={`Remove ${label}`}
              onClick={onRemove}
            >
              <Icon name="close" />
            </button>
          )}
        </div>
      )}
    </div>
  )
}

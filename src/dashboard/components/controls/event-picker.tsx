import type { ComponentChildren } from "preact"
import { useId } from "preact/hooks"
import { type Filter, filterParam, filterText, readFilter } from "../../state/filters.ts"
import { type Answered, useQuery } from "../../state/use-query.ts"
import { Combobox } from "./combobox.tsx"
import { Chips } from "./filter-bar.tsx"
import { Icon } from "./icons.tsx"

/** An event with filters of its own, as funnels, retention, paths and goals follow it. name '': any event. */
export interface Step {
  name: string
  filters: Filter[]
}

/** It says what is meant: an event, or what any event must be. */
export function isChosen({ name, filters }: Step): boolean {
  return name !== "" || filters.length > 0
}

/** In words. */
export function stepText({ name, filters }: Step): string {
  const event = name === "" ? "Any event" : name
  return filters.length === 0 ? event : `${event} where ${filters.map(filterText).join(" and ")}`
}

/** As it stands in the address: the name, or a JSON list of the name and the filters. */
export function stepParam({ name, filters }: Step): string {
  const isPlain = filters.length === 0 && !name.startsWith("[")
  return isPlain ? name : JSON.stringify([name, ...filters.map(filterParam)])
}

export function readStep(param: string): Step {
  if (!param.startsWith("[")) return { name: param, filters: [] }
  try {
    const [name, ...filters] = JSON.parse(param) as unknown[]
    return { name: String(name), filters: filters.flatMap((one) => readFilter(String(one)) ?? []) }
  } catch {
    return { name: param, filters: [] }
  }
}

/** As the API takes it. */
export function stepBody({ name, filters }: Step): object {
  return { ...(name === "" ? {} : { name }), filters }
}

export interface EventNames extends Pick<Answered, "isLoading" | "error" | "again"> {
  names: string[]
}

/** As many as the API gives at once; whoever has more of them chooses among the most frequent. */
const mostNames = 10_000

/** The names of the events that there are in the range, the most frequent first. */
export function useEventNames(): EventNames {
  const answered = useQuery(
    [{ name: "events", id: "names", by: ["event_name"], measures: ["events"], limit: mostNames }],
    {
      filters: [],
    },
  )
  const names = answered.rows<{ event_name: string }>("names").map((row) => row.event_name)
  const { isLoading, error, again } = answered
  return { names, isLoading, error, again }
}

interface EventPickerProps {
  label: string
  step: Step
  /** Names to choose from. */
  names: readonly string[]
  onChange: (step: Step) => void
  onRemove?: (() => void) | undefined
  /** Further buttons. */
  children?: ComponentChildren
  /** Any event will do; else only with a filter. */
  isAnyAllowed?: boolean
}

/** Chooses an event from those that there are, and what else it must be. */
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
        label={`Events to choose for ${label}`}
        value={step.name}
        options={all}
        none={none}
        placeholder={none ?? "Choose an event"}
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

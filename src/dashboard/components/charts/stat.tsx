import type { ComponentChildren } from "preact"
import { useApp } from "../../state/app.ts"
import type { Format } from "../../state/format.ts"
import { type LinkedPeople, PeopleLink } from "../people/people-link.tsx"
import { changeOf, changeText } from "./change.ts"
import { Sparkline } from "./sparkline.tsx"

/** Whether higher or lower values of a number are better. */
export type Direction = "higher" | "lower"

/**
 * Returns a function that looks up in the website's settings which direction is better for an event. The function
 * returns undefined if neither is.
 */
export function useDirection(): (event: string) => Direction | undefined {
  const { session, view } = useApp()
  return (event) => (session.isLowerBetter(view.value.website, event) ? "lower" : undefined)
}

interface StatProps {
  label: string
  value: number
  /** The value in the previous period; undefined if nothing is compared. */
  previous?: number | undefined
  values?: readonly number[]
  /** Whether the last value is incomplete. */
  isRunning?: boolean
  format: Format
  /** Whether the value is a percentage. Its change is then shown in percentage points. */
  isRate?: boolean
  /** Which direction is an improvement, such as lower for a bounce rate. If absent, changes are neutral. */
  better?: Direction | undefined
  /** Formats a value that is neither a count nor a percentage. */
  show?: (value: number) => string
  /** Shown below the number. */
  note?: ComponentChildren
  /** The people that the number counts. The number links to them. */
  people?: LinkedPeople
  /** Lets the user click anywhere on the number to show it in the chart below. */
  choice?: { isSelected: boolean; onSelect: () => void }
}

/** A number with its change and a sparkline. */
export function Stat({
  label,
  value,
  previous,
  values,
  isRunning = false,
  format,
  isRate = false,
  better,
  show,
  note,
  people,
  choice,
}: StatProps) {
  const shown = show ?? formatter(format, isRate)
  return (
    <div class="stat">
      <dt>
        {choice ? (
          <button
            type="button"
            class="stat-choice"
            aria-pressed={choice.isSelected}
            onClick={choice.onSelect}
          >
            {label}
          </button>
        ) : (
          label
        )}
      </dt>
      <dd>
        <span class="stat-value">
          {people ? (
            <PeopleLink {...people} count={value}>
              {shown(value)}
            </PeopleLink>
          ) : (
            shown(value)
          )}
        </span>
        {previous !== undefined && (
          <Change
            value={value}
            previous={previous}
            format={format}
            isRate={isRate}
            better={better}
            show={shown}
          />
        )}
        {note && <span class="stat-note">{note}</span>}
        {values && <Sparkline values={values} isRunning={isRunning} />}
      </dd>
    </div>
  )
}

interface ChangeProps {
  value: number
  previous: number
  format: Format
  /** Whether the values are percentages. Their change is then shown in percentage points. */
  isRate?: boolean
  /** The direction shown as an improvement. If absent, both directions are neutral. */
  better?: Direction | undefined
  show?: (value: number) => string
}

/** The change since the previous period, in percent or percentage points. */
export function Change({ value, previous, format, isRate = false, better, show }: ChangeProps) {
  const title = `Previous period: ${(show ?? formatter(format, isRate))(previous)}`
  const change = changeOf(value, previous, isRate)
  if (change === undefined)
    return (
      <span class={`change ${value === 0 ? "same" : colorOf(1, better)}`} title={title}>
        {changeText(value, previous, format, isRate)}
      </span>
    )
  return (
    <span class={`change ${colorOf(change, better)}`} title={title}>
      {changeText(value, previous, format, isRate)}
      <span class="hidden">
        {" "}
        {change > 0 ? "more than" : change < 0 ? "less than" : "change from"} the previous period
      </span>
    </span>
  )
}

function colorOf(change: number, better: Direction | undefined): "same" | "neutral" | "up" | "down" {
  if (change === 0) return "same"
  if (better === undefined) return "neutral"
  return change > 0 === (better === "higher") ? "up" : "down"
}

function formatter(format: Format, isRate: boolean): (value: number) => string {
  return (value) => (isRate ? format.rate(value) : format.count(value))
}

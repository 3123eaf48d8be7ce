import { type Filter, fieldName } from "../../state/filters.ts"
import type { Format } from "../../state/format.ts"
import { granularities, hasBucket, type Range } from "../../state/range.ts"
import { parseStep, type Step, stepBody, stepParam, stepText } from "../controls/event-picker.tsx"
import { parseUnit, type Unit, unitParam, unitTitle } from "../controls/unit.tsx"

/** The kinds of events whose charts link to people. */
const eventWords = { custom: "an event", page_view: "a page view", error: "an error" } as const

export type ChartKind = keyof typeof eventWords

/** The people behind a number in a report, as encoded in the URL of the people page. */
export type Selection =
  | {
      /**
       * The people who reached a funnel step, or who got no further than that step. A goal is a funnel with one step.
       */
      type: "reached" | "dropped"
      /** The step's number, starting at 1. */
      step: number
      steps: readonly Step[]
      window: string | undefined
      unit: Unit
      /** Limits the people to one value of a breakdown. */
      breakdown: { by: string; value: string | null } | undefined
      /** The name of the saved funnel. */
      name: string | undefined
    }
  | {
      type: "cohort"
      /** The cohort's `date`. */
      date: string
      /** Limits the people to those who returned this many periods later. */
      period: number | undefined
      granularity: string
      steps: readonly Step[]
      unit: Unit
    }
  | {
      /** The people with an event of this kind. */
      type: "events"
      kind: ChartKind
    }

/** The URL parameters of a selection, which are removed together. */
const paramNames = ["of", "step", "window", "unit", "split", "value", "named", "by"] as const

type Params = Partial<Record<(typeof paramNames)[number], string | string[]>>

export const noSelection: Record<string, undefined> = Object.fromEntries(
  [...paramNames, "page"].map((name) => [name, undefined]),
)

/**
 * Returns the URL parameters of a selection. `of` holds the type of the selection, followed by the kind of event, the
 * step, or the cohort's date and period.
 */
export function selectionParams(selection: Selection): Params {
  if (selection.type === "events") return { of: `events~${selection.kind}` }
  const unit = unitParam(selection.unit.value)
  const common = { step: selection.steps.map(stepParam), ...(unit === undefined ? {} : { unit }) }
  if (selection.type === "cohort") {
    const { date, period, granularity } = selection
    return {
      ...common,
      of: ["cohort", date, ...(period === undefined ? [] : [period])].join("~"),
      by: granularity,
    }
  }
  const { type, step, window, breakdown, name } = selection
  return {
    ...common,
    of: `${type}~${step}`,
    ...(window === undefined ? {} : { window }),
    ...(breakdown ? { split: breakdown.by } : {}),
    ...(breakdown && breakdown.value !== null ? { value: breakdown.value } : {}),
    ...(name === undefined ? {} : { named: name }),
  }
}

/** Parses the selection in the URL. Returns undefined if there is none, or if its type or kind of event is unknown. */
export function parseSelection(params: URLSearchParams): Selection | undefined {
  const [type, first = "", second] = (params.get("of") ?? "").split("~")
  const steps = params.getAll("step").map(parseStep)
  const unit = parseUnit(params)
  switch (type) {
    case "events":
      return Object.hasOwn(eventWords, first)
        ? // The type assertion is needed because `hasOwn` does not narrow `first`.
          { type, kind: first as ChartKind }
        : undefined
    case "cohort":
      return {
        type,
        date: first,
        period: second === undefined ? undefined : Number(second),
        granularity: params.get("by") ?? "weekly",
        steps,
        unit,
      }
    case "reached":
    case "dropped": {
      const by = params.get("split")
      return {
        type,
        step: Number(first),
        steps,
        window: params.get("window") ?? undefined,
        unit,
        breakdown: by === null ? undefined : { by, value: params.get("value") },
        name: params.get("named") ?? undefined,
      }
    }
    default:
      return undefined
  }
}

/** Options for the query types `people` and `sessions`. */
export function selectionOptions(selection: Selection): Record<string, unknown> {
  if (selection.type === "events") return { kinds: [selection.kind] }
  const { steps, unit } = selection
  const common = {
    ...(steps.length > 0 ? { steps: steps.map(stepBody) } : {}),
    ...(unit.value === "session" ? {} : { unit: unit.value }),
  }
  if (selection.type === "cohort") {
    const { date, period, granularity } = selection
    return { ...common, granularity, cohort: date, ...(period === undefined ? {} : { period }) }
  }
  const { type, step, window, breakdown } = selection
  return {
    ...common,
    [type === "reached" ? "reached" : "droppedAfter"]: step,
    ...(window === undefined ? {} : { window }),
    ...(breakdown ? { by: [breakdown.by], value: breakdown.value } : {}),
  }
}

/** The unit that each row in the list of people stands for. */
export function selectedUnit(selection: Selection | undefined): Unit {
  return !selection || selection.type === "events" ? parseUnit(new URLSearchParams()) : selection.unit
}

/** Returns false if the selection is a cohort from outside the range, because the API rejects such a query. */
export function isInRange(selection: Selection, range: Range): boolean {
  return (
    selection.type !== "cohort" ||
    hasBucket(range, selection.date, granularityOf(selection.granularity)?.value ?? "daily")
  )
}

/** Describes the selection, for example “Visitors who reached step 2 (checkout) of Purchase”. */
export function selectionText(selection: Selection, format: Format): string {
  const people = unitTitle(selectedUnit(selection))
  if (selection.type === "events") return `${people} with ${eventWords[selection.kind]}`
  if (selection.type === "cohort") return `${people} ${cohortText(selection, format)}`
  const { type, step, steps, breakdown, name } = selection
  const event = stepText(steps[step - 1] ?? anyEvent)
  const only = breakdown ? ` with ${fieldName(breakdown.by)} ${breakdown.value ?? "(none)"}` : ""
  if (steps.length === 1) return `${people}${only} who completed the goal ${event}`
  const funnel = name ?? `the funnel ${steps.map(stepText).join(" → ")}`
  const what = type === "reached" ? "reached step" : "dropped off after step"
  return `${people}${only} who ${what} ${step} (${event}) of ${funnel}`
}

const anyEvent: Step = { name: "", filters: [] }

function granularityOf(name: string) {
  return granularities.find(({ value }) => value === name)
}

function cohortText(
  { date, period, granularity, steps }: Extract<Selection, { type: "cohort" }>,
  format: Format,
): string {
  const one = granularityOf(granularity)?.one ?? "period"
  const [first = anyEvent, returning = first] = steps
  const start = stepText(first) === stepText(anyEvent) ? "event" : stepText(first)
  const when = format.bucket(date, granularity)
  const whenText =
    granularity === "weekly"
      ? `in the ${when.replace(/^W/, "w")}`
      : `${granularity === "monthly" ? "in" : "on"} ${when}`
  const cohort = `whose first ${start} was ${whenText}`
  if (period === undefined) return cohort
  const back =
    stepText(returning) === stepText(anyEvent) ? "who returned" : `who returned with ${stepText(returning)}`
  const later = period === 0 ? `in the same ${one}` : `${period} ${one}${period === 1 ? "" : "s"} later`
  return `${cohort}, and ${back} ${later}`
}

/** Returns the selection of all people with an event of the given kind. */
export function peopleOf(kind: ChartKind): Selection {
  return { type: "events", kind }
}

/** The people that a chart's date menu links to. The menu limits them to the date that was clicked. */
export interface ChartPeople {
  selection: Selection
  filters?: readonly Filter[]
}

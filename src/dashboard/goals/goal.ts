import { parseStep, type Step, stepParam } from "../components/controls/event-picker.tsx"
import { parseUnit, type Unit, unitParam } from "../components/controls/unit.tsx"

/** The event of a conversion, and the unit that its conversion rate counts. */
export interface Goal {
  step: Step
  unit: Unit
}

/** A row of the query type `goals`; `date` is set in a time series. */
export interface GoalRow {
  goal: string | null
  date?: string
  completions: number
  converted: number
  total: number
  /** Percent. */
  conversion_rate: number
  previous?: Omit<GoalRow, "goal" | "date" | "previous"> | null
}

/** The path that is saved. It omits the page's filters: all goals in a list apply to the same events. */
export function goalPath({ step, unit }: Goal): string {
  const params = new URLSearchParams({ step: stepParam(step) })
  const name = unitParam(unit.value)
  if (name !== undefined) params.set("unit", name)
  return `goals?${params}`
}

/** Parses a saved path; undefined if it names no event. */
export function readGoal(path: string): Goal | undefined {
  const params = new URLSearchParams(path.split("?", 2)[1])
  const step = params.get("step")
  return step === null ? undefined : { step: parseStep(step), unit: parseUnit(params) }
}

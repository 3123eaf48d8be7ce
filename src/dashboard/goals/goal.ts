import { parseStep, type Step, stepParam } from "../components/controls/event-picker.tsx"
import { parseUnit, type Unit, unitParam } from "../components/controls/unit.tsx"

/** The event that counts as a conversion, and the unit of its conversion rate. */
export interface Goal {
  step: Step
  unit: Unit
}

/** A row of the query type `goals`. `date` is set only in a time series. */
export interface GoalRow {
  goal: string | null
  date?: string
  completions: number
  converted: number
  total: number
  /** In percent. */
  conversion_rate: number
  previous?: Omit<GoalRow, "goal" | "date" | "previous"> | null
}

/** Returns the path to save for a goal. It has no filters, because the page's filters apply to all saved goals. */
export function goalPath({ step, unit }: Goal): string {
  const params = new URLSearchParams({ step: stepParam(step) })
  const name = unitParam(unit.value)
  if (name !== undefined) params.set("unit", name)
  return `goals?${params}`
}

/** Parses the path of a saved goal. Returns undefined if it contains no event. */
export function readGoal(path: string): Goal | undefined {
  const params = new URLSearchParams(path.split("?", 2)[1])
  const step = params.get("step")
  return step === null ? undefined : { step: parseStep(step), unit: parseUnit(params) }
}

import { readStep, type Step, stepParam } from "../components/controls/event-picker.tsx"
import { readUnit, type Unit, unitParam } from "../components/controls/unit.tsx"

/** An event that somebody wants to happen, and of whom its rate is. */
export interface Goal {
  step: Step
  unit: Unit
}

/** A row of the type `goals`; `date` where it was asked for over time. */
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

/** As it is saved: filters of the page are not a part of a goal, for those of a list are all about the same events. */
export function goalPath({ step, unit }: Goal): string {
  const params = new URLSearchParams({ step: stepParam(step) })
  const name = unitParam(unit.value)
  if (name !== undefined) params.set("unit", name)
  return `goals?${params}`
}

/** What was saved; undefined where the path names no event. */
export function goalOf(path: string): Goal | undefined {
  const params = new URLSearchParams(path.split("?", 2)[1])
  const step = params.get("step")
  return step === null ? undefined : { step: readStep(step), unit: readUnit(params) }
}

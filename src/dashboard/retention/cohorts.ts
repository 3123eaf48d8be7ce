import type { View } from "../state/app.ts"
import { lastDayOf } from "../state/range.ts"
import type { Period } from "./periods.ts"

/** A row of the query type `retention`. */
export interface Row {
  date: string
  people: number
  period: number
  returned: number
  /** As a percentage of `people`. */
  percentage: number
}

/** The people whose first event was in the same period. */
export interface Cohort {
  date: string
  people: number
  cells: Cell[]
}

interface Cell {
  returned: number
  percentage: number
  /** Whether the period has ended, and its last day is within the range. */
  isComplete: boolean
}

/** The value of a cell, or the average of a column. */
export interface CellValue {
  returned: number
  percentage: number
}

/** Groups the rows by cohort. The rows of a cohort are adjacent and in chronological order. */
export function cohortsOf(
  rows: readonly Row[],
  { value: granularity }: Period,
  { range, today }: View,
): Cohort[] {
  const dates = rows.filter(({ period }) => period === 0).map(({ date }) => date)
  const isComplete = dates.map((date) => hasEnded(lastDayOf(date, granularity), range.to, today))
  const cohorts: Cohort[] = []
  for (const { date, people, period: offset, returned, percentage } of rows) {
    if (offset === 0) cohorts.push({ date, people, cells: [] })
    cohorts.at(-1)?.cells.push({
      returned,
      percentage,
      isComplete: isComplete[cohorts.length - 1 + offset] ?? false,
    })
  }
  return cohorts
}

function hasEnded(lastDay: string, to: string, today: string): boolean {
  return lastDay < today && lastDay <= to
}

/**
 * Returns the largest percentage in the table, or 1 if all are smaller. This percentage gets the darkest shade. The
 * first period is ignored, because its percentage is usually close to 100.
 */
export function maxPercentage(cohorts: readonly Cohort[]): number {
  const percentages = cohorts.flatMap(({ cells }) => cells.slice(1).map(({ percentage }) => percentage))
  return percentages.reduce((max, percentage) => Math.max(max, percentage), 1)
}

/**
 * Returns the average of a column over the cohorts for which its period is complete, or undefined if there are none.
 * The percentage is weighted by the number of people.
 */
export function averageOf(cohorts: readonly Cohort[], offset: number): CellValue | undefined {
  const complete = cohorts.filter(({ people, cells }) => people > 0 && cells[offset]?.isComplete)
  const people = complete.reduce((sum, cohort) => sum + cohort.people, 0)
  const returned = complete.reduce((sum, { cells }) => sum + (cells[offset]?.returned ?? 0), 0)
  return people === 0
    ? undefined
    : { returned: returned / complete.length, percentage: (100 * returned) / people }
}

/** Returns the average number of people per cohort. */
export function averageSize(cohorts: readonly Cohort[]): number {
  return cohorts.reduce((sum, { people }) => sum + people, 0) / cohorts.length
}

import { Change } from "../components/charts/stat.tsx"
import type { Format } from "../state/format.ts"
import type { GoalRow } from "./goal.ts"

/**
 * Returns the change in a conversion rate, in percentage points, for sorting. Returns -Infinity if the previous period
 * has no events, so that such rows are sorted below all others.
 */
export function rateChange(row: GoalRow | undefined): number {
  return row?.previous?.total ? row.conversion_rate - row.previous.conversion_rate : Number.NEGATIVE_INFINITY
}

/** Shows the change in a conversion rate, or a dash if the previous period has no events. */
export function RateChange({ row, format }: { row: GoalRow | undefined; format: Format }) {
  if (!row?.previous?.total) return <span class="muted">–</span>
  return (
    <Change
      value={row.conversion_rate}
      previous={row.previous.conversion_rate}
      format={format}
      isRate
      better="higher"
    />
  )
}

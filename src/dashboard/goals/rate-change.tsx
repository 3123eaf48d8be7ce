import { Change } from "../components/charts/stat.tsx"
import type { Format } from "../state/format.ts"
import type { GoalRow } from "./goal.ts"

/** The change of a goal's rate; nobody could have had it where there was nobody. */
export function RateChange({ row, format }: { row: GoalRow | undefined; format: Format }) {
  if (!row?.previous?.total) return <span class="muted">–</span>
  return <Change value={row.conversion_rate} before={row.previous.conversion_rate} format={format} isRate />
}

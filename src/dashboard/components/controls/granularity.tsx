import { useApp } from "../../state/app.ts"
import {
  type Granularity,
  granularities,
  possibleGranularities,
  progressOf,
  standardGranularity,
} from "../../state/range.ts"
import { Segmented } from "./segmented.tsx"

/** How long one step of a chart is: what the address says, where the range allows it. */
export function useGranularity(): Granularity {
  const { place, view } = useApp()
  const { range } = view.value
  const asked = place.spot.value.params.get("by")
  return possibleGranularities(range).find((one) => one === asked) ?? standardGranularity(range)
}

/** How far the time is in the dates of a chart. */
export function useProgress(dates: readonly string[]) {
  const { view, now } = useApp()
  const granularity = useGranularity()
  return progressOf(dates, granularity, view.value.today, now())
}

/** Chooses among those that the range allows. */
export function GranularitySwitch() {
  const { place, view } = useApp()
  const possible = possibleGranularities(view.value.range)
  return (
    <Segmented
      legend="Each step of the chart is"
      options={granularities.filter(({ value }) => possible.includes(value))}
      value={useGranularity()}
      onChange={(by) => place.set({ by }, "replace")}
    />
  )
}

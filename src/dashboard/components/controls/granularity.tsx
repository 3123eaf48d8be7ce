import { useApp } from "../../state/app.ts"
import {
  availableGranularities,
  defaultGranularity,
  type Granularity,
  granularities,
  progressOf,
} from "../../state/range.ts"
import { Segmented } from "./segmented.tsx"

/** The chart's bucket size: the one in the URL if the range allows it, or the default. */
export function useGranularity(): Granularity {
  const { router, view } = useApp()
  const { range } = view.value
  const chosen = router.location.value.params.get("by")
  return availableGranularities(range).find((value) => value === chosen) ?? defaultGranularity(range)
}

/** Number of a chart's buckets that have started, and whether the last of them is incomplete. */
export function useProgress(dates: readonly string[]) {
  const { view, now } = useApp()
  const granularity = useGranularity()
  return progressOf(dates, granularity, view.value.today, now())
}

/** Selects one of the granularities available for the range. */
export function GranularitySwitch() {
  const { router, view } = useApp()
  const possible = availableGranularities(view.value.range)
  return (
    <Segmented
      legend="Granularity"
      options={granularities.filter(({ value }) => possible.includes(value))}
      value={useGranularity()}
      onChange={(by) => router.setParams({ by }, "replace")}
    />
  )
}

import { useApp } from "../../state/app.ts"

/** The entry of a list of headline numbers that the chart shows: from the URL (`show`), or the default. */
export function useMetric<Item extends { value: string }>(
  items: readonly Item[],
  initial: NoInfer<Item>,
): { metric: Item; choiceOf: (item: Item) => { isSelected: boolean; onSelect: () => void } } {
  const { router } = useApp()
  const name = router.location.value.params.get("show")
  const metric = items.find(({ value }) => value === name) ?? initial
  return {
    metric,
    choiceOf: (item) => ({
      isSelected: item === metric,
      onSelect: () => router.setParams({ show: item === initial ? undefined : item.value }, "replace"),
    }),
  }
}

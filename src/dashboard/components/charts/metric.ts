import { useApp } from "../../state/app.ts"

/** Returns the headline number to plot: the one named in the URL parameter `show`, or the default. */
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

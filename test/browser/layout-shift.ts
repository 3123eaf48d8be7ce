import type { Page } from "playwright-core"

/** Limit of the cumulative layout shift; browsers rate 0.1 as good. */
export const maxShift = 0.02

/** The cumulative layout shift of the page so far. */
export async function shiftOf(page: Page): Promise<number> {
  return page.evaluate(async () => {
    const entries = await new Promise<PerformanceEntry[]>((resolve) => {
      new PerformanceObserver((list) => resolve(list.getEntries())).observe({
        type: "layout-shift",
        buffered: true,
      })
      // Without a shift, the observer is never called.
      setTimeout(() => resolve([]), 50)
    })
    // Entries of this type have a value. The DOM library does not declare it.
    return entries.reduce((sum, entry) => sum + (entry as PerformanceEntry & { value: number }).value, 0)
  })
}

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, whole } from "./browser.ts"
import { pages } from "./pages.ts"

/** ms for a page in three looks, each read by axe, on a machine that is busy with other tests. */
const timeout = 60_000

/** How much of a page jumped while it loaded, as browsers score it: a tenth is what is called good. */
const mostShift = 0.02

/** What a page is turned into, one after the other: a visit is the slowest part of a test. */
const looks: [name: string, turn: (page: Page, ready: string) => Promise<void>][] = [
  ["light", (page) => page.emulateMedia({ colorScheme: "light" })],
  ["dark", (page) => page.emulateMedia({ colorScheme: "dark" })],
  [
    "phone",
    async (page, ready) => {
      await page.setViewportSize({ width: 360, height: 740 })
      // What is narrow jumps in its own way while it loads.
      await page.reload()
      await whole(page, ready)
    },
  ],
]

describe.skipIf(noBrowser)(`every page${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard()
  })
  afterAll(async () => {
    await dashboard?.[Symbol.asyncDispose]()
  })

  test.each(pages)(
    "$name is whole, jumps nowhere in any font, says no error, fits a phone, and axe finds nothing, light and dark",
    async ({ path, ready }) => {
      const { page, faults } = await dashboard.open(path)
      await whole(page, ready)
      expect(await shiftOf(page)).toBeLessThan(mostShift)
      const found: Record<string, string[]> = {}
      for (const [name, turn] of looks) {
        await turn(page, ready)
        found[name] = await violations(page)
      }
      expect(found).toEqual({ light: [], dark: [], phone: [] })
      expect(await shiftOf(page)).toBeLessThan(mostShift)
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      expect(overflow).toBeLessThanOrEqual(0)
      expect(await hiddenInControls(page)).toEqual([])
      await useFont(page, "monospace")
      await page.reload()
      await whole(page, ready)
      expect(await shiftOf(page)).toBeLessThan(mostShift)
      expect(faults).toEqual([])
      await page.context().close()
    },
    timeout,
  )
})

/** Serves the page's style sheets with another font from now on. Every system has the generic families. */
async function useFont(page: Page, family: string): Promise<void> {
  await page.route("**/*.css", async (route) => {
    const response = await route.fetch()
    await route.fulfill({
      response,
      body: `${await response.text()}\nhtml { font-family: ${family} !important; }`,
    })
  })
}

/**
 * Links and buttons that contain visually hidden text. Its 1 px box is the first box of an inline link, where automation and
 * assistive technology click, and with most fonts it lies above the text: such a control needs an aria-label instead.
 */
async function hiddenInControls(page: Page): Promise<string[]> {
  return page.locator("a, button").evaluateAll((controls) =>
    controls
      .filter((control) =>
        [...control.querySelectorAll("*")].some((inner) => {
          const { width, height } = inner.getBoundingClientRect()
          return inner.textContent !== "" && width === 1 && height === 1
        }),
      )
      .map((control) => control.outerHTML),
  )
}

async function shiftOf(page: Page): Promise<number> {
  return page.evaluate(async () => {
    const entries = await new Promise<PerformanceEntry[]>((resolve) => {
      new PerformanceObserver((list) => resolve(list.getEntries())).observe({
        type: "layout-shift",
        buffered: true,
      })
      // It says nothing where nothing shifted.
      setTimeout(() => resolve([]), 50)
    })
    return entries.reduce((sum, entry) => sum + (entry as PerformanceEntry & { value: number }).value, 0)
  })
}

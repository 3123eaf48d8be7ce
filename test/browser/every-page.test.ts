import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { BrowserContextOptions } from "playwright-core"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, whole } from "./browser.ts"
import { pages } from "./pages.ts"

const looks: [string, BrowserContextOptions][] = [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["a phone's size", { viewport: { width: 360, height: 740 } }],
]

describe.skipIf(noBrowser)(`every page${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard()
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  describe.each(looks)("in %s", (_, look) => {
    test.each(pages)(
      "$name: is whole, fits, says no error, and axe finds nothing",
      async ({ path, ready }) => {
        const { page, faults } = await dashboard.open(path, look)
        await whole(page, ready)
        expect(await violations(page)).toEqual([])
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        expect(overflow).toBeLessThanOrEqual(0)
        expect(faults).toEqual([])
        await page.context().close()
      },
    )
  })
})

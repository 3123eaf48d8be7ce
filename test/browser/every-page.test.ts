import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { violations } from "./axe.ts"
import { createBoard } from "./board.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, type Tab, waitForPage } from "./browser.ts"
import { maxShift, shiftOf } from "./layout-shift.ts"
import { sendQuality } from "./page-quality.ts"
import { pages } from "./pages.ts"

/** ms for a page in three looks, each checked by axe, while other tests run. */
const timeout = 60_000

/**
 * Looks that are checked without reloading, because loading a page and axe is slow. This works because only style
 * sheets depend on the width of the window.
 */
const looks: [name: string, rules: "all" | "color", turn: (page: Page) => Promise<void>][] = [
  ["light", "all", (page) => page.emulateMedia({ colorScheme: "light" })],
  ["dark", "color", (page) => page.emulateMedia({ colorScheme: "dark" })],
  ["phone", "all", (page) => page.setViewportSize({ width: 360, height: 740 })],
]

describe.skipIf(noBrowser)(`every page${skipped}`, () => {
  let dashboard: Dashboard
  let board: string
  /** A tab with a narrow window and another font. */
  let phone: Tab
  beforeAll(async () => {
    dashboard = await openDashboard({ pageViews: true })
    await sendQuality(dashboard.server.url, dashboard.site, 30)
    board = await createBoard(dashboard)
    phone = await dashboard.open("about:blank", { viewport: { width: 360, height: 740 } })
    await useFont(phone.page, "monospace")
  })
  afterAll(async () => {
    await dashboard?.[Symbol.asyncDispose]()
  })

  test.each(pages)(
    "$name loads without errors or layout shifts, fits a phone, and has no axe violations in light and dark",
    async ({ name: pageName, path, ready }) => {
      const { page, faults } = await dashboard.open("about:blank")
      await loadUncached(page, path.replace("SITE", dashboard.site).replace("BOARD", board))
      await waitForPage(page, ready)
      expect(await shiftOf(page)).toBeLessThan(maxShift)
      const found: Record<string, string[]> = {}
      for (const [name, rules, turn] of looks) {
        await turn(page)
        found[name] = await violations(page, rules)
      }
      expect(found).toEqual({ light: [], dark: [], phone: [] })
      // A narrow layout can shift in other ways, and so can one with another font.
      await page.reload()
      await waitForPage(page, ready)
      expect(await shiftOf(page)).toBeLessThan(maxShift)
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      expect(overflow).toBeLessThanOrEqual(0)
      expect(await hiddenInControls(page)).toEqual([])
      expect(await coveredByPins(page)).toEqual([])
      await phone.page.goto(page.url())
      await waitForPage(phone.page, ready)
      expect(await shiftOf(phone.page)).toBeLessThan(maxShift)
      // An unknown page has the status 404, which the browser logs.
      const isLogged = (fault: string) => pageName === "nowhere" && /status of 404/.test(fault)
      expect([...faults, ...phone.faults.splice(0)].filter((fault) => !isLogged(fault))).toEqual([])
      await dashboard.close(page)
    },
    timeout,
  )

  const charted = pages.filter(({ name }) => ["web", "overview", "event", "errors"].includes(name))
  test.each(charted)(
    "$name shows its first chart on the first screen of a phone",
    async ({ path, ready }) => {
      const viewport = { width: 390, height: 844 }
      const { page } = await dashboard.open(path.replace("&split=property.plan", ""), { viewport })
      await waitForPage(page, ready)
      const chart = await page.locator(".chart-canvas").first().boundingBox()
      expect((chart?.y ?? Number.NaN) + (chart?.height ?? 0)).toBeLessThanOrEqual(viewport.height)
      await page.context().close()
    },
  )

  test("filters and range stay in place while a page scrolls", async () => {
    const { page } = await dashboard.open("/w/SITE/overview?f=exists:path:true")
    await waitForPage(page, "page_viewed")
    await page.evaluate(() => scrollTo(0, 600))
    for (const name of ["Edit filter Path is set", "Range: Last 30 days"]) {
      const box = await page.getByRole("button", { name }).boundingBox()
      expect(box?.y).toBeGreaterThanOrEqual(0)
      expect(box?.y).toBeLessThan(60)
    }
    await page.context().close()
  })
})

/**
 * Loads a page like a first visit. Later loads have all files at once, so no layout shift occurs when the font arrives.
 */
async function loadUncached(page: Page, path: string): Promise<void> {
  const session = await page.context().newCDPSession(page)
  await session.send("Network.enable")
  await session.send("Network.setCacheDisabled", { cacheDisabled: true })
  await page.goto(path)
  await session.detach()
}

/** Overrides the font of the page's style sheets from the next load on. Every system has the generic font families. */
async function useFont(page: Page, family: string): Promise<void> {
  await page.addInitScript((family) => {
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(`html { font-family: ${family} !important; }`)
    document.adoptedStyleSheets = [sheet]
  }, family)
}

/**
 * Finds links and buttons that contain visually hidden text. Its 1 px box is the first box of an inline link, which is
 * where automation and assistive technology click. With most fonts, this box lies above the text. Such a control needs
 * an aria-label instead.
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

/** Finds controls of a panel that are covered by the panel's pin. */
async function coveredByPins(page: Page): Promise<string[]> {
  return page.locator(".panel-head .pin").evaluateAll((pins) =>
    pins.flatMap((pin) => {
      const box = pin.getBoundingClientRect()
      const others = [...(pin.closest(".panel-head")?.querySelectorAll("button, a, input") ?? [])]
      return others
        .filter((other) => !pin.contains(other) && !other.contains(pin))
        .filter((other) => {
          const { left, right, top, bottom } = other.getBoundingClientRect()
          return left < box.right && right > box.left && top < box.bottom && bottom > box.top
        })
        .map((other) => other.outerHTML)
    }),
  )
}

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { BrowserContextOptions, Locator } from "playwright-core"
import { eventuallyPasses } from "../harness.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForQueries } from "./browser.ts"
import { cellsOf, dayAgo, numberOf, positionOf } from "./helpers.ts"

describe.skipIf(noBrowser)(`chart tooltips${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard()
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const openChart = async (path: string, name: string, options: BrowserContextOptions = {}) => {
    const { page, faults } = await dashboard.open(path, options)
    const chart = page.getByRole("figure", { name })
    await chart.locator(".u-over").waitFor()
    await waitForQueries(page)
    await chart.scrollIntoViewIfNeeded()
    return { page, faults, chart, tip: chart.locator(".chart-tip") }
  }

  test("a stack shows its total, then its parts from top to bottom", async () => {
    const { page, chart, tip, faults } = await openChart(
      "/w/SITE/overview?period=last_7d&stack=event",
      "Events over time",
    )
    const names = await chart.locator(".legend li:not(.previous)").allTextContents()
    const cells = (await cellsOf(chart.getByRole("table")))[2] ?? []
    await chart.locator(".u-over").hover({ position: await positionOf(chart, 2) })
    const rows = await rowsOf(tip)
    const parts = names.map((name, index) => [name, cells[index + 1] ?? ""])
    expect(rows.filter(([name]) => names.includes(name ?? ""))).toEqual(parts.toReversed())
    expect(rows[0]?.[0]).toBe("Total")
    expect(numberOf(rows[0]?.[1] ?? "")).toBe(parts.reduce((sum, [, text]) => sum + numberOf(text), 0))
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  const path = "/w/SITE/event?name=order_paid&period=last_7d"

  test("a compared number shows the previous period and the change", async () => {
    const { page, chart, tip } = await openChart(path, "Events over time")
    const cells = await cellsOf(chart.getByRole("table"))
    // Only today is incomplete.
    expect(cells.map(([date]) => date?.endsWith(", so far"))).toEqual([...Array(6).fill(false), true])
    const [, now = "", before = ""] = cells[1] ?? []
    await chart.locator(".u-over").hover({ position: await positionOf(chart, 1) })
    const change = Math.abs((100 * (numberOf(now) - numberOf(before))) / numberOf(before))
    const [events, previous, changed] = await rowsOf(tip)
    expect([events, previous]).toEqual([
      ["Events", now],
      ["Previous period", before],
    ])
    expect(changed?.[0]).toBe("Change")
    expect(Math.abs(Number.parseFloat(changed?.[1]?.replace(/[▲▼] /, "") ?? "") - change)).toBeLessThan(0.51)
    await dashboard.close(page)
  })

  test("a tooltip names the day of the previous period if it is a different day of the week", async () => {
    const [from, to] = [dayAgo(8), dayAgo(6)]
    const { page, chart, tip } = await openChart(`/w/SITE/overview?from=${from}&to=${to}`, "Events over time")
    await chart.locator(".u-over").hover({ position: await positionOf(chart, 1) })
    const words = { weekday: "short", day: "numeric", timeZone: "UTC" } as const
    const parts = new Intl.DateTimeFormat("en-GB", words).formatToParts(new Date(dayAgo(10)))
    const [weekday, day] = ["weekday", "day"].map((type) => parts.find((part) => part.type === type)?.value)
    await eventuallyPasses(async () =>
      expect((await rowsOf(tip))[1]?.[0]).toMatch(new RegExp(`^Previous period, ${weekday},? ${day} `)),
    )
    await dashboard.close(page)
  })

  test("a tap on a phone shows the tooltip inside the chart, and a tap elsewhere hides it", async () => {
    const { page, chart, tip } = await openChart(path, "Events over time", {
      hasTouch: true,
      isMobile: true,
      viewport: { width: 360, height: 740 },
    })
    const canvas = (await chart.locator(".chart-canvas").boundingBox()) ?? { x: -1, width: 0 }
    for (const index of [1, 3, 5]) {
      await chart.locator(".u-over").tap({ position: await positionOf(chart, index) })
      await tip.waitFor()
      const [, now] = (await cellsOf(chart.getByRole("table")))[index] ?? []
      expect((await rowsOf(tip))[0]?.[1]).toBe(now ?? "")
      const { x, width } = (await tip.boundingBox()) ?? { x: -1, width: 0 }
      expect(x).toBeGreaterThanOrEqual(canvas.x)
      expect(x + width).toBeLessThanOrEqual(canvas.x + canvas.width)
    }
    await page.getByRole("heading", { level: 1 }).tap()
    await tip.waitFor({ state: "hidden" })
    await dashboard.close(page)
  })
})

/** The names and numbers of a tooltip. */
async function rowsOf(tip: Locator): Promise<(string | null)[][]> {
  const rows = await tip.locator("div").all()
  return Promise.all(
    rows.map(async (row) => [await row.locator("span").textContent(), await row.locator("b").textContent()]),
  )
}

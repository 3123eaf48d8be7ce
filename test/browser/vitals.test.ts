import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { eventuallyPasses } from "../harness.ts"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage, waitForQueries } from "./browser.ts"
import { cellsOf, chooseAction, count, rowsOf } from "./helpers.ts"
import { sendQuality } from "./page-quality.ts"

const seconds = (ms: number) => (ms < 1_000 ? `${ms} ms` : `${Math.round(ms / 10) / 100} s`)

/** The published thresholds, and how a value is shown. */
const metrics = [
  { metric: "LCP", good: 2_500, poor: 4_000, text: seconds },
  { metric: "INP", good: 200, poor: 500, text: seconds },
  { metric: "CLS", good: 0.1, poor: 0.25, text: String },
  { metric: "FCP", good: 1_800, poor: 3_000, text: seconds },
  { metric: "TTFB", good: 800, poor: 1_800, text: seconds },
]
type Metric = (typeof metrics)[number]

function ratingOf({ good, poor }: Metric, value: number): string {
  return value <= good ? "Good" : value <= poor ? "Needs improvement" : "Poor"
}

describe.skipIf(noBrowser)(`the vitals page${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard({ days: 0 })
    await sendQuality(dashboard.server.url, dashboard.site, 20)
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  test("rates the 75th percentile of each vital, as the API returns it", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/vitals?compare=off")
    await waitForPage(page, "/checkout")
    const rows = await rowsOf<{ metric_name: string; p75: number; samples: number }>(dashboard, {
      name: "vitals_overview",
    })
    for (const metric of metrics) {
      const row = rows.find(({ metric_name }) => metric_name === metric.metric)
      const card = page.locator(".stat", { hasText: metric.metric })
      const text = await card.textContent()
      expect(text).toContain(metric.text(row?.p75 ?? 0))
      expect(text).toContain(ratingOf(metric, row?.p75 ?? 0))
      expect(text).toContain(`${count(row?.samples ?? 0)} measurements`)
    }
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("shows the previous value of each vital, and an increase as worse", async () => {
    const { page } = await dashboard.open("/w/SITE/vitals?period=last_7d")
    await waitForPage(page, "/checkout")
    const rows = await rowsOf<{ metric_name: string; p75: number; previous: { p75: number } }>(
      dashboard,
      { name: "vitals_overview", compare: "previous_period" },
      { preset: "last_7d" },
    )
    expect(rows).toHaveLength(metrics.length)
    for (const { metric, text } of metrics) {
      const { p75: now = 0, previous } = rows.find(({ metric_name }) => metric_name === metric) ?? {}
      const before = previous?.p75 ?? 0
      const number = page.locator(".stat", { hasText: metric })
      expect(await number.locator(".stat-note").textContent()).toContain(`was ${text(before)}`)
      const look = now > before ? "down" : now < before ? "up" : "same"
      expect(await number.locator(".change").getAttribute("class")).toBe(`change ${look}`)
    }
    await dashboard.close(page)
  })

  test.each([
    ["CLS", "page", "path"],
    ["INP", "device", "device_type"],
    ["LCP", "country", "country"],
    ["TTFB", "browser", "browser_name"],
  ])("shows %s by %s as the API returns it", async (name, column, field) => {
    const metric = metrics.find((candidate) => candidate.metric === name) as Metric
    const { page } = await dashboard.open("/w/SITE/vitals?compare=off")
    await waitForPage(page, "/checkout")
    await page.locator(".stat", { hasText: name }).click()
    await page.getByRole("heading", { name: `${name} over time` }).waitFor()
    await waitForQueries(page)
    const rows = await rowsOf<Record<string, string & number>>(dashboard, {
      name: "events",
      kinds: ["web_vital"],
      by: [field],
      measures: ["events", "p75:property.value"],
      filters: [{ field: "event_name", op: "eq", value: name }],
    })
    expect(rows.length).toBeGreaterThan(1)
    const names = new Intl.DisplayNames("en", { type: "region" })
    await eventuallyPasses(async () =>
      expect(await cellsOf(page.getByRole("table", { name: `${name} by ${column}` }))).toEqual(
        rows.map((row) => {
          const value = row[field] ?? ""
          const p75 = row["p75:property.value"] ?? 0
          return [
            field === "country" ? (names.of(value) ?? "") : value,
            metric.text(p75),
            ratingOf(metric, p75),
            count(row.events ?? 0),
          ]
        }),
      ),
    )
    await dashboard.close(page)
  })

  test("shows the change of each value, with an increase as worse, and sorts by it", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/vitals?period=last_7d")
    await waitForPage(page, "/checkout")
    type Row = { path: string; "p75:property.value": number; previous: Pick<Row, "p75:property.value"> }
    const rows = await rowsOf<Row>(
      dashboard,
      {
        name: "events",
        kinds: ["web_vital"],
        by: ["path"],
        measures: ["events", "p75:property.value"],
        filters: [{ field: "event_name", op: "eq", value: "LCP" }],
        compare: "previous_period",
      },
      { preset: "last_7d" },
    )
    expect(rows.length).toBeGreaterThan(1)
    const changes = rows
      .map((row) => {
        const now = row["p75:property.value"]
        const before = row.previous["p75:property.value"]
        return { path: row.path, before, change: (now - before) / before }
      })
      .sort((a, b) => b.change - a.change)
    const table = page.getByRole("table", { name: "LCP by page" })
    // All columns are visible.
    expect(
      await table.evaluate((element) => element.scrollWidth - (element.parentElement?.clientWidth ?? 0)),
    ).toBeLessThanOrEqual(0)
    await table.getByRole("columnheader", { name: "Change" }).getByRole("button").click()
    await eventuallyPasses(async () =>
      expect((await cellsOf(table)).map(([path]) => path)).toEqual(changes.map(({ path }) => path)),
    )
    for (const [index, { before, change }] of changes.entries()) {
      const cell = table.locator("tbody tr").nth(index).locator(".change")
      const look = change > 0 ? "down" : change < 0 ? "up" : "same"
      expect(await cell.getAttribute("class")).toBe(`change ${look}`)
      expect(await cell.getAttribute("title")).toBe(`Previous period: ${seconds(before)}`)
    }
    await page.goto(`/w/${dashboard.site}/vitals?compare=off`)
    await waitForPage(page, "/checkout")
    expect(await page.getByRole("columnheader", { name: "Change" }).count()).toBe(0)
    expect(faults).toEqual([])
    await page.context().close()
  })

  test("shows every date of a vital, filters by a clicked value, and explains how to report vitals", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/vitals?metric=INP")
    await waitForPage(page, "/checkout")
    const dates = await rowsOf<{ p75: number | null }>(dashboard, {
      name: "vitals_time_series",
      filters: [{ field: "event_name", op: "eq", value: "INP" }],
    })
    await chooseAction(page.getByRole("figure"), "Show as table")
    const values = (await cellsOf(page.getByRole("table", { name: "INP over time" }))).map(
      (cells) => cells[1],
    )
    // Days before the first measurement have no value.
    expect(values).toContain("–")
    expect(values).toEqual(dates.map(({ p75 }) => (p75 === null ? "–" : seconds(p75))))
    await page.getByRole("button", { name: "mobile" }).click()
    await page.getByRole("button", { name: "Edit filter Device is mobile" }).waitFor()
    await waitForQueries(page)
    expect(
      (await cellsOf(page.getByRole("table", { name: "INP by browser" }))).map(([cell]) => cell),
    ).toEqual(["Safari"])
    await page.goto(`/w/${dashboard.site}/vitals?from=2020-01-01&to=2020-01-02`)
    await page.getByText("data-track-web-vitals").waitFor()
    expect(await violations(page)).toEqual([])
    expect(faults).toEqual([])
    await dashboard.close(page)
  })
})

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage, waitForQueries } from "./browser.ts"
import { cellsOf, count, rate, rowsOf } from "./helpers.ts"
import { sendQuality } from "./page-quality.ts"

type Row = Record<string, string & number>

const text = (value: string | null | undefined) => value ?? "–"

describe.skipIf(noBrowser)(`the engagement page${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard({ days: 0 })
    await sendQuality(dashboard.server.url, dashboard.site, 20)
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  test.each([
    [
      "Attention",
      "engagement_quality_by_page",
      (row: Row) => [row.name, count(row.page_views ?? 0), rate(row.attention_ratio ?? 0)],
    ],
    [
      "Scroll depth",
      "scroll_depth_distribution",
      (row: Row) => [row.depth_range, rate(row.percentage ?? 0), count(row.visitors ?? 0)],
    ],
    [
      "Frustration",
      "frustration_by_page",
      (row: Row) => [
        row.name,
        count(row.page_views ?? 0),
        rate(row.rage_click_rate ?? 0),
        text(row.top_rage_click_target),
        rate(row.dead_click_rate ?? 0),
        text(row.top_dead_click_target),
        rate(row.error_rate ?? 0),
      ],
    ],
    [
      "Forms",
      "form_abandonment_by_page",
      (row: Row) => [
        row.name,
        count(row.form_starts ?? 0),
        count(row.form_submits ?? 0),
        rate(row.abandonment_rate ?? 0),
        text(row.top_abandoned_field),
      ],
    ],
  ])("%s has the rows of %s", async (table, name, cellsFrom) => {
    const { page, faults } = await dashboard.open("/w/SITE/engagement")
    await waitForPage(page, "Top field")
    const rows = await rowsOf<Row>(dashboard, { name })
    expect(rows.length).toBeGreaterThan(0)
    const expected = rows.map(cellsFrom)
    const shown = await cellsOf(page.getByRole("table", { name: table }))
    expect(shown.map((cells) => cells.slice(0, expected[0]?.length))).toEqual(expected as string[][])
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a click on a page filters by it, and a range without engagement data shows how to report it", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/engagement")
    await waitForPage(page, "Top field")
    await page.getByRole("button", { name: "/docs" }).first().click()
    await page.getByRole("button", { name: "Edit filter Path is /docs" }).waitFor()
    await waitForQueries(page)
    expect((await cellsOf(page.getByRole("table", { name: "Attention" }))).map(([cell]) => cell)).toEqual([
      "/docs",
    ])
    await page.getByText("No forms were used in this range").waitFor()
    await page.goto(`/w/${dashboard.site}/engagement?from=2020-01-01&to=2020-01-02`)
    await page.getByText("data-track-interactions").waitFor()
    expect(await violations(page)).toEqual([])
    expect(faults).toEqual([])
    await dashboard.close(page)
  })
})

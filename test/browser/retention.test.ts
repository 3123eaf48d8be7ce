import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { eventuallyPasses } from "../harness.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage } from "./browser.ts"
import { cellsOf, count, rate, rowsOf } from "./helpers.ts"

interface CohortRow {
  date: string
  people: number
  period: number
  returned: number
  percentage: number
}

describe.skipIf(noBrowser)(`retention${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard()
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const any = { filters: [] }
  const cases = [
    { name: "any event, by week", query: "", parameter: { granularity: "weekly" } },
    {
      name: "any event of profiles, by day",
      query: "?by=daily&unit=profile&period=last_7d",
      parameter: { granularity: "daily", unit: "profile", preset: "last_7d" },
    },
    {
      name: "buyers who return for any event",
      query: "?step=order_paid&step=",
      parameter: { granularity: "weekly", steps: [{ name: "order_paid", filters: [] }, any] },
    },
    {
      name: "visitors who return to buy, by month",
      query: "?step=&step=order_paid&by=monthly&period=last_90d",
      parameter: {
        granularity: "monthly",
        steps: [any, { name: "order_paid", filters: [] }],
        preset: "last_90d",
      },
    },
  ]
  test.each(cases)(
    "shows the same percentages and counts as the API for $name",
    async ({ query, parameter }) => {
      const { page, faults } = await dashboard.open(`/w/SITE/retention${query}`)
      await waitForPage(page, "Average")
      const cohorts = Object.values(
        Object.groupBy(
          await rowsOf<CohortRow>(dashboard, { name: "retention", ...parameter }),
          ({ date }) => date,
        ),
      ).flatMap((rows) => (rows ? [rows] : []))
      // Leading empty cohorts are left out.
      const shown = cohorts.slice(cohorts.findIndex(([first]) => (first?.people ?? 0) > 0))
      const expected = (text: (row: CohortRow) => string) =>
        shown.map((rows) => [
          count(rows[0]?.people ?? -1),
          ...rows.map((row) => (row.people === 0 ? "–" : text(row))),
        ])
      const table = page.getByRole("table")
      const cells = async () =>
        (await cellsOf(table)).slice(1).map(([, ...row]) => row.map((cell) => cell.replace(" so far", "")))
      await eventuallyPasses(async () =>
        expect(await cells()).toEqual(expected(({ percentage }) => rate(percentage))),
      )
      await page.getByRole("button", { name: "Count", exact: true }).click()
      await eventuallyPasses(async () =>
        expect(await cells()).toEqual(expected(({ returned }) => count(returned))),
      )
      expect(faults).toEqual([])
      await dashboard.close(page)
    },
  )

  test("incomplete periods are marked and excluded from the average", async () => {
    const { page } = await dashboard.open("/w/SITE/retention?by=daily&period=last_7d")
    await waitForPage(page, "Average")
    const [average = [], ...cohorts] = await cellsOf(page.getByRole("table"))
    expect(cohorts.map((row) => row.map((cell) => cell.includes("so far")))).toEqual(
      cohorts.map((row) => row.map((cell, index) => index === row.length - 1 && cell !== "–")),
    )
    const rows = await rowsOf<CohortRow>(dashboard, {
      name: "retention",
      granularity: "daily",
      preset: "last_7d",
    })
    const after = rows.filter(({ period }) => period === 1).slice(0, -1)
    const sum = (of: "people" | "returned") => after.reduce((all, row) => all + row[of], 0)
    expect(average[3]).toBe(rate((100 * sum("returned")) / sum("people")))
    await dashboard.close(page)
  })

  test("a past range has no incomplete periods", async () => {
    const { page } = await dashboard.open("/w/SITE/retention?by=weekly&period=last_week")
    await waitForPage(page, "Average")
    await eventuallyPasses(async () => expect(await page.getByText("so far").count()).toBe(0))
    await dashboard.close(page)
  })

  test("a report is saved with its settings but not its range", async () => {
    const { page } = await dashboard.open("/w/SITE/retention?step=order_paid&step=&by=weekly")
    await waitForPage(page, "Average")
    await page.getByRole("button", { name: "Save", exact: true }).click()
    await page.getByRole("textbox", { name: "Name" }).fill("Buyers")
    await page.keyboard.press("Enter")
    await page.getByText("Saved", { exact: true }).waitFor()
    await page.goto(`/w/${dashboard.site}/retention?period=last_90d`)
    await page.getByRole("link", { name: "Buyers" }).click()
    await waitForPage(page, "Average")
    const { searchParams } = new URL(page.url())
    expect([searchParams.getAll("step"), searchParams.get("period")]).toEqual([
      ["order_paid", ""],
      "last_90d",
    ])
    await dashboard.close(page)
  })
})

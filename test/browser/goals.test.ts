import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { eventuallyPasses } from "../harness.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage } from "./browser.ts"
import { cellsOf, chooseAction, count, dayAgo, rate, rowsOf } from "./helpers.ts"

interface GoalRow {
  completions: number
  converted: number
  total: number
  conversion_rate: number
  previous?: GoalRow
}

describe.skipIf(noBrowser)(`goals${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard()
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const compare = "previous_period"
  // Only past days: with today, the previous period would grow while the test runs.
  const days = { preset: undefined, startDate: dayAgo(29), endDate: dayAgo(1) }
  const rangeParams = `from=${days.startDate}&to=${days.endDate}`
  const cases = [
    {
      name: "visitors",
      query: `?step=order_paid&${rangeParams}`,
      parameter: { steps: ["order_paid"] },
      body: days,
    },
    {
      name: "sessions with a filter on the goal",
      query: `?unit=session&step=${encodeURIComponent('["order_paid","gt:property.total:50"]')}&${rangeParams}`,
      parameter: {
        unit: "session",
        steps: [{ name: "order_paid", filters: [{ field: "property.total", op: "gt", value: 50 }] }],
      },
      body: days,
    },
    {
      name: "last week",
      query: "?step=signed_up&period=last_week",
      parameter: { steps: ["signed_up"] },
      body: { preset: "last_week" },
    },
  ]
  test.each(cases)("shows the same numbers as the API for $name", async ({ query, parameter, body }) => {
    const { page, faults } = await dashboard.open(`/w/SITE/goals${query}`)
    await waitForPage(page, "Conversion over time")
    const [row] = await rowsOf<GoalRow>(dashboard, { name: "goals", compare, ...parameter }, body)
    await eventuallyPasses(async () =>
      expect(await page.locator(".stat-value").allInnerTexts()).toEqual([
        rate(row?.conversion_rate ?? -1),
        count(row?.converted ?? -1),
        count(row?.total ?? -1),
        count(row?.completions ?? -1),
      ]),
    )
    await eventuallyPasses(async () =>
      expect(await page.locator(".change").first().getAttribute("title")).toBe(
        `Previous period: ${rate(row?.previous?.conversion_rate ?? -1)}`,
      ),
    )
    const course = await rowsOf<GoalRow>(
      dashboard,
      { name: "goals", compare, granularity: "daily", ...parameter },
      body,
    )
    const chart = page.getByRole("figure", { name: "Conversion over time" })
    await chooseAction(chart, "Show as table")
    const shown = await cellsOf(chart.getByRole("table"))
    expect(shown.map(([, now, before]) => [now, before])).toEqual(
      course.map((day) => [rate(day.conversion_rate), rate(day.previous?.conversion_rate ?? -1)]),
    )
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("several goals are compared", async () => {
    const { page } = await dashboard.open("/w/SITE/goals?step=order_paid")
    await waitForPage(page, "Conversion over time")
    await page.getByRole("button", { name: "Compare with" }).click()
    await page.getByLabel("Goal 2", { exact: true }).fill("signed")
    await page.keyboard.press("Enter")
    await waitForPage(page, "Comparison")
    const rows = await rowsOf<GoalRow>(dashboard, { name: "goals", steps: ["order_paid", "signed_up"] })
    const table = page.getByRole("table", { name: "Goal comparison" })
    await table.getByText("signed_up").waitFor()
    const shown = await cellsOf(table)
    expect(shown.map(([name, share, , people]) => [name, share, people])).toEqual(
      ["order_paid", "signed_up"].map((name, index) => [
        name,
        rate(rows[index]?.conversion_rate ?? -1),
        count(rows[index]?.converted ?? -1),
      ]),
    )
    await dashboard.close(page)
  })

  test("a goal can be saved, is listed with its rate in the selected range, and can be deleted", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/goals")
    await page.getByRole("button", { name: "Choose another event" }).click()
    await page.getByLabel("Event", { exact: true }).click()
    await page.getByRole("option", { name: "order_paid" }).click()
    await page.getByRole("button", { name: "Save", exact: true }).click()
    await page.getByRole("textbox", { name: "Name" }).fill("Paid")
    await page.keyboard.press("Enter")
    const table = page.getByRole("table", { name: "Saved goals" })
    await table.getByRole("link", { name: "Paid" }).waitFor()
    await page.goto(`/w/${dashboard.site}/goals?period=last_7d`)
    await table.getByRole("link", { name: "Paid" }).waitFor()
    await waitForPage(page, "Saved goals")
    const [row] = await rowsOf<GoalRow>(
      dashboard,
      { name: "goals", steps: ["order_paid"] },
      { preset: "last_7d" },
    )
    const [shown = []] = await cellsOf(table)
    expect([shown[1], shown[3], shown[4]]).toEqual([
      rate(row?.conversion_rate ?? -1),
      count(row?.converted ?? -1),
      `${count(row?.total ?? -1)} visitors`,
    ])
    await page.getByRole("button", { name: "More actions for Paid" }).click()
    await page.getByRole("button", { name: "Delete…" }).click()
    await page.getByRole("button", { name: "Delete", exact: true }).click()
    await table.waitFor({ state: "detached" })
    expect(faults).toEqual([])
    await dashboard.close(page)
  })
})

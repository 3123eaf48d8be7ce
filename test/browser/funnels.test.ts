import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { eventuallyPasses } from "../harness.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage } from "./browser.ts"
import { cellsOf, chooseAction, count, dayAgo, rate, rowsOf } from "./helpers.ts"

interface StepRow {
  event_name: string
  people: number
  conversion_rate: number
  step_conversion_rate: number
}

const steps = ["page_viewed", "product_viewed", "cart_filled", "order_paid"]
const query = steps.map((step) => `step=${step}`).join("&")
const funnel = { name: "funnel", steps, window: "7d" }

describe.skipIf(noBrowser)(`funnels${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard()
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const cases = [
    { name: "visitors within a week", more: "", parameter: {}, body: {} },
    {
      name: "sessions within an hour",
      more: "&unit=session&window=1h",
      parameter: { unit: "session", window: "1h" },
      body: {},
    },
    {
      name: "profiles within a custom window",
      more: "&unit=profile&window=90m",
      parameter: { unit: "profile", window: "90m" },
      body: {},
    },
    {
      name: "a custom range",
      more: `&from=${dayAgo(20)}&to=${dayAgo(11)}`,
      parameter: {},
      body: { preset: undefined, startDate: dayAgo(20), endDate: dayAgo(11) },
    },
    {
      name: "filtered events",
      more: "&f=ne:path:/product",
      parameter: {},
      body: { filters: [{ field: "path", op: "ne", value: "/product" }] },
    },
  ]
  test.each(cases)("shows the same numbers as the API for $name", async ({ more, parameter, body }) => {
    const { page, faults } = await dashboard.open(`/w/SITE/funnels?${query}${more}`)
    await waitForPage(page, "Conversion")
    await chooseAction(page, "Show as table", "funnel")
    const rows = await rowsOf<StepRow>(dashboard, { ...funnel, ...parameter }, body)
    const shown = await cellsOf(page.getByRole("table", { name: "Funnel steps" }))
    expect(shown.map((row) => row.slice(0, 4))).toEqual(
      rows.map((row, index) => [
        `${index + 1}. ${row.event_name}`,
        count(row.people),
        rate(row.conversion_rate),
        index === 0 ? "–" : rate(row.step_conversion_rate),
      ]),
    )
    await eventuallyPasses(async () =>
      expect(await page.locator(".stat-value").allInnerTexts()).toEqual([
        rate(rows.at(-1)?.conversion_rate ?? -1),
        count(rows[0]?.people ?? -1),
        count(rows.at(-1)?.people ?? -1),
      ]),
    )
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a funnel is compared with the previous period of the same length", async () => {
    const { page } = await dashboard.open(`/w/SITE/funnels?${query}&from=${dayAgo(8)}&to=${dayAgo(2)}`)
    await waitForPage(page, "Conversion")
    const [before] = await rowsOf<StepRow>(dashboard, funnel, {
      preset: undefined,
      startDate: dayAgo(15),
      endDate: dayAgo(9),
    })
    const title = await page.locator(".stat", { hasText: "Entered" }).locator(".change").getAttribute("title")
    expect(title).toBe(`Previous period: ${count(before?.people ?? -1)}`)
    await page.keyboard.press("c")
    await page.locator(".change").first().waitFor({ state: "detached" })
    await dashboard.close(page)
  })

  test("a funnel can be broken down by a property of the first step, and a clicked value becomes a filter", async () => {
    const { page } = await dashboard.open(`/w/SITE/funnels?${query}`)
    await waitForPage(page, "Conversion")
    await page.getByLabel("Break down by").selectOption({ label: "channel" })
    await waitForPage(page, "By channel")
    const rows = await rowsOf<StepRow & Record<string, string> & { previous: StepRow }>(dashboard, {
      ...funnel,
      by: ["property.channel"],
      compare: "previous_period",
    })
    const first = rows.filter(({ step }) => Number(step) === 1)
    const shown = await cellsOf(page.getByRole("table", { name: "Funnel by channel" }))
    expect(shown.map(([value, entered]) => [value, entered])).toEqual(
      first.map((row) => [row["property.channel"], count(row.people)]),
    )
    const last = rows.filter(({ step }) => Number(step) === funnel.steps.length)
    const points = ({ conversion_rate: now, previous }: (typeof last)[number]) =>
      Math.abs(Math.round(10 * (now - previous.conversion_rate)) / 10)
    expect(shown.map((cells) => cells.slice(-3, -1).map((cell) => cell.split(" point")[0]))).toEqual(
      last.map((row) => [
        rate(row.previous.conversion_rate),
        `${row.conversion_rate > row.previous.conversion_rate ? "▲" : "▼"} ${points(row)}`,
      ]),
    )
    await page.getByRole("link", { name: "Filter by channel: search" }).click()
    await page.getByText("page_viewed where channel is search").locator("visible=true").waitFor()
    await waitForPage(page, "By channel")
    const entered = await page.locator(".stat-value").nth(1).textContent()
    expect(entered).not.toBe(count(first[0]?.people ?? -1))
    await dashboard.close(page)
  })

  test("one click creates a funnel of the two most frequent events", async () => {
    const { page } = await dashboard.open("/w/SITE/funnels")
    await page.getByRole("button", { name: "page_viewed → product_viewed" }).click()
    await waitForPage(page, "Funnel steps")
    expect(stepsOf(page)).toEqual(["page_viewed", "product_viewed"])
    await page.goBack()
    await page.getByText("Where do people drop off?").waitFor()
    await page.getByRole("button", { name: "Choose events" }).click()
    await page.getByText("Choose at least two events").waitFor()
    await dashboard.close(page)
  })

  test("steps can be added, moved and removed with the keyboard, and focus is kept", async () => {
    const { page } = await dashboard.open(
      "/w/SITE/funnels?step=page_viewed&step=product_viewed&step=cart_filled",
    )
    await waitForPage(page, "Conversion")
    await page.getByRole("button", { name: "Move Step 1 down" }).focus()
    await page.keyboard.press("Enter")
    await page.getByText("page_viewed moved to Step 2.").waitFor()
    await eventuallyPasses(async () => expect(await focused(page)).toBe("Move Step 2 down"))
    await page.keyboard.press("Enter")
    await eventuallyPasses(async () => expect(await focused(page)).toBe("Move Step 3 up"))
    expect(stepsOf(page)).toEqual(["product_viewed", "cart_filled", "page_viewed"])
    await page.getByRole("button", { name: "Add step" }).focus()
    await page.keyboard.press("Enter")
    await page.locator("input:focus").waitFor()
    await page.keyboard.type("ORDER")
    await page.getByRole("option", { name: "order_paid" }).waitFor()
    await page.keyboard.press("Enter")
    await page.waitForFunction(() => location.search.includes("order_paid"))
    await page.getByRole("button", { name: "Remove Step 1" }).focus()
    await page.keyboard.press("Enter")
    await page.getByText("product_viewed removed.").waitFor()
    expect(stepsOf(page)).toEqual(["cart_filled", "page_viewed", "order_paid"])
    await dashboard.close(page)
  })

  test("an event is found by a part of its name, and Escape keeps the selected event", async () => {
    const { page } = await dashboard.open(`/w/SITE/funnels?${query}`)
    await waitForPage(page, "Conversion")
    const field = page.getByLabel("Step 2", { exact: true })
    await field.click()
    const entries = page.getByRole("listbox", { name: "Events for Step 2" }).getByRole("option")
    await eventuallyPasses(async () =>
      expect(await entries.and(page.locator("[aria-selected=true]")).allTextContents()).toEqual([
        "product_viewed",
      ]),
    )
    await page.keyboard.type("nothing like it")
    await page.getByText("No matches").waitFor()
    await page.keyboard.press("Escape")
    await eventuallyPasses(async () => expect(await field.inputValue()).toBe("product_viewed"))
    await field.fill("view")
    await eventuallyPasses(async () =>
      expect(await entries.allTextContents()).toEqual(["page_viewed", "product_viewed"]),
    )
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    expect(stepsOf(page)).toEqual(["page_viewed", "page_viewed", "cart_filled", "order_paid"])
    await dashboard.close(page)
  })

  test("a step can have its own filters", async () => {
    const { page } = await dashboard.open(`/w/SITE/funnels?${query}`)
    await waitForPage(page, "Conversion")
    await page
      .getByRole("listitem")
      .filter({ hasText: "Step 4" })
      .getByRole("button", { name: "Filter" })
      .click()
    await page.getByLabel("Field or property").fill("plan")
    await page.getByRole("button", { name: "plan property" }).click()
    await page.getByRole("checkbox", { name: /^pro, / }).check()
    await page.getByRole("button", { name: "Apply" }).click()
    await page.getByText("order_paid where plan is pro").locator("visible=true").waitFor()
    await waitForPage(page, "Conversion")
    const filters = [{ field: "property.plan", op: "eq", value: "pro" }]
    const rows = await rowsOf<StepRow>(dashboard, {
      ...funnel,
      steps: [...steps.slice(0, 3), { name: "order_paid", filters }],
    })
    await eventuallyPasses(async () =>
      expect(await page.locator(".stat-value").last().textContent()).toBe(count(rows.at(-1)?.people ?? -1)),
    )
    await dashboard.close(page)
  })

  test("a funnel can be saved, opened with another range, renamed, updated and deleted", async () => {
    const { page, faults } = await dashboard.open(`/w/SITE/funnels?${query}&period=last_7d`)
    const list = page.getByRole("navigation", { name: "Saved funnels" })
    await waitForPage(page, "Conversion")
    await page.getByRole("button", { name: "Save", exact: true }).click()
    await page.getByRole("textbox", { name: "Name" }).fill("Checkout")
    await page.keyboard.press("Enter")
    await page.getByRole("dialog").waitFor({ state: "detached" })
    await page.goto(`/w/${dashboard.site}/funnels?period=yesterday`)
    await list.getByRole("link", { name: "Checkout" }).click()
    await page.getByRole("button", { name: "Range: Yesterday" }).waitFor()
    expect(stepsOf(page)).toEqual(steps)
    await eventuallyPasses(async () =>
      expect(await list.getByRole("link").getAttribute("aria-current")).toBe("page"),
    )
    const menu = (name: string) => page.getByRole("button", { name: `More actions for ${name}` })
    await menu("Checkout").click()
    await page.getByRole("button", { name: "Rename…" }).click()
    await page.getByRole("textbox", { name: "Name" }).fill("Purchase")
    await page.keyboard.press("Enter")
    await list.getByRole("link", { name: "Purchase" }).waitFor()
    await page.getByRole("button", { name: "Remove Step 2" }).click()
    await menu("Purchase").click()
    await page.getByRole("button", { name: "Replace with current…" }).click()
    await page.getByRole("button", { name: "Replace", exact: true }).click()
    await page.getByText("Saved", { exact: true }).waitFor()
    await menu("Purchase").click()
    await page.getByRole("button", { name: "Delete…" }).click()
    await page.getByRole("button", { name: "Delete", exact: true }).click()
    await list.waitFor({ state: "detached" })
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a share link shows a funnel, but cannot save it", async () => {
    const { link } = await dashboard.api<{ link: string }>(`shares?website_id=${dashboard.site}`, {
      method: "POST",
      body: JSON.stringify({ name: "For all", path: `funnels?${query}`, expiresAt: null }),
    })
    const { page, faults } = await dashboard.open(`${link}/funnels?${query}`, { isLoggedIn: false })
    await waitForPage(page, "Conversion")
    const [row] = await rowsOf<StepRow>(dashboard, funnel)
    await eventuallyPasses(async () =>
      expect(await page.locator(".stat-value").nth(1).textContent()).toBe(count(row?.people ?? -1)),
    )
    await eventuallyPasses(async () =>
      expect(await page.getByRole("button", { name: "Save", exact: true }).count()).toBe(0),
    )
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a funnel can be downloaded as CSV", async () => {
    const { page } = await dashboard.open(`/w/SITE/funnels?${query}`)
    await waitForPage(page, "Conversion")
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      chooseAction(page, "Download CSV", "funnel"),
    ])
    const [, first] = (await Bun.file(await download.path()).text()).split("\r\n")
    const [row] = await rowsOf<StepRow>(dashboard, funnel)
    expect(first).toBe(`1,page_viewed,${row?.people},100,100,${(row?.people ?? 0) - (await second())},`)
    await dashboard.close(page)
  })

  const second = async () => (await rowsOf<StepRow>(dashboard, funnel))[1]?.people ?? -1
})

function stepsOf(page: Page): string[] {
  return new URL(page.url()).searchParams.getAll("step")
}

function focused(page: Page): Promise<string | null | undefined> {
  return page.evaluate(() => document.activeElement?.getAttribute("aria-label"))
}

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { eventuallyPasses } from "../harness.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage, waitForQueries } from "./browser.ts"
import { chooseAction, numberOf } from "./helpers.ts"
import { shiftOf } from "./layout-shift.ts"

interface NameRow {
  name: string
  total_events: number
  unique_users: number
  unique_sessions: number
  percentage: number
}

describe.skipIf(noBrowser)(`the list of events${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard({ days: 30 })
    await send(names(120).map((name) => ({ name })))
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const send = async (events: object[]) => {
    const response = await fetch(`${dashboard.server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}` },
      body: JSON.stringify(events.map((event) => ({ websiteId: dashboard.site, ...event }))),
    })
    expect(response.status).toBe(200)
  }

  const runQuery = async (parameter: object) => {
    const { data } = await dashboard.api<{ data: { data: NameRow[]; meta: { total: number } }[] }>(
      `query?website_id=${dashboard.site}`,
      { method: "POST", body: JSON.stringify({ parameters: [{ name: "custom_events", ...parameter }] }) },
    )
    return { rows: data[0]?.data ?? [], total: data[0]?.meta.total ?? -1 }
  }

  test("shows the same numbers as the API for each event, and links to its page", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/events")
    await waitForPage(page, "page_viewed")
    const { rows, total } = await runQuery({ limit: 50 })
    await eventuallyPasses(async () =>
      expect(await table(page)).toEqual(
        rows.map((row) => [row.name, row.total_events, row.unique_users, row.unique_sessions]),
      ),
    )
    await eventuallyPasses(async () => expect(await page.getByText(`1 – 50 of ${total}`).count()).toBe(1))
    await page.getByRole("link", { name: "order_paid" }).click()
    await page.getByRole("heading", { level: 1, name: "order_paid" }).waitFor()
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  const sorts = [
    {
      name: "by visitors",
      clicks: ["Visitors"],
      query: { sort: "visitors", order: "desc" },
      by: "unique_users",
    },
    {
      name: "by sessions, ascending",
      clicks: ["Sessions", "Sessions"],
      query: { sort: "sessions", order: "asc" },
      by: "unique_sessions",
    },
    { name: "by name", clicks: ["Event"], query: { sort: "name", order: "asc" }, by: "name" },
  ]
  test.each(sorts)("sorts $name and keeps the order in the URL", async ({ clicks, query, by }) => {
    const { page } = await dashboard.open("/w/SITE/events")
    await waitForPage(page, "page_viewed")
    for (const name of clicks)
      await page.getByRole("columnheader", { name, exact: true }).getByRole("button").click()
    await waitForQueries(page)
    const { rows } = await runQuery({ limit: 50, sortBy: by, sortOrder: query.order })
    expect((await table(page)).map(([name]) => name)).toEqual(rows.map((row) => row.name))
    const params = new URL(page.url()).searchParams
    expect({ sort: params.get("sort"), order: params.get("order") }).toEqual(query)
    const sorted = page.locator("th[aria-sort]")
    await eventuallyPasses(async () =>
      expect(await sorted.getAttribute("aria-sort")).toBe(query.order === "asc" ? "ascending" : "descending"),
    )
    await dashboard.close(page)
  })

  test("is paginated, and the CSV file has all names", async () => {
    const { page } = await dashboard.open("/w/SITE/events")
    await waitForPage(page, "page_viewed")
    const after = page.getByRole("button", { name: "Next page" })
    await after.press("Enter")
    await waitForQueries(page)
    const second = await runQuery({ limit: 50, page: 2 })
    expect((await table(page)).map(([name]) => name)).toEqual(second.rows.map((row) => row.name))
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      chooseAction(page, "Download CSV", "events"),
    ])
    const lines = (await Bun.file(await download.path()).text()).trimEnd().split("\r\n")
    expect(lines).toHaveLength(1 + second.total)
    for (let rest = second.total - 100; rest > 0; rest -= 50) await after.press("Enter")
    await page.getByText(`${second.total} of ${second.total}`).waitFor()
    await eventuallyPasses(async () => expect(await after.isDisabled()).toBe(true))
    // A disabled button keeps the focus.
    await eventuallyPasses(async () =>
      expect(await after.evaluate((element) => element === document.activeElement)).toBe(true),
    )
    await dashboard.close(page)
  })

  test("can be searched with the keyboard only, and shows a message if nothing matches", async () => {
    const { page } = await dashboard.open("/w/SITE/events?page=2")
    await waitForPage(page, "made_up_")
    await page.goto(page.url().replace("page=2", ""))
    await page.getByRole("heading", { name: "What changed" }).waitFor()
    await page.keyboard.press("/")
    await page.keyboard.type("Viewed")
    await page.waitForURL(/search=Viewed/)
    await waitForQueries(page)
    expect((await table(page)).map(([name]) => name)).toEqual(["page_viewed", "product_viewed"])
    expect(new URL(page.url()).searchParams.get("page")).toBeNull()
    expect(await page.getByRole("heading", { name: "What changed" }).count()).toBe(0)
    await page.keyboard.type(" nowhere")
    await page.getByText("No event names contain “Viewed nowhere”").waitFor()
    expect(await page.getByRole("link", { name: "Search people" }).getAttribute("href")).toContain(
      "/people?search=Viewed+nowhere",
    )
    await page.getByRole("link", { name: "Show all events" }).click()
    await waitForPage(page, "page_viewed")
    await dashboard.close(page)
  })

  test("does not shift when a search finds fewer rows than space was reserved for", async () => {
    const { page } = await dashboard.open("/w/SITE/events?search=order_paid")
    // The reserved space is painted only if the result takes longer than a frame.
    await page.route("**/v1/query**", async (route) => {
      await Bun.sleep(300)
      await route.continue()
    })
    await page.reload()
    await waitForPage(page, "order_paid")
    expect(await shiftOf(page)).toBe(0)
    await page.unroute("**/v1/query**")
    await dashboard.close(page)
  })

  test("a name with HTML or of maximum length is shown as text", async () => {
    await send([{ name: "<img src=x onerror=alert(1)>" }, { name: "x".repeat(256) }])
    const { page, faults } = await dashboard.open("/w/SITE/events?search=%3Cimg")
    await waitForPage(page, "<img")
    expect((await table(page)).map(([name]) => name)).toEqual(["<img src=x onerror=alert(1)>"])
    await page.getByRole("link", { name: "<img src=x" }).click()
    await page.getByRole("heading", { level: 1, name: "<img src=x onerror=alert(1)>" }).waitFor()
    await page.goto(`${dashboard.server.url}/w/${dashboard.site}/event?name=${"x".repeat(256)}`)
    await waitForPage(page, "Events over time")
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    expect(overflow).toBeLessThanOrEqual(0)
    expect(faults).toEqual([])
    await dashboard.close(page)
  })
})

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `made_up_${index}`)
}

/** The name, events, visitors and sessions of each row. */
async function table(page: Page): Promise<[string, number, number, number][]> {
  const rows = await page.getByRole("table", { name: "All events" }).locator("tbody tr").all()
  return Promise.all(
    rows.map(async (row) => {
      const [name = "", events, , , visitors, sessions] = await row.locator("td").allInnerTexts()
      return [name, numberOf(events), numberOf(visitors), numberOf(sessions)]
    }),
  )
}

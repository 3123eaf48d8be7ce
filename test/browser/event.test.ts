import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Locator, Page } from "playwright-core"
import { eventuallyPasses } from "../harness.ts"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage, waitForQueries } from "./browser.ts"
import { cellsOf, chooseAction, count, dayAgo, numberOf, totalsOf } from "./helpers.ts"

interface Counts {
  total_events: number
  unique_users: number
  unique_sessions: number
}

interface ValueRow {
  property_key: string
  property_value: string
  count: number
}

interface Group {
  "property.plan": string
  events: number
  users: number
  sessions: number
}

/** A row of `custom_events_property_numbers`. */
const statistics = {
  event_name: "order_paid",
  property_key: "total",
  count: 1_207,
  min: 1.5,
  max: 9_500,
  avg: 40.25,
  sum: 48_581.75,
  p50: 12,
  p95: 90,
  bins: [
    { from: 1.5, to: 10, count: 3 },
    { from: 10, to: 9_500, count: 1_204 },
  ],
}

const orderFilter = { field: "event_name", op: "eq", value: "order_paid" }
const planFilter = { field: "property.plan", op: "eq", value: "pro" }

describe.skipIf(noBrowser)(`the page of an event${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard()
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const runQuery = async <Row>(parameter: object, filters: object[] = [orderFilter]) => {
    const { data } = await dashboard.api<{ data: { data: Row[] }[] }>(`query?website_id=${dashboard.site}`, {
      method: "POST",
      body: JSON.stringify({ parameters: [parameter], filters }),
    })
    return data[0]?.data ?? []
  }

  const cases = [
    { name: "all of its events", query: "", filters: [orderFilter] },
    { name: "filtered events", query: "&f=eq:property.plan:pro", filters: [orderFilter, planFilter] },
  ]
  test.each(cases)("shows the same numbers as the API for $name", async ({ query, filters }) => {
    const { page, faults } = await dashboard.open(`/w/SITE/event?name=order_paid${query}`)
    await waitForPage(page, "True or false")
    const [counts] = await runQuery<Counts>({ name: "custom_events_summary" }, filters)
    const { total_events = -1, unique_users = -1, unique_sessions = -1 } = counts ?? {}
    await eventuallyPasses(async () =>
      expect(await totalsOf(page)).toEqual([
        total_events,
        unique_users,
        unique_sessions,
        Math.round((100 * total_events) / unique_users) / 100,
      ]),
    )
    const values = await runQuery<ValueRow>({ name: "custom_events_property_top_values", top: 6 }, filters)
    const ofPlans = values.filter(({ property_key }) => property_key === "plan")
    await eventuallyPasses(async () =>
      expect(await rowsOf(property(page, "plan"))).toEqual(
        ofPlans.map((row) => [row.property_value, row.count]),
      ),
    )
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  const charts = [
    { name: "events by day", query: "", measure: "total_events", granularity: "daily" },
    {
      name: "visitors by week",
      query: "&show=visitors&by=weekly",
      measure: "unique_users",
      granularity: "weekly",
    },
  ] as const
  test.each(charts)("the chart's table shows the API's $name and the previous period", async (one) => {
    // Only past days: with today, the previous period would grow while the test runs.
    const [from, to] = [dayAgo(29), dayAgo(1)]
    const { page } = await dashboard.open(`/w/SITE/event?name=order_paid&from=${from}&to=${to}${one.query}`)
    const chart = page.getByRole("figure", { name: / over time$/ })
    await chooseAction(chart, "Show as table")
    const rows = await chart.locator("tbody tr").all()
    const cells = await Promise.all(rows.map((row) => row.locator("td.number").allInnerTexts()))
    const course = await runQuery<Counts & { previous: Counts | null }>({
      name: "custom_events_trends",
      granularity: one.granularity,
      compare: "previous_period",
      start_date: from,
      end_date: to,
    })
    expect(cells).toEqual(
      course.map((row) => [count(row[one.measure]), row.previous ? count(row.previous[one.measure]) : "–"]),
    )
    await dashboard.close(page)
  })

  test("clicking a value filters by it, and clicking again removes the filter", async () => {
    const { page } = await dashboard.open("/w/SITE/event?name=order_paid")
    await waitForPage(page, "True or false")
    const all = await totalsOf(page)
    const value = property(page, "plan").getByRole("button", { name: "pro", exact: true })
    await value.click()
    await page.getByRole("button", { name: "Edit filter plan is pro" }).waitFor()
    await waitForQueries(page)
    await eventuallyPasses(async () => expect(await value.getAttribute("aria-pressed")).toBe("true"))
    const [counts] = await runQuery<Counts>({ name: "custom_events_summary" }, [orderFilter, planFilter])
    expect((await totalsOf(page))[0]).toBe(counts?.total_events ?? -1)
    await value.click()
    await page.getByRole("button", { name: "Edit filter plan is pro" }).waitFor({ state: "detached" })
    await waitForQueries(page)
    await eventuallyPasses(async () => expect(await totalsOf(page)).toEqual(all))
    await dashboard.close(page)
  })

  test("breaks events down by a property and a field, with the same numbers as the API", async () => {
    const { page } = await dashboard.open("/w/SITE/event?name=order_paid")
    await waitForPage(page, "True or false")
    await page.getByRole("combobox", { name: "Group by" }).selectOption("property.plan")
    const table = page.getByRole("table", { name: "Events by plan", exact: true })
    await table.locator("tbody tr").first().waitFor()
    const measures = ["events", "users", "sessions"]
    const groups = await runQuery<Group>({ name: "events", by: ["property.plan"], measures })
    const cells = await texts(table)
    expect(
      cells.map(([plan, events, , , users, sessions]) => [plan, ...[events, users, sessions].map(numberOf)]),
    ).toEqual(groups.map((row) => [row["property.plan"], row.events, row.users, row.sessions]))
    await page.getByRole("combobox", { name: "then by" }).selectOption("path")
    await page.getByRole("table", { name: "Events by plan and Path", exact: true }).waitFor()
    expect(new URL(page.url()).searchParams.getAll("split")).toEqual(["property.plan", "path"])
    await page.getByRole("combobox", { name: "Group by" }).selectOption("")
    await page.getByRole("table", { name: "Events by Path", exact: true }).waitFor()
    await dashboard.close(page)
  })

  test("all values of a property can be searched and clicked in a dialog", async () => {
    const { page } = await dashboard.open("/w/SITE/event?name=product_viewed")
    await waitForPage(page, "All 8 values")
    await property(page, "product").getByRole("button", { name: "All 8 values" }).click()
    const dialog = page.getByRole("dialog", { name: "Values of product" })
    await dialog.locator("tbody tr").nth(7).waitFor()
    await page.keyboard.type("dESK")
    await dialog.locator("tbody tr").nth(1).waitFor({ state: "detached" })
    await dialog.getByRole("button", { name: "Desk lamp" }).click()
    await dialog.waitFor({ state: "detached" })
    await page.getByRole("button", { name: "Edit filter product is Desk lamp" }).waitFor()
    await dashboard.close(page)
  })

  test("numbers are shown as a distribution, with min, median, mean, p95 and max", async () => {
    const { page } = await dashboard.open("/w/SITE/overview")
    // Replaces the server's numbers with numbers that differ enough to identify each of them on the page.
    await page.route("**/v1/query?*", async (route) => {
      const { parameters }: { parameters: { id?: string }[] } = route.request().postDataJSON()
      const at = parameters.findIndex(({ id }) => id === "numbers")
      if (at < 0) return route.continue()
      const response = await route.fetch()
      const answer = await response.json()
      answer.data[at] = { parameter: "numbers", success: true, data: [statistics] }
      return route.fulfill({ response, json: answer })
    })
    await page.goto(`/w/${dashboard.site}/event?name=order_paid`)
    await waitForPage(page, "Median")
    const total = property(page, "total")
    await eventuallyPasses(async () =>
      expect(await total.locator("dl > div").allInnerTexts()).toEqual([
        "Min\n1.5",
        "Median\n12",
        "Mean\n40.25",
        "p95\n90",
        "Max\n9,500",
      ]),
    )
    await eventuallyPasses(async () =>
      expect(await texts(total.getByRole("table", { name: "Distribution of total" }))).toEqual([
        ["1.5", "10", "3"],
        ["10", "9,500", "1,204"],
      ]),
    )
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      chooseAction(total, "Download CSV", "values of total"),
    ])
    expect(await Bun.file(await download.path()).text()).toBe(
      "from,to,events\r\n1.5,10,3\r\n10,9500,1204\r\n",
    )
    await dashboard.close(page)
  })

  test("numbers sent as text are counted, and can be read as numbers", async () => {
    const prices = [29, "29.00", "31.50", 31.5, 12]
    const response = await fetch(`${dashboard.server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}` },
      body: JSON.stringify(
        prices.map((price) => ({ name: "price_sent", websiteId: dashboard.site, properties: { price } })),
      ),
    })
    expect(response.status).toBe(200)
    const { page, faults } = await dashboard.open("/w/SITE/event?name=price_sent")
    const price = property(page, "price")
    await price.getByText("5 values, 2 numbers sent as text").waitFor()
    await price.getByRole("button", { name: "As numbers: price" }).click()
    await price.getByRole("table", { name: "Distribution of price" }).waitFor()
    await eventuallyPasses(async () =>
      expect(await price.locator("dl > div").first().textContent()).toBe("Min12"),
    )
    expect(await violations(page)).toEqual([])
    await price.getByRole("button", { name: "As values: price" }).click()
    await price.getByRole("table", { name: "Values of price" }).waitFor()
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a share link shows the page without individual events and people", async () => {
    const { link } = await dashboard.api<{ link: string }>(`shares?website_id=${dashboard.site}`, {
      method: "POST",
      body: JSON.stringify({ name: "For the team", path: "event?name=order_paid", expiresAt: null }),
    })
    const { page, faults } = await dashboard.open(`${link}/event?name=order_paid`, { isLoggedIn: false })
    await waitForPage(page, "True or false")
    await eventuallyPasses(async () =>
      expect(await page.getByRole("link", { name: "Recent events" }).count()).toBe(0),
    )
    const fields = page.getByRole("combobox", { name: "Group by" }).locator("option")
    await eventuallyPasses(async () => expect(await fields.allInnerTexts()).not.toContain("Visitor"))
    expect(await violations(page)).toEqual([])
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("links to its recent events, a goal and a funnel", async () => {
    const { page } = await dashboard.open("/w/SITE/event?name=order_paid&period=last_7d")
    const base = `/w/${dashboard.site}`
    const targets = [
      ["Recent events", `${base}/live?period=last_7d&name=order_paid`],
      ["Create goal", `${base}/goals?period=last_7d&step=order_paid`],
      ["Create funnel", `${base}/funnels?period=last_7d&step=order_paid`],
    ] as const
    for (const [name, target] of targets) {
      await eventuallyPasses(async () =>
        expect(await page.getByRole("link", { name }).getAttribute("href")).toBe(target),
      )
    }
    await dashboard.close(page)
  })

  test("the command palette finds a property, and opens the breakdown by it", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/overview")
    await waitForPage(page, "order_paid")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("plan order_paid")
    await page.getByRole("option", { name: "plan Property of order_paid" }).waitFor()
    await page.keyboard.press("Enter")
    await page.getByRole("heading", { level: 1, name: "order_paid" }).waitFor()
    await page.getByRole("figure", { name: "Events by plan over time" }).waitFor()
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("an owner can mark an event as lower is better, and its changes are then colored", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/event?name=error_shown")
    const changes = page.locator(".stats .change")
    await changes.first().waitFor()
    await eventuallyPasses(async () =>
      expect(await page.locator(".stats .change:is(.up, .down)").count()).toBe(0),
    )
    const mark = page.getByRole("button", { name: "Mark as lower is better", exact: true })
    await mark.and(page.locator("[aria-pressed=false]")).click()
    await page.getByText("Lower is better for error_shown").waitFor()
    const { website } = await dashboard.api<{ website: { lowerIsBetter: string[] } }>(
      `websites/${dashboard.site}`,
    )
    expect(website.lowerIsBetter).toEqual(["error_shown"])
    for (const change of await changes.all()) {
      const text = ((await change.textContent()) ?? "").trim()
      const expected = text.startsWith("▲") ? "down" : text.startsWith("▼") ? "up" : "same"
      await eventuallyPasses(async () => expect(await change.getAttribute("class")).toContain(expected))
    }
    expect(await violations(page)).toEqual([])
    await mark.and(page.locator("[aria-pressed=true]")).click()
    await page.getByText("Changes in error_shown are neutral").waitFor()
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("the values that explain a change are those that the query type movers returns", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/event?name=order_paid")
    const table = page.getByRole("table", { name: "What explains the change" })
    await table.locator("tbody tr").first().waitFor()
    const rows = await runQuery<{ is_offset: boolean; events: number; previous: { events: number } }>({
      name: "movers",
      limit: 6,
    })
    const shown = (await cellsOf(table)).map((cells) => cells.slice(2, 4).map(numberOf))
    const explaining = rows.filter(({ is_offset }) => !is_offset)
    expect(shown).toEqual(explaining.map(({ events, previous }) => [events, previous.events]))
    await table.getByRole("button", { name: "Share of change" }).click()
    await table.locator("th[aria-sort=descending]", { hasText: "Share of change" }).waitFor()
    expect(await violations(page)).toEqual([])
    await page.goto(`${page.url()}&f=${encodeURIComponent("eq:property.plan:pro")}`)
    // Whether a value explains the change depends on the day of the test.
    await page
      .getByText(/^Events.*( from .+|\. Among these events, no single value explains the change\.)$/)
      .waitFor()
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  const emptyCases = [
    { name: "without a name", query: "", says: "No event selected", offers: "Select event" },
    {
      name: "with an unknown name",
      query: "?name=never_sent",
      says: "No events in this range",
      offers: "Show last 90 days",
    },
    {
      name: "without matching events",
      query: "?name=order_paid&f=eq:property.plan:nobody",
      says: "No events match these filters",
      offers: "Clear filters",
    },
  ]
  test.each(emptyCases)("$name, it shows a message and a next step", async ({ query, says, offers }) => {
    const { page, faults } = await dashboard.open(`/w/SITE/event${query}`)
    await page.getByText(says).waitFor()
    await eventuallyPasses(async () => expect(await page.getByRole("link", { name: offers }).count()).toBe(1))
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("shows an error, loads on retry, and keeps the focus", async () => {
    const { page } = await dashboard.open("/w/SITE/event?name=order_paid")
    await waitForPage(page, "True or false")
    await page.route("**/v1/query?*", async (route) => {
      // Long enough for the skeleton to appear.
      await Bun.sleep(150)
      await route.abort()
    })
    await page.keyboard.press("w")
    const regions = ["Key metrics", "Properties"].map((name) => page.getByRole("region", { name }))
    for (const region of regions) await region.getByText("The server is not responding").waitFor()
    for (const region of regions) {
      await region.getByRole("button", { name: "Retry" }).press("Enter")
      await region.locator(".skeleton").first().waitFor()
      await region.locator("button:focus").waitFor()
    }
    await page.unroute("**/v1/query?*")
    for (const region of regions) {
      await region.getByRole("button", { name: "Retry" }).press("Enter")
      await region.locator(".empty, .skeleton").first().waitFor({ state: "detached" })
      await eventuallyPasses(async () =>
        expect(await region.evaluate((element) => element === document.activeElement)).toBe(true),
      )
    }
    await waitForPage(page, "True or false")
    await dashboard.close(page)
  })

  test("shows the most frequent properties, finds others by search, and shows all", async () => {
    const properties = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`key_${at}`, `value ${at}`]))
    const response = await fetch(`${dashboard.server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}` },
      body: JSON.stringify({ websiteId: dashboard.site, name: "many_keys", properties }),
    })
    expect(response.status).toBe(200)
    const { page } = await dashboard.open("/w/SITE/event?name=many_keys")
    await waitForPage(page, "Show all 40 properties")
    await eventuallyPasses(async () => expect(await page.getByRole("article").count()).toBe(12))
    await page.getByPlaceholder("Search properties").fill("KEY_39")
    await property(page, "key_39").getByRole("button", { name: "value 39" }).waitFor()
    await eventuallyPasses(async () => expect(await page.getByRole("article").count()).toBe(1))
    await page.getByPlaceholder("Search properties").fill("")
    await page.getByRole("button", { name: "Show all 40 properties" }).click()
    await property(page, "key_39").getByRole("button", { name: "value 39" }).waitFor()
    await eventuallyPasses(async () => expect(await page.getByRole("article").count()).toBe(40))
    await dashboard.close(page)
  })

  test("today's chart compares to yesterday up to the current hour", async () => {
    // The hour must not change between this line and the last check.
    const leftOfHour = 3_600_000 - (Date.now() % 3_600_000)
    if (leftOfHour < 10_000) await Bun.sleep(leftOfHour)
    const hour = new Date().getUTCHours()
    const yesterday = { name: "opened", timestamp: `${dayAgo(1)}T${String(hour).padStart(2, "0")}:00:00Z` }
    const response = await fetch(`${dashboard.server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}` },
      body: JSON.stringify(
        [yesterday, { name: "opened" }].map((one) => ({ ...one, websiteId: dashboard.site })),
      ),
    })
    expect(response.status).toBe(200)
    const { page } = await dashboard.open("/w/SITE/event?name=opened&period=today")
    const chart = page.getByRole("figure", { name: "Events over time" })
    await chooseAction(chart, "Show as table")
    const cells = await cellsOf(chart.getByRole("table"))
    const before = cells.map(([, , one]) => one)
    expect(before).toEqual(
      Array.from({ length: 24 }, (_, one) => (one > hour ? "–" : one === hour ? "1" : "0")),
    )
    await dashboard.close(page)
  })
})

function property(page: Page, key: string): Locator {
  return page.getByRole("article", { name: key, exact: true })
}

async function texts(table: Locator): Promise<string[][]> {
  const rows = await table.locator("tbody tr").all()
  return Promise.all(rows.map((row) => row.locator("td").allInnerTexts()))
}

/** The value and event count of each row. */
async function rowsOf(one: Locator): Promise<[string | undefined, number][]> {
  return (await texts(one)).map(([value, count]) => [value, numberOf(count)])
}

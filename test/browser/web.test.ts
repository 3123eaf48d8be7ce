import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Locator, Page } from "playwright-core"
import { eventuallyPasses } from "../harness.ts"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage, waitForQueries } from "./browser.ts"
import { cellsOf, chooseAction, count, dayAgo, numberOf, rate, rowsOf } from "./helpers.ts"

interface Totals {
  pageviews: number
  unique_visitors: number
  sessions: number
  bounce_rate: number
  median_session_duration: number | null
}

type Row = Record<string, string | number | null>

/** Seconds as the page formats them: 2m 20s */
function duration(seconds: number): string {
  const [minutes, rest] = [Math.floor(seconds / 60), Math.floor(seconds % 60)]
  if (minutes === 0) return `${rest}s`
  return rest === 0 ? `${minutes}m` : `${minutes}m ${rest}s`
}

const views = (row: Row) => [row.name, count(Number(row.pageviews)), count(Number(row.visitors))]
const share = (row: Row) => [...views(row), rate(Number(row.percentage))]
/** The tables of the page: panel, tab, query type, and the cells of a row without its change. */
const tables: { panel: string; tab?: string; name: string; cells: (row: Row) => unknown[] }[] = [
  { panel: "Pages", name: "top_pages", cells: views },
  { panel: "Pages", tab: "Entry", name: "entry_pages", cells: views },
  { panel: "Pages", tab: "Exit", name: "exit_pages", cells: views },
  {
    panel: "Pages",
    tab: "Time",
    name: "page_time_analysis",
    cells: (row) => [
      row.name,
      count(Number(row.sessions_with_time)),
      duration(Number(row.median_time_on_page)),
    ],
  },
  {
    panel: "Sources",
    name: "traffic_sources",
    cells: (row) => [
      row.domain && row.referrer_type === "ad" ? `${row.name} (ad)` : row.name,
      ...views(row).slice(1),
    ],
  },
  { panel: "Sources", tab: "Channels", name: "channels", cells: views },
  { panel: "Sources", tab: "Campaign", name: "utm_campaigns", cells: views },
  { panel: "Sources", tab: "Source", name: "utm_sources", cells: views },
  { panel: "Sources", tab: "Medium", name: "utm_mediums", cells: views },
  {
    panel: "Countries",
    name: "country",
    cells: (row) => [row.country_name, ...share(row).slice(1)],
  },
  { panel: "Devices", name: "device_types", cells: share },
  { panel: "Devices", tab: "Browser", name: "browsers", cells: share },
  { panel: "Devices", tab: "System", name: "operating_systems", cells: share },
  { panel: "Devices", tab: "Language", name: "language", cells: share },
  { panel: "Devices", tab: "Screen", name: "screen_resolution", cells: share },
  {
    panel: "Outgoing links",
    name: "outbound_links",
    cells: (row) => [row.href, count(Number(row.total_clicks)), count(Number(row.unique_users))],
  },
]

/**
 * Tables that show no change. The others are queried with a comparison, which sorts equal rows by their previous value.
 */
const uncompared: ReadonlySet<string> = new Set([
  "page_time_analysis",
  "country",
  "device_types",
  "browsers",
  "operating_systems",
  "language",
  "screen_resolution",
])

describe.skipIf(noBrowser)(`the Web page${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard({ pageViews: true })
    await sendAds(dashboard)
  })
  afterAll(async () => {
    await dashboard?.[Symbol.asyncDispose]()
  })

  const totalsFor = async (query: object = {}) => {
    const [totals] = await rowsOf<Totals>(dashboard, { name: "summary_metrics" }, query)
    if (!totals) throw new Error("no totals")
    return [
      count(totals.unique_visitors),
      count(totals.sessions),
      count(totals.pageviews),
      rate(totals.bounce_rate),
      totals.median_session_duration === null ? "–" : duration(totals.median_session_duration),
    ]
  }

  const ranges = [
    { name: "the last 30 days", query: "", body: {} },
    {
      name: "a custom range",
      query: `?from=${dayAgo(20)}&to=${dayAgo(11)}`,
      body: { preset: undefined, startDate: dayAgo(20), endDate: dayAgo(11) },
    },
    {
      name: "a time zone",
      query: "?period=last_7d&tz=Pacific/Auckland",
      body: { preset: "last_7d", timeZone: "Pacific/Auckland" },
    },
    {
      name: "two filters",
      query: "?f=eq:country:DE&f=starts_with:path:/docs",
      body: {
        filters: [
          { field: "country", op: "eq", value: "DE" },
          { field: "path", op: "starts_with", value: "/docs" },
        ],
      },
    },
  ]
  test.each(ranges)("shows the same numbers as the API for $name", async ({ query, body }) => {
    const { page, faults } = await dashboard.open(`/w/SITE/web${query}`)
    await waitForPage(page, "google.com")
    await eventuallyPasses(async () => expect(await statsOf(page)).toEqual(await totalsFor(body)))
    const parameter = { name: "top_pages", limit: 10, compare: "previous_period" }
    const pages = await rowsOf<Row>(dashboard, parameter, body)
    expect(pages.length).toBeGreaterThan(3)
    const shown = await cellsOf(tableIn(page, "Pages"))
    expect(shown.map((cells) => cells.slice(0, 3))).toEqual(pages.map((row) => views(row).map(String)))
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("each table has the rows of its query type", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/web")
    await waitForPage(page, "google.com")
    for (const { panel, tab, name, cells } of tables) {
      if (tab) await panelOf(page, panel).getByRole("button", { name: tab, exact: true }).click()
      await waitForQueries(page)
      const compared = uncompared.has(name) ? {} : { compare: "previous_period" }
      const rows = await rowsOf<Row>(dashboard, { name, limit: 10, ...compared })
      expect(rows).not.toEqual([])
      const expected = rows.map((row) => cells(row).map(String))
      const shown = await cellsOf(tableIn(page, panel))
      expect({ name, rows: shown.map((row, at) => row.slice(0, expected[at]?.length)) }).toEqual({
        name,
        rows: expected,
      })
    }
    expect(new URL(page.url()).searchParams.get("devices")).toBe("screen_resolution")
    expect(await violations(page)).toEqual([])
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test.each(["hourly", "daily", "weekly"])(
    "the chart's %s table has the API's numbers",
    async (granularity) => {
      const period = granularity === "hourly" ? "yesterday" : "last_30d"
      const { page } = await dashboard.open(`/w/SITE/web?period=${period}&by=${granularity}&compare=off`)
      const chart = page.getByRole("figure", { name: "Visitors over time" })
      await chooseAction(chart, "Show as table")
      const shown = await cellsOf(chart.getByRole("table"))
      const rows = await rowsOf<Row>(dashboard, { name: "events_by_date", granularity }, { preset: period })
      expect(shown.map(([, ...numbers]) => numbers.map(numberOf))).toEqual(
        rows.map((row) => [Number(row.visitors)]),
      )
      await dashboard.close(page)
    },
  )

  test("the chart shows the number that is clicked, with the previous period", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/web?period=last_7d")
    const trend = await rowsOf<Row & { previous: Row }>(
      dashboard,
      { name: "events_by_date", granularity: "daily", compare: "previous_period" },
      { preset: "last_7d" },
    )
    const text = (write: (value: number) => string) => (value: Row[string] | undefined) =>
      value == null ? "–" : write(Number(value))
    const numbers = [
      { label: "Sessions", show: "sessions", column: "sessions", write: text(count) },
      { label: "Views", show: "views", column: "pageviews", write: text(count) },
      { label: "Bounce rate", show: "bounces", column: "bounce_rate", write: text(rate) },
      {
        label: "Median duration",
        show: "duration",
        column: "median_session_duration",
        write: text(duration),
      },
      { label: "Visitors", show: null, column: "visitors", write: text(count) },
    ]
    for (const { label, show, column, write } of numbers) {
      const metrics = page.getByRole("region", { name: "Key metrics" })
      await metrics.getByRole("button", { name: label, exact: true }).click()
      const cells = await cellsOf(page.getByRole("figure", { name: `${label} over time` }).getByRole("table"))
      expect(cells.map(([, ...shown]) => shown)).toEqual(
        trend.map((row) => [write(row[column]), write(row.previous[column])]),
      )
      expect(new URL(page.url()).searchParams.get("show")).toBe(show)
    }
    expect(await violations(page)).toEqual([])
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("loads all panels in one request, and another tab in a separate request", async () => {
    const { page } = await dashboard.open("/w/SITE/events")
    await waitForPage(page, "page_viewed")
    const requests: string[][] = []
    page.on("request", (request) => {
      if (!request.url().includes("/v1/query?")) return
      const { parameters } = request.postDataJSON() as { parameters: { name: string }[] }
      requests.push(parameters.map(({ name }) => name))
    })
    await page.getByRole("link", { name: "Web", exact: true }).click()
    await waitForPage(page, "google.com")
    // The events page may still be loading.
    const [loaded = [], ...others] = requests.filter(([name]) => name !== "events" && name !== "movers")
    expect(loaded.toSorted()).toEqual([
      "country",
      "device_types",
      "events_by_date",
      "outbound_links",
      "summary_metrics",
      "top_pages",
      "traffic_sources",
    ])
    expect(others).toEqual([])
    requests.length = 0
    await panelOf(page, "Pages").getByRole("button", { name: "Exit" }).click()
    await waitForQueries(page)
    expect(requests).toEqual([["exit_pages"]])
    await dashboard.close(page)
  })

  test("explains the change of the selected number on request", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/web?period=last_7d&show=sessions")
    await waitForPage(page, "google.com")
    await page.getByRole("button", { name: "Explain the change in sessions" }).click()
    const table = page.getByRole("table", { name: "What explains the change" })
    await table.waitFor()
    await waitForQueries(page)
    const movers = await rowsOf<{ field: string; value: string; sessions: number; is_offset: boolean }>(
      dashboard,
      { name: "movers", kinds: ["page_view"], measures: ["sessions"], limit: 6 },
      { preset: "last_7d" },
    )
    const shown = movers.filter(({ is_offset }) => !is_offset)
    expect(shown.length).toBeGreaterThan(0)
    await eventuallyPasses(async () =>
      expect((await cellsOf(table)).map((cells) => cells[2])).toEqual(
        shown.map(({ sessions }) => count(sessions)),
      ),
    )
    expect(await page.locator(".movers-summary").textContent()).toStartWith("Sessions ")
    expect(await violations(page)).toEqual([])
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  const clicks = [
    {
      panel: "Pages",
      row: "/blog/sqlite",
      chips: ["Path is /blog/sqlite"],
      filters: [{ field: "path", op: "eq", value: "/blog/sqlite" }],
    },
    {
      panel: "Sources",
      row: "google.com",
      chips: ["Referrer domain is google.com", "Referrer type is search"],
      filters: [
        { field: "referrer_domain", op: "eq", value: "google.com" },
        { field: "referrer_type", op: "eq", value: "search" },
      ],
    },
    {
      panel: "Sources",
      row: "google.com (ad)",
      chips: ["Referrer domain is google.com", "Referrer type is ad"],
      filters: [
        { field: "referrer_domain", op: "eq", value: "google.com" },
        { field: "referrer_type", op: "eq", value: "ad" },
      ],
    },
    {
      panel: "Sources",
      row: "Ad",
      chips: ["Referrer domain is not set", "Referrer type is ad"],
      filters: [
        { field: "referrer_domain", op: "exists", value: false },
        { field: "referrer_type", op: "eq", value: "ad" },
      ],
    },
    {
      panel: "Sources",
      row: "Direct",
      chips: ["Referrer type is direct"],
      filters: [{ field: "referrer_type", op: "eq", value: "direct" }],
    },
    {
      panel: "Countries",
      row: "Brazil",
      chips: ["Country is BR"],
      filters: [{ field: "country", op: "eq", value: "BR" }],
    },
    {
      panel: "Devices",
      row: "mobile",
      chips: ["Device is mobile"],
      filters: [{ field: "device_type", op: "eq", value: "mobile" }],
    },
  ]
  test.each(clicks)(
    "a click on $row filters all numbers of the page",
    async ({ panel, row, chips, filters }) => {
      const { page, faults } = await dashboard.open("/w/SITE/web")
      await waitForPage(page, "google.com")
      const value = tableIn(page, panel).getByRole("button", { name: row, exact: true })
      const all = await statsOf(page)
      await value.click()
      for (const chip of chips) await page.getByRole("button", { name: `Edit filter ${chip}` }).waitFor()
      await waitForQueries(page)
      await eventuallyPasses(async () =>
        expect(await value.evaluate((button) => button === document.activeElement)).toBe(true),
      )
      const filtered = await statsOf(page)
      expect(filtered).not.toEqual(all)
      expect(filtered).toEqual(await totalsFor({ filters }))
      const devices = await rowsOf<Row>(dashboard, { name: "device_types" }, { filters })
      await eventuallyPasses(async () =>
        expect(await cellsOf(tableIn(page, "Devices"))).toEqual(
          devices.map((device) => share(device).map(String)),
        ),
      )
      await value.click()
      await page.getByRole("button", { name: /^Edit filter/ }).waitFor({ state: "detached" })
      await waitForQueries(page)
      await eventuallyPasses(async () => expect(await statsOf(page)).toEqual(all))
      expect(faults).toEqual([])
      await dashboard.close(page)
    },
  )

  test("each total shows the change that the API returns, and a higher bounce rate is not an improvement", async () => {
    const { page } = await dashboard.open("/w/SITE/web")
    await waitForPage(page, "google.com")
    const [totals] = await rowsOf<Totals & { previous: Totals }>(dashboard, {
      name: "summary_metrics",
      compare: "previous_period",
    })
    const change = (page: Page, label: string) =>
      page.locator(".stat", { has: page.locator("dt", { hasText: label }) }).locator(".change")
    await eventuallyPasses(async () =>
      expect(await change(page, "Visitors").getAttribute("title")).toBe(
        `Previous period: ${count(totals?.previous.unique_visitors ?? -1)}`,
      ),
    )
    await eventuallyPasses(async () =>
      expect(await change(page, "Median duration").getAttribute("title")).toBe(
        `Previous period: ${duration(totals?.previous.median_session_duration ?? -1)}`,
      ),
    )
    const points = (totals?.bounce_rate ?? 0) - (totals?.previous.bounce_rate ?? 0)
    const color = points > 0 ? "down" : points < 0 ? "up" : "same"
    await eventuallyPasses(async () =>
      expect(await change(page, "Bounce rate").getAttribute("class")).toBe(`change ${color}`),
    )
    await dashboard.close(page)
  })

  test("a table is paginated, and its CSV file has all rows", async () => {
    const { page } = await dashboard.open("/w/SITE/web")
    await waitForPage(page, "google.com")
    const all = await rowsOf<Row>(dashboard, { name: "top_pages", compare: "previous_period" })
    expect(all.length).toBeGreaterThan(10)
    const panel = panelOf(page, "Pages")
    await panel.getByRole("button", { name: "Next page" }).click()
    await panel.getByText(`11 – ${all.length} of ${all.length}`).waitFor()
    await waitForQueries(page)
    const shown = await cellsOf(tableIn(page, "Pages"))
    expect(shown.map(([name]) => name)).toEqual(all.slice(10).map(({ name }) => String(name)))
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      chooseAction(panel, "Download CSV", "top-pages"),
    ])
    const [heading, ...lines] = (await Bun.file(await download.path()).text()).trimEnd().split("\r\n")
    expect(heading).toBe("page,views,visitors")
    expect(lines).toEqual(all.map(({ name, pageviews, visitors }) => `${name},${pageviews},${visitors}`))
    await dashboard.close(page)
  })

  test("a failed query is reported in its panel, and the other panels show their numbers", async () => {
    const { page } = await dashboard.open("/w/SITE/events")
    await waitForPage(page, "page_viewed")
    await page.route("**/v1/query?*", async (route) => {
      const response = await route.fetch()
      const body = (await response.json()) as { data: { parameter: string }[] }
      const data = body.data.map((result) =>
        result.parameter === "country"
          ? { parameter: "country", success: false, data: [], error: "too many values" }
          : result,
      )
      await route.fulfill({ response, json: { ...body, data } })
    })
    await page.getByRole("link", { name: "Web", exact: true }).click()
    await waitForPage(page, "google.com")
    await panelOf(page, "Countries").getByRole("alert").getByText("Too many values").waitFor()
    await eventuallyPasses(async () => expect(await page.getByRole("alert").count()).toBe(1))
    await eventuallyPasses(async () => expect(await statsOf(page)).toEqual(await totalsFor()))
    await dashboard.close(page)
  })

  test("the map colors the countries of the table", async () => {
    const { page } = await dashboard.open("/w/SITE/web")
    await waitForPage(page, "google.com")
    const [first] = await rowsOf<Row>(dashboard, { name: "country", sortBy: "visitors" })
    const outline = page.locator(".web-map path", {
      has: page.locator(`title:text("${first?.country_name}: ${first?.visitors} visitors")`),
    })
    await outline.waitFor({ state: "attached" })
    expect(await outline.evaluate((path: SVGPathElement) => path.style.getPropertyValue("--share"))).toBe(
      "100%",
    )
    await dashboard.close(page)
  })

  test("a website opens with this page if it has page views, and otherwise with the overview", async () => {
    const { website } = await dashboard.api<{ website: { id: string } }>("websites", {
      method: "POST",
      body: JSON.stringify({ domain: "other.example" }),
    })
    const { page, faults } = await dashboard.open("/")
    await page.getByRole("heading", { level: 1, name: "Web" }).waitFor()
    expect(new URL(page.url()).pathname).toBe(`/w/${dashboard.site}/web`)
    await page.getByRole("link", { name: "Overview" }).click()
    await waitForPage(page, "page_viewed")
    await page.goto(`/w/${website.id}?period=last_7d`)
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
    expect(page.url()).toEndWith(`/w/${website.id}/overview?period=last_7d`)
    await page.getByRole("link", { name: "Web", exact: true }).click()
    await page.getByText("No page views yet").waitFor()
    await eventuallyPasses(async () => expect(await page.locator(".stat-value").count()).toBe(0))
    expect(await violations(page)).toEqual([])
    await page.getByRole("link", { name: "Show setup instructions" }).click()
    expect(new URL(page.url()).pathname).toBe(`/w/${website.id}/install`)
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a visitor with a page view in the last five minutes counts as active", async () => {
    const response = await fetch(`${dashboard.server.url}/batch?client_id=${dashboard.site}`, {
      method: "POST",
      headers: { origin: "http://localhost" },
      body: JSON.stringify([
        { eventId: "now", name: "screen_view", path: "http://localhost/now", anonymousId: "reading now" },
      ]),
    })
    expect(response.status).toBe(200)
    const query = {
      preset: undefined,
      startDate: new Date(Date.now() - 300_000).toISOString(),
      endDate: new Date(Date.now() + 60_000).toISOString(),
    }
    const active = async (kinds: string[]) =>
      (await rowsOf<Row>(dashboard, { name: "events", measures: ["users"], kinds }, query))[0]?.users
    const all = Number(await active(["custom", "page_view", "page_exit", "outgoing_link"]))
    expect(all).toBeGreaterThan(Number(await active(["custom"])))
    const { page } = await dashboard.open("/w/SITE/web")
    await page.getByText(`${all} active now`).waitFor()
    await dashboard.close(page)
  })

  test("a range without page views offers a longer one", async () => {
    const { page } = await dashboard.open(`/w/SITE/web?from=${dayAgo(300)}&to=${dayAgo(290)}`)
    await page.getByText("No events in this range").waitFor()
    await eventuallyPasses(async () => expect(await statsOf(page)).toEqual(["0", "0", "0", "0.0%", "–"]))
    await page.getByRole("link", { name: "Show last 90 days" }).click()
    await waitForPage(page, "google.com")
    await dashboard.close(page)
  })
})

/** Sends page views of two visitors who came from ads: one with a referrer, one without. */
async function sendAds({ server, site }: Dashboard): Promise<void> {
  const item = {
    name: "screen_view",
    path: "http://localhost/?gclid=g1",
    timestamp: Date.now() - 2 * 86_400_000,
  }
  const referrers = ["https://www.google.com/", "direct"]
  const response = await fetch(`${server.url}/batch?client_id=${site}`, {
    method: "POST",
    headers: {
      origin: "http://localhost",
      "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    },
    body: JSON.stringify(
      referrers.map((referrer, at) => ({
        ...item,
        referrer,
        eventId: `ad ${at}`,
        anonymousId: `ad ${at}`,
        sessionId: `ad ${at}`,
      })),
    ),
  })
  expect(response.status).toBe(200)
}

async function statsOf(page: Page): Promise<string[]> {
  await page.locator(".stat-value").first().waitFor()
  return page.locator(".stat-value").allTextContents()
}

function panelOf(page: Page, title: string): Locator {
  return page.getByRole("region", { name: title, exact: true })
}

function tableIn(page: Page, panel: string): Locator {
  return panelOf(page, panel).getByRole("table")
}

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { eventuallyPasses } from "../harness.ts"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage, waitForQueries } from "./browser.ts"
import { cellsOf, count, rowsOf, totalsOf } from "./helpers.ts"
import { sendQuality } from "./page-quality.ts"
import { cartError } from "./pages.ts"

interface Group {
  "property.message": string
  "property.filename": string | null
  "property.lineno": string | null
  events: number
  users: number
  sessions: number
}

const counts = { name: "events", kinds: ["error"], measures: ["events", "users", "sessions"] }
const cartFilters = [
  { field: "property.message", op: "eq", value: "TypeError: cart.items is undefined" },
  { field: "property.lineno", op: "eq", value: "214" },
]

describe.skipIf(noBrowser)(`the errors page${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard({ days: 0 })
    await sendQuality(dashboard.server.url, dashboard.site, 20)
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  test("shows the same groups and totals as the API, sorted by any count", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/errors?compare=off")
    await waitForPage(page, "cart.items")
    const [totals] = await rowsOf<Group>(dashboard, counts)
    await eventuallyPasses(async () =>
      expect(await totalsOf(page)).toEqual([totals?.events ?? 0, totals?.users ?? 0, totals?.sessions ?? 0]),
    )
    const by = ["property.message", "property.filename", "property.lineno"]
    const table = page.getByRole("table", { name: "All errors" })
    const shown = async () =>
      (await cellsOf(table)).map((cells) => cells.slice(0, 4).map((cell) => cell.trim()))
    const expected = (groups: Group[]) =>
      groups.map((group) => {
        const file = group["property.filename"]?.replace("https://", "")
        const place = file === undefined ? "" : ` ${file}:${group["property.lineno"]}`
        return [
          `${group["property.message"]}${place}`,
          count(group.events),
          count(group.users),
          count(group.sessions),
        ]
      })
    const groups = await rowsOf<Group>(dashboard, { ...counts, by })
    expect(groups).toHaveLength(4)
    await eventuallyPasses(async () => expect(await shown()).toEqual(expected(groups)))
    await page.getByRole("button", { name: "Visitors" }).click()
    await page.getByRole("button", { name: "Visitors" }).click()
    await page.waitForURL(/order=asc/)
    await waitForQueries(page)
    await eventuallyPasses(async () =>
      expect(await shown()).toEqual(
        expected(await rowsOf<Group>(dashboard, { ...counts, by, sortBy: "users", sortOrder: "asc" })),
      ),
    )
    const pages = await rowsOf<{ name: string; errors: number; users: number }>(dashboard, {
      name: "errors_by_page",
    })
    await eventuallyPasses(async () =>
      expect(await cellsOf(page.getByRole("table", { name: "Pages with errors" }))).toEqual(
        pages.map((row) => [row.name, count(row.errors), count(row.users)]),
      ),
    )
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("an error leads to its stack, its pages and its visitors", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/errors")
    await page.getByRole("link", { name: "TypeError: cart.items is undefined" }).click()
    await waitForPage(page, "at render")
    expect(new URL(page.url()).searchParams.get("error")).toBe(cartError)
    const [totals] = await rowsOf<Group>(dashboard, { ...counts, filters: cartFilters })
    await eventuallyPasses(async () =>
      expect(await totalsOf(page)).toEqual([totals?.events ?? 0, totals?.users ?? 0, totals?.sessions ?? 0]),
    )
    await eventuallyPasses(async () =>
      expect(await page.locator("pre").textContent()).toContain(
        "at total (https://localhost/assets/cart.js:214:17)",
      ),
    )
    await eventuallyPasses(async () =>
      expect(await page.getByRole("table", { name: "Pages with errors" }).locator("tbody tr").count()).toBe(
        1,
      ),
    )
    const latest = await rowsOf<{ anonymous_id: string; path: string }>(dashboard, {
      name: "recent_errors",
      limit: 20,
      filters: cartFilters,
    })
    const table = page.getByRole("table", { name: "Latest errors" })
    expect((await cellsOf(table)).map((cells) => [cells[1], cells[2]])).toEqual(
      latest.map((row) => [row.path, row.anonymous_id]),
    )
    await page.getByRole("link", { name: `Show ${totals?.users} visitors` }).click()
    await page.getByRole("table", { name: "Visitors" }).waitFor()
    await waitForQueries(page)
    await eventuallyPasses(async () =>
      expect(await page.getByRole("table", { name: "Visitors" }).locator("tbody tr").count()).toBe(
        totals?.users ?? 0,
      ),
    )
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a search finds messages, and a range without errors shows how to report them", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/errors")
    await waitForPage(page, "cart.items")
    await page.keyboard.press("/")
    await page.keyboard.type("resize")
    await page.getByRole("link", { name: "cart.items" }).waitFor({ state: "detached" })
    await eventuallyPasses(async () =>
      expect(await page.getByRole("table", { name: "All errors" }).locator("tbody tr").count()).toBe(1),
    )
    await page.keyboard.type("zz")
    await page.getByText("No messages contain “resizezz”").waitFor()
    await page.goto(`/w/${dashboard.site}/errors?from=2020-01-01&to=2020-01-02`)
    await page.getByText("data-track-errors").waitFor()
    expect(await violations(page)).toEqual([])
    await page.getByRole("link", { name: "Setup instructions" }).click()
    await page.getByText("Receiving events").waitFor()
    expect(faults).toEqual([])
    await dashboard.close(page)
  })
})

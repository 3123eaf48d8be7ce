import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { eventuallyPasses } from "../harness.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage } from "./browser.ts"
import { count, rate, rowsOf } from "./helpers.ts"

interface PlaceRow {
  place: number
  event_name: string | null
  sessions: number
  percentage: number
}

describe.skipIf(noBrowser)(`paths${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard()
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const cases = [
    { name: "three steps on each side", query: "", before: 3, after: 3 },
    { name: "five before and none after", query: "&before=5&after=0", before: 5, after: 0 },
  ]
  test.each(cases)("shows the same numbers as the API for $name", async ({ query, before, after }) => {
    const { page, faults } = await dashboard.open(`/w/SITE/paths?step=product_viewed${query}`)
    await waitForPage(page, "1 step before")
    const rows = await rowsOf<PlaceRow>(dashboard, {
      name: "paths",
      steps: ["product_viewed"],
      before,
      after,
    })
    for (const [title, place] of Object.entries(titles)) {
      const rowsOfPlace = rows.filter((row) => row.place === place)
      // Session starts and ends come first.
      const sorted = [...rowsOfPlace].sort(
        (a, b) => Number(b.event_name === null) - Number(a.event_name === null),
      )
      await eventuallyPasses(async () =>
        expect(await columnOf(page, title)).toEqual(
          sorted.map(({ event_name, sessions, percentage }) => [
            event_name ?? (place < 0 ? "Session start" : "Session end"),
            count(sessions),
            rate(percentage),
          ]),
        ),
      )
    }
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("clicking an event shows its paths", async () => {
    const { page } = await dashboard.open("/w/SITE/paths?step=product_viewed")
    await waitForPage(page, "1 step after")
    await page.getByRole("link", { name: "cart_filled" }).first().click()
    await page.locator(".paths-event", { hasText: "cart_filled" }).waitFor()
    await waitForPage(page, "1 step after")
    const rows = await rowsOf<PlaceRow>(dashboard, { name: "paths", steps: ["cart_filled"] })
    const all = rows.filter(({ place }) => place === 1).reduce((sum, { sessions }) => sum + sessions, 0)
    await eventuallyPasses(async () =>
      expect(await page.locator(".paths-middle").textContent()).toContain(`${count(all)} sessions`),
    )
    expect(new URL(page.url()).searchParams.getAll("step")).toEqual(["cart_filled"])
    await dashboard.close(page)
  })

  test("events beyond the number of rows per step are combined in one row", async () => {
    await send(
      dashboard,
      Array.from({ length: 12 }, (_, index) => [`rare_${index}`, "middle"]),
    )
    const { page } = await dashboard.open("/w/SITE/paths?step=middle&before=1&after=1")
    await waitForPage(page, "1 step before")
    expect((await columnOf(page, "1 step before")).at(-1)).toEqual(["4 others", "4", "33.3%"])
    await page.getByLabel("Rows per step").selectOption("20")
    await page.getByRole("link", { name: "rare_11" }).waitFor()
    await eventuallyPasses(async () => expect(await columnOf(page, "1 step before")).toHaveLength(12))
    await dashboard.close(page)
  })

  test("a name with HTML is shown as text", async () => {
    const name = "<img src=x onerror=alert(1)>"
    await send(dashboard, [[name, "looked"]])
    const { page, faults } = await dashboard.open("/w/SITE/paths?step=looked")
    await waitForPage(page, "1 step before")
    expect((await columnOf(page, "1 step before"))[0]?.[0]).toBe(name)
    await eventuallyPasses(async () => expect(await page.locator("main img").count()).toBe(0))
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a report can start with a suggested event", async () => {
    const { page } = await dashboard.open("/w/SITE/paths")
    await page.getByRole("button", { name: "page_viewed" }).click()
    await waitForPage(page, "1 step before")
    expect(new URL(page.url()).searchParams.getAll("step")).toEqual(["page_viewed"])
    await dashboard.close(page)
  })
})

const titles: Record<string, number> = {
  "5 steps before": -5,
  "4 steps before": -4,
  "3 steps before": -3,
  "2 steps before": -2,
  "1 step before": -1,
  "1 step after": 1,
  "2 steps after": 2,
  "3 steps after": 3,
}

/** Name, sessions and share of each entry in a column; [] if there is no such column. */
async function columnOf(page: Page, title: string): Promise<string[][]> {
  const heading = page.getByRole("heading", { name: title, exact: true })
  const entries = await page.locator(".paths-places section").filter({ has: heading }).locator("li").all()
  return Promise.all(
    entries.map(async (entry) => {
      const texts = await entry.locator(".paths-name, .paths-figures > span").allTextContents()
      return texts.map((text) => text.replace(" sessions,", "").trim())
    }),
  )
}

/** Sends one session per list of names, with one event per second. */
async function send({ server, site }: Dashboard, sessions: string[][]): Promise<void> {
  const now = Date.now() - 60_000
  const body = sessions.flatMap((names) => {
    const sessionId = crypto.randomUUID()
    return names.map((name, index) => ({
      name,
      sessionId,
      anonymousId: sessionId,
      websiteId: site,
      timestamp: now + index * 1_000,
    }))
  })
  const headers = { authorization: `Bearer ${server.key}` }
  const response = await fetch(`${server.url}/track`, { method: "POST", headers, body: JSON.stringify(body) })
  expect(response.status).toBe(200)
}

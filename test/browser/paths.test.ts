import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { count, rate, rowsOf } from "./asked.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, whole } from "./browser.ts"

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

  const questions = [
    { name: "three places on each side", query: "", before: 3, after: 3 },
    { name: "five before and none after", query: "&before=5&after=0", before: 5, after: 0 },
  ]
  test.each(questions)("has the API's numbers of $name", async ({ query, before, after }) => {
    const { page, faults } = await dashboard.open(`/w/SITE/paths?step=product_viewed${query}`)
    await whole(page, "Just before")
    const rows = await rowsOf<PlaceRow>(dashboard, {
      name: "paths",
      steps: ["product_viewed"],
      before,
      after,
    })
    for (const [title, place] of Object.entries(titles)) {
      const there = rows.filter((row) => row.place === place)
      // Where sessions begin or end comes first.
      const sorted = [...there].sort((a, b) => Number(b.event_name === null) - Number(a.event_name === null))
      expect(await columnOf(page, title)).toEqual(
        sorted.map(({ event_name, sessions, percentage }) => [
          event_name ?? (place < 0 ? "Session began" : "Session ended"),
          count(sessions),
          rate(percentage),
        ]),
      )
    }
    expect(faults).toEqual([])
    await page.context().close()
  })

  test("a name that is clicked comes into the middle", async () => {
    const { page } = await dashboard.open("/w/SITE/paths?step=product_viewed")
    await whole(page, "Just after")
    await page.getByRole("link", { name: "cart_filled" }).first().click()
    await page.locator(".paths-event", { hasText: "cart_filled" }).waitFor()
    await whole(page, "Just after")
    const rows = await rowsOf<PlaceRow>(dashboard, { name: "paths", steps: ["cart_filled"] })
    const all = rows.filter(({ place }) => place === 1).reduce((sum, { sessions }) => sum + sessions, 0)
    expect(await page.locator(".paths-middle").textContent()).toContain(`${count(all)} sessions`)
    expect(new URL(page.url()).searchParams.getAll("step")).toEqual(["cart_filled"])
    await page.context().close()
  })

  test("names beyond those of a column are one, with their sum", async () => {
    await send(
      dashboard,
      Array.from({ length: 12 }, (_, index) => [`rare_${index}`, "middle"]),
    )
    const { page } = await dashboard.open("/w/SITE/paths?step=middle&before=1&after=1")
    await whole(page, "Just before")
    expect((await columnOf(page, "Just before")).at(-1)).toEqual(["4 others", "4", "33.3%"])
    await page.getByLabel("Names in a column").selectOption("20")
    await page.getByRole("link", { name: "rare_11" }).waitFor()
    expect(await columnOf(page, "Just before")).toHaveLength(12)
    await page.context().close()
  })

  test("a name is only ever text", async () => {
    const name = "<img src=x onerror=alert(1)>"
    await send(dashboard, [[name, "looked"]])
    const { page, faults } = await dashboard.open("/w/SITE/paths?step=looked")
    await whole(page, "Just before")
    expect((await columnOf(page, "Just before"))[0]?.[0]).toBe(name)
    expect(await page.locator("main img").count()).toBe(0)
    expect(faults).toEqual([])
    await page.context().close()
  })

  test("begins from an event that there is", async () => {
    const { page } = await dashboard.open("/w/SITE/paths")
    await page.getByRole("button", { name: "page_viewed" }).click()
    await whole(page, "Just before")
    expect(new URL(page.url()).searchParams.getAll("step")).toEqual(["page_viewed"])
    await page.context().close()
  })
})

const titles: Record<string, number> = {
  "5 before": -5,
  "4 before": -4,
  "3 before": -3,
  "2 before": -2,
  "Just before": -1,
  "Just after": 1,
  "2 after": 2,
  "3 after": 3,
}

/** Name, sessions and share of each entry below a title; none where there is no such column. */
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

/** A session for each list of names, an event a second. */
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

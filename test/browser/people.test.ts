import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, owner, skipped, whole } from "./browser.ts"

interface Visitor {
  anonymous_id: string
  profile_id: string | null
  events: number
  sessions: number
}

describe.skipIf(noBrowser)(`people${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard()
    for (let number = 0; number < 60; number += 3) {
      await post("/identify", {
        profileId: `customer-${number}`,
        anonymousId: `visitor-${number}`,
        websiteId: dashboard.site,
        traits: { name: `Customer ${number}`, email: `c${number}@example.com`, plan: "pro" },
      })
    }
    await post("/track", [
      { name: "before_login", anonymousId: "visitor-3", websiteId: dashboard.site },
      { name: "html", anonymousId: "<b>bold</b>", websiteId: dashboard.site },
    ])
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const post = async (path: string, body: unknown) => {
    const response = await fetch(`${dashboard.server.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    })
    expect(response.status).toBe(200)
  }
  const asked = async <Row>(parameter: object, query: object = {}) => {
    const { data } = await dashboard.api<{ data: { data: Row[]; meta: { total: number } }[] }>(
      `query?website_id=${dashboard.site}`,
      { method: "POST", body: JSON.stringify({ parameters: [parameter], ...query }) },
    )
    return { rows: data[0]?.data ?? [], total: data[0]?.meta.total ?? -1 }
  }

  const eventsNaming = async (profile: string) => {
    const { rows } = await asked<{ events: number }>(
      { name: "events", measures: ["events"] },
      { filters: [{ field: "profile_id", op: "eq", value: profile }], preset: "last_365d" },
    )
    return rows[0]?.events ?? -1
  }

  const lists = [
    { name: "the last 30 days", query: "", parameter: {}, body: {} },
    { name: "last week", query: "?period=last_week", parameter: {}, body: { preset: "last_week" } },
    {
      name: "a filter and a second page",
      query: "?f=eq:event_name:page_viewed&page=2",
      parameter: { page: 2 },
      body: { filters: [{ field: "event_name", op: "eq", value: "page_viewed" }] },
    },
    { name: "a search", query: "?search=or-11", parameter: { search: "or-11" }, body: {} },
  ]
  test.each(lists)("visitors are those of the API: $name", async ({ query, parameter, body }) => {
    const { page, faults } = await dashboard.open(`/w/SITE/people${query}`)
    await whole(page, "visitor-")
    const { rows, total } = await asked<Visitor>({ name: "people", limit: 50, ...parameter }, body)
    const shown = await rowsOf(page, "Visitors")
    expect(shown.map((row) => row.slice(0, 4))).toEqual(
      rows.map((row) => [row.anonymous_id, row.profile_id ?? "", String(row.events), String(row.sessions)]),
    )
    expect(await page.locator(".pager").textContent()).toContain(`of ${total.toLocaleString("en")}`)
    expect(faults).toEqual([])
    await page.context().close()
  })

  test("a search by the keyboard alone, and the way back", async () => {
    const { page } = await dashboard.open("/w/SITE/people")
    await whole(page, "visitor-")
    await page.keyboard.press("/")
    await page.keyboard.type("<b>b")
    await page.getByRole("link", { name: "<b>bold</b>" }).waitFor()
    await page.waitForURL((url) => url.searchParams.get("search") === "<b>b")
    await page.keyboard.type("nobody")
    await page.getByText("No visitor fits “<b>bnobody”").waitFor()
    await page.getByRole("link", { name: "Show all" }).click()
    await whole(page, "visitor-")
    await page.context().close()
  })

  test("profiles are those of the API, and found by what is known of them", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/people")
    await whole(page, "visitor-")
    await page.getByRole("link", { name: "Profiles" }).click()
    await whole(page, "Customer 57")
    const { profiles } = await dashboard.api<{ profiles: { name: string; profileId: string }[] }>(
      `profiles?website_id=${dashboard.site}`,
    )
    const shown = await rowsOf(page, "Profiles")
    expect(shown.map(([name, id]) => [name, id])).toEqual(profiles.map((one) => [one.name, one.profileId]))
    await page.keyboard.press("/")
    await page.keyboard.type("C12@EXAMPLE")
    await page.getByText("1 – 1 of 1").waitFor()
    await page.getByRole("link", { name: "Customer 12" }).click()
    await page.getByRole("heading", { level: 1, name: "Customer 12" }).waitFor()
    expect(faults).toEqual([])
    await page.context().close()
  })

  test("of a visitor there is all that is known, and each event in its place", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/person?visitor=visitor-3")
    await whole(page, "customer-3")
    const own = { filters: [{ field: "anonymous_id", op: "eq", value: "visitor-3" }] }
    const { rows: all } = await asked<{ events: number; sessions: number }>(
      { name: "events", measures: ["events", "sessions"] },
      { ...own, preset: "last_365d" },
    )
    expect(await fact(page, "Events")).toBe(String(all[0]?.events))
    expect(await fact(page, "Sessions")).toBe(String(all[0]?.sessions))
    expect(await fact(page, "plan")).toBe("pro")
    const { rows: events } = await asked<{ event_name: string; timestamp: string }>(
      { name: "person", anonymousId: "visitor-3", limit: 100 },
      { preset: "last_30d" },
    )
    const shown = await page
      .locator(".event-row")
      .evaluateAll((elements) =>
        elements.map((element) => [
          element.querySelector(".event-name")?.textContent,
          element.querySelector("time")?.dateTime,
        ]),
      )
    expect(shown).toEqual(events.map((row) => [row.event_name, row.timestamp]))
    const days = await page.locator(".person-day h3").count()
    expect(days).toBe(new Set(events.map(({ timestamp }) => timestamp.slice(0, 10))).size)
    expect(faults).toEqual([])
    await page.context().close()
  })

  test("older events come when somebody asks for them", async () => {
    const { page } = await dashboard.open("/w/SITE/person?visitor=visitor-0&period=last_90d")
    await whole(page, "customer-0")
    const rows = page.locator(".event-row")
    const { rows: all } = await asked<object>(
      { name: "person", anonymousId: "visitor-0", limit: 1_000 },
      { preset: "last_90d" },
    )
    expect(await rows.count()).toBe(100)
    for (let count = 200; count < all.length + 100; count += 100) {
      await page.getByRole("button", { name: "Show older events" }).click()
      await rows.nth(Math.min(count, all.length) - 1).waitFor()
    }
    expect(await rows.count()).toBe(all.length)
    expect(await page.getByRole("button", { name: "Show older events" }).count()).toBe(0)
    await page.context().close()
  })

  test("a person who was not there in the range leads to when they were, and nobody to nothing", async () => {
    const { page } = await dashboard.open("/w/SITE/person?visitor=visitor-0&from=2020-01-01&to=2020-01-31")
    await page.getByRole("link", { name: /Look at the 30 days until/ }).click()
    await page.locator(".event-row").first().waitFor()
    await page.goto(`${dashboard.server.url}/w/${dashboard.site}/person?visitor=nobody-at-all`)
    await page.getByText("No event names this visitor").waitFor()
    expect(await violations(page)).toEqual([])
    await page.context().close()
  })

  test("the export is a file of one person", async () => {
    const { page } = await dashboard.open("/w/SITE/person?profile=customer-6")
    // What comes above moves the link, from under a pointer that is down.
    await whole(page, "Customer 6")
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Export" }).click(),
    ])
    const lines = (await Bun.file(await download.path()).text()).trim().split("\n")
    const kinds = lines.map((line) => JSON.parse(line))
    expect(kinds.find(({ type }) => type === "profile").profile_id).toBe("customer-6")
    expect(kinds.at(-1).type).toBe("end")
    await page.context().close()
  })

  test("a profile has what its visitor did before it was known", async () => {
    const { page } = await dashboard.open("/w/SITE/person?profile=customer-3")
    await whole(page, "Customer 3")
    await page.locator(".event-name", { hasText: "before_login" }).first().waitFor()
    await page.context().close()
  })

  test("a person is forgotten after a question that says what goes", async () => {
    const { page } = await dashboard.open("/w/SITE/person?profile=customer-3")
    await whole(page, "Customer 3")
    const theirs = Number(await fact(page, "Events"))
    await page.getByRole("button", { name: "Forget…" }).click()
    const question = page.getByRole("dialog", { name: "Forget this profile?" })
    await question.getByText(`${theirs} events that name it, or name no profile`).waitFor()
    expect(theirs).toBe((await eventsNaming("customer-3")) + 1)
    expect(await violations(page)).toEqual([])
    await question.getByRole("button", { name: "Cancel" }).click()
    await question.waitFor({ state: "detached" })
    await page.getByRole("button", { name: "Forget…" }).click()
    await question.getByRole("button", { name: "Forget" }).click()
    const done = page.getByRole("dialog", { name: "Forgotten" })
    await done.getByText(`Deleted: ${theirs} events, 1 profile and 1 link.`).waitFor()
    await done.getByRole("button", { name: "To the people" }).click()
    await whole(page, "visitor-")
    expect(await eventsNaming("customer-3")).toBe(0)
    await page.context().close()
  })

  test("all websites together forget nobody, and viewers neither export nor forget", async () => {
    const { page } = await dashboard.open("/w/all/person?visitor=visitor-9")
    await page.getByText("A person is exported and forgotten for one website: choose it first.").waitFor()
    expect(await page.getByRole("button", { name: "Forget…" }).count()).toBe(0)
    await page.context().close()
    const cookie = await viewer()
    const { page: theirs } = await dashboard.open("/", { isLoggedIn: false })
    await theirs.context().addCookies([{ ...cookie, url: dashboard.server.url }])
    await theirs.goto(`/w/${dashboard.site}/person?visitor=visitor-9`)
    await whole(theirs, "customer-9")
    expect(await theirs.getByText("Export and forget").count()).toBe(0)
    await theirs.context().close()
  })

  /** The cookie of somebody who may read alone. */
  const viewer = async () => {
    const { invite } = await dashboard.api<{ invite: { path: string } }>("users", {
      method: "POST",
      body: JSON.stringify({ email: "viewer@example.com", role: "viewer", websites: [dashboard.site] }),
    })
    const response = await fetch(
      `${dashboard.server.url}/v1${invite.path.replace("/invite/", "/invites/")}`,
      {
        method: "POST",
        headers: { "x-databuddy-page": "1", "content-type": "application/json" },
        body: JSON.stringify({ password: owner.password }),
      },
    )
    const [name = "", value = ""] = response.headers.get("set-cookie")?.split(";")[0]?.split("=") ?? []
    return { name, value }
  }
})

async function rowsOf(page: Page, table: string): Promise<string[][]> {
  const rows = await page.getByRole("table", { name: table }).locator("tbody tr").all()
  return Promise.all(
    rows.map(async (row) => (await row.locator("td").allInnerTexts()).map((one) => one.trim())),
  )
}

/** What a list of facts says of one. */
async function fact(page: Page, name: string): Promise<string> {
  const row = page.locator(".person-facts > div", { has: page.getByText(name, { exact: true }) })
  return (await row.locator("dd").first().textContent())?.trim() ?? ""
}

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { eventuallyPasses } from "../harness.ts"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, owner, skipped, waitForPage } from "./browser.ts"

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
  const runQuery = async <Row>(parameter: object, query: object = {}) => {
    const { data } = await dashboard.api<{ data: { data: Row[]; meta: { total: number } }[] }>(
      `query?website_id=${dashboard.site}`,
      { method: "POST", body: JSON.stringify({ parameters: [parameter], ...query }) },
    )
    return { rows: data[0]?.data ?? [], total: data[0]?.meta.total ?? -1 }
  }

  const eventsNaming = async (profile: string) => {
    const { rows } = await runQuery<{ events: number }>(
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
  test.each(lists)("lists the same visitors as the API for $name", async ({ query, parameter, body }) => {
    const { page, faults } = await dashboard.open(`/w/SITE/people${query}`)
    await waitForPage(page, "visitor-")
    const { rows, total } = await runQuery<Visitor>({ name: "people", limit: 50, ...parameter }, body)
    const { profiles } = await dashboard.api<{ profiles: { name: string; profileId: string }[] }>(
      `profiles?website_id=${dashboard.site}`,
    )
    const names = new Map(profiles.map((one) => [one.profileId, one.name]))
    const expected = rows.map((row) => [
      row.anonymous_id,
      names.get(row.profile_id ?? "") ?? row.profile_id ?? "",
      String(row.events),
      String(row.sessions),
    ])
    // A name replaces the ID of its profile once it is loaded.
    const named = expected.find(([, profile = ""]) => profile.startsWith("Customer "))?.[1]
    if (named) await page.getByRole("link", { name: named, exact: true }).first().waitFor()
    const shown = await rowsOf(page, "Visitors")
    expect(shown.map((row) => row.slice(0, 4))).toEqual(expected)
    await eventuallyPasses(async () =>
      expect(await page.locator(".pager").textContent()).toContain(`of ${total.toLocaleString("en")}`),
    )
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a visitor's timeline names the profile of each event", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/person?visitor=visitor-30&period=last_365d")
    const link = page.locator(".event-row").getByRole("link", { name: "Profile Customer 30" }).first()
    await link.waitFor()
    expect(await violations(page)).toEqual([])
    await link.click()
    await page.getByRole("heading", { level: 1, name: "Customer 30" }).waitFor()
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("the list can be searched with the keyboard only, and the search can be cleared", async () => {
    const { page } = await dashboard.open("/w/SITE/people")
    await waitForPage(page, "visitor-")
    await page.keyboard.type("<b>b")
    await page.getByRole("link", { name: "<b>bold</b>" }).waitFor()
    await page.waitForURL((url) => url.searchParams.get("search") === "<b>b")
    await page.keyboard.type("nobody")
    await page.getByText("No visitors match “<b>bnobody”").waitFor()
    await page.getByRole("link", { name: "Show all" }).click()
    await waitForPage(page, "visitor-")
    await dashboard.close(page)
  })

  test("an email typed right after the page opens is searched and triggers no shortcuts", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/overview")
    await waitForPage(page, "page_viewed")
    await page.getByRole("link", { name: "People" }).click()
    await page.getByRole("searchbox").waitFor()
    // Typed as c, 1, 2 …: without focus, c would end the comparison, and x, m and . would change filters and range.
    await page.keyboard.type("c12@example.com")
    await page.waitForURL((url) => url.search === `?search=${encodeURIComponent("c12@example.com")}`)
    await page.getByRole("link", { name: "Customer 12" }).waitFor()
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("one search finds profiles by name and email, and visitors by ID", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/people")
    await waitForPage(page, "visitor-")
    const search = page.getByRole("searchbox", { name: "Search by name, email or ID" })
    await search.fill("C12@example")
    await page.getByRole("table", { name: "Profiles" }).waitFor()
    expect((await rowsOf(page, "Profiles")).map(([name]) => name)).toEqual(["Customer 12"])
    await page.getByText("No visitor ID contains “C12@example”. The profiles above match.").waitFor()
    expect(await page.getByText("No visitors match").count()).toBe(0)
    await search.fill("customer")
    await page.getByRole("link", { name: "All 20" }).waitFor()
    await eventuallyPasses(async () => expect(await rowsOf(page, "Profiles")).toHaveLength(5))
    expect(await violations(page)).toEqual([])
    await search.fill("visitor-12")
    await page.getByText("1 – 11 of 11").waitFor()
    expect((await rowsOf(page, "Profiles")).map(([name]) => name)).toEqual(["Customer 12"])
    await search.fill("customer")
    await page.getByRole("link", { name: "All 20" }).click()
    await page.getByText("1 – 20 of 20").waitFor()
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  const found = [
    { name: "name", typed: "customer 15", heading: "Customer 15" },
    { name: "email", typed: "C18@EXAMPLE", heading: "Customer 18" },
    { name: "profile ID", typed: "customer-21", heading: "Customer 21" },
    { name: "visitor ID", typed: "<b>bold", heading: "<b>bold</b>" },
  ]
  test.each(found)("the command palette finds a person by $name", async ({ typed, heading }) => {
    const { page, faults } = await dashboard.open("/w/SITE/overview?f=eq:property.plan:pro")
    await page.locator(".stat-value").first().waitFor()
    await page.keyboard.press("Control+k")
    const palette = page.getByRole("dialog", { name: "Search" })
    const field = palette.getByRole("combobox")
    expect(await field.getAttribute("placeholder")).toContain("person by name or email")
    await page.keyboard.type(typed)
    await page.getByRole("option").getByText(heading).first().waitFor()
    expect(await violations(page, "all", palette)).toEqual([])
    await page.keyboard.press("Enter")
    await page.getByRole("heading", { level: 1, name: heading }).waitFor()
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("lists the same profiles as the API, and finds them by name, email and ID", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/people")
    await waitForPage(page, "visitor-")
    await page.getByRole("link", { name: "Profiles" }).click()
    await waitForPage(page, "Customer 57")
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
    await dashboard.close(page)
  })

  test("a visitor's page shows totals, traits and a timeline", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/person?visitor=visitor-3")
    await waitForPage(page, "customer-3")
    const own = { filters: [{ field: "anonymous_id", op: "eq", value: "visitor-3" }] }
    const { rows: all } = await runQuery<{ events: number; sessions: number }>(
      { name: "events", measures: ["events", "sessions"] },
      { ...own, preset: "last_365d" },
    )
    await eventuallyPasses(async () => expect(await fact(page, "Events")).toBe(String(all[0]?.events)))
    await eventuallyPasses(async () => expect(await fact(page, "Sessions")).toBe(String(all[0]?.sessions)))
    await eventuallyPasses(async () => expect(await fact(page, "plan")).toBe("pro"))
    const { rows: events } = await runQuery<{ event_name: string; timestamp: string }>(
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
    await dashboard.close(page)
  })

  test("a person's errors are shown in full, each with the events before it in chronological order", async () => {
    const at = (minute: number) => Date.now() - (60 - minute) * 60_000
    const own = { anonymousId: "failing", sessionId: "the only one" }
    const message = `TypeError: ${"the stream of the upload was closed before its end, ".repeat(5)}`.trim()
    await post("/track", [
      { ...own, name: "upload_started", timestamp: at(1), websiteId: dashboard.site },
      { ...own, name: "upload_retried", timestamp: at(3), websiteId: dashboard.site },
      { ...own, name: "support_contacted", timestamp: at(5), websiteId: dashboard.site },
    ])
    const errors = [2, 4].map((minute) => ({
      ...own,
      message: `${minute} ${message}`,
      timestamp: at(minute),
      path: "/",
    }))
    const sent = await fetch(`${dashboard.server.url}/errors?client_id=${dashboard.site}`, {
      method: "POST",
      headers: { origin: "http://localhost" },
      body: JSON.stringify(errors),
    })
    expect(sent.status).toBe(200)
    const { page, faults } = await dashboard.open("/w/SITE/person?visitor=failing")
    const titles = page.locator(".event-name")
    await page.getByRole("button", { name: "Errors (2)" }).click()
    await page.getByText(/^Error 2 of 2, /).waitFor()
    const [one, two] = errors.map((error) => error.message)
    await eventuallyPasses(async () =>
      expect(await titles.allTextContents()).toEqual(
        ["upload_started", one, "upload_retried", two].map(String),
      ),
    )
    const { width, box } = await titles
      .last()
      .evaluate((title) => ({ width: title.scrollWidth, box: title.clientWidth }))
    expect(width).toBe(box)
    expect(await violations(page)).toEqual([])
    await page.getByRole("button", { name: "Previous error" }).click()
    await page.getByText(/^Error 1 of 2, /).waitFor()
    await eventuallyPasses(async () =>
      expect(await titles.allTextContents()).toEqual(["upload_started", one].map(String)),
    )
    // The error is part of the URL.
    await page.reload()
    await page.getByText(/^Error 1 of 2, /).waitFor()
    await page.getByRole("button", { name: "All events" }).click()
    await eventuallyPasses(async () => expect(await titles.first().textContent()).toBe("support_contacted"))
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("all event names of a person can be listed", async () => {
    const names = Array.from({ length: 8 }, (_, index) => `step_${index}`)
    await post(
      "/track",
      names.map((name) => ({ name, anonymousId: "curious", websiteId: dashboard.site })),
    )
    const { page } = await dashboard.open("/w/SITE/person?visitor=curious")
    await page.getByRole("button", { name: "Show all 8" }).click()
    await eventuallyPasses(async () => expect(await rowsOf(page, "Top events")).toHaveLength(8))
    expect(await page.getByRole("button", { name: "Show all" }).count()).toBe(0)
    await dashboard.close(page)
  })

  test("older events are loaded on request", async () => {
    const { page } = await dashboard.open("/w/SITE/person?visitor=visitor-0&period=last_90d")
    await waitForPage(page, "customer-0")
    const rows = page.locator(".event-row")
    const { rows: all } = await runQuery<object>(
      { name: "person", anonymousId: "visitor-0", limit: 1_000 },
      { preset: "last_90d" },
    )
    await eventuallyPasses(async () => expect(await rows.count()).toBe(100))
    for (let count = 200; count < all.length + 100; count += 100) {
      await page.getByRole("button", { name: "Show older events" }).click()
      await rows.nth(Math.min(count, all.length) - 1).waitFor()
    }
    await eventuallyPasses(async () => expect(await rows.count()).toBe(all.length))
    await eventuallyPasses(async () =>
      expect(await page.getByRole("button", { name: "Show older events" }).count()).toBe(0),
    )
    await dashboard.close(page)
  })

  test("a person without events in the range links to the latest ones; an unknown person has no such link", async () => {
    const { page } = await dashboard.open("/w/SITE/person?visitor=visitor-0&from=2020-01-01&to=2020-01-31")
    await page.getByRole("link", { name: /View the 30 days up to/ }).click()
    await page.locator(".event-row").first().waitFor()
    await page.goto(`${dashboard.server.url}/w/${dashboard.site}/person?visitor=nobody-at-all`)
    await page.getByText("No events from this visitor").waitFor()
    expect(await violations(page)).toEqual([])
    await dashboard.close(page)
  })

  test("the export contains the data of one person", async () => {
    const { page } = await dashboard.open("/w/SITE/person?profile=customer-6")
    // Panels that load above the link would move it during the click.
    await waitForPage(page, "Customer 6")
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Export" }).click(),
    ])
    const lines = (await Bun.file(await download.path()).text()).trim().split("\n")
    const kinds = lines.map((line) => JSON.parse(line))
    expect(kinds.find(({ type }) => type === "profile").profile_id).toBe("customer-6")
    expect(kinds.at(-1).type).toBe("end")
    await dashboard.close(page)
  })

  test("a profile includes events of its visitor from before it was identified", async () => {
    const { page } = await dashboard.open("/w/SITE/person?profile=customer-3")
    await waitForPage(page, "Customer 3")
    await page.locator(".event-name", { hasText: "before_login" }).first().waitFor()
    await dashboard.close(page)
  })

  test("a person's data is deleted after a confirmation that lists it", async () => {
    const { page } = await dashboard.open("/w/SITE/person?profile=customer-3")
    await waitForPage(page, "Customer 3")
    const eventCount = Number(await fact(page, "Events"))
    await page.getByRole("button", { name: "Delete data…" }).click()
    const confirmation = page.getByRole("dialog", { name: "Delete all data about this profile?" })
    await confirmation.getByText(`${eventCount} events: events with this profile`).waitFor()
    expect(eventCount).toBe((await eventsNaming("customer-3")) + 1)
    expect(await violations(page, "all", confirmation)).toEqual([])
    await confirmation.getByRole("button", { name: "Cancel" }).click()
    await confirmation.waitFor({ state: "detached" })
    await page.getByRole("button", { name: "Delete data…" }).click()
    await confirmation.getByRole("button", { name: "Delete data" }).click()
    const done = page.getByRole("dialog", { name: "Data deleted" })
    await done.getByText(`Deleted: ${eventCount} events, 1 profile and 1 link.`).waitFor()
    await done.getByRole("button", { name: "Go to people" }).click()
    await waitForPage(page, "visitor-")
    expect(await eventsNaming("customer-3")).toBe(0)
    await dashboard.close(page)
  })

  test("data can be exported and deleted per website only, and by owners only", async () => {
    const { page } = await dashboard.open("/w/all/person?visitor=visitor-9")
    await page.getByText("Select a single website to export or delete this person's data.").waitFor()
    await eventuallyPasses(async () =>
      expect(await page.getByRole("button", { name: "Delete data…" }).count()).toBe(0),
    )
    await dashboard.close(page)
    const cookie = await viewer()
    const { page: viewerPage } = await dashboard.open("/", { isLoggedIn: false })
    await viewerPage.context().addCookies([{ ...cookie, url: dashboard.server.url }])
    await viewerPage.goto(`/w/${dashboard.site}/person?visitor=visitor-9`)
    await waitForPage(viewerPage, "customer-9")
    expect(await viewerPage.getByText("Export and delete data").count()).toBe(0)
    await viewerPage.context().close()
  })

  /** Creates a viewer. Returns the login cookie. */
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

/** Returns the value of the fact with the given label. */
async function fact(page: Page, name: string): Promise<string> {
  const row = page.locator(".person-facts > div", { has: page.getByText(name, { exact: true }) })
  return (await row.locator("dd").first().textContent())?.trim() ?? ""
}

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { eventuallyPasses, startServer } from "../harness.ts"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, skipped } from "./browser.ts"
import { cellsOf } from "./helpers.ts"

/** A regular browser's user agent, from which the endpoints of the page script derive the device. */
const regularAgent =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"

describe.skipIf(noBrowser)(`the live page${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard({ days: 3 })
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const send = async (...events: object[]) => {
    const response = await fetch(`${dashboard.server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}` },
      body: JSON.stringify(events.map((event) => ({ websiteId: dashboard.site, ...event }))),
    })
    expect(response.status).toBe(200)
  }
  const openLive = async (query = "") => {
    const tab = await dashboard.open(`/w/SITE/live${query}`)
    await tab.page.locator(".live-status", { hasText: "Live" }).waitFor()
    return tab
  }

  test("starts with the most recent events", async () => {
    const { page, faults } = await openLive()
    const { data } = await dashboard.api<{ data: { data: { event_name: string }[] }[] }>(
      `query?website_id=${dashboard.site}`,
      {
        method: "POST",
        body: JSON.stringify({
          parameters: [{ name: "custom_events_recent", limit: 50 }],
          preset: "last_30d",
        }),
      },
    )
    await eventuallyPasses(async () =>
      expect(await names(page)).toEqual((data[0]?.data ?? []).map((row) => row.event_name)),
    )
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("a new event appears on top, expands to its JSON, and links to its visitor", async () => {
    const { page, faults } = await openLive()
    const name = "<img src=x onerror=alert(1)>"
    await send({ name, anonymousId: "ann/1", path: "/a", properties: { cart: { total: 12.5 } } })
    await waitForFirst(page, name)
    await page.getByRole("button", { name }).click()
    const shown = JSON.parse((await page.locator(".event-row pre").textContent()) ?? "")
    expect(shown).toMatchObject({
      event_name: name,
      website_id: dashboard.site,
      anonymous_id: "ann/1",
      path: "/a",
      properties: { cart: { total: 12.5 } },
      crawler: false,
    })
    expect(await violations(page)).toEqual([])
    await page.getByRole("link", { name: "Visitor ann/1" }).click()
    await page.getByRole("heading", { level: 1, name: "ann/1" }).waitFor()
    expect(new URL(page.url()).searchParams.get("visitor")).toBe("ann/1")
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("an event of a known profile shows the profile's name and links to it; other events link to their visitor", async () => {
    const { page, faults } = await openLive()
    const response = await fetch(`${dashboard.server.url}/identify`, {
      method: "POST",
      headers: { authorization: `Bearer ${dashboard.server.key}`, "content-type": "application/json" },
      body: JSON.stringify({ profileId: "grace/1", websiteId: dashboard.site, traits: { name: "Grace" } }),
    })
    expect(response.status).toBe(200)
    await send({ name: "unnamed", anonymousId: "someone", profileId: "nobody" })
    await send({ name: "named", anonymousId: "someone", profileId: "grace/1" })
    await waitForFirst(page, "named")
    const rows = page.locator(".event-row")
    await rows.first().getByRole("link", { name: "Profile Grace" }).waitFor()
    await rows.nth(1).getByRole("link", { name: "Visitor someone" }).waitFor()
    await rows.first().getByRole("link", { name: "Profile Grace" }).click()
    await page.getByRole("heading", { level: 1, name: "Grace" }).waitFor()
    expect(new URL(page.url()).searchParams.get("profile")).toBe("grace/1")
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("the list does not move while a row is open or the pointer is over it", async () => {
    const { page } = await openLive()
    await send({ name: "first" })
    await waitForFirst(page, "first")
    await page.locator(".event-head").first().click()
    await page.mouse.move(1, 1)
    await send({ name: "second" }, { name: "third" })
    const button = page.getByRole("button", { name: "2 new events" })
    await button.waitFor()
    expect((await names(page))[0]).toBe("first")
    await button.click()
    await waitForFirst(page, "third")
    await eventuallyPasses(async () => expect(await page.locator("[aria-expanded=true]").count()).toBe(0))
    await page.locator(".event-row").nth(4).hover()
    await send({ name: "fourth" })
    await page.getByRole("button", { name: "1 new event" }).waitFor()
    await page.mouse.move(1, 1)
    await waitForFirst(page, "fourth")
    await dashboard.close(page)
  })

  test("the columns of all rows are aligned, however long their times are", async () => {
    const old = Date.now() - 400 * 86_400_000
    await send(
      { name: "aligned", timestamp: old },
      { name: "aligned", timestamp: Date.now() - 2 * 86_400_000 },
      { name: "aligned" },
    )
    const { page } = await openLive("?name=aligned")
    await page.locator(".event-row").nth(2).waitFor()
    const lefts = await page
      .locator(".event-row .event-name")
      .evaluateAll((elements) => elements.map((element) => Math.round(element.getBoundingClientRect().left)))
    expect(new Set(lefts).size).toBe(1)
    await dashboard.close(page)
  })

  test("pausing counts new events, and works with the keyboard", async () => {
    const { page } = await openLive()
    await page.getByRole("button", { name: "Pause" }).focus()
    await page.keyboard.press("Enter")
    await page.getByText(/Paused at \d\d:\d\d:\d\d/).waitFor()
    await send({ name: "a" }, { name: "b" }, { name: "c" })
    await page.getByText("3 new events").waitFor()
    expect((await names(page))[0]).not.toBe("c")
    await page.keyboard.press("Enter")
    await waitForFirst(page, "c")
    await dashboard.close(page)
  })

  test("names and filters apply to recent and to new events", async () => {
    const { page } = await openLive("?f=eq:property.plan:pro")
    await page.getByRole("button", { name: "Events to show: All events" }).click()
    await page.getByLabel("checkout_started").check()
    await page.getByLabel("signed_up").check()
    await page.keyboard.press("Escape")
    await page.mouse.move(1, 1)
    await page.getByRole("button", { name: "Events to show: 2 events" }).waitFor()
    expect(new URL(page.url()).searchParams.getAll("name")).toEqual(["checkout_started", "signed_up"])
    await page.locator(".live-status", { hasText: "Live" }).waitFor()
    await send(
      { name: "signed_up", properties: { plan: "free" } },
      { name: "order_paid", properties: { plan: "pro" } },
      { name: "signed_up", properties: { plan: "pro", mine: true } },
    )
    await page.locator(".event-row", { hasText: "mine" }).waitFor()
    const shown = await page.locator(".event-row").allInnerTexts()
    expect(shown[0]).toContain("signed_up")
    expect(shown.every((text) => /signed_up|checkout_started/.test(text) && /plan\s+pro/.test(text))).toBe(
      true,
    )
    await dashboard.close(page)
  })

  test("events from pages are shown with their main content, and kinds can be selected", async () => {
    const post = async (path: string, items: object[]) => {
      const response = await fetch(`${dashboard.server.url}${path}?client_id=${dashboard.site}`, {
        method: "POST",
        headers: { origin: "http://localhost", "user-agent": regularAgent },
        body: JSON.stringify(items.map((item) => ({ anonymousId: "pat", sessionId: "s", ...item }))),
      })
      expect(response.status).toBe(200)
    }
    const { page, faults } = await openLive()
    const url = "http://localhost/pricing"
    const link = { type: "outgoing_link", eventId: "o", href: "https://other.example/" }
    await post("/batch", [
      { eventId: "v", name: "screen_view", path: url, title: "Prices" },
      { eventId: "x", name: "page_exit", path: url, time_on_page: 34 },
      link,
    ])
    const path = "/pricing"
    const timestamp = Date.now()
    await post("/vitals", [{ metricName: "LCP", metricValue: 2400, path, timestamp }])
    await post("/errors", [{ message: "x is not a function", path, timestamp }])
    await page.locator(".event-row", { hasText: "x is not a function" }).waitFor()
    const rows = () => page.locator(".event-head").allInnerTexts()
    const texts = (await rows()).slice(0, 5).map((text) => text.replace(/\s+/g, " "))
    for (const [text, parts] of [
      [texts[4], ["/pricing", "Page view", "title Prices"]],
      [texts[3], ["/pricing", "Page exit", "after 34 s"]],
      [texts[2], ["https://other.example/", "Outgoing link"]],
      [texts[1], ["LCP 2.4 s", "Web vital", "/pricing"]],
      [texts[0], ["x is not a function", "Error", "/pricing"]],
    ] as const) {
      for (const part of parts) expect(text).toContain(part)
    }
    await eventuallyPasses(async () =>
      expect(new Set(await page.locator(".badge.bad").allTextContents())).toEqual(new Set(["Error"])),
    )
    expect(await violations(page)).toEqual([])
    await page.getByRole("button", { name: "Kinds to show: All kinds" }).click()
    await page.getByLabel("Error").check()
    await page.getByLabel("Web vital").check()
    expect(await violations(page)).toEqual([])
    await page.keyboard.press("Escape")
    await page.mouse.move(1, 1)
    await page.locator(".live-status", { hasText: "Live" }).waitFor()
    await eventuallyPasses(async () => expect(await rows()).toHaveLength(2))
    await post("/batch", [{ eventId: "w", name: "screen_view", path: url }])
    await post("/errors", [{ message: "later", path, timestamp }])
    await waitForFirst(page, "later")
    await eventuallyPasses(async () => expect(await rows()).toHaveLength(3))
    await page.goto(`/w/${dashboard.site}/person?visitor=pat`)
    await page.locator(".event-name", { hasText: "LCP 2.4 s" }).waitFor()
    const top = page.getByRole("table", { name: "Top events" })
    await top.getByText("Page view").first().waitFor()
    await eventuallyPasses(async () => expect(await cellsOf(top)).toContainEqual(["Page view", "2"]))
    expect(await violations(page)).toEqual([])
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("crawlers are shown on request", async () => {
    const crawl = () =>
      fetch(`${dashboard.server.url}/track?website_id=${dashboard.site}`, {
        method: "POST",
        headers: {
          origin: "http://localhost",
          "user-agent": "Googlebot/2.1 (+http://www.google.com/bot.html)",
        },
        body: JSON.stringify({ name: "crawled" }),
      })
    const { page } = await openLive()
    expect((await crawl()).status).toBe(200)
    await send({ name: "after_it" })
    await waitForFirst(page, "after_it")
    await eventuallyPasses(async () => expect(await names(page)).not.toContain("crawled"))
    await page.getByLabel("Include crawlers").check()
    await page.locator(".live-status", { hasText: "Live" }).waitFor()
    await page.locator(".event-row", { hasText: "crawled" }).waitFor()
    await crawl()
    await waitForFirst(page, "crawled")
    await dashboard.close(page)
  })

  test("after an interruption, the stream resumes where it stopped, and the page reports it", async () => {
    const { page } = await openLive()
    await send({ name: "before" })
    await waitForFirst(page, "before")
    const { db, port, stop } = dashboard.server
    await stop()
    await page.getByText(/Disconnected at/).waitFor()
    const restarted = await startServer({ db, args: ["--port", String(port)] })
    try {
      await send({ name: "meanwhile" })
      // On a slow machine, the page may reconnect by itself before the click.
      const button = page.getByRole("button", { name: "Reconnect" })
      await button
        .or(page.getByText(/Live, caught up/))
        .first()
        .click()
      await waitForFirst(page, "meanwhile")
      await page.getByText(/Live, caught up after an interruption of/).waitFor()
    } finally {
      await page.context().close()
      await restarted.stop()
    }
  })
})

async function names(page: Page): Promise<string[]> {
  return page.locator(".event-name").allInnerTexts()
}

async function waitForFirst(page: Page, name: string): Promise<void> {
  await page.locator(".event-row:first-child .event-name").getByText(name, { exact: true }).waitFor()
}

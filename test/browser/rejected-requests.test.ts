import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { reasonText } from "../../src/dashboard/state/rejected-requests.ts"
import { eventuallyPasses } from "../harness.ts"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage } from "./browser.ts"

interface RejectedRequest {
  reason: string
  status: number
  advice: string
  websiteId: string | null
}

/** ms between two updates of the page. */
const updateInterval = 10_000

describe.skipIf(noBrowser)(`rejected requests${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard({ days: 1 })
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const send = async (status: number, path: string, headers: Record<string, string>, body: unknown) => {
    const response = await fetch(`${dashboard.server.url}${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    })
    expect(response.status).toBe(status)
  }
  const event = { name: "<img src=x onerror=alert(1)>", properties: { plan: "pro", from: "ads" } }

  test("shows that there are no rejected requests, then a new one without a reload", async () => {
    const { page, faults } = await dashboard.open("/settings/account")
    await page.clock.install()
    await page.goto(`/w/${dashboard.site}/refusals`)
    await page.getByText("No rejected requests").waitFor()
    await send(403, `/track?website_id=${dashboard.site}`, { origin: "https://evil.example" }, event)
    await page.clock.fastForward(updateInterval)
    await page.getByRole("heading", { level: 3, name: "Origin not allowed" }).waitFor()
    await page.getByText("Allowed: localhost and its subdomains").waitFor()
    expect(faults).toEqual([])
    await page.context().close()
  })

  test("shows the same reasons, counts, advice and requests as the API", async () => {
    const key = { authorization: `Bearer ${dashboard.server.key}` }
    for (let count = 0; count < 3; count++) await send(400, "/track", key, [{ properties: { a: 1 } }])
    await send(401, "/track", { authorization: "Bearer nonsense" }, event)
    await send(404, "/track?website_id=550e8400-e29b-41d4-a716-446655440000", {}, event)
    const { page, faults } = await dashboard.open("/w/SITE/refusals")
    await waitForPage(page, "Invalid fields")
    const { refusals: requests } = await dashboard.api<{ refusals: RejectedRequest[] }>("refusals")
    const reasons = [...Map.groupBy(requests, ({ reason }) => reason)].map(([, group]) => group)
    for (const requestsOfReason of reasons) {
      const [first] = requestsOfReason as [RejectedRequest]
      const group = page.locator(".rejected-reasons > li", {
        has: page.getByText(new RegExp(`^${reasonText(first.reason)}`)),
      })
      await eventuallyPasses(async () =>
        expect(await group.locator(".rejected-count").textContent()).toStartWith(
          String(requestsOfReason.length),
        ),
      )
      await eventuallyPasses(async () => expect(await group.textContent()).toContain(first.advice))
      await eventuallyPasses(async () =>
        expect(await group.locator(".badge").textContent()).toBe(String(first.status)),
      )
    }
    const rows = page.getByRole("table", { name: "Rejected requests" }).locator("tbody tr")
    await eventuallyPasses(async () => expect(await rows.count()).toBe(requests.length))
    const oldest = await rows.last().locator("td").allInnerTexts()
    expect(oldest.slice(1)).toEqual([
      "/track",
      "Origin not allowed",
      "403",
      "localhost",
      "1",
      event.name,
      "plan, from",
    ])
    expect(await violations(page)).toEqual([])
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("filters by reason and website, and links to the settings that fix a reason", async () => {
    const { page } = await dashboard.open("/w/SITE/refusals")
    await waitForPage(page, "Invalid fields")
    const rows = page.getByRole("table", { name: "Rejected requests" }).locator("tbody tr")
    await page.getByRole("link", { name: "Filter: Invalid fields" }).click()
    await eventuallyPasses(async () => expect(await rows.count()).toBe(3))
    await page.getByRole("combobox", { name: "Reason" }).selectOption("")
    await page.getByRole("combobox", { name: "Website" }).selectOption(dashboard.site)
    await eventuallyPasses(async () => expect(await rows.count()).toBe(1))
    expect(new URL(page.url()).searchParams.get("site")).toBe(dashboard.site)
    await page.getByRole("combobox", { name: "Reason" }).selectOption("key_malformed")
    await page.getByText("No requests match").waitFor()
    await page.getByRole("link", { name: "Clear filters" }).click()
    await page.getByRole("link", { name: "API key settings" }).first().click()
    await page.waitForURL((url) => url.pathname === "/settings/keys")
    await dashboard.close(page)
  })

  test("a click adds a rejected host to the allowed hosts", async () => {
    const { page, faults } = await dashboard.open("/w/SITE/refusals")
    await page.getByRole("button", { name: "Allow this host: evil.example" }).click()
    await page.getByText("evil.example can send events now").waitFor()
    await page.getByRole("button", { name: "Allow this host" }).waitFor({ state: "detached" })
    const headers = { origin: "https://evil.example" }
    await send(200, `/track?website_id=${dashboard.site}`, headers, event)
    const { website } = await dashboard.api<{ website: { allowedOrigins: string[] } }>(
      `websites/${dashboard.site}`,
    )
    expect(website.allowedOrigins).toEqual(["evil.example"])
    expect(await violations(page)).toEqual([])
    expect(faults).toEqual([])
    await dashboard.close(page)
  })

  test("pausing stops updates until they are resumed", async () => {
    const { page } = await dashboard.open("/w/SITE/refusals")
    await waitForPage(page, "Invalid fields")
    const rows = page.getByRole("table", { name: "Rejected requests" }).locator("tbody tr")
    const before = await rows.count()
    await page.getByRole("button", { name: "Pause" }).click()
    await send(401, "/track", {}, event)
    await page.getByRole("button", { name: "Resume" }).click()
    await page.getByRole("heading", { level: 3, name: "No API key or website ID" }).waitFor()
    await eventuallyPasses(async () => expect(await rows.count()).toBe(before + 1))
    await page.context().close()
  })
})

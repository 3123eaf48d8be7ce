import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, skipped, waitForPage } from "./browser.ts"

interface Refusal {
  reason: string
  status: number
  advice: string
  websiteId: string | null
}

/** ms from one look for refusals to the next. */
const betweenLooks = 10_000

describe.skipIf(noBrowser)(`refusals${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard({ days: 1 })
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const refuse = async (status: number, path: string, headers: Record<string, string>, body: unknown) => {
    const response = await fetch(`${dashboard.server.url}${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    })
    expect(response.status).toBe(status)
  }
  const event = { name: "<img src=x onerror=alert(1)>", properties: { plan: "pro", from: "ads" } }

  test("nothing was refused, which is good; then something is, and comes by itself", async () => {
    const { page, faults } = await dashboard.open("/settings/account")
    await page.clock.install()
    await page.goto(`/w/${dashboard.site}/refusals`)
    await page.getByText("Nothing was refused since the server started").waitFor()
    await refuse(403, `/track?website_id=${dashboard.site}`, { origin: "https://evil.example" }, event)
    await page.clock.fastForward(betweenLooks)
    await page.getByRole("heading", { level: 3, name: "Origin not allowed" }).waitFor()
    await page.getByText("It takes events from pages of localhost and its subdomains alone.").waitFor()
    expect(faults).toEqual([])
    await page.context().close()
  })

  test("shows each reason with its count and advice, and the requests, as the API has them", async () => {
    const key = { authorization: `Bearer ${dashboard.server.key}` }
    for (let count = 0; count < 3; count++) await refuse(400, "/track", key, [{ properties: { a: 1 } }])
    await refuse(401, "/track", { authorization: "Bearer nonsense" }, event)
    await refuse(404, "/track?website_id=550e8400-e29b-41d4-a716-446655440000", {}, event)
    const { page, faults } = await dashboard.open("/w/SITE/refusals")
    await waitForPage(page, "Invalid shape")
    const { refusals } = await dashboard.api<{ refusals: Refusal[] }>("refusals")
    const reasons = [...Map.groupBy(refusals, ({ reason }) => reason)].map(([, some]) => some)
    for (const some of reasons) {
      const [first] = some as [Refusal]
      const text = first.reason.replaceAll("_", " ")
      const group = page.locator(".refusals-reasons > li", {
        has: page.getByText(new RegExp(`^${text}`, "i")),
      })
      expect(await group.locator(".refusals-count").textContent()).toStartWith(String(some.length))
      expect(await group.textContent()).toContain(first.advice)
      expect(await group.locator(".badge").textContent()).toBe(String(first.status))
    }
    const rows = page.getByRole("table", { name: "Refused requests" }).locator("tbody tr")
    expect(await rows.count()).toBe(refusals.length)
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
    await page.context().close()
  })

  test("reasons and websites choose what is listed, and what a setting mends leads there", async () => {
    const { page } = await dashboard.open("/w/SITE/refusals")
    await waitForPage(page, "Invalid shape")
    const rows = page.getByRole("table", { name: "Refused requests" }).locator("tbody tr")
    await page.getByRole("link", { name: "List only these: Invalid shape" }).click()
    expect(await rows.count()).toBe(3)
    await page.getByRole("combobox", { name: "Reason" }).selectOption("")
    await page.getByRole("combobox", { name: "Website" }).selectOption(dashboard.site)
    expect(await rows.count()).toBe(1)
    expect(new URL(page.url()).searchParams.get("site")).toBe(dashboard.site)
    await page.getByRole("combobox", { name: "Reason" }).selectOption("key_malformed")
    await page.getByText("No refusal fits what is chosen").waitFor()
    await page.getByRole("link", { name: "Show all" }).click()
    await page.getByRole("link", { name: "To the keys" }).first().click()
    await page.waitForURL((url) => url.pathname === "/settings/keys")
    await page.context().close()
  })

  test("a pause leaves what is shown as it is", async () => {
    const { page } = await dashboard.open("/w/SITE/refusals")
    await waitForPage(page, "Invalid shape")
    const rows = page.getByRole("table", { name: "Refused requests" }).locator("tbody tr")
    const before = await rows.count()
    await page.getByRole("button", { name: "Pause" }).click()
    await refuse(401, "/track", {}, event)
    await page.getByRole("button", { name: "Resume" }).click()
    await page.getByRole("heading", { level: 3, name: "Credential missing" }).waitFor()
    expect(await rows.count()).toBe(before + 1)
    await page.context().close()
  })
})

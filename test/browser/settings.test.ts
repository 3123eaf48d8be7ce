import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { violations } from "./axe.ts"
import { type Dashboard, noBrowser, openDashboard, owner, skipped } from "./browser.ts"

interface Website {
  id: string
  domain: string
  name: string
  allowedOrigins: string[]
  anonymize: string
  retain: string
  pausedAt: string | null
}

interface Key {
  id: string
  name: string
  start: string
  scopes: string[]
  websites: string[] | null
  expiresAt: string | null
  disabledAt: string | null
  revokedAt: string | null
}

describe.skipIf(noBrowser)(`settings${skipped}`, () => {
  let dashboard: Dashboard
  let page: Page
  let faults: string[]
  beforeAll(async () => {
    dashboard = await openDashboard({ days: 3 })
    const tab = await dashboard.open("/settings/websites")
    page = tab.page
    faults = tab.faults
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const button = (name: string) => page.getByRole("button", { name, exact: true })
  const field = (name: string) => page.getByRole("dialog").getByLabel(name)
  const inDialog = (name: string) => page.getByRole("dialog").getByRole("button", { name, exact: true })
  const more = async (name: string, choice: string) => {
    await button(`More for ${name}`).click()
    await button(choice).click()
  }
  const gone = () => page.getByRole("dialog").waitFor({ state: "detached" })
  const websites = async () => (await dashboard.api<{ websites: Website[] }>("websites")).websites
  const keys = async () => (await dashboard.api<{ keys: Key[] }>("keys")).keys
  const tries = async (key: string) =>
    (await fetch(`${dashboard.server.url}/v1/query/types`, { headers: { authorization: `Bearer ${key}` } }))
      .status

  test("a website is made by the keyboard, and what it is to be stands in the API", async () => {
    await button("Add a website").focus()
    await page.keyboard.press("Enter")
    await page.getByRole("dialog", { name: "Add a website" }).waitFor()
    await page.keyboard.type("https://Shop.example.com/start")
    await page.keyboard.press("Tab")
    await page.keyboard.type("The shop <b>")
    await page.keyboard.press("Tab")
    await page.keyboard.type("cdn.example.org")
    await field("Events are kept").selectOption("days")
    await page.getByRole("spinbutton", { name: "Days" }).fill("90")
    await field("Change visitors' ids every day").press("Space")
    expect(await violations(page)).toEqual([])
    await inDialog("Add the website").press("Enter")
    await page.getByRole("heading", { name: "Send events of The shop <b>" }).waitFor()
    expect((await websites()).at(-1)).toMatchObject({
      domain: "shop.example.com",
      name: "The shop <b>",
      allowedOrigins: ["cdn.example.org"],
      anonymize: "daily",
      retain: "90d",
    })
  })

  test("a website is changed, and a bad host is named", async () => {
    await page.goto("/settings/websites")
    await button("Edit The shop <b>").click()
    await field("Name").fill("The shop")
    await field("Further hosts").fill("not/a host*")
    await inDialog("Keep the changes").click()
    await page.getByRole("alert").getByText("must be a host").waitFor()
    expect(faults.splice(0)).toEqual([expect.stringContaining("400")])
    await field("Further hosts").fill("")
    await field("Events are kept").selectOption("forever")
    await inDialog("Keep the changes").click()
    await gone()
    expect((await websites()).at(-1)).toMatchObject({
      name: "The shop",
      allowedOrigins: [],
      retain: "forever",
    })
  })

  test("a website is paused after a question, and resumed", async () => {
    await more("The shop", "Pause…")
    expect(await violations(page)).toEqual([])
    await inDialog("Pause").click()
    await page.getByText("paused", { exact: true }).waitFor()
    expect((await websites()).at(-1)?.pausedAt).not.toBeNull()
    await more("The shop", "Resume…")
    await inDialog("Resume").click()
    await page.getByText("paused", { exact: true }).waitFor({ state: "detached" })
    expect((await websites()).at(-1)?.pausedAt).toBeNull()
  })

  test("a website goes when its domain is typed, with the count of what goes", async () => {
    const { id } = (await websites()).at(-1) as Website
    const sent = await fetch(`${dashboard.server.url}/track?website_id=${id}`, {
      method: "POST",
      body: JSON.stringify({ name: "only one" }),
    })
    expect(sent.status).toBe(200)
    await more("The shop", "Delete…")
    await page.getByText("The website goes with its 1 event,").waitFor()
    await page.keyboard.type("shop.example")
    expect(await inDialog("Delete the website").isDisabled()).toBe(true)
    await page.keyboard.type(".com")
    await page.keyboard.press("Enter")
    await gone()
    expect((await websites()).map(({ domain }) => domain)).toEqual(["localhost"])
  })

  test("a key is shown once, does what it may, and no more", async () => {
    await page.goto("/settings/keys")
    await button("Make a key").click()
    await field("Name").fill("Reports")
    await field("Send events").uncheck()
    expect(await inDialog("Make the key").isDisabled()).toBe(true)
    await field("Read everything").check()
    await field("Only these").check()
    await field("localhost").check()
    await field("Stops working").selectOption("30")
    expect(await violations(page)).toEqual([])
    await inDialog("Make the key").click()
    const shown = page.getByRole("dialog", { name: "Take the key now" })
    await shown.waitFor()
    expect(await violations(page)).toEqual([])
    const secret = (await shown.locator("code").textContent()) ?? ""
    expect(await tries(secret)).toBe(200)
    const made = (await keys()).at(-1)
    expect(made).toMatchObject({ name: "Reports", scopes: ["read:data"], websites: [dashboard.site] })
    expect(Date.parse(made?.expiresAt ?? "")).toBeGreaterThan(Date.now())
    // A click beside the window does not lose it.
    await page.mouse.click(4, 4)
    await inDialog("I have it").click()
    await gone()
    expect(await page.content()).not.toContain(secret)

    await more("Reports", "Disable…")
    await inDialog("Disable").click()
    await page.getByText("disabled", { exact: true }).waitFor()
    expect(await tries(secret)).toBe(401)
    await more("Reports", "Enable…")
    await inDialog("Enable").click()
    await page.getByText("disabled", { exact: true }).waitFor({ state: "detached" })
    expect(await tries(secret)).toBe(200)

    await more("Reports", "Rotate…")
    await inDialog("Rotate").click()
    await shown.waitFor()
    const next = (await shown.locator("code").textContent()) ?? ""
    expect([await tries(secret), await tries(next)]).toEqual([401, 200])
    await inDialog("I have it").click()

    await button("Edit Reports").click()
    await field("Name").fill("Old reports")
    await inDialog("Keep the changes").click()
    await gone()
    await more("Old reports", "Revoke…")
    await inDialog("Revoke").click()
    await page.getByText("1 key that was revoked").waitFor()
    expect(await tries(next)).toBe(401)
    expect((await keys()).at(-1)).toMatchObject({ name: "Old reports", revokedAt: expect.any(String) })
  })

  test("who is invited chooses a password by the link, and sees no more than a viewer may", async () => {
    await page.goto("/settings/users")
    expect(await button(`Edit ${owner.email}`).count()).toBe(0)
    await button("Invite somebody").click()
    await field("Email").fill("Vic@example.com")
    await field("Only these").check()
    await field("localhost").check()
    await inDialog("Make the link").click()
    const shown = page.getByRole("dialog", { name: "The link for vic@example.com" })
    const link = new URL((await shown.locator("code").textContent()) ?? "")
    expect(link.origin).toBe(dashboard.server.url)
    await inDialog("I have it").click()

    const { page: other } = await dashboard.open(link.pathname, { isLoggedIn: false })
    expect(await other.getByLabel("Email").inputValue()).toBe("vic@example.com")
    await other.getByLabel("New password", { exact: true }).fill("what vic remembers")
    await other.keyboard.press("Enter")
    await other.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
    await other.getByRole("link", { name: "Settings" }).click()
    await other.getByText("Viewer: may look, and change nothing").waitFor()
    expect(await violations(other)).toEqual([])
    expect(await other.getByRole("navigation", { name: "Settings" }).count()).toBe(0)
    await other.goto("/settings/users")
    await other.getByText("There is no such page, or you may not see it").waitFor()

    await page.goto("/settings/users")
    await button("Edit vic@example.com").click()
    await field("Role").selectOption("owner")
    await inDialog("Keep the changes").click()
    await gone()
    // Whoever is changed has to log in again.
    await other.goto("/settings/users")
    await other.getByRole("heading", { name: "Log in" }).waitFor()
    await more("vic@example.com", "Delete…")
    await inDialog("Delete").click()
    await button("More for vic@example.com").waitFor({ state: "detached" })
    const { users } = await dashboard.api<{ users: { email: string }[] }>("users")
    expect(users.map(({ email }) => email)).toEqual([owner.email])
    await other.context().close()
  })

  test("a note is written, changed and deleted", async () => {
    const notes = async () =>
      (await dashboard.api<{ notes: object[] }>(`notes?website_id=${dashboard.site}`)).notes
    await page.goto("/settings/notes")
    await button("Write a note").click()
    await field("Day").fill("2026-11-20")
    await field("Note").fill("Release <2.0>")
    await page.keyboard.press("Enter")
    await button("Edit Release <2.0>").click()
    await field("Note").fill("Release 2.1")
    await page.keyboard.press("Enter")
    await button("Delete Release 2.1").waitFor()
    expect(await notes()).toMatchObject([{ date: "2026-11-20", text: "Release 2.1" }])
    await button("Delete Release 2.1").click()
    await inDialog("Delete").click()
    await page.getByText("No notes").waitFor()
    expect(await notes()).toEqual([])
  })

  test("a share link is listed with what it opens, and ends when it is revoked", async () => {
    const { link } = await dashboard.api<{ link: string }>(`shares?website_id=${dashboard.site}`, {
      method: "POST",
      body: JSON.stringify({ name: "For the board", path: "overview?period=last_7d", expiresAt: null }),
    })
    await page.goto("/settings/shares")
    const opens = page.getByRole("link", { name: "Overview period=last_7d" })
    expect(await opens.getAttribute("href")).toBe(`/w/${dashboard.site}/overview?period=last_7d`)
    await button("Revoke For the board").click()
    await inDialog("Revoke").click()
    await page.getByText("No share links").waitFor()
    const { page: other } = await dashboard.open(link, { isLoggedIn: false })
    await other.getByRole("heading", { name: "This link has ended" }).waitFor()
    await other.context().close()
  })

  test("a saved view is listed, and renamed", async () => {
    await dashboard.api(`views?website_id=${dashboard.site}`, {
      method: "POST",
      body: JSON.stringify({ kind: "view", name: "Pro", path: "overview?f=eq%3Aproperty.plan%3Apro" }),
    })
    await page.goto("/settings/views")
    await page.getByRole("link", { name: "Overview f=eq:property.plan:pro" }).waitFor()
    await button("Rename or delete Pro").click()
    await button("Rename…").click()
    await field("Name").fill("Pro plan")
    await page.keyboard.press("Enter")
    await page.getByRole("heading", { name: "Pro plan" }).waitFor()
  })

  test("the server's numbers are those of the API, and that there is no backup is said", async () => {
    const { database, version } = await dashboard.api<{ database: { events: number }; version: string }>(
      "status",
    )
    await page.goto("/settings/server")
    await page.getByText("This server makes no backups by itself").waitFor()
    const shown = await page.locator("main").textContent()
    expect(shown).toContain(`Events${new Intl.NumberFormat("en-GB").format(database.events)}`)
    expect(shown).toContain(`Version${version}`)
    expect(faults).toEqual([])
  })

  test("the password is changed with the old one alone", async () => {
    await page.goto("/settings/account")
    const button = page.getByRole("button", { name: "Change the password" })
    const fill = async (current: string, next: string) => {
      await page.getByLabel("Current password", { exact: true }).fill(current)
      await page.getByLabel("New password", { exact: true }).fill(next)
      await button.press("Enter")
    }
    await fill("a wrong guess", "another long phrase")
    await page.getByRole("alert").getByText("The current password is not right.").waitFor()
    expect(await button.evaluate((element) => element === document.activeElement)).toBe(true)
    expect(faults.splice(0)).toEqual([expect.stringContaining("400")])
    await fill(owner.password, "another long phrase")
    await page.getByText("The password is changed.").waitFor()
    expect(await page.getByLabel("New password", { exact: true }).inputValue()).toBe("")
    const login = (password: string) =>
      fetch(`${dashboard.server.url}/v1/login`, {
        method: "POST",
        headers: { "x-databuddy-page": "1" },
        body: JSON.stringify({ email: owner.email, password }),
      })
    expect((await login(owner.password)).status).toBe(401)
    expect((await login("another long phrase")).status).toBe(200)
  })

  test("single keys can be turned off, and the look chosen", async () => {
    await page.getByLabel("Dark").check()
    expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark")
    await page.getByLabel("Single keys").uncheck()
    await page.goto(`/w/${dashboard.site}/overview`)
    await page.locator(".stat-value").first().waitFor()
    await page.keyboard.press("?")
    await page.keyboard.press("w")
    expect(new URL(page.url()).search).toBe("")
    expect(await page.getByRole("dialog").count()).toBe(0)
    expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark")
  })
})

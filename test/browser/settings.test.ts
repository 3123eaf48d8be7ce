import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { eventuallyPasses } from "../harness.ts"
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
  const dialogButton = (name: string) => page.getByRole("dialog").getByRole("button", { name, exact: true })
  const chooseAction = async (name: string, action: string) => {
    await button(`More actions for ${name}`).click()
    await button(action).click()
  }
  const dialogClosed = () => page.getByRole("dialog").waitFor({ state: "detached" })
  const websites = async () => (await dashboard.api<{ websites: Website[] }>("websites")).websites
  const keys = async () => (await dashboard.api<{ keys: Key[] }>("keys")).keys
  const statusWith = async (key: string) =>
    (
      await fetch(`${dashboard.server.url}/v1/query/websites`, {
        headers: { authorization: `Bearer ${key}` },
      })
    ).status

  test("a website can be added by keyboard, and the API returns its settings", async () => {
    await button("Add website").focus()
    await page.keyboard.press("Enter")
    await page.getByRole("dialog", { name: "Add website" }).waitFor()
    await page.keyboard.type("https://Shop.example.com/start")
    await page.keyboard.press("Tab")
    await page.keyboard.type("The shop <b>")
    await page.keyboard.press("Tab")
    await page.keyboard.type("cdn.example.org")
    await field("Retention").selectOption("days")
    await page.getByRole("spinbutton", { name: "Days" }).fill("90")
    await field("Anonymize visitors daily").press("Space")
    expect(await violations(page)).toEqual([])
    await dialogButton("Add website").press("Enter")
    await page.getByRole("heading", { name: "Add the script to The shop <b>" }).waitFor()
    expect((await websites()).at(-1)).toMatchObject({
      domain: "shop.example.com",
      name: "The shop <b>",
      allowedOrigins: ["cdn.example.org"],
      anonymize: "daily",
      retain: "90d",
    })
  })

  test("a website can be edited, and an invalid host is reported", async () => {
    await page.goto("/settings/websites")
    await button("Edit The shop <b>").click()
    await field("Name").fill("The shop")
    await field("Other allowed hosts").fill("not/a host*")
    await dialogButton("Save changes").click()
    await page.getByRole("alert").getByText("must be a host").waitFor()
    expect(faults.splice(0)).toEqual([expect.stringContaining("400")])
    await field("Other allowed hosts").fill("")
    await field("Retention").selectOption("forever")
    await dialogButton("Save changes").click()
    await dialogClosed()
    expect((await websites()).at(-1)).toMatchObject({
      name: "The shop",
      allowedOrigins: [],
      retain: "forever",
    })
  })

  test("a website can be paused after a confirmation, and resumed", async () => {
    await chooseAction("The shop", "Pause…")
    expect(await violations(page)).toEqual([])
    await dialogButton("Pause").click()
    await page.getByText("Paused", { exact: true }).waitFor()
    expect((await websites()).at(-1)?.pausedAt).not.toBeNull()
    await chooseAction("The shop", "Resume…")
    await dialogButton("Resume").click()
    await page.getByText("Paused", { exact: true }).waitFor({ state: "detached" })
    expect((await websites()).at(-1)?.pausedAt).toBeNull()
  })

  test("deleting a website shows its number of events and requires typing its domain", async () => {
    // The list is never empty: the first start creates a website.
    const { id } = (await websites()).at(-1) as Website
    const sent = await fetch(`${dashboard.server.url}/track?website_id=${id}`, {
      method: "POST",
      body: JSON.stringify({ name: "only one" }),
    })
    expect(sent.status).toBe(200)
    await chooseAction("The shop", "Delete…")
    await page.getByText("This will delete the website, its 1 event,").waitFor()
    await page.keyboard.type("shop.example")
    expect(await dialogButton("Delete website").isDisabled()).toBe(true)
    await page.keyboard.type(".com")
    await page.keyboard.press("Enter")
    await dialogClosed()
    expect((await websites()).map(({ domain }) => domain)).toEqual(["localhost"])
  })

  test("a key is shown once, and can do only what its permissions allow", async () => {
    await page.goto("/settings/keys")
    await button("Create key").click()
    await field("Name").fill("Reports")
    await field("Send events").uncheck()
    expect(await dialogButton("Create key").isDisabled()).toBe(true)
    await field("Read all data").check()
    await field("Selected websites").check()
    await field("localhost").check()
    await field("Expires").selectOption("30")
    expect(await violations(page)).toEqual([])
    await dialogButton("Create key").click()
    const shown = page.getByRole("dialog", { name: "Copy your key now" })
    await shown.waitFor()
    expect(await violations(page)).toEqual([])
    const secret = (await shown.locator("code").textContent()) ?? ""
    expect(await statusWith(secret)).toBe(200)
    const created = (await keys()).at(-1)
    expect(created).toMatchObject({ name: "Reports", scopes: ["read:data"], websites: [dashboard.site] })
    expect(Date.parse(created?.expiresAt ?? "")).toBeGreaterThan(Date.now())
    // A click on the backdrop does not close the dialog.
    await page.mouse.click(4, 4)
    await dialogButton("Done").click()
    await dialogClosed()
    await eventuallyPasses(async () => expect(await page.content()).not.toContain(secret))

    await chooseAction("Reports", "Disable…")
    await dialogButton("Disable").click()
    await page.getByText("disabled", { exact: true }).waitFor()
    expect(await statusWith(secret)).toBe(401)
    await chooseAction("Reports", "Enable…")
    await dialogButton("Enable").click()
    await page.getByText("disabled", { exact: true }).waitFor({ state: "detached" })
    expect(await statusWith(secret)).toBe(200)

    await chooseAction("Reports", "Rotate…")
    await dialogButton("Rotate").click()
    await shown.waitFor()
    const next = (await shown.locator("code").textContent()) ?? ""
    expect([await statusWith(secret), await statusWith(next)]).toEqual([401, 200])
    await dialogButton("Done").click()

    await button("Edit Reports").click()
    await field("Name").fill("Old reports")
    await dialogButton("Save changes").click()
    await dialogClosed()
    await chooseAction("Old reports", "Revoke…")
    await dialogButton("Revoke").click()
    await page.getByText("1 revoked key").waitFor()
    expect(await statusWith(next)).toBe(401)
    expect((await keys()).at(-1)).toMatchObject({ name: "Old reports", revokedAt: expect.any(String) })
  })

  test("an invited user chooses a password, and sees only what a viewer can see", async () => {
    await page.goto("/settings/users")
    await eventuallyPasses(async () => expect(await button(`Edit ${owner.email}`).count()).toBe(0))
    await button("Invite user").click()
    await field("Email").fill("Vic@example.com")
    await field("Selected websites").check()
    await field("localhost").check()
    await dialogButton("Create link").click()
    const shown = page.getByRole("dialog", { name: "Link for vic@example.com" })
    const link = new URL((await shown.locator("code").textContent()) ?? "")
    expect(link.origin).toBe(dashboard.server.url)
    await dialogButton("Done").click()

    const { page: other } = await dashboard.open(link.pathname, { isLoggedIn: false })
    expect(await other.getByLabel("Email").inputValue()).toBe("vic@example.com")
    await other.getByLabel("Password", { exact: true }).fill("what vic remembers")
    await other.keyboard.press("Enter")
    await other.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
    await other.getByRole("link", { name: "Settings" }).click()
    await other.getByText("Viewer: read-only").waitFor()
    expect(await violations(other)).toEqual([])
    expect(await other.getByRole("navigation", { name: "Settings" }).count()).toBe(0)
    await other.goto("/settings/users")
    await other.getByText("Page not found or no access").waitFor()

    await page.goto("/settings/users")
    await button("Edit vic@example.com").click()
    await field("Role").selectOption("owner")
    await dialogButton("Save changes").click()
    await dialogClosed()
    // An edited user has to log in again.
    await other.goto("/settings/users")
    await other.getByRole("heading", { name: "Log in" }).waitFor()
    await chooseAction("vic@example.com", "Delete…")
    await dialogButton("Delete").click()
    await button("More actions for vic@example.com").waitFor({ state: "detached" })
    const { users } = await dashboard.api<{ users: { email: string }[] }>("users")
    expect(users.map(({ email }) => email)).toEqual([owner.email])
    await other.context().close()
  })

  test("an annotation can be added, edited and deleted", async () => {
    const notes = async () =>
      (await dashboard.api<{ notes: object[] }>(`notes?website_id=${dashboard.site}`)).notes
    await page.goto("/settings/notes")
    await button("Add annotation").click()
    await field("Date").fill("2026-11-20")
    await field("Text").fill("Release <2.0>")
    await page.keyboard.press("Enter")
    await button("Edit Release <2.0>").click()
    await field("Text").fill("Release 2.1")
    await page.keyboard.press("Enter")
    await button("Delete Release 2.1").waitFor()
    await eventuallyPasses(async () =>
      expect(await notes()).toMatchObject([{ date: "2026-11-20", text: "Release 2.1" }]),
    )
    await button("Delete Release 2.1").click()
    await dialogButton("Delete").click()
    await page.getByText("No annotations").waitFor()
    await eventuallyPasses(async () => expect(await notes()).toEqual([]))
  })

  test("a share link is listed with the page it opens, and stops working once revoked", async () => {
    const { link } = await dashboard.api<{ link: string }>(`shares?website_id=${dashboard.site}`, {
      method: "POST",
      body: JSON.stringify({ name: "For the board", path: "overview?period=last_7d", expiresAt: null }),
    })
    await page.goto("/settings/shares")
    const opens = page.getByRole("link", { name: "Overview period=last_7d" })
    expect(await opens.getAttribute("href")).toBe(`/w/${dashboard.site}/overview?period=last_7d`)
    await button("Revoke For the board").click()
    await dialogButton("Revoke").click()
    await page.getByText("No share links").waitFor()
    const { page: other } = await dashboard.open(link, { isLoggedIn: false })
    await other.getByRole("heading", { name: "This link is no longer valid" }).waitFor()
    await other.context().close()
  })

  test("a saved view is listed and can be renamed", async () => {
    await dashboard.api(`views?website_id=${dashboard.site}`, {
      method: "POST",
      body: JSON.stringify({ kind: "view", name: "Pro", path: "overview?f=eq%3Aproperty.plan%3Apro" }),
    })
    await page.goto("/settings/views")
    await page.getByRole("link", { name: "Overview f=eq:property.plan:pro" }).waitFor()
    await button("More actions for Pro").click()
    await button("Rename…").click()
    await field("Name").fill("Pro plan")
    await page.keyboard.press("Enter")
    await page.getByRole("heading", { name: "Pro plan" }).waitFor()
  })

  test("the server page shows the API's numbers, and that there are no backups", async () => {
    const { database, version } = await dashboard.api<{ database: { events: number }; version: string }>(
      "status",
    )
    await page.goto("/settings/server")
    await page.getByText("This server does not create backups").waitFor()
    const shown = await page.locator("main").textContent()
    expect(shown).toContain(`Events${new Intl.NumberFormat("en-GB").format(database.events)}`)
    expect(shown).toContain(`Version${version}`)
    expect(faults).toEqual([])
  })

  test("the server page shows whether off-site backups work", async () => {
    const hour = 3_600_000
    const offsiteBackups = {
      everyMs: hour,
      keep: 7,
      newestAt: new Date(Date.now() - 5 * hour).toISOString(),
      newestBytes: 1_000,
      lastFailureAt: new Date(Date.now() - hour).toISOString(),
      url: "s3://my-bucket/shop/",
      encrypted: true,
    }
    const url = "**/v1/status"
    await page.route(url, async (route) => {
      const response = await route.fetch()
      await route.fulfill({ response, json: { ...(await response.json()), offsiteBackups } })
    })
    await page.goto("/settings/server")
    await page.getByText("Last off-site backup 5 hours ago").waitFor()
    const shown = await page.locator("main").textContent()
    for (const text of [
      "Overdue",
      "The last attempt failed 1 hour ago",
      "s3://my-bucket/shop/",
      "EncryptionOn",
    ]) {
      expect(shown).toContain(text)
    }
    expect(shown).not.toContain("This server does not create backups")
    await page.unroute(url)
  })

  test("changing the password requires the current one", async () => {
    await page.goto("/settings/account")
    const button = page.getByRole("button", { name: "Change password" })
    const fill = async (current: string, next: string) => {
      await page.getByLabel("Current password", { exact: true }).fill(current)
      await page.getByLabel("New password", { exact: true }).fill(next)
      await button.press("Enter")
    }
    await fill("a wrong guess", "another long phrase")
    await page.getByRole("alert").getByText("The current password is wrong.").waitFor()
    await eventuallyPasses(async () =>
      expect(await button.evaluate((element) => element === document.activeElement)).toBe(true),
    )
    expect(faults.splice(0)).toEqual([expect.stringContaining("400")])
    await fill(owner.password, "another long phrase")
    await page.getByText("Password changed.").waitFor()
    await eventuallyPasses(async () =>
      expect(await page.getByLabel("New password", { exact: true }).inputValue()).toBe(""),
    )
    const login = (password: string) =>
      fetch(`${dashboard.server.url}/v1/login`, {
        method: "POST",
        headers: { "x-databuddy-page": "1" },
        body: JSON.stringify({ email: owner.email, password }),
      })
    expect((await login(owner.password)).status).toBe(401)
    expect((await login("another long phrase")).status).toBe(200)
  })

  test("single-key shortcuts can be turned off, and the theme can be chosen", async () => {
    await page.getByLabel("Dark").check()
    await eventuallyPasses(async () =>
      expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark"),
    )
    await page.getByLabel("Enable single-key shortcuts").uncheck()
    await page.goto(`/w/${dashboard.site}/overview`)
    await page.locator(".stat-value").first().waitFor()
    await page.keyboard.press("?")
    await page.keyboard.press("w")
    expect(new URL(page.url()).search).toBe("")
    await eventuallyPasses(async () => expect(await page.getByRole("dialog").count()).toBe(0))
    await eventuallyPasses(async () =>
      expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark"),
    )
  })
})

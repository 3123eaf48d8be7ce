import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { eventuallyPasses, startServer, temporaryFolder } from "../harness.ts"
import { violations } from "./axe.ts"
import { type Dashboard, launch, noBrowser, openDashboard, owner, skipped } from "./browser.ts"

const loggedOut = { isLoggedIn: false }

async function logIn(page: Page, { email, password } = owner): Promise<void> {
  await page.getByLabel("Email").fill(email)
  await page.getByLabel("Password", { exact: true }).fill(password)
  await page.keyboard.press("Enter")
}

describe.skipIf(noBrowser)(`login${skipped}`, () => {
  let dashboard: Dashboard
  beforeAll(async () => {
    dashboard = await openDashboard({ days: 3 })
  })
  afterAll(async () => {
    await dashboard[Symbol.asyncDispose]()
  })

  const path = (page: Page) => {
    const { pathname, search } = new URL(page.url())
    return pathname + search
  }

  test("a login opens the page that was requested", async () => {
    const requested = `/w/${dashboard.site}/overview?period=today&f=eq%3Aproperty.plan%3Apro`
    const { page, faults } = await dashboard.open(requested, loggedOut)
    await page.getByRole("heading", { level: 1, name: "Log in" }).waitFor()
    await eventuallyPasses(async () =>
      expect(await page.evaluate(() => document.activeElement?.getAttribute("autocomplete"))).toBe(
        "username",
      ),
    )
    expect(await violations(page)).toEqual([])
    await logIn(page)
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
    expect(path(page)).toBe(requested)
    expect(faults).toEqual([])
    await page.context().close()
  })

  test("a login does not redirect to another server", async () => {
    const { page } = await dashboard.open("/login?to=https%3A%2F%2Fevil.example%2Fw%2Fa%2Fb", loggedOut)
    await logIn(page)
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
    expect(path(page)).toBe(`/w/${dashboard.site}/overview`)
    await page.context().close()
  })

  test("a wrong password shows an error, the right one logs in, and logging out ends the login session", async () => {
    const { page } = await dashboard.open("/settings/account", loggedOut)
    await logIn(page, { ...owner, password: "not the one" })
    await page.getByRole("alert").getByText("Wrong email or password").waitFor()
    expect(await violations(page)).toEqual([])
    await logIn(page)
    await page.getByRole("heading", { level: 1, name: "Account" }).waitFor()
    await page.getByRole("button", { name: `${owner.email}: appearance, log out` }).click()
    await page.getByRole("button", { name: "Log out", exact: true }).click()
    await page.getByRole("heading", { level: 1, name: "Log in" }).waitFor()
    expect(path(page)).toBe("/login")
    await page.goto("/settings/account")
    await page.getByRole("heading", { level: 1, name: "Log in" }).waitFor()
    await page.context().close()
  })

  test("an expired login session leads to the login page, and a login leads back", async () => {
    const { page } = await dashboard.open("/settings/account", loggedOut)
    await logIn(page)
    await page.getByRole("heading", { level: 1, name: "Account" }).waitFor()
    await page.context().clearCookies()
    await page.getByRole("link", { name: "API keys" }).click()
    await page.getByRole("heading", { level: 1, name: "Log in" }).waitFor()
    await page.getByText("Your session expired. Log in to continue.").waitFor()
    await logIn(page)
    await page.getByRole("heading", { level: 1, name: "API keys" }).waitFor()
    await page.context().close()
  })

  const invalidLinks = [
    { address: "/invite/used-or-unknown", advice: "user reset" },
    { address: "/share/expired/overview", advice: "Ask the person who sent it" },
  ]
  test.each(invalidLinks)("$address shows that it is invalid and what to do", async ({ address, advice }) => {
    const { page } = await dashboard.open(address, loggedOut)
    await page.getByRole("heading", { level: 1, name: "This link is no longer valid" }).waitFor()
    await eventuallyPasses(async () => expect(await page.locator("main").textContent()).toContain(advice))
    expect(await violations(page)).toEqual([])
    await page.context().close()
  })
})

test.skipIf(noBrowser)(`if there is no account, every page shows how to create one${skipped}`, async () => {
  using folder = temporaryFolder()
  const server = await startServer({ db: folder.file("empty.db"), args: ["--no-setup"] })
  const browser = await launch()
  const page = await browser.newPage()
  await page.goto(`${server.url}/w/all/overview`)
  await page.getByRole("heading", { level: 1, name: "No account yet" }).waitFor()
  await eventuallyPasses(async () =>
    expect(await page.locator("main").textContent()).toContain("databuddy user create you@example.com --db"),
  )
  expect(await violations(page)).toEqual([])
  await browser.close()
  await server.stop()
})

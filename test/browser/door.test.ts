import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Page } from "playwright-core"
import { startServer, temporaryFolder } from "../harness.ts"
import { violations } from "./axe.ts"
import { type Dashboard, launch, noBrowser, openDashboard, owner, skipped } from "./browser.ts"

const nobody = { isLoggedIn: false }

async function logIn(page: Page, { email, password } = owner): Promise<void> {
  await page.getByLabel("Email").fill(email)
  await page.getByLabel("Password", { exact: true }).fill(password)
  await page.keyboard.press("Enter")
}

describe.skipIf(noBrowser)(`the door${skipped}`, () => {
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

  test("a login leads to where one wanted to go", async () => {
    const wanted = `/w/${dashboard.site}/overview?period=today&f=eq%3Aproperty.plan%3Apro`
    const { page, faults } = await dashboard.open(wanted, nobody)
    await page.getByRole("heading", { level: 1, name: "Log in" }).waitFor()
    expect(await page.evaluate(() => document.activeElement?.getAttribute("autocomplete"))).toBe("username")
    expect(await violations(page)).toEqual([])
    await logIn(page)
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
    expect(path(page)).toBe(wanted)
    expect(faults).toEqual([])
    await page.context().close()
  })

  test("a login leads to no other server", async () => {
    const { page } = await dashboard.open("/login?to=https%3A%2F%2Fevil.example%2Fw%2Fa%2Fb", nobody)
    await logIn(page)
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
    expect(path(page)).toBe(`/w/${dashboard.site}/overview`)
    await page.context().close()
  })

  test("a wrong password is said, and the right one lets in; who logs out is out", async () => {
    const { page } = await dashboard.open("/settings/account", nobody)
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

  test("a login that ends while one works leads to the login, and back", async () => {
    const { page } = await dashboard.open("/settings/account", nobody)
    await logIn(page)
    await page.getByRole("heading", { level: 1, name: "Account" }).waitFor()
    await page.context().clearCookies()
    await page.getByRole("link", { name: "Keys" }).click()
    await page.getByRole("heading", { level: 1, name: "Log in" }).waitFor()
    await page.getByText("Your login has ended.").waitFor()
    await logIn(page)
    await page.getByRole("heading", { level: 1, name: "Keys" }).waitFor()
    await page.context().close()
  })

  const shut = [
    { address: "/invite/used-or-never-there", title: "This link does not work any more", says: "user reset" },
    { address: "/share/ended/overview", title: "This link has ended", says: "Ask whoever gave it" },
  ]
  test.each(shut)("$address says that it does not work, and what to do", async ({ address, title, says }) => {
    const { page } = await dashboard.open(address, nobody)
    await page.getByRole("heading", { level: 1, name: title }).waitFor()
    expect(await page.locator("main").textContent()).toContain(says)
    expect(await violations(page)).toEqual([])
    await page.context().close()
  })
})

test.skipIf(noBrowser)(`where nobody has a login, every address says how to make one${skipped}`, async () => {
  using folder = temporaryFolder()
  const server = await startServer({ db: folder.file("empty.db"), args: ["--no-setup"] })
  const browser = await launch()
  const page = await browser.newPage()
  await page.goto(`${server.url}/w/all/overview`)
  await page.getByRole("heading", { level: 1, name: "Nobody has a login yet" }).waitFor()
  expect(await page.locator("main").textContent()).toContain("databuddy user create you@example.com --db")
  expect(await violations(page)).toEqual([])
  await browser.close()
  await server.stop()
})

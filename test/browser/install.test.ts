import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Browser, Page } from "playwright-core"
import { eventually, openReader, type Server, startServer, temporaryFolder } from "../harness.ts"
import { violations } from "./axe.ts"
import { inviteOf, launch, listen, noBrowser, owner, skipped } from "./browser.ts"

/** A regular browser's: headless Chromium's own counts as a crawler. */
const userAgent =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"

describe.skipIf(noBrowser)(`the first minute${skipped}`, () => {
  const folder = temporaryFolder()
  let server: Server
  let browser: Browser
  let page: Page
  let faults: string[]

  beforeAll(async () => {
    server = await startServer({ db: folder.file("first.db") })
    browser = await launch()
    page = await browser.newPage({ baseURL: server.url, locale: "en-GB" })
    faults = listen(page)
  })
  afterAll(async () => {
    await browser.close()
    await server.stop()
    folder[Symbol.dispose]()
  })

  const send = (event: object) =>
    fetch(`${server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${server.key}` },
      body: JSON.stringify(event),
    })
  const code = () => page.locator("pre").textContent()

  test("the printed link creates the owner, who sees snippets with the real URL and website", async () => {
    await page.goto(inviteOf(server))
    await page.getByRole("heading", { level: 1, name: "Create account" }).waitFor()
    expect(await violations(page)).toEqual([])
    await page.keyboard.type(owner.email)
    await page.keyboard.press("Tab")
    await page.keyboard.type(owner.password)
    await page.keyboard.press("Enter")
    await page.getByText("Waiting for the first event…").waitFor()
    const [, site = ""] = /^\/w\/([^/]+)\/overview$/.exec(new URL(page.url()).pathname) ?? []
    expect(await code()).toContain(`curl -X POST "${server.url}/track?website_id=${site}"`)
    expect(await violations(page)).toEqual([])
  })

  test("the link works once", async () => {
    const other = await browser.newPage({ baseURL: server.url })
    await other.goto(inviteOf(server))
    await other.getByRole("heading", { name: "This link is no longer valid" }).waitFor()
    await other.close()
  })

  test("a key created for the snippet can only send events to this website", async () => {
    await page.getByRole("button", { name: "Node.js" }).click()
    await page.getByRole("button", { name: "Create key" }).click()
    await page.getByText("Key added to the snippet.").waitFor()
    expect(await code()).toMatch(/apiKey: "dbdy_[\w-]{32}"/)
    const response = await fetch(`${server.url}/v1/keys`, {
      headers: { authorization: `Bearer ${server.key}` },
    })
    const { keys }: { keys: { scopes: string[]; websites: string[] | null }[] } = await response.json()
    expect(keys.at(-1)).toMatchObject({ scopes: ["track:events"], websites: [expect.any(String)] })
  })

  test("events without a website are reported, with a link to them", async () => {
    await send({ name: "stray" })
    await page.getByText("Events are arriving without a website").waitFor()
    expect(await violations(page)).toEqual([])
  })

  test("the web page snippet works unchanged, and its events open the overview", async () => {
    await page.getByRole("button", { name: "Web page" }).click()
    const snippet = await code()
    const shop = Bun.serve({
      port: 0,
      fetch: () =>
        new Response(`<!doctype html><head>${snippet}</head>`, { headers: { "content-type": "text/html" } }),
    })
    const context = await browser.newContext({ userAgent })
    const tab = await context.newPage()
    await tab.goto(`http://localhost:${shop.port}/prices?secret=1`)
    await page.getByText("Received page_viewed").waitFor()
    expect(await violations(page)).toEqual([])
    // The function that the snippet defines.
    await tab.evaluate(`track("signed_up", { plan: "pro" })`)
    await tab.goto("about:blank")
    // Opens without a click.
    await page.locator(".stat-value").first().waitFor()
    await eventually(() => stored().length === 3)
    const rows = stored()
    expect(rows.map(({ name, path }) => [name, path])).toEqual([
      ["page_viewed", "/prices"],
      ["signed_up", "/prices"],
      ["page_left", "/prices"],
    ])
    expect(rows[1]?.properties).toBe('{"plan":"pro"}')
    expect(new Set(rows.map(({ anonymous_id, session_id }) => `${anonymous_id} ${session_id}`)).size).toBe(1)
    expect(rows[0]?.anonymous_id).toMatch(/^\d+-\d+-\d+-\d+$/)
    expect(rows[0]?.session_id).not.toBe(rows[0]?.anonymous_id)
    await context.close()
    await shop.stop(true)
  })

  /** The website's events. */
  function stored(): Record<string, string | null>[] {
    const db = openReader(server.db)
    try {
      const columns = "name, path, properties, anonymous_id, session_id"
      const sql = `select ${columns} from events where website_id is not null order by id`
      // SQLite does not tell the types of the columns: these are text.
      return db.prepare(sql).all() as Record<string, string | null>[]
    } finally {
      db.close()
    }
  }

  test("the domain of the first start can be replaced, and the instructions stay available", async () => {
    await page.goto("/settings/websites")
    await page.getByRole("link", { name: "Setup instructions for localhost" }).click()
    await page.getByText("Receiving events. Latest: page_left").waitFor()
    await page.getByRole("textbox", { name: "Domain" }).fill("https://shop.example.com/start")
    await page.keyboard.press("Enter")
    await page.getByRole("heading", { name: "Send events to shop.example.com" }).waitFor()
    expect(await page.getByRole("textbox", { name: "Domain" }).count()).toBe(0)
    expect(faults).toEqual([])
  })
})

describe.skipIf(noBrowser)(`an event before the first account${skipped}`, () => {
  test("does not skip the setup instructions, which lead to the overview", async () => {
    using folder = temporaryFolder()
    const server = await startServer({ db: folder.file("early.db") })
    const browser = await launch()
    try {
      // The command that the server prints on startup.
      const [, url = "", body = ""] = /curl -X POST "([^"]+)".* -d '([^']+)'/.exec(server.output()) ?? []
      const sent = await fetch(url, {
        method: "POST",
        headers: { authorization: `Bearer ${server.key}`, "content-type": "application/json" },
        body,
      })
      expect(sent.status).toBe(200)
      const page = await browser.newPage({ baseURL: server.url, locale: "en-GB" })
      const faults = listen(page)
      await page.goto(inviteOf(server))
      await page.getByRole("textbox", { name: "Email" }).fill(owner.email)
      await page.getByRole("textbox", { name: "Password" }).fill(owner.password)
      await page.keyboard.press("Enter")
      await page.getByText("Receiving events. Latest: hello").waitFor()
      expect(new URL(page.url()).pathname).toEndWith("/install")
      expect(await page.locator("pre").textContent()).toContain("curl -X POST")
      expect(await violations(page)).toEqual([])
      await page.getByRole("link", { name: "Open overview" }).click()
      await page.locator(".stat-value").first().waitFor()
      expect(await page.locator(".stat-value").allTextContents()).toEqual(["1", "1", "1", "1"])
      expect(faults).toEqual([])
    } finally {
      await browser.close()
      await server.stop()
    }
  })
})

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Browser, Page } from "playwright-core"
import { eventually, openReader, type Server, startServer, temporaryFolder } from "../harness.ts"
import { violations } from "./axe.ts"
import { inviteOf, launch, listen, noBrowser, owner, skipped } from "./browser.ts"

/** One of a person's browser: what its own says of itself counts as a crawler. */
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

  test("the printed link makes the owner, who sees the lines with the real address and website", async () => {
    await page.goto(inviteOf(server))
    await page.getByRole("heading", { level: 1, name: "Set up Databuddy" }).waitFor()
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
    await other.getByRole("heading", { name: "This link does not work any more" }).waitFor()
    await other.close()
  })

  test("a key is made for the lines, shown, and may send events of this website alone", async () => {
    await page.getByRole("button", { name: "Node.js" }).click()
    await page.getByRole("button", { name: "Make a key" }).click()
    await page.getByText("The key stands in the lines now").waitFor()
    expect(await code()).toMatch(/apiKey: "dbdy_[\w-]{32}"/)
    const answer = await fetch(`${server.url}/v1/keys`, {
      headers: { authorization: `Bearer ${server.key}` },
    })
    const { keys } = (await answer.json()) as { keys: { scopes: string[]; websites: string[] | null }[] }
    expect(keys.at(-1)).toMatchObject({ scopes: ["track:events"], websites: [expect.any(String)] })
  })

  test("who sends without naming the website is told where the events went", async () => {
    await send({ name: "stray" })
    await page.getByText("Events arrive, but without a website").waitFor()
    expect(await violations(page)).toEqual([])
  })

  test("the lines for a page work as they are; what they send turns the box green, and then into numbers", async () => {
    await page.getByRole("button", { name: "Web page" }).click()
    const lines = await code()
    const shop = Bun.serve({
      port: 0,
      fetch: () =>
        new Response(`<!doctype html><head>${lines}</head>`, { headers: { "content-type": "text/html" } }),
    })
    const context = await browser.newContext({ userAgent })
    const tab = await context.newPage()
    await tab.goto(`http://localhost:${shop.port}/prices?secret=1`)
    await page.getByText("It is here: page_viewed").waitFor()
    expect(await violations(page)).toEqual([])
    // The page's own function, from the lines.
    await tab.evaluate(`track("signed_up", { plan: "pro" })`)
    await tab.goto("about:blank")
    // By itself, for nobody clicked.
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
      return db.prepare(sql).all() as Record<string, string | null>[]
    } finally {
      db.close()
    }
  }

  test("the domain of the first start becomes the real one, and the lines stay to be found", async () => {
    await page.goto("/settings/websites")
    await page.getByRole("link", { name: "Install lines of localhost" }).click()
    await page.getByText("Events arrive. The newest: page_left").waitFor()
    await page.getByRole("textbox", { name: "Domain" }).fill("https://shop.example.com/start")
    await page.keyboard.press("Enter")
    await page.getByRole("heading", { name: "Send events of shop.example.com" }).waitFor()
    expect(await page.getByRole("textbox", { name: "Domain" }).count()).toBe(0)
    expect(faults).toEqual([])
  })
})

describe.skipIf(noBrowser)(`an event before the first login${skipped}`, () => {
  test("the owner still sees the setup page, with the event, and goes on to the overview", async () => {
    using folder = temporaryFolder()
    const server = await startServer({ db: folder.file("early.db") })
    const browser = await launch()
    try {
      // The line that the start prints.
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
      await page.getByText("Events arrive. The newest: hello").waitFor()
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

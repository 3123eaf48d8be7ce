import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Browser, Page } from "playwright-core"
import { createWebsite } from "../../src/store/websites.ts"
import {
  eventually,
  eventuallyPasses,
  openReader,
  type Server,
  startServer,
  type TemporaryFolder,
  temporaryFolder,
  withDatabase,
} from "../harness.ts"
import { inviteOf, launch, listen, noBrowser, owner, skipped, still } from "./browser.ts"

// A browser uses a server with --base-path behind a proxy, on a host that also serves another application.

const basePath = "/stats"
/** A regular browser's user agent. Headless Chromium's own counts as that of a crawler. */
const userAgent =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
const kinds = [
  { kind: "removes the path", removesPath: true },
  { kind: "does not remove the path", removesPath: false },
]

/** A host whose own pages load the script, with a databuddy server below /stats. */
interface Host extends AsyncDisposable {
  port: number
  /** Requested paths outside /stats, with the cookies that were sent. */
  others: { path: string; cookies: string }[]
}

function openHost({ port: upstream }: Server, removesPath: boolean): Host {
  const host = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    // An event stream can be silent for longer than the default.
    idleTimeout: 0,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url)
      if (pathname !== basePath && !pathname.startsWith(`${basePath}/`)) {
        others.push({ path: pathname, cookies: request.headers.get("cookie") ?? "" })
        if (pathname !== "/") return new Response(null, { status: 404 })
        return new Response(shopPage, { headers: { "content-type": "text/html; charset=utf-8" } })
      }
      const path = removesPath ? pathname.slice(basePath.length) || "/" : pathname
      const { method, headers, body, signal } = request
      const response = await fetch(`http://127.0.0.1:${upstream}${path}${search}`, {
        method,
        headers,
        signal,
        redirect: "manual",
        decompress: false,
        ...(body ? { body: await request.arrayBuffer() } : {}),
      })
      return new Response(response.body, response)
    },
  })
  const others: Host["others"] = []
  return { port: host.port ?? 0, others, [Symbol.asyncDispose]: () => host.stop(true) }
}

/** Bot detection is off, because Playwright automates the browser. */
const shopPage = `<!doctype html><html><head><meta charset="utf-8"><title>Shop</title>
<link rel="icon" href="data:,">
<script src="/stats/databuddy.js" data-client-id="shop" data-ignore-bot-detection data-batch-timeout="100" async></script>
</head><body><a href="/stats/">Statistics</a></body></html>`

describe.skipIf(noBrowser).each(kinds)(`through a proxy that $kind${skipped}`, ({ removesPath }) => {
  let folder: TemporaryFolder
  let server: Server
  let host: Host
  let browser: Browser
  let page: Page
  let origin: string
  let faults: string[]

  beforeAll(async () => {
    folder = temporaryFolder()
    const db = folder.file("shop.db")
    const settings = { name: "Shop", domain: "shop.test", allowedOrigins: [], anonymize: "off" as const }
    withDatabase(db, (opened) => createWebsite(opened, "shop", settings, Date.now()))
    server = await startServer({ db, args: ["--base-path", basePath] })
    host = openHost(server, removesPath)
    browser = await launch({ args: ["--host-resolver-rules=MAP *.test 127.0.0.1"] })
    origin = `http://shop.test:${host.port}`
    page = await browser.newPage({ baseURL: origin, locale: "en-GB", ...still })
    faults = listen(page)
  })
  afterAll(async () => {
    await browser?.close()
    await host?.[Symbol.asyncDispose]()
    await server?.stop()
    folder?.[Symbol.dispose]()
  })

  const heading = (name: string) => page.getByRole("heading", { level: 1, name }).waitFor()
  const pathNow = () => new URL(page.url()).pathname
  const logIn = async () => {
    await page.getByLabel("Email").fill(owner.email)
    await page.getByLabel("Password", { exact: true }).fill(owner.password)
    await page.keyboard.press("Enter")
  }

  test("the printed link creates the owner, and the setup page has snippets that contain the path", async () => {
    expect(server.url).toBe(`http://127.0.0.1:${server.port}/stats`)
    await page.goto(basePath + inviteOf(server))
    await heading("Create account")
    await logIn()
    await page.getByText("Waiting for the first event…").waitFor()
    expect(pathNow()).toBe("/stats/w/shop/overview")
    await eventuallyPasses(async () =>
      expect(await page.locator("pre").allTextContents()).toEqual([
        `<script src="${origin}/stats/databuddy.js" data-client-id="shop" async></script>`,
        expect.stringContaining(`curl -X POST "${origin}/stats/track?website_id=shop"`),
      ]),
    )
  })

  test("a view of a page with the script is stored and appears on the open setup page", async () => {
    const context = await browser.newContext({ userAgent })
    const shop = await context.newPage()
    await shop.goto(`${origin}/`)
    await page.getByText("Received /").waitFor()
    const db = openReader(server.db)
    const events = () => db.prepare("select kind, path from events where website_id = 'shop'").all()
    await eventually(() => events().length > 0)
    expect(events()).toEqual([{ kind: "page_view", path: "/" }])
    db.close()
    await context.close()
  })

  test("pages, reloads, the history and links work", async () => {
    await page.getByRole("link", { name: "Live", exact: true }).click()
    await heading("Live")
    await page.getByRole("link", { name: "People", exact: true }).click()
    await heading("People")
    await page.getByRole("link", { name: "Funnels", exact: true }).click()
    await heading("Funnels")
    expect(pathNow()).toBe("/stats/w/shop/funnels")
    await page.reload()
    await heading("Funnels")
    const stored = await page.evaluate(() => Object.keys(localStorage).sort())
    const names = ["chart-hint", "shortcuts", "theme", "website"]
    expect(stored).toEqual(names.map((name) => `/stats:${name}`))
    await page.goBack()
    await heading("People")
    await page.goto("/stats/settings")
    await heading("Account")
    expect(pathNow()).toBe("/stats/settings/account")
    await page.goto("/stats/settings/server")
    await page.getByRole("link", { name: "API", exact: true }).click()
    await page.getByText("Store custom events").first().waitFor()
    expect(pathNow()).toBe("/stats/docs")
  })

  test("a person's events can be downloaded, and a share link opens", async () => {
    await page.goto("/stats/w/shop/people")
    await page.locator("tbody a").first().click()
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Export" }).click(),
    ])
    expect(await Bun.file(await download.path()).text()).toContain('"hostname":"shop.test"')
    await page.goto("/stats/w/shop/overview?period=today")
    await page.getByRole("button", { name: "Share & save" }).click()
    await page.getByRole("button", { name: "Create share link…" }).click()
    await page.getByLabel("Name").fill("For the board")
    await page.getByRole("button", { name: "Create link" }).click()
    const url = (await page.getByRole("dialog").locator("code", { hasText: "/share/" }).textContent()) ?? ""
    expect(url).toStartWith(`${origin}/stats/share/`)
    const context = await browser.newContext()
    const guest = await context.newPage()
    await guest.goto(url)
    await guest.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
    expect(new URL(guest.url()).pathname).toBe(`${new URL(url).pathname}/overview`)
    await context.close()
  })

  test("the login cookie is limited to the path, and logging out deletes it", async () => {
    const cookies = await page.context().cookies()
    expect(cookies.map(({ name, path }) => ({ name, path }))).toEqual([
      { name: "databuddy_session", path: "/stats" },
    ])
    await page.goto("/")
    expect(host.others.filter((request) => request.cookies !== "")).toEqual([])
    await page.goto("/stats/w/shop/events?period=today")
    await page.getByRole("button", { name: `${owner.email}: appearance, log out` }).click()
    await page.getByRole("button", { name: "Log out", exact: true }).click()
    await heading("Log in")
    expect(pathNow()).toBe("/stats/login")
    await eventuallyPasses(async () => expect(await page.context().cookies()).toEqual([]))
    await page.goto("/stats/w/shop/goals?period=today")
    await heading("Log in")
    await logIn()
    await heading("Goals")
    expect(page.url()).toBe(`${origin}/stats/w/shop/goals?period=today`)
  })

  test("no request was sent outside the path, and no errors occurred", () => {
    expect(host.others.filter(({ path }) => path !== "/")).toEqual([])
    expect(faults).toEqual([])
  })
})

import { existsSync } from "node:fs"
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core"
import { type Server, startServer, temporaryFolder } from "../harness.ts"
import { shopEvents, shopPages } from "./shop.ts"

const candidates = [
  process.env.CHROMIUM,
  // The headless shell does half the work for the same pages.
  "/usr/bin/chromium-headless-shell",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
]
/** The installed browser; undefined if there is none. Browser tests are then skipped. */
const executable = candidates.find((path) => path !== undefined && existsSync(path))

/** A full Chromium, which, unlike the headless shell, has a back/forward cache; undefined if there is none. */
export const wholeBrowser = candidates.find(
  (path) => path !== undefined && !path.includes("headless") && existsSync(path),
)

export const noBrowser = executable === undefined
/** Suffix of the names of browser tests. */
export const skipped = noBrowser
  ? " (skipped: needs Chromium; apt-get install chromium-headless-shell fonts-liberation, or CHROMIUM=path)"
  : ""

/** Disable updates and other background requests: tests only use the loopback interface. */
const switches = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Containers often have only 64 MB of shared memory.
  "--disable-dev-shm-usage",
]

/** ms before an action fails: generous, for machines that run other tests. */
const actionTimeout = 20_000

export const owner = { email: "ann@example.com", password: "a long pass phrase" }

/** A browser and a server with a shop's events. */
export interface Dashboard extends AsyncDisposable {
  server: Server
  /** The website's id. */
  site: string
  browser: Browser
  /** Opens a tab, logged in as the owner by default. `faults`: errors of the page. */
  open: (path: string, options?: BrowserContextOptions & { isLoggedIn?: boolean }) => Promise<Tab>
  /** Releases a page from `open`. A page with the default options is reused, because it then loads in half the time. */
  close: (page: Page) => Promise<void>
  /** Calls the API with the owner's key. */
  api: <Data>(path: string, init?: RequestInit) => Promise<Data>
}

export interface Tab {
  page: Page
  faults: string[]
}

export interface LaunchOptions {
  /** Additional switches. */
  args?: string[]
  /** Playwright's default switches to leave out. */
  without?: string[]
  /** Default: `executable`. */
  path?: string | undefined
  /** Environment variables to add. */
  env?: Record<string, string>
}

export async function launch({
  args = [],
  without = [],
  path = executable,
  env,
}: LaunchOptions = {}): Promise<Browser> {
  return chromium.launch({
    ...(env ? { env: { ...process.env, ...env } } : {}),
    ...(path ? { executablePath: path } : {}),
    args: [...switches, ...args],
    ignoreDefaultArgs: without,
  })
}

/** The server reads the country of a page view from the header that a CDN sends. */
const countryArgs = ["--trust-proxy", "127.0.0.1", "--country-header", "cf-ipcountry"]

/** Turns off an optimizing compiler, which takes more CPU time than it saves for a few hundred requests. */
const engine = { BUN_JSC_useDFGJIT: "0" }

/** Turns off animations: without a graphics card, painting them takes more CPU time than loading the page. */
export const still = { reducedMotion: "reduce" } as const

const viewport = { width: 1360, height: 900 }

interface DashboardOptions {
  /** Days of a shop's custom events; 0 for none. */
  days?: number
  /** With page views of the same days. */
  pageViews?: boolean
}

/** Starts the browser and the server. */
export async function openDashboard({
  days = 60,
  pageViews = false,
}: DashboardOptions = {}): Promise<Dashboard> {
  const folder = temporaryFolder()
  const server = await startServer({ db: folder.file("dashboard.db"), args: countryArgs, env: engine })
  const browser = await launch()
  const headers = { authorization: `Bearer ${server.key}` }
  const api = async <Data>(path: string, init: RequestInit = {}) => {
    const response = await fetch(`${server.url}/v1/${path}`, { ...init, headers })
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
    // The caller names the shape that the API documents for this path.
    return (await response.json()) as Data
  }
  const { websites } = await api<{ websites: { id: string }[] }>("websites")
  const site = websites[0]?.id ?? ""
  await sendEvents(server, site, days)
  if (pageViews) await sendPages(server, site, days)
  const { email, password } = owner
  const cookies = await accept(server, { email, password })
  const reusable = new WeakSet<Page>()
  const idle: Page[] = []
  return {
    server,
    site,
    browser,
    api,
    open: async (path, { isLoggedIn = true, ...options } = {}) => {
      const isDefault = isLoggedIn && Object.keys(options).length === 0
      let page = isDefault ? idle.pop() : undefined
      if (!page) {
        const context = await browser.newContext({
          viewport,
          locale: "en-GB",
          timezoneId: "UTC",
          baseURL: server.url,
          ...still,
          ...options,
        })
        context.setDefaultTimeout(actionTimeout)
        if (isLoggedIn) await context.addCookies(cookies)
        page = await context.newPage()
        if (isDefault) reusable.add(page)
      }
      const faults = listen(page)
      await page.goto(path.replace("SITE", site))
      return { page, faults }
    },
    close: async (page) => {
      if (!reusable.has(page)) return page.context().close()
      await reset(page)
      idle.push(page)
    },
    [Symbol.asyncDispose]: async () => {
      await browser.close()
      await server.stop()
      folder[Symbol.dispose]()
    },
  }
}

/**
 * Undoes what a test changed in a page, except a fake clock and scripts added to each load: close the context of such a
 * page instead.
 */
async function reset(page: Page): Promise<void> {
  page.removeAllListeners()
  await page.unrouteAll({ behavior: "wait" })
  await page.evaluate(() => {
    localStorage.clear()
    sessionStorage.clear()
  })
  // The pointer must not be over an element of the next page.
  await page.mouse.move(0, 0)
  await page.emulateMedia({ ...still, colorScheme: "light", media: null })
  await page.setViewportSize(viewport)
}

/** Collects uncaught exceptions and console errors. A request aborted by leaving a page is neither. */
export function listen(page: Page): string[] {
  const faults: string[] = []
  page.on("pageerror", (error) => faults.push(error.message))
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text())
  })
  return faults
}

/** Waits until a page shows `text` and nothing is loading. */
export async function waitForPage(page: Page, text: string): Promise<void> {
  await page.getByText(text).locator("visible=true").first().waitFor()
  await waitForQueries(page)
}

/** Waits until the results of the latest queries are shown. */
export async function waitForQueries(page: Page): Promise<void> {
  await page.locator(".skeleton, [aria-busy=true]").first().waitFor({ state: "detached" })
}

async function sendEvents(server: Server, site: string, days: number): Promise<void> {
  const events = shopEvents(Date.now(), days).map((event) => ({ ...event, websiteId: site }))
  for (let at = 0; at < events.length; at += 1_000) {
    const response = await fetch(`${server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${server.key}` },
      body: JSON.stringify(events.slice(at, at + 1_000)),
    })
    if (!response.ok) throw new Error(`the shop's events were rejected: ${await response.text()}`)
  }
}

async function sendPages(server: Server, site: string, days: number): Promise<void> {
  for (const { headers, items } of shopPages(Date.now(), days)) {
    const response = await fetch(`${server.url}/batch?client_id=${site}`, {
      method: "POST",
      headers,
      body: JSON.stringify(items),
    })
    const { status } = (await response.json()) as { status?: unknown }
    if (status !== "success") throw new Error(`the shop's page views were rejected: ${status}`)
  }
}

/** Accepts the one-time link that the server printed, as the page does. Returns the login cookie. */
async function accept(server: Server, body: object) {
  const link = inviteOf(server)
  const response = await fetch(`${server.url}/v1${link.replace("/invite/", "/invites/")}`, {
    method: "POST",
    headers: { "x-databuddy-page": "1", "content-type": "application/json" },
    body: JSON.stringify(body),
  })
  const [name = "", value = ""] = (response.headers.get("set-cookie") ?? "").split(";")[0]?.split("=") ?? []
  if (!response.ok) throw new Error(`the link was rejected: ${await response.text()}`)
  return [{ name, value, url: server.url }]
}

/** Path of the one-time link that the server printed. */
export function inviteOf(server: Server): string {
  return /\/invite\/[\w-]+/.exec(server.output())?.[0] ?? ""
}

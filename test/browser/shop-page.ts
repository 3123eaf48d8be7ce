import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core"
import { createWebsite } from "../../src/store/websites.ts"
import {
  eventually,
  openReader,
  type Server,
  startServer,
  temporaryFolder,
  withDatabase,
} from "../harness.ts"
import { launch, listen } from "./browser.ts"
import { type Item, openRecorder, type Recorder } from "./recorder.ts"

/** What a page of the shop contains. */
export interface PageSpec {
  path?: string
  /** Attributes of the script tag, in addition to those that make tests fast. */
  attributes?: string
  /** HTML before the script tag. */
  head?: string
  /** HTML of the body. */
  body?: string
  /** Replaces the script tag. */
  tag?: string
  /** Response headers. */
  headers?: Record<string, string>
  host?: string
  /** Default: a new context. */
  context?: BrowserContext
  contextOptions?: BrowserContextOptions
  /** Runs in the page before its scripts. */
  before?: string
}

export interface OpenPage {
  page: Page
  context: BrowserContext
  /** Uncaught exceptions and console errors. */
  faults: string[]
  /** URL of a path of the shop. */
  url: (path: string) => string
}

/** A shop at http://shop.test whose pages load the script from http://stats.test, in a browser. */
export interface Shop extends AsyncDisposable {
  recorder: Recorder
  browser: Browser
  /** The script tag with `attributes`. */
  tag: (attributes?: string) => string
  /** Origin of the endpoints. */
  stats: string
  /** Port of the shop. */
  port: number
  open: (spec?: PageSpec) => Promise<OpenPage>
  /** Event IDs in the server's database, in order. */
  stored: () => unknown[]
  /** Waits until the accepted items have these labels in any order, and returns them. See `labelOf`. */
  received: (labels: string[]) => Promise<Item[]>
}

/** Attributes that make a page send events with little delay, although Playwright automates the browser. */
const fast =
  'data-client-id="shop" data-ignore-bot-detection data-batch-timeout="100" data-initial-retry-delay="50"'

/** Returns a label for an item: its path, and its name or type. */
export function labelOf({ path, fields }: Item): string {
  const name = fields.name ?? fields.metricName ?? fields.message ?? fields.profileId ?? fields.exitType
  return `${path} ${fields.type === "outgoing_link" ? fields.type : name}`
}

/**
 * Opens a shop whose recorder forwards to a real server, which must accept and store everything. `path`: another
 * browser.
 */
export async function openShop({ path }: { path?: string } = {}): Promise<Shop> {
  const folder = temporaryFolder()
  const server = await startPageServer(folder.file("shop.db"))
  const recorder = openRecorder(server.url)
  let current: PageSpec = {}
  const site = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      // Requests for favicons, for example, are not page loads.
      if (!(request.headers.get("accept") ?? "").includes("text/html"))
        return new Response(null, { status: 204 })
      const { head = "", body = "", headers = {}, attributes, tag = shop.tag(attributes) } = current
      const html = `<!doctype html><html><head><meta charset="utf-8"><title>Shop</title>${head}${tag}</head><body>${body}</body></html>`
      return new Response(html, { headers: { "content-type": "text/html; charset=utf-8", ...headers } })
    },
  })
  const browser = await launch({
    args: ["--host-resolver-rules=MAP *.test 127.0.0.1"],
    // Playwright disables the back/forward cache by default.
    without: ["--disable-back-forward-cache"],
    path,
  })
  const stats = `http://stats.test:${recorder.port}`
  const port = site.port ?? 0
  const shop: Shop = {
    recorder,
    browser,
    stats,
    port,
    // If an attribute occurs twice, the first one counts.
    tag: (attributes = "") => `<script src="${stats}/databuddy.js" ${attributes} ${fast} async></script>`,
    stored: () => storedIds(server.db),
    open: async (spec = {}) => {
      current = spec
      const context =
        spec.context ??
        (await browser.newContext({ locale: "en-GB", timezoneId: "Europe/Vienna", ...spec.contextOptions }))
      const page = await context.newPage()
      const faults = listen(page)
      if (spec.before) await page.addInitScript(spec.before)
      const url = (path: string) => `http://${spec.host ?? "shop.test"}:${port}${path}`
      await page.goto(url(spec.path ?? "/"))
      return { page, context, faults, url }
    },
    received: async (labels) => {
      const expected = labels.toSorted()
      const labelsNow = () => recorder.items.map(labelOf).toSorted()
      await eventually(() => recorder.items.length >= expected.length, { timeout: 30_000 }).catch(() => {})
      if (JSON.stringify(labelsNow()) !== JSON.stringify(expected)) {
        throw new Error(`received ${labelsNow().join(", ")} instead of ${expected.join(", ")}`)
      }
      return recorder.items
    },
    [Symbol.asyncDispose]: async () => {
      await browser.close()
      await site.stop(true)
      await recorder[Symbol.asyncDispose]()
      await server.stop()
      folder[Symbol.dispose]()
    },
  }
  return shop
}

/** Starts a server with the website of the shop. */
async function startPageServer(db: string): Promise<Server> {
  const settings = { name: "Shop", domain: "shop.test", allowedOrigins: ["other.test"] }
  withDatabase(db, (opened) => createWebsite(opened, "shop", { ...settings, anonymize: "off" }, Date.now()))
  return startServer({ db, args: ["--rate-limit", "0"] })
}

function storedIds(path: string): unknown[] {
  const db = openReader(path)
  try {
    return db.prepare("select event_id from events where website_id = 'shop' order by event_id").pluck().all()
  } finally {
    db.close()
  }
}

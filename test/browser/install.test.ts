import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Browser, Page } from "playwright-core"
import { eventuallyPasses, type Server, startServer, temporaryFolder } from "../harness.ts"
import { violations } from "./axe.ts"
import { inviteOf, launch, listen, noBrowser, owner, skipped, still } from "./browser.ts"

/** A regular browser's user agent. Headless Chromium's own counts as that of a crawler. */
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
    page = await browser.newPage({ baseURL: server.url, locale: "en-GB", ...still })
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
  const code = (panel: string) => page.getByRole("region", { name: panel }).locator("pre").textContent()
  const events = "Send custom events to localhost"
  /** Sends page views as the page script does. */
  const view = (site: string, origin: string, path: string) =>
    fetch(`${server.url}/batch?client_id=${site}`, {
      method: "POST",
      headers: { origin, "user-agent": userAgent },
      body: JSON.stringify([
        { eventId: path, name: "screen_view", path: `${origin}${path}`, anonymousId: "ann" },
      ]),
    })
  let site = ""

  test("the printed link creates the owner, who sees snippets with the real URL and website", async () => {
    await page.goto(inviteOf(server))
    await page.getByRole("heading", { level: 1, name: "Create account" }).waitFor()
    expect(await violations(page)).toEqual([])
    await page.keyboard.type(owner.email)
    await page.keyboard.press("Tab")
    await page.keyboard.type("short")
    await page.keyboard.press("Tab")
    await page.getByText("Too short (5). Use at least 10 characters").waitFor()
    await page.getByLabel("Password", { exact: true }).fill("password123")
    await page.keyboard.press("Enter")
    await page.getByRole("alert").getByText("among the most common passwords").waitFor()
    expect(await violations(page)).toEqual([])
    await page.getByLabel("Password", { exact: true }).fill(owner.password)
    await page.keyboard.press("Enter")
    await page.getByText("Waiting for the first event…").waitFor()
    // The browser logs the response that rejected the password.
    expect(faults.splice(0)).toEqual([expect.stringContaining("400 (Bad Request)")])
    site = (/^\/w\/([^/]+)\/overview$/.exec(new URL(page.url()).pathname) ?? [])[1] ?? ""
    await eventuallyPasses(async () =>
      expect(await code("Add the script to localhost")).toBe(
        `<script src="${server.url}/databuddy.js" data-client-id="${site}" async></script>`,
      ),
    )
    await eventuallyPasses(async () =>
      expect(await code(events)).toContain(`curl -X POST "${server.url}/track?website_id=${site}"`),
    )
    expect(await violations(page)).toEqual([])
  })

  test("a pinned tag has the hash of the script that the server sends", async () => {
    const box = page.getByLabel("Pin this version of the script")
    await box.check()
    const script = await (await fetch(`${server.url}/databuddy.js`)).text()
    const digest = new Bun.CryptoHasher("sha384").update(script).digest("base64")
    const tag = `<script src="${server.url}/databuddy.js" data-client-id="${site}" integrity="sha384-${digest}" crossorigin="anonymous" async></script>`
    await page.getByText(`sha384-${digest}`).waitFor()
    await eventuallyPasses(async () => expect(await code("Add the script to localhost")).toBe(tag))
    expect(await violations(page)).toEqual([])
    await box.uncheck()
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
    await eventuallyPasses(async () => expect(await code(events)).toMatch(/apiKey: "dbdy_[\w-]{32}"/))
    const response = await fetch(`${server.url}/v1/keys`, {
      headers: { authorization: `Bearer ${server.key}` },
    })
    const { keys }: { keys: { scopes: string[]; websites: string[] | null }[] } = await response.json()
    expect(keys.at(-1)).toMatchObject({ scopes: ["track:events"], websites: [expect.any(String)] })
  })

  test("events without a website are reported, with a link to them", async () => {
    await send({ name: "stray" })
    await page.getByText("Some events arrive without a website").waitFor()
    expect(await violations(page)).toEqual([])
  })

  test.each(["React", "Next.js", "Vue"])(
    "the snippet for %s has the real URL and website",
    async (framework) => {
      await page.getByRole("button", { name: framework, exact: true }).click()
      const snippet = (await code("Add the script to localhost")) ?? ""
      expect(snippet.replace(/\s+/g, " ")).toContain(
        `<Databuddy clientId="${site}" apiUrl="${server.url}" scriptUrl="${server.url}/databuddy.js" />`,
      )
    },
  )

  test("a rejected host appears without a reload, and one click allows it", async () => {
    const origin = "https://shop.example.net"
    const curl = page.getByRole("region", { name: events }).locator("pre")
    await page.getByRole("button", { name: "curl" }).click()
    await eventuallyPasses(async () => expect(await curl.textContent()).not.toContain("Origin:"))
    expect((await view(site, origin, "/early")).status).toBe(403)
    await page.getByRole("button", { name: "Allow this host: shop.example.net" }).waitFor()
    expect(await violations(page)).toEqual([])
    await page.getByRole("button", { name: "Allow this host: shop.example.net" }).click()
    await page.getByText("shop.example.net can send events now").waitFor()
    await page.getByRole("button", { name: /^Allow this host/ }).waitFor({ state: "detached" })
    // The website now lists origins, so a request without an origin is rejected.
    await curl.getByText('-H "Origin: http://localhost"').waitFor()
    await eventuallyPasses(async () =>
      expect(await page.evaluate("document.activeElement.tagName")).toBe("H1"),
    )
  })

  test("the first page view from the tag offers a link to Web, and the instructions stay until it is clicked", async () => {
    await page.getByRole("button", { name: "HTML" }).click()
    const tag = (await code("Add the script to localhost")) ?? ""
    const shop = Bun.serve({
      port: 0,
      fetch: () =>
        // The page recommends the debug script for localhost. By default, the script ignores automated browsers.
        new Response(
          `<!doctype html>${tag.replace("databuddy.js", "databuddy-debug.js").replace(" async", " data-ignore-bot-detection async")}`,
          { headers: { "content-type": "text/html" } },
        ),
    })
    const context = await browser.newContext({ userAgent })
    const tab = await context.newPage()
    await tab.goto(`http://localhost:${shop.port}/prices?secret=1`)
    await page.getByText("Received /prices").waitFor()
    await context.close()
    await shop.stop(true)
    expect(await violations(page)).toEqual([])
    await page.waitForTimeout(6_000)
    await eventuallyPasses(async () =>
      expect(await page.getByRole("textbox", { name: "Domain" }).count()).toBe(1),
    )
    // Green only while no events from other hosts are rejected.
    await eventuallyPasses(async () => expect(await page.locator(".install-arrival.arrived").count()).toBe(1))
    expect((await view(site, "https://other.example", "/late")).status).toBe(403)
    await page.getByText("Events from other hosts are being rejected; see below.").waitFor()
    await eventuallyPasses(async () => expect(await page.locator(".install-arrival.arrived").count()).toBe(0))
    expect(await violations(page)).toEqual([])
    await page.getByRole("button", { name: "Open page views" }).click()
    await page.getByRole("heading", { level: 1, name: "Web" }).waitFor()
    await page.getByRole("button", { name: "/prices" }).first().waitFor()
  })

  test("the domain from the first start can be replaced, and the instructions stay available", async () => {
    await page.goto("/settings/websites")
    await page.getByRole("link", { name: "Setup instructions for localhost" }).click()
    await page.getByText("Receiving events. Latest: /prices").waitFor()
    await page.getByRole("textbox", { name: "Domain" }).fill("https://shop.example.com/start")
    await page.keyboard.press("Enter")
    await page.getByRole("heading", { name: "Send custom events to shop.example.com" }).waitFor()
    await eventuallyPasses(async () =>
      expect(await page.getByRole("textbox", { name: "Domain" }).count()).toBe(0),
    )
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
      const page = await browser.newPage({ baseURL: server.url, locale: "en-GB", ...still })
      const faults = listen(page)
      await page.goto(inviteOf(server))
      await page.getByRole("textbox", { name: "Email" }).fill(owner.email)
      await page.getByRole("textbox", { name: "Password" }).fill(owner.password)
      await page.keyboard.press("Enter")
      await page.getByText("Receiving events. Latest: hello").waitFor()
      expect(new URL(page.url()).pathname).toEndWith("/install")
      await eventuallyPasses(async () =>
        expect(await page.locator("pre").first().textContent()).toContain("databuddy.js"),
      )
      expect(await violations(page)).toEqual([])
      await page.getByRole("link", { name: "Open overview" }).click()
      await page.locator(".stat-value").first().waitFor()
      await eventuallyPasses(async () =>
        expect(await page.locator(".stat-value").allTextContents()).toEqual(["1", "1", "1", "1"]),
      )
      // A database that is seconds old has nothing to compare with.
      await page.getByText("No events to compare with in").waitFor()
      await eventuallyPasses(async () => expect(await page.locator(".stats .change").count()).toBe(0))
      expect(faults).toEqual([])
    } finally {
      await browser.close()
      await server.stop()
    }
  })
})

describe.skipIf(noBrowser)(`a server with its own script name and ingest path${skipped}`, () => {
  test("shows them in the script tag, and serves the script there", async () => {
    using folder = temporaryFolder()
    const args = ["--script-name", "app.js", "--ingest-path", "/e"]
    const server = await startServer({ db: folder.file("names.db"), args })
    const browser = await launch()
    try {
      const page = await browser.newPage({ baseURL: server.url, locale: "en-GB", ...still })
      await page.goto(inviteOf(server))
      await page.getByRole("textbox", { name: "Email" }).fill(owner.email)
      await page.getByRole("textbox", { name: "Password" }).fill(owner.password)
      await page.keyboard.press("Enter")
      await page.getByText("Waiting for the first event…").waitFor()
      const tag = (await page.locator("pre").first().textContent()) ?? ""
      expect(tag).toStartWith(`<script src="${server.url}/e/app.js" data-client-id="`)
      expect(tag).toEndWith(`" data-api-url="${server.url}/e" async></script>`)
      expect((await fetch(`${server.url}/e/app.js`)).status).toBe(200)
    } finally {
      await browser.close()
      await server.stop()
    }
  })
})

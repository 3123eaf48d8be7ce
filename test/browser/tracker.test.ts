import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import { eventually, eventuallyPasses } from "../harness.ts"
import { noBrowser, skipped, wholeBrowser } from "./browser.ts"
import { type OpenPage, openShop, type PageSpec, type Shop } from "./shop-page.ts"

// Runs the page script in Chromium, on a page whose host is not the server's. Every test compares all accepted items. A
// repeated request carries the same event IDs, so a second event ID for the same event makes a test fail.

const uuid = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-a[\da-f]{3}-[\da-f]{12}$/
const view = "/batch screen_view"
const exit = "/batch page_exit"
/** The functions that the script offers to its page. */
declare const databuddy: Record<string, (...args: unknown[]) => unknown>

describe.skipIf(noBrowser)(`the page script${skipped}`, () => {
  let shop: Shop
  beforeAll(async () => {
    shop = await openShop()
  })
  afterAll(() => shop[Symbol.asyncDispose]())
  beforeEach(() => shop.recorder.reset())
  afterEach(async () => {
    expect(shop.recorder.unexpected).toEqual([])
    for (const context of shop.browser.contexts()) await context.close()
  })
  const fieldsOf = (label: string) =>
    shop.recorder.items
      .filter(({ path, fields }) => `${path} ${fields.name ?? ""}`.startsWith(label))
      .map(({ fields }) => fields)

  test("sends a view at load and an exit at unload, with the page, its source and the visitor", async () => {
    const path = "/prices?utm_source=news&utm_campaign=May&gclid=g1&anonId=anon_1&sessionId=sess_1#plans"
    const { page, faults, url, context } = await shop.open({
      path,
      contextOptions: { viewport: { width: 900, height: 700 } },
    })
    await shop.received([view])
    await page.goto("about:blank")
    const [viewed, exited] = await shop.received([view, exit])
    const shared = {
      type: "track",
      path: url("/prices?utm_source=news&utm_campaign=May&gclid=g1"),
      title: "Shop",
      referrer: "direct",
      viewport_size: "900x700",
      screen_resolution: "900x700",
      language: "en-GB",
      timezone: "Europe/Vienna",
      utm_source: "news",
      utm_campaign: "May",
      gclid: "g1",
      page_count: 1,
      anonymousId: "anon_1",
      sessionId: "sess_1",
      sessionStartTime: expect.any(Number),
      timestamp: expect.any(Number),
      eventId: expect.stringMatching(uuid),
      properties: {},
    }
    expect(viewed?.fields).toEqual({ ...shared, name: "screen_view" })
    expect(exited?.fields).toEqual({
      ...shared,
      name: "page_exit",
      time_on_page: expect.any(Number),
      scroll_depth: 100,
    })
    await eventuallyPasses(async () => expect(await context.cookies()).toEqual([]))
    expect(faults).toEqual([])
  })

  test("sends one view for each route of an application, and an exit of the route before it", async () => {
    const { page, url } = await shop.open({ path: "/a", body: '<a href="#part">part</a>' })
    await shop.received([view])
    await page.evaluate(() => {
      history.pushState(null, "", "/redirects")
      history.replaceState(null, "", "/b?q=1")
    })
    await shop.received([view, exit, view])
    await page.click("a")
    await page.evaluate(() => history.replaceState({ state: 1 }, "", location.href))
    await page.goBack()
    await page.goBack()
    const items = await shop.received([view, exit, view, exit, view])
    expect(items.map(({ fields }) => [fields.name, fields.path, fields.referrer, fields.page_count])).toEqual(
      [
        ["screen_view", url("/a"), "direct", 1],
        ["page_exit", url("/a"), "direct", 1],
        ["screen_view", url("/b?q=1"), url("/a"), 2],
        ["page_exit", url("/b?q=1"), url("/a"), 2],
        ["screen_view", url("/a"), url("/b?q=1"), 3],
      ],
    )
  })

  test("counts a change of the hash as a new route if the page enables it", async () => {
    const { page, url } = await shop.open({ path: "/#/one", attributes: "data-track-hash-changes" })
    await shop.received([view])
    await page.evaluate(() => {
      location.hash = "#/two"
    })
    await shop.received([view, exit, view])
    expect(fieldsOf(view).map(({ path }) => path)).toEqual([url("/#/one"), url("/#/two")])
  })

  test("sends waiting events when the tab is closed, is killed in the background, or leaves right after a new route", async () => {
    const waiting = 'data-batch-timeout="30000"'
    const closed = await shop.open({ path: "/closed", attributes: waiting })
    await closed.page.waitForFunction("window.databuddy")
    await closed.page.evaluate(() => databuddy.track?.("opened"))
    await closed.page.close()
    await shop.received([view, "/track opened", exit])

    shop.recorder.reset()
    const killed = await shop.open({ path: "/killed", attributes: waiting })
    await killed.page.waitForFunction("window.databuddy")
    await killed.page.evaluate(() => {
      databuddy.track?.("opened")
      Object.defineProperty(document, "visibilityState", { value: "hidden" })
      document.dispatchEvent(new Event("visibilitychange"))
    })
    const session = await killed.context.newCDPSession(killed.page)
    void session.send("Page.crash").catch(() => {})
    await shop.received([view, "/track opened", exit])

    shop.recorder.reset()
    const left = await shop.open({ path: "/left", attributes: waiting })
    await left.page.waitForFunction("window.databuddy")
    await left.page.evaluate(() => {
      history.pushState(null, "", "/next")
      location.href = "about:blank"
    })
    await shop.received([view, exit, view, exit])
  })

  test("splits events that wait at unload into beacons that the browser accepts", async () => {
    const { page } = await shop.open({ attributes: 'data-batch-timeout="30000" data-batch-size="50"' })
    await page.waitForFunction("window.databuddy")
    const names = await page.evaluate(() => {
      // Together, 40 events of 1.2 KiB are below the browser's limit for all beacons.
      const sent = Array.from({ length: 40 }, (_, index) => `event ${index}`)
      for (const name of sent) databuddy.track?.(name, { text: "é".repeat(500) })
      return sent
    })
    await page.goto("about:blank")
    await shop.received([view, exit, ...names.map((name) => `/track ${name}`)])
  })

  test("keeps events while offline and sends them once the connection is back", async () => {
    const { page, context } = await shop.open({ attributes: 'data-max-retries="1"' })
    await shop.received([view])
    let failed = 0
    page.on("requestfailed", () => failed++)
    await context.setOffline(true)
    await page.evaluate(() => databuddy.track?.("ordered"))
    await eventually(() => failed === 2)
    await context.setOffline(false)
    await shop.received([view, "/track ordered"])
  })

  const failures: [status: number, requests: number, accepted: string[]][] = [
    [503, 3, ["/track ordered"]],
    [408, 3, ["/track ordered"]],
    [425, 3, ["/track ordered"]],
    [429, 3, ["/track ordered"]],
    [500, 3, ["/track ordered"]],
    [400, 1, []],
    [403, 1, []],
    [413, 1, []],
  ]
  test.each(failures)(
    "a server that responds with %d twice receives %d requests",
    async (status, requests, accepted) => {
      const { page } = await shop.open()
      await shop.received([view])
      shop.recorder.requests = 0
      shop.recorder.failures = [status, status]
      await page.evaluate(() => databuddy.track?.("ordered"))
      await eventually(() => shop.recorder.requests === requests)
      shop.recorder.failures = []
      await page.evaluate(() => databuddy.track?.("paid"))
      await shop.received([view, ...accepted, "/track paid"])
      expect(shop.recorder.requests).toBe(requests + 1)
    },
  )

  test("works without storage, with the same visitor until the page is left", async () => {
    const { page } = await shop.open({
      before: `for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError") } })
      }`,
    })
    await shop.received([view])
    await eventuallyPasses(async () =>
      expect(
        await page.evaluate("(() => { try { return localStorage } catch { return 'blocked' } })()"),
      ).toBe("blocked"),
    )
    await page.evaluate(() => databuddy.track?.("ordered"))
    await page.goto("about:blank")
    const items = await shop.received([view, "/track ordered", exit])
    expect(new Set(items.map(({ fields }) => `${fields.anonymousId} ${fields.sessionId}`)).size).toBe(1)
    expect(items[0]?.fields.anonymousId).toMatch(/^anon_/)
  })

  test("two tabs share the visitor but have separate sessions", async () => {
    const { context } = await shop.open()
    await shop.received([view])
    await shop.open({ context })
    const items = await shop.received([view, view])
    expect(new Set(items.map(({ fields }) => fields.anonymousId)).size).toBe(1)
    expect(new Set(items.map(({ fields }) => fields.sessionId)).size).toBe(2)
  })

  test("a session ends after 30 minutes without an event", async () => {
    const { page, context } = await shop.open()
    await shop.received([view])
    await page.clock.install({ time: Date.now() + 29 * 60_000 })
    await page.evaluate(() => databuddy.track?.("soon"))
    await page.evaluate(() => databuddy.flush?.())
    await page.clock.setFixedTime(Date.now() + 60 * 60_000)
    await page.evaluate(() => databuddy.track?.("late"))
    await page.evaluate(() => databuddy.flush?.())
    const items = await shop.received([view, "/track soon", "/track late"])
    const [first, soon, late] = items.map(({ fields }) => fields.sessionId)
    expect(soon).toBe(first)
    expect(late).not.toBe(first)
    await context.close()
  })

  test("a view that ends after its session still belongs to it, and the next view belongs to a new one", async () => {
    const { page } = await shop.open({ path: "/long", attributes: "data-track-interactions" })
    await shop.received([view])
    await page.waitForFunction(`performance.getEntriesByName("${shop.stats}/engagement.js").length > 0`)
    await page.clock.setFixedTime(Date.now() + 45 * 60_000)
    await page.evaluate(() => databuddy.screenView?.({ step: 2 }))
    await page.evaluate(() => databuddy.flush?.())
    const items = await shop.received([view, exit, "/engagement spa", view])
    const [first, second] = fieldsOf(view)
    const sessions = items.map(({ fields }) => `${fields.sessionId} ${fields.sessionStartTime}`)
    const viewed = `${first?.sessionId} ${first?.sessionStartTime}`
    expect(sessions.filter((session) => session === viewed)).toHaveLength(3)
    expect(second?.sessionId).not.toBe(first?.sessionId)
  })

  const activities: [name: string, act: (page: OpenPage["page"]) => Promise<unknown>][] = [
    ["a scroll", (page) => page.mouse.wheel(0, 300)],
    ["a key", (page) => page.keyboard.press("Shift")],
    ["a click", (page) => page.mouse.click(10, 10)],
  ]
  test.each(activities)("%s extends the session", async (_, act) => {
    const { page } = await shop.open({ body: '<div style="height: 3000px"></div>' })
    await shop.received([view])
    const opened = Date.now()
    await page.clock.setFixedTime(opened + 20 * 60_000)
    const extended = "Number(sessionStorage.getItem('did_session_timestamp'))"
    const before = Number(await page.evaluate(extended))
    await act(page)
    await page.waitForFunction(`${extended} > ${before}`)
    await page.clock.setFixedTime(opened + 40 * 60_000)
    await page.evaluate(() => databuddy.track?.("read"))
    await page.evaluate(() => databuddy.flush?.())
    const items = await shop.received([view, "/track read"])
    expect(new Set(items.map(({ fields }) => fields.sessionId)).size).toBe(1)
  })

  test("an inline script ignores options in the URL of its page", async () => {
    const script = await (await fetch(`http://127.0.0.1:${shop.recorder.port}/databuddy.js`)).text()
    const { page } = await shop.open({
      path: "/inline?api-url=https://evil.test&client-id=other&disabled",
      tag: shop
        .tag(`data-api-url="${shop.stats}"`)
        .replace(/ src="[^"]+"/, "")
        .replace("></script>", () => `>${script}</script>`),
    })
    await shop.received([view])
    await eventuallyPasses(async () =>
      expect(await page.evaluate("databuddy.options")).toMatchObject({
        apiUrl: shop.stats,
        clientId: "shop",
      }),
    )
  })

  test("a page restored from the back/forward cache counts as a new view", async () => {
    const { page } = await shop.open()
    await shop.received([view])
    // Simulates what a browser does. A test below uses a real cache.
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })))
    await shop.received([view, exit])
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })))
    await page.evaluate(() => databuddy.track?.("returned"))
    await shop.received([view, exit, view, "/track returned"])
    await page.goto("about:blank")
    await shop.received([view, exit, view, "/track returned", exit])
  })

  test("works under a strict Content-Security-Policy, with its modules", async () => {
    const policy = `default-src 'none'; script-src 'nonce-n1' 'strict-dynamic'; connect-src ${shop.stats}; require-trusted-types-for 'script'`
    const attributes = 'nonce="n1" data-track-errors data-track-interactions'
    const { page, faults } = await shop.open({
      attributes,
      headers: { "content-security-policy": policy },
      body: '<button>Fail</button><script nonce="n1">document.querySelector("button").onclick = () => { throw new RangeError("too far") }</script>',
    })
    await shop.received([view])
    await page.waitForFunction(`performance.getEntriesByName("${shop.stats}/engagement.js").length > 0`)
    await page.click("button")
    await page.goto("about:blank")
    await shop.received([view, "/errors Uncaught RangeError: too far", exit, "/engagement unload"])
    // The only fault is the error of the button, so the policy was not violated.
    expect(faults).toEqual(["too far"])
  })

  test("in pixel mode, everything is sent as an image request", async () => {
    const { page } = await shop.open({
      attributes: "data-use-pixel data-track-errors data-track-outgoing-links",
      body: `<a href="http://other.test:${shop.port}/away">away</a>`,
    })
    await shop.received(["/px.jpg screen_view"])
    await page.evaluate(() => {
      databuddy.track?.("ordered", { total: 3, items: ["a"] })
      setTimeout(() => {
        throw new Error("broken")
      }, 0)
    })
    await shop.received(["/px.jpg screen_view", "/px.jpg ordered", "/px.jpg Uncaught Error: broken"])
    shop.recorder.failures = [503]
    await page.evaluate(() => databuddy.track?.("paid"))
    await eventually(() => shop.recorder.items.length === 4)
    await page.click("a")
    const items = await shop.received([
      "/px.jpg screen_view",
      "/px.jpg ordered",
      "/px.jpg Uncaught Error: broken",
      "/px.jpg paid",
      "/px.jpg outgoing_link",
      "/px.jpg page_exit",
      // The other host serves the same page.
      "/px.jpg screen_view",
    ])
    expect(items[1]?.fields).toMatchObject({ type: "track", properties: '{"total":3,"items":["a"]}' })
    expect(items[2]?.fields).toMatchObject({ type: "error", errorType: "Error" })
  })

  const stubs: [name: string, script: string][] = [
    ["a list", "window.databuddy = []; const call = (...args) => databuddy.push(args)"],
    [
      "an object with a list",
      "window.databuddy = { q: [] }; const call = (...args) => databuddy.q.push(args)",
    ],
  ]
  test.each(stubs)("calls made before the script has loaded wait in %s", async (_, script) => {
    const head = `<script>${script}
      call("track", "ordered", { total: 3 }); call("setGlobalProperties", { plan: "pro" }); call("identify", "u1", { city: "Graz" })</script>`
    await shop.open({ head })
    const items = await shop.received(["/identify u1", view, "/track ordered"])
    expect(items.find(({ path }) => path === "/identify")?.fields).toEqual({
      profileId: "u1",
      anonymousId: expect.stringMatching(/^anon_/),
      traits: { city: "Graz" },
    })
    expect(fieldsOf(view)).toEqual([
      expect.objectContaining({ profileId: "u1", properties: { plan: "pro" } }),
    ])
    expect(fieldsOf("/track")).toEqual([
      expect.objectContaining({ profileId: "u1", path: "/", properties: { plan: "pro", total: 3 } }),
    ])
  })

  test("identifies, sets traits, and forgets the profile or the visitor", async () => {
    const { page } = await shop.open()
    await shop.received([view])
    const ids = await page.evaluate(() => {
      // Typed differently, because the test reads what these functions return.
      const call = databuddy as Record<string, (...args: unknown[]) => { anonId: string; sessionId: string }>
      call.identify?.("u1", { plan: "pro" })
      call.identify?.("u1", { plan: "pro" })
      call.setTraits?.({ plan: null })
      const before: unknown[] = [call.getProfileId?.(), call.getTrackingIds?.(), localStorage.getItem("did")]
      call.clearProfile?.()
      call.setTraits?.({ plan: "lost" })
      const between: unknown[] = [call.getProfileId?.(), localStorage.getItem("did")]
      call.clear?.()
      call.track?.("later")
      return { before, between, after: call.getTrackingIds?.() }
    })
    const items = await shop.received([view, "/identify u1", "/identify u1", "/track later"])
    const { anonymousId, sessionId } = items[0]?.fields ?? {}
    expect(ids.before).toEqual(["u1", { anonId: anonymousId, sessionId }, anonymousId])
    expect(ids.between).toEqual([null, anonymousId])
    expect(ids.after?.anonId).not.toBe(anonymousId)
    expect(items[3]?.fields).toMatchObject({
      anonymousId: ids.after?.anonId,
      sessionId: ids.after?.sessionId,
    })
    expect(items[3]?.fields).not.toHaveProperty("profileId")
    expect(items.map(({ fields }) => fields.traits).filter(Boolean)).toEqual([
      { plan: "pro" },
      { plan: null },
    ])
  })

  test("an opt-out removes the IDs, drops waiting events and lasts until the opt-in", async () => {
    const { page, url } = await shop.open({ attributes: 'data-batch-timeout="30000"' })
    await page.waitForFunction("window.databuddy")
    await page.evaluate(
      "databuddy.track('lost'); databuddyOptOut(); databuddy.track('lost'); databuddy.flush()",
    )
    const stored = "JSON.stringify([{ ...localStorage }, { ...sessionStorage }])"
    const optedOut = '[{"databuddy_disabled":"true","databuddy_opt_out":"true"},{}]'
    expect(JSON.parse(String(await page.evaluate(stored)))).toEqual(JSON.parse(optedOut))
    // At the end of a page, the script checks for a new route.
    await page.evaluate("history.pushState(null, '', '/route'); dispatchEvent(new Event('pagehide'))")
    expect(JSON.parse(String(await page.evaluate(stored)))).toEqual(JSON.parse(optedOut))
    await page.goto(url("/next"))
    await page.waitForFunction("window.databuddy")
    await page.evaluate("databuddy.track('lost'); databuddy.flush()")
    expect(JSON.parse(String(await page.evaluate(stored)))).toEqual(JSON.parse(optedOut))
    await eventuallyPasses(async () =>
      expect(await page.evaluate("databuddy.getTrackingIds()")).toEqual({ anonId: null, sessionId: null }),
    )
    await page.evaluate("databuddy.optIn(); databuddy.track('back'); databuddy.flush()")
    await shop.received([view, "/track back"])
    expect(fieldsOf(view).map(({ path }) => path)).toEqual([url("/next")])
  })

  test("nothing is stored or sent before consent, which is remembered", async () => {
    const attributes = "data-wait-for-consent data-track-errors data-track-web-vitals"
    const { page, context } = await shop.open({ attributes })
    await page.waitForFunction("window.databuddy")
    await page.evaluate("databuddy.identify('u1'); databuddy.track('ordered'); databuddy.flush()")
    await page.goto("about:blank")
    const again = await shop.open({ attributes, context, path: "/again" })
    await again.page.waitForFunction("window.databuddy")
    await again.page.evaluate("databuddy.track('chosen'); databuddy.flush()")
    await eventuallyPasses(async () =>
      expect(await again.page.evaluate("localStorage.length + sessionStorage.length")).toBe(0),
    )
    expect(shop.recorder.requests).toBe(0)
    await again.page.evaluate("databuddy.consent()")
    const views = () => fieldsOf(view).map(({ path }) => path)
    await eventually(() => views().length === 1 && fieldsOf("/track chosen").length === 1)
    await shop.open({ attributes, context, path: "/later" })
    await eventually(() => views().length === 2)
    expect(views()).toEqual([again.url("/again"), again.url("/later")])
    expect(fieldsOf("/track").map(({ name }) => name)).toEqual(["chosen"])
  })

  const silent: [reason: string, attributes: string, spec?: PageSpec][] = [
    [
      "with Global Privacy Control",
      "",
      { before: "Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })" },
    ],
    ["with Do Not Track", "", { before: "Object.defineProperty(navigator, 'doNotTrack', { value: '1' })" }],
    ["in an automated browser", 'data-ignore-bot-detection="false"'],
    ["on localhost", "", { host: "localhost" }],
    ["if it is disabled", "data-disabled"],
    ["without a client ID", 'data-client-id=""'],
    ["on a skipped page", `data-skip-patterns='["/admin/**"]'`, { path: "/admin/users/7" }],
    ["outside of the sample", 'data-sampling-rate="0"'],
    ["if the filter rejects it", "", { before: "window.databuddyConfig = { filter: () => false }" }],
  ]
  test("sends nothing where it must not, and its functions do nothing", async () => {
    for (const [reason, attributes, spec] of silent) {
      // If an attribute occurs twice, the first one counts.
      const tag = `<script src="${shop.stats}/databuddy.js" ${attributes} data-client-id="shop" data-ignore-bot-detection></script>`
      const { page, faults, context } = await shop.open({ ...spec, tag })
      await page.evaluate("databuddy.track('ordered'); databuddy.screenView(); databuddy.flush()")
      await page.goto("about:blank")
      expect([reason, shop.recorder.items, faults]).toEqual([reason, [], []])
      await context.close()
    }
    expect(shop.recorder.requests).toBe(0)
  })

  test("masks paths in everything it sends", async () => {
    const { page, url } = await shop.open({
      path: "/users/7/posts?q=1",
      attributes: `data-track-errors data-mask-patterns='["/users/*"]'`,
    })
    await shop.received([view])
    // Waits until the error has been thrown, which would not happen if the page were left earlier.
    await page.evaluate(async () => {
      databuddy.track?.("liked")
      setTimeout(() => {
        throw new Error("broken")
      }, 0)
      await new Promise((resolve) => setTimeout(resolve, 0))
    })
    await page.goto("about:blank")
    const items = await shop.received([view, "/track liked", "/errors Uncaught Error: broken", exit])
    expect(new Set(items.map(({ fields }) => fields.path))).toEqual(
      new Set([url("/users/*/posts?q=1"), "/users/*/posts"]),
    )
  })

  test("reports clicks on marked elements and links to other hosts", async () => {
    const { page } = await shop.open({
      attributes: "data-track-attributes data-track-outgoing-links",
      body: `<button data-track="bought" data-plan-name="Pro"><b>Buy</b></button>
        <a id="inside" href="/inside">inside</a>
        <a id="away" href="http://other.test:${shop.port}/away?x=1"> <i>Elsewhere</i> </a>`,
    })
    await shop.received([view])
    await page.click("b")
    await page.evaluate(
      "document.querySelector('#inside').addEventListener('click', (event) => event.preventDefault())",
    )
    await page.click("#inside")
    await shop.received([view, "/track bought"])
    expect(fieldsOf("/track")[0]?.properties).toEqual({ planName: "Pro" })
    await page.click("#away")
    const items = await shop.received([view, "/track bought", "/batch outgoing_link", exit, view])
    expect(items.find(({ fields }) => fields.type === "outgoing_link")?.fields).toMatchObject({
      href: `http://other.test:${shop.port}/away?x=1`,
      text: "Elsewhere",
      path: `http://shop.test:${shop.port}/`,
    })
  })

  test("reports each vital once, including the main measures of a page load", async () => {
    const { page } = await shop.open({
      path: "/start",
      attributes: "data-track-web-vitals",
      body: "<h1>Shop</h1><button onclick='this.textContent = 1'>Buy</button>",
      before: `window.observer = new PerformanceObserver(() => { window.measured = true })
        observer.observe({ type: "first-input", buffered: true })`,
    })
    await eventually(() => fieldsOf("/vitals").some(({ metricName }) => metricName === "FPS"), {
      timeout: 10_000,
    })
    await page.click("button")
    // The browser measures an interaction up to the next frame, and web-vitals reads the measurement when the page is
    // idle between two frames. A page at rest has no frames, so this requests some.
    await page.waitForFunction("window.measured")
    await page.evaluate(() => {
      let isIdle = false
      requestIdleCallback(() => {
        isIdle = true
      })
      return new Promise<void>((resolve) => {
        const frame = () => (isIdle ? resolve() : requestAnimationFrame(frame))
        frame()
      })
    })
    await page.goto("about:blank")
    const names = ["FPS", "TTFB", "FCP", "LCP", "CLS", "INP"].map((name) => `/vitals ${name}`)
    await shop.received([view, exit, ...names])
    for (const fields of fieldsOf("/vitals")) {
      expect(fields).toMatchObject({
        metricValue: expect.any(Number),
        path: "/start",
        sessionId: expect.any(String),
      })
    }
  })

  test("reports errors and rejections with their location, each at most five times", async () => {
    const { page } = await shop.open({
      path: "/start",
      attributes: "data-track-errors",
      head: "<script>addEventListener('load', () => { throw new TypeError('early') })</script>",
    })
    await page.evaluate(() => {
      setTimeout(() => void Promise.reject(new Error("rejected")), 0)
      setTimeout(() => void Promise.reject({ code: 7 }), 0)
      for (let count = 0; count < 8; count++) {
        setTimeout(() => {
          throw new Error("loop")
        }, 0)
      }
      document.body.append(Object.assign(new Image(), { src: "data:," }))
    })
    const loops = Array.from({ length: 5 }, () => "/errors Uncaught Error: loop")
    await shop.received([
      view,
      "/errors Uncaught TypeError: early",
      "/errors rejected",
      '/errors {"code":7}',
      ...loops,
    ])
    const error = fieldsOf("/errors").find(({ errorType }) => errorType === "TypeError")
    expect(error).toMatchObject({
      path: "/start",
      filename: `http://shop.test:${shop.port}/start`,
      lineno: 1,
    })
    expect(error?.stack).toContain("TypeError: early")
  })

  test("reports engagement: time, clicks, a rage click, a dead click and form fields", async () => {
    const { page } = await shop.open({
      attributes: "data-track-interactions",
      body: `<button id="dead">Nothing</button><button id="alive" onclick="this.textContent += '!'">Counts</button>
        <form onsubmit="return false"><input name="email"><input name="city"><button>Send</button></form><div style="height: 3000px"></div>`,
    })
    await shop.received([view])
    await page.waitForFunction(`performance.getEntriesByName("${shop.stats}/engagement.js").length > 0`)
    await page.clock.install()
    for (let count = 0; count < 3; count++) await page.click("#dead")
    // Longer than the time in which a page has to respond to a click.
    await page.clock.fastForward(2_600)
    for (let count = 0; count < 3; count++) await page.click("#alive")
    await page.clock.fastForward(2_600)
    await page.fill("[name=email]", "a@example.com")
    await page.fill("[name=city]", "Graz")
    await page.press("[name=city]", "Enter")
    await page.evaluate("scrollTo(0, 500)")
    await page.goto("about:blank")
    const items = await shop.received([view, exit, "/engagement unload"])
    expect(items.find(({ path }) => path === "/engagement")?.fields).toMatchObject({
      path: "/",
      pageIndex: 1,
      rageClickCount: 1,
      rageClickTarget: "button#dead",
      deadClickCount: 1,
      deadClickTarget: "button#dead",
      formFieldCount: 2,
      formSubmitCount: 1,
      lastFormField: "city",
      errorCount: 0,
    })
  })

  test("the server stored each item once, and nothing else", () => {
    expect(shop.stored()).toEqual([...shop.recorder.accepted].toSorted())
    expect(shop.recorder.accepted.size).toBeGreaterThan(80)
  })
})

describe.skipIf(wholeBrowser === undefined)(`the page script${skipped}`, () => {
  test("continues in a page from the back/forward cache", async () => {
    await using shop = await openShop({ path: wholeBrowser ?? "" })
    const { page, url } = await shop.open({ path: "/one" })
    await shop.received([view])
    await page.goto(url("/two"))
    await shop.received([view, exit, view])
    // Not awaited, because Playwright waits for the load event, which does not occur.
    void page.evaluate("history.back()").catch(() => {})
    const items = await shop.received([view, exit, view, exit, view])
    const summary = items.map(({ fields: { name, path, page_count } }) => [name, path, page_count])
    expect(summary.toSorted()).toEqual([
      ["page_exit", url("/one"), 1],
      ["page_exit", url("/two"), 1],
      ["screen_view", url("/one"), 1],
      // The restored page continues to count. A page that loads again would start at 1.
      ["screen_view", url("/one"), 2],
      ["screen_view", url("/two"), 1],
    ])
  })
})

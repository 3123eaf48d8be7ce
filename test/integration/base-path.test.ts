import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { Command } from "commander"
import { type AppDeps, createApp } from "../../src/app.ts"
import { RequestCounts } from "../../src/metrics/requests.ts"
import { addServeOptions } from "../../src/serve-options.ts"
import { createUser } from "../../src/store/users.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { PasswordHasher } from "../../src/users/password-hash.ts"
import { cheapHash, giveKey, openApp, type TestApp } from "../support/app.ts"

// A server with --base-path responds like one without it, whether or not a proxy removes the path.

const basePath = "/stats"
const ingestPath = "/e"
const ways = [
  { proxy: "a proxy that removes the path", prefix: "" },
  { proxy: "a proxy that does not remove the path", prefix: basePath },
]

interface Sent {
  method: string
  path: string
  headers?: Record<string, string>
  body?: string
}

const key = "KEY"
const fromPage = { Origin: "https://shop.example", "Content-Type": "text/plain" }
const view = { type: "track", name: "screen_view", eventId: "v1", path: "https://shop.example/" }
const json = (value: unknown) => JSON.stringify(value)

/** Requests that succeed, or that fail for various reasons. `Authorization: KEY` stands for a valid key. */
const requests: Sent[] = [
  { method: "POST", path: "/track", headers: { Authorization: key }, body: '{"name":"opened"}' },
  { method: "POST", path: "/track/", headers: { Authorization: key }, body: '{"name":"opened"}' },
  { method: "POST", path: "/track?website_id=shop", headers: fromPage, body: '{"name":"opened"}' },
  { method: "POST", path: "/track?website_id=other", headers: fromPage, body: '{"name":"opened"}' },
  { method: "POST", path: "/e/track", headers: { Authorization: key }, body: '{"name":"opened"}' },
  { method: "POST", path: "/batch?client_id=shop", headers: fromPage, body: json([view]) },
  { method: "POST", path: "/e/batch?client_id=shop", headers: fromPage, body: json([view]) },
  { method: "POST", path: "/?client_id=shop", headers: fromPage, body: json(view) },
  { method: "POST", path: "/e?client_id=shop", headers: fromPage, body: json(view) },
  { method: "GET", path: "/px.jpg?client_id=shop&type=track&name=a&eventId=p1" },
  {
    method: "POST",
    path: "/identify",
    headers: { Authorization: key },
    body: json({ websiteId: "shop", profileId: "p" }),
  },
  { method: "OPTIONS", path: "/track", headers: { Origin: "https://shop.example" } },
  { method: "OPTIONS", path: "/e/vitals", headers: { Origin: "https://shop.example" } },
  { method: "OPTIONS", path: "/app.js", headers: { Origin: "https://shop.example" } },
  { method: "HEAD", path: "/health" },
  { method: "GET", path: "/v1/websites", headers: { Authorization: key } },
  { method: "GET", path: "/v1/websites/shop", headers: { Authorization: key } },
  { method: "GET", path: "/v1/websites/sh%2Fop", headers: { Authorization: key } },
  {
    method: "POST",
    path: "/v1/query?website_id=shop",
    headers: { Authorization: key },
    body: json({ preset: "today", parameters: ["nothing"] }),
  },
  { method: "GET", path: "/v1/export?website_id=shop&format=csv", headers: { Authorization: key } },
  { method: "GET", path: "/v1/nothing" },
  { method: "GET", path: "/nothing" },
  { method: "GET", path: "/track" },
  { method: "PUT", path: "/e/track", headers: { Origin: "https://shop.example" } },
  { method: "POST", path: "/track", headers: { Host: "a b" }, body: "{}" },
  { method: "GET", path: "/v1/me", headers: { Host: "a b" } },
  // Not the base path, although both start with the same letters.
  { method: "GET", path: "/statistics/health" },
]

/** A request without a credential to every route. */
const everyRoute: Sent[] = createApp({
  settings: { basePath: "", ingestPath },
  scriptName: "app.js",
} as AppDeps).routes.map(({ method, path }) => ({ method, path: path.replace(/:\w+/g, "x") }))

/** Files that contain the base path. They have their own tests below. */
const filesWithPath = /^\/(?:e\/)?(?:openapi\.json|docs|(?:databuddy(?:-debug)?|app)\.js)$/

/** A server with a website and a key. */
function open(path: string): { app: TestApp; secret: string } {
  const app = openApp(() => ({ scriptName: "app.js" }), { basePath: path, ingestPath })
  const settings = { domain: "shop.example", name: "shop", allowedOrigins: [], anonymize: "off" as const }
  createWebsite(app.store.db, "shop", settings, app.clock.now)
  return { app, secret: giveKey(app).secret }
}

async function answer({ app, secret }: ReturnType<typeof open>, { method, path, headers, body }: Sent) {
  const response = await app.send(
    new Request(`http://localhost${path}`, {
      method,
      headers: {
        Host: "localhost",
        "x-request-id": "same",
        ...headers,
        ...(headers?.Authorization === key ? { Authorization: `Bearer ${secret}` } : {}),
      },
      ...(body === undefined ? {} : { body }),
    }),
  )
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
  }
}

test("no route starts with a path that --base-path accepts", () => {
  const { options } = addServeOptions(new Command("serve"))
  const accepts = (path: string) => {
    try {
      return options.find(({ long }) => long === "--base-path")?.parseArg?.(path, undefined) === path
    } catch {
      return false
    }
  }
  const parts = everyRoute.map(({ path }) => `/${path.split("/")[1]}`).filter((part) => part !== ingestPath)
  expect(accepts("/stats")).toBe(true)
  expect(parts).toContain("/vitals")
  expect(parts.filter((part) => part !== "/" && accepts(part))).toEqual([])
})

describe.each(ways)("behind $proxy,", ({ prefix }) => {
  let below: ReturnType<typeof open>
  let plain: ReturnType<typeof open>
  beforeAll(() => {
    below = open(basePath)
    plain = open("")
  })
  afterAll(async () => {
    await below.app.close()
    await plain.app.close()
  })

  const all = [...everyRoute, ...requests].filter(
    ({ method, path }) => method === "OPTIONS" || !filesWithPath.test(path),
  )
  test.each(all)("$method $path gets the same response as without --base-path", async (sent) => {
    const expected = await answer(plain, sent)
    const actual = await answer(below, { ...sent, path: prefix + sent.path })
    expect(actual).toEqual(expected)
  })

  test("the events of these requests are stored", () => {
    const stored = ({ app }: typeof below) =>
      app.store.db.prepare("select kind, count(*) as events from events group by kind").all()
    expect(stored(below)).toEqual(stored(plain))
    expect(stored(below).length).toBeGreaterThan(1)
  })

  test("the event stream is open", async () => {
    const stop = new AbortController()
    const response = await below.app.send(
      new Request(`http://localhost${prefix}/v1/events/stream?website_id=shop`, {
        headers: { Authorization: `Bearer ${below.secret}` },
        signal: stop.signal,
      }),
    )
    expect(response.headers.get("content-type")).toStartWith("text/event-stream")
    await response.body?.cancel()
    stop.abort()
  })

  test("page scripts send to addresses below the path, and their hashes match", async () => {
    for (const name of ["databuddy.js", "app.js", "databuddy-debug.js", "e/app.js"]) {
      const { status, headers, body } = await answer(below, { method: "GET", path: `${prefix}/${name}` })
      expect([name, status]).toEqual([name, 200])
      expect(body).toContain('"/stats"')
      expect(headers["x-script-integrity"]).toBe(
        `sha384-${createHash("sha384").update(body).digest("base64")}`,
      )
      const other = await answer(plain, { method: "GET", path: `/${name}` })
      expect(other.body).not.toContain("stats")
      expect(other.headers.etag).not.toBe(headers.etag)
    }
  })

  test("the documentation contains the path", async () => {
    const document = JSON.parse((await answer(below, { method: "GET", path: `${prefix}/openapi.json` })).body)
    expect(document.servers).toEqual([{ url: "/stats", description: "This server" }])
    const { body } = await answer(below, { method: "GET", path: `${prefix}/docs` })
    const [viewer] = /\/stats\/docs\/viewer\.\w+\.js/.exec(body) ?? [""]
    expect((await answer(below, { method: "GET", path: viewer })).status).toBe(200)
    expect(body).toContain('spec-url="/stats/openapi.json"')
  })

  test.each([
    { proto: "HTTP", name: "databuddy_session", end: "" },
    { proto: "HTTPS", name: "__Secure-databuddy_session", end: "; Secure" },
  ])("the cookie of a login over $proto is limited to the path", async ({ proto, name, end }) => {
    const app = openApp(() => ({ https: proto === "HTTPS" }), { basePath })
    try {
      const password = "correct horse battery"
      const hash = await new PasswordHasher(cheapHash).hash(password)
      createUser(
        app.store.db,
        "ada",
        { email: "ada@example.com", role: "owner", websites: null, sections: null },
        hash,
        0,
      )
      const send = (method: string, path: string, headers: Record<string, string>, body?: string) =>
        app.send(
          new Request(`http://localhost${prefix}${path}`, {
            method,
            headers: { "x-databuddy-page": "1", ...headers },
            ...(body ? { body } : {}),
          }),
        )
      const login = await send("POST", "/v1/login", {}, json({ email: "ada@example.com", password }))
      const cookie = login.headers.get("set-cookie") ?? ""
      expect(cookie.replace(/=[\w-]{43};/, "=TOKEN;")).toBe(
        `${name}=TOKEN; Path=/stats; Max-Age=2592000; HttpOnly; SameSite=Lax${end}`,
      )
      const [sent = ""] = cookie.split(";")
      const me = async (value: string) =>
        ((await (await send("GET", "/v1/me", { cookie: value })).json()) as { user: object | null }).user
      expect(await me(sent)).toMatchObject({ email: "ada@example.com" })
      // A cookie from before the server had the path.
      expect(await me(sent.replace(/^.*session/, "__Host-databuddy_session"))).not.toBeNull()
      const logout = await send("POST", "/v1/logout", { cookie: sent })
      expect(logout.headers.get("set-cookie")).toBe(
        `${name}=; Path=/stats; Max-Age=0; HttpOnly; SameSite=Lax${end}`,
      )
      expect(await me(sent)).toBeNull()
    } finally {
      await app.close()
    }
  })

  test("requests are counted and listed under their routes, without the path", async () => {
    const counted = new RequestCounts()
    const app = openApp(() => ({ requests: counted }), { basePath })
    try {
      for (const path of ["/health", "/v1/me", "/track", "/nothing"]) {
        await app.send(
          new Request(
            `http://localhost${prefix}${path}`,
            path === "/track" ? { method: "POST", body: "{" } : {},
          ),
        )
      }
      expect([...counted.counts().keys()].toSorted()).toEqual([
        "GET /health",
        "GET /v1/me",
        "POST /track",
        "other other",
      ])
      const list = await app.send(
        new Request(`http://localhost${prefix}/v1/refusals`, {
          headers: { Authorization: `Bearer ${giveKey(app).secret}` },
        }),
      )
      expect(await list.json()).toMatchObject({ refusals: [{ path: "/track" }] })
    } finally {
      await app.close()
    }
  })
})

test("the path is removed only once", async () => {
  const app = openApp(undefined, { basePath })
  const response = await app.send(new Request("http://localhost/stats/stats/health"))
  expect(response.status).toBe(404)
  await app.close()
})

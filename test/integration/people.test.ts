import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { createKey, type Scope } from "../../src/store/keys.ts"
import { createUser, type UserSettings } from "../../src/store/users.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { openApp, type TestApp } from "../support/app.ts"

// biome-ignore lint/suspicious/noExplicitAny: bodies are compared, not worked with
type Json = any

interface Answer {
  status: number
  reason: string | null
  headers: Headers
  body: Json
}

const hour = 3_600_000
const day = 24 * hour
const password = "correct horse battery"
/** The cheapest that there is: what it costs is not what these tests are about. */
const cheap = { algorithm: "argon2id", memoryCost: 8, timeCost: 1 } as const
const page = { "x-databuddy-page": "1" }

let app: TestApp
beforeEach(() => {
  app = openApp()
})
afterEach(() => app.close())

async function call(
  method: string,
  path: string,
  { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const sent = body === undefined ? null : JSON.stringify(body)
  const response = await app.send(new Request(`http://localhost${path}`, { method, headers, body: sent }))
  return {
    status: response.status,
    reason: response.headers.get("x-databuddy-reason"),
    headers: response.headers,
    body: await response.json(),
  }
}

/** Makes a user in the store, as the command line does. */
async function giveUser(settings: Partial<UserSettings> = {}) {
  const whole: UserSettings = { email: "ada@example.com", role: "owner", websites: null, ...settings }
  const hash = await Bun.password.hash(password, cheap)
  return createUser(app.store.db, crypto.randomUUID(), whole, hash, app.clock.now)
}

function giveKey(scopes: Scope[]): string {
  const grant = { name: "given", scopes, websites: null, rateLimit: null, expiresAt: null }
  const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
  const { secret } = createKey(app.store.db, crypto.randomUUID(), grant, random, app.clock.now)
  app.store.registry.refresh()
  return secret
}

function giveWebsite(id: string): void {
  const settings = { domain: `${id}.example`, name: id, allowedOrigins: [], anonymize: "off" as const }
  createWebsite(app.store.db, id, settings, app.clock.now)
  app.store.registry.refresh()
}

const logIn = (body: unknown, headers: Record<string, string> = page) =>
  call("POST", "/v1/login", { body, headers })

/** The cookie of an answer, as the browser sends it back. */
const cookieOf = ({ headers }: Answer) => headers.get("set-cookie")?.split(";")[0] ?? ""

/** Makes a user who logs in, and gives the cookie. */
async function loggedIn(settings: Partial<UserSettings> = {}): Promise<string> {
  const { email } = await giveUser(settings)
  const answer = await logIn({ email, password })
  expect(answer.status).toBe(200)
  return cookieOf(answer)
}

describe("a login", () => {
  test("answers who it is, and its cookie is for this server alone", async () => {
    const user = await giveUser()
    const answer = await logIn({ email: "Ada@Example.COM", password })
    expect([answer.status, answer.body]).toEqual([
      200,
      {
        success: true,
        user: {
          id: user.id,
          email: "ada@example.com",
          role: "owner",
          websites: null,
          createdAt: "2026-08-01T12:00:00.000Z",
          lastLoginAt: "2026-08-01T12:00:00.000Z",
        },
      },
    ])
    expect(answer.headers.get("set-cookie")).toMatch(
      /^databuddy_session=[\w-]{43}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/,
    )
  })

  test("is kept as a hash: the database has nothing that lets one in", async () => {
    const token = (await loggedIn()).split("=")[1] as string
    const rows = JSON.stringify([
      app.store.db.prepare("select * from users").all(),
      app.store.db.prepare("select hex(hash), user_id from sessions").all(),
    ])
    expect(rows).toContain("$argon2id$")
    expect(rows).not.toContain(password)
    expect(rows).not.toContain(token)
    expect(rows).not.toContain(Buffer.from(token).toString("hex").toUpperCase())
  })

  test("over TLS of this process sets a cookie that goes over TLS alone", async () => {
    await app.close()
    app = openApp(() => ({ https: true }))
    await giveUser()
    const answer = await logIn({ email: "ada@example.com", password })
    expect(answer.headers.get("set-cookie")).toEndWith("; SameSite=Lax; Secure")
  })

  test("of an unknown email and with a wrong password get the same answer", async () => {
    await giveUser()
    const wrong = await logIn({ email: "ada@example.com", password: "wrong" })
    const unknown = await logIn({ email: "eve@example.com", password })
    const { requestId: _, ...body } = wrong.body
    expect([wrong.status, wrong.reason, body]).toEqual([
      401,
      "login_wrong",
      { success: false, error: "Wrong email or password", code: "AUTH_REQUIRED" },
    ])
    const { requestId: __, ...other } = unknown.body
    expect([unknown.status, unknown.reason, other]).toEqual([401, "login_wrong", body])
    expect(unknown.headers.has("set-cookie")).toBe(false)
  })

  test("of a user without a password is refused, whatever is sent", async () => {
    const settings = { email: "new@example.com", role: "viewer" as const, websites: null }
    createUser(app.store.db, "u", settings, null, app.clock.now)
    for (const sent of ["null", password]) {
      expect((await logIn({ email: "new@example.com", password: sent })).reason).toBe("login_wrong")
    }
  })

  const bodies: [string, unknown, object[]][] = [
    [
      "nothing",
      {},
      [
        { field: "email", message: "must be an email address of at most 254 characters" },
        { field: "password", message: "must be a text of 1 to 200 characters" },
      ],
    ],
    [
      "no email address",
      { email: "ada", password },
      [{ field: "email", message: "must be an email address of at most 254 characters" }],
    ],
    [
      "a password beyond all bounds",
      { email: "ada@example.com", password: "x".repeat(201) },
      [{ field: "password", message: "must be a text of 1 to 200 characters" }],
    ],
    [
      "a field more",
      { email: "ada@example.com", password, role: "owner" },
      [{ field: "role", message: "is not a field of this request" }],
    ],
  ]
  test.each(bodies)("with %s is told what must be there", async (_, body, errors) => {
    const answer = await logIn(body)
    expect([answer.status, answer.reason, answer.body.errors]).toEqual([400, "invalid_shape", errors])
  })

  test("may be tried ten times a minute for one email, with the right password too", async () => {
    await giveUser()
    const statuses = []
    for (let n = 0; n < 10; n++)
      statuses.push((await logIn({ email: "ada@example.com", password: "no" })).status)
    expect(new Set(statuses)).toEqual(new Set([401]))
    const answer = await logIn({ email: "ada@example.com", password })
    expect([answer.status, answer.reason]).toEqual([429, "rate_limited"])
    expect(Number(answer.headers.get("Retry-After"))).toBeGreaterThan(0)
    expect((await logIn({ email: "eve@example.com", password })).status).toBe(401)
    app.clock.now += 60_000
    expect((await logIn({ email: "ada@example.com", password })).status).toBe(200)
  })

  test("may be tried thirty times a minute from one address", async () => {
    for (let n = 0; n < 30; n++) {
      expect((await logIn({ email: `user${n}@example.com`, password: "no" })).status).toBe(401)
    }
    expect((await logIn({ email: "ada@example.com", password: "no" })).status).toBe(429)
  })

  test("when many come at once is refused, not queued without end", async () => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, n) => logIn({ email: `user${n}@example.com`, password })),
    )
    const refused = answers.filter(({ status }) => status !== 401)
    expect(refused.length).toBeGreaterThan(0)
    for (const { status, body } of refused) {
      expect([status, body.error]).toEqual([429, "too many people are logging in at this moment: try again"])
    }
  })
})

describe("who is logged in", () => {
  test("is nobody where no credential is sent, and there may be no user at all", async () => {
    const answer = await call("GET", "/v1/me")
    expect([answer.status, answer.body]).toMatchObject([200, { success: true, user: null, hasUsers: false }])
    expect(answer.body.version).toMatch(/^\d+\.\d+\.\d+/)
    await giveUser()
    expect((await call("GET", "/v1/me")).body.hasUsers).toBe(true)
  })

  test("is the user of the cookie, and nobody after the logout", async () => {
    const cookie = await loggedIn()
    const me = () => call("GET", "/v1/me", { headers: { cookie: `other=1; ${cookie}; more=2` } })
    expect((await me()).body.user.email).toBe("ada@example.com")
    const out = await call("POST", "/v1/logout", { headers: { cookie, ...page } })
    expect([out.status, out.body]).toEqual([200, { success: true }])
    expect(out.headers.get("set-cookie")).toBe(
      "databuddy_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
    )
    expect((await me()).body.user).toBe(null)
    const list = await call("GET", "/v1/websites", { headers: { cookie } })
    expect([list.status, list.reason]).toEqual([401, "login_ended"])
  })

  test("is nobody where the cookie was made up", async () => {
    await giveUser()
    for (const token of ["x", "x".repeat(43), "a=b"]) {
      const headers = { cookie: `databuddy_session=${token}` }
      expect((await call("GET", "/v1/me", { headers })).body.user).toBe(null)
      expect((await call("GET", "/v1/websites", { headers })).reason).toBe("login_ended")
    }
  })

  test("ends after 30 days without a request, and goes on with one", async () => {
    const cookie = await loggedIn()
    const list = () => call("GET", "/v1/websites", { headers: { cookie } })
    app.clock.now += 29 * day
    const used = await list()
    expect(used.status).toBe(200)
    // The browser is told to keep it for as long.
    expect(cookieOf(used)).toBe(cookie)
    expect(used.headers.get("set-cookie")).toContain("Max-Age=2592000")
    await app.store.batcher.run(() => {})
    app.clock.now += 29 * day
    expect((await list()).status).toBe(200)
    await app.store.batcher.run(() => {})
    app.clock.now += 30 * day
    expect([(await list()).status, (await list()).reason]).toEqual([401, "login_ended"])
  })

  test("is noted once an hour at most", async () => {
    const cookie = await loggedIn()
    app.clock.now += hour - 1
    const answer = await call("GET", "/v1/websites", { headers: { cookie } })
    expect(answer.headers.has("set-cookie")).toBe(false)
  })
})

describe("a request with a cookie", () => {
  const own = { "sec-fetch-site": "same-origin" }
  const requests: [string, string, Record<string, string>, number][] = [
    ["looks from our own page", "GET", own, 200],
    ["looks from the address bar", "GET", { "sec-fetch-site": "none" }, 200],
    ["looks from a browser that says nothing", "GET", {}, 200],
    ["looks from another site", "GET", { "sec-fetch-site": "cross-site" }, 403],
    ["looks from another site with our header", "GET", { "sec-fetch-site": "cross-site", ...page }, 403],
    ["looks from another port or subdomain", "GET", { "sec-fetch-site": "same-site" }, 403],
    ["changes something from our own page", "POST", { ...own, ...page }, 201],
    ["changes something from a browser that says nothing", "POST", page, 201],
    ["changes something without our header", "POST", own, 403],
    ["changes something with another value of it", "POST", { "x-databuddy-page": "yes" }, 403],
    ["changes something from another site", "POST", { "sec-fetch-site": "cross-site", ...page }, 403],
    ["changes something from a form of another site", "POST", { "content-type": "text/plain" }, 403],
  ]
  test.each(requests)("that %s", async (_, method, headers, status) => {
    const cookie = await loggedIn()
    const body = method === "POST" ? { domain: "example.com" } : undefined
    const answer = await call(method, "/v1/websites", { body, headers: { cookie, ...headers } })
    expect([answer.status, answer.reason]).toEqual([status, status === 403 ? "csrf" : null])
    const { total } = (await call("GET", "/v1/websites", { headers: { cookie } })).body
    expect(total).toBe(status === 201 ? 1 : 0)
  })

  test.each(["/v1/login", "/v1/logout"])("to %s needs our page's header even without it", async (path) => {
    const cookie = await loggedIn()
    const body = { email: "ada@example.com", password }
    const sites = [{}, { ...page, "sec-fetch-site": "cross-site" }]
    for (const headers of sites) {
      expect((await call("POST", path, { body, headers: { ...headers, cookie } })).reason).toBe("csrf")
    }
    expect((await call("GET", "/v1/me", { headers: { cookie } })).body.user).not.toBe(null)
  })

  test("and a key is the key's, good or not", async () => {
    const cookie = await loggedIn()
    const list = (key: string) => call("GET", "/v1/websites", { headers: { cookie, "x-api-key": key } })
    expect((await list(giveKey(["read:data"]))).reason).toBe("scope_missing")
    expect((await list(giveKey(["manage:websites"]))).status).toBe(200)
    expect((await list("dbdy_nothing")).reason).toBe("key_malformed")
  })

  test.each(["/track", "/identify"])("to %s is none with a credential", async (path) => {
    const cookie = await loggedIn()
    giveWebsite("docs")
    const body = path === "/track" ? { name: "x" } : { websiteId: "docs", profileId: "p" }
    const answer = await call("POST", path, { body, headers: { cookie, ...page } })
    expect([answer.status, answer.reason]).toEqual([401, "credential_missing"])
  })
})

describe("a viewer", () => {
  const refused: [string, string, string, unknown][] = [
    ["list websites to manage", "GET", "/v1/websites", undefined],
    ["make a website", "POST", "/v1/websites", { domain: "x.example" }],
    ["change a website", "PATCH", "/v1/websites/docs", { name: "x" }],
    ["delete a website", "DELETE", "/v1/websites/docs", undefined],
    ["forget a person", "POST", "/v1/websites/docs/forget", { profileId: "p" }],
    ["list keys", "GET", "/v1/keys", undefined],
    ["make a key", "POST", "/v1/keys", { name: "k" }],
  ]
  test.each(refused)("may not %s", async (_, method, path, body) => {
    giveWebsite("docs")
    const cookie = await loggedIn({ role: "viewer" })
    const answer = await call(method, path, { body, headers: { cookie, ...page } })
    expect([answer.status, answer.reason]).toEqual([403, "scope_missing"])
    expect(answer.body.error).toStartWith("this login does not have the scope manage:")
  })

  test("of one website sees that one alone", async () => {
    giveWebsite("docs")
    giveWebsite("shop")
    const cookie = await loggedIn({ role: "viewer", websites: ["docs"] })
    const websites = await call("GET", "/v1/query/websites", { headers: { cookie } })
    expect(websites.body.websites.map(({ id }: { id: string }) => id)).toEqual(["docs"])
    const ask = (id: string) =>
      call("POST", `/v1/query?website_id=${id}`, {
        body: { parameters: ["custom_events"] },
        headers: { cookie, ...page },
      })
    expect((await ask("docs")).status).toBe(200)
    expect((await ask("all")).status).toBe(200)
    for (const id of ["shop", "none"]) {
      const answer = await ask(id)
      expect([answer.status, answer.reason]).toEqual([403, "key_website_mismatch"])
    }
  })

  test("what the command line changes of a user counts for the next request", async () => {
    const cookie = await loggedIn({ role: "viewer" })
    const list = () => call("GET", "/v1/websites", { headers: { cookie } })
    expect((await list()).status).toBe(403)
    app.store.db.exec("update users set role = 'owner'")
    expect((await list()).status).toBe(200)
    app.store.db.exec("delete from users")
    expect((await list()).reason).toBe("login_ended")
  })
})

import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { type AppDeps, createApp } from "../../src/app.ts"
import { endpointPages, type Section } from "../../src/sections.ts"
import { createInvite, type Purpose } from "../../src/store/invites.ts"
import { listKeys, updateKey } from "../../src/store/keys.ts"
import { createUser, deleteUser, listUsers, setPassword, type UserSettings } from "../../src/store/users.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { PasswordHasher } from "../../src/users/password-hash.ts"
import { cheapHash, giveKey, openApp, type TestApp } from "../support/app.ts"

// biome-ignore lint/suspicious/noExplicitAny: bodies are only compared
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

/** Creates a user in the store, as the command line does. */
async function giveUser(settings: Partial<UserSettings> = {}) {
  const whole: UserSettings = {
    email: "ada@example.com",
    role: "owner",
    websites: null,
    sections: null,
    ...settings,
  }
  const hash = await new PasswordHasher(cheapHash).hash(password)
  return createUser(app.store.db, crypto.randomUUID(), whole, hash, app.clock.now)
}

const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)

function giveWebsite(id: string): void {
  const settings = { domain: `${id}.example`, name: id, allowedOrigins: [], anonymize: "off" as const }
  createWebsite(app.store.db, id, settings, app.clock.now)
  app.store.registry.refresh()
}

/** Creates a one-time link in the store, and returns its path under /v1. */
function giveLink(purpose: Purpose, userId: string | null): string {
  return `/v1/invites/${createInvite(app.store.db, purpose, userId, random, app.clock.now).token}`
}

const logIn = (body: unknown, headers: Record<string, string> = page) =>
  call("POST", "/v1/login", { body, headers })

/** The cookie of a response, as the browser sends it back. */
const cookieOf = ({ headers }: Answer) => headers.get("set-cookie")?.split(";")[0] ?? ""

/** Creates a user who logs in, and returns the cookie. */
async function loggedIn(settings: Partial<UserSettings> = {}): Promise<string> {
  const { email } = await giveUser(settings)
  const answer = await logIn({ email, password })
  expect(answer.status).toBe(200)
  return cookieOf(answer)
}

describe("a login", () => {
  test("returns the user, and its cookie is for this server only", async () => {
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
          sections: null,
          createdAt: "2026-08-01T12:00:00.000Z",
          lastLoginAt: "2026-08-01T12:00:00.000Z",
        },
      },
    ])
    expect(answer.headers.get("set-cookie")).toMatch(
      /^databuddy_session=[\w-]{43}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/,
    )
  })

  test("is stored as a hash, so the database contains nothing that can be used to log in", async () => {
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

  test("over HTTPS sets a cookie that is sent only over HTTPS", async () => {
    await app.close()
    app = openApp(() => ({ https: true }))
    await giveUser()
    const answer = await logIn({ email: "ada@example.com", password })
    expect(answer.headers.get("set-cookie")).toEndWith("; SameSite=Lax; Secure")
  })

  test("with an unknown email or a wrong password gets the same response", async () => {
    await giveUser()
    const wrong = await logIn({ email: "ada@example.com", password: "wrong" })
    const unknown = await logIn({ email: "eve@example.com", password })
    const { requestId: _, ...body } = wrong.body
    expect([wrong.status, wrong.reason, body]).toEqual([
      401,
      "login_wrong",
      {
        success: false,
        error: "wrong email or password. Try again, or ask an owner for a link to reset the password.",
        code: "AUTH_REQUIRED",
      },
    ])
    const { requestId: __, ...other } = unknown.body
    expect([unknown.status, unknown.reason, other]).toEqual([401, "login_wrong", body])
    expect(unknown.headers.has("set-cookie")).toBe(false)
  })

  test("of a user without a password always fails", async () => {
    const settings = { email: "new@example.com", role: "viewer" as const, websites: null, sections: null }
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
        { field: "password", message: "must be a string of 1 to 200 characters" },
      ],
    ],
    [
      "no email address",
      { email: "ada", password },
      [{ field: "email", message: "must be an email address of at most 254 characters" }],
    ],
    [
      "a password that is too long",
      { email: "ada@example.com", password: "x".repeat(201) },
      [{ field: "password", message: "must be a string of 1 to 200 characters" }],
    ],
    [
      "an extra field",
      { email: "ada@example.com", password, role: "owner" },
      [{ field: "role", message: "is not a field of this request" }],
    ],
  ]
  test.each(bodies)("with %s is rejected, and the errors name the fields", async (_, body, errors) => {
    const answer = await logIn(body)
    expect([answer.status, answer.reason, answer.body.errors]).toEqual([400, "invalid_shape", errors])
  })

  test("can be tried ten times a minute for the same email from the same address", async () => {
    await giveUser()
    for (let n = 0; n < 10; n++) {
      expect((await logIn({ email: "ada@example.com", password: "no" })).status).toBe(401)
    }
    const answer = await logIn({ email: "ada@example.com", password: "no" })
    expect([answer.status, answer.reason]).toEqual([429, "rate_limited"])
    expect(Number(answer.headers.get("Retry-After"))).toBeGreaterThan(0)
    expect((await logIn({ email: "eve@example.com", password })).status).toBe(401)
    app.clock.now += 60_000
    expect((await logIn({ email: "ada@example.com", password })).status).toBe(200)
  })

  test("with the right password does not count as an attempt", async () => {
    await giveUser()
    for (let n = 0; n < 15; n++) {
      expect((await logIn({ email: "ada@example.com", password })).status).toBe(200)
    }
    for (let n = 0; n < 10; n++) {
      expect((await logIn({ email: "ada@example.com", password: "no" })).status).toBe(401)
    }
  })

  test("can be tried thirty times a minute from the same address", async () => {
    for (let n = 0; n < 30; n++) {
      expect((await logIn({ email: `user${n}@example.com`, password: "no" })).status).toBe(401)
    }
    expect((await logIn({ email: "ada@example.com", password: "no" })).status).toBe(429)
  })

  test("is rejected instead of queued if too many are in progress", async () => {
    const answers = await Promise.all(
      Array.from({ length: 25 }, (_, n) => logIn({ email: `user${n}@example.com`, password })),
    )
    const refused = answers.filter(({ status }) => status !== 401)
    expect(refused.length).toBeGreaterThan(0)
    for (const { status, body } of refused) {
      expect([status, body.error]).toEqual([
        429,
        "too many logins are in progress; retry after the time in Retry-After",
      ])
    }
  })
})

describe("the logged-in user", () => {
  test("is null without a credential, whether or not users exist", async () => {
    const answer = await call("GET", "/v1/me")
    expect([answer.status, answer.body]).toMatchObject([200, { success: true, user: null, hasUsers: false }])
    expect(answer.body.version).toMatch(/^\d+\.\d+\.\d+/)
    expect(answer.body).toMatchObject({ scriptName: "databuddy.js", ingestPath: "" })
    await giveUser()
    expect((await call("GET", "/v1/me")).body.hasUsers).toBe(true)
  })

  test("over HTTPS has a cookie that only this host can set, which replaces the cookie of earlier versions", async () => {
    await app.close()
    app = openApp(() => ({ https: true }))
    await giveUser()
    const answer = await logIn({ email: "ada@example.com", password })
    expect(answer.headers.get("set-cookie")).toMatch(
      /^__Host-databuddy_session=[\w-]{43}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure$/,
    )
    const me = async (cookie: string) =>
      (await call("GET", "/v1/me", { headers: { cookie } })).body.user?.email
    expect(await me(cookieOf(answer))).toBe("ada@example.com")
    expect(await me(`databuddy_session=${"x".repeat(43)}; ${cookieOf(answer)}`)).toBe("ada@example.com")
    const plain = cookieOf(answer).replace("__Host-", "")
    app.clock.now += day
    const renewed = await call("GET", "/v1/websites", { headers: { cookie: plain } })
    expect([renewed.status, cookieOf(renewed)]).toEqual([200, cookieOf(answer)])
  })

  const siblings: [string, (own: string) => string][] = [
    ["before it", (own) => `databuddy_session=${"x".repeat(43)}; ${own}`],
    ["after it", (own) => `${own}; databuddy_session=${"x".repeat(43)}`],
    ["malformed", (own) => `databuddy_session=; databuddy_session=a b; databuddy_session="x"; ${own}`],
    ["180 times", (own) => `${`databuddy_session=${"x".repeat(43)}; `.repeat(179)}${own}`],
    ["of a login that has ended", (own) => `databuddy_session=${"A".repeat(43)};${own}`],
  ]
  test.each(siblings)(
    "stays logged in despite a cookie of the same name from a sibling host, %s",
    async (_, cookies) => {
      const own = await loggedIn()
      const answer = await call("GET", "/v1/websites", { headers: { cookie: cookies(own) } })
      expect(answer.status).toBe(200)
      const out = await call("POST", "/v1/logout", { headers: { cookie: cookies(own), ...page } })
      expect(out.status).toBe(200)
      expect((await call("GET", "/v1/websites", { headers: { cookie: own } })).reason).toBe("login_ended")
    },
  )

  test("is the user of the cookie until the logout", async () => {
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

  test("is null for an invented cookie", async () => {
    await giveUser()
    for (const token of ["x", "x".repeat(43), "a=b"]) {
      const headers = { cookie: `databuddy_session=${token}` }
      expect((await call("GET", "/v1/me", { headers })).body.user).toBe(null)
      expect((await call("GET", "/v1/websites", { headers })).reason).toBe("login_ended")
    }
  })

  test("is logged out after 30 days without a request", async () => {
    const cookie = await loggedIn()
    const list = () => call("GET", "/v1/websites", { headers: { cookie } })
    app.clock.now += 29 * day
    const used = await list()
    expect(used.status).toBe(200)
    // The browser keeps the cookie for the same time.
    expect(cookieOf(used)).toBe(cookie)
    expect(used.headers.get("set-cookie")).toContain("Max-Age=2592000")
    await app.store.batcher.run(() => {})
    app.clock.now += 29 * day
    expect((await list()).status).toBe(200)
    await app.store.batcher.run(() => {})
    app.clock.now += 30 * day
    expect([(await list()).status, (await list()).reason]).toEqual([401, "login_ended"])
  })

  test("is recorded at most once an hour", async () => {
    const cookie = await loggedIn()
    app.clock.now += hour - 1
    const answer = await call("GET", "/v1/websites", { headers: { cookie } })
    expect(answer.headers.has("set-cookie")).toBe(false)
  })
})

describe("a request with a cookie", () => {
  const own = { "sec-fetch-site": "same-origin" }
  const requests: [string, string, Record<string, string>, number][] = [
    ["reads from our own page", "GET", own, 200],
    ["reads from the address bar", "GET", { "sec-fetch-site": "none" }, 200],
    ["reads without a Sec-Fetch-Site header", "GET", {}, 200],
    ["reads from another site", "GET", { "sec-fetch-site": "cross-site" }, 403],
    ["reads from another site with our header", "GET", { "sec-fetch-site": "cross-site", ...page }, 403],
    ["reads from another port or subdomain", "GET", { "sec-fetch-site": "same-site" }, 403],
    ["changes something from our own page", "POST", { ...own, ...page }, 201],
    ["changes something without a Sec-Fetch-Site header", "POST", page, 201],
    ["changes something without our header", "POST", own, 403],
    ["changes something with a wrong value of our header", "POST", { "x-databuddy-page": "yes" }, 403],
    ["changes something from another site", "POST", { "sec-fetch-site": "cross-site", ...page }, 403],
    ["changes something from a form on another site", "POST", { "content-type": "text/plain" }, 403],
  ]
  test.each(requests)("that %s", async (_, method, headers, status) => {
    const cookie = await loggedIn()
    const body = method === "POST" ? { domain: "example.com" } : undefined
    const answer = await call(method, "/v1/websites", { body, headers: { cookie, ...headers } })
    expect([answer.status, answer.reason]).toEqual([status, status === 403 ? "csrf" : null])
    const { total } = (await call("GET", "/v1/websites", { headers: { cookie } })).body
    expect(total).toBe(status === 201 ? 1 : 0)
  })

  test.each(["PATCH", "DELETE"])("that changes something with %s also needs our header", async (method) => {
    giveWebsite("docs")
    const cookie = await loggedIn()
    const body = method === "PATCH" ? { name: "x" } : undefined
    const change = (headers: object) =>
      call(method, "/v1/websites/docs", { body, headers: { cookie, ...headers } })
    expect((await change({})).reason).toBe("csrf")
    expect((await change(page)).status).toBe(200)
  })

  test.each(["/v1/login", "/v1/logout"])("to %s needs our page's header", async (path) => {
    const cookie = await loggedIn()
    const body = { email: "ada@example.com", password }
    const sites = [{}, { ...page, "sec-fetch-site": "cross-site" }]
    for (const headers of sites) {
      expect((await call("POST", path, { body, headers: { ...headers, cookie } })).reason).toBe("csrf")
    }
    expect((await call("GET", "/v1/me", { headers: { cookie } })).body.user).not.toBe(null)
  })

  test("and a key is authorized only by the key, even if the key is invalid", async () => {
    const cookie = await loggedIn()
    const list = (key: string) => call("GET", "/v1/websites", { headers: { cookie, "x-api-key": key } })
    expect((await list(giveKey(app, { scopes: ["read:data"] }).secret)).reason).toBe("scope_missing")
    expect((await list(giveKey(app, { scopes: ["manage:websites"] }).secret)).status).toBe(200)
    expect((await list("dbdy_nothing")).reason).toBe("key_malformed")
  })

  test.each(["/track", "/identify"])("to %s is not authorized by the cookie", async (path) => {
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
    ["create a website", "POST", "/v1/websites", { domain: "x.example" }],
    ["change a website", "PATCH", "/v1/websites/docs", { name: "x" }],
    ["delete a website", "DELETE", "/v1/websites/docs", undefined],
    ["forget a person", "POST", "/v1/websites/docs/forget", { profileId: "p" }],
    ["list keys", "GET", "/v1/keys", undefined],
    ["create a key", "POST", "/v1/keys", { name: "k" }],
    ["list users", "GET", "/v1/users", undefined],
    ["create a user", "POST", "/v1/users", { email: "eve@example.com", role: "viewer" }],
    ["change a user", "PATCH", "/v1/users/x", { role: "owner" }],
    ["delete a user", "DELETE", "/v1/users/x", undefined],
    ["create a link for a user", "POST", "/v1/users/x/reset", undefined],
  ]
  test.each(refused)("cannot %s", async (_, method, path, body) => {
    giveWebsite("docs")
    const cookie = await loggedIn({ role: "viewer" })
    const answer = await call(method, path, { body, headers: { cookie, ...page } })
    expect([answer.status, answer.reason]).toEqual([403, "scope_missing"])
    expect(answer.body.error).toStartWith("this login does not have the scope manage:")
  })

  test("of one website sees only that website", async () => {
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

  type Status = [status: number, reason: string | null]
  const fine: Status = [200, null]
  const noScope: Status = [403, "scope_missing"]
  const closed: Status = [403, "section_missing"]
  const query = (parameter: object | string): [string, string, unknown] => [
    "POST",
    "/v1/query?website_id=docs",
    { parameters: [parameter] },
  ]
  const funnel = { name: "funnel", steps: ["a", "b"] }
  // A request, and the responses to viewers who can see everything; web; behavior; people; web and people.
  const access: [string, [string, string, unknown], Status[]][] = [
    ["websites", ["GET", "/v1/query/websites", undefined], [fine, fine, fine, fine, fine]],
    ["annotations", ["GET", "/v1/notes?website_id=docs", undefined], [fine, fine, fine, fine, fine]],
    ["saved views", ["GET", "/v1/views?website_id=docs", undefined], [fine, noScope, noScope, fine, fine]],
    ["profiles", ["GET", "/v1/profiles?website_id=docs", undefined], [fine, noScope, noScope, fine, fine]],
    [
      "a search",
      ["GET", "/v1/profiles?website_id=docs&search=a", undefined],
      [fine, noScope, noScope, fine, fine],
    ],
    [
      "a profile",
      ["GET", "/v1/profiles/p?website_id=docs", undefined],
      [[404, "profile_unknown"], noScope, noScope, [404, "profile_unknown"], [404, "profile_unknown"]],
    ],
    ["an export", ["GET", "/v1/export?website_id=docs", undefined], [fine, noScope, noScope, fine, fine]],
    [
      "an export of a person",
      ["GET", "/v1/export?website_id=docs&anonymous_id=a", undefined],
      [fine, noScope, noScope, fine, fine],
    ],
    ["rejected requests", ["GET", "/v1/refusals", undefined], [fine, noScope, noScope, fine, fine]],
    [
      "a stream",
      ["HEAD", "/v1/events/stream?website_id=docs", undefined],
      [fine, noScope, noScope, fine, fine],
    ],
    ["page views", query("summary_metrics"), [fine, fine, closed, closed, fine]],
    ["a funnel", query(funnel), [fine, closed, fine, closed, closed]],
    ["custom events", query("custom_events"), [fine, closed, closed, closed, closed]],
    ["counts of custom events", query("events"), [fine, closed, fine, fine, fine]],
    ["counts of page views", query({ name: "events", kinds: ["page_view"] }), [fine, fine, fine, fine, fine]],
    ["counts of errors", query({ name: "events", kinds: ["error"] }), [fine, closed, closed, fine, fine]],
    ["people", query("people"), [fine, closed, closed, fine, fine]],
    ["sessions", query("sessions"), [fine, closed, closed, fine, fine]],
    ["a person", query({ name: "person", anonymousId: "a" }), [fine, closed, closed, fine, fine]],
    ["single events", query("custom_events_recent"), [fine, closed, closed, fine, fine]],
    ["single errors", query("recent_errors"), [fine, closed, closed, closed, closed]],
  ]
  const limits: (Section[] | null)[] = [null, ["web"], ["behavior"], ["people"], ["web", "people"]]
  test.each(access)(
    "who is limited to sections can read %s only if the sections include it",
    async (_, [method, path, body], expected) => {
      giveWebsite("docs")
      const answers: unknown[] = []
      for (const [index, sections] of limits.entries()) {
        const cookie = await loggedIn({ email: `v${index}@example.com`, role: "viewer", sections })
        const response = await app.send(
          new Request(`http://localhost${path}`, {
            method,
            headers: { cookie, ...page },
            body: body === undefined ? null : JSON.stringify(body),
          }),
        )
        answers.push([response.status, response.headers.get("x-databuddy-reason")])
        await response.body?.cancel()
      }
      expect(answers).toEqual(expected)
    },
  )

  const withIds: [string, object][] = [
    [
      "a filter on a visitor",
      { name: "summary_metrics", filters: [{ field: "anonymous_id", op: "eq", value: "v" }] },
    ],
    [
      "a filter on a session",
      { name: "top_pages", filters: [{ field: "session_id", op: "contains", value: "s" }] },
    ],
    [
      "a filter on a profile",
      { name: "top_pages", filters: [{ field: "profile_id", op: "exists", value: true }] },
    ],
    ["a breakdown by visitor", { name: "events", kinds: ["page_view"], by: ["anonymous_id"] }],
    ["the events of a profile", { name: "events", kinds: ["page_view"], profileId: "p" }],
    ["the events of a visitor", { name: "events", kinds: ["page_view"], anonymousId: "v" }],
  ]
  test.each(withIds)("without the section people cannot use %s", async (_, parameter) => {
    giveWebsite("docs")
    for (const [sections, success] of [
      [["web"], false],
      [["web", "people"], true],
    ] as [Section[], boolean][]) {
      const cookie = await loggedIn({ email: `${sections.length}@example.com`, role: "viewer", sections })
      const [method, path, body] = query(parameter)
      const answer = await call(method, path, { body, headers: { cookie, ...page } })
      expect([answer.status, answer.body.data?.[0]?.success]).toEqual([200, success])
    }
  })

  test("cannot use an endpoint that is not in the table of sections", async () => {
    giveWebsite("docs")
    const cookie = await loggedIn({ role: "viewer", sections: ["web", "people"] })
    const { routes } = createApp({
      settings: { ingestPath: "", basePath: "" },
      scriptName: "databuddy.js",
    } as AppDeps)
    const v1 = routes
      .filter(({ path }) => path.startsWith("/v1/"))
      .map(({ method, path }) => `${method} ${path}`)
    expect(Object.keys(endpointPages).filter((endpoint) => !v1.includes(endpoint))).toEqual([])
    // Routes that need no authentication, use their own secret, or belong to the login.
    const open = /\/v1\/(me|login|logout|invites|query\/types|registry)\b/
    for (const endpoint of v1.filter((one) => !Object.hasOwn(endpointPages, one) && !open.test(one))) {
      const [method = "", path = ""] = endpoint.split(" ")
      const answer = await call(method, path.replace(":id", "docs"), { headers: { cookie, ...page } })
      expect([endpoint, answer.status]).toEqual([endpoint, 403])
    }
  })

  test("can see everything by default, and can be limited to sections", async () => {
    giveWebsite("docs")
    const headers = { Authorization: `Bearer ${giveKey(app).secret}` }
    const { id } = await giveUser({ email: "vic@example.com", role: "viewer" })
    const patch = (body: object) => call("PATCH", `/v1/users/${id}`, { body, headers })
    expect((await call("GET", "/v1/users", { headers })).body.users[0].sections).toBeNull()
    expect((await patch({ sections: ["web"] })).body.user).toMatchObject({
      role: "viewer",
      sections: ["web"],
    })
    expect((await patch({ websites: ["docs"] })).body.user.sections).toEqual(["web"])
    expect((await patch({ role: "owner" })).body.user).toMatchObject({ role: "owner", sections: null })
    const wrong: [object, object][] = [
      [{ sections: [] }, { field: "sections", message: expect.stringContaining("must be null or a list") }],
      [
        { sections: ["settings"] },
        { field: "sections", message: expect.stringContaining("must be null or a list") },
      ],
      [
        { sections: ["web"] },
        { field: "sections", message: "must be null for an owner, who can see all sections" },
      ],
    ]
    await giveUser({ email: "last@example.com" })
    for (const [body, error] of wrong) {
      const answer = await patch({ role: "owner", ...body })
      expect([body, answer.status, answer.body.errors]).toEqual([body, 400, [error]])
    }
  })

  test("is affected by changes from the command line at the next request", async () => {
    const cookie = await loggedIn({ role: "viewer" })
    const list = () => call("GET", "/v1/websites", { headers: { cookie } })
    expect((await list()).status).toBe(403)
    app.store.db.exec("update users set role = 'owner'")
    expect((await list()).status).toBe(200)
    app.store.db.exec("delete from users")
    expect((await list()).reason).toBe("login_ended")
  })
})

describe("a one-time link", () => {
  const setup = { email: "Ada@example.com", password }

  test("for the setup creates the first owner and logs them in", async () => {
    const path = giveLink("setup", null)
    const shown = await call("GET", path)
    expect([shown.status, shown.body]).toEqual([
      200,
      {
        success: true,
        invite: { purpose: "setup", email: null, role: "owner", expiresAt: "2026-08-08T12:00:00.000Z" },
      },
    ])
    const used = await call("POST", path, { body: setup, headers: page })
    expect([used.status, used.body.user]).toMatchObject([
      200,
      { email: "ada@example.com", role: "owner", websites: null, lastLoginAt: "2026-08-01T12:00:00.000Z" },
    ])
    const me = await call("GET", "/v1/me", { headers: { cookie: cookieOf(used) } })
    expect(me.body).toMatchObject({ user: used.body.user, hasUsers: true })
    expect((await logIn(setup)).status).toBe(200)
  })

  test("for an invitation shows the user's email and lets the user choose a password", async () => {
    const settings = { email: "new@example.com", role: "viewer" as const, websites: null, sections: null }
    createUser(app.store.db, "u", settings, null, app.clock.now)
    const path = giveLink("invite", "u")
    expect((await call("GET", path)).body.invite).toMatchObject({
      purpose: "invite",
      ...{ email: settings.email },
    })
    const used = await call("POST", path, { body: { password }, headers: page })
    expect([used.status, used.body.user.email]).toEqual([200, "new@example.com"])
    expect((await logIn({ email: "new@example.com", password })).status).toBe(200)
  })

  test("for a reset leaves the old password and logins unchanged until it is used", async () => {
    const cookie = await loggedIn()
    const [user] = listUsers(app.store.db)
    const path = giveLink("reset", user?.id ?? "")
    expect((await call("GET", path)).body.invite).toMatchObject({
      purpose: "reset",
      email: "ada@example.com",
      expiresAt: "2026-08-02T12:00:00.000Z",
    })
    const me = async () => (await call("GET", "/v1/me", { headers: { cookie } })).body.user
    expect((await logIn({ email: "ada@example.com", password })).status).toBe(200)
    expect(await me()).not.toBe(null)
    const body = { password: "another password" }
    expect((await call("POST", path, { body, headers: page })).status).toBe(200)
    expect(await me()).toBe(null)
    expect((await logIn({ email: "ada@example.com", password })).status).toBe(401)
    expect((await logIn({ email: "ada@example.com", ...body })).status).toBe(200)
  })

  const dead: [string, () => Promise<string> | string][] = [
    ["that never existed", () => `/v1/invites/${"x".repeat(43)}`],
    [
      "that was used",
      async () => {
        const path = giveLink("setup", null)
        expect((await call("POST", path, { body: setup, headers: page })).status).toBe(200)
        return path
      },
    ],
    [
      "that has expired",
      () => {
        const path = giveLink("setup", null)
        app.clock.now += 7 * day
        return path
      },
    ],
    [
      "that was replaced by a newer one",
      () => {
        const path = giveLink("setup", null)
        giveLink("setup", null)
        return path
      },
    ],
    [
      "for the setup, if an owner was created in the meantime",
      async () => {
        const path = giveLink("setup", null)
        await giveUser({ email: "first@example.com" })
        return path
      },
    ],
    [
      "for the setup, if an owner was invited in the meantime",
      async () => {
        const path = giveLink("setup", null)
        const headers = { "x-api-key": giveKey(app).secret }
        const body = { email: "first@example.com", role: "owner" }
        expect((await call("POST", "/v1/users", { body, headers })).status).toBe(201)
        return path
      },
    ],
    [
      "of a deleted user",
      async () => {
        const { id } = await giveUser()
        const path = giveLink("reset", id)
        deleteUser(app.store.db, id)
        return path
      },
    ],
    [
      "of a user who has since changed the password",
      async () => {
        const cookie = await loggedIn()
        const path = giveLink("reset", listUsers(app.store.db)[0]?.id ?? "")
        const body = { current: password, password: "another password" }
        const headers = { cookie, ...page }
        expect((await call("POST", "/v1/me/password", { body, headers })).status).toBe(200)
        return path
      },
    ],
  ]
  test.each(dead)("%s does nothing", async (_, make) => {
    const path = await make()
    const before = JSON.stringify(listUsers(app.store.db))
    const shown = await call("GET", path)
    const used = await call("POST", path, { body: setup, headers: page })
    expect([shown.status, shown.reason]).toEqual([404, "invite_unknown"])
    expect([used.status, used.reason]).toEqual([404, "invite_unknown"])
    expect(used.headers.has("set-cookie")).toBe(false)
    expect(JSON.stringify(listUsers(app.store.db))).toBe(before)
  })

  test("that is used twice concurrently works once", async () => {
    const path = giveLink("setup", null)
    const uses = ["a@example.com", "b@example.com", "c@example.com"].map((email) =>
      call("POST", path, { body: { email, password }, headers: page }),
    )
    const statuses = (await Promise.all(uses)).map(({ status }) => status)
    expect(statuses.sort()).toEqual([200, 404, 404])
    expect(listUsers(app.store.db)).toHaveLength(1)
  })

  const bodies: [string, Purpose, unknown, object][] = [
    [
      "a password that is too short",
      "setup",
      { ...setup, password: "x".repeat(9) },
      { field: "password", message: "must be a string of 10 to 200 characters" },
    ],
    [
      "a password that is too long",
      "setup",
      { ...setup, password: "x".repeat(201) },
      { field: "password", message: "must be a string of 10 to 200 characters" },
    ],
    [
      "a common password",
      "setup",
      { ...setup, password: "Password2026!" },
      {
        field: "password",
        message: "is among the most common passwords: choose a different one, for example four random words",
      },
    ],
    [
      "no email for the first owner",
      "setup",
      { password },
      { field: "email", message: "must be an email address of at most 254 characters" },
    ],
    [
      "an email for a user who already has one",
      "reset",
      { email: "eve@example.com", password },
      { field: "email", message: "cannot be set: this link is for ada@example.com" },
    ],
  ]
  test.each(bodies)("is not used up by a request with %s", async (_, purpose, body, error) => {
    const path = giveLink(purpose, purpose === "setup" ? null : (await giveUser()).id)
    const answer = await call("POST", path, { body, headers: page })
    expect([answer.status, answer.reason, answer.body.errors]).toEqual([400, "invalid_shape", [error]])
    expect((await call("GET", path)).status).toBe(200)
  })

  test("is not used up by a request from another page", async () => {
    const path = giveLink("setup", null)
    for (const headers of [{}, { ...page, "sec-fetch-site": "cross-site" }]) {
      expect((await call("POST", path, { body: setup, headers })).reason).toBe("csrf")
    }
    expect((await call("GET", path)).status).toBe(200)
  })
})

describe("a new password", () => {
  const another = "another password"
  const choose = (cookie: string, body: unknown) =>
    call("POST", "/v1/me/password", { body, headers: { cookie, ...page } })

  test("ends all logins except the one that set it", async () => {
    const here = await loggedIn()
    const there = cookieOf(await logIn({ email: "ada@example.com", password }))
    const chosen = await choose(here, { current: password, password: another })
    expect([chosen.status, chosen.body]).toEqual([200, { success: true }])
    const me = async (cookie: string) => (await call("GET", "/v1/me", { headers: { cookie } })).body.user
    expect([(await me(here))?.email, await me(there)]).toEqual(["ada@example.com", null])
    expect((await logIn({ email: "ada@example.com", password })).status).toBe(401)
    expect((await logIn({ email: "ada@example.com", password: another })).status).toBe(200)
  })

  test("requires the current one, and the number of guesses is limited", async () => {
    const cookie = await loggedIn()
    const statuses: number[] = []
    for (let n = 0; n < 10; n++) {
      const answer = await choose(cookie, { current: "wrong", password: another })
      expect(answer.body.errors).toEqual([{ field: "current", message: "is not your current password" }])
      statuses.push(answer.status)
    }
    expect(new Set(statuses)).toEqual(new Set([400]))
    expect((await choose(cookie, { current: password, password: another })).reason).toBe("rate_limited")
  })

  test("is set only once by two concurrent requests", async () => {
    const cookie = await loggedIn()
    const chosen = ["first password", "second password"].map((one) =>
      choose(cookie, { current: password, password: one }),
    )
    const statuses = (await Promise.all(chosen)).map(({ status }) => status)
    expect(statuses.sort()).toEqual([200, 400])
  })

  test("makes a concurrent login with the old one fail", async () => {
    const { id } = await giveUser()
    const { batcher, db } = app.store
    const run = batcher.run.bind(batcher)
    batcher.run = (work) => {
      setPassword(db, id, "another, chosen while this one was compared")
      return run(work)
    }
    const login = await logIn({ email: "ada@example.com", password })
    expect([login.reason, login.headers.has("set-cookie")]).toEqual(["login_wrong", false])
  })

  test("cannot be set with a key", async () => {
    const body = { current: password, password: another }
    const headers = { ...page, "x-api-key": giveKey(app, { scopes: ["manage:users"] }).secret }
    expect((await call("POST", "/v1/me/password", { body, headers })).reason).toBe("credential_missing")
    expect((await call("POST", "/v1/me/password", { body, headers: page })).reason).toBe("credential_missing")
    const cookie = await loggedIn()
    expect((await call("POST", "/v1/me/password", { body, headers: { cookie } })).reason).toBe("csrf")
  })

  test("cannot be used to guess keys", async () => {
    const tryKey = () => call("POST", "/v1/me/password", { headers: { ...page, "x-api-key": "dbdy_guess" } })
    const reasons = new Set<string | null>()
    for (let n = 0; n < 60; n++) reasons.add((await tryKey()).reason)
    expect([...reasons]).toEqual(["key_malformed"])
    expect((await tryKey()).reason).toBe("too_many_failed_credentials")
    const right = await call("GET", "/v1/users", {
      headers: { "x-api-key": giveKey(app, { scopes: ["manage:users"] }).secret },
    })
    expect(right.status).toBe(200)
  })
})

describe("a stream of events", () => {
  /** Opens a stream of all events, calls `end`, and returns the content of the stream once the server has ended it. */
  async function followed(headers: Record<string, string>, end: () => void): Promise<string> {
    const response = await app.send(
      new Request("http://localhost/v1/events/stream?website_id=all", { headers }),
    )
    expect(response.status).toBe(200)
    end()
    app.clock.now += 5_000
    return await response.text()
  }
  const over = 'event: end\ndata: {"reason":"access has ended"}'

  test("ends when the login session that opened it ends", async () => {
    const cookie = await loggedIn()
    const end = () => deleteUser(app.store.db, listUsers(app.store.db)[0]?.id ?? "")
    expect(await followed({ cookie }, end)).toContain(over)
  })

  test("ends when its key is limited to reports", async () => {
    const key = giveKey(app, { scopes: ["read:data"] }).secret
    const end = () => {
      const { db, registry } = app.store
      updateKey(db, listKeys(db)[0]?.id ?? "", { scopes: ["read:reports"] })
      registry.refresh()
    }
    expect(await followed({ "x-api-key": key }, end)).toContain(over)
  })
})

describe("users", () => {
  let owner: string
  beforeEach(async () => {
    giveWebsite("docs")
    owner = await loggedIn()
  })
  const as = (cookie: string, method: string, path: string, body?: unknown) =>
    call(method, path, { body, headers: { cookie, ...page } })
  const idOf = (email: string) => listUsers(app.store.db).find((one) => one.email === email)?.id ?? ""

  test("are created with a link that is shown once", async () => {
    const body = { email: "New@Example.com", role: "viewer", websites: ["docs"] }
    const made = await as(owner, "POST", "/v1/users", body)
    expect([made.status, made.body]).toEqual([
      201,
      {
        success: true,
        user: {
          id: expect.any(String),
          email: "new@example.com",
          role: "viewer",
          websites: ["docs"],
          sections: null,
          createdAt: "2026-08-01T12:00:00.000Z",
          lastLoginAt: null,
        },
        invite: {
          path: expect.stringMatching(/^\/invite\/[\w-]{43}$/),
          expiresAt: "2026-08-08T12:00:00.000Z",
        },
      },
    ])
    const used = await call("POST", `/v1${made.body.invite.path.replace("invite", "invites")}`, {
      body: { password },
      headers: page,
    })
    expect(used.status).toBe(200)
    const list = await as(owner, "GET", "/v1/users")
    expect(list.body.total).toBe(2)
    // Both were created at the same time, so they are sorted by id.
    expect(list.body.users.map((one: Json) => one.role).sort()).toEqual(["owner", "viewer"])
    expect(JSON.stringify(list.body)).not.toContain("argon2")
  })

  const refused: [string, unknown, number, string][] = [
    ["an email that is taken", { email: "ADA@example.com", role: "viewer" }, 409, "conflict"],
    ["no role", { email: "new@example.com" }, 400, "invalid_shape"],
    ["an unknown role", { email: "new@example.com", role: "admin" }, 400, "invalid_shape"],
    [
      "an unknown website",
      { email: "new@example.com", role: "viewer", websites: ["nope"] },
      400,
      "invalid_shape",
    ],
    ["no websites", { email: "new@example.com", role: "viewer", websites: [] }, 400, "invalid_shape"],
    [
      "an owner of some websites",
      { email: "new@example.com", role: "owner", websites: ["docs"] },
      400,
      "invalid_shape",
    ],
    [
      "a password chosen by the owner",
      { email: "new@example.com", role: "viewer", password },
      400,
      "invalid_shape",
    ],
  ]
  test.each(refused)("cannot be created with %s", async (_, body, status, reason) => {
    const answer = await as(owner, "POST", "/v1/users", body)
    expect([answer.status, answer.reason]).toEqual([status, reason])
    expect(listUsers(app.store.db)).toHaveLength(1)
  })

  test("cannot be limited to an unknown website", async () => {
    await giveUser({ email: "eve@example.com", role: "viewer", websites: ["docs"] })
    const body = { websites: ["docs", "gone"] }
    const answer = await as(owner, "PATCH", `/v1/users/${idOf("eve@example.com")}`, body)
    expect([answer.status, answer.body.errors]).toEqual([
      400,
      [{ field: "websites.1", message: "gone does not exist" }],
    ])
  })

  test("who are changed are logged out, and then have only their new permissions", async () => {
    const viewer = await loggedIn({ email: "eve@example.com", role: "viewer", websites: ["docs"] })
    const changed = await as(owner, "PATCH", `/v1/users/${idOf("eve@example.com")}`, { role: "owner" })
    expect([changed.status, changed.body.user]).toMatchObject([200, { role: "owner", websites: null }])
    expect((await as(viewer, "GET", "/v1/users")).reason).toBe("login_ended")
    const again = cookieOf(await logIn({ email: "eve@example.com", password }))
    expect((await as(again, "GET", "/v1/users")).body.total).toBe(2)
  })

  test("who are deleted are logged out", async () => {
    const viewer = await loggedIn({ email: "eve@example.com", role: "viewer" })
    expect((await as(owner, "DELETE", `/v1/users/${idOf("eve@example.com")}`)).body).toEqual({
      success: true,
    })
    expect((await call("GET", "/v1/query/websites", { headers: { cookie: viewer } })).reason).toBe(
      "login_ended",
    )
    expect((await logIn({ email: "eve@example.com", password })).status).toBe(401)
  })

  test("who do not exist are not found", async () => {
    for (const [method, path, body] of [
      ["PATCH", "/v1/users/x", { role: "viewer" }],
      ["DELETE", "/v1/users/x", undefined],
      ["POST", "/v1/users/x/reset", undefined],
    ] as const) {
      const answer = await as(owner, method, path, body)
      expect([answer.status, answer.reason]).toEqual([404, "user_not_found"])
    }
  })

  test("who forgot their password get a link", async () => {
    await giveUser({ email: "eve@example.com", role: "viewer" })
    const { status, body } = await as(owner, "POST", `/v1/users/${idOf("eve@example.com")}/reset`)
    expect([status, body]).toEqual([
      200,
      {
        success: true,
        invite: {
          path: expect.stringMatching(/^\/invite\/[\w-]{43}$/),
          expiresAt: "2026-08-02T12:00:00.000Z",
        },
      },
    ])
  })

  test("always include an owner who can log in", async () => {
    const id = idOf("ada@example.com")
    // An invited user without a password does not count.
    const invited = { email: "new@example.com", role: "owner" }
    expect((await as(owner, "POST", "/v1/users", invited)).status).toBe(201)
    for (const [method, body] of [
      ["PATCH", { role: "viewer" }],
      ["DELETE", undefined],
    ] as const) {
      const answer = await as(owner, method, `/v1/users/${id}`, body)
      expect([answer.status, answer.reason]).toEqual([409, "conflict"])
      expect(answer.body.error).toBe(
        "ada@example.com is the last owner who can log in; make another user an owner first",
      )
    }
    const other = await loggedIn({ email: "eve@example.com" })
    expect((await as(other, "PATCH", `/v1/users/${id}`, { role: "viewer" })).status).toBe(200)
    expect((await as(other, "DELETE", `/v1/users/${id}`)).status).toBe(200)
  })

  test("can be managed with a key, within the permissions of the key", async () => {
    await giveUser({ email: "eve@example.com", role: "viewer", websites: ["docs"] })
    const key = giveKey(app, { scopes: ["manage:users", "read:data"], websites: ["docs"] }).secret
    const by = (method: string, path: string, body?: unknown) =>
      call(method, path, { body, headers: { "x-api-key": key } })
    expect((await by("GET", "/v1/users")).body).toMatchObject({
      total: 1,
      users: [{ email: "eve@example.com" }],
    })
    const viewer = { role: "viewer", websites: ["docs"] }
    expect((await by("POST", "/v1/users", { ...viewer, email: "new@example.com" })).status).toBe(201)
    const wider: [string, string, unknown][] = [
      ["POST", "/v1/users", { ...viewer, email: "x@example.com", websites: null }],
      ["POST", "/v1/users", { email: "x@example.com", role: "owner" }],
      ["PATCH", `/v1/users/${idOf("eve@example.com")}`, { websites: null }],
      ["PATCH", `/v1/users/${idOf("eve@example.com")}`, { role: "owner" }],
      ["PATCH", `/v1/users/${idOf("ada@example.com")}`, { role: "viewer" }],
      ["DELETE", `/v1/users/${idOf("ada@example.com")}`, undefined],
      ["POST", `/v1/users/${idOf("ada@example.com")}/reset`, undefined],
    ]
    const before = JSON.stringify(listUsers(app.store.db))
    for (const [method, path, body] of wider)
      expect((await by(method, path, body)).reason).toBe("grant_too_wide")
    expect(JSON.stringify(listUsers(app.store.db))).toBe(before)
  })
})

import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { findKey, type KeyGrant, listKeys, revokeKey, scopes, updateKey } from "../../src/store/keys.ts"
import { createWebsite, listWebsites } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { eventRow } from "../support/event.ts"

// biome-ignore lint/suspicious/noExplicitAny: bodies are only compared
type Json = any

interface Answer {
  status: number
  headers: Headers
  body: Json
}

const reasonOf = ({ headers }: Answer) => headers.get("x-databuddy-reason")

const day = 86_400_000
const everything: KeyGrant = {
  name: "admin",
  scopes: [...scopes],
  websites: null,
  rateLimit: null,
  expiresAt: null,
}

let app: TestApp
let admin: string

beforeEach(() => {
  app = openApp()
  admin = giveKey(app, everything).secret
})

afterEach(() => app.close())

async function call(
  method: string,
  path: string,
  body?: unknown,
  key: string | null = admin,
  more: Record<string, string> = {},
): Promise<Answer> {
  const headers: Record<string, string> = { ...more }
  if (key) headers.Authorization = `Bearer ${key}`
  if (body !== undefined) headers["Content-Type"] = "application/json"
  const sent = body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body)
  const response = await app.send(new Request(`http://localhost${path}`, { method, headers, body: sent }))
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === "" ? undefined : JSON.parse(text),
  }
}

async function makeWebsite(input: object = { domain: "example.com" }): Promise<Json> {
  const { status, body } = await call("POST", "/v1/websites", input)
  expect([status, body.error]).toEqual([201, undefined])
  return body.website
}

async function makeKey(input: object): Promise<Json> {
  const { status, body } = await call("POST", "/v1/keys", { name: "made", ...input })
  expect([status, body.error]).toEqual([201, undefined])
  return body.key
}

/** Sends an event to /track and returns the status of the response. */
async function track(path: string, key: string | null, event: object = { name: "x" }): Promise<number> {
  return (await call("POST", path, event, key)).status
}

/** Returns everything that the management API can change, to check that a rejected request changed nothing. */
function state(): string {
  const { db } = app.store
  return JSON.stringify([
    listWebsites(db),
    listKeys(db),
    db.prepare("select hash from keys order by id").all(),
  ])
}

describe("a credential", () => {
  const refused: [string, () => { key: string | null; path?: string }, number, string, string][] = [
    ["a missing key", () => ({ key: null }), 401, "AUTH_REQUIRED", "credential_missing"],
    [
      "a website id",
      () => ({ key: null, path: "/v1/keys?website_id=w" }),
      401,
      "AUTH_REQUIRED",
      "credential_missing",
    ],
    ["a malformed key", () => ({ key: "secret" }), 401, "AUTH_REQUIRED", "key_malformed"],
    ["an unknown key", () => ({ key: `dbdy_${"x".repeat(32)}` }), 401, "AUTH_REQUIRED", "key_unknown"],
    [
      "a revoked key",
      () => {
        const { id, secret } = giveKey(app)
        revokeKey(app.store.db, id, app.clock.now)
        app.store.registry.refresh()
        return { key: secret }
      },
      401,
      "AUTH_REQUIRED",
      "key_revoked",
    ],
    [
      "a disabled key",
      () => {
        const { id, secret } = giveKey(app)
        updateKey(app.store.db, id, { disabledAt: app.clock.now })
        app.store.registry.refresh()
        return { key: secret }
      },
      401,
      "AUTH_REQUIRED",
      "key_disabled",
    ],
    [
      "an expired key",
      () => {
        const { secret } = giveKey(app, { expiresAt: app.clock.now + 1 })
        app.clock.now += 1
        return { key: secret }
      },
      401,
      "AUTH_REQUIRED",
      "key_expired",
    ],
    [
      "a key that can only send events",
      () => ({ key: giveKey(app, { scopes: ["track:events"] }).secret }),
      403,
      "ACCESS_DENIED",
      "scope_missing",
    ],
    [
      "a key that can only manage websites",
      () => ({ key: giveKey(app, { scopes: ["manage:websites"] }).secret }),
      403,
      "ACCESS_DENIED",
      "scope_missing",
    ],
    [
      "a key that can only manage keys, in a request for websites",
      () => ({ key: giveKey(app, { scopes: ["manage:keys"] }).secret, path: "/v1/websites" }),
      403,
      "ACCESS_DENIED",
      "scope_missing",
    ],
  ]
  test.each(refused)("%s is rejected", async (_, make, status, code, reason) => {
    const { key, path = "/v1/keys" } = make()
    const answer = await call("GET", path, undefined, key)
    expect([answer.status, answer.body.code]).toEqual([status, code])
    expect(answer.headers.get("x-databuddy-reason")).toBe(reason)
    expect(answer.body).toEqual({
      success: false,
      error: expect.any(String),
      code,
      requestId: answer.headers.get("x-request-id"),
    })
  })

  test("the error names the missing scope", async () => {
    const key = giveKey(app, { scopes: ["manage:websites"] }).secret
    const { body } = await call("GET", "/v1/keys", undefined, key)
    expect(body.error).toBe("this key does not have the scope manage:keys")
  })

  test("a key is also accepted as x-api-key", async () => {
    expect((await call("GET", "/v1/keys", undefined, null, { "x-api-key": admin })).status).toBe(200)
  })

  test("the last use of a key is recorded", async () => {
    await call("GET", "/v1/keys")
    expect([...app.store.registry.pendingUses().values()]).toEqual([app.clock.now])
  })

  test("an address that sends too many wrong keys has to wait, but a valid key from there is accepted", async () => {
    for (let n = 0; n < 60; n++) expect((await call("GET", "/v1/keys", undefined, "wrong")).status).toBe(401)
    const answer = await call("GET", "/v1/keys", undefined, "wrong")
    expect([answer.status, answer.body.code]).toEqual([429, "RATE_LIMITED"])
    expect(answer.headers.get("x-databuddy-reason")).toBe("too_many_failed_credentials")
    expect(Number(answer.headers.get("Retry-After"))).toBeGreaterThan(0)
    expect((await call("GET", "/v1/keys")).status).toBe(200)
    app.clock.now += 60_000
    expect((await call("GET", "/v1/keys", undefined, "wrong")).status).toBe(401)
  })

  test("the rate limit of a key is enforced", async () => {
    const key = giveKey(app, { rateLimit: 2 }).secret
    expect((await call("GET", "/v1/keys", undefined, key)).headers.get("RateLimit-Remaining")).toBe("1")
    expect((await call("GET", "/v1/websites", undefined, key)).status).toBe(200)
    const answer = await call("GET", "/v1/keys", undefined, key)
    expect([answer.status, answer.body.code]).toEqual([429, "RATE_LIMITED"])
    expect(answer.headers.get("Retry-After")).toBe("30")
  })
})

describe("a response", () => {
  const requests: [string, string, unknown?][] = [
    ["GET", "/v1/websites"],
    ["GET", "/v1/keys"],
    ["POST", "/v1/keys", { name: "k" }],
    ["POST", "/v1/keys", {}],
    ["GET", "/v1/keys/none"],
    ["GET", "/v1/nothing"],
    ["GET", "/v1"],
    ["OPTIONS", "/v1/keys"],
    ["OPTIONS", "/v1/websites/x"],
    ["PUT", "/v1/keys"],
  ]
  test.each(requests)(
    "to %s %s has no CORS headers, is not cached and has a request id",
    async (method, path, body) => {
      const headers = {
        Origin: "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "x-request-id": "my-id.1",
      }
      const answer = await call(method, path, body, admin, headers)
      expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([])
      expect(answer.headers.get("Cache-Control")).toBe("no-store")
      expect(answer.headers.get("X-Content-Type-Options")).toBe("nosniff")
      expect(answer.headers.get("Content-Type")).toBe("application/json")
      expect(answer.headers.get("x-request-id")).toBe("my-id.1")
      if (!answer.body.success) expect(answer.body.requestId).toBe("my-id.1")
    },
  )

  test("to an unknown route is an error in the same format", async () => {
    const answer = await call("PUT", "/v1/websites/x")
    expect([answer.status, answer.body]).toEqual([
      404,
      {
        success: false,
        error: "there is no PUT /v1/websites/x",
        code: "NOT_FOUND",
        requestId: answer.headers.get("x-request-id"),
      },
    ])
  })

  const bodies: [string, string, number, string, string][] = [
    ["not JSON", "{", 400, "VALIDATION_ERROR", "invalid_json"],
    ["empty", "", 400, "VALIDATION_ERROR", "invalid_json"],
    ["a list", "[]", 400, "VALIDATION_ERROR", "invalid_shape"],
    ["null", "null", 400, "VALIDATION_ERROR", "invalid_shape"],
    ["too long", `"${"x".repeat(2_097_152)}"`, 413, "PAYLOAD_TOO_LARGE", "payload_too_large"],
  ]
  test.each(bodies)("to a body that is %s is an error", async (_, body, status, code, reason) => {
    const answer = await call("POST", "/v1/keys", body)
    expect([answer.status, answer.body.code]).toEqual([status, code])
    expect(answer.headers.get("x-databuddy-reason")).toBe(reason)
  })

  test("to a body of another content type says which one to send", async () => {
    const answer = await call("POST", "/v1/keys", "{}", admin, { "Content-Type": "text/plain" })
    expect(answer.status).toBe(400)
    const xml = await app.send(
      new Request("http://localhost/v1/keys", {
        method: "POST",
        headers: { Authorization: `Bearer ${admin}`, "Content-Type": "application/xml" },
        body: "<a/>",
      }),
    )
    expect(((await xml.json()) as Json).error).toBe(
      "the Content-Type is not JSON. Send the body as Content-Type: application/json.",
    )
  })

  test("never describes an internal error", async () => {
    await app.close()
    app = openApp(() => ({
      batcher: { run: () => Promise.reject(new Error("disk at /secret")), submit: async () => {} },
    }))
    admin = giveKey(app, everything).secret
    const answer = await call("POST", "/v1/websites", { domain: "example.com" })
    expect([answer.status, answer.body]).toEqual([
      500,
      {
        success: false,
        error: "Internal server error",
        code: "INTERNAL_SERVER_ERROR",
        requestId: answer.headers.get("x-request-id"),
      },
    ])
    expect(app.logged.join()).toContain("disk at /secret")
  })

  test("is successful once the change is on disk, even if it cannot be read back immediately", async () => {
    const { registry } = app.store
    const refresh = registry.refresh.bind(registry)
    registry.refresh = () => {
      throw Object.assign(new Error("database is locked"), { code: "SQLITE_BUSY" })
    }
    const { status, body } = await call("POST", "/v1/websites", { domain: "example.com" })
    expect(status).toBe(201)
    refresh()
    expect(registry.website(body.website.id)).toMatchObject({ domain: "example.com" })
  })

  test("says when to retry if another process has locked the database", async () => {
    const { Database } = await import("../../src/store/db/driver.ts")
    const other = new Database(app.store.db.name)
    other.exec("begin immediate")
    const waiting = call("POST", "/v1/websites", { domain: "example.com" })
    await Bun.sleep(20)
    app.clock.now += 10_000
    const answer = await waiting
    other.close()
    expect([answer.status, answer.body.code, answer.body.error]).toEqual([
      503,
      "UNAVAILABLE",
      "Temporarily unavailable",
    ])
    expect(answer.headers.get("Retry-After")).toBe("1")
  })
})

describe("a website", () => {
  test("can be created from only a domain", async () => {
    const { status, body } = await call("POST", "/v1/websites", { domain: "https://www.Example.com:8080/x" })
    expect([status, body]).toEqual([
      201,
      {
        success: true,
        website: {
          id: expect.stringMatching(/^[0-9a-f-]{36}$/),
          domain: "example.com",
          name: "example.com",
          allowedOrigins: [],
          anonymize: "off",
          retain: "default",
          pageIdentify: true,
          lowerIsBetter: [],
          createdAt: "2026-08-01T12:00:00.000Z",
          pausedAt: null,
        },
      },
    ])
  })

  test("is created with the given settings and works immediately", async () => {
    const website = await makeWebsite({
      domain: "example.com",
      id: "my.site-1_A",
      name: "Mine 漢字",
      allowedOrigins: ["https://www.shop.example.net", "shop.example.net:8443", "[::1]", "BÜCHER.example"],
      anonymize: "daily",
      retain: "52w",
    })
    expect(website).toMatchObject({
      id: "my.site-1_A",
      name: "Mine 漢字",
      allowedOrigins: ["shop.example.net", "[::1]", "xn--bcher-kva.example"],
      anonymize: "daily",
      retain: "364d",
    })
    expect(await track("/track?website_id=my.site-1_A", null, { name: "x" })).toBe(403)
    const headers = { Origin: "https://shop.example.net" }
    expect((await call("POST", "/track?website_id=my.site-1_A", { name: "x" }, null, headers)).status).toBe(
      200,
    )
  })

  test("stores which events are better when lower, and returns them to keys that can read reports", async () => {
    const { id } = await makeWebsite({ domain: "example.com" })
    const changes = { lowerIsBetter: ["error_shown", "refunded", "error_shown"] }
    const changed = await call("PATCH", `/v1/websites/${id}`, changes)
    expect(changed.body.website.lowerIsBetter).toEqual(["error_shown", "refunded"])
    const renamed = await call("PATCH", `/v1/websites/${id}`, { name: "Renamed" })
    expect(renamed.body.website.lowerIsBetter).toEqual(["error_shown", "refunded"])
    const reader = await makeKey({ name: "reader", websites: [id], scopes: ["read:reports"] })
    const { body } = await call("GET", "/v1/query/websites", undefined, reader.key)
    expect(body.websites).toMatchObject([{ id, lowerIsBetter: ["error_shown", "refunded"] }])
    expect(
      (await call("PATCH", `/v1/websites/${id}`, { lowerIsBetter: [] })).body.website.lowerIsBetter,
    ).toEqual([])
  })

  test("has a unique id", async () => {
    const id = "550E8400-E29B-41D4-A716-446655440000"
    expect((await makeWebsite({ domain: "a.com", id })).id).toBe(id.toLowerCase())
    const answer = await call("POST", "/v1/websites", { domain: "b.com", id: id.toLowerCase() })
    expect([answer.status, answer.body.code]).toEqual([409, "CONFLICT"])
    expect(answer.body.error).toBe(`a website with the ID ${id.toLowerCase()} already exists`)
    expect((await call("GET", `/v1/websites/${id}`)).status).toBe(200)
  })

  test.each([".", "..", "all", "none"])(
    "with the id %s, created by an earlier version, still works",
    async (id) => {
      const settings = { domain: "a.com", name: "a", allowedOrigins: [], anonymize: "off" as const }
      createWebsite(app.store.db, id, settings, 0)
      app.store.registry.refresh()
      const limited = await makeKey({
        name: "limited",
        websites: [id],
        scopes: ["track:events", "read:data"],
      })
      expect(await track(`/track?website_id=${id}`, limited.key)).toBe(200)
      const list = await call("GET", "/v1/websites")
      expect(list.body.websites.map((one: { id: string }) => one.id)).toContain(id)
    },
  )

  const host = "must be a host or an origin without wildcards, such as example.com or https://example.com"
  const origin =
    "must be a host or an origin without wildcards, such as example.com, https://example.com or capacitor://localhost"
  const name = "must be a string of 1 to 256 characters without control characters"
  const id = "must be 1 to 255 characters A-Z, a-z, 0-9, '.', '_' or '-', but not '.', '..', 'all' or 'none'"
  const retain =
    'must be "default", "forever", or a duration from 1d to 36525d, such as 90d or 52w (units: s, m, h, d, w)'
  const wrong: [string, object, string, string][] = [
    ["no domain", {}, "domain", host],
    ["a domain without a host", { domain: "https://" }, "domain", host],
    ["an empty domain", { domain: "" }, "domain", host],
    ["a domain with a space", { domain: "exa mple.com" }, "domain", host],
    ["a domain with a wildcard", { domain: "*.example.com" }, "domain", host],
    ["a domain with a password", { domain: "https://a:b@example.com" }, "domain", host],
    ["a domain with another scheme", { domain: "ftp://example.com" }, "domain", host],
    ["a domain that is a number", { domain: 1 }, "domain", host],
    ["a domain of 254 characters", { domain: `${"a.".repeat(125)}aaaa` }, "domain", host],
    [
      "a wildcard among the origins",
      { domain: "a.b", allowedOrigins: ["ok.com", "*"] },
      "allowedOrigins.1",
      origin,
    ],
    ["an origin with a path", { domain: "a.b", allowedOrigins: ["app://x/y"] }, "allowedOrigins.0", origin],
    ["a scheme among the origins", { domain: "a.b", allowedOrigins: ["app:"] }, "allowedOrigins.0", origin],
    ["a number among the origins", { domain: "a.b", allowedOrigins: [1] }, "allowedOrigins.0", origin],
    [
      "an event without a name",
      { domain: "a.b", lowerIsBetter: [""] },
      "lowerIsBetter.0",
      "must be a string of 1 to 256 characters",
    ],
    [
      "origins that are not a list",
      { domain: "a.b", allowedOrigins: "x.com" },
      "allowedOrigins",
      "must be a list of at most 1000 hosts or origins",
    ],
    ["an empty id", { domain: "a.b", id: "" }, "id", id],
    ["an id with a slash", { domain: "a.b", id: "a/b" }, "id", id],
    ["an id of 256 characters", { domain: "a.b", id: "x".repeat(256) }, "id", id],
    ["an id with a line feed", { domain: "a.b", id: "a\n" }, "id", id],
    ["the current folder as its id", { domain: "a.b", id: "." }, "id", id],
    ["the parent folder as its id", { domain: "a.b", id: ".." }, "id", id],
    ["the word for all websites as its id", { domain: "a.b", id: "all" }, "id", id],
    ["the word for no website as its id", { domain: "a.b", id: "none" }, "id", id],
    ["an empty name", { domain: "a.b", name: "" }, "name", name],
    ["a name of 257 characters", { domain: "a.b", name: "x".repeat(257) }, "name", name],
    ["a name with an escape sequence", { domain: "a.b", name: "\u001b[31m" }, "name", name],
    ["a name with a line feed", { domain: "a.b", name: "a\nb" }, "name", name],
    ["a name with half a surrogate pair", { domain: "a.b", name: "\ud800" }, "name", name],
    ["an unknown anonymize", { domain: "a.b", anonymize: "weekly" }, "anonymize", 'must be "off" or "daily"'],
    ["a retention time without a unit", { domain: "a.b", retain: "90" }, "retain", retain],
    ["a retention time in minutes", { domain: "a.b", retain: "12m" }, "retain", retain],
    ["a retention time of zero", { domain: "a.b", retain: "0d" }, "retain", retain],
    ["a retention time above a hundred years", { domain: "a.b", retain: "36526d" }, "retain", retain],
    ["a retention time that is a number", { domain: "a.b", retain: 90 }, "retain", retain],
    [
      "a misspelt field",
      { domain: "a.b", alowedOrigins: [] },
      "alowedOrigins",
      "is not a field of this request",
    ],
    ["an internal field", { domain: "a.b", rid: 1 }, "rid", "is not a field of this request"],
  ]
  test.each(wrong)("with %s is rejected", async (_, input, field, message) => {
    const before = state()
    const answer = await call("POST", "/v1/websites", input)
    expect([answer.status, answer.body]).toEqual([
      400,
      {
        success: false,
        error: `${field} ${message}`,
        code: "VALIDATION_ERROR",
        requestId: answer.headers.get("x-request-id"),
        errors: [{ field, message }],
      },
    ])
    expect(state()).toBe(before)
  })

  test("with several wrong fields is rejected with an error for each", async () => {
    const { body } = await call("POST", "/v1/websites", { domain: 1, id: "/", name: "" })
    expect(body.errors.map((error: Json) => error.field).sort()).toEqual(["domain", "id", "name"])
  })

  test("is listed and shown without internal fields", async () => {
    const made = [await makeWebsite({ domain: "a.com" }), await makeWebsite({ domain: "b.com" })]
    expect((await call("GET", "/v1/websites")).body).toEqual({ success: true, websites: made, total: 2 })
    expect((await call("GET", `/v1/websites/${made[1].id}`)).body).toEqual({
      success: true,
      website: made[1],
    })
  })

  const changes: [string, object, object][] = [
    ["domain", { domain: "Www.New.com" }, { domain: "new.com" }],
    ["name", { name: "new" }, { name: "new" }],
    ["allowed origins", { allowedOrigins: ["x.com", "x.com"] }, { allowedOrigins: ["x.com"] }],
    [
      "origins of apps",
      { allowedOrigins: ["App://X", "app://x/", "file://"] },
      { allowedOrigins: ["app://x", "file://"] },
    ],
    ["allowed origins, to none", { allowedOrigins: [] }, { allowedOrigins: [] }],
    ["anonymization", { anonymize: "daily" }, { anonymize: "daily" }],
    ["retention time", { retain: "36h" }, { retain: "36h" }],
    ["retention time, to forever", { retain: "forever" }, { retain: "forever" }],
    ["retention time, to the server's default", { retain: "default" }, {}],
    ["paused state", { paused: true }, { pausedAt: "2026-08-01T12:00:00.000Z" }],
    ["nothing", {}, {}],
  ]
  test.each(changes)("changes its %s and nothing else", async (_, change, changed) => {
    const website = await makeWebsite({ domain: "old.com", allowedOrigins: ["old.net"] })
    const { status, body } = await call("PATCH", `/v1/websites/${website.id}`, change)
    expect([status, body]).toEqual([200, { success: true, website: { ...website, ...changed } }])
    expect((await call("GET", `/v1/websites/${website.id}`)).body.website).toEqual(body.website)
  })

  test("cannot change its id", async () => {
    const { id } = await makeWebsite()
    const { body } = await call("PATCH", `/v1/websites/${id}`, { id: "new" })
    expect(body.errors).toEqual([{ field: "id", message: "is not a field of this request" }])
  })

  test("accepts no events while it is paused", async () => {
    const { id } = await makeWebsite()
    expect(await track(`/track?website_id=${id}`, null)).toBe(200)
    await call("PATCH", `/v1/websites/${id}`, { paused: true })
    expect(await track(`/track?website_id=${id}`, null)).toBe(404)
    await call("PATCH", `/v1/websites/${id}`, { paused: false })
    expect(await track(`/track?website_id=${id}`, null)).toBe(200)
  })

  test("disappears as soon as it is deleted", async () => {
    const { id } = await makeWebsite()
    expect(await track(`/track?website_id=${id}`, null)).toBe(200)
    expect((await call("DELETE", `/v1/websites/${id}`)).body).toEqual({ success: true })
    expect(await track(`/track?website_id=${id}`, null)).toBe(404)
    expect((await call("GET", "/v1/websites")).body.total).toBe(0)
    expect((await call("DELETE", `/v1/websites/${id}`)).status).toBe(404)
  })

  test.each([["GET"], ["PATCH"], ["DELETE"]])("that does not exist is not found by %s", async (method) => {
    const answer = await call(method, "/v1/websites/none", method === "PATCH" ? { name: "x" } : undefined)
    expect([answer.status, answer.body.code, answer.body.error]).toEqual([
      404,
      "NOT_FOUND",
      "no website has the ID none",
    ])
  })
})

describe("a key", () => {
  test("created with only a name can send events to all websites, without expiry", async () => {
    const { status, body } = await call("POST", "/v1/keys", { name: "backend" })
    expect([status, body]).toEqual([
      201,
      {
        success: true,
        key: {
          id: expect.stringMatching(/^[0-9a-f-]{36}$/),
          key: expect.stringMatching(/^dbdy_[\w-]{32}$/),
          name: "backend",
          start: body.key.key.slice(0, 12),
          scopes: ["track:events"],
          websites: null,
          rateLimit: null,
          createdAt: "2026-08-01T12:00:00.000Z",
          expiresAt: null,
          disabledAt: null,
          revokedAt: null,
          lastUsedAt: null,
          previousStart: null,
          previousExpiresAt: null,
        },
      },
    ])
    expect(await track("/track", body.key.key)).toBe(200)
  })

  test("is created with the given settings", async () => {
    const { id } = await makeWebsite()
    const key = await makeKey({
      scopes: ["read:data", "track:events", "read:data"],
      websites: [id.toUpperCase(), id],
      rateLimit: 5,
      expiresAt: "2026-09-01",
    })
    expect(key).toMatchObject({
      scopes: ["read:data", "track:events"],
      websites: [id],
      rateLimit: 5,
      expiresAt: "2026-09-01T00:00:00.000Z",
    })
    expect(await track("/track", key.key)).toBe(403)
    expect(await track(`/track?website_id=${id}`, key.key)).toBe(200)
  })

  test("also accepts Unix ms as its expiry", async () => {
    const expiresAt = Date.UTC(2026, 8, 1) + 0.5
    expect((await makeKey({ expiresAt })).expiresAt).toBe("2026-09-01T00:00:00.000Z")
  })

  test("shows its secret only when it is created", async () => {
    const { key, ...rest } = await makeKey({})
    const list = await call("GET", "/v1/keys")
    const one = await call("GET", `/v1/keys/${rest.id}`)
    expect(one.body).toEqual({ success: true, key: rest })
    expect(list.body.keys).toContainEqual(rest)
    expect(list.body.total).toBe(2)
    expect(JSON.stringify([list.body, one.body])).not.toContain(key)
    expect(JSON.stringify(list.body)).not.toContain("hash")
  })

  const scope = `must be one of ${scopes.join(", ")}`
  const expiry = "must be a date in the future, as ISO 8601 or Unix milliseconds, or null"
  const websites = "must be null or a list of 1 to 1000 website ids"
  const rate = "must be null or a whole number from 1 to 1000000"
  const wrong: [string, object, string, string][] = [
    ["an unknown scope", { scopes: ["admin"] }, "scopes.0", scope],
    ["no scopes", { scopes: [] }, "scopes", `must be a list of scopes: ${scopes.join(", ")}`],
    ["an empty list of websites", { websites: [] }, "websites", websites],
    ["an unknown website", { websites: ["nope"] }, "websites.0", "nope does not exist"],
    ["a rate of 0", { rateLimit: 0 }, "rateLimit", rate],
    ["a rate of half a request per minute", { rateLimit: 0.5 }, "rateLimit", rate],
    ["a rate above the maximum", { rateLimit: 1e9 }, "rateLimit", rate],
    ["an expiry in the past", { expiresAt: "2026-08-01T12:00:00Z" }, "expiresAt", expiry],
    ["an expiry in seconds", { expiresAt: Date.UTC(2030, 0) / 1000 }, "expiresAt", expiry],
    ["an expiry that is not a date", { expiresAt: "soon" }, "expiresAt", expiry],
    ["an expiry in a month that does not exist", { expiresAt: "2030-13-01" }, "expiresAt", expiry],
    ["an expiry after the year 9999", { expiresAt: 8e15 }, "expiresAt", expiry],
    [
      "a misspelt expiry, which must not be ignored",
      { expireAt: "2030-01-01" },
      "expireAt",
      "is not a field of this request",
    ],
    ["an id chosen by the caller", { id: "x" }, "id", "is not a field of this request"],
    ["a secret chosen by the caller", { key: "dbdy_x" }, "key", "is not a field of this request"],
  ]
  test.each(wrong)("with %s is rejected", async (_, input, field, message) => {
    const before = state()
    const answer = await call("POST", "/v1/keys", { name: "wrong", ...input })
    expect([answer.status, answer.body.code, answer.body.errors]).toEqual([
      400,
      "VALIDATION_ERROR",
      [{ field, message }],
    ])
    expect(answer.body.error).toBe(`${field} ${message}`)
    expect(state()).toBe(before)
  })

  test("without a name is rejected", async () => {
    const { status, body } = await call("POST", "/v1/keys", {})
    expect([status, body.errors.map((error: Json) => error.field)]).toEqual([400, ["name"]])
  })

  test("changes the given fields and nothing else", async () => {
    const { id } = await makeWebsite()
    const { key, ...rest } = await makeKey({ rateLimit: 5, expiresAt: "2026-09-01" })
    const changes: [object, object][] = [
      [{ name: "new" }, { name: "new" }],
      [{ scopes: ["read:data"] }, { scopes: ["read:data"] }],
      [{ websites: [id] }, { websites: [id] }],
      [{ websites: null }, { websites: null }],
      [{ rateLimit: null }, { rateLimit: null }],
      [{ expiresAt: null }, { expiresAt: null }],
      [{ disabled: true }, { disabledAt: "2026-08-01T12:00:00.000Z" }],
      [{ disabled: false }, { disabledAt: null }],
      [{}, {}],
    ]
    let expected = rest
    for (const [change, changed] of changes) {
      expected = { ...expected, ...changed }
      const { body } = await call("PATCH", `/v1/keys/${rest.id}`, change)
      expect(body).toEqual({ success: true, key: expected })
    }
  })

  test("keeps a website that has since been deleted when another field is changed", async () => {
    const { id } = await makeWebsite()
    const key = await makeKey({ websites: [id] })
    await call("DELETE", `/v1/websites/${id}`)
    expect((await call("PATCH", `/v1/keys/${key.id}`, { name: "new" })).status).toBe(200)
    expect((await call("PATCH", `/v1/keys/${key.id}`, { websites: [id] })).status).toBe(400)
  })

  test("stops working as soon as it is disabled, and works again when it is enabled", async () => {
    const { id, key } = await makeKey({})
    await call("PATCH", `/v1/keys/${id}`, { disabled: true })
    expect(await track("/track", key)).toBe(401)
    await call("PATCH", `/v1/keys/${id}`, { disabled: false })
    expect(await track("/track", key)).toBe(200)
  })

  test("stops working for good as soon as it is revoked", async () => {
    const { id, key } = await makeKey({})
    expect((await call("DELETE", `/v1/keys/${id}`)).body).toEqual({ success: true })
    expect(await track("/track", key)).toBe(401)
    app.clock.now += day
    expect((await call("DELETE", `/v1/keys/${id}`)).status).toBe(200)
    expect((await call("GET", `/v1/keys/${id}`)).body.key.revokedAt).toBe("2026-08-01T12:00:00.000Z")
    for (const [method, path, body] of [
      ["PATCH", `/v1/keys/${id}`, { disabled: false }],
      ["POST", `/v1/keys/${id}/rotate`, undefined],
    ] as const) {
      const answer = await call(method, path, body)
      expect([answer.status, answer.body.code]).toEqual([409, "CONFLICT"])
    }
  })

  test("gets a new secret when it is rotated, and the old one stops working immediately", async () => {
    const { key, start: _, ...rest } = await makeKey({ rateLimit: 100 })
    const { status, body } = await call("POST", `/v1/keys/${rest.id}/rotate`)
    expect([status, body]).toEqual([
      200,
      {
        success: true,
        key: { ...rest, key: expect.stringMatching(/^dbdy_[\w-]{32}$/), start: body.key.key.slice(0, 12) },
      },
    ])
    expect(body.key.key).not.toBe(key)
    expect(await track("/track", key)).toBe(401)
    expect(await track("/track", body.key.key)).toBe(200)
  })

  test("that is rotated with an overlap has two valid secrets until the overlap ends", async () => {
    const first = await makeKey({})
    const path = `/v1/keys/${first.id}`
    const works = (...secrets: string[]) =>
      Promise.all(secrets.map(async (secret) => await track("/track", secret)))
    const rotate = async (overlap: string) => (await call("POST", `${path}/rotate`, { overlap })).body.key
    const second = await rotate("1h")
    const { previousStart, previousExpiresAt } = (await call("GET", path)).body.key
    expect([previousStart, previousExpiresAt]).toEqual([first.start, "2026-08-01T13:00:00.000Z"])
    expect(await works(first.key, second.key)).toEqual([200, 200])
    app.clock.now += day / 24 - 1
    expect(await works(first.key, second.key)).toEqual([200, 200])
    // A second rotation invalidates the first secret and starts a new overlap for the second one.
    const third = await rotate("1d")
    expect(await works(first.key, second.key, third.key)).toEqual([401, 200, 200])
    app.clock.now += day
    expect(await works(second.key, third.key)).toEqual([401, 200])
    const late = await call("GET", "/v1/keys", undefined, second.key)
    expect([late.status, reasonOf(late)]).toEqual([401, "key_unknown"])
    const fourth = await rotate("7d")
    expect(await works(third.key, fourth.key)).toEqual([200, 200])
    expect((await call("DELETE", `${path}/overlap`)).body.key).toMatchObject({
      start: fourth.start,
      previousStart: null,
      previousExpiresAt: null,
    })
    expect(await works(third.key, fourth.key)).toEqual([401, 200])
    const fifth = await rotate("none")
    expect(await works(fourth.key, fifth.key)).toEqual([401, 200])
  })

  const endings: [string, (path: string) => Promise<unknown>, string][] = [
    ["is revoked", (path) => call("DELETE", path), "key_revoked"],
    ["is disabled", (path) => call("PATCH", path, { disabled: true }), "key_disabled"],
    ["expires", async () => (app.clock.now += day), "key_unknown"],
  ]
  test.each(endings)("that %s during an overlap is rejected with both secrets", async (_, end, reason) => {
    const { id, key } = await makeKey({
      scopes: ["manage:keys"],
      expiresAt: new Date(app.clock.now + day).toISOString(),
    })
    const rotated = await call("POST", `/v1/keys/${id}/rotate`, { overlap: "7d" })
    const secrets = [key, rotated.body.key.key]
    for (const secret of secrets) expect((await call("GET", "/v1/keys", undefined, secret)).status).toBe(200)
    await end(`/v1/keys/${id}`)
    const answers = await Promise.all(secrets.map((secret) => call("GET", "/v1/keys", undefined, secret)))
    expect(answers.map(({ status }) => status)).toEqual([401, 401])
    expect(answers.map(reasonOf)).toContain(reason)
  })

  test("cannot be rotated with its previous secret, which cannot create keys that outlive it either", async () => {
    const { id, key } = await makeKey({ scopes: ["manage:keys"] })
    await call("POST", `/v1/keys/${id}/rotate`, { overlap: "1h" })
    const own = { name: "mine", scopes: ["manage:keys"] }
    for (const answer of [
      await call("POST", `/v1/keys/${id}/rotate`, { overlap: "7d" }, key),
      await call("POST", "/v1/keys", own, key),
    ])
      expect([answer.status, reasonOf(answer)]).toEqual([403, "grant_too_wide"])
    const until = { ...own, expiresAt: new Date(app.clock.now + 1_000).toISOString() }
    expect((await call("POST", "/v1/keys", until, key)).status).toBe(201)
  })

  test("with an unknown overlap is not rotated", async () => {
    const { id, key } = await makeKey({})
    const answer = await call("POST", `/v1/keys/${id}/rotate`, { overlap: "2h" })
    expect([answer.status, answer.body.errors]).toEqual([
      400,
      [{ field: "overlap", message: "must be one of none, 1h, 1d, 7d" }],
    ])
    expect(await track("/track", key)).toBe(200)
  })

  test("can rotate and revoke itself", async () => {
    const own = giveKey(app, { scopes: ["manage:keys"], websites: ["w"], rateLimit: 50 })
    const rotated = await call("POST", `/v1/keys/${own.id}/rotate`, undefined, own.secret)
    expect(rotated.status).toBe(200)
    expect((await call("GET", "/v1/keys", undefined, own.secret)).status).toBe(401)
    const secret = rotated.body.key.key
    expect((await call("DELETE", `/v1/keys/${own.id}`, undefined, secret)).status).toBe(200)
    expect((await call("GET", "/v1/keys", undefined, secret)).status).toBe(401)
  })

  test.each([
    ["GET", ""],
    ["PATCH", ""],
    ["DELETE", ""],
    ["POST", "/rotate"],
    ["DELETE", "/overlap"],
  ])("that does not exist is not found by %s%s", async (method, more) => {
    const answer = await call(method, `/v1/keys/none${more}`, method === "PATCH" ? {} : undefined)
    expect([answer.status, answer.body.code, answer.body.error]).toEqual([
      404,
      "NOT_FOUND",
      "no key has the ID none",
    ])
  })
})

describe("a caller", () => {
  const limits: [string, Partial<KeyGrant>, object, string][] = [
    ["another scope", { scopes: ["manage:keys"] }, { scopes: ["track:events"] }, "the scope track:events"],
    ["the default scope", { scopes: ["manage:keys"] }, {}, "the scope track:events"],
    [
      "one scope too many",
      { scopes: ["manage:keys", "track:events"] },
      { scopes: ["track:events", "manage:websites"] },
      "the scope manage:websites",
    ],
    ["another website", { websites: ["a"] }, { websites: ["b"] }, "access to the website b"],
    ["a further website", { websites: ["a"] }, { websites: ["a", "b"] }, "access to the website b"],
    ["an unknown website", { websites: ["a"] }, { websites: ["c"] }, "access to the website c"],
    ["all websites", { websites: ["a"] }, { websites: null }, "access to all websites, only to a"],
    ["all websites by default", { websites: ["a"] }, {}, "access to all websites, only to a"],
    [
      "a later expiry",
      { expiresAt: Date.UTC(2026, 8, 1) },
      { expiresAt: "2026-09-01T00:00:00.001Z" },
      "access after 2026-09-01T00:00:00.000Z",
    ],
    [
      "no expiry",
      { expiresAt: Date.UTC(2026, 8, 1) },
      { expiresAt: null },
      "access after 2026-09-01T00:00:00.000Z",
    ],
    [
      "no expiry by default",
      { expiresAt: Date.UTC(2026, 8, 1) },
      {},
      "access after 2026-09-01T00:00:00.000Z",
    ],
    ["a higher rate", { rateLimit: 100 }, { rateLimit: 101 }, "a rate limit above 100 requests per minute"],
    ["no rate limit", { rateLimit: 100 }, { rateLimit: null }, "a rate limit above 100 requests per minute"],
    ["no rate limit by default", { rateLimit: 100 }, {}, "a rate limit above 100 requests per minute"],
  ]

  beforeEach(async () => {
    await makeWebsite({ domain: "a.com", id: "a" })
    await makeWebsite({ domain: "b.com", id: "b" })
  })

  function refusedAsTooWide(answer: Answer, more: string): void {
    expect([answer.status, answer.body.code, answer.body.error]).toEqual([
      403,
      "ACCESS_DENIED",
      `your key does not have ${more}`,
    ])
    expect(answer.headers.get("x-databuddy-reason")).toBe("grant_too_wide")
  }

  test.each(limits)("cannot grant %s to a new key", async (_, own, input, more) => {
    const { secret } = giveKey(app, own)
    const before = state()
    refusedAsTooWide(await call("POST", "/v1/keys", { name: "wider", ...input }, secret), more)
    expect(state()).toBe(before)
  })

  test.each(limits.filter(([, , input]) => Object.keys(input).length > 0))(
    "cannot grant %s to an existing key, or to their own",
    async (_, own, input, more) => {
      const actor = giveKey(app, own)
      const other = giveKey(app, own)
      const before = state()
      for (const { id } of [other, actor]) {
        refusedAsTooWide(await call("PATCH", `/v1/keys/${id}`, input, actor.secret), more)
      }
      expect(state()).toBe(before)
    },
  )

  /** Pairs of keys, of which the second is wider than the first in one respect. */
  const wider: [string, Partial<KeyGrant>, Partial<KeyGrant>][] = [
    ["more scopes", { scopes: ["manage:keys"] }, {}],
    ["other websites", { websites: ["a"] }, { websites: ["b"] }],
    ["all websites", { websites: ["a"] }, {}],
    ["a later expiry", { expiresAt: Date.UTC(2026, 8, 1) }, { expiresAt: Date.UTC(2026, 8, 2) }],
    ["no expiry", { expiresAt: Date.UTC(2026, 8, 1) }, {}],
    ["a higher rate", { rateLimit: 100 }, { rateLimit: 200 }],
  ]
  const attempts: [string, string, (object | undefined)?][] = [
    ["GET", ""],
    ["PATCH", "", { name: "mine now" }],
    [
      "PATCH",
      "",
      {
        scopes: ["manage:keys"],
        websites: ["a"],
        rateLimit: 1,
        expiresAt: "2026-08-02",
      },
    ],
    ["PATCH", "", { disabled: true }],
    ["DELETE", ""],
    ["POST", "/rotate"],
    ["DELETE", "/overlap"],
  ]
  test.each(wider)("cannot see or change a key with %s", async (_, own, other) => {
    const { id, secret: others } = giveKey(app, other)
    const { secret } = giveKey(app, own)
    const before = state()
    for (const [method, more, body] of attempts) {
      const answer = await call(method, `/v1/keys/${id}${more}`, body, secret)
      expect([method, more, answer.status, answer.headers.get("x-databuddy-reason")]).toEqual([
        method,
        more,
        403,
        "grant_too_wide",
      ])
      expect(JSON.stringify(answer.body)).not.toContain("dbdy_")
    }
    const list = await call("GET", "/v1/keys", undefined, secret)
    expect(list.body.keys.map((key: Json) => key.id)).not.toContain(id)
    expect(list.body.total).toBe(list.body.keys.length)
    expect(state()).toBe(before)
    expect((await call("GET", "/v1/keys", undefined, others)).status).toBe(200)
  })

  test("can grant, change and revoke what they have", async () => {
    const own = {
      scopes: ["manage:keys", "track:events"] as KeyGrant["scopes"],
      websites: ["a", "b"],
      rateLimit: 100,
      expiresAt: Date.UTC(2026, 8, 1),
    }
    const { secret } = giveKey(app, own)
    const same = { ...own, name: "same" }
    const made = await call("POST", "/v1/keys", same, secret)
    expect(made.status).toBe(201)
    const { id } = made.body.key
    const narrower = { scopes: ["track:events"], websites: ["b"], rateLimit: 1, expiresAt: "2026-08-02" }
    expect((await call("PATCH", `/v1/keys/${id}`, narrower, secret)).status).toBe(200)
    expect((await call("PATCH", `/v1/keys/${id}`, same, secret)).status).toBe(200)
    expect((await call("POST", `/v1/keys/${id}/rotate`, undefined, secret)).status).toBe(200)
    expect((await call("DELETE", `/v1/keys/${id}`, undefined, secret)).status).toBe(200)
    expect(findKey(app.store.db, id).revokedAt).not.toBeNull()
  })

  test("with a key limited to a website only sees and changes that website", async () => {
    const { secret } = giveKey(app, { websites: ["a"] })
    const list = await call("GET", "/v1/websites", undefined, secret)
    expect([list.body.total, list.body.websites.map((one: Json) => one.id)]).toEqual([1, ["a"]])
    expect((await call("PATCH", "/v1/websites/a", { name: "mine" }, secret)).status).toBe(200)
    const before = state()
    for (const id of ["b", "none"]) {
      for (const method of ["GET", "PATCH", "DELETE"]) {
        const answer = await call(
          method,
          `/v1/websites/${id}`,
          method === "PATCH" ? { name: "x" } : undefined,
          secret,
        )
        expect([answer.status, answer.headers.get("x-databuddy-reason")]).toEqual([
          403,
          "key_website_mismatch",
        ])
      }
    }
    const forgetting = await call("POST", "/v1/websites/b/forget", { profileId: "x" }, secret)
    expect([forgetting.status, forgetting.headers.get("x-databuddy-reason")]).toEqual([
      403,
      "key_website_mismatch",
    ])
    const made = await call("POST", "/v1/websites", { domain: "c.com" }, secret)
    expect([made.status, made.headers.get("x-databuddy-reason")]).toEqual([403, "grant_too_wide"])
    expect(state()).toBe(before)
  })
})

test("a search for a person's events ends when the client disconnects", async () => {
  const { id } = await makeWebsite()
  const { rid: websiteRid = 0 } = app.store.registry.website(id) ?? {}
  const rows = Array.from({ length: 5_000 }, () => eventRow({ websiteRid, ts: app.clock.now }))
  await app.store.batcher.submit({ rows, size: 1 })
  const client = new AbortController()
  const headers = { Authorization: `Bearer ${admin}` }
  const url = `http://localhost/v1/export?website_id=${id}&anonymous_id=nobody`
  const answer = await app.send(new Request(url, { headers, signal: client.signal }))
  client.abort(new Error("the client is gone"))
  await expect(answer.text()).rejects.toThrow("the client is gone")
})

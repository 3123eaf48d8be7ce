import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

// Requests for the exact path of an ingestion route skip the router. With a trailing slash, they do not skip it, but
// the response must be the same.

const prefix = "/e"
let app: TestApp
let key: { id: string; secret: string }

beforeAll(() => {
  app = openApp(undefined, { ingestPath: prefix })
  key = giveKey(app)
})
afterAll(() => app.close())

interface Case {
  sentence: string
  method?: string
  path?: string
  headers?: Record<string, string>
  body?: string
  status: number
  reason?: string
}

const json = '{"name":"opened"}'
const cases: Case[] = [
  { sentence: "a valid event", status: 200 },
  { sentence: "a page's event with an origin", headers: { Origin: "https://example.com" }, status: 200 },
  { sentence: "a request id", headers: { "x-request-id": "mine" }, status: 200 },
  { sentence: "no key", headers: { Authorization: "" }, status: 401, reason: "key_malformed" },
  {
    sentence: "an unknown key",
    headers: { Authorization: `Bearer dbdy_${"x".repeat(32)}` },
    status: 401,
    reason: "key_unknown",
  },
  { sentence: "broken JSON", body: "{", status: 400, reason: "invalid_json" },
  { sentence: "an invalid field", body: '{"name":1}', status: 400, reason: "invalid_shape" },
  {
    sentence: "a length above the limit",
    headers: { "Content-Length": "2097153" },
    status: 413,
    reason: "payload_too_large",
  },
  { sentence: "an invalid host", headers: { Host: "a b" }, status: 400, reason: "invalid_host" },
  { sentence: "GET", method: "GET", status: 404, reason: "route_unknown" },
  { sentence: "HEAD", method: "HEAD", status: 404, reason: "route_unknown" },
  { sentence: "PUT", method: "PUT", status: 404, reason: "route_unknown" },
  { sentence: "DELETE", method: "DELETE", status: 404, reason: "route_unknown" },
  {
    sentence: "a preflight",
    method: "OPTIONS",
    headers: { Origin: "https://example.com", "Access-Control-Request-Headers": "traceparent" },
    status: 204,
  },
  { sentence: "a path below the route", path: "/track/more", status: 404, reason: "route_unknown" },
  {
    sentence: "a query",
    path: "/track",
    headers: { "X-Query": "?website_id=x" },
    status: 404,
    reason: "website_unknown",
  },
]

async function responseAt(path: string, { method = "POST", headers, body = json }: Case) {
  const { "X-Query": query = "", ...sent } = headers ?? {}
  const hasBody = method === "POST" || method === "PUT"
  const response = await app.send(
    new Request(`http://localhost${path}${query}`, {
      method,
      headers: {
        Host: "localhost",
        Authorization: `Bearer ${key.secret}`,
        "Content-Length": String(body.length),
        ...sent,
      },
      ...(hasBody ? { body } : {}),
    }),
  )
  const { "x-request-id": id, ...others } = Object.fromEntries(response.headers)
  return { status: response.status, id: sent["x-request-id"] && id, others, body: await response.text() }
}

for (const at of ["", prefix]) {
  describe(`below '${at}'`, () => {
    for (const each of cases) {
      const { sentence, path = "/track", status, reason } = each
      test(`${sentence}: ${status} ${reason ?? ""}, with and without the router`, async () => {
        const direct = await responseAt(at + path, each)
        expect<object>({ status: direct.status, reason: direct.others["x-databuddy-reason"] }).toEqual({
          status,
          reason,
        })
        const routed = await responseAt(`${at}${path}/`, each)
        // The message contains the path, and the response for an unknown route has no CORS headers.
        if (reason !== "route_unknown" && reason !== "invalid_host") expect(routed).toEqual(direct)
      })
    }
  })
}

test("over HTTPS, every response tells browsers exactly once to use HTTPS, with and without the router", async () => {
  const secure = openApp(() => ({ https: true }))
  try {
    for (const path of ["/track", "/track/", "/none"]) {
      const { headers } = await secure.send(
        new Request(`http://localhost${path}`, { method: "POST", body: json }),
      )
      expect([path, headers.get("Strict-Transport-Security")]).toEqual([path, "max-age=31536000"])
    }
  } finally {
    await secure.close()
  }
})

describe("a key that was used before", () => {
  const send = (secret: string) =>
    app.send(
      new Request("http://localhost/track", {
        method: "POST",
        headers: {
          Host: "localhost",
          Authorization: `Bearer ${secret}`,
          "Content-Length": String(json.length),
        },
        body: json,
      }),
    )
  const changes = [
    { sentence: "is revoked", change: "revoked_at = 1", reason: "key_revoked" },
    { sentence: "is disabled", change: "disabled_at = 1", reason: "key_disabled" },
    { sentence: "gets an earlier expiry", change: "expires_at = 1", reason: "key_expired" },
    { sentence: "is rotated", change: "hash = x'00'", reason: "key_unknown" },
  ]
  for (const { sentence, change, reason } of changes) {
    test(`and then ${sentence} is rejected once the registry has the change`, async () => {
      const { id, secret } = giveKey(app)
      expect((await send(secret)).status).toBe(200)
      app.store.db.prepare(`update keys set ${change} where id = ?`).run(id)
      app.store.db.exec("update registry set version = version + 1")
      app.store.registry.refresh()
      const response = await send(secret)
      expect({ status: response.status, reason: response.headers.get("x-databuddy-reason") }).toEqual({
        status: 401,
        reason,
      })
    })
  }

  test("and then expires is rejected from then on", async () => {
    const { secret } = giveKey(app, { expiresAt: app.clock.now + 1_000 })
    expect((await send(secret)).status).toBe(200)
    app.clock.now += 1_001
    expect((await send(secret)).headers.get("x-databuddy-reason")).toBe("key_expired")
  })
})

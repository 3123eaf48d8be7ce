import { afterEach, expect, test } from "bun:test"
import { type AppDeps, createApp } from "../../src/app.ts"
import type { MetricsAccess } from "../../src/metrics/access.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

let app: TestApp
let deps: AppDeps
afterEach(() => app.close())

const token = "a-token-of-some-length"

function open(metricsAccess: Partial<MetricsAccess>): void {
  app = openApp((all) => {
    deps = { ...all, metricsAccess: { token: undefined, local: false, ...metricsAccess } }
    return deps
  })
}

const get = (headers: Record<string, string> = {}) =>
  app.send(new Request("http://localhost/metrics", { headers }))

/** Returns the samples of a scrape as `name{labels}` → value. */
async function scrape(): Promise<Record<string, number>> {
  const text = await (await get({ Authorization: `Bearer ${token}` })).text()
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
  return Object.fromEntries(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(" ")),
      Number(line.slice(line.lastIndexOf(" ") + 1)),
    ]),
  )
}

function track(events: unknown, key?: string): Promise<Response> {
  const headers: Record<string, string> = key ? { Authorization: `Bearer ${key}` } : {}
  return app.send(
    new Request("http://localhost/track", { method: "POST", headers, body: JSON.stringify(events) }),
  )
}

test("responds like an unknown path if metrics are off", async () => {
  open({})
  const answer = await get({ Authorization: "Bearer undefined" })
  expect(answer.status).toBe(404)
  expect(await answer.json()).toEqual({ status: "error", message: "Not found" })
  expect(answer.headers.get("x-databuddy-reason")).toBe("route_unknown")
})

const refused: [string, Record<string, string>][] = [
  ["no token", {}],
  ["another token", { Authorization: "Bearer another" }],
  ["the beginning of the token", { Authorization: `Bearer ${token.slice(0, -1)}` }],
  ["a longer token", { Authorization: `Bearer ${token}x` }],
  ["another scheme", { Authorization: `Basic ${token}` }],
]
test.each(refused)("with a token, rejects %s", async (_, headers) => {
  open({ token })
  const answer = await get(headers)
  expect([answer.status, answer.headers.get("x-databuddy-reason")]).toEqual([401, "metrics_token_wrong"])
  expect(answer.headers.get("www-authenticate")).toBe("Bearer")
  expect(await answer.text()).not.toContain("databuddy_")
})

test("limits guesses of the token, but never rejects the right token", async () => {
  open({ token })
  for (let guess = 0; guess < 60; guess++) await get({ Authorization: `Bearer ${guess}` })
  expect((await get({ Authorization: "Bearer 60" })).status).toBe(429)
  expect((await get({ Authorization: `Bearer ${token}` })).status).toBe(200)
})

const peers: [string, string, Record<string, string>, number][] = [
  ["this machine", "127.0.0.1", {}, 200],
  ["this machine on IPv6", "::1", {}, 200],
  ["this machine on a socket for IPv4 and IPv6", "::ffff:127.0.0.1", {}, 200],
  ["another machine", "192.0.2.1", {}, 404],
  ["another machine with a similar address", "::ffff:192.127.0.1", {}, 404],
  ["a proxy on this machine", "127.0.0.1", { "X-Forwarded-For": "127.0.0.1" }, 404],
  ...(
    [
      ["Forwarded", "for=127.0.0.1"],
      ["X-Real-IP", "127.0.0.1"],
      ["Via", "1.1 caddy"],
      ["CF-Connecting-IP", "192.0.2.1"],
      ["CF-Ray", "1"],
      ["True-Client-IP", "192.0.2.1"],
      ["X-Client-IP", "192.0.2.1"],
      ["X-Cluster-Client-IP", "192.0.2.1"],
      ["X-Forwarded-Proto", "https"],
      ["X-Forwarded-Host", "stats.example.com"],
      ["X-Envoy-External-Address", "192.0.2.1"],
      ["X-Amzn-Trace-Id", "Root=1"],
      ["Fastly-Client-IP", "192.0.2.1"],
      ["Fly-Client-IP", "192.0.2.1"],
      ["CDN-Loop", "cloudflare"],
      ["Proxy-Connection", "keep-alive"],
    ] as const
  ).map(([name, value]): [string, string, Record<string, string>, number] => [
    `a proxy that only sends ${name}`,
    "127.0.0.1",
    { [name]: value },
    404,
  ]),
  ["a page that requests this machine's address", "127.0.0.1", { "Sec-Fetch-Site": "same-origin" }, 404],
  ["a browser in which the URL was typed", "127.0.0.1", { "Sec-Fetch-Site": "none" }, 200],
  [
    "a request from Prometheus",
    "127.0.0.1",
    {
      "X-Prometheus-Scrape-Timeout-Seconds": "10",
      "User-Agent": "Prometheus/3",
      Accept: "text/plain",
      "Accept-Encoding": "gzip",
      "X-Request-Id": "a",
    },
    200,
  ],
]
test.each(peers)("with local access, %s gets the expected status", async (_, address, headers, status) => {
  open({ local: true })
  const routes = createApp(deps)
  // Replaces Bun's server, because nothing is listening in this test.
  routes.server = {
    requestIP: () => ({ address, family: "IPv4", port: 1 }),
  } as unknown as typeof routes.server
  const answer = await routes.handle(new Request("http://localhost/metrics", { headers }))
  expect(answer.status).toBe(status)
})

test("reports events, requests and commits, without secrets", async () => {
  open({ token })
  const key = giveKey(app).secret
  await track([{ name: "a", eventId: "1" }, { name: "b", eventId: "1" }, { name: "c" }], key)
  await track({ name: "a", eventId: "1" }, key)
  await track({ name: "" }, key)
  await track({ name: "a" })
  await app.send(new Request("http://localhost/nothing/secret-path"))
  await app.send(new Request("http://localhost/v1/keys/secret-id"))
  expect(await scrape()).toMatchObject({
    databuddy_events_stored_total: 2,
    databuddy_events_duplicate_total: 2,
    'databuddy_http_requests_total{method="POST",route="/track",status="200"}': 2,
    'databuddy_http_requests_total{method="POST",route="/track",status="400"}': 1,
    'databuddy_http_requests_total{method="POST",route="/track",status="401"}': 1,
    'databuddy_http_requests_total{method="GET",route="/v1/keys/:id",status="401"}': 1,
    'databuddy_http_requests_total{method="other",route="other",status="404"}': 1,
    'databuddy_refusals_total{reason="invalid_shape"}': 1,
    'databuddy_refusals_total{reason="credential_missing"}': 1,
    databuddy_commit_duration_seconds_count: 2,
    databuddy_commit_events_sum: 4,
    'databuddy_commit_events_bucket{le="1"}': 1,
    databuddy_queue_events: 0,
    databuddy_queue_bytes: 0,
    databuddy_database_bytes: expect.any(Number),
    process_start_time_seconds: app.clock.now / 1_000,
  })
  const samples = await scrape()
  for (const name of ["databuddy_wal_bytes", "databuddy_disk_free_bytes", "process_resident_memory_bytes"]) {
    expect(samples[name]).toBeGreaterThan(0)
  }
  expect(Object.keys(samples).join()).not.toContain("secret")
})

test("does not count the events of a request that was excluded from its commit", async () => {
  open({ token })
  const key = giveKey(app).secret
  app.store.db.exec(
    "create trigger t before insert on event_rows when new.path = 'no' begin select raise(abort, 'no'); end",
  )
  const answers = await Promise.all([
    track([{ name: "a" }, { name: "b" }], key),
    track([{ name: "c" }, { name: "d", path: "no" }], key),
  ])
  expect(answers.map(({ status }) => status)).toEqual([200, 500])
  expect(await scrape()).toMatchObject({
    databuddy_events_stored_total: 2,
    databuddy_events_duplicate_total: 0,
  })
})

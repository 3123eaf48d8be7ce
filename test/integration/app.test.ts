import { afterEach, expect, test } from "bun:test"
import { createWebsite } from "../../src/store/websites.ts"
import { openApp, type TestApp } from "../support/app.ts"

// Responses outside of route handlers: unknown paths, and unexpected errors.

let app: TestApp
afterEach(() => app.close())

const origin = "https://evil.example"
const requestId = "my-id.1"

function send(method: string, path: string): Promise<Response> {
  const headers = { Origin: origin, "x-request-id": requestId }
  return app.send(new Request(`http://localhost${path}`, { method, headers }))
}

const plain = { status: "error", message: "Not found" }
const managed = (method: string, path: string) => ({
  success: false,
  error: `there is no ${method} ${path}`,
  code: "NOT_FOUND",
  requestId,
})

const unknown: [string, string, object, string | null][] = [
  ["GET", "/track", plain, origin],
  ["PUT", "/track?website_id=w", plain, origin],
  ["GET", "/identify", plain, origin],
  ["GET", "/", plain, null],
  ["POST", "/nothing", plain, null],
  ["OPTIONS", "/nothing", plain, null],
  ["GET", "/tracks", plain, null],
  ["GET", "/track/more", plain, null],
  ["GET", "//track", plain, null],
  ["GET", "/nothing?/track", plain, null],
  ["POST", "/openapi.json", plain, null],
  ["GET", "/docs/nothing.js", plain, null],
  ["GET", "/v1x", plain, null],
  ["GET", "/v1", managed("GET", "/v1"), null],
  ["GET", "/v1/", managed("GET", "/v1/"), null],
  ["OPTIONS", "/v1/track", managed("OPTIONS", "/v1/track"), null],
  ["PROPFIND", "/v1/keys", managed("PROPFIND", "/v1/keys"), null],
]
test.each(unknown)(
  "%s %s is not a route, and the response has the error format of its path",
  async (...expected) => {
    const [method, path, body, echoed] = expected
    app = openApp()
    const answer = await send(method, path)
    expect(answer.status).toBe(404)
    expect(await answer.json()).toEqual(body)
    expect(answer.headers.get("content-type")).toBe("application/json")
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff")
    expect(answer.headers.get("x-databuddy-reason")).toBe("route_unknown")
    expect(answer.headers.get("x-request-id")).toBe(requestId)
    expectOrigin(answer, echoed)
    expect(app.logged).toEqual([])
  },
)

const failing: [string, string, object, string | null][] = [
  ["POST", "/track", { status: "error", message: "Internal server error" }, origin],
  [
    "GET",
    "/v1/keys",
    { success: false, error: "Internal server error", code: "INTERNAL_SERVER_ERROR", requestId: "second" },
    null,
  ],
]
test.each(failing)("an unexpected error in %s %s is logged, but not sent", async (...expected) => {
  const [method, path, body, echoed] = expected
  let asked = 0
  app = openApp(() => ({
    newId: () => {
      if (asked++ === 0) throw new Error("no randomness at /secret")
      return "second"
    },
  }))
  const answer = await app.send(
    new Request(`http://localhost${path}`, { method, headers: { Origin: origin } }),
  )
  expect(answer.status).toBe(500)
  expect(await answer.json()).toEqual(body)
  expect(answer.headers.get("x-databuddy-reason")).toBe("internal")
  expect(answer.headers.get("x-request-id")).toBe("second")
  expectOrigin(answer, echoed)
  expect(app.logged).toHaveLength(1)
  expect(JSON.parse(app.logged[0] as string)).toMatchObject({
    level: "error",
    request_id: "second",
    path,
    error: expect.stringContaining("no randomness at /secret"),
  })
})

test("the same error is logged at most once per second, with the number of omitted lines", async () => {
  app = openApp(() => ({
    crawlers: {
      isCrawler: () => {
        throw new Error("no list")
      },
    } as never,
  }))
  const website = createWebsite(
    app.store.db,
    "site",
    { domain: "localhost", name: "", allowedOrigins: [], anonymize: "off" },
    0,
  )
  app.store.registry.refresh()
  const fail = async () => {
    const request = new Request(`http://localhost/track?website_id=${website.id}`, {
      method: "POST",
      body: '{"name":"x"}',
    })
    expect((await app.send(request)).status).toBe(500)
  }
  for (let index = 0; index < 5; index++) await fail()
  app.clock.now += 999
  await fail()
  expect(app.logged).toHaveLength(1)
  app.clock.now += 1
  await fail()
  expect(app.logged.map((line) => JSON.parse(line).more)).toEqual([undefined, 5])
})

/** `echoed`: null if there must be no CORS headers. */
function expectOrigin({ headers }: Response, echoed: string | null): void {
  const cors = [...headers.keys()].filter((name) => name.startsWith("access-control") || name === "vary")
  if (echoed === null) expect(cors).toEqual([])
  else expect(headers.get("access-control-allow-origin")).toBe(echoed)
}

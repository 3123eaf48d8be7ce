import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { bodyCases, deepBodies } from "./contract/bodies.ts"
import { type Case, plainEvent, type Rejected } from "./contract/cases.ts"
import { credentialCases, orderCases } from "./contract/credentials.ts"
import { fieldCases } from "./contract/fields.ts"
import { identifyRejections, storedProfileCases } from "./contract/identify.ts"
import { ContractServer, expectRejection, isRejection } from "./contract/server.ts"

// The contract of POST /track and POST /identify, tested over HTTP against the built binary. Each case is data: the
// request, the exact response, and the stored rows. Cases with several requests are in scenarios.test.ts.

let world: ContractServer

beforeAll(async () => {
  // The server must read a timestamp without a zone as UTC in any time zone.
  world = await ContractServer.start({ env: { TZ: "America/New_York" } })
})
afterAll(() => world[Symbol.asyncDispose]())

const groups: Record<string, readonly Case[]> = {
  "the fields of an event": fieldCases,
  "the body of a request": bodyCases,
  "who can send": credentialCases,
  "the order of the checks": orderCases,
  "what POST /identify rejects": identifyRejections,
}

for (const [group, cases] of Object.entries(groups)) {
  describe(group, () => {
    for (const { name, sent, answer } of cases) test(name, () => world.check(sent, answer))
  })
}

describe("JSON with 100,000 levels is rejected, and nothing is stored", () => {
  for (const [what, body] of Object.entries(deepBodies)) {
    test(what, async () => {
      const before = world.stored()
      const answer = await world.send({ body })
      expect(answer.status).toBe(400)
      expect(JSON.parse(answer.body)).toMatchObject({ status: "error", message: "Invalid request body" })
      expect(world.stored()).toEqual(before)
    })
  }
})

describe("what POST /identify stores", () => {
  for (const { name, sent, stored } of storedProfileCases) {
    test(name, async () => {
      const events = world.lastId()
      const answer = await world.send(sent)
      expect(answer.body).toBe('{"status":"success","type":"identify"}')
      expect(answer.status).toBe(200)
      expect(world.profile(stored.website_id, stored.profile_id)).toEqual(stored)
      expect(world.lastId()).toBe(events)
    })
  }
})

describe("a page can read every rejection, because it has the CORS headers", () => {
  const origin = "http://localhost:3000"
  const rejections = Object.values(groups)
    .flat()
    .filter((one) => isRejection(one.answer) && !one.sent.headers?.origin)
  const oneOfEach = [...new Map(rejections.map((one) => [(one.answer as Rejected).reason, one])).values()]
  for (const { sent, answer } of oneOfEach) {
    // Pages on localhost can send to every website, so adding this origin does not change the rejection.
    if ((answer as Rejected).reason === "origin_not_allowed") continue
    test((answer as Rejected).reason, async () => {
      const fromPage = { ...sent, headers: { ...sent.headers, origin } }
      expectRejection(await world.send(fromPage), answer as Rejected, fromPage)
    })
  }
})

describe("a preflight", () => {
  for (const path of ["/track", "/identify"]) {
    test(`of ${path} allows the headers of all clients, and can be cached`, async () => {
      const { status, body, headers } = await world.send({
        method: "OPTIONS",
        path,
        key: null,
        headers: {
          origin: "https://any.test",
          "access-control-request-method": "POST",
          "access-control-request-headers": "content-type,x-api-key",
        },
        body: "",
      })
      expect({ status, body }).toEqual({ status: 204, body: "" })
      expect(headers.get("access-control-allow-origin")).toBe("https://any.test")
      expect(headers.get("access-control-allow-credentials")).toBe("true")
      expect(headers.get("vary")).toBe("Origin")
      expect(headers.get("access-control-allow-methods")).toBe("POST, OPTIONS")
      expect(headers.get("access-control-allow-headers")).toBe("content-type,x-api-key")
      expect(Number(headers.get("access-control-max-age"))).toBeGreaterThan(0)
      expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/)
    })
  }

  const usual =
    "Content-Type, Content-Encoding, Authorization, x-api-key, X-Requested-With, x-request-id, databuddy-client-id, databuddy-sdk-name, databuddy-sdk-version"
  const asked: [what: string, asked: string | null, allowed: string][] = [
    [
      "the headers of tracing tools",
      "baggage,content-type,sentry-trace,traceparent,x-datadog-origin",
      "baggage,content-type,sentry-trace,traceparent,x-datadog-origin",
    ],
    ["names with whitespace around the commas", "a, b ,\tc", "a, b ,\tc"],
    ["no headers", null, usual],
    ["an invalid name", "a b", usual],
    ["a header with a value", "a: b", usual],
    ["more headers than a page would send", `${"x-long-name,".repeat(400)}x`, usual],
  ]
  for (const [what, names, allowed] of asked) {
    test(`that requests ${what} allows ${allowed === usual ? "the usual headers" : "them"}`, async () => {
      const headers = { origin: "https://any.test", "access-control-request-headers": names }
      const answer = await world.send({ method: "OPTIONS", headers, body: "" })
      expect([answer.status, answer.headers.get("access-control-allow-headers")]).toEqual([204, allowed])
    })
  }

  test("succeeds for any website id", async () => {
    const answer = await world.send({
      method: "OPTIONS",
      path: "/track?website_id=none",
      headers: { origin: "null" },
      body: "",
    })
    expect(answer.status).toBe(204)
    expect(answer.headers.get("access-control-allow-origin")).toBe("null")
  })
})

describe("x-request-id", () => {
  for (const id of ["a", "req-1", "01JDB.x_y-Z", "f".repeat(128), crypto.randomUUID()]) {
    test(`${id} is well-formed and is returned, on success and on rejection`, async () => {
      const headers = { "x-request-id": id }
      expect((await world.send({ headers, body: plainEvent })).headers.get("x-request-id")).toBe(id)
      expect((await world.send({ headers, body: "{" })).headers.get("x-request-id")).toBe(id)
    })
  }
  for (const id of ["f".repeat(129), "a b", "<script>", "a,b", "a\tb", "é", "a;b", '"a"']) {
    test(`${id} is malformed and is replaced`, async () => {
      const answer = await world.send({ headers: { "x-request-id": id }, body: plainEvent })
      expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/)
    })
  }
})

test("the server logged no errors or warnings", () => {
  expect(world.server.output()).not.toMatch(/"level":"(?:error|warn)"/)
})

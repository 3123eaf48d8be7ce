import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { bodyCases, deepBodies } from "./contract/bodies.ts"
import { type Case, plainEvent, type Refused } from "./contract/cases.ts"
import { credentialCases, orderCases } from "./contract/credentials.ts"
import { fieldCases } from "./contract/fields.ts"
import { identified, identifyRefusals } from "./contract/identify.ts"
import { expectRefusal, isRefusal, World } from "./contract/world.ts"

// The contract of POST /track and POST /identify, walked over HTTP against the built binary. Each case is data: what is
// sent, what is answered to the letter, and what is stored because of it. What takes more than one request is in
// scenarios.test.ts.

let world: World

beforeAll(async () => {
  // The server is to take a timestamp without a zone for UTC, wherever it runs.
  world = await World.start({ env: { TZ: "America/New_York" } })
})
afterAll(() => world[Symbol.asyncDispose]())

const groups: Record<string, readonly Case[]> = {
  "the fields of an event": fieldCases,
  "the body of a request": bodyCases,
  "who may send": credentialCases,
  "of two faults the one that is checked first": orderCases,
  "what POST /identify refuses": identifyRefusals,
}

for (const [group, cases] of Object.entries(groups)) {
  describe(group, () => {
    for (const { name, sent, answer } of cases) test(name, () => world.check(sent, answer))
  })
}

describe("JSON of 100,000 levels harms nobody", () => {
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
  for (const { name, sent, stored } of identified) {
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

describe("a page can read every kind of refusal: it carries the CORS headers", () => {
  const origin = "http://localhost:3000"
  const refusals = Object.values(groups)
    .flat()
    .filter((one) => isRefusal(one.answer) && !one.sent.headers?.origin)
  const oneOfEach = [...new Map(refusals.map((one) => [(one.answer as Refused).reason, one])).values()]
  for (const { sent, answer } of oneOfEach) {
    // A page of localhost may send to every website, so that this alone is no refusal.
    if ((answer as Refused).reason === "origin_not_allowed") continue
    test((answer as Refused).reason, async () => {
      const fromPage = { ...sent, headers: { ...sent.headers, origin } }
      expectRefusal(await world.send(fromPage), answer as Refused, fromPage)
    })
  }
})

describe("a preflight", () => {
  for (const path of ["/track", "/identify"]) {
    test(`of ${path} allows what clients send, and is remembered`, async () => {
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
      expect(headers.get("x-request-id")).toBeTruthy()
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
    ["names with blanks between", "a, b ,\tc", "a, b ,\tc"],
    ["nothing", null, usual],
    ["what are no names", "a b", usual],
    ["a header of a header", "a: b", usual],
    ["more than a page has", `${"x-long-name,".repeat(400)}x`, usual],
  ]
  for (const [what, names, allowed] of asked) {
    test(`that asks for ${what} is allowed ${allowed === usual ? "the usual headers" : "them"}`, async () => {
      const headers = { origin: "https://any.test", "access-control-request-headers": names }
      const answer = await world.send({ method: "OPTIONS", headers, body: "" })
      expect([answer.status, answer.headers.get("access-control-allow-headers")]).toEqual([204, allowed])
    })
  }

  test("is answered whatever website id it names", async () => {
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
    test(`${id} is sane and comes back, on success and on refusal`, async () => {
      const headers = { "x-request-id": id }
      expect((await world.send({ headers, body: plainEvent })).headers.get("x-request-id")).toBe(id)
      expect((await world.send({ headers, body: "{" })).headers.get("x-request-id")).toBe(id)
    })
  }
  for (const id of ["f".repeat(129), "a b", "<script>", "a,b", "a\tb", "é", "a;b", '"a"']) {
    test(`${id} is not sane and is replaced`, async () => {
      const answer = await world.send({ headers: { "x-request-id": id }, body: plainEvent })
      expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/)
    })
  }
})

test("the server complained of nothing all the while, and was never restarted", () => {
  expect(world.server.output()).not.toMatch(/"level":"(?:error|warn)"/)
})

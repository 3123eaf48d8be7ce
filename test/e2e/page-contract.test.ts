import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { bytesOf } from "./contract/cases.ts"
import {
  batchCases,
  bodyCases,
  credentialCases,
  expectHash,
  fieldCases,
  identifyCases,
  lists,
  otherCases,
  type PageCase,
  pixelCases,
  rejection,
  storedCases,
  view,
} from "./contract/page-cases.ts"
import { websiteIds } from "./contract/seed.ts"
import { ContractServer, type Row } from "./contract/server.ts"

// The contract of the page script's endpoints, tested over HTTP against the built binary. Each case is data: the
// request, the exact response, and the stored rows.

let world: ContractServer
let sent = 0

beforeAll(async () => {
  world = await ContractServer.start({ args: ["--ingest-path", "/e"], env: { TZ: "America/New_York" } })
})
afterAll(() => world[Symbol.asyncDispose]())

interface Answer {
  status: number
  headers: Headers
  body: string
}

/** Sends a request from its own address, so that rate limits do not apply across cases. */
async function send({
  method = "POST",
  path,
  headers = {},
  body,
}: Partial<PageCase> & { path: string }): Promise<Answer> {
  sent++
  const response = await fetch(world.server.url + path, {
    method,
    headers: {
      "content-type": "application/json",
      "x-forwarded-for": `10.1.${sent >> 8}.${sent & 255}`,
      ...headers,
    },
    ...(body === undefined ? {} : { body: bytesOf(body) }),
  })
  const bytes = Buffer.from(await response.arrayBuffer())
  const isImage = response.headers.get("content-type") === "image/gif"
  return {
    status: response.status,
    headers: response.headers,
    body: bytes.toString(isImage ? "latin1" : "utf8"),
  }
}

/** Returns the fields of a row that a case specifies. */
function stated(row: Row | undefined, expected: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(expected).map(([field, value]) => [
      field,
      value === expectHash ? shownHash(row?.[field]) : row?.[field],
    ]),
  )
}

function shownHash(value: unknown): unknown {
  return /^[\w-]{22}$/.test(String(value)) ? expectHash : value
}

async function check({ status, answer, reason = null, stored = [], ...request }: PageCase): Promise<void> {
  const last = world.lastId()
  const before = world.stored()
  const received = await send(request)
  expect({
    status: received.status,
    body: received.body,
    reason: received.headers.get("x-databuddy-reason"),
  }).toEqual({
    status,
    body: answer,
    reason,
  })
  expectCors(received.headers, request.headers?.origin ?? null)
  const isImage = received.headers.get("content-type") === "image/gif"
  const caching = isImage ? "no-cache" : request.path.startsWith("/public/") ? "no-store" : null
  expect(received.headers.get("cache-control")).toBe(caching)
  if (!isImage) expect(received.headers.get("content-type")).toBe("application/json")
  const rows = world.rowsAfter(last)
  expect(rows.map((row, index) => stated(row, stored[index] ?? {}))).toEqual(stored)
  if (stored.length === 0 && !isAcceptedIdentify(request.path, status)) expect(world.stored()).toEqual(before)
}

/** True if the request has stored a profile. */
function isAcceptedIdentify(path: string, status: number): boolean {
  return path.startsWith("/identify") && status === 200
}

function expectCors(headers: Headers, origin: string | null): void {
  expect(headers.get("access-control-allow-origin")).toBe(origin)
  expect(headers.get("access-control-allow-credentials")).toBe(origin && "true")
  expect(headers.get("vary")).toBe("Origin")
}

const groups: Record<string, readonly PageCase[]> = {
  "what is stored": storedCases,
  "the fields of an item": fieldCases,
  "lists and batches": batchCases,
  "the body of a request": bodyCases,
  "who can send": credentialCases,
  "the pixel": pixelCases,
  "identify from a page": identifyCases,
  "visits of AI agents, and flags": otherCases,
}
for (const [group, cases] of Object.entries(groups)) {
  describe(group, () => {
    for (const one of cases) test(one.name, () => check(one))
  })
}

const site = websiteIds.example
const posts: [path: string, body: unknown][] = [
  ["/", { ...view, eventId: "cors" }],
  ["/batch", []],
  ...lists.map(([path]) => [path, []] as [string, unknown]),
]
const everyPath: [path: string, method: "GET" | "POST"][] = [
  ...posts.map(([path]) => [path, "POST"] as [string, "POST"]),
  ["/track", "POST"],
  ["/identify", "POST"],
  ["/ai-traffic", "POST"],
  ["/px.jpg", "GET"],
  ["/public/v1/flags/bulk", "GET"],
]

describe("pages of any origin", () => {
  for (const [path, method] of everyPath.flatMap(([path, method]) => [
    [path, method] as const,
    [`/e${path}`, method] as const,
  ])) {
    test(`can send a preflight for ${method} ${path}`, async () => {
      const origin = "https://any.test"
      const { status, body, headers } = await send({
        method: "OPTIONS" as "GET",
        path,
        headers: {
          origin,
          "access-control-request-headers": "content-type,databuddy-client-id,databuddy-sdk-name",
        },
      })
      expect({ status, body }).toEqual({ status: 204, body: "" })
      expectCors(headers, origin)
      expect(headers.get("access-control-allow-methods")).toBe(`${method}, OPTIONS`)
      expect(headers.get("access-control-allow-headers")).toBe(
        "content-type,databuddy-client-id,databuddy-sdk-name",
      )
      expect(Number(headers.get("access-control-max-age"))).toBeGreaterThan(0)
    })
  }

  for (const [path, body] of posts) {
    test(`can read the response of ${path} and its errors`, async () => {
      for (const origin of ["https://example.com", "https://evil.test", "null"]) {
        const { status, headers } = await send({
          path: `${path}?client_id=${site}`,
          headers: { origin },
          body,
        })
        expect(status).toBe(origin === "https://example.com" ? 200 : 403)
        expectCors(headers, origin)
      }
    })
  }

  test("cannot read the dashboard, which is at the same path", async () => {
    const { status, headers } = await send({
      method: "GET",
      path: "/",
      headers: { origin: "https://evil.test" },
    })
    expect(status).toBe(200)
    expect(headers.get("content-type")).toStartWith("text/html")
    expect(headers.get("access-control-allow-origin")).toBeNull()
  })
})

describe("--ingest-path /e", () => {
  for (const [index, path] of ["/e", "/e/", "/"].entries()) {
    test(`${path} accepts page events`, () =>
      check({
        name: "",
        path: `${path}?client_id=${site}`,
        body: { ...view, eventId: `below ${index}` },
        status: 200,
        answer: '{"status":"success","type":"track"}',
        stored: [{ event_id: `below ${index}` }],
      }))
  }
  test("/e/track accepts custom events", () =>
    check({
      name: "",
      path: `/e/track?website_id=${site}`,
      body: { name: "below" },
      status: 200,
      answer: '{"status":"success","type":"custom_event","count":1}',
      stored: [{ name: "below", kind: "custom" }],
    }))
  test("/e/vitals rejects as /vitals does", () =>
    check({ name: "", path: "/e/vitals", body: [], ...rejection("client_id_missing") }))
  for (const path of ["/e/nothing", "/e/v1/websites", "/f/track", "/e/docs"]) {
    test(`${path} is not a path`, async () => {
      expect((await send({ path, body: [] })).status).toBe(404)
    })
  }
})

test("an eventId is stored once per website, whatever path it is sent to", async () => {
  const last = world.lastId()
  const once = { ...view, eventId: "once", anonymousId: "first" }
  await send({ path: `/?client_id=${site}`, body: once })
  await send({ path: `/batch?client_id=${site}`, body: [{ ...once, anonymousId: "second" }, once] })
  await send({ path: `/track?website_id=${site}`, body: { name: "x", eventId: "once" } })
  await send({ path: `/batch?client_id=${websiteIds.legacy}`, body: [once] })
  await send({
    path: "/track",
    headers: { authorization: `Bearer ${world.server.key}` },
    body: { name: "x", eventId: "once", websiteId: site },
  })
  expect(world.rowsAfter(last).map((row) => [row.website_id, row.anonymous_id])).toEqual([
    [site, "first"],
    [websiteIds.legacy, "first"],
  ])
})

test("the server logged no errors or warnings", () => {
  expect(world.server.output()).not.toMatch(/"level":"(?:error|warn)"/)
})

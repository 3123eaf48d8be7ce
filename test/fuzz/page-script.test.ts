import { afterAll, beforeAll, expect, test } from "bun:test"
import { gzipSync } from "node:zlib"
import { view } from "../e2e/contract/page-cases.ts"
import { websiteIds } from "../e2e/contract/seed.ts"
import { ContractServer } from "../e2e/contract/server.ts"
import { mulberry32, type Pick, picker } from "../support/random.ts"

// Thousands of damaged requests to the page script's endpoints. None causes a server error, and exactly the
// acknowledged items are stored. Set DATABUDDY_FUZZ_SEED to repeat a run, and DATABUDDY_FUZZ_BODIES to make it longer.

const seed = Number(process.env.DATABUDDY_FUZZ_SEED ?? Date.now() % 2 ** 31)
const bodies = Number(process.env.DATABUDDY_FUZZ_BODIES ?? 3_000)

let world: ContractServer

beforeAll(async () => {
  world = await ContractServer.start({ args: ["--rate-limit", "0"] })
})
afterAll(() => world[Symbol.asyncDispose]())

type Item = Record<string, unknown>

const samples: Record<string, Item> = {
  view,
  exit: { ...view, name: "page_exit", time_on_page: 5, scroll_depth: 50, interaction_count: 2 },
  custom: { ...view, name: "clicked", properties: { plan: "pro" } },
  link: { type: "outgoing_link", eventId: "e", href: "https://elsewhere.test/", text: "x" },
  vital: { metricName: "LCP", metricValue: 12.5, path: "/" },
  error: { message: "m", path: "/", lineno: 1, stack: "s" },
  span: { path: "/", exitType: "spa", clickCount: 3, lastFormField: "email" },
  event: { eventName: "clicked", path: "/", properties: { a: [1] } },
}

const kindOf: Record<string, string> = {
  view: "page_view",
  exit: "page_exit",
  custom: "custom",
  link: "outgoing_link",
  vital: "web_vital",
  error: "error",
  span: "engagement",
  event: "custom",
}

/** Path, the samples that it accepts, and the `type` of its response. */
const routes: [path: string, takes: string[], type: string][] = [
  ["/", ["view", "exit", "custom", "link"], "track"],
  ["/batch", ["view", "exit", "custom", "link"], "batch"],
  ["/batch", ["view", "exit", "custom", "link"], "batch"],
  ["/vitals", ["vital"], "web_vitals"],
  ["/errors", ["error"], "error"],
  ["/engagement", ["span"], "engagement"],
  ["/events", ["event"], "custom_event"],
  ["/px.jpg", ["view", "exit", "custom", "link"], "pixel"],
]

const optional: Record<string, (random: Pick) => unknown> = {
  anonymousId: (random) => text(random),
  sessionId: (random) => text(random),
  profileId: (random) => text(random),
  timestamp: (random) => random.of<unknown>([null, 1_700_000_000_000, 1.5, -1, "now", 1e300]),
  title: (random) => text(random).repeat(random.whole(0, 30)),
  referrer: (random) => random.of(["direct", "", "https://google.com/?q=1", "http://[", text(random), "x:y"]),
  viewport_size: (random) => random.of(["1x1", "wide", text(random)]),
  screen_resolution: (random) => random.of(["1920x1080", "0x0", text(random)]),
  language: (random) => random.of(["de-AT", "en_US", "??", text(random)]),
  timezone: (random) => random.of(["Europe/Vienna", "Mars/Base", text(random)]),
  utm_source: (random) => text(random).repeat(random.whole(0, 100)),
  gclid: (random) => text(random),
  page_count: (random) => random.of<unknown>([0, 5, 1_001, "5"]),
  properties: (random) => random.of<unknown>([null, {}, { [text(random)]: anything(random, 4) }, [], "{"]),
  anonymizeVisitorIds: (random) => random.of<unknown>([true, false, "auto", null, "no"]),
  path: (random) =>
    random.of<unknown>([
      "https://example.com/a%20b?x=%ff#h",
      "https://example.com/%00/%E0%A4%A",
      "http://192.0.2.7/",
      "http://exa mple/",
      "/",
      `https://example.com/${text(random)}`,
      null,
    ]),
  unknown: (random) => anything(random, 3),
}

function text(random: Pick): string {
  return random.of([
    "",
    "a",
    "é",
    "🎉",
    "\ud800",
    "\0",
    "__proto__",
    "%00",
    "a&b=c",
    "x".repeat(129),
    "x".repeat(520),
  ])
}

function anything(random: Pick, depth: number): unknown {
  if (depth === 0 || random.chance(0.5)) return random.of<unknown>([null, true, 0, -1.5, 1e300, text(random)])
  const inner = [anything(random, depth - 1), anything(random, depth - 1)]
  return random.chance(0.5) ? inner : { [text(random)]: inner[0], b: inner[1] }
}

let ids = 0

/** Returns a sample with a new eventId, and in some cases with more, fewer or other fields. */
function item(random: Pick, sample: string): Item {
  const made: Item = { ...samples[sample], eventId: `id-${ids++}-${random.whole(0, 1e9)}` }
  if (random.chance(0.4)) return made
  for (let more = random.whole(1, 4); more > 0; more--) {
    const [field, make] = random.of(Object.entries(optional))
    made[field] = make(random)
  }
  if (random.chance(0.15)) delete made[random.of(Object.keys(made))]
  // The eventId is not replaced, because an item with a known eventId would not be stored.
  const field = random.of(Object.keys(made).filter((name) => name !== "eventId"))
  if (random.chance(0.15)) made[field] = anything(random, 2)
  return made
}

interface Sent {
  path: string
  type: string
  method: "GET" | "POST"
  body: Uint8Array
  headers: Record<string, string>
  /** The kinds of the items, by eventId. */
  kinds: Map<string, string>
}

function request(random: Pick): Sent {
  const [path, takes, type] = random.of(routes)
  const kinds = new Map<string, string>()
  const one = () => {
    const sample = random.of(takes)
    const made = item(random, sample)
    if (typeof made.eventId === "string") kinds.set(made.eventId, kindOf[sample] ?? "")
    return made
  }
  const website = random.of([
    websiteIds.example,
    websiteIds.example,
    websiteIds.example,
    websiteIds.daily,
    "none",
    "",
  ])
  const query = random.chance(0.95) ? `?client_id=${website}` : ""
  const headers: Record<string, string> = { "content-type": random.of(["application/json", "text/plain"]) }
  if (random.chance(0.05))
    headers.origin = random.of(["https://example.com", "https://evil.test", "null", "x"])
  if (type === "pixel") {
    const parameters = new URLSearchParams({ client_id: website })
    for (const [field, value] of Object.entries(one())) {
      const sent = typeof value === "string" ? value.slice(0, 2_000) : JSON.stringify(value)
      parameters.append(random.chance(0.05) ? `${field}[${text(random)}][a]` : field, sent ?? "")
    }
    const damaged = random.chance(0.1) ? `${parameters}`.slice(random.whole(0, 30)) : `${parameters}`
    return {
      path: `${path}?${damaged.slice(0, 8_000)}`,
      type,
      method: "GET",
      body: Buffer.of(),
      headers: {},
      kinds,
    }
  }
  const value = path === "/" ? one() : Array.from({ length: random.whole(0, 6) }, one)
  let body = Buffer.from(JSON.stringify(random.chance(0.03) ? anything(random, 3) : value))
  if (random.chance(0.1)) body = body.subarray(0, random.whole(0, body.length))
  if (random.chance(0.1) && body.length > 0) body[random.whole(0, body.length - 1)] = random.whole(0, 255)
  if (random.chance(0.1)) {
    headers["content-encoding"] = "gzip"
    body = gzipSync(body)
  }
  return { path: path + query, type, method: "POST", body, headers, kinds }
}

/** Returns the number of items that are stored according to the response. */
function acknowledged({ type }: Sent, headers: Headers, body: string): number {
  if (type === "pixel") {
    expect(headers.get("content-type")).toBe("image/gif")
    return headers.get("x-databuddy-reason") === null ? 1 : 0
  }
  const answer = JSON.parse(body)
  if (type === "track") {
    expect(["track", "outgoing_link"]).toContain(answer.type)
    return 1
  }
  if (type !== "batch") {
    expect(answer).toEqual({ status: "success", type, count: expect.any(Number) })
    return answer.count
  }
  const stored = answer.results.filter((result: { status: string }) => result.status === "success").length
  expect(answer.processed).toBe(answer.results.length)
  expect(answer.batched.track + answer.batched.outgoing_link).toBe(stored)
  const total = answer.results.length
  expect(answer.status).toBe(stored === total ? "success" : stored > 0 ? "partial" : "error")
  return stored
}

test(
  `of ${bodies} damaged requests, exactly the acknowledged items are stored (DATABUDDY_FUZZ_SEED=${seed})`,
  async () => {
    const random = picker(mulberry32(seed))
    const counts = new Map<string, number>()
    for (let index = 0; index < bodies; index++) {
      const sent = request(random)
      const last = world.lastId()
      const response = await fetch(world.server.url + sent.path, {
        method: sent.method,
        headers: { ...sent.headers, "x-forwarded-for": `10.2.${index >> 8}.${index & 255}` },
        ...(sent.method === "POST" ? { body: sent.body } : {}),
      })
      const body = await response.text()
      const rows = world.rowsAfter(last)
      try {
        expect([200, 400, 403, 413]).toContain(response.status)
        const isAccepted = response.status === 200
        expect(rows).toHaveLength(isAccepted ? acknowledged(sent, response.headers, body) : 0)
        if (!isAccepted)
          expect(JSON.parse(body)).toMatchObject({ status: "error", message: expect.any(String) })
        for (const { event_id, kind, credential } of rows) {
          expect(credential).toBe("website_id")
          const expected = sent.kinds.get(String(event_id))
          // A different name turns an event of a page into a custom event.
          if (expected !== undefined)
            expect([expected, "custom", "page_view", "page_exit"]).toContain(kind as string)
        }
      } catch (error) {
        const shown = Buffer.from(sent.body).toString("latin1").slice(0, 3_000)
        const context = { seed, index, path: sent.path, headers: sent.headers, body: shown, answer: body }
        throw new Error(`${error instanceof Error ? error.message : error}\n${JSON.stringify(context)}`)
      }
      const key = rows.length > 0 ? "stored" : response.status === 200 ? "none" : String(response.status)
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    // If all requests were rejected or all accepted, the test would have checked little.
    expect(counts.get("stored")).toBeGreaterThan(bodies / 5)
    expect(counts.get("400")).toBeGreaterThan(bodies / 10)
    expect(counts.get("403") ?? 0).toBeGreaterThan(0)
    expect(world.server.output()).not.toMatch(/"level":"error"/)
    expect(world.reader.pragma("integrity_check", { simple: true })).toBe("ok")
  },
  Math.max(60_000, bodies * 20),
)

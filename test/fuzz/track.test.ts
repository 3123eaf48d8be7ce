import { afterAll, beforeAll, expect, test } from "bun:test"
import { gzipSync } from "node:zlib"
import { headersOf, notFromPage } from "../e2e/contract/cases.ts"
import { type KeyName, secrets, websiteIds } from "../e2e/contract/seed.ts"
import { ContractServer, type Row, successOf } from "../e2e/contract/server.ts"
import { mulberry32, type Pick, picker } from "../support/random.ts"

// Thousands of damaged bodies. Every response has the contract's shape, and exactly the accepted events are stored. Set
// DATABUDDY_FUZZ_SEED to repeat a run, and DATABUDDY_FUZZ_BODIES to make it longer.

const seed = Number(process.env.DATABUDDY_FUZZ_SEED ?? Date.now() % 2 ** 31)
const bodies = Number(process.env.DATABUDDY_FUZZ_BODIES ?? 3_000)

let world: ContractServer

beforeAll(async () => {
  // The rate limit would affect bodies with a website id, because they come from few addresses.
  world = await ContractServer.start({ args: ["--rate-limit", "0"] })
})
afterAll(() => world[Symbol.asyncDispose]())

test(
  `of ${bodies} mutated bodies, exactly the accepted events are stored (DATABUDDY_FUZZ_SEED=${seed})`,
  async () => {
    const random = picker(mulberry32(seed))
    const seenIds = new Set<string>()
    const counts = new Map<number, number>()
    for (let index = 0; index < bodies; index++) {
      const sent = request(random)
      const last = world.lastId()
      const answer = await world.send(sent)
      const rows = world.rowsAfter(last)
      const context = { seed, index, path: sent.path, headers: sent.headers, body: preview(sent.body) }
      try {
        expectContractShape(answer)
        expect<unknown[]>(rows.map(shownRow)).toEqual(
          answer.status === 200 ? expectedRows(sent, answer, seenIds) : [],
        )
      } catch (error) {
        throw new Error(`${error instanceof Error ? error.message : error}\n${JSON.stringify(context)}`)
      }
      counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1)
    }
    // If all bodies were rejected or all accepted, the test would have checked little.
    for (const status of [200, 400, 401, 403, 404, 413]) expect(counts.get(status) ?? 0).toBeGreaterThan(0)
    expect(counts.get(200)).toBeGreaterThan(bodies / 5)
    expect(counts.get(400)).toBeGreaterThan(bodies / 5)
    expect(world.server.output()).not.toMatch(/"level":"error"/)
    expect(world.reader.pragma("integrity_check", { simple: true })).toBe("ok")
  },
  Math.max(60_000, bodies * 20),
)

interface Sent {
  path: string
  key: KeyName | null
  headers: Record<string, string | null>
  body: Uint8Array
  /** The JSON before gzip. */
  plain: Uint8Array
}

type Answer = Awaited<ReturnType<ContractServer["send"]>>

function expectContractShape({ status, headers, body }: Answer): void {
  expect([200, 400, 401, 403, 404, 413]).toContain(status)
  expect(headers.get("content-type")).toBe("application/json")
  expect(headers.get("x-request-id")).toMatch(/^[\w.-]{1,128}$/)
  const answer = JSON.parse(body)
  if (status === 200) {
    expect(body).toBe(successOf(answer.count))
    return
  }
  expect(headers.get("x-databuddy-reason")).toMatch(/^[a-z0-9_]+$/)
  const { errors, ...rest } = answer
  expect(rest).toEqual({ status: "error", message: expect.any(String) })
  if (errors === undefined) return
  expect(status).toBe(400)
  expect(errors.length).toBeGreaterThan(0)
  for (const error of errors) {
    expect(error).toEqual({ field: expect.stringMatching(/./), message: expect.stringMatching(/^must /) })
  }
}

/** Returns the events that JSON.parse finds in the body, as rows of the view `events`. */
function expectedRows(sent: Sent, answer: Answer, seenIds: Set<string>): unknown[] {
  const value = JSON.parse(new TextDecoder().decode(sent.plain)) as Event | Event[]
  const list = Array.isArray(value) ? value : [value]
  expect(answer.body).toBe(successOf(list.length))
  const query = new URLSearchParams(sent.path.split("?")[1] ?? "")
  const queryId = query.get("website_id") || query.get("client_id") || null
  const viaKey = carriesWorkingKey(sent)
  return list.flatMap((event) => {
    const website = canonical(event.websiteId || queryId)
    const eventId = event.eventId || null
    if (eventId !== null) {
      const identity = JSON.stringify([website, viaKey, eventId])
      if (seenIds.has(identity)) return []
      seenIds.add(identity)
    }
    const hashed = event.anonymousId && (event.anonymizeVisitorIds === true || website === websiteIds.daily)
    return [
      {
        website_id: website,
        name: event.name,
        namespace: event.namespace || null,
        source: event.source || null,
        timestamp: timeOf(event.timestamp),
        anonymous_id: hashed ? "(hash)" : event.anonymousId || null,
        session_id: event.sessionId || null,
        profile_id: event.profileId || null,
        path: event.path || null,
        event_id: eventId,
        credential: viaKey ? "key" : "website_id",
        properties: event.properties === undefined ? null : JSON.stringify(event.properties),
        crawler: 0,
        ...notFromPage,
      },
    ]
  })
}

function carriesWorkingKey(sent: Sent): boolean {
  const headers = headersOf(sent)
  const sentKeys = [headers.get("authorization")?.replace(/^bearer /i, ""), headers.get("x-api-key")]
  return sentKeys.some((key) => key === secrets.full || key === secrets.limited)
}

/** Returns a row in the form of `expectedRows`. Properties are text, because their order and types matter, too. */
function shownRow({ id: _, received_at, time: __, timestamp, anonymous_id, properties, ...rest }: Row) {
  return {
    ...rest,
    timestamp: timestamp === received_at ? "received" : timestamp,
    anonymous_id: /^[\w-]{22}$/.test(String(anonymous_id)) ? "(hash)" : anonymous_id,
    properties: properties === null ? null : JSON.stringify(properties),
  }
}

function timeOf(timestamp: unknown): unknown {
  if (timestamp === undefined || timestamp === "") return "received"
  if (typeof timestamp === "number") return Math.floor(timestamp)
  const text = String(timestamp)
  // The test process may run in any time zone.
  return Math.floor(
    /[zZ]$|GMT|[+-]\d\d:?\d\d$|^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Date.parse(`${text}Z`),
  )
}

function canonical(id: string | null): string | null {
  return id && /^[0-9a-f-]{36}$/i.test(id) ? id.toLowerCase() : id
}

// The requests

type Event = Record<string, unknown> & { websiteId?: string }

const fields = [
  "name",
  "namespace",
  "timestamp",
  "properties",
  "anonymousId",
  "sessionId",
  "websiteId",
  "source",
  "eventId",
  "profileId",
  "path",
  "anonymizeVisitorIds",
]

function request(random: Pick): Sent {
  const value = maybeMutated(random, random.chance(0.6) ? event(random) : batch(random))
  const plain = damaged(random, Buffer.from(json(random, value)))
  const zipped = random.chance(0.1)
  const body = zipped ? gzipSync(plain) : plain
  const headers: Sent["headers"] = { "user-agent": "curl/8.14.1", ...oddHeaders(random) }
  if (zipped) headers["content-encoding"] = "gzip"
  return {
    path: `/track${query(random)}`,
    key: random.chance(0.8)
      ? random.of<KeyName>(["full", "full", "full", "limited"])
      : random.of<KeyName | null>([null, null, "reader", "revoked", "expired", "unknown", "malformed"]),
    headers,
    body: zipped && random.chance(0.1) ? flipped(random, body) : body,
    plain,
  }
}

function query(random: Pick): string {
  if (random.chance(0.6)) return ""
  const id = random.of([
    websiteIds.example,
    websiteIds.example,
    websiteIds.legacy,
    websiteIds.daily,
    websiteIds.unknown,
    websiteIds.paused,
  ])
  return `?${random.of(["website_id", "client_id", "website_id", "other"])}=${random.chance(0.1) ? encodeURIComponent(text(random)) : id}`
}

function event(random: Pick): Event {
  const made: Event = { name: random.of(["click", "view", "buy", text(random) || "x"]) }
  const more: Record<string, () => unknown> = {
    namespace: () => text(random),
    timestamp: () =>
      random.of<unknown>([
        random.whole(946_684_800_000, 1_700_000_000_000),
        random.whole(946_684_800_000, 1_700_000_000_000) + random.fraction(),
        new Date(random.whole(946_684_800_000, 1_700_000_000_000)).toISOString(),
        "2024-05-06T07:08:09",
        "2024-05-06T07:08:09+02:00",
        "2024-05-06",
      ]),
    properties: () => properties(random),
    anonymousId: () => text(random),
    sessionId: () => text(random),
    websiteId: () =>
      random.of([
        websiteIds.example,
        websiteIds.example,
        websiteIds.legacy,
        websiteIds.example.toUpperCase(),
      ]),
    source: () => text(random),
    eventId: () => (random.chance(0.2) ? random.of(["a", "b", "c"]) : `id-${random.whole(0, 1e9)}`),
    profileId: () => text(random),
    path: () => `/${text(random)}`,
    anonymizeVisitorIds: () => random.of([true, false, "auto"]),
    [text(random) || "unknown"]: () => anything(random, 3),
  }
  for (const [field, make] of Object.entries(more)) if (random.chance(0.35)) made[field] = make()
  return made
}

function batch(random: Pick): Event[] {
  return Array.from({ length: random.whole(0, random.chance(0.05) ? 80 : 5) }, () => event(random))
}

function properties(random: Pick): object {
  return Object.fromEntries(
    Array.from({ length: random.whole(0, 6) }, () => [text(random), anything(random, random.whole(0, 5))]),
  )
}

const nastyTexts = [
  "",
  " ",
  "0",
  "null",
  "__proto__",
  "constructor",
  "a.b",
  "$.x",
  '"',
  "\\",
  "\\u0000",
  "\n\r\t",
  "\u2028\u2029\ufeff",
  "\u007f\u0080\u009f",
  "é",
  "e\u0301",
  "語",
  "🎉👩‍👩‍👧",
  "'; drop table event_rows; --",
  "%s%n%00",
  "{{}}",
  "<script>",
  "NaN",
  "x".repeat(64),
  "x".repeat(128),
]

const brokenTexts = ["\0", "a\0b", "\ud800", "\udc00\ud800", "x".repeat(65), "x".repeat(257), "𝄞".repeat(300)]

function text(random: Pick): string {
  return random.chance(0.5) ? random.of(nastyTexts) : `t${random.whole(0, 50)}`
}

function number(random: Pick): number {
  return random.of([
    0,
    -1,
    1.5,
    0.1 + 0.2,
    1e21,
    -1e-7,
    5e-324,
    Number.MAX_VALUE,
    Number.MAX_SAFE_INTEGER + 2,
    random.whole(-1e9, 1e9),
    random.fraction(),
  ])
}

function anything(random: Pick, depth: number): unknown {
  const kind = random.whole(0, depth > 0 ? 6 : 3)
  if (kind === 0) return random.of([null, true, false])
  if (kind === 1) return number(random)
  if (kind <= 3) return random.chance(0.1) ? random.of(brokenTexts) : text(random)
  const inner = Array.from({ length: random.whole(0, 4) }, () => anything(random, depth - 1))
  return kind === 4 ? inner : Object.fromEntries(inner.map((value) => [text(random), value]))
}

/** May add an error to the values: a wrong type, an exceeded limit, a missing field, or too many levels. */
function maybeMutated(random: Pick, value: Event | Event[]): unknown {
  if (random.chance(0.45)) return value
  if (random.chance(0.05)) return anything(random, 2)
  if (Array.isArray(value)) {
    if (value.length === 0) return value
    const index = random.whole(0, value.length - 1)
    return value.with(index, mutatedEvent(random, value[index] as Event) as Event)
  }
  return mutatedEvent(random, value)
}

function mutatedEvent(random: Pick, value: Event): unknown {
  const field = random.of(fields)
  switch (random.whole(0, 6)) {
    case 0:
      return { ...value, [field]: anything(random, 2) }
    case 1:
      return { ...value, [field]: random.of(brokenTexts) }
    case 2:
      return { ...value, [field]: null }
    case 3:
      return { ...value, properties: nestedIn(random, random.whole(60, 70)) }
    case 4:
      return {
        ...value,
        properties: { p: random.of(["x", "é", "語", "\n"]).repeat(random.whole(10_000, 34_000)) },
      }
    case 5: {
      const { [field]: _, ...rest } = value
      return rest
    }
    default:
      return anything(random, 1)
  }
}

function nestedIn(random: Pick, levels: number): unknown {
  let inner: unknown = 1
  for (let level = 1; level < levels; level++) inner = random.chance(0.5) ? [inner] : { n: inner }
  return { inner }
}

/** Serializes a value, and may add an error that only JSON text can have. */
function json(random: Pick, value: unknown): string {
  const plain = JSON.stringify(value)
  if (random.chance(0.9)) return plain
  const swaps: [RegExp, string][] = [
    [/:(-?\d[\d.e+]*)/, ":1e400"],
    [/:(-?\d[\d.e+]*)/, ":-0"],
    [/:(-?\d[\d.e+]*)/, ":9007199254740993"],
    [/:(-?\d[\d.e+]*)/, ":0123"],
    [/:"/, ':"\\ud800'],
    [/:"/, ':"\\u0000'],
    [/:"/, ':"\\x'],
    [/\{/, '{"name":"twice",'],
    [/\{/, '{"__proto__":{"name":"p"},'],
    [/,/, ",,"],
    [/"name"/, '"\\u006eame"'],
    [/\{/, " \n{\t"],
    [/$/, " "],
    [/$/, plain],
    [/^/, "\ufeff "],
  ]
  const [pattern, replacement] = random.of(swaps)
  return plain.replace(pattern, () => replacement)
}

function damaged(random: Pick, bytes: Buffer): Buffer {
  if (random.chance(0.75)) return bytes
  const at = random.whole(0, bytes.length)
  switch (random.whole(0, 5)) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      return bytes.subarray(at)
    case 2:
      return Buffer.concat([bytes.subarray(0, at), randomBytes(random), bytes.subarray(at)])
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.whole(at, bytes.length))])
    case 4:
      return random.chance(0.1) ? Buffer.concat([bytes, Buffer.alloc(2_100_000, 32)]) : flipped(random, bytes)
    default:
      return flipped(random, bytes)
  }
}

function flipped(random: Pick, bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes)
  for (let flips = random.whole(1, 4); flips > 0 && copy.length > 0; flips--) {
    const at = random.whole(0, copy.length - 1)
    copy[at] = (copy[at] as number) ^ (1 << random.whole(0, 7))
  }
  return copy
}

function randomBytes(random: Pick): Buffer {
  return Buffer.from(Array.from({ length: random.whole(1, 8) }, () => random.whole(0, 255)))
}

function oddHeaders(random: Pick): Record<string, string> {
  if (random.chance(0.85)) return {}
  return random.of<Record<string, string>>([
    { "content-type": "text/plain" },
    { "content-type": "application/x-www-form-urlencoded" },
    { "content-type": text(random).replace(/[^ -~]/g, "") },
    { "content-encoding": random.of(["br", "gzip", "identity", "deflate"]) },
    {
      origin: random.of([
        "https://example.com",
        "https://evil.test",
        "null",
        "not an origin",
        "http://localhost",
      ]),
    },
    { "x-request-id": random.of(["fine-1", "not fine", "x".repeat(200)]) },
    { "x-api-key": random.of([secrets.full, secrets.revoked, "x", ""]) },
    { authorization: random.of(["Basic eA==", "Bearer", `bearer ${secrets.full}`, "x".repeat(5_000)]) },
    { "x-forwarded-for": random.of(["", "::1", "1.2.3.4, 5.6.7.8", "nonsense", ",,,", "[::1]:80"]) },
  ])
}

function preview(body: Uint8Array): string {
  return body.length > 4_000 ? `${body.length} bytes` : Buffer.from(body).toString("latin1")
}

import { type EventKind, eventKinds } from "../../src/event-kinds.ts"
import { readEvents, toRow } from "../../src/ingest/event.ts"
import {
  type AcquisitionContext,
  acquisitionFields,
  type ClientContext,
  type ContextField,
  clientFields,
  contextFields,
  splitContext,
} from "../../src/store/contexts.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { Writer } from "../../src/store/ingest/writer.ts"
import { createWebsite, type Website } from "../../src/store/websites.ts"
import type { Pick } from "../support/random.ts"
import type { RawEvent } from "./reference.ts"

const minute = 60_000
const day = 86_400_000

/** Clock changes in Berlin, New York, Lord Howe (half an hour), Chatham and Apia (a skipped day), and one time without any. */
const centers = [
  "2026-03-29T01:00Z",
  "2026-10-25T01:00Z",
  "2026-03-08T07:00Z",
  "2026-11-01T06:00Z",
  "2026-04-04T15:00Z",
  "2026-10-03T15:30Z",
  "2026-04-04T14:00Z",
  "2026-09-26T14:00Z",
  "2011-12-30T10:00Z",
  "2026-01-01T00:00Z",
].map((time) => Date.parse(time))

export const names = [
  "page",
  "cart",
  "bought",
  "signed_up",
  "Page",
  " ",
  "naïve ☕",
  "🙂",
  "\uffee",
  `quote "'\\`,
  "__proto__",
  "constructor",
  "null",
]
export const paths = ["/", "/pricing", "/a b?c=d&e", "/日本", "/PRICING", "null"]
export const keys = ["plan", "n", "cart", "a.b", "__proto__", "", "constructor", "mixed", "id", "0", "naïve"]
export const plans = [
  "free",
  "pro",
  "team",
  "Pro",
  "",
  "null",
  "true",
  "5",
  `"pro"`,
  "\uffee",
  "🙂",
  "é",
  "e\u0301",
]

/** Event names of the page script. Custom events can have the same names. */
export const pageNames = ["screen_view", "page_exit", "error"]
export const contextValues = ["DE", "France", "google", 'a"b', "😀", "null"]

/** The parameters of a random data set. */
export interface World {
  random: Pick
  websites: (Website | undefined)[]
  /** Unix ms; most events are near it. */
  center: number
}

export function makeWorld(db: Db, random: Pick): World {
  const center = random.of(centers)
  const websites = ["6a1f8f2e-0000-4000-8000-00000000000a", "other"].map((id) => {
    const settings = { domain: `${id}.example`, name: id, allowedOrigins: [], anonymize: "off" as const }
    return createWebsite(db, id, settings, center)
  })
  return { random, websites: [undefined, ...websites], center }
}

export function timeNear({ random, center }: Omit<World, "websites">): number {
  const span = random.of([2 * minute, 3 * 60 * minute, day, 3 * day, 40 * day])
  const ts = center + random.whole(-span, span)
  // Rounded so that many events have the same time, often exactly at the start of a minute, an hour or a day.
  const grid = random.of([1, 1, 1_000, minute, 15 * minute, 60 * minute, day])
  return Math.floor(ts / grid) * grid - (random.chance(0.1) ? 1 : 0)
}

function someValue(random: Pick, depth = 0): unknown {
  switch (random.whole(0, depth > 1 ? 6 : 9)) {
    case 0:
    case 1:
      return random.of(plans)
    case 2:
      return random.whole(-3, 9)
    case 3:
      return random.of([0, -0, 0.1, -2.5, 1e15, -1e15, 1e21, 5e-7, 2 ** 53, 0.1 + 0.2, 255, 256, 65_536])
    case 4:
      return random.chance(0.5)
    case 5:
      return null
    case 6:
      return random.of([
        "2026-11-24",
        "2026-11-24T10:00:00Z",
        "2026-99-99",
        "https://example.com/x",
        "http://a",
        " 12 ",
        "1e3",
        "01129",
        "19.90",
        "-3",
        "9007199254740993",
        "\ud800",
        "a\0b",
        "line\nend",
      ])
    case 7:
      return [random.whole(0, 2), random.of(plans), ...(depth > 1 ? [] : [someObject(random, depth + 1)])]
    case 8:
      return {}
    default:
      return someObject(random, depth + 1)
  }
}

function someObject(random: Pick, depth: number): object {
  const entries = Array.from({ length: random.whole(0, 4) }, () => [
    random.of([...keys, "total", "b", "b.c"]),
    someValue(random, depth),
  ])
  return Object.fromEntries(entries)
}

function someProperties(random: Pick): object | undefined {
  if (random.chance(0.1)) return undefined
  if (random.chance(0.3)) return someObject(random, 0)
  const entries: [string, unknown][] = []
  if (random.chance(0.8)) entries.push(["plan", random.of(plans)])
  if (random.chance(0.7))
    entries.push(["n", random.chance(0.9) ? random.whole(-50, 400) / 4 : someValue(random)])
  if (random.chance(0.5)) entries.push(["id", `id-${random.whole(0, 1e9)}`])
  if (random.chance(0.3)) entries.push(["cart", { total: random.whole(0, 30), b: { c: random.of(plans) } }])
  if (random.chance(0.2)) entries.push(["time_on_page", random.whole(0, 12)])
  if (random.chance(0.2)) entries.push(["big", random.fraction() * 1e9])
  if (random.chance(0.2)) {
    entries.push([
      "items",
      Array.from({ length: random.whole(0, 3) }, () => ({ sku: random.of(plans), n: 1 })),
    ])
  }
  if (random.chance(0.2)) entries.push(["mixed", someValue(random)])
  if (random.chance(0.05)) entries.push([`made_up_${random.whole(0, 500)}`, 1])
  if (random.chance(0.1)) entries.push(["query_string", random.of(["?a=1", "?b=2", 5])])
  if (random.chance(0.02)) entries.push(["\ud800 half", "x"])
  return Object.fromEntries(entries)
}

const maybe = <Value>(random: Pick, share: number, value: () => Value) =>
  random.chance(share) ? { value: value() } : undefined

function someContext<Field extends string>(
  random: Pick,
  fields: readonly Field[],
): Record<Field, string> | null {
  if (random.chance(0.2)) return null
  const filled = random.of([0, 0.2, 0.9])
  return Object.fromEntries(
    fields.map((field) => [field, random.chance(filled) ? random.of(contextValues) : ""]),
  ) as Record<Field, string>
}

/** The kind and the contexts of an event. Half of the events have neither, like events sent to /track. */
function someKind(random: Pick): Partial<EventRow> {
  if (random.chance(0.5)) return {}
  const kind: EventKind = random.of(["page_view", "page_view", ...eventKinds])
  const client: ClientContext | null = someContext(random, clientFields)
  const acquisition: AcquisitionContext | null = someContext(random, acquisitionFields)
  return { kind, client, acquisition, ...(random.chance(0.7) ? { name: random.of(pageNames) } : {}) }
}

/** Rows as POST /track and the page script create them, not sorted by time. */
export function someRows(world: World, count: number): EventRow[] {
  const { random, websites } = world
  // Few visitors with many events, so that they return. Half of the events have one of three names.
  const people = random.of([5, 40, 400])
  return Array.from({ length: count }, () => {
    const timestamp = timeNear(world)
    const person = random.whole(1, people)
    const body = {
      name: random.chance(0.5) ? random.of(names.slice(0, 3)) : random.of(names),
      namespace: maybe(random, 0.3, () => random.of(["shop", "blog", "é"]))?.value,
      source: maybe(random, 0.3, () => random.of(["app", "backend"]))?.value,
      path: maybe(random, 0.7, () => random.of(paths))?.value,
      anonymousId: maybe(random, 0.9, () => `visitor ${person}`)?.value,
      sessionId: maybe(random, 0.8, () => `session ${person} ${random.whole(1, 3)}`)?.value,
      profileId: maybe(random, 0.2, () => `profile ${person % 7}`)?.value,
      timestamp,
      properties: someProperties(random),
    }
    const receivedAt = timestamp + random.whole(0, day)
    const given = JSON.parse(JSON.stringify(body))
    const [event] = readEvents(given, { maxEvents: 1, now: receivedAt, isRegistered: () => true })
    if (!event) throw new Error("no event was made")
    const sender = { viaKey: true, crawler: random.chance(0.1), receivedAt }
    const website = random.chance(0.6) ? websites[1] : random.of(websites)
    return { ...toRow(event, website, sender), ...someKind(random) }
  })
}

/** Stores rows as the server does. */
export function insertRows(db: Db, rows: EventRow[]): void {
  const dailyHash = new DailyHash(db, (bytes) => crypto.getRandomValues(bytes))
  const writer = new Writer(db, new EventInserter(db, dailyHash), dailyHash)
  for (const error of writer.commit([{ rows, size: 0 }])) if (error) throw error
}

/** Links visitors to profiles, as POST /identify does. One visitor gets more profiles than a device may have. */
export function linkSome(db: Db, { random }: World, count: number): void {
  const link = db.prepare(
    "insert or ignore into profile_links (website_rid, anonymous_id, profile_id, linked_at) values (:rid, :visitor, :profile, :at)",
  )
  for (let index = 0; index < count; index++) {
    const profile = random.chance(0.2) ? `only linked ${random.whole(0, 3)}` : `profile ${random.whole(0, 8)}`
    link.run({
      rid: random.whole(1, 2),
      visitor: `visitor ${random.whole(1, 20)}`,
      profile,
      at: random.whole(0, 5),
    })
  }
  for (let index = 0; index < 21; index++) {
    link.run({ rid: 1, visitor: "visitor 2", profile: `customer ${index}`, at: index })
  }
}

/** All events, as the view `events` shows them. */
export function rawEvents(db: Db): RawEvent[] {
  const rows = db
    .prepare(`
      select e.id, coalesce(w.rid, 0) as websiteRid, e.name, e.kind, e.namespace, e.source, e.timestamp as ts,
        e.received_at as receivedAt, e.anonymous_id as anonymousId, e.session_id as sessionId,
        e.profile_id as profileId, e.path, e.event_id as eventId, e.crawler, e.properties, e.website_id as websiteId,
        ${contextFields.join(", ")}
      from events as e left join websites as w on w.id = e.website_id and w.deleted_at is null`)
    .all() as (Omit<RawEvent, "crawler" | "parsed" | "profiles" | "linked" | "context"> & {
    crawler: number
  } & Record<ContextField, string | null>)[]
  const links = db
    .prepare(
      "select website_rid as rid, anonymous_id as visitor, profile_id as profile, linked_at as at from profile_links",
    )
    .all() as { rid: number; visitor: string; profile: string; at: number }[]
  return rows.map((row) => {
    const all = links.filter(({ rid, visitor }) => rid === row.websiteRid && visitor === row.anonymousId)
    const theirs = all.length > 20 ? [] : all
    theirs.sort((one, other) => other.at - one.at || (one.profile < other.profile ? -1 : 1))
    const { rest, context } = splitContext(row)
    return {
      ...rest,
      context,
      crawler: row.crawler === 1,
      parsed: row.properties === null ? null : (JSON.parse(row.properties) as object),
      profiles: row.profileId === null ? theirs.map(({ profile }) => profile) : [row.profileId],
      linked: theirs[0]?.profile ?? null,
    }
  })
}

import { expect, test } from "bun:test"
import { applySealedBatch } from "../../src/columns/sealed-batch.ts"
import { nextWork, Sealer, sealAll } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import { executeQuery, executeQuerySync } from "../../src/query/engine/execute.ts"
import { type TrafficQuery, trafficKinds } from "../../src/query/query.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { closeDatabase } from "../../src/store/db/open.ts"
import type { EventRow } from "../../src/store/events.ts"
import { openTestDatabase, temporaryFolder } from "../harness.ts"
import { Clocks } from "../reference/clock.ts"
import { difference } from "../reference/compare.ts"
import { insertRows, makeWorld, rawEvents, type World } from "../reference/events.ts"
import { type RawEvent, referenceResult } from "../reference/reference.ts"
import { runToEnd } from "../support/batches.ts"
import { acquisition, client, pageView } from "../support/page-event.ts"
import { mulberry32, picker } from "../support/random.ts"

// Page views in mostly short sessions, as on a website, so that counts are cached per day. After each of many small
// changes (new, late and deleted events, sealing, merging), results computed from the cached counts are compared with
// those of the reference. Set DATABUDDY_FUZZ_SEED to repeat a run, and DATABUDDY_FUZZ_WORLDS to use several seeds.

const firstSeed = Number(process.env.DATABUDDY_FUZZ_SEED ?? 1)
const worlds = Number(process.env.DATABUDDY_FUZZ_WORLDS ?? 1)
const changesPerWorld = Number(process.env.DATABUDDY_FUZZ_CHANGES ?? 12)
const day = 86_400_000
const minute = 60_000
/** A day long after all test data, in days since 1970, so that all days are over and their blocks are merged. */
const farDay = 30_000

interface Site {
  world: World
  /** Midnight (UTC) before the first day. */
  start: number
  days: number
  sessions: { id: string; visitor: string; begin: number }[]
}

/** An event of a session, `offset` ms after it began. */
function eventOf(
  { world: { random, websites } }: Site,
  session: Site["sessions"][number],
  offset: number,
): EventRow {
  const ts = session.begin + offset
  const own = {
    websiteRid: websites[random.chance(0.95) ? 1 : 2]?.rid ?? 0,
    ts,
    receivedAt: ts + random.whole(0, 5_000),
    anonymousId: random.chance(0.95) ? session.visitor : null,
    sessionId: session.id,
    crawler: random.chance(0.03) ? (1 as const) : (0 as const),
    path: random.of(["/", "/pricing", "/a", "/b"]),
    client: client({ country: random.of(["DE", "FR", ""]), device_type: random.of(["desktop", "mobile"]) }),
    acquisition: acquisition({
      referrer_domain: random.of(["google.com", "news.example", ""]),
      referrer_type: random.of(["search", "other", "direct"]),
    }),
  }
  const kind = random.of(["page_view", "page_view", "page_exit", "page_exit", "custom", "error"] as const)
  if (kind === "page_view") return pageView({ ...own, sessionId: random.chance(0.97) ? session.id : null })
  const properties =
    kind === "page_exit"
      ? {
          keys: '["time_on_page"]',
          properties: String(random.of([0, 1, 4, 9, 30, 5_000, 0.1, 0.2, 2.7, 9.99, 4_999.123])),
        }
      : { keys: "[]", properties: "" }
  return pageView({ ...own, kind, name: kind === "custom" ? "bought" : kind, ...properties })
}

/** New sessions that begin on one of the last `lastDays` days. */
function newSessions(site: Site, count: number, lastDays: number): EventRow[] {
  const { random } = site.world
  return Array.from({ length: count }, () => {
    const number = site.sessions.length
    const at = site.days - lastDays * random.fraction()
    // Some begin just before midnight.
    const place = random.chance(0.1) ? Math.ceil(at) - 5 / 1_440 : at
    const begin = site.start + Math.floor((place * day) / minute) * minute
    const session = { id: `session ${number}`, visitor: `visitor ${number % 50}`, begin }
    site.sessions.push(session)
    return Array.from({ length: random.whole(1, 4) }, (_, event) =>
      eventOf(site, session, event * 2 * minute),
    )
  }).flat()
}

/** Events of existing sessions: shortly after the session began, before it, or days later. */
function moreEvents(site: Site, count: number): EventRow[] {
  const { random } = site.world
  return Array.from({ length: count }, () => {
    const session = random.of(random.chance(0.7) ? site.sessions.slice(-20) : site.sessions)
    const offset = random.of([random.whole(0, 30) * minute, -5 * minute, random.whole(0, 3) * day])
    return eventOf(site, session, offset)
  })
}

const changes: ((db: Db, site: Site) => void)[] = [
  (db, site) => insertRows(db, newSessions(site, 20, 1)),
  (db, site) => insertRows(db, newSessions(site, 10, 3)),
  (db, site) => insertRows(db, moreEvents(site, 15)),
  (db) => sealAll(db, 0),
  (db) => sealAll(db, farDay),
  (db, { world: { random } }) => {
    db.prepare("delete from event_rows where website_rid >= 0 and id % 41 = :rest").run({
      rest: random.whole(0, 40),
    })
  },
  (db, { sessions, world: { random } }) => {
    db.prepare("delete from event_rows where session_id = :id").run({ id: random.of(sessions).id })
  },
  (db) => {
    sealAll(db, farDay)
    const batch = runToEnd(nextWork(new Sealer(db), { minimum: 1, today: farDay, collect: true }))
    if (batch) applySealedBatch(db, batch)
  },
  (_, site) => {
    site.days++
  },
]

function queriesOf({ start, days, world: { random, websites } }: Site): TrafficQuery[] {
  const rid = websites[1]?.rid ?? 0
  const scope = {
    websites: random.chance(0.8) ? [rid] : [rid, websites[2]?.rid ?? 0],
    zone: random.of(["UTC", "Europe/Berlin"]),
    crawlers: random.chance(0.2),
    filters: random.chance(0.3)
      ? [
          {
            field: random.of(["country", "path"] as const),
            op: "eq",
            value: random.of(["DE", "/pricing"]),
          } as const,
        ]
      : [],
  }
  const hour = 3_600_000
  const ranges = [
    { from: start - day, to: start + days * day },
    { from: start - day, to: start + (days - random.fraction()) * day },
    { from: start + 2 * day - 2 * hour, to: start + (days - 1) * day - 2 * hour },
    { from: start + Math.floor(random.fraction() * days * 96) * 15 * minute, to: start + days * day },
  ].map(({ from, to }) => ({ from, to: Math.max(from + 1, Math.floor(to)) }))
  return ranges.flatMap((range): TrafficQuery[] => [
    { kind: "traffic", scope: { ...scope, ...range, kinds: trafficKinds } },
    {
      kind: "traffic",
      scope: { ...scope, ...range, kinds: trafficKinds },
      granularity: random.of(["hourly", "daily", "weekly"] as const),
    },
    ...(["first", "last", "each"] as const).map(
      (view): TrafficQuery => ({
        kind: "traffic",
        scope: { ...scope, ...range, kinds: ["page_view"] },
        by: {
          view,
          fields: random.of([["path"], ["referrer_domain", "referrer_type"], ["country"]] as const),
        },
      }),
    ),
  ])
}

function differences(
  answers: ((query: TrafficQuery) => unknown)[],
  events: readonly RawEvent[],
  query: TrafficQuery,
  clocks: Clocks,
): string[] {
  const expected = referenceResult(events, query, clocks)
  return answers.flatMap((answer) => difference(query, answer(query), expected) ?? [])
}

for (let seed = firstSeed; seed < firstSeed + worlds; seed++) {
  test(`counts of page views from cached days match the reference (DATABUDDY_FUZZ_SEED=${seed})`, () => {
    using folder = temporaryFolder()
    const db = openTestDatabase(folder.file("test.db"))
    try {
      const world = makeWorld(db, picker(mulberry32(seed)))
      const { random } = world
      const site: Site = { world, start: Date.UTC(2026, 9, 20), days: 6, sessions: [] }
      const clocks = new Clocks()
      const [ample, tiny] = [new SnapshotReader(db, 2 ** 26, 4), new SnapshotReader(db, 2 ** 17, 20)]
      let fromCache = 0
      const cached = (reader: SnapshotReader) => (query: TrafficQuery) => {
        const { result, statistics } = runToEnd(executeQuery(reader, query))
        if (statistics.source.startsWith("kept") && statistics.rows > 0) fromCache++
        return result
      }
      const answers = [
        cached(ample),
        cached(tiny),
        cached(ample),
        (query: TrafficQuery) => executeQuerySync(db, query).result,
      ]
      insertRows(db, newSessions(site, 250, 6))
      sealAll(db, 0)
      for (let step = 0; step < changesPerWorld; step++) {
        const change = random.whole(0, changes.length - 1)
        changes[change]?.(db, site)
        const events = rawEvents(db)
        for (const query of queriesOf(site)) {
          const found = differences(answers, events, query, clocks)
          if (found.length > 0)
            throw new Error(`step ${step}, change ${change}: ${found[0]}\n${JSON.stringify(query)}`)
        }
      }
      // Otherwise, the test would only compare full scans.
      expect(fromCache).toBeGreaterThan(changesPerWorld)
    } finally {
      closeDatabase(db)
    }
  })
}

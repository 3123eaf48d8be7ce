import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { createKey } from "../../src/store/keys.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { openReader, type Server, startServer } from "../harness.ts"
import { mulberry32 } from "../support/random.ts"
import { makeBlocks, website } from "./engines.ts"
import { median, percentile } from "./statistics.ts"
import { pages, spanMs, trafficRows, viewsPerSession } from "./traffic-dataset.ts"

interface Options {
  views: number
  exits: boolean
  rounds: number
  /** Events that arrive per second while the page is loaded. */
  arriving: number
  dir?: string
}

/** A server with the data set. */
interface Target {
  server: Server
  key: string
  /** Unix ms of the newest event. */
  end: number
}

/** Rows inserted at once. */
const rowsPerInsert = 10_000
/** Page cache in KiB while rows are inserted: enough for the index of event IDs, into which random IDs are inserted. */
const loadCacheKiB = 2_097_152
const out = (line: string) => process.stdout.write(`${line}\n`)

const compare = "previous_period"
/** The parameters that the dashboard's Web page sends in one request. */
const page = [
  { name: "summary_metrics", compare },
  { name: "events_by_date", granularity: "daily", compare },
  { name: "top_pages", limit: 10, compare },
  { name: "traffic_sources", limit: 10, compare },
  { name: "country", limit: 300 },
  { name: "device_types", limit: 10 },
  { name: "outbound_links", limit: 10, compare },
]

/** Turns the rate limit off, because all requests come from one address. */
const unlimited = ["--rate-limit", "0"]
/** The queries of all tables of the Web page. */
const types = [
  "summary_metrics",
  "events_by_date",
  "top_pages",
  "entry_pages",
  "exit_pages",
  "page_time_analysis",
  "traffic_sources",
  "utm_campaigns",
  "country",
  "device_types",
  "browsers",
  "operating_systems",
  "language",
  "screen_resolution",
]

/**
 * Prints the disk space that page views take up, the time of each query on them (in a new process, then repeated), and
 * the time of the Web page's request while events arrive. A session has three views, each with an exit, and a visitor
 * has two sessions. 300 pages, 40 countries, 200 user agents and 2,000 referrers follow Zipf's law. IDs are UUIDs, like
 * those that the page script creates.
 */
export async function benchTraffic({ views, exits, rounds, arriving, dir }: Options): Promise<void> {
  const parent = dir ?? mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  const folder = join(parent, `traffic-${views}${exits ? "" : "-alone"}`)
  try {
    if (!existsSync(join(folder, "key"))) build(folder, views, exits)
    printBytes(join(folder, "databuddy.db"))
    // Arriving events must not change the data that a later run queries.
    const db = join(folder, "copy.db")
    copyFileSync(join(folder, "databuddy.db"), db, constants.COPYFILE_FICLONE)
    const server = await startServer({ db, args: unlimited })
    try {
      const target = { server, key: readFileSync(join(folder, "key"), "utf8"), end: endOf(db) }
      out(`\n| ${views.toLocaleString("en")} page views, ms | first | repeated | rows |`)
      out("|---|---:|---:|---:|")
      for (const type of types) {
        const times: number[] = []
        let rows = 0
        for (let round = 0; round <= rounds; round++) {
          const start = performance.now()
          rows = await runQueries(target, [type])
          times.push(performance.now() - start)
        }
        const [first = 0, ...repeated] = times
        out(`| ${type} | ${first.toFixed(0)} | ${median(repeated).toFixed(0)} | ${rows} |`)
      }
      await printPage(target, arriving, rounds)
    } finally {
      await server.stop()
      rmSync(db)
    }
  } finally {
    if (dir === undefined) rmSync(parent, { recursive: true })
  }
}

/** Prints the time of the page's request, first and repeated, without and with arriving events. */
async function printPage(target: Target, arriving: number, rounds: number): Promise<void> {
  out("\n| the Web page, ms | first | p50 | p99 | max |\n|---|---:|---:|---:|---:|")
  const requests = [
    ["its request", page],
    ["the tables of all tabs, in one request", types],
  ] as const
  for (const rate of [0, arriving]) {
    const sending = rate > 0 ? sendViews(target, rate) : undefined
    // Waits for the duration of a session, so that sessions of all ages are in progress.
    if (sending) await Bun.sleep(sessionMs)
    for (const [name, parameters] of requests) {
      const times: number[] = []
      for (let round = 0; round <= rounds * 10; round++) {
        const start = performance.now()
        await runQueries(target, parameters)
        times.push(performance.now() - start)
        // Varies the pauses, so that they are not in step with the sealing of new events.
        if (rate > 0) await Bun.sleep(150 + ((round * 37) % 100))
      }
      const [first = 0, ...repeated] = times
      const at = (share: number) => percentile(repeated, share).toFixed(0)
      out(`| ${name}; ${rate} events/s | ${first.toFixed(0)} | ${at(0.5)} | ${at(0.99)} | ${at(1)} |`)
    }
    if (sending) out(`\n${await sending.stop()} events arrived meanwhile`)
  }
}

/** ms from the first view of an arriving session to its last exit. */
const sessionMs = 5_000
const eventsPerRequest = 10
/** One in this many exits comes from a tab that was left open, so its session is in the data set. */
const oldTabs = 100

/** Sends the views and exits of new sessions, in order. `stop` returns the number of events that arrived. */
function sendViews({ server, end }: Target, perSecond: number): { stop: () => Promise<number> } {
  const started = Date.now()
  const db = openReader(server.db)
  const old = db
    .prepare("select session_id from events order by id desc limit 20000")
    .pluck()
    .all() as string[]
  db.close()
  const random = mulberry32(12)
  const open: { session: string; visitor: string; sent: number; due: number }[] = []
  let sent = 0
  const next = (): object => {
    const now = Date.now()
    const timestamp = end + now - started
    const common = { path: `https://bench.example/page/${Math.floor(random() * pages)}`, timestamp }
    const eventId = crypto.randomUUID()
    const index = open.findIndex(({ due }) => due <= now)
    const going = open[index]
    if (!going) {
      const [session, visitor] = [`sess_${crypto.randomUUID()}`, `anon_${crypto.randomUUID()}`]
      open.push({ session, visitor, sent: 1, due: now + sessionMs / (viewsPerSession * 2) })
      const from = {
        anonymousId: visitor,
        sessionId: session,
        referrer: `https://site${Math.floor(random() * 50)}.example/`,
      }
      return { name: "screen_view", eventId, ...common, ...from, title: "New" }
    }
    const isExit = going.sent % 2 === 1
    going.sent++
    going.due = now + sessionMs / (viewsPerSession * 2)
    if (going.sent >= viewsPerSession * 2) open.splice(index, 1)
    const isOld = isExit && random() * oldTabs < 1
    const sessionId = isOld ? (old[Math.floor(random() * old.length)] as string) : going.session
    const ids = { anonymousId: going.visitor, sessionId }
    return isExit
      ? { name: "page_exit", eventId, ...common, ...ids, time_on_page: Math.floor(random() * 300) }
      : { name: "screen_view", eventId, ...common, ...ids, title: "Next" }
  }
  let last = Promise.resolve()
  const timer = setInterval(
    () => {
      const items = Array.from({ length: eventsPerRequest }, next)
      last = fetch(`${server.url}/batch?client_id=${website}`, {
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          "User-Agent": browser,
          Origin: "https://bench.example",
        },
        body: JSON.stringify(items),
      }).then(async (response) => {
        const answer = (await response.json()) as { status: string }
        if (answer.status !== "success") throw new Error(JSON.stringify(answer))
        sent += items.length
      })
    },
    (1_000 / perSecond) * eventsPerRequest,
  )
  return {
    stop: async () => {
      clearInterval(timer)
      await last
      return sent
    },
  }
}

const browser =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

/** Returns the Unix ms of the newest event. Queries end there as well, because a reused data set ends in the past. */
function endOf(path: string): number {
  const db = openReader(path)
  const end = db.prepare("select max(ts) from event_rows").pluck().get() as number
  db.close()
  return end
}

const dateOf = (ms: number) => new Date(ms).toISOString().slice(0, 10)

/** Queries the days of the data set, which ends at `end`. Returns the number of rows. */
async function runQueries(
  { server, key, end }: Target,
  parameters: readonly (string | object)[],
): Promise<number> {
  const response = await fetch(`${server.url}/v1/query?website_id=${website}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}` },
    body: JSON.stringify({ startDate: dateOf(end - spanMs), endDate: dateOf(end), parameters }),
  })
  const { data } = (await response.json()) as {
    data: { success: boolean; error?: string; data: unknown[] }[]
  }
  for (const { success, error } of data) if (!success) throw new Error(error)
  return data.reduce((sum, one) => sum + one.data.length, 0)
}

function build(folder: string, views: number, exits: boolean): void {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const path = join(folder, "databuddy.db")
  const now = Date.now()
  const startedAt = performance.now()
  const secondsSince = (start: number) => ((performance.now() - start) / 1_000).toFixed(0)
  const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
  const db = openDatabase({ path, durability: "os", busyTimeout: 0, now })
  const settings = { domain: "bench.example", name: "bench", anonymize: "off" } as const
  const { rid } = createWebsite(db, website, { ...settings, allowedOrigins: [] }, now)
  // Event IDs are random, so each commit of 10,000 rows would change about as many pages of their index, and each
  // changed page would be written twice. A single transaction without a journal writes each page once.
  db.pragma("journal_mode = off")
  db.pragma(`cache_size = -${loadCacheKiB}`)
  const inserter = new EventInserter(db, new DailyHash(db, random))
  db.transaction(() => {
    let rows: EventRow[] = []
    for (const row of trafficRows(views, exits, rid, now)) {
      if (rows.push(row) < rowsPerInsert) continue
      inserter.insert(rows)
      rows = []
    }
    inserter.insert(rows)
  })()
  db.pragma("journal_mode = wal")
  const grant = {
    name: "bench",
    scopes: ["read:data" as const],
    websites: null,
    rateLimit: null,
    expiresAt: null,
  }
  const { secret } = createKey(db, crypto.randomUUID(), grant, random, now)
  closeDatabase(db)
  out(`events inserted in ${secondsSince(startedAt)} s`)
  const sealedAt = performance.now()
  makeBlocks(path)
  out(`column blocks built in ${secondsSince(sealedAt)} s\n`)
  writeFileSync(join(folder, "key"), secret)
}

/** Prints the bytes of the file per event, by content. */
function printBytes(path: string): void {
  const db = openReader(path)
  const events = db.prepare("select count(*) from event_rows").pluck().get() as number
  const sizes = db
    .prepare(
      "select name, sum(pgsize) as bytes from dbstat where aggregate = true group by name order by bytes desc",
    )
    .all() as { name: string; bytes: number }[]
  db.close()
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0)
  const parts = sizes.slice(0, 10).map(({ name, bytes }) => `${name} ${(bytes / events).toFixed(1)}`)
  out(`bytes for each of ${events} events: ${(total / events).toFixed(1)} (${parts.join(", ")}, …)`)
}

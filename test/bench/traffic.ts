import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { createKey } from "../../src/store/keys.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { openReader, type Server, startServer } from "../harness.ts"
import { acquisition, client } from "../support/page-event.ts"
import { mulberry32 } from "../support/random.ts"
import { makeBlocks, website } from "./engines.ts"
import { zipf } from "./wide-dataset.ts"

interface Options {
  views: number
  rounds: number
  dir?: string
}

const spanMs = 30 * 86_400_000
const viewsPerSession = 3
const sessionsPerVisitor = 2
const pages = 300
const countries = 40
const clients = 200
const referrers = 2_000
const perCommit = 10_000
const out = (line: string) => process.stdout.write(`${line}\n`)

/** The queries of the dashboard's Web page. */
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
 * Prints what page views take on disk, and each query of them, first in a new process and repeated. A session has three views, each with an
 * exit; pages and referrers follow Zipf's law; ids are UUIDs, as the page script makes them.
 */
export async function benchTraffic({ views, rounds, dir }: Options): Promise<void> {
  const parent = dir ?? mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  const folder = join(parent, `traffic-${views}`)
  try {
    if (!existsSync(join(folder, "key"))) build(folder, views)
    printBytes(join(folder, "databuddy.db"))
    const server = await startServer({ db: join(folder, "databuddy.db") })
    try {
      const key = readFileSync(join(folder, "key"), "utf8")
      out(`\n| ${views.toLocaleString("en")} page views, ms | first | repeated | rows |`)
      out("|---|---:|---:|---:|")
      for (const type of types) {
        const times: number[] = []
        let rows = 0
        for (let round = 0; round <= rounds; round++) {
          const start = performance.now()
          rows = await ask(server, key, [type])
          times.push(performance.now() - start)
        }
        const [first = 0, ...repeated] = times
        const median = repeated.sort((left, right) => left - right)[Math.floor(repeated.length / 2)] ?? 0
        out(`| ${type} | ${first.toFixed(0)} | ${median.toFixed(0)} | ${rows} |`)
      }
      const start = performance.now()
      await ask(server, key, types)
      out(`\nall of them together, repeated: ${(performance.now() - start).toFixed(0)} ms`)
    } finally {
      await server.stop()
    }
  } finally {
    if (dir === undefined) rmSync(parent, { recursive: true })
  }
}

/** Returns the number of rows. */
async function ask(server: Server, key: string, parameters: string[]): Promise<number> {
  const response = await fetch(`${server.url}/v1/query?website_id=${website}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}` },
    body: JSON.stringify({ preset: "last_30d", parameters }),
  })
  const { data } = (await response.json()) as {
    data: { success: boolean; error?: string; data: unknown[] }[]
  }
  for (const { success, error } of data) if (!success) throw new Error(error)
  return data.reduce((sum, one) => sum + one.data.length, 0)
}

function build(folder: string, views: number): void {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const path = join(folder, "databuddy.db")
  const now = Date.now()
  const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
  const db = openDatabase({ path, durability: "os", busyTimeout: 0, now })
  const settings = { domain: "bench.example", name: "bench", anonymize: "off" } as const
  const { rid } = createWebsite(db, website, { ...settings, allowedOrigins: [] }, now)
  const inserter = new EventInserter(db, new DailyHash(db, random))
  const store = db.transaction((rows: EventRow[]) => inserter.insert(rows))
  let chunk: EventRow[] = []
  for (const row of trafficRows(views, rid, now)) {
    if (chunk.push(row) < perCommit) continue
    store.immediate(chunk)
    chunk = []
  }
  store.immediate(chunk)
  const grant = {
    name: "bench",
    scopes: ["read:data" as const],
    websites: null,
    rateLimit: null,
    expiresAt: null,
  }
  const { secret } = createKey(db, crypto.randomUUID(), grant, random, now)
  closeDatabase(db)
  makeBlocks(path)
  writeFileSync(join(folder, "key"), secret)
}

/** Views and exits in the order of time. The same seed makes the same events, but for their ids. */
function* trafficRows(views: number, rid: number, end: number, seed = 11): Generator<EventRow> {
  const random = mulberry32(seed)
  const page = zipf(pages, 1, random)
  const referrer = zipf(referrers, 1, random)
  const country = zipf(countries, 1, random)
  const agent = zipf(clients, 1, random)
  const sessions = Math.ceil(views / viewsPerSession)
  let visitor = ""
  let from = client({})
  for (let session = 0; session < sessions; session++) {
    if (session % sessionsPerVisitor === 0) {
      visitor = `anon_${crypto.randomUUID()}`
      const [place, kind] = [country(), agent()]
      from = client({
        browser_name: `Browser ${kind % 8}`,
        browser_version: String(kind),
        os_name: `System ${kind % 6}`,
        device_type: ["desktop", "mobile", "tablet"][kind % 3] as string,
        country: String.fromCharCode(65 + (place % 26), 65 + Math.floor(place / 26)),
        language: `l${place % 20}`,
        timezone: `Zone/${place % 30}`,
        screen_resolution: `${1_000 + (kind % 15)}x800`,
      })
    }
    const sessionId = `sess_${crypto.randomUUID()}`
    const start = end - spanMs + Math.floor((session / sessions) * (spanMs - 600_000))
    const site = referrer()
    const source = acquisition({
      referrer: `https://site${site}.example/`,
      referrer_domain: `site${site}.example`,
      referrer_type: site % 5 === 0 ? "search" : "other",
      ...(site % 10 === 0 && { utm_source: `source ${site % 7}`, utm_campaign: `campaign ${site % 30}` }),
    })
    for (let view = 0; view < viewsPerSession; view++) {
      const path = `/page/${page()}`
      const base = {
        websiteRid: rid,
        namespace: "",
        source: "",
        anonymousId: visitor,
        hashVisitor: false,
        sessionId,
        profileId: null,
        path,
        viaKey: 0 as const,
        crawler: 0 as const,
        client: from,
      }
      const ts = start + view * 60_000
      yield {
        ...base,
        name: "screen_view",
        kind: "page_view",
        acquisition: view === 0 ? source : acquisition({ referrer_type: "internal" }),
        eventId: crypto.randomUUID(),
        ts,
        receivedAt: ts + 50,
        keys: '["title","hostname","viewport_size"]',
        properties: `"Title of ${path}","bench.example","1200x700"`,
      }
      yield {
        ...base,
        name: "page_exit",
        kind: "page_exit",
        acquisition: null,
        eventId: crypto.randomUUID(),
        ts: ts + 40_000,
        receivedAt: ts + 40_050,
        keys: '["time_on_page","scroll_depth","interaction_count"]',
        properties: `${Math.floor(random() * 300)},${Math.floor(random() * 100)},${Math.floor(random() * 20)}`,
      }
    }
  }
}

/** Bytes of the file for each page view with its exit, by what they hold. */
function printBytes(path: string): void {
  const db = openReader(path)
  const views = db
    .prepare("select count(*) from event_rows where acquisition_id is not null")
    .pluck()
    .get() as number
  const sizes = db
    .prepare(
      "select name, sum(pgsize) as bytes from dbstat where aggregate = true group by name order by bytes desc",
    )
    .all() as { name: string; bytes: number }[]
  db.close()
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0)
  const parts = sizes.slice(0, 8).map(({ name, bytes }) => `${name} ${(bytes / views).toFixed(1)}`)
  out(`bytes for each page view with its exit: ${(total / views).toFixed(1)} (${parts.join(", ")}, …)`)
}

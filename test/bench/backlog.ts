import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { createKey } from "../../src/store/keys.ts"
import { createWebsite, listWebsites } from "../../src/store/websites.ts"
import { openReader } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { memoryOf } from "../support/memory.ts"
import { rowOf, type WideEvent, wideEvents, wideSpan } from "./wide-dataset.ts"
import { load, requestOf, websites } from "./wide-load.ts"

interface Options {
  seconds: number
  events: number
  rate: number
  baseline?: string
}

/** ms between two samples of the unsealed rows. */
const sampleInterval = 100
/** ms after which a query or the sealer counts as hung. */
const patience = 300_000
/** Sealing counts as finished once at most this many rows are unsealed: a server seals the rest within a minute. */
const fewRows = 10_000
/** ms for which a server is left idle. */
const settleMs = 10_000
/** ms until replaced blocks are deleted. */
const graceMs = 35_000
/** Rows per commit of the database that is filled directly. */
const rowsPerCommit = 2_000
/** Ticks of CPU time per second, as Linux counts them in /proc. */
const ticksPerSecond = 100

/** Results of one binary, in the order of the table's rows. */
class Measured extends Map<string, string> {
  override set(name: string, value: string): this {
    process.stderr.write(`${name}: ${value}\n`)
    return super.set(name, value)
  }
}

/**
 * Measures queries while many rows are unsealed: after a load at full speed, after a start with a backlog, after an
 * import, and while events arrive. If `baseline` is given, measures that binary as well, for comparison.
 */
export async function benchBacklog({ seconds, events, rate, baseline }: Options): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  try {
    const key = create(join(folder, "empty.db"))
    const end = Date.now()
    copyFileSync(join(folder, "empty.db"), join(folder, "rows.db"))
    fill(join(folder, "rows.db"), wideEvents(events, end))
    await writeLines(join(folder, "lines"), events, end)
    const binaries = baseline === undefined ? [binary] : [resolve(baseline), binary]
    const measured: Measured[] = []
    for (const file of binaries) {
      const results = new Measured()
      await measureLoad({ file, folder, key, results, seconds })
      await measureStart({ file, folder, key, results, events })
      await measureImport({ file, folder, key, results, events })
      await measureQueries({ file, folder, key, results, seconds, rate })
      measured.push(results)
    }
    const out = (cells: string[]) => process.stdout.write(`| ${cells.join(" | ")} |\n`)
    out(["", ...(baseline === undefined ? [] : ["baseline"]), "databuddy"])
    out(["---", ...measured.map(() => "---:")])
    for (const name of measured[0]?.keys() ?? []) out([name, ...measured.map((of) => of.get(name) ?? "")])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

interface Task {
  file: string
  folder: string
  key: string
  results: Measured
}

async function measureLoad({ file, folder, key, results, seconds }: Task & { seconds: number }) {
  const db = copyOf(folder, "empty.db")
  const server = await serve(file, db)
  const tail = watchTail(db)
  const { count, wait } = await load({ url: server.url, key, seconds })
  results.set("load at full speed: events/s", (count / seconds).toFixed(0))
  results.set("CPU µs per event", ((server.cpu() / count) * 1e6).toFixed(1))
  results.set("p99 of a request with 500 events, ms", wait.toFixed(0))
  results.set("most rows unsealed", tail.most())
  results.set("oldest row unsealed, s", tail.oldest())
  results.set("first query after the load, ms", await firstQuery(server.url, key))
  results.set("a different query, ms", await firstQuery(server.url, key, "top"))
  results.set("peak memory, MiB", server.memory().toFixed(0))
  await Bun.sleep(settleMs)
  results.set("10 s later: rows unsealed", tail.rows().toLocaleString("en"))
  results.set("blocks", tail.blocks())
  tail.stop()
  await server.stop()
  const again = await serve(file, db)
  results.set("first query after a restart, ms", await firstQuery(again.url, key))
  results.set("memory after a restart, MiB", again.memory().toFixed(0))
  await again.stop()
}

async function measureStart({ file, folder, key, results, events }: Task & { events: number }) {
  const db = copyOf(folder, "rows.db")
  const server = await serve(file, db)
  const tail = watchTail(db)
  const begin = performance.now()
  const query = firstQuery(server.url, key)
  const sealed = until(() => tail.rows() <= fewRows).then(() => performance.now() - begin)
  results.set(`start with ${events.toLocaleString("en")} rows unsealed: first query, ms`, await query)
  const ms = await sealed
  results.set("sealed, rows/s", ((events / ms) * 1_000).toFixed(0))
  results.set("sealing, CPU µs per event", ((server.cpu() / events) * 1e6).toFixed(1))
  results.set("start: peak memory, MiB", server.memory().toFixed(0))
  await Bun.sleep(settleMs)
  results.set("10 s later: blocks (rows unsealed)", `${tail.blocks()} (${tail.rows()})`)
  results.set("sealing and merging, CPU µs per event", ((server.cpu() / events) * 1e6).toFixed(1))
  await Bun.sleep(graceMs)
  const before = server.cpu()
  await Bun.sleep(settleMs)
  results.set("idle afterwards, % of a core", (((server.cpu() - before) / settleMs) * 1e5).toFixed(1))
  tail.stop()
  await server.stop()
}

async function measureImport({ file, folder, key, results, events }: Task & { events: number }) {
  const db = copyOf(folder, "empty.db")
  const child = Bun.spawn([file, "import", join(folder, "lines"), "--db", db], { stdout: "ignore" })
  const begin = performance.now()
  if ((await child.exited) !== 0) throw new Error("the import failed")
  results.set("import: events/s", ((events / (performance.now() - begin)) * 1_000).toFixed(0))
  const usage = child.resourceUsage()
  results.set("import: CPU µs per event", (Number(usage?.cpuTime.total) / events).toFixed(1))
  results.set("import: peak memory, MiB", (Number(usage?.maxRSS) / 2 ** 20).toFixed(0))
  const server = await serve(file, db)
  const tail = watchTail(db)
  results.set("import: rows unsealed; blocks", `${tail.rows().toLocaleString("en")}; ${tail.blocks()}`)
  results.set("import: first query, ms", await firstQuery(server.url, key))
  tail.stop()
  await server.stop()
}

async function measureQueries(task: Task & { seconds: number; rate: number }) {
  const { file, folder, key, results, seconds, rate } = task
  const db = copyOf(folder, "empty.db")
  const server = await serve(file, db)
  const tail = watchTail(db)
  const loading = load({ url: server.url, key, seconds, rate })
  const times: number[] = []
  let isDone = false
  const query = async () => {
    while (!isDone)
      times.push(Number(await firstQuery(server.url, key, times.length % 2 ? "top" : "summary")))
  }
  const queries = Promise.all([query(), query()])
  const { wait } = await loading
  isDone = true
  await queries
  times.sort((one, other) => one - other)
  results.set(`queries during ${rate.toLocaleString("en")} events/s: most rows unsealed`, tail.most())
  results.set("queries: oldest row unsealed, s", tail.oldest())
  results.set("queries: p50 ms", (times[Math.floor(times.length / 2)] ?? 0).toFixed(0))
  results.set("queries: max ms", (times.at(-1) ?? 0).toFixed(0))
  results.set("queries: p99 of a request with 500 events, ms", wait.toFixed(0))
  results.set("queries: peak memory, MiB", server.memory().toFixed(0))
  tail.stop()
  await server.stop()
}

/** Creates a database with the websites and a key. Returns the key. */
function create(path: string): string {
  const now = Date.now()
  const db = openDatabase({ path, durability: "os", busyTimeout: 0, now })
  const settings = { domain: "bench.example", name: "bench", allowedOrigins: [], anonymize: "off" as const }
  for (const id of websites) createWebsite(db, id, settings, now)
  const grant = {
    name: "bench",
    scopes: ["track:events" as const, "read:data" as const],
    websites: null,
    rateLimit: null,
    expiresAt: null,
  }
  const { secret } = createKey(db, crypto.randomUUID(), grant, random, now)
  closeDatabase(db)
  return secret
}

/** Inserts events without sealing any. */
function fill(path: string, events: Iterable<WideEvent>): void {
  const db = openDatabase({ path, durability: "os", busyTimeout: 0, now: Date.now() })
  const ofId = new Map(listWebsites(db).map(({ id, rid }) => [id, rid]))
  const rids = websites.map((id) => ofId.get(id) as number)
  const inserter = new EventInserter(db, new DailyHash(db, random))
  const insert = db.transaction((rows: EventRow[]) => inserter.insert(rows))
  let rows: EventRow[] = []
  for (const event of events) {
    rows.push(rowOf(event, rids))
    if (rows.length < rowsPerCommit) continue
    insert.immediate(rows)
    rows = []
  }
  insert.immediate(rows)
  closeDatabase(db)
}

function random(bytes: Uint8Array): Uint8Array {
  return crypto.getRandomValues(bytes)
}

/** Writes events in the format of an ndjson export. */
async function writeLines(path: string, count: number, end: number): Promise<void> {
  const writer = Bun.file(path).writer({ highWaterMark: 4_194_304 })
  for (const wide of wideEvents(count, end)) {
    const { websiteId, anonymousId, sessionId, ...event } = requestOf(wide, wide.ts)
    const ids = { website_id: websiteId, anonymous_id: anonymousId, session_id: sessionId }
    const line = { type: "event", ...ids, ...event, received_at: wide.receivedAt }
    writer.write(`${JSON.stringify(line)}\n`)
  }
  await writer.end()
}

function copyOf(folder: string, name: string): string {
  const path = join(mkdtempSync(join(folder, "run-")), "databuddy.db")
  copyFileSync(join(folder, name), path)
  return path
}

async function serve(file: string, db: string) {
  const child = Bun.spawn([file, "serve", "--db", db, "--port", "0"], { stdout: "pipe", stderr: "pipe" })
  let output = ""
  const { promise, resolve: setUrl, reject } = Promise.withResolvers<string>()
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const chunk of stream) {
      output += Buffer.from(chunk).toString()
      const url = /listens on (https?:[^\s"]+)/.exec(output)?.[1]
      if (url && output.includes('"message":"started"')) setUrl(url)
    }
  }
  const exited = Promise.all([child.exited, read(child.stdout), read(child.stderr)])
  void exited.then(() => reject(new Error(`serve ended: ${output}`)))
  return {
    url: await promise,
    memory: () => memoryOf(child).peak,
    cpu: () => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? []
      return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
    },
    stop: async () => {
      child.kill("SIGTERM")
      await exited
    },
  }
}

/** Repeatedly samples the number of unsealed rows and the age of the oldest one. */
function watchTail(path: string) {
  const db = openReader(path)
  const state = db.prepare("select id, (select coalesce(max(id), 0) from event_rows) as last from sealed")
  const oldest = db.prepare(
    "select ts + delay from event_rows where id > (select id from sealed) order by id limit 1",
  )
  const blocks = db.prepare("select count(*) from blocks where website_rid >= 0").pluck()
  const rows = () => {
    const { id, last } = state.get() as { id: number; last: number }
    return last - id
  }
  let most = 0
  let longest = 0
  const timer = setInterval(() => {
    const now = rows()
    if (now === 0) return
    most = Math.max(most, now)
    const at = oldest.pluck().get() as number | null
    if (at !== null) longest = Math.max(longest, Date.now() - at)
  }, sampleInterval)
  return {
    rows,
    blocks: () => (blocks.get() as number).toLocaleString("en"),
    most: () => most.toLocaleString("en"),
    oldest: () => (longest / 1_000).toFixed(1),
    stop: () => {
      clearInterval(timer)
      db.close()
    },
  }
}

const queries = {
  summary: { name: "custom_events_summary" },
  top: { name: "custom_events", limit: 10 },
}

/** Runs a query over all events of the largest website. Returns its duration in ms. */
async function firstQuery(
  url: string,
  key: string,
  query: keyof typeof queries = "summary",
): Promise<string> {
  const date = (ms: number) => new Date(ms).toISOString().slice(0, 10)
  const now = Date.now()
  const begin = performance.now()
  const answer = await fetch(`${url}/v1/query?website_id=${websites[0]}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({
      parameters: [queries[query]],
      startDate: date(now - wideSpan * 2),
      endDate: date(now),
    }),
    signal: AbortSignal.timeout(patience),
  })
  const text = await answer.text()
  if (!answer.ok || text.includes('"success":false')) throw new Error(`${answer.status} ${text}`)
  return (performance.now() - begin).toFixed(0)
}

async function until(isDone: () => boolean): Promise<void> {
  const end = performance.now() + patience
  while (!isDone() && performance.now() < end) await Bun.sleep(20)
}

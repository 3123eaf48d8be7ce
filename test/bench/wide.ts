import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"
import { EventInserter } from "../../src/store/events.ts"
import { createKey } from "../../src/store/keys.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { type Server, startServer } from "../harness.ts"
import { memoryOf } from "../support/memory.ts"
import type { Cell } from "./benchmark-queries.ts"
import { sendMeanwhile } from "./busy.ts"
import {
  chunks,
  type DuckDbConnection,
  duckDbAt,
  evict,
  install,
  makeBlocks,
  queryServer,
  type Range,
  website,
  withRange,
} from "./engines.ts"
import { median } from "./statistics.ts"
import {
  lineOf,
  rowOf,
  type WideEvent,
  websiteShares,
  wideColumns,
  wideEvents,
  wideSpan,
} from "./wide-dataset.ts"
import { type WideQuery, wideQueries } from "./wide-queries.ts"

interface Options {
  events: number
  rounds: number
  dir?: string
  /** MiB */
  queryMemory: number[]
  /** Events per second, each in its own request. */
  arriving: number
  only?: string
}

const day = 86_400_000
const mebibyte = 1_048_576
const out = (line: string) => process.stdout.write(`${line}\n`)

/** ms of one query. `first`: in a new process, with warm files. `cold`: the same after the files were evicted from the page cache. */
interface Times {
  cold: number
  first: number
  /** With another value, in the same process; undefined if the query has no value. */
  newValue: number | undefined
  /** Median */
  repeated: number
  rows: Cell[][]
}

/**
 * Measures each query on the wide data set, alternating between databuddy over HTTP and DuckDB in this process, and
 * compares the results. DuckDB has one table in time order.
 */
export async function benchWide({
  events,
  rounds,
  dir,
  queryMemory,
  arriving,
  only,
}: Options): Promise<void> {
  const parent = dir ?? mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  try {
    const packages = join(parent, "engines")
    await install(packages)
    const folder = join(parent, `wide-${events}`)
    const range = await prepareWide(folder, packages, events)
    const chosen = wideQueries.filter(({ name }) => only === undefined || name.includes(only))
    for (const memory of queryMemory)
      await printTable(folder, packages, chosen, range, { rounds, memory, arriving })
    const bytes = statSync(join(folder, "databuddy.db")).size
    out(`\nbytes per event, all of the file: ${(bytes / events).toFixed(1)}`)
  } finally {
    if (dir === undefined) rmSync(parent, { recursive: true })
  }
}

interface Conditions {
  rounds: number
  /** MiB */
  memory: number
  arriving: number
}

async function printTable(
  folder: string,
  packages: string,
  queries: readonly WideQuery[],
  range: Range,
  conditions: Conditions,
): Promise<void> {
  out(
    `\n--query-memory ${conditions.memory} MiB, ${conditions.arriving} events a second arrive; ms\n\n| query | cold | first | new value | repeated | DuckDB first | DuckDB repeated | first, ratio | results |`,
  )
  out("|---|---:|---:|---:|---:|---:|---:|---:|---|")
  let peak = 0
  for (const query of queries) {
    const duck = await measureDuckDb(folder, packages, query, range, conditions.rounds)
    const own = await measureDatabuddy(folder, query, range, conditions, (mebibytes) => {
      peak = Math.max(peak, mebibytes)
    })
    const isMissed = own.first > Math.min(query.target ?? Number.POSITIVE_INFINITY, duck.first)
    const first = isMissed ? `**${shown(own.first)}**` : shown(own.first)
    const isEqual = JSON.stringify(own.rows) === JSON.stringify(duck.rows)
    const cells = [shown(own.cold), first, shown(own.newValue), shown(own.repeated), shown(duck.first)]
    const ratio = (own.first / duck.first).toFixed(2)
    const result = `${isEqual ? "equal" : "**differ**"}, ${own.rows.length} rows`
    out(`| ${[query.name, ...cells, shown(duck.repeated), ratio, result].join(" | ")} |`)
    if (!isEqual) process.stderr.write(`${difference(own.rows, duck.rows)}\n`)
  }
  out(`\nmost memory of a process: ${peak.toFixed(0)} MiB`)
}

function shown(ms: number | undefined): string {
  return ms === undefined ? "" : ms.toFixed(ms < 10 ? 1 : 0)
}

function difference(own: Cell[][], other: Cell[][]): string {
  const at = Array.from(own.length > other.length ? own : other, (_, index) => index).find(
    (index) => JSON.stringify(own[index]) !== JSON.stringify(other[index]),
  )
  return at === undefined ? "" : `row ${at}: ${JSON.stringify(own[at])}, DuckDB ${JSON.stringify(other[at])}`
}

async function measureDatabuddy(
  folder: string,
  query: WideQuery,
  range: Range,
  { rounds, memory, arriving }: Conditions,
  onMemory: (mebibytes: number) => void,
): Promise<Times> {
  const db = join(folder, "databuddy.db")
  const key = readFileSync(join(folder, "key"), "utf8")
  const args = ["--query-memory", String(memory * mebibyte)]
  const run = (server: Server, variant: number) =>
    timed(() => queryServer(server.url, key, { ...query, request: query.request(variant) }, range))
  await evict(folder, [db])
  const cold = await withServer(db, args, onMemory, (server) => run(server, 0))
  return await withServer(db, args, onMemory, async (server): Promise<Times> => {
    const sending = arriving > 0 ? sendMeanwhile(server.url, key, arriving) : undefined
    try {
      const first = await run(server, 0)
      const repeated: number[] = []
      for (let round = 0; round < rounds; round++) repeated.push((await run(server, 0)).ms)
      const hasValue = JSON.stringify(query.request(0)) !== JSON.stringify(query.request(1))
      const newValue = hasValue ? (await run(server, 1)).ms : undefined
      return { cold: cold.ms, first: first.ms, newValue, repeated: median(repeated), rows: first.result }
    } finally {
      await sending?.stop()
    }
  })
}

async function withServer<Result>(
  db: string,
  args: string[],
  onMemory: (mebibytes: number) => void,
  work: (server: Server) => Promise<Result>,
): Promise<Result> {
  const server = await startServer({ db, args })
  try {
    return await work(server)
  } finally {
    onMemory(memoryOf(server).peak)
    await server.stop()
  }
}

async function measureDuckDb(
  folder: string,
  packages: string,
  query: WideQuery,
  range: Range,
  rounds: number,
): Promise<Omit<Times, "cold" | "newValue">> {
  const connection = await duckDbAt(join(folder, "wide.duckdb"), packages, { access_mode: "READ_ONLY" })
  try {
    const run = () => timed(() => rowsOf(connection, withRange(query.sql(0), range)))
    const first = await run()
    const repeated: number[] = []
    for (let round = 0; round < rounds; round++) repeated.push((await run()).ms)
    return { first: first.ms, repeated: median(repeated), rows: first.result }
  } finally {
    connection.closeSync()
  }
}

async function rowsOf(connection: DuckDbConnection, sql: string): Promise<Cell[][]> {
  const reader = await connection.runAndReadAll(sql)
  // 64-bit numbers are returned as text.
  return reader
    .getRowsJson()
    .map((row) => row.map((cell) => (/^-?\d+$/.test(String(cell)) ? Number(cell) : cell)))
}

async function timed<Result>(work: () => Promise<Result>): Promise<{ ms: number; result: Result }> {
  const start = performance.now()
  const result = await work()
  return { ms: performance.now() - start, result }
}

/** Creates the two databases in `folder` unless they exist. Returns the range of all events, in whole UTC days. */
async function prepareWide(folder: string, packages: string, count: number): Promise<Range> {
  mkdirSync(folder, { recursive: true })
  const done = join(folder, "end")
  const end = existsSync(done) ? Number(readFileSync(done, "utf8")) : Date.now()
  if (!existsSync(done)) {
    const file = join(folder, "events.tsv")
    for (const made of ["databuddy.db", "databuddy.db-wal", "databuddy.db-shm", "wide.duckdb"])
      rmSync(join(folder, made), { force: true })
    await buildDatabuddy(folder, wideEvents(count, end), file)
    await buildDuckDb(folder, packages, file)
    rmSync(file)
    writeFileSync(done, String(end))
  }
  const startOfDay = (ms: number) => Math.floor(ms / day) * day
  return { from: startOfDay(end - wideSpan), to: startOfDay(end) }
}

async function buildDatabuddy(folder: string, events: Iterable<WideEvent>, file: string): Promise<void> {
  const path = join(folder, "databuddy.db")
  const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
  const now = Date.now()
  const db = openDatabase({ path, durability: "os", busyTimeout: 0, now })
  const rids = websiteShares.map((_, index) => {
    const id = index === 0 ? website : crypto.randomUUID()
    const settings = { domain: `bench${index}.example`, name: `bench ${index}`, anonymize: "off" } as const
    return createWebsite(db, id, { ...settings, allowedOrigins: [] }, now).rid
  })
  const grant = {
    name: "bench",
    scopes: ["track:events" as const, "read:data" as const],
    websites: null,
    rateLimit: null,
    expiresAt: null,
  }
  writeFileSync(join(folder, "key"), createKey(db, crypto.randomUUID(), grant, random, now).secret)
  const inserter = new EventInserter(db, new DailyHash(db, random))
  const store = db.transaction((chunk: WideEvent[]) =>
    inserter.insert(chunk.map((event) => rowOf(event, rids))),
  )
  const writer = Bun.file(file).writer({ highWaterMark: 4_194_304 })
  for (const chunk of chunks(events)) {
    store.immediate(chunk)
    for (const event of chunk) writer.write(lineOf(event))
    await writer.flush()
  }
  await writer.end()
  closeDatabase(db)
  makeBlocks(path)
}

async function buildDuckDb(folder: string, packages: string, file: string): Promise<void> {
  const connection = await duckDbAt(join(folder, "wide.duckdb"), packages)
  const types = Object.entries(wideColumns).map(([name, type]) => `'${name}': '${type}'`)
  await connection.run(`
    create table events as
    select * from read_csv('${file}', delim = '\t', header = false, columns = {${types}})
    order by ts`)
  await connection.run("checkpoint")
  connection.closeSync()
}

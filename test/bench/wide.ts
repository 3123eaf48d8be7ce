import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Server, startServer } from "../harness.ts"
import { memoryOf } from "../support/memory.ts"
import type { Cell } from "./benchmark-queries.ts"
import { sendMeanwhile } from "./busy.ts"
import {
  type DuckDbConnection,
  duckDbAt,
  evict,
  install,
  queryServer,
  type Range,
  withRange,
} from "./engines.ts"
import { median } from "./statistics.ts"
import { prepareWide } from "./wide-prepare.ts"
import { type WideQuery, wideQueries } from "./wide-queries.ts"

interface Options {
  events: number
  rounds: number
  dir?: string
  /** MiB */
  queryMemory?: number[]
  /** Events per second, each in its own request. */
  arriving: number
  only?: string
}

const mebibyte = 1_048_576
/** Maximum ms of the first execution after the files were evicted from the page cache. */
const coldTarget = 500
const out = (line: string) => process.stdout.write(`${line}\n`)

/**
 * ms of one query. `first` is measured in a new process while the files are in the page cache, and `cold` after they
 * were evicted from it.
 */
interface Times {
  cold: number
  first: number
  /** With another value, in the same process. Undefined if the query does not filter by a value. */
  newValue: number | undefined
  /** Median */
  repeated: number
  rows: Cell[][]
}

/**
 * Measures each query on the wide data set, alternating between databuddy over HTTP and DuckDB in this process, and
 * compares the results. DuckDB has one table in chronological order.
 */
export async function benchWide({
  events,
  rounds,
  dir,
  queryMemory = [512],
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
    `\n--query-memory ${conditions.memory} MiB, ${conditions.arriving} events a second arrive; ms\n\n| query | cold | first | new value | repeated | DuckDB: first | new value | repeated | first, ratio | results |`,
  )
  out("|---|---:|---:|---:|---:|---:|---:|---:|---:|---|")
  let peak = 0
  for (const query of queries) {
    const duck = await measureDuckDb(folder, packages, query, range, conditions.rounds)
    const own = await measureDatabuddy(folder, query, range, conditions, (mebibytes) => {
      peak = Math.max(peak, mebibytes)
    })
    const first = marked(own.first, Math.min(query.target ?? Number.POSITIVE_INFINITY, duck.first))
    const newValue = marked(own.newValue, duck.newValue)
    const isEqual = JSON.stringify(own.rows) === JSON.stringify(duck.rows)
    const cells = [marked(own.cold, coldTarget), first, newValue, shown(own.repeated)]
    const others = [shown(duck.first), shown(duck.newValue), shown(duck.repeated)]
    const ratio = (own.first / duck.first).toFixed(2)
    const result = `${isEqual ? "equal" : "**differ**"}, ${own.rows.length} rows`
    out(`| ${[query.name, ...cells, ...others, ratio, result].join(" | ")} |`)
    if (!isEqual) process.stderr.write(`${difference(own.rows, duck.rows)}\n`)
  }
  out(`\npeak memory of a server: ${peak.toFixed(0)} MiB`)
}

/** Formats a duration, in bold if it exceeds the target. */
function marked(ms: number | undefined, target = Number.POSITIVE_INFINITY): string {
  return ms !== undefined && ms > target ? `**${shown(ms)}**` : shown(ms)
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
      const newValue = hasValue(query) ? (await run(server, 1)).ms : undefined
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
): Promise<Omit<Times, "cold">> {
  const connection = await duckDbAt(join(folder, "wide.duckdb"), packages, { access_mode: "READ_ONLY" })
  try {
    const run = (variant: number) => timed(() => rowsOf(connection, withRange(query.sql(variant), range)))
    const first = await run(0)
    const repeated: number[] = []
    for (let round = 0; round < rounds; round++) repeated.push((await run(0)).ms)
    const newValue = hasValue(query) ? (await run(1)).ms : undefined
    return { first: first.ms, newValue, repeated: median(repeated), rows: first.result }
  } finally {
    connection.closeSync()
  }
}

/** Returns true if the query filters by a value. */
function hasValue(query: WideQuery): boolean {
  return query.sql(0) !== query.sql(1)
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

import { constants, copyFileSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Server, startServer } from "../harness.ts"
import { memoryOf } from "../support/memory.ts"
import { type BenchmarkQuery, benchmarkQueries } from "./benchmark-queries.ts"
import { standardEvents } from "./dataset.ts"
import { install, queryServer, type Range, website } from "./engines.ts"
import { bodiesOf, type Load, type LoadResult, put } from "./load.ts"
import { medianBy } from "./statistics.ts"
import { prepareWide } from "./wide-prepare.ts"
import { wideQueries } from "./wide-queries.ts"

const connections = 64
/** Seconds of load, both to find the saturation rate and in each measured round. */
const seconds = 10
const rounds = 3
/** ms between two checks of the size of the -wal. */
const walPoll = 20
/** Queries that read the visitors of all events. */
const heavyQueries = benchmarkQueries.filter(({ name }) =>
  /^(summary|top events|trend by day, v|funnel|weekly)/.test(name),
)
/** Queries that filter by a value. With a new value, a query cannot use cached results. */
const filteredQueries = wideQueries.filter(({ sql }) => sql(0) !== sql(1))

interface Conditions {
  range: Range
  /** Returns the query for a turn, counted from 0. */
  queryAt: (turn: number) => Pick<BenchmarkQuery, "request" | "row">
  /** Requests per second. If undefined, half of the saturation rate is used. */
  rates: readonly number[] | undefined
}

/**
 * Measures `/track` at half of its saturation rate while one client repeats the heavy queries of the standard data set.
 */
export async function benchIngestDuringQueries(folder: string, range: Range): Promise<void> {
  const queryAt = (turn: number) => heavyQueries[turn % heavyQueries.length] as BenchmarkQuery
  await measure(folder, { range, queryAt, rates: undefined })
}

/**
 * Measures `/track` at each rate (requests per second) while one client queries the wide data set. Each query has a
 * filter that no earlier query had.
 */
export async function benchDuring({
  events,
  rates = [2_000, 6_000, 10_000],
  dir,
}: {
  events: number
  rates?: number[]
  dir?: string
}): Promise<void> {
  const parent = dir ?? mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  try {
    const packages = join(parent, "engines")
    await install(packages)
    const folder = join(parent, `wide-${events}`)
    const range = await prepareWide(folder, packages, events)
    const queryAt = (turn: number) => {
      const query = filteredQueries[turn % filteredQueries.length] as (typeof filteredQueries)[number]
      return { request: query.request(Math.floor(turn / filteredQueries.length)), row: query.row }
    }
    await measure(folder, { range, queryAt, rates })
  } finally {
    if (dir === undefined) rmSync(parent, { recursive: true })
  }
}

/** Prints the latency of `/track`, alternating between no queries and one client that sends queries back to back. */
async function measure(folder: string, { range, queryAt, rates }: Conditions): Promise<void> {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  // The load must not change the data that a later run queries.
  const db = join(folder, "during-queries.db")
  copyFileSync(join(folder, "databuddy.db"), db, constants.COPYFILE_FICLONE)
  const server = await startServer({ db })
  let wal = 0
  const watch = setInterval(() => {
    wal = Math.max(wal, statSync(`${db}-wal`, { throwIfNoEntry: false })?.size ?? 0)
  }, walPoll)
  try {
    const key = readFileSync(join(folder, "key"), "utf8")
    const events = [...standardEvents(2_000, Date.now())].map((event) => ({ ...event, websiteId: website }))
    const load: Load = { url: server.url, key, bodies: bodiesOf(events, 1), connections, seconds }
    const durations: number[] = []
    out(
      "\n| /track, single events per second | alone: p50 ms | p99 ms | during queries: per second | p50 ms | p99 ms | p99, ratio |",
    )
    out("|---:|---:|---:|---:|---:|---:|---:|")
    for (const rate of rates ?? [Math.floor((await put(load)).rate / 2)]) {
      const alone: LoadResult[] = []
      const during: LoadResult[] = []
      for (let round = 0; round < rounds; round++) {
        alone.push(await put({ ...load, rate }))
        const querying = queryBackToBack(server, key, { range, queryAt }, durations)
        during.push(await put({ ...load, rate }))
        await querying.stop()
      }
      const failures = [...alone, ...during].reduce((sum, result) => sum + result.failures, 0)
      if (failures > 0) throw new Error(`${failures} requests to /track failed`)
      const one = medianBy(alone, ({ p99 }) => p99)
      const other = medianBy(during, ({ p99 }) => p99)
      const cells = [one.p50, one.p99, other.rate, other.p50, other.p99, other.p99 / one.p99]
      out(`| ${[String(rate), ...cells.map((cell) => cell.toFixed(2))].join(" | ")} |`)
    }
    durations.sort((a, b) => a - b)
    const middle = durations[Math.floor(durations.length / 2)] ?? 0
    out(`\nqueries completed meanwhile: ${durations.length}, ${middle.toFixed(0)} ms median`)
    out(
      `largest -wal: ${(wal / 1_048_576).toFixed(1)} MiB; peak memory: ${memoryOf(server).peak.toFixed(0)} MiB`,
    )
  } finally {
    clearInterval(watch)
    await server.stop()
    for (const end of ["", "-wal", "-shm"]) rmSync(`${db}${end}`, { force: true })
  }
}

/** Sends queries until `stop` is called, and appends the duration of each to `durations`, in ms. */
function queryBackToBack(
  server: Server,
  key: string,
  { range, queryAt }: Pick<Conditions, "range" | "queryAt">,
  durations: number[],
): { stop: () => Promise<void> } {
  let over = false
  const run = async () => {
    while (!over) {
      const begin = performance.now()
      await queryServer(server.url, key, queryAt(durations.length), range)
      durations.push(performance.now() - begin)
    }
  }
  const running = run()
  return {
    stop: async () => {
      over = true
      await running
    },
  }
}

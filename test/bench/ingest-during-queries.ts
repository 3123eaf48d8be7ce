import { constants, copyFileSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { startServer } from "../harness.ts"
import { memoryOf } from "../support/memory.ts"
import { benchmarkQueries } from "./benchmark-queries.ts"
import { standardEvents } from "./dataset.ts"
import { queryServer, type Range, website } from "./engines.ts"
import { bodiesOf, type LoadResult, put } from "./load.ts"
import { medianBy } from "./statistics.ts"

const connections = 64
/** Seconds of load to find the saturating rate, and of each measured round. */
const seconds = 10
const rounds = 3
/** Queries that read the visitors of all events. */
const heavy = benchmarkQueries.filter(({ name }) =>
  /^(summary|top events|trend by day, v|funnel|weekly)/.test(name),
)
/** ms between two checks of the size of the -wal. */
const walPoll = 20

/** Prints the latency of `/track` at half of its saturating rate, without queries and while one client runs heavy queries back to back. */
export async function benchIngestDuringQueries(folder: string, range: Range): Promise<void> {
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
    const load = { url: server.url, key, bodies: bodiesOf(events, 1), connections, seconds }
    const saturated = await put(load)
    const rate = Math.floor(saturated.rate / 2)
    const alone: LoadResult[] = []
    const during: LoadResult[] = []
    const durations: number[] = []
    for (let round = 0; round < rounds; round++) {
      alone.push(await put({ ...load, rate }))
      let over = false
      const querying = (async () => {
        for (let turn = 0; !over; turn++) {
          const begin = performance.now()
          await queryServer(server.url, key, heavy[turn % heavy.length] as (typeof heavy)[number], range)
          durations.push(performance.now() - begin)
        }
      })()
      during.push(await put({ ...load, rate }))
      over = true
      await querying
    }
    const failures = [saturated, ...alone, ...during].reduce((sum, result) => sum + result.failures, 0)
    if (failures > 0) throw new Error(`${failures} requests to /track failed`)
    out(
      `\n| /track, ${rate} single events per second, half of the saturating rate | per second | p50 ms | p99 ms |`,
    )
    out("|---|---:|---:|---:|")
    const one = medianBy(alone, ({ p99 }) => p99)
    const other = medianBy(during, ({ p99 }) => p99)
    for (const [name, result] of [
      ["alone", one],
      ["during heavy queries", other],
    ] as const) {
      out(`| ${name} | ${result.rate.toFixed(0)} | ${result.p50.toFixed(2)} | ${result.p99.toFixed(2)} |`)
    }
    durations.sort((a, b) => a - b)
    const middle = durations[Math.floor(durations.length / 2)] ?? 0
    const { peak } = memoryOf(server)
    out(`\nratio of p99 during queries to p99 alone: ${(other.p99 / one.p99).toFixed(2)}`)
    out(`queries completed meanwhile: ${durations.length}, ${middle.toFixed(0)} ms median`)
    out(`largest -wal: ${(wal / 1_048_576).toFixed(1)} MiB; peak memory: ${peak.toFixed(0)} MiB`)
  } finally {
    clearInterval(watch)
    await server.stop()
    for (const end of ["", "-wal", "-shm"]) rmSync(`${db}${end}`, { force: true })
  }
}

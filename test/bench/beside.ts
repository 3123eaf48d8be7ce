import { constants, copyFileSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { startServer } from "../harness.ts"
import { memoryOf } from "../support/memory.ts"
import { standardEvents } from "./dataset.ts"
import { askServer, type Range, website } from "./engines.ts"
import { bodiesOf, type LoadResult, put } from "./load.ts"
import { questions } from "./questions.ts"
import { medianBy } from "./statistics.ts"

const connections = 64
/** Seconds of load to find the saturating rate, and of each measured round. */
const seconds = 10
const rounds = 3
/** Each looks at the visitors of all events. */
const heavy = questions.filter(({ name }) => /^(summary|top events|trend by day, v|funnel|weekly)/.test(name))
/** ms between two looks at the size of the -wal. */
const walPoll = 20

/** Prints what `/track` takes at half the rate that saturates it, alone and while one client asks heavy questions without a pause. */
export async function benchBeside(folder: string, range: Range): Promise<void> {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  // The events that come in are not to be in the data that a later run asks about.
  const db = join(folder, "beside.db")
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
    const beside: LoadResult[] = []
    const answers: number[] = []
    for (let round = 0; round < rounds; round++) {
      alone.push(await put({ ...load, rate }))
      let over = false
      const asking = (async () => {
        for (let turn = 0; !over; turn++) {
          const begin = performance.now()
          await askServer(server.url, key, heavy[turn % heavy.length] as (typeof heavy)[number], range)
          answers.push(performance.now() - begin)
        }
      })()
      beside.push(await put({ ...load, rate }))
      over = true
      await asking
    }
    const failures = [saturated, ...alone, ...beside].reduce((sum, result) => sum + result.failures, 0)
    if (failures > 0) throw new Error(`${failures} requests to /track failed`)
    out(
      `\n| /track, ${rate} single events a second, half of what saturates it | a second | p50 ms | p99 ms |`,
    )
    out("|---|---:|---:|---:|")
    const one = medianBy(alone, ({ p99 }) => p99)
    const other = medianBy(beside, ({ p99 }) => p99)
    for (const [name, result] of [
      ["alone", one],
      ["beside heavy questions", other],
    ] as const) {
      out(`| ${name} | ${result.rate.toFixed(0)} | ${result.p50.toFixed(2)} | ${result.p99.toFixed(2)} |`)
    }
    answers.sort((a, b) => a - b)
    const middle = answers[Math.floor(answers.length / 2)] ?? 0
    const { peak } = memoryOf(server)
    out(`\np99 beside questions to alone: ${(other.p99 / one.p99).toFixed(2)}`)
    out(`questions answered meanwhile: ${answers.length}, ${middle.toFixed(0)} ms at the median`)
    out(`largest -wal: ${(wal / 1_048_576).toFixed(1)} MiB; most memory: ${peak.toFixed(0)} MiB`)
  } finally {
    clearInterval(watch)
    await server.stop()
    for (const end of ["", "-wal", "-shm"]) rmSync(`${db}${end}`, { force: true })
  }
}

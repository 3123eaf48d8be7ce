import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openReader, type Server, startServer } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"
import { standardEvents } from "./dataset.ts"
import { bodiesOf, loadGenerator, put } from "./load.ts"
import { median } from "./statistics.ts"

interface Options {
  seconds: number
  rounds: number
  /** Events per second. Absent: as many as possible. */
  rate?: number
}

const eventsPerRequest = 100
const connections = 8
/** Ticks of CPU time per second, as Linux counts them in /proc. */
const ticksPerSecond = 100
/** ms without a commit after which nothing is left to seal. The server looks for rows to seal once a second. */
const quietTime = 3_000
/** ms between looks at the state of a file. */
const pollInterval = 100
/** ms after which a server counts as hung. */
const patience = 120_000

/** One turn. CPU times are in µs per event and are measured until all events are sealed and shipped. */
interface Turn {
  /** Events per second. */
  rate: number
  p50: number
  p99: number
  mainThread: number
  process: number
}

/**
 * Measures ingestion with and without shipping, in turn. The cluster is a separate process that discards the events: a
 * real cluster would need more CPU time than this machine has.
 */
export async function benchShipping({ seconds, rounds, rate }: Options): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  const sink = Bun.spawn([process.execPath, join(import.meta.dir, "clickhouse-sink.ts")], {
    stdin: "pipe",
    stdout: "pipe",
  })
  try {
    const { value } = await sink.stdout.getReader().read()
    const cluster = `http://127.0.0.1:${new TextDecoder().decode(value).trim()}/sink`
    const migrate = [binary, "clickhouse", "migrate", "--clickhouse", cluster]
    const { exitCode, stderr } = Bun.spawnSync(migrate, { env: environment() })
    if (exitCode !== 0) throw new Error(stderr.toString())
    const limits = ["--rate-limit", "0", "--rate-limit-events", "0", "--rate-limit-bytes", "0"]
    const serve = (name: string, ...args: string[]) =>
      startServer({ db: join(folder, name), args: [...limits, ...args] })
    const without = await serve("without.db")
    const shipping = await serve("with.db", "--clickhouse", cluster)
    const bodies = bodiesOf(standardEvents(20_000, Date.now()), eventsPerRequest)
    const turns: [without: Turn, shipping: Turn][] = []
    const load = (server: Server) => measure(server, bodies, seconds, rate)
    // Warms up, so that the code is compiled.
    for (const server of [without, shipping]) await load(server)
    for (let round = 0; round < rounds; round++) {
      // The order alternates, because the machine's speed varies.
      if (round % 2 === 0) turns.push([await load(without), await load(shipping)])
      else {
        const last = await load(shipping)
        turns.push([await load(without), last])
      }
      process.stderr.write(`${JSON.stringify(turns.at(-1))}\n`)
    }
    for (const server of [without, shipping]) await server.stop()
    print(turns, rate)
  } finally {
    sink.kill()
    await sink.exited
    rmSync(folder, { recursive: true })
  }
}

async function measure(
  server: Server,
  bodies: string[],
  seconds: number,
  rate: number | undefined,
): Promise<Turn> {
  const { url, key, pid, db } = server
  const before = cpuTimes(pid)
  const result = await put({
    url,
    key,
    bodies,
    connections,
    seconds,
    ...(rate !== undefined && { rate: rate / eventsPerRequest }),
  })
  if (result.failures > 0) throw new Error(`${result.failures} requests failed`)
  const events = result.rate * eventsPerRequest * seconds
  await untilShipped(db)
  await untilQuiet(db)
  const after = cpuTimes(pid)
  const perEvent = (name: "mainThread" | "process") => ((after[name] - before[name]) / events) * 1e6
  return {
    rate: result.rate * eventsPerRequest,
    p50: result.p50,
    p99: result.p99,
    mainThread: perEvent("mainThread"),
    process: perEvent("process"),
  }
}

/** CPU time so far, in seconds. */
function cpuTimes(pid: number): { mainThread: number; process: number } {
  const secondsOf = (path: string) => {
    const fields = readFileSync(path, "utf8").split(") ")[1]?.split(" ") ?? []
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  }
  return { mainThread: secondsOf(`/proc/${pid}/task/${pid}/stat`), process: secondsOf(`/proc/${pid}/stat`) }
}

/** Waits until the watermark has reached the last event, if the server ships events. */
async function untilShipped(path: string): Promise<void> {
  const reader = openReader(path)
  const behind = reader.prepare("select (select max(id) from event_rows) > shipped_id from shipping")
  const end = performance.now() + patience
  while (behind.pluck().get() === 1) {
    if (performance.now() > end) throw new Error("the events were not shipped in time")
    await Bun.sleep(pollInterval)
  }
  reader.close()
}

/**
 * Waits until the server has sealed its events, which means that it commits nothing more. Its CPU time does not tell,
 * because the share of a core that an idle server uses depends on the machine.
 */
async function untilQuiet(path: string): Promise<void> {
  const reader = openReader(path)
  // Changes with each commit of another connection.
  const commits = reader.prepare("pragma data_version").pluck()
  const end = performance.now() + patience
  let last = commits.get()
  let since = performance.now()
  while (performance.now() - since < quietTime) {
    await Bun.sleep(pollInterval)
    const now = performance.now()
    if (now > end) throw new Error("the server did not finish sealing in time")
    const current = commits.get()
    if (current !== last) since = now
    last = current
  }
  reader.close()
}

const columns = {
  rate: "events/s",
  p50: "p50 ms",
  p99: "p99 ms",
  mainThread: "main thread, CPU µs per event",
  process: "process, CPU µs per event",
} as const satisfies Record<keyof Turn, string>

function print(turns: readonly [without: Turn, shipping: Turn][], rate: number | undefined): void {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  const how = rate === undefined ? `${loadGenerator()}, as fast as possible` : `${rate} events/s`
  out(
    `load: ${how}, ${connections} connections, ${eventsPerRequest} events per request, ${turns.length} turns`,
  )
  out(`\n| | without | with shipping | ratio, median of the turns (lowest to highest) |`)
  out("|---|---:|---:|---:|")
  const names = Object.keys(columns) as (keyof Turn)[]
  for (const name of names) {
    const ratios = turns.map(([without, shipping]) => shipping[name] / without[name])
    const cells = [
      median(turns.map(([without]) => without[name])).toFixed(name === "rate" ? 0 : 2),
      median(turns.map(([, shipping]) => shipping[name])).toFixed(name === "rate" ? 0 : 2),
      `${median(ratios).toFixed(3)} (${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)})`,
    ]
    out(`| ${[columns[name], ...cells].join(" | ")} |`)
  }
}

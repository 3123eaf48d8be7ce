import { join } from "node:path"
import { standardEvents } from "./dataset.ts"
import { bodiesOf, type Load, type LoadResult, loadGenerator, put } from "./load.ts"
import { commands, type RunningServer, type ServerName, start } from "./servers.ts"
import { median, medianBy } from "./statistics.ts"

export const connections = 64
const eventsPerBatch = 100
/** Seconds of load before the measurement, so that the code is compiled and the caches are warm. */
const warmUp = 1

interface Measured extends LoadResult {
  memory: number
}

/** Puts load on databuddy and the baselines in turn, `rounds` times, and prints the median round of each. */
export async function benchIngest({ seconds, rounds }: { seconds: number; rounds: number }): Promise<void> {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  out(
    `load: ${loadGenerator()}, ${connections} connections, ${rounds} rounds of ${seconds} s, median; loopback\n`,
  )
  const servers = (Object.keys(commands) as ServerName[]).filter(
    (name) => name !== "databuddy --rate-limit 0",
  )

  const singles = bodiesOf(standardEvents(2_000, Date.now()), 1)
  const single = await measureInTurns(servers, singles, seconds, rounds)
  const bare = single["bare Bun.serve"]
  out("| single events | requests/s | p50 ms | p99 ms | memory MB | ratio to bare | p99 ratio to bare |")
  out("|---|---:|---:|---:|---:|---:|---:|")
  for (const name of servers) {
    const { rate, p50, p99, memory } = single[name]
    const cells = [rate.toFixed(0), p50.toFixed(2), p99.toFixed(2), memory.toFixed(0)]
    out(`| ${[name, ...cells, ratio(rate, bare.rate), ratio(p99, bare.p99)].join(" | ")} |`)
  }
  out(
    `\nratio of databuddy to one commit per request: ${ratio(single.databuddy.rate, single["one commit a request"].rate)}\n`,
  )

  const batches = bodiesOf(standardEvents(200 * eventsPerBatch, Date.now()), eventsPerBatch)
  const raw: number[] = []
  const batch = await measureInTurns(["databuddy"], batches, seconds, rounds, async () => {
    raw.push(await rawInsert(seconds))
  })
  const rawRate = median(raw)
  const { rate, p50, p99, memory } = batch.databuddy
  out(
    `| ${eventsPerBatch} events per request | events/s | p50 ms | p99 ms | memory MB | ratio to raw insert |`,
  )
  out("|---|---:|---:|---:|---:|---:|")
  out(`| raw insert, no HTTP | ${rawRate.toFixed(0)} | | | | 1.00 |`)
  const cells = [(rate * eventsPerBatch).toFixed(0), p50.toFixed(2), p99.toFixed(2), memory.toFixed(0)]
  out(`| databuddy | ${cells.join(" | ")} | ${ratio(rate * eventsPerBatch, rawRate)} |`)
}

async function measureInTurns<Name extends ServerName>(
  names: Name[],
  bodies: string[],
  seconds: number,
  rounds: number,
  betweenRounds: () => Promise<void> = async () => {},
): Promise<Record<Name, Measured>> {
  const results = new Map<Name, Measured[]>(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    await betweenRounds()
    for (const name of names) results.get(name)?.push(await measure(name, bodies, seconds))
  }
  const medians = names.map(
    (name) => [name, medianBy(results.get(name) ?? [], (result) => result.rate)] as const,
  )
  return Object.fromEntries(medians) as Record<Name, Measured>
}

export async function measure(
  name: ServerName,
  bodies: string[],
  seconds: number,
  request: Pick<Load, "path" | "headers"> = {},
  prepare: (server: RunningServer) => Promise<void> = async () => {},
): Promise<Measured> {
  const server = await start(name)
  try {
    await prepare(server)
    const load = { url: server.url, key: server.key, ...request, bodies, connections }
    await put({ ...load, seconds: warmUp })
    const result = await put({ ...load, seconds })
    if (result.failures > 0) throw new Error(`${name}: ${result.failures} requests failed`)
    return { ...result, memory: server.memory() }
  } finally {
    await server.stop()
  }
}

async function rawInsert(seconds: number): Promise<number> {
  const process_ = Bun.spawn([process.execPath, join(import.meta.dir, "raw-insert.ts"), String(seconds)], {
    stdout: "pipe",
    stderr: "inherit",
  })
  return Number(await new Response(process_.stdout).text())
}

function ratio(value: number, of: number): string {
  return (value / of).toFixed(2)
}

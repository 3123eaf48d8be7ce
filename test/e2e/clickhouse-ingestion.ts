import { readFileSync } from "node:fs"
import { standardEvents } from "../bench/dataset.ts"
import { bodiesOf, put } from "../bench/load.ts"
import { type Server, startServer, type TemporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"

/**
 * Number and length of the turns. The shipper checks for new events every 5 s while it is idle, so a turn must be long
 * enough for it to work most of the time.
 */
const turns = 3
const secondsPerTurn = 15

/**
 * Measures ingestion in requests of 100 events: without a cluster, with one on this machine, and with one that discards
 * events. The three servers take turns.
 */
export async function measureIngestion(
  folder: TemporaryFolder,
  port: number,
  drained: (server: Server) => Promise<void>,
): Promise<string> {
  await using sink = startSink(port)
  const variants = [
    { name: "without", args: [] },
    { name: "with the cluster on this machine", args: ["--clickhouse", `http://127.0.0.1:${port}/ingest`] },
    { name: "with a cluster elsewhere", args: ["--clickhouse", `http://127.0.0.1:${sink.port}/sink`] },
  ]
  for (const database of ["ingest", "sink"]) {
    const args = ["clickhouse", "migrate", "--clickhouse", `http://127.0.0.1:${port}/${database}`]
    const { exitCode, stderr } = Bun.spawnSync([binary, ...args], { env: environment() })
    if (exitCode !== 0) throw new Error(stderr.toString())
  }
  const bodies = bodiesOf(standardEvents(20_000, Date.now()), 100)
  const servers = await Promise.all(
    variants.map(async ({ name, args }, index) => {
      const limits = [
        "--rate-limit",
        "0",
        "--rate-limit-events",
        "0",
        "--rate-limit-bytes",
        "0",
        "--metrics",
        "local",
      ]
      const server = await startServer({ db: folder.file(`ingest-${index}.db`), args: [...limits, ...args] })
      return { name, server, rates: [] as number[], memory: 0 }
    }),
  )
  for (let turn = 0; turn < turns; turn++) {
    for (const one of servers) {
      const { url, key, pid } = one.server
      const { rate } = await put({ url, key, bodies, connections: 8, seconds: secondsPerTurn })
      one.rates.push(rate * 100)
      one.memory = peakMegabytes(pid)
      // The backlog of one turn must not be shipped during the next one.
      if (one.name !== "without") await drained(one.server)
    }
  }
  const lines = servers.map(({ name, rates, memory }) => {
    const ratio = median(rates.map((rate, turn) => rate / (servers[0]?.rates[turn] ?? rate)))
    return `${name} ${Math.round(median(rates))} events per second (${Math.round(ratio * 100)} %), peak memory ${memory} MB`
  })
  for (const { server } of servers) await server.stop()
  return lines.join("; ")
}

/**
 * Starts a cluster that discards events and forwards all other requests to the engine, so that only the server's own
 * work is measured.
 */
function startSink(port: number): AsyncDisposable & { port: number } {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    maxRequestBodySize: 1e9,
    fetch: async (request) => {
      const { search, searchParams } = new URL(request.url)
      const body = await request.arrayBuffer()
      if (searchParams.get("query")?.startsWith("insert into events ")) return new Response("")
      const answer = await fetch(`http://127.0.0.1:${port}/${search}`, { method: "POST", body })
      // The headers are dropped, because `fetch` has already decompressed the body.
      return new Response(await answer.arrayBuffer(), { status: answer.status })
    },
  })
  return { port: server.port ?? 0, [Symbol.asyncDispose]: () => server.stop(true) }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}

function peakMegabytes(pid: number): number {
  const [, kilobytes = "0"] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? []
  return Math.round(Number(kilobytes) / 1_000)
}

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { StandardEvent } from "./dataset.ts"

export interface Load {
  url: string
  /** The API key, in a Bearer header. */
  key: string
  /** Default: /track. */
  path?: string
  /** Additional headers. */
  headers?: Record<string, string>
  /** Bodies of the requests, used in turn. */
  bodies: string[]
  connections: number
  seconds: number
  /**
   * Requests per second, sent on schedule no matter how slow the responses are. If absent, as many requests are sent as
   * the connections can carry.
   */
  rate?: number
}

export interface LoadResult {
  /** Requests per second. */
  rate: number
  /** ms */
  p50: number
  p99: number
  /** Responses with a status other than 200. */
  failures: number
}

/** Placeholder for an event id in a body. wrk replaces each occurrence with a new ID. */
export const eventIdPlaceholder = "00000000-0000-4000-8000-000000000000"

export function bodiesOf(events: Iterable<StandardEvent>, perRequest: number): string[] {
  const list = [...events].map(({ timestamp: _, ...event }) => event)
  const bodies: string[] = []
  for (let start = 0; start < list.length; start += perRequest) {
    const part = list.slice(start, start + perRequest)
    bodies.push(JSON.stringify(perRequest === 1 ? part[0] : part))
  }
  return bodies
}

export function loadGenerator(): "wrk" | "autocannon" {
  return Bun.which("wrk") ? "wrk" : "autocannon"
}

export function put(load: Load): Promise<LoadResult> {
  return loadGenerator() === "wrk" && load.rate === undefined ? putByWrk(load) : putFromProcess(load)
}

async function putByWrk({
  url,
  key,
  path = "/track",
  headers = {},
  bodies,
  connections,
  seconds,
}: Load): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  try {
    writeFileSync(join(folder, "bodies"), bodies.join("\n"))
    const hasEventIds = bodies[0]?.includes(eventIdPlaceholder) === true
    const all = { ...headers, "Content-Type": "application/json", Authorization: `Bearer ${key}` }
    writeFileSync(join(folder, "load.lua"), script(all, join(folder, "bodies"), path, hasEventIds))
    const command = [
      "wrk",
      "-t1",
      `-c${connections}`,
      `-d${seconds}`,
      "-s",
      join(folder, "load.lua"),
      `${url}${path}`,
    ]
    const wrk = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" })
    const last = (await new Response(wrk.stdout).text()).trim().split("\n").at(-1) ?? ""
    return JSON.parse(last) as LoadResult
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function script(headers: Record<string, string>, file: string, path: string, hasEventIds: boolean): string {
  const lines = Object.entries(headers).map(([name, value]) => `["${name}"] = "${value}"`)
  const placeholder = eventIdPlaceholder.replaceAll("-", "%-")
  const request = hasEventIds ? `(requests[turn]:gsub("${placeholder}", eventId))` : "requests[turn]"
  return `
local requests, turn = {}, 0
local function eventId()
  local random = math.random
  return string.format("%08x-%04x-4%03x-8%03x-%06x%06x", random(0, 0x7fffffff), random(0, 0xffff), random(0, 0xfff),
    random(0, 0xfff), random(0, 0xffffff), random(0, 0xffffff))
end
init = function()
  math.randomseed(os.time())
  local headers = { ${lines.join(", ")} }
  for body in io.lines("${file}") do
    requests[#requests + 1] = wrk.format("POST", "${path}", headers, body)
  end
end
request = function()
  turn = turn % #requests + 1
  return ${request}
end
done = function(summary, latency)
  local rate = summary.requests / (summary.duration / 1e6)
  local failures = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format('{"rate":%.1f,"p50":%.3f,"p99":%.3f,"failures":%d}\\n', rate,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, failures))
end
`
}

/** Sends the requests from a separate process, so that sending does not slow down the benchmark's process. */
async function putFromProcess(load: Load): Promise<LoadResult> {
  const worker = Bun.spawn([process.execPath, import.meta.path], {
    // Too long for a command-line argument.
    stdin: Buffer.from(JSON.stringify({ ...load, bodies: load.bodies.slice(0, 500) })),
    stdout: "pipe",
    stderr: "inherit",
  })
  return JSON.parse(await new Response(worker.stdout).text()) as LoadResult
}

async function putByAutocannon({ url, key, bodies, connections, seconds }: Load): Promise<LoadResult> {
  const { default: autocannon } = await import("autocannon")
  const result = await autocannon({
    url: `${url}/track`,
    method: "POST",
    connections,
    duration: seconds,
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    requests: bodies.map((body) => ({ body })),
  })
  const { requests, latency, non2xx, errors } = result
  return { rate: requests.average, p50: latency.p50, p99: latency.p99, failures: non2xx + errors }
}

/**
 * Sends at a steady rate. Neither wrk nor autocannon counts the time that a request waits behind a slow one, which a
 * client at a steady rate would notice.
 */
async function putAtRate(load: Load & { rate: number }): Promise<LoadResult> {
  const { url, key, bodies, connections, seconds, rate } = load
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" }
  const latencies: number[] = []
  let failures = 0
  let next = 0
  const begin = performance.now()
  const sendOn = async () => {
    for (let turn = next++; turn < rate * seconds; turn = next++) {
      let due = begin + (turn / rate) * 1_000
      const early = due - performance.now()
      if (early > 0) {
        await Bun.sleep(early)
        // Excludes the timer's delay, which the server does not cause.
        due = performance.now()
      }
      const answer = await fetch(`${url}/track`, {
        method: "POST",
        headers,
        body: bodies[turn % bodies.length] as string,
      })
      await answer.arrayBuffer()
      latencies.push(performance.now() - due)
      if (!answer.ok) failures++
    }
  }
  await Promise.all(Array.from({ length: connections }, sendOn))
  latencies.sort((one, other) => one - other)
  const at = (share: number) => latencies[Math.ceil(latencies.length * share) - 1] ?? 0
  const elapsed = (performance.now() - begin) / 1_000
  return { rate: latencies.length / elapsed, p50: at(0.5), p99: at(0.99), failures }
}

if (import.meta.main) {
  const load = (await Bun.stdin.json()) as Load
  const { rate } = load
  const result = await (rate === undefined ? putByAutocannon(load) : putAtRate({ ...load, rate }))
  process.stdout.write(JSON.stringify(result))
}

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { StandardEvent } from "./dataset.ts"

export interface Load {
  url: string
  /** The API key, in a Bearer header. */
  key: string
  /** What the requests carry in turn. */
  bodies: string[]
  connections: number
  seconds: number
}

export interface LoadResult {
  /** Requests a second. */
  rate: number
  /** ms */
  p50: number
  p99: number
  /** Answers that were no 200. */
  failures: number
}

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
  return loadGenerator() === "wrk" ? putByWrk(load) : putByAutocannon(load)
}

async function putByWrk({ url, key, bodies, connections, seconds }: Load): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  try {
    writeFileSync(join(folder, "bodies"), bodies.join("\n"))
    writeFileSync(join(folder, "load.lua"), script(key, join(folder, "bodies")))
    const command = [
      "wrk",
      "-t1",
      `-c${connections}`,
      `-d${seconds}`,
      "-s",
      join(folder, "load.lua"),
      `${url}/track`,
    ]
    const wrk = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" })
    const last = (await new Response(wrk.stdout).text()).trim().split("\n").at(-1) ?? ""
    return JSON.parse(last) as LoadResult
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function script(key: string, file: string): string {
  return `
local requests, turn = {}, 0
init = function()
  local headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer ${key}" }
  for body in io.lines("${file}") do
    requests[#requests + 1] = wrk.format("POST", nil, headers, body)
  end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
done = function(summary, latency)
  local rate = summary.requests / (summary.duration / 1e6)
  local failures = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format('{"rate":%.1f,"p50":%.3f,"p99":%.3f,"failures":%d}\\n', rate,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, failures))
end
`
}

/** The library, where there is no wrk: it runs in a process of its own, so that it does not take the bench's time. */
async function putByAutocannon(load: Load): Promise<LoadResult> {
  const command = [
    process.execPath,
    import.meta.path,
    JSON.stringify({ ...load, bodies: load.bodies.slice(0, 500) }),
  ]
  const worker = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" })
  return JSON.parse(await new Response(worker.stdout).text()) as LoadResult
}

if (import.meta.main) {
  const { default: autocannon } = await import("autocannon")
  const { url, key, bodies, connections, seconds } = JSON.parse(process.argv[2] as string) as Load
  const result = await autocannon({
    url: `${url}/track`,
    method: "POST",
    connections,
    duration: seconds,
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    requests: bodies.map((body) => ({ body })),
  })
  const { requests, latency, non2xx, errors } = result
  const answer: LoadResult = {
    rate: requests.average,
    p50: latency.p50,
    p99: latency.p99,
    failures: non2xx + errors,
  }
  process.stdout.write(JSON.stringify(answer))
}

import { openReader } from "../harness.ts"
import { standardEvents } from "./dataset.ts"
import { type RunningServer, start } from "./servers.ts"
import { median } from "./statistics.ts"

const eventsPerRequest = 500
const requestsAtOnce = 8
/** Number of events over which the cost per event is averaged. */
const window = 100_000

/** Fills a database with the standard data set over HTTP, and prints the cost per event as it grows. */
export async function benchGrowth({ events }: { events: number }): Promise<void> {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  const server = await start("databuddy")
  try {
    out("| events stored | CPU µs per event | ms per request, p50 | memory MB | bytes per event on disk |")
    out("|---:|---:|---:|---:|---:|")
    const stream = standardEvents(events, Date.now())
    const shown = new Set([window, 1_000_000, 2_000_000, 5_000_000, events])
    // The first events warm up the code, so their cost is not measured.
    await send(server, stream, Math.min(window / 2, events))
    for (let stored = Math.min(window / 2, events); stored < events; ) {
      const count = Math.min(stored < window ? window / 2 : window, events - stored)
      const before = server.cpu()
      const latencies = await send(server, stream, count)
      stored += count
      if (!shown.has(stored)) continue
      const cost = ((server.cpu() - before) / count) * 1e6
      const p50 = median(latencies)
      const bytes = sizeOf(server.db) / stored
      const cells = [cost.toFixed(2), p50.toFixed(1), server.memory().toFixed(0), bytes.toFixed(1)]
      out(`| ${[stored.toLocaleString("en"), ...cells].join(" | ")} |`)
    }
  } finally {
    await server.stop()
  }
}

/** Sends the next `count` events and returns the ms of each request. */
async function send(server: RunningServer, stream: Iterator<unknown>, count: number): Promise<number[]> {
  const latencies: number[] = []
  let left = count
  const sendOn = async () => {
    while (left > 0) {
      const events: unknown[] = []
      for (; events.length < eventsPerRequest && left > 0; left--) events.push(stream.next().value)
      const begin = performance.now()
      const answer = await fetch(`${server.url}/track`, {
        method: "POST",
        headers: { Authorization: `Bearer ${server.key}`, "Content-Type": "application/json" },
        body: JSON.stringify(events),
      })
      if (!answer.ok) throw new Error(`a request was rejected: ${answer.status} ${await answer.text()}`)
      latencies.push(performance.now() - begin)
    }
  }
  await Promise.all(Array.from({ length: requestsAtOnce }, sendOn))
  return latencies
}

/** Bytes of the database, including what is still in the -wal. */
function sizeOf(path: string): number {
  const db = openReader(path)
  const size = db
    .prepare("select page_count * page_size from pragma_page_count, pragma_page_size")
    .pluck()
    .get()
  db.close()
  return size as number
}

import { type WideEvent, websiteShares, wideEvents } from "./wide-dataset.ts"

/** Events per request to /track. */
const eventsPerRequest = 500
const requestsAtOnce = 8

/** Public IDs of the websites of the wide data set, in order. */
export const websites = websiteShares.map((_, index) => `550e8400-e29b-41d4-a716-44665544000${index}`)

/** Returns the event as a client sends it, but with another `timestamp` (Unix ms). */
export function requestOf(event: WideEvent, timestamp: number) {
  const { name, page, button, plan, amount, order } = event
  return {
    websiteId: websites[event.website - 1] as string,
    name,
    timestamp,
    anonymousId: event.visitor,
    sessionId: event.session,
    path: page,
    properties: { page, button, plan, amount, ...(order !== undefined && { order }) },
  }
}

export interface Load {
  url: string
  key: string
  seconds: number
  /** Events per second; undefined: as many as the connections can carry. */
  rate?: number
}

/** Sends wide events from a separate process. Returns the number of stored events, and the p99 of a request in ms. */
export async function load(task: Load): Promise<{ count: number; wait: number }> {
  const child = Bun.spawn([process.execPath, import.meta.path, JSON.stringify(task)], { stdout: "pipe" })
  return JSON.parse(await new Response(child.stdout).text()) as { count: number; wait: number }
}

async function send({ url, key, seconds, rate }: Load): Promise<{ count: number; wait: number }> {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" }
  const begin = Date.now()
  const events = wideEvents(Number.MAX_SAFE_INTEGER, begin)
  const waits: number[] = []
  let [sent, count] = [0, 0]
  const sendOn = async () => {
    while (Date.now() < begin + seconds * 1_000) {
      const due = rate === undefined ? 0 : begin + (sent / rate) * 1_000 - Date.now()
      sent += eventsPerRequest
      if (due > 0) await Bun.sleep(due)
      const now = Date.now()
      const batch = Array.from({ length: eventsPerRequest }, () => {
        // The generator never ends.
        const { value } = events.next() as IteratorYieldResult<WideEvent>
        return requestOf(value, now - (value.receivedAt - value.ts))
      })
      const body = JSON.stringify(batch)
      const start = performance.now()
      const answer = await fetch(`${url}/track`, { method: "POST", headers, body })
      if (answer.ok) count += eventsPerRequest
      else if (answer.status !== 503) throw new Error(`${answer.status} ${await answer.text()}`)
      await answer.arrayBuffer()
      waits.push(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: requestsAtOnce }, sendOn))
  waits.sort((one, other) => one - other)
  return { count, wait: waits[Math.ceil(waits.length * 0.99) - 1] ?? 0 }
}

if (import.meta.main) {
  const task = JSON.parse(process.argv[2] as string) as Load
  process.stdout.write(JSON.stringify(await send(task)))
}

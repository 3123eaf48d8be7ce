import { mulberry32 } from "../support/random.ts"
import { standardEvents } from "./dataset.ts"
import { connections, measure } from "./ingest.ts"
import { eventIdPlaceholder } from "./load.ts"
import type { RunningServer } from "./servers.ts"
import { medianBy } from "./statistics.ts"
import { zipf } from "./wide-dataset.ts"

const eventsPerRequest = 5
/** More requests than are sent per second, so that most of them belong to a session that is new to the server. */
const requests = 20_000
const website = "bench"
const pages = 300
const referrers = 2_000
const origin = "https://bench.example"
const userAgent =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

/**
 * Each request has five events of one session: custom events sent to /track with a key, or page views sent to /batch as
 * the page script sends them.
 */
const workloads = [
  { name: "/track, custom events", bodies: customBodies, request: {}, prepare: async () => {} },
  {
    name: "/batch, page views",
    bodies: viewBodies,
    request: {
      path: `/batch?client_id=${website}`,
      headers: { Origin: origin, "User-Agent": userAgent },
    },
    prepare: addWebsite,
  },
]

/** Prints the events per second of both workloads, which alternate. */
export async function benchBatch({ seconds, rounds }: { seconds: number; rounds: number }): Promise<void> {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  out(
    `${connections} connections, ${rounds} rounds of ${seconds} s, median; ids are UUIDs, each event has a new event id\n`,
  )
  const results = workloads.map(() => [] as Awaited<ReturnType<typeof measure>>[])
  for (let round = 0; round < rounds; round++) {
    for (const [index, { bodies, request, prepare }] of workloads.entries())
      results[index]?.push(
        await measure("databuddy --rate-limit 0", bodies(round), seconds, request, prepare),
      )
  }
  const medians = results.map((ofOne) => medianBy(ofOne, ({ rate }) => rate))
  out(`| ${eventsPerRequest} events per request | events/s | p50 ms | p99 ms | memory MB | ratio to /track |`)
  out("|---|---:|---:|---:|---:|---:|")
  for (const [index, { rate, p50, p99, memory }] of medians.entries()) {
    const cells = [(rate * eventsPerRequest).toFixed(0), p50.toFixed(2), p99.toFixed(2), memory.toFixed(0)]
    const ratio = rate / (medians[0]?.rate ?? 0)
    out(`| ${[workloads[index]?.name, ...cells, ratio.toFixed(2)].join(" | ")} |`)
  }
}

async function addWebsite({ url, key }: RunningServer): Promise<void> {
  const answer = await fetch(`${url}/v1/websites`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ id: website, domain: new URL(origin).hostname }),
  })
  if (!answer.ok) throw new Error(await answer.text())
}

function customBodies(seed: number): string[] {
  const events = standardEvents(requests * eventsPerRequest, Date.now(), seed)
  return Array.from({ length: requests }, () => {
    const [anonymousId, sessionId] = newIds()
    const items = Array.from({ length: eventsPerRequest }, () => {
      const { timestamp: _, ...event } = events.next().value as { timestamp: number }
      return { ...event, anonymousId, sessionId, eventId: eventIdPlaceholder }
    })
    return JSON.stringify(items)
  })
}

function viewBodies(seed: number): string[] {
  const random = mulberry32(seed)
  const page = zipf(pages, 1, random)
  const referrer = zipf(referrers, 1, random)
  return Array.from({ length: requests }, () => {
    const [anonymousId, sessionId] = newIds()
    const from = `https://site${referrer()}.example/`
    const width = 1_000 + Math.floor(random() * 15)
    const items = Array.from({ length: eventsPerRequest }, (_, index) => {
      const path = `/page/${page()}`
      return {
        type: "track",
        name: "screen_view",
        eventId: eventIdPlaceholder,
        anonymousId,
        sessionId,
        path: `${origin}${path}`,
        title: `Title of ${path}`,
        referrer: index === 0 ? from : `${origin}/`,
        screen_resolution: `${width}x800`,
        viewport_size: `${width}x700`,
        timezone: "Europe/Berlin",
        language: "de-DE",
      }
    })
    return JSON.stringify(items)
  })
}

function newIds(): [anonymousId: string, sessionId: string] {
  return [`anon_${crypto.randomUUID()}`, `sess_${crypto.randomUUID()}`]
}

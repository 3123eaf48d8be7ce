// Run with `bun run test:crash [times] [seed]`. Repeatedly kills a server under load, and looks for requests that were
// lost, stored twice or stored in part.
import { differences } from "../../src/columns/check.ts"
import { openReader, type Server, startServer, temporaryFolder } from "../harness.ts"
import { mulberry32 } from "../support/random.ts"

export interface CrashReport {
  kills: number
  /** Number of acknowledged events. */
  answered: number
  /** Number of events in the database, acknowledged or not. */
  stored: number
  /** Number of acknowledged requests whose events are not all stored exactly once. */
  lostOrDoubled: number
  /** Number of requests that are stored only in part. */
  torn: number
  /** Result of `pragma integrity_check` at the end. */
  integrity: string
  /** Differences between the column blocks and the rows. */
  blocks: string[]
}

/** Number of concurrent requests. */
const connections = 16
/** Number of events in the largest request. */
const largestBatch = 40
/** Time under load before a kill, in ms. The shortest time allows a few commits, and the longest a checkpoint. */
const shortestLoad = 50
const longestLoad = 400

/** Kills a server under load `kills` times. Events carry the number of their request, so that they can be counted. */
export async function crashRepeatedly(kills: number, seed: number): Promise<CrashReport> {
  using folder = temporaryFolder()
  const db = folder.file("crash.db")
  const random = mulberry32(seed)
  /** Number of events in each request. */
  const sent: number[] = []
  const answered = new Set<number>()
  let key = ""
  for (let kill = 0; kill < kills; kill++) {
    const server = await startServer({ db })
    key ||= server.key
    const load = keepLoaded(server, key, random, sent, answered)
    await Bun.sleep(shortestLoad + random() * (longestLoad - shortestLoad))
    await server.kill()
    await load
  }
  // One more run with a clean stop: the server must recover from the crashes by itself.
  const last = await startServer({ db })
  await last.stop()
  return { kills, ...count(db, sent, answered) }
}

/** Sends requests until the server is gone. */
async function keepLoaded(
  server: Server,
  key: string,
  random: () => number,
  sent: number[],
  answered: Set<number>,
): Promise<void> {
  const one = async () => {
    for (;;) {
      const size = random() < 0.5 ? 1 : 1 + Math.floor(random() * largestBatch)
      const request = sent.push(size) - 1
      const event = { name: "crash", sessionId: `${request}`, properties: { size } }
      const body = size === 1 ? event : Array.from({ length: size }, () => event)
      try {
        const answer = await fetch(`${server.url}/track`, {
          method: "POST",
          headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
          body: JSON.stringify(body),
        })
        const { count } = (await answer.json()) as { count?: number }
        if (answer.status === 200 && count === size) answered.add(request)
      } catch {
        return
      }
    }
  }
  await Promise.all(Array.from({ length: connections }, one))
}

function count(
  path: string,
  sent: readonly number[],
  answered: ReadonlySet<number>,
): Omit<CrashReport, "kills"> {
  const db = openReader(path)
  try {
    const rows = db
      .prepare("select session_id, count(*) as events from events group by session_id")
      .all() as {
      session_id: string
      events: number
    }[]
    const stored = new Map(rows.map((row) => [Number(row.session_id), row.events]))
    return {
      answered: [...answered].reduce((sum, request) => sum + (sent[request] ?? 0), 0),
      stored: rows.reduce((sum, row) => sum + row.events, 0),
      lostOrDoubled: [...answered].filter((request) => stored.get(request) !== sent[request]).length,
      torn: [...stored].filter(([request, events]) => events !== sent[request]).length,
      integrity: db.pragma("integrity_check", { simple: true }) as string,
      blocks: differences(db),
    }
  } finally {
    db.close()
  }
}

if (import.meta.main) {
  const [kills = 100, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)
  process.stdout.write(`killing ${kills} times, seed ${seed}\n`)
  const report = await crashRepeatedly(kills, seed)
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  const { lostOrDoubled, torn, integrity, blocks } = report
  process.exit(lostOrDoubled === 0 && torn === 0 && integrity === "ok" && blocks.length === 0 ? 0 : 1)
}

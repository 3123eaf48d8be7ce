import { connect } from "node:net"
import { Database } from "../../src/store/db/driver.ts"
import { openReader, type Server, startServer, temporaryFolder } from "../harness.ts"
import { memoryOf } from "../support/memory.ts"

export interface OverloadOptions {
  clients: number
  /** Duration of the overload. */
  seconds: number
  /**
   * Numbers of clients that do not fill the queue. Each runs for a quarter of `seconds` before the overload, and the
   * first one also after it.
   */
  few: [number, ...number[]]
  /** Capacity of the queue in events. It must be less than the clients send at once, so that requests are rejected. */
  queue: number
  /** For how long another process alternately holds and releases the write lock, in ms. */
  held: number
  left: number
}

export interface OverloadReport {
  /** Numbers of responses by status, and of `broken` connections. `before` has an entry for each entry of `few`. */
  before: Statuses[]
  during: Statuses
  afterwards: Statuses
  /** Status of the first request after the overload. */
  first: number
  /** Events acknowledged per second, for each entry of `few`. */
  best: number[]
  goodput: number
  goodputAfterwards: number
  answered: number
  stored: number
  /** Resident memory in MB: before the overload, and the peaks of its first and second half. */
  memory: { before: number; firstHalf: number; secondHalf: number }
  /** /health during the overload: requests, failures to respond with 200 within 10 s, and the longest wait in ms. */
  health: { asked: number; missed: number; longest: number }
}

type Statuses = Record<string, number>

const perRequest = 10
/** Fraction of the best goodput that is required during the overload and after it. */
const minGoodputShare = 0.8
/**
 * Extra memory allowed under overload, in MB: 2,000 connections with a request and a response each, a full queue, and
 * its commit.
 */
const maxExtraMemory = 200
/** Maximum ratio of the memory in the second half to that in the first half. A higher ratio suggests a memory leak. */
const maxGrowth = 1.15

export async function overload(options: OverloadOptions): Promise<OverloadReport> {
  const { clients, seconds, few, queue, held, left } = options
  using folder = temporaryFolder()
  const args = ["--queue-events", String(queue)]
  const server = await startServer({ db: folder.file("overload.db"), args })
  const order = JSON.stringify({ path: server.db, held, left })
  const slower = Bun.spawn([process.execPath, import.meta.path, "slow", order])
  try {
    const before: Loaded[] = []
    for (const some of few) before.push(await load(server, some, seconds / 4))
    const watched = watch(server)
    const during = await load(server, clients, seconds)
    const first = await sendOne(server)
    const { memory, health } = await watched.stop()
    const afterwards = await load(server, few[0], seconds / 4)
    slower.kill()
    await server.stop()
    return {
      before: before.map((loaded) => loaded.statuses),
      during: during.statuses,
      afterwards: afterwards.statuses,
      first,
      best: before.map(goodputOf),
      goodput: goodputOf(during),
      goodputAfterwards: goodputOf(afterwards),
      answered: [...before, during, afterwards].reduce((sum, loaded) => sum + answeredIn(loaded), 0),
      stored: countEvents(server.db),
      memory,
      health,
    }
  } finally {
    slower.kill()
    await server.kill()
  }
}

/** Returns violations of what must hold on any machine. */
export function violationsOf(report: OverloadReport): string[] {
  const { before, during, afterwards, first, answered, stored, memory, health } = report
  const others = Object.keys(during).filter((status) => !["200", "503", "429"].includes(status))
  const few = [...before, afterwards].flatMap(Object.keys).filter((status) => status !== "200")
  const peak = Math.max(memory.firstHalf, memory.secondHalf)
  return [
    ...others.map((status) => `${during[status]} of the clients' requests got ${status}`),
    ...few.map((status) => `some of the few clients' requests got ${status}`),
    ...(during["503"] ? [] : ["no request was rejected, so there was no overload"]),
    ...(stored === answered ? [] : [`${answered} events were acknowledged, but ${stored} are stored`]),
    ...(first === 200 ? [] : [`the first request afterwards got ${first}`]),
    ...(peak - memory.before <= maxExtraMemory ? [] : [`memory grew from ${memory.before} to ${peak} MB`]),
    ...(health.asked > 0 && health.missed === 0
      ? []
      : [`/health missed ${health.missed} of ${health.asked}`]),
  ]
}

/** Returns slowdowns. The limits are meant for an overload of a minute on an idle machine. */
export function slowdownsOf({ best, goodput, goodputAfterwards, memory }: OverloadReport): string[] {
  const [same = 0] = best
  const most = Math.max(...best)
  return [
    ...(goodput >= most * minGoodputShare ? [] : [`goodput fell from ${most} to ${goodput} events/s`]),
    ...(goodputAfterwards >= same * minGoodputShare
      ? []
      : [`goodput stayed at ${goodputAfterwards} of ${same} events/s`]),
    ...(memory.secondHalf <= memory.firstHalf * maxGrowth ? [] : ["memory grew in the second half"]),
  ]
}

/** Samples memory and /health twice a second until stopped. */
function watch(server: Server) {
  const samples: number[] = []
  const waits: number[] = []
  const asked: Promise<void>[] = []
  let missed = 0
  const memory = () => Math.round(memoryOf(server).now)
  const before = memory()
  const ask = async () => {
    const started = performance.now()
    const signal = AbortSignal.timeout(10_000)
    const answer = await fetch(`${server.url}/health`, { signal }).catch(() => undefined)
    if (answer?.status !== 200) missed++
    waits.push(performance.now() - started)
  }
  const timer = setInterval(() => {
    samples.push(memory())
    asked.push(ask())
  }, 500)
  return {
    stop: async () => {
      clearInterval(timer)
      await Promise.all(asked)
      const half = Math.ceil(samples.length / 2)
      return {
        memory: {
          before,
          firstHalf: Math.max(...samples.slice(0, half)),
          secondHalf: Math.max(...samples.slice(half)),
        },
        health: { asked: asked.length, missed, longest: Math.round(Math.max(...waits)) },
      }
    },
  }
}

async function sendOne(server: Server): Promise<number> {
  const headers = { Authorization: `Bearer ${server.key}` }
  const body = '{"name":"afterwards"}'
  return (await fetch(`${server.url}/track`, { method: "POST", headers, body })).status
}

const answeredIn = ({ statuses }: Loaded) => (statuses["200"] ?? 0) * perRequest
const goodputOf = (loaded: Loaded) => Math.round(answeredIn(loaded) / loaded.seconds)

interface Loaded {
  seconds: number
  statuses: Statuses
}

/** Sends load from a separate process, so that it does not slow the monitor. */
async function load(server: Server, clients: number, seconds: number): Promise<Loaded> {
  const order = JSON.stringify({ port: server.port, key: server.key, clients, seconds })
  const child = Bun.spawn([process.execPath, import.meta.path, "load", order], {
    stdout: "pipe",
    stderr: "inherit",
  })
  return JSON.parse(await child.stdout.text()) as Loaded
}

function countEvents(path: string): number {
  const db = openReader(path)
  try {
    return db.prepare("select count(*) from events where name = 'load'").pluck().get() as number
  } finally {
    db.close()
  }
}

/** Sends requests back to back over each connection, and waits for pending responses at the end. */
async function sendLoad(port: number, key: string, clients: number, seconds: number): Promise<Loaded> {
  const body = JSON.stringify(Array(perRequest).fill({ name: "load", properties: { n: 1 } }))
  const request = `POST /track HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const statuses: Statuses = {}
  const count = (status: string) => {
    statuses[status] = (statuses[status] ?? 0) + 1
  }
  const started = performance.now()
  const end = started + seconds * 1_000
  const one = () =>
    new Promise<void>((resolve) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true })
      socket.setEncoding("latin1")
      socket.on("connect", () => socket.write(request))
      socket.on("data", (text: unknown) => {
        // A response is small and arrives in one piece.
        count(String(text).slice(9, 12))
        if (performance.now() < end) socket.write(request)
        else socket.end()
      })
      socket.on("error", () => count("broken"))
      socket.on("close", () => resolve())
    })
  await Promise.all(Array.from({ length: clients }, one))
  return { seconds: (performance.now() - started) / 1_000, statuses }
}

/** Takes and releases the write lock in an endless loop. */
function slow({ path, held, left }: { path: string; held: number; left: number }): void {
  const db = new Database(path)
  db.pragma("busy_timeout = 1000")
  for (;;) {
    try {
      db.exec("begin immediate")
      Bun.sleepSync(held)
      db.exec("rollback")
    } catch {
      // The server is writing.
    }
    Bun.sleepSync(left)
  }
}

if (import.meta.main) {
  const [first = "60", second = "2000"] = process.argv.slice(2)
  if (first === "slow") slow(JSON.parse(second))
  else if (first === "load") {
    const { port, key, clients, seconds } = JSON.parse(second)
    process.stdout.write(JSON.stringify(await sendLoad(port, key, clients, seconds)))
    process.exit()
  } else {
    const options: OverloadOptions = {
      seconds: Number(first),
      clients: Number(second),
      few: [64, 400],
      queue: 5_000,
      held: 40,
      left: 40,
    }
    process.stdout.write(`${options.clients} clients for ${options.seconds} s\n`)
    const report = await overload(options)
    const complaints = [...violationsOf(report), ...slowdownsOf(report)]
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
    for (const complaint of complaints) process.stdout.write(`FAILED: ${complaint}\n`)
    process.exit(complaints.length === 0 ? 0 : 1)
  }
}

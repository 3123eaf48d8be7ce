import { constants, copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Server, startServer } from "../harness.ts"
import { memoryOf } from "../support/memory.ts"
import { standardEvents } from "./dataset.ts"
import { evict, install, website } from "./engines.ts"
import { prepare } from "./prepare.ts"
import { prepareWide } from "./wide-prepare.ts"

/** Number of distinct events, which are sent repeatedly. */
const sentEvents = 1_000

/** A server with the standard data set that receives events. */
export interface Busy extends AsyncDisposable {
  server: Server
  /** An API key with all scopes. */
  key: string
  /** Number of events received so far. */
  sent: () => number
  /** Peak memory in MiB. */
  memory: () => number
}

export interface BusyOptions {
  events: number
  /** Folder of the data set, which is created if it is missing. If undefined, a temporary folder is used. */
  dir?: string
  /** Use the wide data set instead of the standard one. */
  wide?: boolean
  /** In MiB. If undefined, the server's default applies. */
  queryMemory?: number
  /** Events per second; each is sent in its own request. */
  arriving: number
}

export async function startBusy({ events, dir, wide, queryMemory, arriving }: BusyOptions): Promise<Busy> {
  const parent = dir ?? mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  const folder = await preparedIn(parent, events, wide)
  const key = readFileSync(join(folder, "key"), "utf8")
  // The load must not change the data that a later run queries.
  const copies = mkdtempSync(join(folder, "busy-"))
  const db = join(copies, "databuddy.db")
  copyFileSync(join(folder, "databuddy.db"), db, constants.COPYFILE_FICLONE)
  await evict(copies, [copies])
  const memory = queryMemory === undefined ? [] : ["--query-memory", String(queryMemory * 1_048_576)]
  // No rate limit, because before it starts, a benchmark may send many events from one address.
  const server = await startServer({ db, args: ["--rate-limit", "0", ...memory] })
  const sending = sendMeanwhile(server.url, key, arriving)
  return {
    server,
    key,
    sent: sending.sent,
    memory: () => memoryOf(server).peak,
    [Symbol.asyncDispose]: async () => {
      await sending.stop()
      await server.stop()
      rmSync(dir === undefined ? parent : copies, { recursive: true })
    },
  }
}

/** Creates the data set if it is missing, and returns its folder. */
async function preparedIn(parent: string, events: number, wide = false): Promise<string> {
  const packages = join(parent, "engines")
  if (!wide) return (await prepare(parent, packages, events, ["databuddy"])).folder
  const folder = join(parent, `wide-${events}`)
  await install(packages)
  await prepareWide(folder, packages, events)
  return folder
}

/** Sends current events of known visitors in new sessions. */
export function sendMeanwhile(
  url: string,
  key: string,
  perSecond: number,
): { sent: () => number; stop: () => Promise<void> } {
  const bodies = [...standardEvents(sentEvents, Date.now(), 2)].map(({ timestamp: _, ...event }) =>
    JSON.stringify({ ...event, sessionId: `now-${event.sessionId}`, websiteId: website }),
  )
  let count = 0
  let last = Promise.resolve()
  const send = async () => {
    const answer = await fetch(`${url}/track`, {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: bodies[count++ % bodies.length] as string,
    })
    if (!answer.ok) throw new Error(`/track: ${answer.status} ${await answer.text()}`)
  }
  const timer = setInterval(() => {
    last = send()
  }, 1_000 / perSecond)
  return {
    sent: () => count,
    stop: async () => {
      clearInterval(timer)
      await last
    },
  }
}

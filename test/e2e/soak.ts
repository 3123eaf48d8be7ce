// Run with `bun run test:soak [--minutes N] [--seed S]`. Puts load on a server for minutes, with kill -9, stops,
// backups and retention in random order, and then counts every event.
import { rmSync } from "node:fs"
import { parseArgs } from "node:util"
import { eventually, openReader, type Server, startServer, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { mulberry32, type Pick, picker } from "../support/random.ts"

export interface SoakReport {
  seed: number
  minutes: number
  kills: number
  stops: number
  /** Number of backups that finished, and of those that were killed in the middle. */
  backups: number
  backupsKilled: number
  /** Number of backups that failed without a kill, are damaged, or lack an event acknowledged before they started. */
  badBackups: number
  requests: number
  /** Number of times a request was sent again with the same event ids, because it was not acknowledged. */
  sentAgain: number
  /** Number of acknowledged events that have not expired, and of those older than `--retain`. */
  answered: number
  answeredExpired: number
  /** Number of unexpired events in the database, acknowledged or not, and of expired ones that are still there. */
  stored: number
  expiredLeft: number
  /** Number of acknowledged requests whose unexpired events are not all stored exactly once. */
  lostOrDoubled: number
  /** Number of requests that are stored only in part. */
  torn: number
  /** Number of responses other than 200 and 503. */
  otherAnswers: number
  /** Exit code of `databuddy check` at the end. */
  check: number
}

const connections = 8
/** Number of events in the largest request. */
const largestBatch = 20
/**
 * Maximum time between two requests of a connection, in ms. After ten minutes, the database should have a few hundred
 * MB, which each backup copies and checks.
 */
const longestPause = 15
/** Time between two faults, in ms. */
const shortestQuiet = 300
const longestQuiet = 6_000
const day = 86_400_000
/** Ages of events in ms: one far above `--retain 90d`, and one below it. */
const ages = { expired: 100 * day, kept: 80 * day }
const retain = ["--retain", "90d"]

interface Sent {
  size: number
  expired: boolean
  answered: boolean
}

/** State shared by the load and the faults. */
interface Run {
  db: string
  key: string
  /** The running server. Pending while it restarts. */
  server: Promise<Server>
  over: boolean
  sent: Sent[]
  sentAgain: number
  otherAnswers: number
}

export async function soak(minutes: number, seed: number): Promise<SoakReport> {
  using folder = temporaryFolder()
  const db = folder.file("soak.db")
  const first = await startServer({ db, args: retain })
  const run: Run = {
    db,
    key: first.key,
    server: Promise.resolve(first),
    over: false,
    sent: [],
    sentAgain: 0,
    otherAnswers: 0,
  }
  const random = mulberry32(seed)
  // The load has its own random numbers, because it uses more or fewer of them depending on the machine's speed. The
  // order of the faults must depend only on the seed.
  const load = Array.from({ length: connections }, (_, index) =>
    sendOn(run, picker(mulberry32(seed + 1 + index))),
  )
  const happened = await disturb(run, folder.file("backup.db"), picker(random), minutes * 60_000)
  run.over = true
  await Promise.all(load)
  await (await run.server).kill()
  const last = await startServer({ db, args: retain })
  await eventually(() => expiredIn(db) === 0, { timeout: 120_000, pause: 500 }).catch(() => undefined)
  await last.stop()
  return {
    seed,
    minutes,
    ...happened,
    kills: happened.kills + 1,
    requests: run.sent.length,
    sentAgain: run.sentAgain,
    ...count(db, run.sent),
    otherAnswers: run.otherAnswers,
    check: await databuddy("check", "--db", db).exited,
  }
}

/** Sends one request after another. Half of them have event ids and are sent again until they are acknowledged. */
async function sendOn(run: Run, pick: Pick): Promise<void> {
  while (!run.over) {
    const one: Sent = { size: pick.whole(1, largestBatch), expired: pick.chance(0.2), answered: false }
    const request = run.sent.push(one) - 1
    const again = pick.chance(0.5)
    const body = bodyOf(one, request, again, pick)
    for (let attempt = 0; !one.answered && (attempt === 0 || again); attempt++) {
      if (attempt > 0) run.sentAgain++
      one.answered = await post(run, body, one.size)
      if (!one.answered) await Bun.sleep(50)
    }
    await Bun.sleep(pick.fraction() * longestPause)
  }
}

function bodyOf({ size, expired }: Sent, request: number, withIds: boolean, pick: Pick): string {
  const name = expired ? "expired" : "kept"
  const age = expired ? ages.expired : pick.of([0, ages.kept])
  const events = Array.from({ length: size }, (_, index) => ({
    name,
    timestamp: Date.now() - age,
    sessionId: `${request}`,
    ...(withIds ? { eventId: `${request}.${index}` } : {}),
    properties: { index },
  }))
  return JSON.stringify(size === 1 ? events[0] : events)
}

/** True if the server has acknowledged the request. */
async function post(run: Run, body: string, size: number): Promise<boolean> {
  const { url } = await run.server
  const headers = { Authorization: `Bearer ${run.key}`, "Content-Type": "application/json" }
  try {
    const answer = await fetch(`${url}/track`, { method: "POST", headers, body })
    const { count } = (await answer.json()) as { count?: number }
    if (answer.status === 200) return count === size
    if (answer.status !== 503) run.otherAnswers++
  } catch {
    // The server is gone, and so is the connection.
  }
  return false
}

type Happened = Counts<"kills" | "stops" | "backups" | "backupsKilled" | "badBackups">
type Counts<Name extends keyof SoakReport> = { [Key in Name]: SoakReport[Key] }

/** Kills, stops and restarts the server, and starts and kills backups, in an order chosen by `pick`. */
async function disturb(run: Run, file: string, pick: Pick, ms: number): Promise<Happened> {
  const happened: Happened = { kills: 0, stops: 0, backups: 0, backupsKilled: 0, badBackups: 0 }
  const end = performance.now() + ms
  let backup: { process: Bun.Subprocess; done: Promise<void>; killed: boolean } | undefined
  while (performance.now() < end) {
    await Bun.sleep(pick.whole(shortestQuiet, longestQuiet))
    const what = pick.of(["kill", "kill", "stop", "backup", "backup", "kill backup"] as const)
    if (what === "kill" || what === "stop") {
      const server = await run.server
      run.server = (what === "kill" ? server.kill() : server.stop()).then(() =>
        startServer({ db: run.db, args: retain }),
      )
      await run.server
      happened[what === "kill" ? "kills" : "stops"]++
    } else if (what === "backup") {
      // One at a time, but concurrently with the next faults.
      await backup?.done
      const before = run.sent.reduce((sum, one) => sum + (one.answered && !one.expired ? one.size : 0), 0)
      const process = databuddy("backup", file, "--force", "--db", run.db)
      const one = { process, killed: false, done: Promise.resolve() }
      one.done = process.exited.then(async (code) => {
        if (one.killed && code !== 0) happened.backupsKilled++
        else if (code === 0 && (await isWhole(file, before))) happened.backups++
        else happened.badBackups++
      })
      backup = one
    } else if (backup) {
      backup.killed = true
      backup.process.kill("SIGKILL")
      await backup.done
    }
  }
  await backup?.done
  rmSync(file, { force: true })
  return happened
}

function databuddy(...args: string[]): Bun.Subprocess {
  return Bun.spawn([binary, ...args], { stdin: "ignore", stdout: "ignore", stderr: "inherit" })
}

/** True if a backup is intact, and has at least as many unexpired events as were acknowledged before it started. */
async function isWhole(file: string, least: number): Promise<boolean> {
  const sound = (await databuddy("restore", file, "--dry-run").exited) === 0
  return sound && countOf(file, "kept") >= least
}

const expiredIn = (db: string) => countOf(db, "expired")

function countOf(file: string, name: string): number {
  const db = openReader(file)
  try {
    return db.prepare("select count(*) from events where name = :name").pluck().get({ name }) as number
  } finally {
    db.close()
  }
}

function count(path: string, sent: readonly Sent[]) {
  const db = openReader(path)
  try {
    const rows = db
      .prepare("select session_id, count(*) as events from events where name = 'kept' group by session_id")
      .all() as { session_id: string; events: number }[]
    const stored = new Map(rows.map((row) => [Number(row.session_id), row.events]))
    const eventsOf = (some: Sent[]) => some.reduce((sum, { size }) => sum + size, 0)
    const isThere = (one: Sent, request: number) => stored.get(request) === one.size
    return {
      answered: eventsOf(sent.filter((one) => one.answered && !one.expired)),
      answeredExpired: eventsOf(sent.filter((one) => one.answered && one.expired)),
      stored: rows.reduce((sum, row) => sum + row.events, 0),
      expiredLeft: expiredIn(path),
      lostOrDoubled: sent.filter((one, request) => one.answered && !one.expired && !isThere(one, request))
        .length,
      torn: [...stored].filter(([request, events]) => events !== sent[request]?.size).length,
    }
  } finally {
    db.close()
  }
}

/** True if no event is lost or duplicated, and every expired event is deleted. */
export function isClean(report: SoakReport): boolean {
  const { lostOrDoubled, torn, expiredLeft, badBackups, otherAnswers, check } = report
  return [lostOrDoubled, torn, expiredLeft, badBackups, otherAnswers, check].every((number) => number === 0)
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { minutes: { type: "string" }, seed: { type: "string" } } })
  const minutes = Number(values.minutes ?? 10)
  const seed = Number(values.seed ?? Date.now() % 1_000_000)
  process.stdout.write(`soaking for ${minutes} minutes, seed ${seed}\n`)
  const report = await soak(minutes, seed)
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  process.exit(isClean(report) ? 0 : 1)
}

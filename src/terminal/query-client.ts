import type { Command } from "commander"
import { SnapshotReader } from "../columns/snapshot-reader.ts"
import { type DatabaseOptions, databaseOption } from "../config.ts"
import { UserError } from "../errors.ts"
import { executeQuery, standardMemory } from "../query/engine/execute.ts"
import { MemoryBudget } from "../query/structures/id-set.ts"
import {
  type Entry,
  type Executed,
  executeParsedQuery,
  type QueryAnswer,
  rowsOf,
} from "../query-api/execute.ts"
import { fullLimits } from "../query-api/limits.ts"
import { parseQueries } from "../query-api/parse.ts"
import type { QuerySpec, Row, RunQuery } from "../query-api/query-spec.ts"
import type { Db } from "../store/db/driver.ts"
import { closeAfterReading, openForReading } from "../store/db/open.ts"
import { findWebsite, listWebsites } from "../store/websites.ts"
import { callServer } from "./api-client.ts"
import type { Context } from "./context.ts"
import { requireDatabase } from "./database.ts"

/** Where to ask: the file, or a server. */
export interface Where extends DatabaseOptions {
  url?: string
  website?: string
}

/** ms that work on a terminal goes on before its time is shown, and between two showings. */
const quiet = 500
const redraw = 100
/** ms that the file is read before signals and the clock have their turn. */
const slice = 50

export function addWhereOptions(command: Command): Command {
  const database = databaseOption()
  database.description = "the SQLite database, read beside a running server"
  return command
    .option("--website <id>", "of one website, or none: the owner's own events (default: all together)")
    .addOption(database)
    .option("--url <url>", "ask this server and not the file, with a key in DATABUDDY_KEY")
}

/** The query's entries, one a parameter. Throws a Complaint, also where one of them fails. */
export async function askQuery(
  body: object,
  where: Where,
  context: Context,
): Promise<Extract<Entry<Row[]>, { success: true }>[]> {
  const { data } = await showingTime(context, () =>
    where.url === undefined ? askFile(body, where, context) : askServer(body, where.url, where, context),
  )
  return data.map((entry) => {
    if (entry.success) return entry
    throw new UserError(entry.error, "databuddy query --help shows what can be asked")
  })
}

async function askServer(
  body: object,
  url: string,
  { website }: Where,
  context: Context,
): Promise<QueryAnswer<Row[]>> {
  const path = `/v1/query?website_id=${encodeURIComponent(website ?? "all")}`
  // Our own server's answer; what is no success has been thrown by now.
  return (await callServer(url, path, context, body)) as unknown as QueryAnswer<Row[]>
}

async function askFile(body: object, where: Where, context: Context): Promise<QueryAnswer<Row[]>> {
  const db = openForReading(requireDatabase(where))
  try {
    const websites = ridsOf(db, where.website)
    const about = { websites, zone: "UTC", now: context.world.now(), withSingles: true, limits: fullLimits }
    const reading = parseQueries(body, about)
    let read = reading.next()
    while (!read.done) read = reading.next()
    const [query] = read.value.queries
    if (!query) throw new Error("nothing was asked")
    const fault = (error: unknown) => {
      throw error
    }
    const room = { rows: fullLimits.rows, cells: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY }
    return await executeParsedQuery(
      query,
      executor(db, context),
      new AbortController().signal,
      fault,
      room,
      fullLimits,
    )
  } finally {
    closeAfterReading(db)
  }
}

/** rids; 0: the owner's own events. Throws `website_unknown`. */
export function ridsOf(db: Db, website: string | undefined): number[] {
  if (website === undefined || website === "all") return [0, ...listWebsites(db).map(({ rid }) => rid)]
  return website === "none" ? [0] : [findWebsite(db, website).rid]
}

/** Answers parameters from the file. */
function executor(db: Db, { world, sleep }: Context): (ask: QuerySpec) => Promise<Executed<Row[]>> {
  const reader = new SnapshotReader(db)
  return async (ask) => {
    const since = world.elapsed()
    const metas: Executed<Row[]>["metas"] = []
    const budget = new MemoryBudget(standardMemory)
    const put: RunQuery = function* (question) {
      const { answer, meta } = yield* executeQuery(reader, question, budget)
      metas.push(meta)
      return answer
    }
    const steps = rowsOf(ask, put)
    for (let rested = since; ; ) {
      const step = steps.next()
      if (step.done) {
        const { rows, total, nextCursor } = step.value
        const counts = { rows: rows.length, cells: 0, bytes: 0 }
        return { data: rows, ...counts, total, nextCursor, metas, ms: world.elapsed() - since }
      }
      if (world.elapsed() - rested < slice) continue
      await sleep(0)
      rested = world.elapsed()
    }
  }
}

/** Where a person looks on, long work says how long it has taken. */
async function showingTime<Result>(context: Context, work: () => Promise<Result>): Promise<Result> {
  if (!context.errIsTerminal) return work()
  const { elapsed } = context.world
  const since = elapsed()
  let drawn = false
  const timer = setInterval(() => {
    const ms = elapsed() - since
    if (ms < quiet) return
    drawn = true
    context.err(`\rreading … ${(ms / 1_000).toFixed(1)} s`)
  }, redraw)
  try {
    return await work()
  } finally {
    clearInterval(timer)
    if (drawn) context.err(`\r${" ".repeat(24)}\r`)
  }
}

import type { Command } from "commander"
import { SnapshotReader } from "../columns/snapshot-reader.ts"
import { UserError } from "../errors.ts"
import { defaultMemory } from "../query/engine/execute.ts"
import { MemoryBudget } from "../query/structures/memory-budget.ts"
import {
  type Entry,
  executeParsedQuery,
  type ParameterResult,
  type QueryAnswer,
  rowsOf,
} from "../query-api/execute.ts"
import { executeOnFile } from "../query-api/execute-on-file.ts"
import { parseQueries } from "../query-api/parse.ts"
import type { QuerySpec, Row, RunQuery } from "../query-api/query-spec.ts"
import { fullLimits } from "../query-api/result-limits.ts"
import type { DatabaseOptions } from "../serve-options.ts"
import type { Db } from "../store/db/driver.ts"
import { closeAfterReading, openForReading } from "../store/db/open.ts"
import { findWebsite, listWebsites } from "../store/websites.ts"
import { callServer } from "./api-client.ts"
import type { Context } from "./context.ts"
import { commandDatabaseOption, requireDatabase } from "./database.ts"

/** Where a query runs (on the database file or on a server), and the website that it selects. */
export interface Where extends DatabaseOptions {
  url?: string
  website?: string
}

/** How long a query runs before the terminal shows the elapsed time, and the time between updates. Both are in ms. */
const timerDelay = 500
const timerInterval = 100
/** How long a query runs before it yields to the event loop, which handles signals and timers, in ms. */
const sliceMs = 50

export function addWhereOptions(command: Command): Command {
  return command
    .option(
      "--website <id>",
      'filter by website; "none" selects events without a website (default: all events)',
    )
    .addOption(commandDatabaseOption("the SQLite database (safe while the server runs)"))
    .option("--url <url>", "query this server instead of the file, with the key in DATABUDDY_KEY")
}

/** Runs a query and returns one entry per parameter. Throws a UserError if any parameter fails. */
export async function runQueries(
  body: object,
  where: Where,
  context: Context,
): Promise<Extract<Entry<Row[]>, { success: true }>[]> {
  const { data } = await showElapsedTime(context, () =>
    where.url === undefined ? queryFile(body, where, context) : queryServer(body, where.url, where, context),
  )
  return data.map((entry) => {
    if (entry.success) return entry
    throw new UserError(entry.error, "see `databuddy query --help`")
  })
}

function queryServer(
  body: object,
  url: string,
  { website }: Where,
  context: Context,
): Promise<QueryAnswer<Row[]>> {
  const path = `/v1/query?website_id=${encodeURIComponent(website ?? "all")}`
  return callServer(url, path, context, body)
}

async function queryFile(body: object, where: Where, context: Context): Promise<QueryAnswer<Row[]>> {
  const db = openForReading(requireDatabase(where))
  try {
    const websites = ridsOf(db, where.website)
    const options = {
      websites,
      zone: "UTC",
      now: context.environment.now(),
      canReadData: true,
      limits: fullLimits,
    }
    const parser = parseQueries(body, options)
    let step = parser.next()
    while (!step.done) step = parser.next()
    const [query] = step.value.queries
    if (!query) throw new Error("the query is empty")
    const onFault = (error: unknown) => {
      throw error
    }
    const { rows } = fullLimits
    return await executeParsedQuery(query, {
      execute: executor(db, context),
      signal: new AbortController().signal,
      onFault,
      remaining: {
        rows,
        cells: Number.POSITIVE_INFINITY,
        bytes: Number.POSITIVE_INFINITY,
        queries: query.parameters.length,
      },
      maxRows: rows,
    })
  } finally {
    closeAfterReading(db)
  }
}

/** Returns the row IDs of the selected websites. 0 stands for events without a website. Throws `website_unknown`. */
export function ridsOf(db: Db, website: string | undefined): number[] {
  if (website === undefined || website === "all") return [0, ...listWebsites(db).map(({ rid }) => rid)]
  return website === "none" ? [0] : [findWebsite(db, website).rid]
}

/** Returns a function that runs the query for one parameter on the database file. */
function executor(
  db: Db,
  { environment, sleep }: Context,
): (spec: QuerySpec) => Promise<ParameterResult<Row[]>> {
  const reader = new SnapshotReader(db)
  return async (spec) => {
    const startedAt = environment.elapsed()
    const metas: ParameterResult<Row[]>["statistics"] = []
    const budget = new MemoryBudget(defaultMemory)
    const run: RunQuery = function* (query) {
      const { result: answer, statistics: meta } = yield* executeOnFile(reader, query, budget)
      metas.push(meta)
      return answer
    }
    const steps = rowsOf(spec, run)
    for (let yieldedAt = startedAt; ; ) {
      const step = steps.next()
      if (step.done) {
        const { rows, total, nextCursor, movers } = step.value
        const counts = { rows: rows.length, cells: 0, bytes: 0 }
        return {
          data: rows,
          ...counts,
          total,
          nextCursor,
          movers,
          statistics: metas,
          ms: environment.elapsed() - startedAt,
        }
      }
      if (environment.elapsed() - yieldedAt < sliceMs) continue
      await sleep(0)
      yieldedAt = environment.elapsed()
    }
  }
}

/** Runs `work` and returns its result. If it takes longer than `timerDelay`, shows the elapsed time on a terminal. */
async function showElapsedTime<Result>(context: Context, work: () => Promise<Result>): Promise<Result> {
  if (!context.errIsTerminal) return work()
  const { elapsed } = context.environment
  const startedAt = elapsed()
  let drawn = false
  const timer = setInterval(() => {
    const ms = elapsed() - startedAt
    if (ms < timerDelay) return
    drawn = true
    context.err(`\rreading… ${(ms / 1_000).toFixed(1)} s`)
  }, timerInterval)
  try {
    return await work()
  } finally {
    clearInterval(timer)
    if (drawn) context.err(`\r${" ".repeat(24)}\r`)
  }
}

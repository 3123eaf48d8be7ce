import { RequestError } from "../errors.ts"
import type { Rendered, Room } from "../query/engine/messages.ts"
import { OutOfMemoryBudgetError } from "../query/structures/id-set.ts"
import type { QueryLimits } from "./limits.ts"
import type { ParsedQuery } from "./parse.ts"
import type { QuerySpec, RunQuery, TypeResult } from "./query-spec.ts"
import { iso, rowOrder, wrong } from "./rows.ts"
import type { MetaJson } from "./schema.ts"
import { typeOf } from "./types.ts"

/** The answer to one parameter. `Rows`: as they are, or as JSON. */
export type Entry<Rows> =
  | { parameter: string; success: true; data: Rows; meta: MetaJson }
  | { parameter: string; success: false; error: string; data: [] }

export interface QueryAnswer<Rows> {
  queryId?: string
  data: Entry<Rows>[]
  meta: {
    parameters: string[]
    total_parameters: number
    page: number
    limit: number
    filters_applied: number
  }
}

/** The rows of one parameter, and what they count for. */
export interface Executed<Rows>
  extends Pick<Rendered, "rows" | "cells" | "bytes" | "total" | "nextCursor" | "metas"> {
  data: Rows
  ms: number
}

/** What an entry says of a fault that is ours. */
const fault = "Internal server error"
const tooLarge =
  "this needs more memory than --query-memory gives: ask for a shorter range, a lower limit, fewer fields to break down by, or filter"

/**
 * Answers one parameter after the other. What fails of them fails alone; `onFault` hears of what is no refusal. Rejects
 * when `signal` is aborted. `room`: shared by the queries of a request, and at first what its limits say.
 */
export async function executeParsedQuery<Rows>(
  { id, parameters, page, limit, filters }: ParsedQuery,
  execute: (ask: QuerySpec, room: Room) => Promise<Executed<Rows>>,
  signal: AbortSignal,
  onFault: (error: unknown) => void,
  room: Room,
  { rows: most }: Pick<QueryLimits, "rows">,
): Promise<QueryAnswer<Rows>> {
  const data: Entry<Rows>[] = []
  for (const one of parameters) {
    data.push(
      "failure" in one
        ? failed(one.id, one.failure)
        : room.rows <= 0
          ? failed(one.id, tooMuch(most))
          : await answerAsk(one, execute, signal, onFault, room),
    )
  }
  const names = parameters.map((one) => one.id)
  const meta = { parameters: names, total_parameters: names.length, page, limit, filters_applied: filters }
  return { ...(id === undefined ? {} : { queryId: id }), data, meta }
}

function tooMuch(rows: number): RequestError {
  return wrong(
    `the answers before this one have ${rows} rows or more, and no request gets further ones: ask for this in another request`,
  )
}

function failed(parameter: string, error: unknown): Entry<never> {
  const text =
    error instanceof RequestError ? error.message : error instanceof OutOfMemoryBudgetError ? tooLarge : fault
  return { parameter, success: false, error: text, data: [] }
}

async function answerAsk<Rows>(
  ask: QuerySpec,
  execute: (ask: QuerySpec, room: Room) => Promise<Executed<Rows>>,
  signal: AbortSignal,
  onFault: (error: unknown) => void,
  room: Room,
): Promise<Entry<Rows>> {
  try {
    const { data, rows, cells, bytes, total, nextCursor, metas, ms } = await execute(ask, room)
    room.rows -= rows
    room.cells -= cells
    room.bytes -= bytes
    const meta: MetaJson = {
      ...together(metas),
      ms: Math.round(ms * 100) / 100,
      ...isoSpan(ask.scope),
      ...(ask.previous ? { previous: isoSpan(ask.previous) } : {}),
      ...(total === undefined ? {} : { total }),
      ...(nextCursor === undefined ? {} : { nextCursor }),
    }
    return { parameter: ask.id, success: true, data, meta }
  } catch (error) {
    if (signal.aborted) throw error
    if (!(error instanceof RequestError || error instanceof OutOfMemoryBudgetError)) onFault(error)
    return failed(ask.id, error)
  }
}

/** A type's rows, in their order, and as many of them as were asked for. */
export function* rowsOf(ask: QuerySpec, put: RunQuery): Generator<void, TypeResult> {
  const type = typeOf(ask.type)
  if (!type) throw new Error(`there is no type ${ask.type}`)
  const made = yield* type.rows(ask, put)
  if (!ask.sort || made.isCut) return made
  const { by, order } = ask.sort
  // Ties in the order of their texts. What a type has put in order already stays so: sorting is stable.
  const ties = [...type.columns, ...ask.by].filter((column) =>
    made.rows.some((row) => typeof row[column] === "string"),
  )
  const sorted = made.rows.sort(rowOrder([order === "asc" ? by : `-${by}`, ...(type.ties ?? ties)]))
  return { ...made, rows: sorted.slice(ask.offset, ask.offset + ask.limit), total: sorted.length }
}

function isoSpan({ from, to }: { from: number; to: number }): { from: string; to: string } {
  return { from: iso(from), to: iso(to) }
}

function together(
  metas: Executed<unknown>["metas"],
): Pick<MetaJson, "source" | "rows_read" | "block_events"> {
  const sum = (of: (meta: Executed<unknown>["metas"][number]) => number) =>
    metas.reduce((all, meta) => all + of(meta), 0)
  return {
    source: [...new Set(metas.flatMap(({ source }) => source.split("+")))].filter(Boolean).join("+"),
    rows_read: sum(({ rows }) => rows),
    block_events: sum(({ blockEvents }) => blockEvents),
  }
}

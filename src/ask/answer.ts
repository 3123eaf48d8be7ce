import { Refusal } from "../errors.ts"
import { TooLarge } from "../query/distinct.ts"
import type { Asker } from "../query/engine.ts"
import type { Meta } from "../query/question.ts"
import type { Ask, Put, Row } from "./ask.ts"
import type { Query } from "./read.ts"
import { iso, rowOrder, wrong } from "./rows.ts"
import type { MetaJson } from "./schema.ts"
import { typeOf } from "./types.ts"

/** The answer to one parameter. */
export type Entry =
  | { parameter: string; success: true; data: Row[]; meta: MetaJson }
  | { parameter: string; success: false; error: string; data: [] }

export interface QueryAnswer {
  queryId?: string
  data: Entry[]
  meta: {
    parameters: string[]
    total_parameters: number
    page: number
    limit: number
    filters_applied: number
  }
}

/** Rows that one request still gets, over all of its queries. */
export interface Room {
  rows: number
}

/** Rows after which a request gets no further answer: some 50 MB of them are in memory until all are sent. */
export const roomOfRequest: Room = { rows: 100_000 }

/** What an entry says of a fault that is ours. */
const fault = "Internal server error"
const tooMuch = `the answers before this one have ${roomOfRequest.rows} rows or more, and no request gets further ones: ask for this in another request`
const tooLarge =
  "this needs more memory than --query-memory gives: ask for a shorter range, a lower limit, fewer fields to break down by, or filter"

/**
 * Answers one parameter after the other. What fails of them fails alone; `onFault` hears of what is no refusal. Rejects
 * when `signal` is aborted. `room`: shared by the queries of a request.
 */
export async function answerQuery(
  { id, parameters, page, limit, filters }: Query,
  asker: Asker,
  signal: AbortSignal,
  onFault: (error: unknown) => void,
  room: Room = { ...roomOfRequest },
): Promise<QueryAnswer> {
  const data: Entry[] = []
  for (const one of parameters) {
    const entry =
      "failure" in one
        ? failed(one.id, one.failure)
        : room.rows <= 0
          ? failed(one.id, wrong(tooMuch))
          : await answerAsk(one, asker, signal, onFault)
    room.rows -= entry.data.length
    data.push(entry)
  }
  const names = parameters.map((one) => one.id)
  const meta = { parameters: names, total_parameters: names.length, page, limit, filters_applied: filters }
  return { ...(id === undefined ? {} : { queryId: id }), data, meta }
}

function failed(parameter: string, error: unknown): Entry {
  const text = error instanceof Refusal ? error.message : error instanceof TooLarge ? tooLarge : fault
  return { parameter, success: false, error: text, data: [] }
}

async function answerAsk(
  ask: Ask,
  asker: Asker,
  signal: AbortSignal,
  onFault: (error: unknown) => void,
): Promise<Entry> {
  const metas: Meta[] = []
  const put: Put = async (question) => {
    const { answer, meta } = await asker.ask(question, signal)
    metas.push(meta)
    return answer
  }
  try {
    const { rows, total, nextCursor } = await rowsOf(ask, put)
    const meta: MetaJson = {
      ...together(metas),
      ...isoSpan(ask.scope),
      ...(ask.previous ? { previous: isoSpan(ask.previous) } : {}),
      ...(total === undefined ? {} : { total }),
      ...(nextCursor === undefined ? {} : { nextCursor }),
    }
    return { parameter: ask.id, success: true, data: rows, meta }
  } catch (error) {
    if (signal.aborted) throw error
    if (!(error instanceof Refusal || error instanceof TooLarge)) onFault(error)
    return failed(ask.id, error)
  }
}

/** A type's rows, in their order, and as many of them as were asked for. */
async function rowsOf(
  ask: Ask,
  put: Put,
): Promise<{ rows: Row[]; total?: number; nextCursor?: string | null }> {
  const type = typeOf(ask.type)
  if (!type) throw new Error(`there is no type ${ask.type}`)
  const made = await type.rows(ask, put)
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

function together(metas: readonly Meta[]): Pick<MetaJson, "source" | "rows_read" | "block_events" | "ms"> {
  const sum = (of: (meta: Meta) => number) => metas.reduce((all, meta) => all + of(meta), 0)
  return {
    source: [...new Set(metas.flatMap(({ source }) => source.split("+")))].filter(Boolean).join("+"),
    rows_read: sum(({ rows }) => rows),
    block_events: sum(({ blockEvents }) => blockEvents),
    ms: Math.round(sum(({ ms }) => ms) * 100) / 100,
  }
}

import { RequestError } from "../errors.ts"
import { iso } from "../iso.ts"
import type { RenderedRows, ResponseLimits } from "../query/engine/messages.ts"
import { OutOfMemoryBudgetError } from "../query/structures/memory-budget.ts"
import type { ParsedQuery } from "./parse.ts"
import type { QuerySpec, RunQuery, TypeResult } from "./query-spec.ts"
import { typeOf } from "./query-types.ts"
import type { MetaJson } from "./response-schema.ts"
import { comparedOrder, invalidParameter, rowOrder } from "./rows.ts"

// A request has one or more queries, and a query has one or more parameters. A parameter names a query type and returns
// its own rows.

/** The result of one parameter. `Rows` is either an array of objects or rendered JSON. */
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

/** The rows of one parameter, and their size. */
export interface ParameterResult<Rows>
  extends Pick<RenderedRows, "rows" | "cells" | "bytes" | "total" | "nextCursor" | "movers" | "statistics"> {
  data: Rows
  ms: number
}

/** The message shown for an internal failure. */
const internalError = "Internal server error"
const tooLarge =
  "this query needs more memory than --query-memory allows: choose a shorter range, a lower limit, fewer breakdown fields, or filters"

/** Options for running the parameters of a request. All queries of a request share one object. */
export interface ExecutionOptions<Rows> {
  execute: (spec: QuerySpec) => Promise<ParameterResult<Rows>>
  signal: AbortSignal
  /** Called with internal errors. */
  onFault: (error: unknown) => void
  /** The limits that remain for the request. Each parameter reduces them. */
  remaining: ResponseLimits
  /** The row limit, shown in the error when a parameter exceeds it. */
  maxRows: number
}

/**
 * Runs the parameters of a query one after another. If a parameter fails, the others still run. Rejects if `signal` is
 * aborted.
 */
export async function executeParsedQuery<Rows>(
  { id, parameters, page, limit, filters }: ParsedQuery,
  options: ExecutionOptions<Rows>,
): Promise<QueryAnswer<Rows>> {
  const data: Entry<Rows>[] = []
  for (const parameter of parameters) {
    options.remaining.queries--
    data.push(
      "failure" in parameter
        ? failedEntry(parameter.id, parameter.failure)
        : options.remaining.rows <= 0
          ? failedEntry(parameter.id, tooManyRows(options.maxRows))
          : await executeParameter(parameter, options),
    )
  }
  const names = parameters.map(({ id }) => id)
  const meta = { parameters: names, total_parameters: names.length, page, limit, filters_applied: filters }
  return { ...(id === undefined ? {} : { queryId: id }), data, meta }
}

function tooManyRows(rows: number): RequestError {
  return invalidParameter(
    `earlier parameters already returned ${rows} or more rows, the limit for one request: send this parameter in a separate request`,
  )
}

function failedEntry(parameter: string, error: unknown): Entry<never> {
  const text =
    error instanceof RequestError
      ? error.message
      : error instanceof OutOfMemoryBudgetError
        ? tooLarge
        : internalError
  return { parameter, success: false, error: text, data: [] }
}

async function executeParameter<Rows>(
  spec: QuerySpec,
  { execute, signal, onFault, remaining }: ExecutionOptions<Rows>,
): Promise<Entry<Rows>> {
  try {
    const { data, rows, cells, bytes, total, nextCursor, movers, statistics, ms } = await execute(spec)
    remaining.rows -= rows
    remaining.cells -= cells
    remaining.bytes -= bytes
    const meta: MetaJson = {
      ...mergeStatistics(statistics),
      ms: Math.round(ms * 100) / 100,
      ...isoSpan(spec.scope),
      ...(spec.previous ? { previous: isoSpan(spec.previous) } : {}),
      ...(total === undefined ? {} : { total }),
      ...(nextCursor === undefined ? {} : { nextCursor }),
      ...(movers === undefined ? {} : { movers }),
    }
    return { parameter: spec.id, success: true, data, meta }
  } catch (error) {
    if (signal.aborted) throw error
    if (!(error instanceof RequestError || error instanceof OutOfMemoryBudgetError)) onFault(error)
    return failedEntry(spec.id, error)
  }
}

/** Runs a parameter, sorts its rows and returns the requested page. */
export function* rowsOf(spec: QuerySpec, run: RunQuery): Generator<void, TypeResult> {
  const type = typeOf(spec.type)
  if (!type) throw new Error(`unknown query type ${spec.type}`)
  const result = yield* type.rows(spec, run)
  if (!spec.sort || result.isPage) return result
  const { by, order } = spec.sort
  // Ties are broken by the previous value if there is a comparison, then by the tie breakers of the query type, which
  // default to the text columns. The sort is stable, so remaining ties keep the order in which the rows were computed.
  const textColumns = [...type.columns, ...spec.by].filter((column) =>
    result.rows.some((row) => typeof row[column] === "string"),
  )
  const byColumn = spec.previous
    ? comparedOrder(by, order === "desc", type.order?.by ?? by)
    : rowOrder([order === "asc" ? by : `-${by}`])
  const byText = rowOrder(type.tieBreakers ?? textColumns)
  const sorted = result.rows.sort((a, b) => byColumn(a, b) || byText(a, b))
  return { ...result, rows: sorted.slice(spec.offset, spec.offset + spec.limit), total: sorted.length }
}

function isoSpan({ from, to }: { from: number; to: number }): { from: string; to: string } {
  return { from: iso(from), to: iso(to) }
}

function mergeStatistics(
  statistics: ParameterResult<unknown>["statistics"],
): Pick<MetaJson, "source" | "watermark" | "nodes" | "rows_read" | "block_events"> {
  const sum = (count: (query: (typeof statistics)[number]) => number) =>
    statistics.reduce((total, query) => total + count(query), 0)
  // All queries of a parameter return the same watermarks.
  const { watermark, nodes } = statistics[0] ?? {}
  return {
    source: [...new Set(statistics.flatMap(({ source }) => source.split("+")))].filter(Boolean).join("+"),
    ...(watermark === undefined ? {} : { watermark }),
    ...(nodes === undefined
      ? {}
      : { nodes: nodes.map(({ shippedAt, ...node }) => ({ ...node, shipped_at: iso(shippedAt) })) }),
    rows_read: sum(({ rows }) => rows),
    block_events: sum(({ blockEvents }) => blockEvents),
  }
}

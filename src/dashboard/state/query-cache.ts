import { type Api, ApiError, sentence } from "./api.ts"
import { ConcurrencyLimit } from "./concurrency.ts"
import type { Comparison } from "./range.ts"

/** A parameter of POST /v1/query. `id` labels the result and defaults to `name`. */
export interface Parameter {
  name: string
  id?: string
  filters?: readonly object[]
  /** Fields to group by. */
  by?: readonly string[]
  /** The events that a report is about, such as the steps of a funnel. */
  steps?: readonly object[]
  [option: string]: unknown
}

/** Returns the option that compares a parameter's results with another period. Only some query types support it. */
export function comparisonOption(compare: Comparison | false | undefined): { compare?: Comparison } {
  return compare ? { compare } : {}
}

export type Row = Record<string, unknown>

export interface ResultMeta {
  from: string
  to: string
  /** The comparison period, in ISO 8601. */
  previous?: { from: string; to: string }
  total?: number
  nextCursor?: string | null
  /** For the query type `movers`: the totals, and the fields that were not compared. */
  movers?: { total: number; previous_total: number; skipped: { field: string; reason: string }[] }
  ms: number
}

export interface QueryResult<Shape = Row> {
  parameter: string
  success: boolean
  data: Shape[]
  error?: string
  meta?: ResultMeta
}

export interface QueryRequest {
  /** Path under /v1. */
  path: string
  body: object
}

/** The path for queries about a website. `website`: an ID, `none` or `all`. */
export function queryPath(website: string): string {
  return `query?website_id=${encodeURIComponent(website)}`
}

/** Runs a query, bypassing the cache. Returns one result per parameter. `Shape`: the query type's documented row. */
export async function runQuery<Shape = Row>(
  api: Pick<Api, "send">,
  { path, body }: QueryRequest,
  signal: AbortSignal,
): Promise<QueryResult<Shape>[]> {
  const { data } = await api.send<{ data: QueryResult<Shape>[] }>("POST", path, body, signal)
  return data
}

/** Runs a query with a single parameter, bypassing the cache. Rejects if the request or the parameter fails. */
export async function runParameter<Shape>(
  api: Pick<Api, "send">,
  { website, parameter, body }: { website: string; parameter: Parameter; body: object },
  signal: AbortSignal,
): Promise<{ rows: Shape[]; meta: ResultMeta | undefined }> {
  const request = { path: queryPath(website), body: { ...body, parameters: [parameter] } }
  const [result] = await runQuery<Shape>(api, request, signal)
  // Status 400, as if the whole request had been rejected, because retrying the same query would fail again.
  if (result?.error !== undefined) throw new ApiError(sentence(result.error), 400, "", [])
  return { rows: result?.data ?? [], meta: result?.meta }
}

/** The state of the latest query. */
export interface QueryProgress {
  /** Identifies the query's request. */
  key: string
  results: QueryResult[] | undefined
  error: unknown
}

/**
 * Returns the results to show for a query, and its progress. `key`: identifies the query's request; '' if no query
 * runs. `cached`: earlier results of the same request.
 */
export function progressOf(state: QueryProgress, key: string, cached: QueryResult[] | undefined) {
  if (key === "") return { results: undefined, isLoading: false, isStale: false, error: undefined }
  const isCurrent = state.key === key
  const error = isCurrent ? state.error : undefined
  const current = isCurrent ? state.results : cached
  // The previous rows stay until the query has finished, so that the layout does not jump.
  const results = current ?? (error ? undefined : state.results)
  return {
    results,
    isLoading: results === undefined && !error,
    isStale: current === undefined && results !== undefined,
    error,
  }
}

/** Maximum number of cached results. They let a page that is visited again show its numbers immediately. */
const maxEntries = 40

/**
 * Maximum number of concurrent queries. A board can start 24 at once, which would delay all other requests of the page.
 */
const maxConcurrent = 4

/** Runs queries and caches the latest results. The least recently run query is evicted first. */
export class QueryCache {
  readonly #entries = new Map<string, QueryResult[]>()
  readonly #limit = new ConcurrencyLimit(maxConcurrent)

  constructor(private readonly api: Api) {}

  get(key: string): QueryResult[] | undefined {
    return this.#entries.get(key)
  }

  /** Clears the cache. Called when the session ends, because a different user might log in next. */
  clear(): void {
    this.#entries.clear()
  }

  async run(key: string, request: QueryRequest, signal: AbortSignal): Promise<QueryResult[]> {
    const results = await this.#limit.run(() => runQuery(this.api, request, signal), signal)
    this.#entries.delete(key)
    this.#entries.set(key, results)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > maxEntries && oldest !== undefined) this.#entries.delete(oldest)
    return results
  }
}

import type { Api } from "./api.ts"

/** One parameter of POST /v1/query. `id` labels its result; the default is `name`. */
export interface Parameter {
  name: string
  id?: string
  filters?: readonly object[]
  [option: string]: unknown
}

export type Row = Record<string, unknown>

export interface ResultMeta {
  from: string
  to: string
  /** The period compared with, as ISO 8601. */
  previous?: { from: string; to: string }
  total?: number
  nextCursor?: string | null
  ms: number
}

export interface QueryResult {
  parameter: string
  success: boolean
  data: Row[]
  error?: string
  meta?: ResultMeta
}

/** Results to keep, so that a page visited again shows its numbers immediately. */
const maxEntries = 40

export interface QueryRequest {
  website: string
  body: object
}

/** Runs queries and caches the most recent results, least recently run evicted first. */
export class QueryCache {
  readonly #entries = new Map<string, QueryResult[]>()

  constructor(private readonly api: Api) {}

  get(key: string): QueryResult[] | undefined {
    return this.#entries.get(key)
  }

  /** Drops everything: someone else may log in next. */
  clear(): void {
    this.#entries.clear()
  }

  async run(key: string, { website, body }: QueryRequest, signal: AbortSignal): Promise<QueryResult[]> {
    const path = `query?website_id=${encodeURIComponent(website)}`
    const { data } = await this.api.send<{ data: QueryResult[] }>("POST", path, body, signal)
    this.#entries.delete(key)
    this.#entries.set(key, data)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > maxEntries && oldest !== undefined) this.#entries.delete(oldest)
    return data
  }
}

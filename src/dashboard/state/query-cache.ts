import type { Api } from "./api.ts"

/** One thing that is asked of POST /v1/query. `id`: what its answer is called; without one, its name. */
export interface Parameter {
  name: string
  id?: string
  filters?: readonly object[]
  [option: string]: unknown
}

export type Row = Record<string, unknown>

export interface Meta {
  from: string
  to: string
  /** What it is compared with. */
  previous?: { from: string; to: string }
  total?: number
  nextCursor?: string | null
  ms: number
}

export interface Entry {
  parameter: string
  success: boolean
  data: Row[]
  error?: string
  meta?: Meta
}

/** Answers that are kept to be shown at once when one comes back; beyond, the oldest goes. */
const kept = 40

export interface Asked {
  website: string
  body: object
}

/** Asks, and keeps what was answered last. */
export class QueryCache {
  readonly #kept = new Map<string, Entry[]>()

  constructor(private readonly api: Api) {}

  keptFor(key: string): Entry[] | undefined {
    return this.#kept.get(key)
  }

  /** Another person may use the page next. */
  forget(): void {
    this.#kept.clear()
  }

  async ask(key: string, { website, body }: Asked, signal: AbortSignal): Promise<Entry[]> {
    const path = `query?website_id=${encodeURIComponent(website)}`
    const { data } = await this.api.send<{ data: Entry[] }>("POST", path, body, signal)
    this.#kept.delete(key)
    this.#kept.set(key, data)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > kept && oldest !== undefined) this.#kept.delete(oldest)
    return data
  }
}

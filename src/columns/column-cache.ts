import type { BlockRow } from "./block.ts"

/**
 * When a new column needs memory, another column can be evicted only if the last 16 queries have not read it. A few
 * dashboard pages run about 16 queries. If their columns do not all fit, plain LRU would evict each column just before
 * it is read again.
 */
const queriesBeforeEviction = 16

/** Cached data from a block, and its size in bytes. */
export interface Cached<Content> {
  content: Content
  bytes: number
}

/** Overhead of a column in bytes of memory, not counting its codes and values. */
export const columnBytes = 300

/** Caches columns and other data of blocks, in up to `memory()` bytes. */
export class ColumnCache {
  /** Keyed by block id (which is never reused) and name of the data. The most recently used entry is last. */
  readonly #cached = new Map<string, Cached<unknown> & { query: number }>()
  /**
   * Keys of entries that exceeded the memory limit. The entries stay cached until another day is read, because the
   * slices of a day are read one after another, and usually need the same columns.
   */
  readonly #excess = new Set<string>()
  /** The website and day that were read last. */
  #website = 0
  #day = -1
  #bytes = 0
  #query = 0

  /** `memory`: returns the maximum size of the cache, in bytes. */
  constructor(private readonly memory: () => number) {}

  /** Must be called at the start of each query, because eviction depends on the number of queries. */
  startQuery(): void {
    this.#query++
  }

  /**
   * Returns the cached data with this name, or calls `make` and caches the result. Data with the same name must always
   * have the same type.
   */
  get<Content>({ id, website, day }: BlockRow, name: string, make: () => Cached<Content>): Content {
    if (day !== this.#day || website !== this.#website) this.#dropExcess()
    this.#website = website
    this.#day = day
    const key = `${id} ${name}`
    const known = this.#cached.get(key)
    if (known) {
      if (known.query !== this.#query) {
        known.query = this.#query
        this.#cached.delete(key)
        this.#cached.set(key, known)
      }
      return known.content as Content
    }
    const { content, bytes } = make()
    this.#cached.set(key, { content, bytes, query: this.#query })
    this.#bytes += bytes
    const memory = this.memory()
    for (const [oldest, { query }] of this.#cached) {
      if (this.#bytes <= memory) return content
      if (oldest === key || query >= this.#query - queriesBeforeEviction) break
      this.#drop(oldest)
    }
    if (this.#bytes > memory) this.#excess.add(key)
    return content
  }

  #dropExcess(): void {
    if (this.#excess.size === 0) return
    const memory = this.memory()
    for (const key of this.#excess) {
      if (this.#bytes <= memory) break
      this.#drop(key)
    }
    this.#excess.clear()
  }

  /** Evicts the least recently used data until the rest fits in memory. */
  trim(): void {
    const memory = this.memory()
    for (const oldest of this.#cached.keys()) {
      if (this.#bytes <= memory) return
      this.#drop(oldest)
    }
  }

  #drop(key: string): void {
    this.#bytes -= this.#cached.get(key)?.bytes ?? 0
    this.#cached.delete(key)
  }
}

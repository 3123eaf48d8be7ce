/** A value larger than this share of the cache's memory is not cached, because it would evict most other values. */
const largestShare = 1 / 2

interface CacheEntry {
  state: string
  value: unknown
  bytes: number
  isSpare: boolean
  /** Number of the query that used the entry last. */
  query: number
}

/**
 * LRU cache for results computed from blocks. Spare entries are intermediate results, from which other entries were
 * computed. The cache evicts spare entries first, then the least recently used entries. A new spare entry never evicts
 * spare entries that the same query has used. Otherwise, if the intermediate results of a query do not all fit, each
 * would be evicted just before it is needed again.
 */
export class Cache {
  /** In order of use. The most recently used entry is last. */
  readonly #entries = new Map<string, CacheEntry>()
  /** Keys of spare entries, also in order of use. */
  readonly #spare = new Set<string>()
  #bytes = 0
  #query = 0

  /**
   * `memory`: maximum size in bytes; 0 disables the cache. `minFilteredEvents`: the results of filters are cached only
   * for blocks with at least this many events. For smaller blocks, computing them again is just as fast.
   */
  constructor(
    readonly memory: number,
    readonly minFilteredEvents = 1_024,
  ) {}

  get bytes(): number {
    return this.#bytes
  }

  startQuery(): void {
    this.#query++
  }

  /**
   * Returns the value for `key` if it was computed from the blocks that `state` identifies. The type of the value
   * depends only on `key`.
   */
  find<Kind>(key: string, state: string): Kind | undefined {
    const entry = this.#entries.get(key)
    if (entry?.state !== state) return undefined
    this.#drop(key)
    entry.query = this.#query
    this.#add(key, entry)
    return entry.value as Kind
  }

  /** Removes the value for `key`, and returns it. */
  take<Kind>(key: string): Kind | undefined {
    const value = this.#entries.get(key)?.value
    this.#drop(key)
    // The type assertion is safe because the key determines the type.
    return value as Kind | undefined
  }

  /**
   * Stores the value for `key`, replacing any earlier value. `isSpare`: true if other entries were computed from the
   * value. Returns false if the value is not cached because it is too large, or because it is spare and does not fit
   * without evicting more important entries.
   */
  put(key: string, state: string, value: unknown, bytes: number, isSpare: boolean): boolean {
    this.#drop(key)
    if (bytes > this.memory * largestShare || (isSpare && !this.#hasRoomForSpare(bytes))) return false
    this.#add(key, { state, value, bytes, isSpare, query: this.#query })
    this.#makeRoom()
    return true
  }

  /** True if a spare entry fits without evicting entries that are not spare or that the current query has used. */
  #hasRoomForSpare(bytes: number): boolean {
    let missing = this.#bytes + bytes - this.memory
    for (const key of this.#spare) {
      const entry = this.#entries.get(key)
      if (missing <= 0 || entry?.query === this.#query) break
      missing -= entry?.bytes ?? 0
    }
    return missing <= 0
  }

  /**
   * Records that the size of a cached value has increased by `bytes`. Returns false if the value is no longer cached,
   * or has just been evicted because of its new size.
   */
  grow(key: string, value: unknown, bytes: number): boolean {
    const entry = this.#entries.get(key)
    if (!entry || entry.value !== value) return false
    entry.bytes += bytes
    this.#bytes += bytes
    if (entry.bytes > this.memory * largestShare) this.#drop(key)
    else this.#makeRoom()
    return this.#entries.get(key) === entry
  }

  /** Evicts entries until the rest take up at most `bytes`. */
  shrink(bytes: number): void {
    this.#makeRoom(Math.max(0, bytes))
  }

  #makeRoom(memory = this.memory): void {
    for (const keys of [this.#spare, this.#entries.keys()]) {
      for (const oldest of keys) {
        if (this.#bytes <= memory) return
        this.#drop(oldest)
      }
    }
  }

  #add(key: string, entry: CacheEntry): void {
    this.#entries.set(key, entry)
    if (entry.isSpare) this.#spare.add(key)
    this.#bytes += entry.bytes
  }

  #drop(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0
    this.#entries.delete(key)
    this.#spare.delete(key)
  }
}

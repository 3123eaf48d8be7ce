/** A value larger than this share of the memory is not cached, because it would evict all others. */
const largestShare = 1 / 2

interface CacheEntry {
  state: string
  value: unknown
  bytes: number
  isSpare: boolean
  /** The query that used it last. */
  query: number
}

/**
 * LRU cache of results computed from blocks. First evicts spare entries, which are intermediate results of other
 * entries, then the least recently used ones. A query does not evict spare entries that it has used itself: if its
 * intermediate results do not all fit, each would otherwise be evicted just before it is needed again.
 */
export class Cache {
  /** In order of use. The most recently used entry is last. */
  readonly #entries = new Map<string, CacheEntry>()
  /** Keys of spare entries, in the same order. */
  readonly #spare = new Set<string>()
  #bytes = 0
  #query = 0

  /**
   * `memory`: bytes; 0 disables the cache. `minFilteredEvents`: filter results are cached for blocks with at least this
   * many events. For smaller blocks, recomputing the results is as fast.
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
   * Returns the value of `key` if it was computed from the blocks that `state` identifies. `key` determines the type of
   * the value.
   */
  find<Kind>(key: string, state: string): Kind | undefined {
    const entry = this.#entries.get(key)
    if (entry?.state !== state) return undefined
    this.#drop(key)
    entry.query = this.#query
    this.#add(key, entry)
    return entry.value as Kind
  }

  /** Removes the value of `key`, and returns it. */
  take<Kind>(key: string): Kind | undefined {
    const value = this.#entries.get(key)?.value
    this.#drop(key)
    // The key determines the type.
    return value as Kind | undefined
  }

  /**
   * Replaces the value of `key`. `isSpare`: other entries were computed from it. Returns false if the value is too large,
   * or is spare and does not fit beside the others.
   */
  put(key: string, state: string, value: unknown, bytes: number, isSpare: boolean): boolean {
    this.#drop(key)
    if (bytes > this.memory * largestShare || (isSpare && !this.#hasRoomForSpare(bytes))) return false
    this.#add(key, { state, value, bytes, isSpare, query: this.#query })
    this.#makeRoom()
    return true
  }

  /** True if a spare entry fits without evicting entries that are not spare, or that the current query has used. */
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
   * Records that a cached value grew by `bytes`. Returns false if it is no longer cached or has just been evicted
   * because of its size.
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

  /** Drops entries until the rest take at most `bytes`. */
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

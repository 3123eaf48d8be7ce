/** A value larger than this share of the cache's memory is not cached, because it would evict most other values. */
const largestShare = 1 / 2

/** Bytes of an entry in addition to its value, its key and its state. Many results are empty. */
const entryBytes = 256
/** Assumed cost of a value whose cost was not measured, in ms, and in ms per byte. */
const assumedCost = { ms: 10, perByte: 5e-5 }
/** Later uses of an entry no longer raise its priority. */
const maxUses = 8
/** Weight of a new value's priority, compared with that of values that are already cached. */
const newShare = 1 / 2
/**
 * How slowly entries lose their priority. With 8, a value that was used once is replaced by an equally important one
 * after computing other values has taken four times as long as computing a cache full of such values.
 */
const ageingFactor = 8
/** An entry that has not been used for this many ms is evicted before all others: after midnight, most ranges differ. */
const maxIdle = 600_000

interface CacheEntry {
  state: string
  value: unknown
  bytes: number
  isSpare: boolean
  /** Number of the query that used the entry last. */
  query: number
  /** How long it took to compute the value, in ms. */
  cost: number
  /** Number of queries that used the entry, up to `maxUses`. */
  uses: number
  /** The value of the cache's clock, and the time in ms, when the entry was used last. */
  usedAt: number
  usedAtMs: number
}

interface PutOptions {
  /** Size of the value, without its key and state. */
  bytes: number
  /** True if other entries were computed from the value. */
  isSpare?: boolean
  /**
   * How long it took to compute the value, in ms. If an earlier value took longer, its cost is assumed, because the new
   * value was probably computed from intermediate results. If undefined, the cost is estimated from the size.
   */
  cost?: number
  /** True to evict even more important entries. */
  isRequired?: boolean
}

/**
 * Cache for results computed from blocks. Evicts the entry that saves the least time per byte, so that a series of
 * different queries does not evict results that take long to compute. This is similar to GreedyDual-Size-Frequency. The
 * priority of an entry is the value of a clock at its last use, plus its cost per byte times its number of uses. The
 * clock advances with the time that it takes to compute values. A value that is not important enough is not cached.
 *
 * Spare entries are intermediate results, from which other entries were computed. The cache evicts spare entries first,
 * the least recently used one before the others. A new spare entry never evicts spare entries that the same query has
 * used. Otherwise, if the intermediate results of a query do not all fit, each would be evicted just before it is needed
 * again.
 */
export class Cache {
  readonly #entries = new Map<string, CacheEntry>()
  /** Keys of spare entries, in order of use. The most recently used entry is last. */
  readonly #spare = new Set<string>()
  /**
   * Keys of all other entries, in order of use, by the logarithm of cost per byte times uses. Entries of a class have
   * about the same value of this product, so the least recently used one has the lowest priority.
   */
  readonly #classes = new Map<number, Set<string>>()
  #bytes = 0
  /** The part of `#bytes` that spare entries take up. */
  #spareBytes = 0
  #query = 0
  #rejectedSpare = false
  /** Total cost of all values that had to be computed, in ms per byte of the cache, divided by `ageingFactor`. */
  #clock = 0

  /**
   * `memory`: maximum size in bytes; 0 disables the cache. `minFilteredEvents`: the results of filters are cached only
   * for blocks with at least this many events. For smaller blocks, computing them again is just as fast. `now`: returns
   * the time of a monotonic clock in ms.
   */
  constructor(
    readonly memory: number,
    readonly minFilteredEvents = 1_024,
    private readonly now: () => number = () => 0,
  ) {}

  get bytes(): number {
    return this.#bytes
  }

  startQuery(): void {
    this.#query++
    this.#rejectedSpare = false
  }

  /**
   * False if a spare entry was not cached since a query last started, so that others would probably not be cached
   * either.
   */
  get acceptsSpare(): boolean {
    return !this.#rejectedSpare
  }

  /** True if `find` would return a value. Does not count as a use. */
  has(key: string, state: string): boolean {
    return this.#entries.get(key)?.state === state
  }

  /** Runs steps that compute a value. Returns their result, and how long they took in ms, without pauses. */
  *measure<Result>(steps: Generator<void, Result>): Generator<void, { value: Result; cost: number }> {
    try {
      for (let cost = 0; ; ) {
        const startedAt = this.now()
        const step = steps.next()
        cost += this.now() - startedAt
        if (step.done) return { value: step.value, cost }
        yield
      }
    } finally {
      // Ends the steps if the caller ends early. The type assertion is safe because the argument is never read.
      steps.return(undefined as Result)
    }
  }

  /**
   * Returns the value for `key` if it was computed from the blocks that `state` identifies. The type of the value
   * depends only on `key`.
   */
  find<Kind>(key: string, state: string): Kind | undefined {
    const entry = this.#entries.get(key)
    if (entry?.state !== state) return undefined
    this.#drop(key)
    if (entry.query !== this.#query) entry.uses = Math.min(maxUses, entry.uses + 1)
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
   * Stores the value for `key`, replacing any earlier value. Returns false if the value is not cached: because it is too
   * large, or because it does not fit without evicting more important entries.
   */
  put(
    key: string,
    state: string,
    value: unknown,
    {
      bytes,
      isSpare = false,
      cost = assumedCost.ms + bytes * assumedCost.perByte,
      isRequired = false,
    }: PutOptions,
  ): boolean {
    const before = this.#entries.get(key)
    const size = bytes + entryBytes + (key.length + state.length) * 2
    this.#drop(key)
    if (!isSpare && this.memory > 0) this.#clock += cost / this.memory / ageingFactor
    if (size > this.memory * largestShare) return false
    if (isSpare && !this.#hasRoomForSpare(size)) {
      this.#rejectedSpare = true
      return false
    }
    const entry = {
      state,
      value,
      bytes: size,
      isSpare,
      query: this.#query,
      cost: Math.max(cost, before?.cost ?? 0),
      uses: before ? before.uses + (before.query === this.#query ? 0 : 1) : 1,
      usedAt: 0,
      usedAtMs: 0,
    }
    entry.uses = Math.min(maxUses, entry.uses)
    if (isRequired) this.#makeRoom(this.memory - size)
    else if (!isSpare && !before && !this.#isImportant(entry)) return false
    this.#add(key, entry)
    this.#makeRoom()
    return this.#entries.get(key) === entry
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
    this.#drop(key)
    entry.bytes += bytes
    this.#add(key, entry)
    if (entry.bytes > this.memory * largestShare) this.#drop(key)
    else this.#makeRoom()
    return this.#entries.get(key) === entry
  }

  /** Evicts entries until the rest take up at most `bytes`. */
  shrink(bytes: number): void {
    this.#makeRoom(Math.max(0, bytes))
  }

  #makeRoom(memory = this.memory): void {
    for (const oldest of this.#spare) {
      if (this.#bytes <= memory) return
      this.#drop(oldest)
    }
    while (this.#bytes > memory) {
      const least = this.#leastImportant()
      if (!least) return
      this.#drop(least.key)
    }
  }

  /** True if a new value fits without evicting anything more important, apart from spare entries. */
  #isImportant(entry: CacheEntry): boolean {
    if (this.#bytes - this.#spareBytes + entry.bytes <= this.memory) return true
    const least = this.#leastImportant()
    return !least || this.#clock + savingOf(entry) * newShare >= least.priority
  }

  /** Returns the entry with the lowest priority that is not spare. */
  #leastImportant(): { key: string; priority: number } | undefined {
    const idleSince = this.now() - maxIdle
    let least: { key: string; priority: number } | undefined
    for (const keys of this.#classes.values()) {
      // The first entry of each class was used least recently. The type assertion is safe because every key in a class
      // has an entry.
      for (const key of keys) {
        const entry = this.#entries.get(key) as CacheEntry
        const isIdle = entry.usedAtMs < idleSince
        const priority = isIdle ? Number.NEGATIVE_INFINITY : entry.usedAt + savingOf(entry)
        if (!least || priority < least.priority) least = { key, priority }
        break
      }
    }
    return least
  }

  #add(key: string, entry: CacheEntry): void {
    entry.usedAt = this.#clock
    entry.usedAtMs = this.now()
    this.#entries.set(key, entry)
    this.#keysLike(entry).add(key)
    this.#bytes += entry.bytes
    if (entry.isSpare) this.#spareBytes += entry.bytes
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key)
    if (!entry) return
    this.#bytes -= entry.bytes
    if (entry.isSpare) this.#spareBytes -= entry.bytes
    this.#entries.delete(key)
    this.#keysLike(entry).delete(key)
  }

  /** Returns the keys of the entries among which the least recently used one is evicted first. */
  #keysLike(entry: CacheEntry): Set<string> {
    if (entry.isSpare) return this.#spare
    const number = Math.round(Math.log2(savingOf(entry) + Number.MIN_VALUE) * 2)
    let keys = this.#classes.get(number)
    if (!keys) {
      keys = new Set()
      this.#classes.set(number, keys)
    }
    return keys
  }
}

/** Returns how much time an entry saves, in ms per byte. Multiplied by the number of its uses. */
function savingOf({ cost, bytes, uses }: CacheEntry): number {
  return (cost * uses) / bytes
}

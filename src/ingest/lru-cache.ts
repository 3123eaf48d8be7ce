/** Maximum UTF-16 units of a key. Longer keys are rare, and caching them would take much memory. */
const maxKeyLength = 512

/**
 * Caches values by key, at most `capacity` of them: a full cache evicts the least recently used value. Keys come from
 * requests, so an entry takes at most 1 KB in addition to its value.
 */
export class LruCache<Value> {
  /** In order of use: the most recently used entry is last. */
  readonly #entries = new Map<string, Value>()

  constructor(readonly capacity: number) {}

  /**
   * The value of `key`, computed if it is not cached. Values with keys of more than 512 UTF-16 units are not cached.
   */
  get(key: string, compute: (key: string) => Value): Value {
    if (key.length > maxKeyLength) return compute(key)
    const cached = this.#entries.get(key)
    if (cached !== undefined) {
      this.#entries.delete(key)
      this.#entries.set(key, cached)
      return cached
    }
    const value = compute(key)
    if (this.#entries.size >= this.capacity) {
      const oldest = this.#entries.keys().next()
      if (!oldest.done) this.#entries.delete(oldest.value)
    }
    this.#entries.set(key, value)
    return value
  }

  get size(): number {
    return this.#entries.size
  }
}

/** Maximum number of UTF-16 code units in a key. Longer keys are rare, and caching them would take a lot of memory. */
const maxKeyLength = 512

/**
 * Caches at most `capacity` values by key, in two maps: the newer and the older generation. When the newer generation
 * reaches half of the capacity, it replaces the older one, whose values are dropped. The most recently used keys, up to
 * half of the capacity, are therefore always found. A key that is found in the newer generation is not moved, because
 * moving a key to the end of a Map at each use would take ten times as long. Keys come from requests, so their length
 * is limited, and an entry takes at most 1 KB in addition to its value.
 */
export class LruCache<Value> {
  #newer = new Map<string, Value>()
  #older = new Map<string, Value>()

  constructor(readonly capacity: number) {}

  /**
   * Returns the value of `key`, and computes it if it is not cached. Values with keys of more than 512 UTF-16 code
   * units are not cached.
   */
  get(key: string, compute: (key: string) => Value): Value {
    if (key.length > maxKeyLength) return compute(key)
    const cached = this.#newer.get(key)
    if (cached !== undefined) return cached
    const older = this.#older.get(key)
    const value = older === undefined ? compute(key) : older
    if (this.#newer.size * 2 >= this.capacity) {
      this.#older = this.#newer
      this.#newer = new Map()
    } else this.#older.delete(key)
    this.#newer.set(key, value)
    return value
  }

  get size(): number {
    return this.#newer.size + this.#older.size
  }
}

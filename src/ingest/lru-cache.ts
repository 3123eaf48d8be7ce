/** Maximum UTF-16 units of a key. Longer keys are rare, and caching them would take much memory. */
const maxKeyLength = 512

/**
 * Caches values by key, at most `capacity` of them, in two generations: the older one is dropped when the newer one
 * holds half of the capacity. So the most recently used `capacity / 2` keys are always found. Finding a key of the
 * newer generation changes nothing; to move a key to the end of a Map at each use would take ten times as long. Keys
 * come from requests, so an entry takes at most 1 KB in addition to its value.
 */
export class LruCache<Value> {
  #newer = new Map<string, Value>()
  #older = new Map<string, Value>()

  constructor(readonly capacity: number) {}

  /**
   * The value of `key`, computed if it is not cached. Values with keys of more than 512 UTF-16 units are not cached.
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

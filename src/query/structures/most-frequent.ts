/**
 * Maximum number of candidates that `MostFrequent` holds in addition to its limit. If there are more, it removes those
 * that are not among the most frequent values.
 */
const spareCandidates = 1_024

/** A value and how often it occurs. */
export interface Frequency<Value> {
  value: Value
  count: number
}

/**
 * Collects the `limit` most frequent values. Equally frequent values are in the order of `compare`. Holds at most
 * `limit + spareCandidates` candidates.
 *
 * Comparing the texts of two numbers takes far longer than comparing counts. Therefore, values are compared only if they
 * are as frequent as the last value of the list.
 */
export class MostFrequent<Value> {
  #candidates: Frequency<Value>[] = []
  /** Values with a smaller count are not candidates. */
  #minCount = 0
  /** If there is one, values with the count `#minCount` are candidates only if they come before this value. */
  #last: { value: Value } | undefined

  constructor(
    private readonly limit: number,
    private readonly compare: (left: Value, right: Value) => number,
  ) {}

  add(value: Value, count: number): void {
    if (count < this.#minCount || this.limit === 0) return
    const last = this.#last
    if (last && count === this.#minCount && this.compare(last.value, value) < 0) return
    if (this.#candidates.push({ value, count }) > this.limit + spareCandidates) this.#reduce()
  }

  /** Removes candidates that are not among the most frequent values. */
  #reduce(): void {
    const candidates = this.#candidates
    const counts = Float64Array.from(candidates, ({ count }) => count).sort()
    const minCount = counts[counts.length - this.limit] as number
    if (minCount > this.#minCount) this.#last = undefined
    this.#minCount = minCount
    const frequent = candidates.filter(({ count }) => count > minCount)
    let equal = candidates.filter(({ count }) => count === minCount)
    // If most candidates were equally frequent, the list would soon be full again.
    if (equal.length > spareCandidates / 2) {
      equal = this.#first(equal, this.limit - frequent.length)
      this.#last = equal.at(-1)
    }
    this.#candidates = frequent.concat(equal)
  }

  /** Returns the first `limit` of equally frequent values, in order. */
  #first(values: readonly Frequency<Value>[], limit: number): Frequency<Value>[] {
    const first: Frequency<Value>[] = []
    for (const candidate of values) {
      const { value } = candidate
      const last = first.at(-1)
      if (last && first.length === limit && this.compare(last.value, value) < 0) continue
      let [low, high] = [0, first.length]
      while (low < high) {
        const middle = (low + high) >>> 1
        if (this.compare(value, (first[middle] as Frequency<Value>).value) < 0) high = middle
        else low = middle + 1
      }
      first.splice(low, 0, candidate)
      if (first.length > limit) first.pop()
    }
    return first
  }

  /** Returns the values, most frequent first. */
  list(): Frequency<Value>[] {
    if (this.limit === 0) return []
    const listed: Frequency<Value>[] = []
    const byCount = this.#candidates.sort((left, right) => right.count - left.count)
    for (let at = 0; at < byCount.length && listed.length < this.limit; ) {
      let end = at
      while (byCount[end]?.count === byCount[at]?.count) end++
      listed.push(...this.#first(byCount.slice(at, end), this.limit - listed.length))
      at = end
    }
    return listed
  }
}

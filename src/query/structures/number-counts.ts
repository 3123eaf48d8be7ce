import { CodeCounts, sparseFactor } from "./code-counts.ts"
import type { NumberDictionary } from "./number-dictionary.ts"
import { quickselect } from "./quickselect.ts"
import type { ValueCounts } from "./statistics.ts"

/** Counts how often each number of a dictionary occurs. */
export class NumberCounts extends CodeCounts<NumberDictionary> {
  /** Returns the nearest-rank percentile, or null if there are no numbers. `share` is 0.95 for the 95th percentile. */
  percentile(share: number): number | null {
    const { total, isList } = this.totals()
    if (total === 0) return null
    const rank = Math.max(1, Math.ceil(share * total))
    return isList && total * sparseFactor < this.dictionary.size
      ? this.#percentileOfFew(rank, total)
      : this.#percentileOfMany(rank, total)
  }

  #percentileOfFew(rank: number, total: number): number {
    const numbers = new Float64Array(total)
    let count = 0
    for (const list of this.listsOfAllLevels())
      for (let at = 0; at < list.length; at++) numbers[count++] = this.dictionary.numberOf(list[at] as number)
    return quickselect(numbers, rank - 1, 0, total)
  }

  #percentileOfMany(rank: number, total: number): number {
    const { dictionary } = this
    const counts = this.counts()
    const code = codeOfRank(counts, dictionary.order(), rank, total)
    counts.fill(0)
    return dictionary.numberOf(code)
  }

  /** Returns each number with its count, in ascending order of the numbers. */
  sorted(): ValueCounts {
    const { dictionary } = this
    const counts = this.counts()
    const sorted: [number, number][] = []
    for (const code of dictionary.order()) {
      const count = counts[code] as number
      if (count > 0) sorted.push([dictionary.numberOf(code), count])
    }
    counts.fill(0)
    return sorted
  }
}

/**
 * Returns the code of the number at `rank` (starting at 1). Starts from the smallest or the largest number, whichever
 * is nearer to the rank, because high percentiles are common.
 */
function codeOfRank(counts: Uint32Array, order: Uint32Array, rank: number, total: number): number {
  if (rank * 2 > total) {
    let at = order.length
    for (let above = total; above >= rank; ) above -= counts[order[--at] as number] as number
    return order[at] as number
  }
  let at = 0
  for (let seen = counts[order[0] as number] as number; seen < rank; )
    seen += counts[order[++at] as number] as number
  return order[at] as number
}

import { maxEvents } from "./column.ts"

/**
 * Returns the positions in `times`, sorted by time and then by position, or undefined if the times are already sorted.
 * Throws a RangeError if there are more than `maxEvents` unsorted times.
 */
export function orderOf(times: Uint32Array, count: number): Uint32Array | undefined {
  let sorted = true
  for (let index = 1; index < count && sorted; index++)
    sorted = (times[index - 1] as number) <= (times[index] as number)
  if (sorted) return undefined
  if (count > maxEvents)
    throw new RangeError(`one set of columns has ${count} events, more than the maximum of ${maxEvents}`)
  const keys = new Float64Array(count)
  for (let index = 0; index < count; index++) keys[index] = (times[index] as number) * maxEvents + index
  keys.sort()
  return Uint32Array.from(keys, (key) => key % maxEvents)
}

/** Returns the inverse of `order`: the rank of each position. */
export function ranksOf(order: Uint32Array): Uint32Array {
  const ranks = new Uint32Array(order.length)
  for (let rank = 0; rank < order.length; rank++) ranks[order[rank] as number] = rank
  return ranks
}

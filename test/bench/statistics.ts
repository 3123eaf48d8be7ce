/** Returns the median item, or the upper one of two middle items. Throws if there are no items. */
export function medianBy<Item>(items: readonly Item[], by: (item: Item) => number): Item {
  const item = items.toSorted((one, other) => by(one) - by(other))[Math.floor(items.length / 2)]
  if (item === undefined) throw new Error("the median of no items")
  return item
}

export function median(numbers: readonly number[]): number {
  return medianBy(numbers, (number) => number)
}

/** Returns the smallest of the numbers that at least `share` (0 to 1) of them do not exceed. */
export function percentile(numbers: readonly number[], share: number): number {
  const ascending = numbers.toSorted((one, other) => one - other)
  return ascending[Math.max(0, Math.ceil(share * ascending.length) - 1)] ?? 0
}

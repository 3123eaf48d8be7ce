/**
 * Returns the value that would be at `index` if the values from `first` to `end` (exclusive) were sorted in ascending
 * order. Reorders the values. Unlike sorting, it takes linear time on average.
 */
export function quickselect(values: Float64Array, index: number, first: number, end: number): number {
  let [low, high] = [first, end - 1]
  while (low < high) {
    const pivot = medianOf(
      values[low] as number,
      values[(low + high) >>> 1] as number,
      values[high] as number,
    )
    let [left, right] = [low, high]
    while (left <= right) {
      while ((values[left] as number) < pivot) left++
      while ((values[right] as number) > pivot) right--
      if (left > right) break
      const swapped = values[left] as number
      values[left++] = values[right] as number
      values[right--] = swapped
    }
    if (index <= right) high = right
    else if (index >= left) low = left
    else break
  }
  return values[index] as number
}

function medianOf(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c))
}

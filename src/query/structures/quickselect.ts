/**
 * The value that would stand at `place` if those from `first` up to, but without, `end` were in ascending order. Changes
 * their order. Takes time in proportion to their number, which sorting does not.
 */
export function valueAt(values: Float64Array, place: number, first: number, end: number): number {
  let [low, high] = [first, end - 1]
  while (low < high) {
    const pivot = middleOf(
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
    if (place <= right) high = right
    else if (place >= left) low = left
    else break
  }
  return values[place] as number
}

function middleOf(one: number, two: number, three: number): number {
  return Math.max(Math.min(one, two), Math.min(Math.max(one, two), three))
}

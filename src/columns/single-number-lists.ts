/**
 * Lists with a single number, which are shared. A block can have 100,000 property keys that occur in one event each.
 * With two lists for each of them, most objects in the heap would be such lists.
 */
export class SingleNumberLists {
  readonly #lists = new Map<number, readonly number[]>()

  /** Returns the list that contains only `number`. The list must not be changed. */
  of(number: number): readonly number[] {
    let list = this.#lists.get(number)
    if (!list) {
      list = [number]
      this.#lists.set(number, list)
    }
    return list
  }
}

/** Largest stamp that fits into 2 bytes. */
const lastStamp = 65_535

/**
 * Marks ids as seen without clearing the marks between uses. An id counts as seen if it has the current stamp. All
 * queries of a thread share one array, so a query must finish with its stamp before another query continues. Takes 2
 * bytes per id.
 */
export class Stamps {
  #array = new Uint16Array(0)
  #stamp = 0

  /** Returns the array and a stamp that no id below `range` has. */
  of(range: number): { array: Uint16Array; stamp: number } {
    if (this.#array.length < range) {
      // A quarter larger than needed, so that new ids rarely require a new array.
      this.#array = new Uint16Array(Math.ceil(range * 1.25))
      this.#stamp = 0
    }
    if (this.#stamp === lastStamp) {
      this.#array.fill(0)
      this.#stamp = 0
    }
    return { array: this.#array, stamp: ++this.#stamp }
  }
}

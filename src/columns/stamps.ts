/** The largest number that fits into 2 bytes. */
const lastStamp = 65_535

/**
 * Marks dictionary ids as seen. To avoid clearing the marks between uses, each use has its own number (a stamp), and an
 * id counts as seen only if it is marked with the current stamp. All queries of a thread share one array, so a query
 * must not yield while it uses a stamp. Takes 2 bytes per id.
 */
export class Stamps {
  #array = new Uint16Array(0)
  #stamp = 0
  #bits = new Int32Array(0)

  /** Returns the array of marks and a new stamp, with which no id below `range` is marked yet. */
  of(range: number): { array: Uint16Array; stamp: number } {
    if (this.#array.length < range) {
      // The array is a quarter larger than needed, so that new ids rarely require a new array.
      this.#array = new Uint16Array(Math.ceil(range * 1.25))
      this.#stamp = 0
    }
    if (this.#stamp === lastStamp) {
      this.#array.fill(0)
      this.#stamp = 0
    }
    return { array: this.#array, stamp: ++this.#stamp }
  }

  /**
   * Returns a bitset of at least `words` words, all 0. The caller must clear it before another query continues. Useful
   * for marking a few ids in a large range, because allocating a new bitset would take longer than marking them.
   */
  emptyBits(words: number): Int32Array {
    if (this.#bits.length < words) this.#bits = new Int32Array(Math.ceil(words * 1.25))
    return this.#bits
  }
}

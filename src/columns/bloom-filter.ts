/** Bits for each hash: of those that are not in it, at most 3 in 100 seem to be. */
const bitsEach = 8
const leastBits = 2 ** 16
const bitsPerWord = 32

/** Says of hashes of three random words that they are not among some others, or that they may be (a Bloom filter). */
export class BloomFilter {
  readonly #bits: Int32Array
  readonly #mask: number

  /** `most`: hashes that it has room for. */
  constructor(readonly most: number) {
    const size = Math.max(leastBits, 2 ** Math.ceil(Math.log2(most * bitsEach)))
    this.#bits = new Int32Array(size / bitsPerWord)
    this.#mask = size - 1
  }

  /** Three words each. */
  add(hashes: Uint32Array): void {
    const bits = this.#bits
    const mask = this.#mask
    for (let at = 0; at < hashes.length; at++) {
      const bit = (hashes[at] as number) & mask
      bits[bit >>> 5] = (bits[bit >>> 5] as number) | (1 << (bit & 31))
    }
  }

  mayHave(hashes: Uint32Array, at: number): boolean {
    return (
      this.#has(hashes[at] as number) &&
      this.#has(hashes[at + 1] as number) &&
      this.#has(hashes[at + 2] as number)
    )
  }

  #has(word: number): boolean {
    const bit = word & this.#mask
    return ((this.#bits[bit >>> 5] as number) & (1 << (bit & 31))) !== 0
  }
}

/** Minimum number of bits per hash, for at most about 3% false positives. */
const bitsPerHash = 8
const minBits = 2 ** 16
const bitsPerWord = 32

/**
 * A Bloom filter for 96-bit hashes. `mightContain` returns true for every hash that was added, and for a few hashes
 * that were not. A hash consists of three random 32-bit words, each of which selects one bit.
 */
export class BloomFilter {
  readonly #bits: Int32Array
  readonly #mask: number

  /** `capacity`: maximum number of hashes for which the false positive rate holds. */
  constructor(readonly capacity: number) {
    const size = Math.max(minBits, 2 ** Math.ceil(Math.log2(capacity * bitsPerHash)))
    this.#bits = new Int32Array(size / bitsPerWord)
    this.#mask = size - 1
  }

  /** Adds hashes, each of which is three words long. */
  add(hashes: Uint32Array): void {
    const bits = this.#bits
    const mask = this.#mask
    for (let at = 0; at < hashes.length; at++) {
      const bit = (hashes[at] as number) & mask
      bits[bit >>> 5] = (bits[bit >>> 5] as number) | (1 << (bit & 31))
    }
  }

  /** Returns false only if the hash was never added. `at`: index of the first word of the hash. */
  mightContain(hashes: Uint32Array, at: number): boolean {
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

import { copyInto } from "../../columns/typed-arrays.ts"

const initialSize = 16
/** Bytes per pair, for its two elements and its slots. On average, the arrays are three quarters full. */
export const pairBytes = 24

/**
 * Numbers pairs of whole numbers below 2^32 in the order in which they are added, starting at 0. Implemented as a hash
 * table without an object per pair.
 */
export class PairNumbers {
  #left = new Uint32Array(initialSize)
  #right = new Uint32Array(initialSize)
  /**
   * The number of each pair plus 1, in the first free slot at or after the pair's hash. At most half of the slots are
   * used.
   */
  #slots = new Uint32Array(initialSize * 2)
  #count = 0

  get count(): number {
    return this.#count
  }

  leftOf(number: number): number {
    return this.#left[number] as number
  }

  rightOf(number: number): number {
    return this.#right[number] as number
  }

  find(left: number, right: number): number | undefined {
    const number = this.#slots[this.#slotOf(left, right)] as number
    return number === 0 ? undefined : number - 1
  }

  /** Returns the number of a pair. Adds the pair if it is new. */
  add(left: number, right: number): number {
    const slot = this.#slotOf(left, right)
    const known = this.#slots[slot] as number
    if (known > 0) return known - 1
    const number = this.#count++
    this.#left[number] = left
    this.#right[number] = right
    this.#slots[slot] = number + 1
    if (this.#count === this.#left.length) this.#grow()
    return number
  }

  #grow(): void {
    const size = this.#count * 2
    this.#left = copyInto(new Uint32Array(size), this.#left)
    this.#right = copyInto(new Uint32Array(size), this.#right)
    this.#slots = new Uint32Array(size * 2)
    for (let number = 0; number < this.#count; number++)
      this.#slots[this.#slotOf(this.leftOf(number), this.rightOf(number))] = number + 1
  }

  /** Returns the slot of a pair, or the free slot to use for it. */
  #slotOf(left: number, right: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
    let slot = (hash ^ (hash >>> 13)) & mask
    for (;;) {
      const number = slots[slot] as number
      if (number === 0 || (this.#left[number - 1] === left && this.#right[number - 1] === right)) return slot
      slot = (slot + 1) & mask
    }
  }
}

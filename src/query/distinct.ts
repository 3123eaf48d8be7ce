/** Bytes of memory that an answer may still take. */
export class Budget {
  constructor(private left: number) {}

  /** Throws TooLarge when it is more than there is. */
  take(bytes: number): void {
    this.left -= bytes
    if (this.left < 0) throw new TooLarge()
  }
}

/** The answer would need more memory than it may take. */
export class TooLarge extends Error {}

/** A set of numbers from 1 up to `range`: a small table of them, and a bit for each number when there are many. */
export class Distinct {
  size = 0
  #slots: Uint32Array | undefined = new Uint32Array(8)
  #bits: Uint32Array | undefined

  constructor(
    private readonly range: number,
    private readonly budget: Budget,
  ) {
    this.budget.take(64)
  }

  /** Those from `first` up to `end` whose mask is not 0. 0 is no number. */
  addAll(numbers: Uint32Array, first: number, end: number, mask: Uint8Array | undefined): void {
    if (!this.#bits && end - first > this.range / 64) this.#toBits()
    const bits = this.#bits
    if (!bits) {
      for (let index = first; index < end; index++) {
        if (mask?.[index] !== 0) this.add(numbers[index] as number)
      }
      return
    }
    let size = this.size
    // Number 0 has a bit too, which counts as seen from the begin.
    if (mask) {
      for (let index = first; index < end; index++) {
        if (mask[index] === 0) continue
        const number = numbers[index] as number
        const word = bits[number >>> 5] as number
        const bit = 1 << (number & 31)
        if ((word & bit) === 0) {
          bits[number >>> 5] = word | bit
          size++
        }
      }
    } else {
      for (let index = first; index < end; index++) {
        const number = numbers[index] as number
        const word = bits[number >>> 5] as number
        const bit = 1 << (number & 31)
        if ((word & bit) === 0) {
          bits[number >>> 5] = word | bit
          size++
        }
      }
    }
    this.size = size
  }

  add(number: number): void {
    if (number === 0) return
    if (this.#bits) {
      const word = this.#bits[number >>> 5] as number
      const bit = 1 << (number & 31)
      if ((word & bit) !== 0) return
      this.#bits[number >>> 5] = word | bit
      this.size++
      return
    }
    const slots = this.#slots as Uint32Array
    if (put(slots, number)) {
      this.size++
      if (this.size * 2 > slots.length) this.#grow(slots)
    }
  }

  #grow(slots: Uint32Array): void {
    if (slots.length * 2 * 32 >= this.range) {
      this.#toBits()
      return
    }
    const larger = new Uint32Array(slots.length * 2)
    this.budget.take(larger.byteLength)
    for (const number of slots) if (number !== 0) put(larger, number)
    this.#slots = larger
  }

  #toBits(): void {
    const bits = new Uint32Array((this.range >>> 5) + 1)
    this.budget.take(bits.byteLength)
    bits[0] = 1
    for (const number of this.#slots ?? [])
      if (number !== 0) bits[number >>> 5] = (bits[number >>> 5] as number) | (1 << (number & 31))
    this.#bits = bits
    this.#slots = undefined
  }
}

/** False where it is there already. */
function put(slots: Uint32Array, number: number): boolean {
  const last = slots.length - 1
  let slot = Math.imul(number, 0x9e37_79b1) & last
  while (slots[slot] !== 0) {
    if (slots[slot] === number) return false
    slot = (slot + 1) & last
  }
  slots[slot] = number
  return true
}

import { type Selection, sizeOf } from "./selection.ts"

/** Memory, in bytes, of which parts are taken and given back (a negative number). */
export interface Memory {
  readonly left: number
  take(bytes: number): void
}

/** Bytes of memory that an answer may still take. */
export class MemoryBudget implements Memory {
  #taken = 0

  /** `whole`: what is taken here is taken of this too, which throws where it has no room. */
  constructor(
    private readonly most: number,
    private readonly whole?: Memory,
  ) {}

  get taken(): number {
    return this.#taken
  }

  get left(): number {
    const own = this.most - this.#taken
    return this.whole ? Math.min(own, this.whole.left) : own
  }

  /** Throws TooLarge when it is more than there is. */
  take(bytes: number): void {
    if (bytes > 0 && this.#taken + bytes > this.most) throw new OutOfMemoryBudgetError()
    this.whole?.take(bytes)
    this.#taken += bytes
  }

  /** For something that is not needed until the end: what is taken here is taken of the whole, until it is `release`d. */
  part(): MemoryBudget {
    return new MemoryBudget(this.most, this)
  }

  release(): void {
    this.whole?.take(-this.#taken)
    this.#taken = 0
  }
}

/** The answer would need more memory than it may take. */
export class OutOfMemoryBudgetError extends Error {}

/** Numbers that a bit set or a table of them has in one element. */
const bitsPerWord = 32
/** Bytes that a set takes beside its table, measured. */
const setBytes = 130
/** The share of the memory that is left which a bit set may take where a table would be smaller: of those before it half is never taken. */
const spareShare = 256

/**
 * A set of numbers from 1 up to `range`: a small table of them, and a bit for each number when there are many. Over a
 * `base`, which must not change any more, only the numbers that the base has not are kept.
 */
export class IdSet {
  #own = 0
  #slots: Uint32Array | undefined = new Uint32Array(8)
  /** Signed, because numbers of 32 bits are slower to work with. */
  #bits: Int32Array | undefined
  /** The numbers alone, once it is packed. */
  #list: Uint32Array | undefined

  constructor(
    private readonly range: number,
    private readonly budget: MemoryBudget,
    private readonly base?: IdSet,
  ) {
    budget.take(setBytes + 32)
  }

  /** A set that begins with what `base` has. */
  static over(base: IdSet, range: number, budget: MemoryBudget): IdSet {
    if (!base.#list) return new IdSet(range, budget, base)
    const copy = new IdSet(range, budget)
    copy.merge(base)
    return copy
  }

  get size(): number {
    return this.#own + (this.base?.size ?? 0)
  }

  has(number: number): boolean {
    const { base } = this
    if (base?.has(number)) return true
    const bits = this.#bits
    // A set from before there were as many numbers is shorter.
    if (bits) return ((bits[number >>> 5] ?? 0) & (1 << (number & 31))) !== 0
    return isIn(this.#slots as Uint32Array, number)
  }

  /** Those of the selected events. 0 is no number. */
  addAll(numbers: Uint32Array, selection: Selection): void {
    const { first, end, at } = selection
    this.#expect(sizeOf(selection))
    if (this.#bits && !this.base) {
      this.#own += at ? setBitsAt(this.#bits, numbers, at) : setBits(this.#bits, numbers, first, end)
    } else if (at) for (let n = 0; n < at.length; n++) this.add(numbers[at[n] as number] as number)
    else for (let index = first; index < end; index++) this.add(numbers[index] as number)
  }

  add(number: number): void {
    if (number === 0 || this.base?.has(number)) return
    const bits = this.#bits
    if (bits) {
      const word = bits[number >>> 5] as number
      const bit = 1 << (number & 31)
      if ((word & bit) !== 0) return
      bits[number >>> 5] = word | bit
      this.#own++
      return
    }
    const slots = this.#slots as Uint32Array
    if (put(slots, number)) {
      this.#own++
      if (this.#own * 2 > slots.length) this.#grow(slots)
    }
  }

  /** Those of another one. */
  merge(other: IdSet): void {
    if (other.base) this.merge(other.base)
    this.#expect(other.#own)
    if (this.#bits && other.#bits && !this.base) this.#own += unite(this.#bits, other.#bits)
    else {
      const numbers = other.#numbers()
      this.addAll(numbers, { first: 0, end: numbers.length, at: undefined })
    }
  }

  /** Makes it as small as it can be. From then on it is only merged into others, or a base of which a copy is made. */
  pack(): void {
    const { byteLength } = (this.#bits ?? this.#slots) as Int32Array | Uint32Array
    if (this.#own * 4 >= byteLength) return
    this.#list = this.#numbers()
    this.budget.take(this.#list.byteLength - byteLength)
    this.#bits = undefined
    this.#slots = undefined
  }

  /** Without those of the base. */
  #numbers(): Uint32Array {
    if (this.#list) return this.#list
    if (this.#bits) return numbersIn(this.#bits, this.#own)
    return numbersAmong(this.#slots as Uint32Array, this.#own)
  }

  /** So many more numbers come, some of which may be there. Bits are faster, also where they take more memory than a table. */
  #expect(more: number): void {
    if (this.#bits || this.#list) return
    const isCheap = this.range / 8 < this.budget.left / spareShare
    if (more > this.range / 64 || (isCheap && more > this.range / 1_024)) this.#toBits()
  }

  #grow(slots: Uint32Array): void {
    if (slots.length * 2 * bitsPerWord >= this.range) {
      this.#toBits()
      return
    }
    const larger = new Uint32Array(slots.length * 2)
    this.budget.take(slots.byteLength)
    for (let slot = 0; slot < slots.length; slot++) {
      const number = slots[slot] as number
      if (number !== 0) put(larger, number)
    }
    this.#slots = larger
  }

  #toBits(): void {
    const slots = this.#slots as Uint32Array
    const bits = new Int32Array((this.range >>> 5) + 1)
    this.budget.take(bits.byteLength - slots.byteLength)
    // Number 0 has a bit too, which counts as seen from the begin.
    bits[0] = 1
    setBits(bits, slots, 0, slots.length)
    this.#bits = bits
    this.#slots = undefined
  }
}

// The loops over all events are functions of their own: small ones are compiled sooner and better. Each says how many bits are new.

function setBits(bits: Int32Array, numbers: Uint32Array, first: number, end: number): number {
  let fresh = 0
  for (let index = first; index < end; index++) {
    const number = numbers[index] as number
    const word = bits[number >>> 5] as number
    const bit = 1 << (number & 31)
    if ((word & bit) === 0) {
      bits[number >>> 5] = word | bit
      fresh++
    }
  }
  return fresh
}

function setBitsAt(bits: Int32Array, numbers: Uint32Array, at: Uint32Array): number {
  let fresh = 0
  for (let n = 0; n < at.length; n++) {
    const number = numbers[at[n] as number] as number
    const word = bits[number >>> 5] as number
    const bit = 1 << (number & 31)
    if ((word & bit) === 0) {
      bits[number >>> 5] = word | bit
      fresh++
    }
  }
  return fresh
}

function unite(bits: Int32Array, others: Int32Array): number {
  let fresh = 0
  for (let index = 0; index < others.length; index++) {
    const word = bits[index] as number
    const more = (others[index] as number) & ~word
    if (more === 0) continue
    bits[index] = word | more
    fresh += ones(more)
  }
  return fresh
}

/** How many bits of a word are set. */
function ones(word: number): number {
  let left = word - ((word >>> 1) & 0x5555_5555)
  left = (left & 0x3333_3333) + ((left >>> 2) & 0x3333_3333)
  left = (left + (left >>> 4)) & 0x0f0f_0f0f
  return Math.imul(left, 0x0101_0101) >>> 24
}

/** The numbers whose bits are set, but 0. */
function numbersIn(bits: Int32Array, count: number): Uint32Array {
  const numbers = new Uint32Array(count)
  let at = 0
  for (let index = 0; index < bits.length; index++) {
    for (let left = (bits[index] as number) & (index === 0 ? ~1 : ~0); left !== 0; left &= left - 1)
      numbers[at++] = index * bitsPerWord + 31 - Math.clz32(left & -left)
  }
  return numbers
}

function numbersAmong(slots: Uint32Array, count: number): Uint32Array {
  const numbers = new Uint32Array(count)
  let at = 0
  for (let slot = 0; slot < slots.length; slot++) {
    const number = slots[slot] as number
    if (number !== 0) numbers[at++] = number
  }
  return numbers
}

function isIn(slots: Uint32Array, number: number): boolean {
  const last = slots.length - 1
  for (let slot = Math.imul(number, 0x9e37_79b1) & last; slots[slot] !== 0; slot = (slot + 1) & last)
    if (slots[slot] === number) return true
  return false
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

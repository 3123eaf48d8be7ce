import type { Db, Statement } from "../store/db/driver.ts"
import { type DictionarySizes, type IdKind, idKinds } from "./batch.ts"
import { BloomFilter } from "./bloom-filter.ts"

/** Ids in a stretch, some 50 KB: up to then those that come are written behind the others, so that there are few stretches. */
const idsPerStretch = 4_096

const sql = {
  seed: "select seed from sealed",
  deleted: "select deleted from sealed",
  /** From the stretch on that holds a number. */
  from: `
    select first, hashes from identities
    where kind = :kind
      and first >= (select coalesce(max(first), 0) from identities where kind = :kind and first <= :number)
    order by first`,
  newestFirst: "select first, hashes from identities where kind = :kind order by first desc",
  next: `
    select first + length(hashes) / 12 from identities where kind = :kind order by first desc limit 1`,
  append: `
    update identities set hashes = cast(hashes || :hashes as blob)
    where kind = :kind and first = (select max(first) from identities where kind = :kind)
      and first + length(hashes) / 12 = :first and length(hashes) < :full`,
  insert: "insert into identities (kind, first, hashes) values (:kind, :first, :hashes)",
}

/** Three 32-bit words an id. With 100 million ids the chance that two share all 96 bits is 1 in 10^13. */
const words = 3
/** As many as are looked for at most, and more. */
const wantedBits = 2 ** 20

/** New numbers: ids that no block has named before. */
export interface NewDictionaryIds {
  kind: IdKind
  first: number
  hashes: Uint8Array
}

/**
 * Numbers ids from 1, in the order in which they were first sealed. The list holds hashes alone, 12 bytes an id, and is read from its
 * end, some 5 ns an id, until those are found that are there. Of nearly all others a sieve in memory knows that they are not: 1 to 2
 * bytes an id.
 */
export class IdDictionary {
  readonly #seed: bigint
  readonly #deleted: Statement
  readonly #from: Statement
  readonly #newestFirst: Statement
  readonly #next: Statement
  readonly #sieves = new Map<IdKind, { sieve: BloomFilter; next: number }>()
  /** Numbers that were given are taken back only where something counts as deleted. */
  #deletedBefore: number | undefined

  constructor(private readonly db: Db) {
    this.#seed = BigInt.asUintN(64, db.prepare(sql.seed).pluck().safeIntegers().get() as bigint)
    this.#deleted = db.prepare(sql.deleted).pluck()
    this.#from = db.prepare(sql.from)
    this.#newestFirst = db.prepare(sql.newestFirst)
    this.#next = db.prepare(sql.next).pluck()
  }

  /** One more than the highest number given, of each kind. */
  numbers(): DictionarySizes {
    return {
      visitors: this.#nextOf("visitors"),
      sessions: this.#nextOf("sessions"),
      profiles: this.#nextOf("profiles"),
    }
  }

  #nextOf(kind: IdKind): number {
    return (this.#next.get({ kind: idKinds.indexOf(kind) }) as number | undefined) ?? 1
  }

  /** The number of each text, 0 where it has none, and the hashes. */
  find(kind: IdKind, texts: readonly string[]): { numbers: Uint32Array; hashes: Uint32Array } {
    const hashes = this.#hash(texts)
    const numbers = new Uint32Array(texts.length)
    // In one transaction: what is sealed meanwhile would be in the list and not in the sieve.
    if (texts.length > 0) this.db.transaction(() => this.#find(kind, hashes, numbers))()
    return { numbers, hashes }
  }

  #find(kind: IdKind, hashes: Uint32Array, numbers: Uint32Array): void {
    const sieve = this.#sieveOf(kind)
    const wanted = new Wanted(hashes, (at) => sieve.mayHave(hashes, at))
    if (wanted.left === 0) return
    for (const row of this.#newestFirst.iterate({ kind: idKinds.indexOf(kind) })) {
      const { first, hashes: bytes } = row as Stretch
      wanted.lookThrough(wordsOf(bytes), first, numbers)
      if (wanted.left === 0) return
    }
  }

  /** With all that were given until now. */
  #sieveOf(kind: IdKind): BloomFilter {
    const deleted = this.#deleted.get() as number
    if (deleted !== this.#deletedBefore) this.#sieves.clear()
    this.#deletedBefore = deleted
    const next = this.#nextOf(kind)
    let known = this.#sieves.get(kind)
    if (!known || known.sieve.most < next) known = { sieve: new BloomFilter(next * 2), next: 1 }
    if (known.next < next) {
      const stretches = this.#from.all({ kind: idKinds.indexOf(kind), number: known.next }) as Stretch[]
      for (const { first, hashes } of stretches)
        known.sieve.add(wordsOf(hashes).subarray(Math.max(0, known.next - first) * words))
      known.next = next
      this.#sieves.set(kind, known)
    }
    return known.sieve
  }

  #hash(texts: readonly string[]): Uint32Array {
    const hashes = new Uint32Array(texts.length * words)
    const small = Number(this.#seed & 0xffff_ffffn)
    for (let index = 0; index < texts.length; index++) {
      const text = texts[index] as string
      const long = Bun.hash.xxHash3(text, this.#seed)
      hashes[index * words] = Number(long & 0xffff_ffffn)
      hashes[index * words + 1] = Number(long >> 32n)
      hashes[index * words + 2] = Bun.hash.xxHash32(text, small)
    }
    return hashes
  }
}

interface Stretch {
  first: number
  hashes: Buffer
}

/** Hashes that are looked for, each until it is found. */
class Wanted {
  left = 0
  /** Open addressing over the first word, at most half full: places in `hashes`, counted from 1. */
  readonly #slots: Uint32Array
  /** A bit for some bits of the first word, which sorts out nearly all that are not looked for. */
  readonly #bits = new Uint8Array(wantedBits / 8)

  constructor(
    private readonly hashes: Uint32Array,
    isWanted: (at: number) => boolean,
  ) {
    const size = 2 ** Math.ceil(Math.log2((hashes.length / words) * 2 + 1))
    this.#slots = new Uint32Array(size)
    for (let at = 0; at < hashes.length; at += words) {
      if (!isWanted(at)) continue
      this.left++
      const word = hashes[at] as number
      const bit = word % wantedBits
      this.#bits[bit >> 3] = (this.#bits[bit >> 3] as number) | (1 << (bit & 7))
      let slot = word & (size - 1)
      while (this.#slots[slot] !== 0) slot = (slot + 1) & (size - 1)
      this.#slots[slot] = at / words + 1
    }
  }

  lookThrough(stretch: Uint32Array, first: number, numbers: Uint32Array): void {
    const [bits, slots, hashes] = [this.#bits, this.#slots, this.hashes]
    const last = slots.length - 1
    for (let at = 0; at < stretch.length; at += words) {
      const word = stretch[at] as number
      const bit = word % wantedBits
      if (((bits[bit >> 3] as number) & (1 << (bit & 7))) === 0) continue
      for (let slot = word & last; slots[slot] !== 0; slot = (slot + 1) & last) {
        const index = (slots[slot] as number) - 1
        const other = index * words
        if (
          hashes[other] === word &&
          hashes[other + 1] === stretch[at + 1] &&
          hashes[other + 2] === stretch[at + 2] &&
          numbers[index] === 0
        ) {
          numbers[index] = first + at / words
          this.left--
        }
      }
    }
  }
}

/** Inside the transaction that stores the blocks which use the numbers. */
export function insertDictionaryIds(db: Db, { kind, first, hashes }: NewDictionaryIds): void {
  const stretch = { kind: idKinds.indexOf(kind), first, hashes }
  const full = idsPerStretch * words * 4
  if (db.prepare(sql.append).run({ ...stretch, full }).changes === 0) db.prepare(sql.insert).run(stretch)
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  return new Uint32Array(aligned.buffer, aligned.byteOffset, bytes.length / 4)
}

import type { Db, Statement } from "../store/db/driver.ts"
import { type DictionarySizes, type IdKind, idKinds } from "./batch.ts"
import { BloomFilter } from "./bloom-filter.ts"
import { arrayOf } from "./typed-arrays.ts"

/**
 * Ids of a chunk, about 50 KB. New ids are appended to the last chunk until it is full, so that there are few
 * chunks.
 */
const idsPerChunk = 4_096

const sql = {
  seed: "select seed from sealed",
  deleted: "select deleted from sealed",
  /** The chunk that holds a dictionary id, and all later ones. */
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

/** 32-bit words of a hash. With 100 million ids the probability that two share all 96 bits is 1 in 10^13. */
export const wordsPerHash = 3
/** Bits of the prefilter: more than the number of hashes of one search. */
const prefilterBits = 2 ** 20

/** Consecutive new dictionary ids, from `first` on, for ids that no block has used yet. */
export interface NewDictionaryIds {
  kind: IdKind
  first: number
  hashes: Uint8Array
}

/**
 * Assigns dictionary ids from 1, in the order in which ids are first sealed. The list stores only hashes, 12
 * bytes per id. A search reads the list from its end, about 5 ns per id, until all known ids are found. A
 * Bloom filter in memory rules out nearly all unknown ids; it takes 1 to 2 bytes per id.
 */
export class IdDictionary {
  readonly #seed: bigint
  readonly #deletions: Statement
  readonly #from: Statement
  readonly #newestFirst: Statement
  readonly #next: Statement
  readonly #filters = new Map<IdKind, { filter: BloomFilter; next: number }>()
  /**
   * The number of deletions when the filters were built. Dictionary ids are only taken back by what counts as
   * a deletion.
   */
  #knownDeletions: number | undefined

  constructor(private readonly db: Db) {
    this.#seed = BigInt.asUintN(64, db.prepare(sql.seed).pluck().safeIntegers().get() as bigint)
    this.#deletions = db.prepare(sql.deleted).pluck()
    this.#from = db.prepare(sql.from)
    this.#newestFirst = db.prepare(sql.newestFirst)
    this.#next = db.prepare(sql.next).pluck()
  }

  /** Returns one more than the highest dictionary id of each kind. */
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

  /** Returns the dictionary id of each text, or 0 if it has none, and the hashes. */
  find(kind: IdKind, texts: readonly string[]): { numbers: Uint32Array; hashes: Uint32Array } {
    const hashes = this.#hash(texts)
    const numbers = new Uint32Array(texts.length)
    // In one transaction: ids that are sealed meanwhile would be in the list but not in the filter.
    if (texts.length > 0) this.db.transaction(() => this.#find(kind, hashes, numbers))()
    return { numbers, hashes }
  }

  #find(kind: IdKind, hashes: Uint32Array, numbers: Uint32Array): void {
    const filter = this.#filterOf(kind)
    const search = new HashSearch(hashes, (at) => filter.mayHave(hashes, at))
    if (search.remaining === 0) return
    for (const row of this.#newestFirst.iterate({ kind: idKinds.indexOf(kind) })) {
      const { first, hashes: bytes } = row as Chunk
      search.scan(wordsOf(bytes), first, numbers)
      if (search.remaining === 0) return
    }
  }

  /** Returns the filter, with all dictionary ids assigned so far. */
  #filterOf(kind: IdKind): BloomFilter {
    const deleted = this.#deletions.get() as number
    if (deleted !== this.#knownDeletions) this.#filters.clear()
    this.#knownDeletions = deleted
    const next = this.#nextOf(kind)
    let known = this.#filters.get(kind)
    if (!known || known.filter.capacity < next) known = { filter: new BloomFilter(next * 2), next: 1 }
    if (known.next < next) {
      const chunks = this.#from.all({ kind: idKinds.indexOf(kind), number: known.next }) as Chunk[]
      for (const { first, hashes } of chunks)
        known.filter.add(wordsOf(hashes).subarray(Math.max(0, known.next - first) * wordsPerHash))
      known.next = next
      this.#filters.set(kind, known)
    }
    return known.filter
  }

  #hash(texts: readonly string[]): Uint32Array {
    const hashes = new Uint32Array(texts.length * wordsPerHash)
    const small = Number(this.#seed & 0xffff_ffffn)
    for (let index = 0; index < texts.length; index++) {
      const text = texts[index] as string
      const long = Bun.hash.xxHash3(text, this.#seed)
      hashes[index * wordsPerHash] = Number(long & 0xffff_ffffn)
      hashes[index * wordsPerHash + 1] = Number(long >> 32n)
      hashes[index * wordsPerHash + 2] = Bun.hash.xxHash32(text, small)
    }
    return hashes
  }
}

interface Chunk {
  first: number
  hashes: Buffer
}

/** Hashes to find. Each is searched for until it is found. */
class HashSearch {
  remaining = 0
  /**
   * Hash table by first word (open addressing, at most half full). A slot holds 1 + the index of a hash; 0 is
   * empty.
   */
  readonly #slots: Uint32Array
  /** One bit per value of the low bits of the first word. Rules out nearly all other hashes. */
  readonly #bits = new Uint8Array(prefilterBits / 8)

  constructor(
    private readonly hashes: Uint32Array,
    isCandidate: (at: number) => boolean,
  ) {
    const size = 2 ** Math.ceil(Math.log2((hashes.length / wordsPerHash) * 2 + 1))
    this.#slots = new Uint32Array(size)
    for (let at = 0; at < hashes.length; at += wordsPerHash) {
      if (!isCandidate(at)) continue
      this.remaining++
      const word = hashes[at] as number
      const bit = word % prefilterBits
      this.#bits[bit >> 3] = (this.#bits[bit >> 3] as number) | (1 << (bit & 7))
      let slot = word & (size - 1)
      while (this.#slots[slot] !== 0) slot = (slot + 1) & (size - 1)
      this.#slots[slot] = at / wordsPerHash + 1
    }
  }

  scan(chunk: Uint32Array, first: number, numbers: Uint32Array): void {
    const [bits, slots, hashes] = [this.#bits, this.#slots, this.hashes]
    const last = slots.length - 1
    for (let at = 0; at < chunk.length; at += wordsPerHash) {
      const word = chunk[at] as number
      const bit = word % prefilterBits
      if (((bits[bit >> 3] as number) & (1 << (bit & 7))) === 0) continue
      for (let slot = word & last; slots[slot] !== 0; slot = (slot + 1) & last) {
        const index = (slots[slot] as number) - 1
        const start = index * wordsPerHash
        if (
          hashes[start] === word &&
          hashes[start + 1] === chunk[at + 1] &&
          hashes[start + 2] === chunk[at + 2] &&
          numbers[index] === 0
        ) {
          numbers[index] = first + at / wordsPerHash
          this.remaining--
        }
      }
    }
  }
}

/** Stores new dictionary ids. Call it in the transaction that stores the blocks that use them. */
export function insertDictionaryIds(db: Db, { kind, first, hashes }: NewDictionaryIds): void {
  const chunk = { kind: idKinds.indexOf(kind), first, hashes }
  const full = idsPerChunk * wordsPerHash * 4
  if (db.prepare(sql.append).run({ ...chunk, full }).changes === 0) db.prepare(sql.insert).run(chunk)
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  return arrayOf(bytes, 0, bytes.length / 4, 4)
}

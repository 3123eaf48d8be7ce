import type { Db } from "../store/native.ts"
import { type Kind, kinds, type Numbers } from "./batch.ts"

const sql = {
  seed: "select seed from sealed",
  chunks: "select first, hashes from identities where kind = :kind order by first",
  next: `
    select first + length(hashes) / 12 from identities where kind = :kind order by first desc limit 1`,
  insert: "insert into identities (kind, first, hashes) values (:kind, :first, :hashes)",
}

/** Three 32-bit words an id. With 100 million ids the chance that two share all 96 bits is 1 in 10^13. */
const words = 3
/** Bits of the table that sorts out nearly all hashes that are not looked for. */
const sieveBits = 2 ** 20

/** New numbers: ids that no block has named before. */
export interface NewIdentities {
  kind: Kind
  first: number
  hashes: Uint8Array
}

/**
 * Numbers ids from 1, in the order in which they were first sealed. The list holds hashes alone and is read from end to
 * end to find some: 12 bytes an id, some 5 ns each, so many ids are to be looked up at once.
 */
export class Identities {
  readonly #seed: bigint
  readonly #chunks
  readonly #next

  constructor(db: Db) {
    this.#seed = BigInt.asUintN(64, db.prepare(sql.seed).pluck().safeIntegers().get() as bigint)
    this.#chunks = db.prepare(sql.chunks)
    this.#next = db.prepare(sql.next).pluck()
  }

  /** One more than the highest number given, of each kind. */
  numbers(): Numbers {
    const next = (kind: Kind) => (this.#next.get({ kind: kinds.indexOf(kind) }) as number | undefined) ?? 1
    return { visitors: next("visitors"), sessions: next("sessions"), profiles: next("profiles") }
  }

  /** The number of each text, 0 where it has none, and the hashes. */
  find(kind: Kind, texts: readonly string[]): { numbers: Uint32Array; hashes: Uint32Array } {
    const hashes = this.#hash(texts)
    const numbers = new Uint32Array(texts.length)
    if (texts.length === 0) return { numbers, hashes }
    const sieve = new Uint8Array(sieveBits / 8)
    // Open addressing over the first word; at most half full.
    const size = 2 ** Math.ceil(Math.log2(texts.length * 2 + 1))
    const slots = new Uint32Array(size)
    for (let index = 0; index < texts.length; index++) {
      const word = hashes[index * words] as number
      const bit = word % sieveBits
      sieve[bit >> 3] = (sieve[bit >> 3] as number) | (1 << (bit & 7))
      let slot = word & (size - 1)
      while (slots[slot] !== 0) slot = (slot + 1) & (size - 1)
      slots[slot] = index + 1
    }
    for (const row of this.#chunks.iterate({ kind: kinds.indexOf(kind) })) {
      const { first, hashes: bytes } = row as { first: number; hashes: Buffer }
      const chunk = wordsOf(bytes)
      for (let at = 0; at < chunk.length; at += words) {
        const word = chunk[at] as number
        const bit = word % sieveBits
        if (((sieve[bit >> 3] as number) & (1 << (bit & 7))) === 0) continue
        for (let slot = word & (size - 1); slots[slot] !== 0; slot = (slot + 1) & (size - 1)) {
          const other = ((slots[slot] as number) - 1) * words
          if (
            hashes[other] === word &&
            hashes[other + 1] === chunk[at + 1] &&
            hashes[other + 2] === chunk[at + 2]
          ) {
            numbers[other / words] = first + at / words
          }
        }
      }
    }
    return { numbers, hashes }
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

/** Inside the transaction that stores the blocks which use the numbers. */
export function insertIdentities(db: Db, { kind, first, hashes }: NewIdentities): void {
  db.prepare(sql.insert).run({ kind: kinds.indexOf(kind), first, hashes })
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  return new Uint32Array(aligned.buffer, aligned.byteOffset, bytes.length / 4)
}

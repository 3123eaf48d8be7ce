import type { Db } from "./db/driver.ts"

export type IdKind = "visitors" | "sessions" | "profiles"
/** Kinds in the order of `identities.kind`. */
export const idKinds: readonly IdKind[] = ["visitors", "sessions", "profiles"]

/**
 * Whether the texts of each kind of ID are stored. The texts of session IDs would take up 18 bytes per event, because
 * there can be nearly as many sessions as events. Session IDs are also rarely searched.
 */
export const hasTexts: Readonly<Record<IdKind, boolean>> = { visitors: true, sessions: false, profiles: true }

/**
 * Number of IDs per chunk. A chunk has 48 KiB of hashes, and 80 KB of texts if the IDs are UUIDs. New IDs are appended
 * to the last chunk until it is full, so that there are few chunks.
 */
export const idsPerChunk = 4_096
/** Number of 32-bit words in a hash. With 100 million IDs, the probability that two share all 96 bits is 1 in 10^13. */
export const wordsPerHash = 3
export const hashBytes = wordsPerHash * 4

/** A row of `identities`: consecutive dictionary IDs starting at `first`. */
export interface IdChunk {
  /** Index into `idKinds`, plus 10 for IDs from before a rebuild. */
  kind: number
  first: number
  /** `hashBytes` per ID. Zeros mean that no event has the ID any more. */
  hashes: Uint8Array
  /** The result of `packTexts`. Null if texts are not stored. */
  texts: Uint8Array | null
}

const sql = {
  seed: "select seed from sealed",
  store: `
    insert into identities (kind, first, hashes, texts) values (:kind, :first, :hashes, :texts)
    on conflict (kind, first) do update set hashes = excluded.hashes, texts = excluded.texts`,
}

/** The fastest level. Higher levels take twice as long and save nothing, because the texts are short and random. */
const compression = { level: 1 }
/** Number of bytes that store the length of a text. An ID has at most 256 characters. */
const lengthBytes = 2

/** Packs the texts of consecutive IDs. Takes about 0.3 us per text. */
export function packTexts(texts: readonly string[]): Uint8Array {
  const bytes = Buffer.from(texts.join(""))
  const lengths = Uint16Array.from(texts, (text) => Buffer.byteLength(text))
  return Bun.zstdCompressSync(Buffer.concat([new Uint8Array(lengths.buffer), bytes]), compression)
}

/** The texts of consecutive IDs, by index. Unpacking takes about 0.1 us per text. */
export class PackedTexts {
  readonly #bytes: Buffer
  /** The position at which each text ends. */
  readonly #ends: Uint32Array

  /** Throws if `packed` does not contain `count` texts. */
  constructor(
    packed: Uint8Array,
    readonly count: number,
  ) {
    const { buffer, byteOffset, length } = Bun.zstdDecompressSync(new Uint8Array(packed))
    const start = count * lengthBytes
    if (length < start) throw new Error("id texts are missing")
    const lengths = new Uint16Array(buffer, byteOffset, count)
    this.#ends = new Uint32Array(count)
    let end = 0
    for (let index = 0; index < count; index++) {
      end += lengths[index] as number
      this.#ends[index] = end
    }
    if (start + end !== length) throw new Error("id texts have the wrong length")
    this.#bytes = Buffer.from(buffer, byteOffset + start, end)
  }

  at(index: number): string {
    return this.#bytes.toString("utf8", this.#startOf(index), this.#ends[index])
  }

  all(): string[] {
    const text = this.#bytes.toString("latin1")
    const isAscii = Buffer.byteLength(text) === text.length
    return Array.from(this.#ends, (end, index) =>
      isAscii ? text.slice(this.#startOf(index), end) : this.at(index),
    )
  }

  /**
   * Returns the texts that contain `part`, with their indexes. Searching takes about 10 ns per text. Returns all texts
   * if `part` is undefined, or if it contains half of a surrogate pair.
   */
  containing(part: string | undefined): Iterable<[index: number, text: string]> {
    // UTF-8 encodes half of a surrogate pair as a replacement character, which would match nothing.
    if (!part?.isWellFormed()) return this.all().entries()
    const [bytes, ends] = [this.#bytes, this.#ends]
    const needle = Buffer.from(part)
    const found: [number, string][] = []
    let index = 0
    for (let at = bytes.indexOf(needle); at >= 0; ) {
      while ((ends[index] as number) <= at) index++
      const end = ends[index] as number
      // A match can extend into the next text.
      if (at + needle.length <= end) found.push([index, this.at(index)])
      at = bytes.indexOf(needle, at + needle.length <= end ? end : at + 1)
    }
    return found
  }

  #startOf(index: number): number {
    return index === 0 ? 0 : (this.#ends[index - 1] as number)
  }
}

/** Returns the seed of the ID hashes. */
export function hashSeed(db: Db): bigint {
  return BigInt.asUintN(64, db.prepare(sql.seed).pluck().safeIntegers().get() as bigint)
}

export function hashIds(texts: readonly string[], seed: bigint): Uint32Array {
  const hashes = new Uint32Array(texts.length * wordsPerHash)
  const small = Number(seed & 0xffff_ffffn)
  for (let index = 0; index < texts.length; index++) {
    const text = texts[index] as string
    const long = Bun.hash.xxHash3(text, seed)
    hashes[index * wordsPerHash] = Number(long & 0xffff_ffffn)
    hashes[index * wordsPerHash + 1] = Number(long >> 32n)
    hashes[index * wordsPerHash + 2] = Bun.hash.xxHash32(text, small)
  }
  return hashes
}

/** Inserts or replaces a chunk. Replaced bytes are overwritten by `secure_delete`. */
export function storeIdChunk(db: Db, chunk: IdChunk): void {
  db.prepare(sql.store).run(chunk)
}

/**
 * Returns a copy of the chunk without the hashes and texts of the IDs at `indexes`. The dictionary IDs are never
 * reused.
 */
export function withoutIds(chunk: IdChunk, indexes: Iterable<number>): IdChunk {
  const hashes = new Uint8Array(chunk.hashes)
  const texts = chunk.texts && new PackedTexts(chunk.texts, hashes.length / hashBytes).all()
  for (const index of indexes) {
    hashes.fill(0, index * hashBytes, (index + 1) * hashBytes)
    if (texts) texts[index] = ""
  }
  return { ...chunk, hashes, texts: texts && packTexts(texts) }
}

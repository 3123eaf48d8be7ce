import type { Db, Statement } from "../store/db/driver.ts"
import {
  hashBytes,
  hashIds,
  hashSeed,
  hasTexts,
  type IdChunk,
  idsPerChunk,
  PackedTexts,
  packTexts,
  wordsPerHash,
} from "../store/identities.ts"
import { type DictionarySizes, type IdKind, idKinds, StaleBlockError } from "./batch.ts"
import { BloomFilter } from "./bloom-filter.ts"
import { arrayOf } from "./typed-arrays.ts"

const sql = {
  deleted: "select deleted from sealed",
  /** The chunk that contains a dictionary id, and all later chunks. */
  from: `
    select first, hashes from identities
    where kind = :kind
      and first >= (select coalesce(max(first), 0) from identities where kind = :kind and first <= :id)
    order by first`,
  newestFirst: "select first, hashes from identities where kind = :kind order by first desc",
  next: `
    select first + length(hashes) / ${hashBytes} from identities where kind = :kind order by first desc limit 1`,
  last: "select kind, first, hashes, texts from identities where kind = :kind order by first desc limit 1",
  /**
   * The texts in the chunk that contains a dictionary id or, if there is none, in the next chunk. Returns no row if
   * there is neither.
   */
  texts: `
    select first, length(hashes) / ${hashBytes} as count, texts from identities
    where kind = :kind and first + length(hashes) / ${hashBytes} > :id
      and first >= (select coalesce(max(first), 0) from identities where kind = :kind and first <= :id)
    order by first
    limit 1`,
  hash: `
    select substr(hashes, (:id - first) * ${hashBytes} + 1, ${hashBytes}) from identities
    where kind = :kind and first <= :id
    order by first desc
    limit 1`,
  withoutTexts: `
    select exists (select 1 from identities where kind = :kind and texts is null and kind in (0, 2))`,
  rebuilds: "select rebuilds from sealed",
}

/**
 * A search for at most this many ids does not build the Bloom filter, because building it takes longer than reading all
 * hashes.
 */
const fewTexts = 16
/** Number of bits in the prefilter of a search. A search usually has far fewer hashes, so most of the bits are 0. */
const prefilterBits = 2 ** 20

/**
 * The dictionary of the ids of visitors, sessions and profiles. These ids are strings, also called texts. Each one is
 * assigned a number, its dictionary id, starting at 1, in the order in which ids are first sealed. The dictionary is
 * stored in chunks, with the hash of each id. A search reads hashes, newest first, until it has found all ids. Reading
 * a hash takes about 5 ns. Before that, a Bloom filter in memory (1 to 2 bytes per id) rules out nearly all ids that
 * are not in the dictionary.
 */
export class IdDictionary {
  readonly #seed: bigint
  readonly #deletions: Statement
  readonly #from: Statement
  readonly #newestFirst: Statement
  readonly #next: Statement
  readonly #last: Statement
  readonly #texts: Statement
  readonly #hash: Statement
  readonly #withoutTexts: Statement
  readonly #rebuilds: Statement
  readonly #filters = new Map<IdKind, { filter: BloomFilter; next: number }>()
  /**
   * The number of deletions when the filters were built. Changes that invalidate dictionary ids also count as
   * deletions.
   */
  #knownDeletions: number | undefined

  constructor(private readonly db: Db) {
    this.#seed = hashSeed(db)
    this.#deletions = db.prepare(sql.deleted).pluck()
    this.#from = db.prepare(sql.from)
    this.#newestFirst = db.prepare(sql.newestFirst)
    this.#next = db.prepare(sql.next).pluck()
    this.#last = db.prepare(sql.last)
    this.#texts = db.prepare(sql.texts)
    this.#hash = db.prepare(sql.hash).pluck()
    this.#withoutTexts = db.prepare(sql.withoutTexts).pluck()
    this.#rebuilds = db.prepare(sql.rebuilds).pluck()
  }

  /** Returns one more than the highest dictionary id of each kind. */
  sizes(): DictionarySizes {
    return {
      visitors: this.#nextOf("visitors"),
      sessions: this.#nextOf("sessions"),
      profiles: this.#nextOf("profiles"),
    }
  }

  #nextOf(kind: IdKind): number {
    return (this.#next.get({ kind: idKinds.indexOf(kind) }) as number | undefined) ?? 1
  }

  /**
   * A secret number below 2^32, used as the seed of a hash. Because clients do not know the seed, they cannot choose
   * strings that have the same hash.
   */
  get textSeed(): number {
    return Number(this.#seed & 0xffff_ffffn)
  }

  /** Returns the dictionary id of each text (0 if it has none), and the hashes of the texts. */
  find(kind: IdKind, texts: readonly string[]): { ids: Uint32Array; hashes: Uint32Array } {
    const hashes = hashIds(texts, this.#seed)
    const ids = new Uint32Array(texts.length)
    // Runs in one transaction. Otherwise, ids that are sealed during the search would be in the chunks but not in the
    // filter.
    if (texts.length > 0) this.db.transaction(() => this.#find(kind, hashes, ids))()
    return { ids, hashes }
  }

  #find(kind: IdKind, hashes: Uint32Array, ids: Uint32Array): void {
    const hasFilter = this.#filters.has(kind) && this.#deletions.get() === this.#knownDeletions
    const filter = hasFilter || hashes.length > fewTexts * wordsPerHash ? this.#filterOf(kind) : undefined
    const search = new HashSearch(hashes, (at) => filter?.mightContain(hashes, at) ?? true)
    if (search.remaining === 0) return
    for (const row of this.#newestFirst.iterate({ kind: idKinds.indexOf(kind) })) {
      const { first, hashes: bytes } = row as Chunk
      search.scan(wordsOf(bytes), first, ids)
      if (search.remaining === 0) return
    }
  }

  /** Returns the filter for a kind of id. It contains the hashes of all ids of this kind in the dictionary. */
  #filterOf(kind: IdKind): BloomFilter {
    const deleted = this.#deletions.get() as number
    if (deleted !== this.#knownDeletions) this.#filters.clear()
    this.#knownDeletions = deleted
    const next = this.#nextOf(kind)
    let known = this.#filters.get(kind)
    if (!known || known.filter.capacity < next) known = { filter: new BloomFilter(next * 2), next: 1 }
    if (known.next < next) {
      const chunks = this.#from.all({ kind: idKinds.indexOf(kind), id: known.next }) as Chunk[]
      for (const { first, hashes } of chunks)
        known.filter.add(wordsOf(hashes).subarray(Math.max(0, known.next - first) * wordsPerHash))
      known.next = next
      this.#filters.set(kind, known)
    }
    return known.filter
  }

  /** True if a dictionary id stands for a text. Takes about 10 µs. */
  isIdOf(kind: IdKind, id: number, text: string): boolean {
    const hash = this.#hash.get({ kind: idKinds.indexOf(kind), id }) as Uint8Array | undefined
    return (
      hash !== undefined && Buffer.compare(hash, new Uint8Array(hashIds([text], this.#seed).buffer)) === 0
    )
  }

  /**
   * Assigns the next dictionary ids to new ids. Returns the chunks to store. The first of them may replace the last
   * stored chunk.
   */
  append(kind: IdKind, texts: readonly string[], hashes: Uint32Array): IdChunk[] {
    const chunks: IdChunk[] = []
    let last = this.#last.get({ kind: idKinds.indexOf(kind) }) as IdChunk | undefined
    let first = last ? last.first + last.hashes.length / hashBytes : 1
    for (let from = 0; from < texts.length; ) {
      const free = last ? idsPerChunk - last.hashes.length / hashBytes : 0
      // A chunk stores either all texts or none. So new ids with texts are not added to a chunk without texts.
      const previous: IdChunk | undefined = free > 0 && !last?.texts === !hasTexts[kind] ? last : undefined
      const to = Math.min(from + (previous ? free : idsPerChunk), texts.length)
      const newTexts = texts.slice(from, to)
      const newHashes = new Uint8Array(hashes.slice(from * wordsPerHash, to * wordsPerHash).buffer)
      chunks.push({
        kind: idKinds.indexOf(kind),
        first: previous?.first ?? first,
        hashes: previous ? Buffer.concat([previous.hashes, newHashes]) : newHashes,
        texts: hasTexts[kind] ? packTexts([...(previous ? textsOf(previous) : []), ...newTexts]) : null,
      })
      first += to - from
      from = to
      last = undefined
    }
    return chunks
  }

  /** True if the dictionary stores the texts of all ids of a kind. */
  hasAllTexts(kind: IdKind): boolean {
    return hasTexts[kind] && this.#withoutTexts.get({ kind: idKinds.indexOf(kind) }) === 0
  }

  /**
   * Iterates over the texts of ids, in the order of their dictionary ids, starting with the chunk that contains the
   * dictionary id `from`. Yields a few thousand texts at a time. The text is empty if the id was erased because no
   * event has it any more. `rebuilds`: number of rebuilds when the caller's snapshot was opened. Throws
   * StaleBlockError if there has been another rebuild since then.
   */
  *texts(kind: IdKind, from: number, rebuilds: number): Generator<{ first: number; texts: PackedTexts }> {
    for (let id = from; ; ) {
      // Checks and reads in one transaction. After a rebuild in between, dictionary ids would stand for other ids.
      const chunk = this.db.transaction(() => {
        if (this.#rebuilds.get() !== rebuilds) throw new StaleBlockError()
        return this.#texts.get({ kind: idKinds.indexOf(kind), id })
      })() as TextChunk | undefined
      if (!chunk) return
      if (chunk.texts) yield { first: chunk.first, texts: new PackedTexts(chunk.texts, chunk.count) }
      id = chunk.first + chunk.count
    }
  }
}

interface Chunk {
  first: number
  hashes: Buffer
}

interface TextChunk {
  first: number
  count: number
  texts: Uint8Array | null
}

/** A search for hashes. `remaining`: the number of hashes that have not been found yet. */
class HashSearch {
  remaining = 0
  /**
   * Hash table of the searched hashes, by their first words (open addressing, at most half full). A slot holds the
   * index of a hash plus 1, or 0 if it is empty.
   */
  readonly #slots: Uint32Array
  /**
   * Prefilter with one bit for each value of the low bits of a hash's first word. It rules out nearly all hashes that
   * are not searched for.
   */
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

  scan(chunk: Uint32Array, first: number, ids: Uint32Array): void {
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
          ids[index] === 0
        ) {
          ids[index] = first + at / wordsPerHash
          this.remaining--
        }
      }
    }
  }
}

function textsOf({ hashes, texts }: IdChunk): string[] {
  return texts ? new PackedTexts(texts, hashes.length / hashBytes).all() : []
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  return arrayOf(bytes, 0, bytes.length / 4, 4)
}

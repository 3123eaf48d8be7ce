import { startOfNode } from "../store/node-ids.ts"
import type { IdKind } from "./batch.ts"
import type { IdDictionary } from "./id-dictionary.ts"
import type { Cache } from "./result-cache.ts"
import type { RowReader } from "./row-reader.ts"
import type { SealedState } from "./sealed-state.ts"
import type { UnsealedRows } from "./unsealed.ts"

/** A test that the text of an id passes or fails. */
export interface TextTest {
  /** Identifies the test. */
  key: string
  /** A substring of every text that passes the test. Undefined if no such substring is known. */
  part: string | undefined
  test: (text: string) => boolean
}

/** Each step reads the texts of rows in a range of this many row ids, which takes about 30 ms. */
export const idsPerStep = 65_536
/**
 * Estimated bytes of memory: `textBytes` per text, in addition to its characters, and `idBytes` per dictionary id in an
 * array.
 */
const textBytes = 60
const idBytes = 8
/** A time range that includes all events, in Unix ms. */
const always = { from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER }

/** The dictionary ids in blocks whose texts pass a test. */
interface FoundIds {
  ids: number[]
  /** All dictionary ids below this one have been tested. */
  end: number
}

/** The texts that have been read from rows. */
interface Texts {
  all: Set<string>
  bytes: number
  /** Row id up to which texts have been read. */
  last: number
}

/** The parts of a snapshot that a search reads. */
interface SearchOptions {
  scope: { websites: readonly number[] }
  sealed: SealedState
  identities: IdDictionary
  unsealed: UnsealedRows
  /** Number of unsealed rows that have not been read. */
  unreadRows: number
  rows: RowReader
  cache: Cache
}

/** Finds ids in a snapshot whose texts pass a test. */
export class IdSearch {
  /** The dictionary ids that were found, by kind and key of the test. */
  readonly #found = new Map<string, readonly number[]>()

  constructor(private readonly options: SearchOptions) {}

  /**
   * Finds the ids of a kind whose texts pass a test. `foundIds` then returns them. Testing the ids in blocks takes
   * about 0.1 µs per id, and the result is cached. Texts that are only in rows take 0.5 µs per row. The result can
   * include ids that occur only in events that were deleted or that belong to other websites. Yields while it reads.
   * Throws StaleBlockError.
   */
  *find(kind: IdKind, test: TextTest): Generator<void, void> {
    const ids = this.options.identities.hasAllTexts(kind)
      ? [...(yield* this.#inBlocks(kind, test)), ...(yield* this.#inUnsealedRows(kind, test))]
      : yield* this.#inRows(kind, test, startOfNode(this.options.sealed.last))
    this.#found.set(`${kind} ${test.key}`, ids)
  }

  /** Returns the dictionary ids that `find` found. A 0 stands for an id that no event in the snapshot has. */
  foundIds(kind: IdKind, key: string): readonly number[] {
    return this.#found.get(`${kind} ${key}`) ?? []
  }

  *#inBlocks(kind: IdKind, { key, part, test }: TextTest): Generator<void, readonly number[]> {
    const { cache, identities, sealed, unsealed } = this.options
    const state = String(sealed.rebuilds)
    const end = unsealed.sealedSize(kind)
    const cacheKey = `${kind} with ${key}`
    const known = cache.find<FoundIds>(cacheKey, state) ?? { ids: [], end: 1 }
    if (known.end === end) return known.ids
    // The cached ids from `end` on were sealed after this snapshot was opened. In this snapshot, these dictionary ids
    // stand for other ids.
    if (known.end > end) return known.ids.filter((id) => id < end)
    const ids = [...known.ids]
    for (const { first, texts } of identities.texts(kind, known.end, sealed.rebuilds)) {
      for (const [index, text] of texts.containing(part)) {
        const id = first + index
        if (id >= known.end && id < end && test(text)) ids.push(id)
      }
      if (first + texts.count >= end) break
      yield
    }
    cache.put(cacheKey, state, { ids, end }, { bytes: idBytes * ids.length })
    return ids
  }

  *#inUnsealedRows(kind: IdKind, test: TextTest): Generator<void, number[]> {
    const { sealed, unreadRows, unsealed } = this.options
    if (unreadRows > 0) return yield* this.#inRows(kind, test, sealed.id)
    return Array.from(unsealed.newIds(kind)).flatMap(([text, id]) => (test.test(text) ? id : []))
  }

  /**
   * Finds ids in rows with row ids above `after`. If that includes all rows, the texts are cached, so that each row is
   * read only once.
   */
  *#inRows(kind: IdKind, { test }: TextTest, after: number): Generator<void, number[]> {
    const { cache, rows, scope, sealed, unreadRows, unsealed } = this.options
    const { websites } = scope
    const key = `texts of ${kind} of ${websites}`
    const isOfAll = after === startOfNode(sealed.last)
    const cached = isOfAll ? cache.find<Texts>(key, "") : undefined
    const known = cached ?? { all: new Set(), bytes: 0, last: after }
    while (known.last < sealed.last) {
      const to = Math.min(known.last + idsPerStep, sealed.last)
      for (const text of rows.texts(kind, { websites, ...always }, known.last, to)) {
        if (known.all.has(text)) continue
        known.all.add(text)
        known.bytes += textBytes + text.length
      }
      known.last = to
      yield
    }
    if (isOfAll) cache.put(key, "", known, { bytes: known.bytes })
    const texts = [...known.all].filter(test)
    // If some rows are still unread, assigns dictionary ids to the texts now. When those rows are read, they get the
    // dictionary ids that were assigned here.
    return Array.from(
      unreadRows > 0 ? unsealed.assignDictionaryIds(kind, texts) : unsealed.dictionaryIdsOf(kind, texts),
    )
  }
}

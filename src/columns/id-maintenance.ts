import type { Db } from "../store/db/driver.ts"
import { hashBytes, type IdChunk, packTexts, withoutIds } from "../store/identities.ts"
import { type IdKind, idKinds } from "./batch.ts"
import { type BlockRow, blockColumns, blockOf, type RawBlock } from "./block.ts"
import type { BlockReader } from "./block-reader.ts"
import type { IdDictionary } from "./id-dictionary.ts"
import type { RowReader } from "./row-reader.ts"
import { type SealedState, sealedStateSql } from "./sealed-state.ts"

/** Maximum number of chunks written in one transaction, which takes about 10 ms. */
const chunksPerBatch = 16
/**
 * Maximum number of ids whose texts are collected at the same time. The texts take up about 10 MB. A single chunk from
 * an earlier version may have more ids than this.
 */
const idsPerBatch = 65_536
/** Number of events looked up in one step, which takes about 5 ms. */
const lookupsPerStep = 256

const sql = {
  blocks: `select ${blockColumns} from blocks where website_rid >= 0`,
  earlierChunks: "select kind, first from identities where kind >= 10 limit :limit",
  withoutTexts: `
    select kind, first, hashes, texts from identities
    where texts is null and kind in (0, 2) and (kind, first) > (:kind, :first)
    order by kind, first
    limit :limit`,
  hashes: "select hashes from identities where kind = :kind and first = :first",
  texts: "select texts from identities where kind = :kind and first = :first",
  chunks: "select first from identities where kind = :kind order by first",
}

/** Changes to the dictionary of ids. */
export interface IdChanges {
  /** Chunks to insert or replace. */
  identities: IdChunk[]
  /** Chunks to delete. */
  unusedChunks?: { kind: number; first: number }[]
}

/**
 * Precondition for storing changes: since they were computed, no row has been sealed, and no unsealed row has been
 * deleted.
 */
interface UnchangedRows {
  from: number
  to: number
  deleted: number
}

/**
 * Maintains the dictionary of ids (see `IdDictionary`). Adds missing texts, and erases ids that no event has any more.
 */
export class IdMaintenance {
  /** The last chunk for which some texts were not found. */
  #skipped = { kind: -1, first: 0 }

  constructor(
    private readonly db: Db,
    private readonly rows: RowReader,
    private readonly blocks: BlockReader,
    private readonly dictionary: IdDictionary,
  ) {}

  /**
   * Returns changes for the first task that is needed: deleting chunks from before a rebuild, storing missing texts, or
   * (if `collect` is true) erasing ids that no block uses. Returns undefined if there is nothing to do, or if stale
   * blocks must be rebuilt first.
   */
  *next(collect: boolean): Generator<void, (IdChanges & { seal?: UnchangedRows }) | undefined> {
    const limit = chunksPerBatch
    const earlier = this.db.prepare(sql.earlierChunks).all({ limit })
    if (earlier.length > 0)
      return { identities: [], unusedChunks: earlier as { kind: number; first: number }[] }
    const chunks = fittingChunks(
      this.db.prepare(sql.withoutTexts).all({ ...this.#skipped, limit }) as IdChunk[],
    )
    if (chunks.length === 0 && !collect) return undefined
    const { id, deleted } = this.db.prepare(sealedStateSql).get() as SealedState
    const blocks = (this.db.prepare(sql.blocks).all() as RawBlock[]).map(blockOf)
    if (blocks.some(({ stale }) => stale > 0)) return undefined
    const changes = yield* chunks.length > 0 ? this.#withTexts(chunks, blocks) : this.#withoutUnused(blocks)
    // The changes are valid only if no event has been sealed or deleted in the meantime. Otherwise, an erased id may be
    // in use.
    return changes && { ...changes, seal: { from: id, to: id, deleted } }
  }

  /**
   * Returns changes that add the texts to chunks that an earlier version wrote without them, and that erase ids that no
   * block uses. For each id, searches the blocks for an event with the id (10 ns per event), and then reads the event's
   * row (20 µs).
   */
  *#withTexts(
    chunks: readonly IdChunk[],
    blocks: readonly BlockRow[],
  ): Generator<void, IdChanges | undefined> {
    const identities: IdChunk[] = []
    for (const [kindIndex, kindChunks] of Map.groupBy(chunks, ({ kind }) => kind)) {
      const kind = idKinds[kindIndex] as IdKind
      /** State of each id, by dictionary id. 0: not needed; 1: not found yet; 2: an event with the id was found. */
      const states = new Uint8Array(this.dictionary.sizes()[kind])
      for (const { first, hashes } of kindChunks) states.fill(1, first, first + countOf(hashes))
      const texts = [...(yield* this.#textsOfEvents(kind, states, blocks))]
      const { ids: textIds } = this.dictionary.find(kind, texts)
      yield
      const textById = new Map(texts.map((text, index) => [textIds[index] as number, text]))
      for (const chunk of kindChunks) {
        const ids = Array.from({ length: countOf(chunk.hashes) }, (_, index) => chunk.first + index)
        // If a text is missing, the event was deleted before its row was read.
        const isComplete = ids.every((id) => states[id] === 1 || textById.has(id))
        yield
        if (!isComplete) this.#skipped = { kind: chunk.kind, first: chunk.first }
        else
          identities.push(
            withoutIds(
              { ...chunk, texts: packTexts(ids.map((id) => textById.get(id) ?? "")) },
              ids.flatMap((id, index) => (textById.has(id) ? [] : index)),
            ),
          )
      }
    }
    return identities.length > 0 ? { identities } : undefined
  }

  /**
   * Returns the texts of the ids in state 1, and of other ids in events with the same times and names. Sets the state
   * of the ids that it finds to 2.
   */
  *#textsOfEvents(
    kind: IdKind,
    states: Uint8Array,
    blocks: readonly BlockRow[],
  ): Generator<void, Set<string>> {
    const column = idKinds.indexOf(kind)
    const texts = new Set<string>()
    let lookups = 0
    for (const slice of blocks.flatMap(({ slices }) => slices)) {
      const batch = this.blocks.open(slice)
      const [ids, times] = [batch[kind](), batch.times()]
      for (let index = 0; index < ids.length; index++) {
        const id = ids[index] as number
        if (states[id] !== 1) continue
        states[id] = 2
        const ts = batch.base + (times[index] as number)
        for (const row of this.rows.idsAt(batch.website, ts, batch.name)) texts.add(row[column] ?? "")
        if (++lookups % lookupsPerStep === 0) yield
      }
      yield
    }
    texts.delete("")
    return texts
  }

  /**
   * Returns changes that erase the ids that no block uses, and that delete chunks in which no id is used. Reads the ids
   * of all events, which takes 10 ns per event.
   */
  *#withoutUnused(blocks: readonly BlockRow[]): Generator<void, IdChanges | undefined> {
    const identities: IdChunk[] = []
    const unusedChunks: { kind: number; first: number }[] = []
    const sizes = this.dictionary.sizes()
    const [readHashes, readTexts] = [this.db.prepare(sql.hashes).pluck(), this.db.prepare(sql.texts).pluck()]
    for (const [kind, kindName] of idKinds.entries()) {
      const used = new Uint8Array(sizes[kindName])
      for (const block of blocks) {
        for (const id of this.blocks.segments.ids(block, kindName)) used[id] = 1
        yield
      }
      const chunks = this.db.prepare(sql.chunks).pluck().all({ kind }) as number[]
      for (const [index, first] of chunks.entries()) {
        const hashes = readHashes.get({ kind, first }) as Uint8Array | undefined
        // A missing chunk means that a rebuild has started.
        if (!hashes) return undefined
        const unused = unusedIds(hashes, first, used)
        const isLast = index === chunks.length - 1
        // The last chunk is never deleted, because it determines the next dictionary id.
        if (!isLast && !used.subarray(first, first + countOf(hashes)).includes(1))
          unusedChunks.push({ kind, first })
        else if (unused.length > 0 && identities.length < chunksPerBatch) {
          const texts = readTexts.get({ kind, first }) as Uint8Array | null
          identities.push(withoutIds({ kind, first, hashes, texts }, unused))
        }
        yield
      }
    }
    return identities.length + unusedChunks.length > 0 ? { identities, unusedChunks } : undefined
  }
}

/** Returns the first chunks that together have at most `idsPerBatch` ids, but at least one chunk. */
function fittingChunks(chunks: readonly IdChunk[]): IdChunk[] {
  let ids = 0
  return chunks.filter(({ hashes }, index) => {
    ids += countOf(hashes)
    return index === 0 || ids <= idsPerBatch
  })
}

function countOf(hashes: Uint8Array): number {
  return hashes.length / hashBytes
}

/** Returns the indexes of ids that are unused but not erased yet. */
function unusedIds(hashes: Uint8Array, first: number, used: Uint8Array): number[] {
  const unused: number[] = []
  for (let index = 0; index < countOf(hashes); index++) {
    if (used[first + index] !== 0) continue
    const hash = hashes.subarray(index * hashBytes, (index + 1) * hashBytes)
    if (hash.some((byte) => byte !== 0)) unused.push(index)
  }
  return unused
}

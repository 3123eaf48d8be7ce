import { runToEnd } from "../steps.ts"
import type { Db } from "../store/db/driver.ts"
import { storeIdChunk, wordsPerHash } from "../store/identities.ts"
import { StaleBlockError, sliceKey } from "./batch.ts"
import { type BlockRow, blockColumns, blockOf, type RawBlock } from "./block.ts"
import { BlockReader } from "./block-reader.ts"
import { fittingBlocks } from "./block-rows.ts"
import { BlockWriter, type EncodedBlock, encode, slicesPerBlock } from "./block-writer.ts"
import { buildMemory, ColumnBuilder } from "./column-builder.ts"
import { IdDictionary } from "./id-dictionary.ts"
import { type IdChanges, IdMaintenance } from "./id-maintenance.ts"
import type { Columns } from "./memory-batch.ts"
import { merge } from "./merge.ts"
import { RowReader } from "./row-reader.ts"
import { type SealedState, sealedStateSql } from "./sealed-state.ts"

/** Rows sealed in one pass: about 0.3 s of background CPU time, then a transaction of about 8 ms. */
export const rowsPerPass = 65_536
/** Blocks rebuilt or deleted in one transaction: about 10 ms. */
const maxReplacedBlocks = 64
/** Events of a merged block: each of its columns of codes takes at most 2 MB. */
const maxEvents = 524_288
/**
 * A block is merged with later ones that hold at least a quarter of its events in total, so that each event
 * is rewritten only a few times.
 */
const mergeFactor = 4
/**
 * Number of neighboring blocks from which blocks of the current day are merged. Blocks of a past day are
 * merged from two.
 */
const partsOfOpenDay = 4

/** Blocks built from rows or from other blocks, and the preconditions for storing them. */
export interface SealedBatch extends IdChanges {
  blocks: { block: EncodedBlock; afterId: number; lastId: number }[]
  /** Seals rows up to `to`. Precondition: none of them has been sealed or deleted since they were read. */
  seal?: { from: number; to: number; deleted: number }
  /**
   * Blocks to delete. Precondition: their `stale` is unchanged. If `isRetained`, the block is only retired,
   * and deleted later.
   */
  removes: { id: number; stale: number; isRetained: boolean }[]
}

const sql = {
  lastOfPass: `
    select max(id) from (select id from event_rows where id > :after order by id limit :limit)`,
  /**
   * Changing dictionary ids (from = to) counts as a deletion: readers that hold unsealed rows must then
   * assign ids again.
   */
  seal: `
    update sealed set id = :to, deleted = deleted + (:from = :to) where id = :from and deleted = :deleted`,
  dropChunk: "delete from identities where kind = :kind and first = :first",
  /** The empty row that prevents SQLite from reusing an id. A row with a higher id does that now. */
  dropPlaceholder: "delete from event_rows where website_rid = -1 and id < :to",
  /**
   * Runs in one transaction, because it touches no column data. The blocks are deleted later, in small steps.
   */
  reset: `
    update blocks set website_rid = -1 - website_rid where website_rid >= 0;
    update identities set kind = kind + (select max(kind) / 10 * 10 + 10 from identities) where kind < 10;
    update sealed set id = 0, deleted = deleted + 1, rebuilds = rebuilds + 1;`,
  dropBlock: "delete from blocks where id = :id and stale = :stale",
  retire: "update blocks set website_rid = -1 - website_rid where id = :id and stale = :stale",
  stale: `
    select ${blockColumns},
      not exists (select 1 from websites where rid = website_rid and deleted_at is null) and website_rid <> 0 as isDeleted
    from blocks
    where stale > 0 or website_rid < 0`,
  /** Changes whenever there can be something to merge. */
  mergeState: `
    select (select coalesce(max(id), 0) from blocks) || ' ' || (select count(*) from blocks where stale > 0)`,
  parts: `
    select id, website_rid as website, day, events, stale, slices is null as isOfName,
      coalesce(bytes, events * 100) as bytes
    from blocks
    where website_rid >= 0
    order by website_rid, day, after_id`,
  block: `select ${blockColumns} from blocks where id = :id and website_rid >= 0 and stale = 0`,
}

/** Builds blocks. Reads with one connection. Any connection can store the result, with `applySealedBatch`. */
export class Sealer {
  readonly #rows: RowReader
  readonly #blocks: BlockReader
  readonly #ids: IdMaintenance

  /** Total bytes of memory, estimated, in which columns were built. */
  builtBytes = 0
  /** The merge state and day when there was nothing left to merge. */
  #mergedState = ""
  /** When each retired block was first seen, by id; ms of `elapsed`. */
  readonly #retired = new Map<number, number>()

  /** `elapsed`: a monotonic clock, ms. `gracePeriod`: ms for which a replaced block stays readable. */
  constructor(
    private readonly db: Db,
    private readonly elapsed: () => number = () => 0,
    private readonly gracePeriod = 0,
    private readonly identities = new IdDictionary(db),
  ) {
    this.#rows = new RowReader(db)
    this.#blocks = new BlockReader(db, this.#rows, (kind, texts) => this.identities.find(kind, texts).numbers)
    this.#ids = new IdMaintenance(db, this.#rows, this.#blocks, identities)
  }

  /** Returns the number of rows that are in no block yet, by their ids. */
  unsealed(): number {
    const { id, last } = this.#readState()
    return last - id
  }

  /**
   * Builds blocks from the next rows, up to `limit` of them or until memory is full. Returns undefined if
   * there are none. Yields while it reads.
   */
  *pass(limit = rowsPerPass): Generator<void, SealedBatch | undefined> {
    const { id: from, deleted } = this.#readState()
    const last = this.db.prepare(sql.lastOfPass).pluck().get({ after: from, limit }) as number | null
    if (last === null) return undefined
    const builder = new ColumnBuilder(this.#rows)
    let to = from
    while (to < last && !builder.isFull) {
      to = builder.addSome(to, last)
      yield
    }
    const identities: SealedBatch["identities"] = []
    const next = this.identities.numbers()
    const columns = builder.finish((kind, texts) => {
      const { numbers, hashes } = this.identities.find(kind, texts)
      const newTexts: string[] = []
      const newHashes: number[] = []
      for (let index = 0; index < texts.length; index++) {
        if (numbers[index] !== 0) continue
        numbers[index] = next[kind] + newTexts.length
        newTexts.push(texts[index] as string)
        for (let word = 0; word < wordsPerHash; word++)
          newHashes.push(hashes[index * wordsPerHash + word] as number)
      }
      identities.push(...this.identities.append(kind, newTexts, Uint32Array.from(newHashes)))
      return numbers
    })
    const blocks: SealedBatch["blocks"] = []
    for (const ofDay of Map.groupBy(columns, ({ website, day }) => `${website} ${day}`).values()) {
      blocks.push({ block: encode(ofDay), afterId: from, lastId: to })
      yield
    }
    this.builtBytes += builder.bytes
    return { blocks, identities, seal: { from, to, deleted }, removes: [] }
  }

  /**
   * Rebuilds blocks of one website and day that have deleted events, or deletes blocks that no reader can use
   * any more. Returns undefined if there are none.
   */
  *rebuild(limit = maxReplacedBlocks): Generator<void, SealedBatch | undefined> {
    const stale = (this.db.prepare(sql.stale).all() as (RawBlock & { isDeleted: 0 | 1 })[]).filter(
      ({ id, website, stale }) => website >= 0 || stale > 0 || this.#isExpired(id),
    )
    if (stale.length === 0) return undefined
    const batch: SealedBatch = { blocks: [], identities: [], removes: [] }
    const first = stale[0] as RawBlock
    const ofDay = stale.filter(({ website, day }) => website === first.website && day === first.day)
    const blocks = fittingBlocks(ofDay.slice(0, limit))
    const rebuilt = yield* this.#blocks.rows.buildInSteps(
      blocks.filter(({ isDeleted }) => !isDeleted).map(blockOf),
    )
    for (const row of blocks) {
      const batches = rebuilt.get(row.id) ?? []
      if (batches.length > 0) {
        const block = encode(batches.map(({ columns }) => columns))
        batch.blocks.push({ block, afterId: row.afterId, lastId: row.lastId })
        this.builtBytes += block.bytes
        yield
      }
      batch.removes.push({ id: row.id, stale: row.stale, isRetained: false })
      this.#retired.delete(row.id)
    }
    return batch
  }

  #isExpired(id: number): boolean {
    const now = this.elapsed()
    const since = this.#retired.get(id) ?? now
    this.#retired.set(id, since)
    return now - since >= this.gracePeriod
  }

  /**
   * Merges blocks of a website and day. Returns undefined if there are none to merge. `today`: days since
   * 1970-01-01.
   */
  *merge(today: number): Generator<void, SealedBatch | undefined> {
    const state = `${this.db.prepare(sql.mergeState).pluck().get()} ${today}`
    if (state === this.#mergedState) return undefined
    const all = this.db.prepare(sql.parts).all() as Part[]
    for (const ofDay of Map.groupBy(all, ({ website, day }) => `${website} ${day}`).values()) {
      const parts = partsToMerge(ofDay, ofDay[0] && ofDay[0].day < today ? 2 : partsOfOpenDay)
      if (parts.length < 2) continue
      yield
      try {
        const batch = yield* this.#mergeBlocks(parts)
        if (batch) return batch
      } catch (error) {
        if (!(error instanceof StaleBlockError)) throw error
      }
    }
    this.#mergedState = state
    return undefined
  }

  *#mergeBlocks(parts: readonly Part[]): Generator<void, SealedBatch | undefined> {
    const read = this.db.prepare(sql.block)
    const blocks = parts.map(({ id }) => {
      const row = read.get({ id }) as RawBlock | undefined
      if (!row) throw new StaleBlockError()
      return blockOf(row)
    })
    const slices = blocks.flatMap((block) => [...block.slices])
    const byName = Map.groupBy(slices, sliceKey)
    if (byName.size > slicesPerBlock) return undefined
    const merged: Columns[] = []
    for (const ofName of byName.values()) {
      merged.push(merge(ofName.map((slice) => this.#blocks.open(slice))))
      yield
    }
    const afterId = Math.min(...blocks.map((block) => block.afterId))
    const lastId = Math.max(...blocks.map((block) => block.lastId))
    const block = encode(merged)
    this.builtBytes += block.bytes
    return {
      blocks: [{ block, afterId, lastId }],
      identities: [],
      removes: blocks.map(({ id, stale }) => ({ id, stale, isRetained: true })),
    }
  }

  /** See `IdMaintenance.next`. */
  *maintainIds(collect: boolean): Generator<void, SealedBatch | undefined> {
    const changes = yield* this.#ids.next(collect)
    return changes && { blocks: [], removes: [], ...changes }
  }

  #readState(): SealedState {
    return this.db.prepare(sealedStateSql).get() as SealedState
  }
}

/** The properties that decide whether a block is merged. */
export interface Part extends Pick<BlockRow, "id" | "website" | "day" | "events" | "stale" | "bytes"> {
  /**
   * 1: the block holds a single name. Such blocks of a day can overlap in row ids, so they are merged all
   * together or not at all.
   */
  isOfName: 0 | 1
}

/**
 * Chooses neighboring blocks to merge, from the blocks of one website and day in order of receipt: the newest
 * run of at least `minimum` blocks in which each has at most four times as many events as all later ones in
 * total. Empty if there is none.
 */
export function partsToMerge(parts: readonly Part[], minimum: number): readonly Part[] {
  const ofName = parts.filter(({ isOfName }) => isOfName === 1)
  if (ofName.length > 1 && fitsOneBlock(ofName) && ofName.every(({ stale }) => stale === 0)) return ofName
  const rest = parts.slice(ofName.length > 1 ? ofName.length : 0)
  for (let end = rest.length; end >= 2; end--) {
    let start = end
    let events = 0
    for (let part = rest[start - 1]; part && part.stale === 0; part = rest[start - 1]) {
      const isLarger = start < end && part.events > mergeFactor * events
      if (isLarger || !fitsOneBlock(rest.slice(start - 1, end))) break
      events += part.events
      start--
    }
    if (end - start >= minimum) return rest.slice(start, end)
  }
  return []
}

function fitsOneBlock(parts: readonly Part[]): boolean {
  const [events, bytes] = parts.reduce(
    ([events, bytes], part) => [events + part.events, bytes + part.bytes],
    [0, 0],
  )
  return events <= maxEvents && bytes <= buildMemory
}

/**
 * Stores a batch. Call it in a transaction. Returns false, and changes nothing, if the preconditions of the
 * batch no longer hold.
 */
export function applySealedBatch(
  db: Db,
  { blocks, identities, seal, removes, unusedChunks = [] }: SealedBatch,
): boolean {
  const drop = db.prepare(sql.dropBlock)
  const retire = db.prepare(sql.retire)
  const apply = db.transaction(() => {
    if (seal && db.prepare(sql.seal).run(seal).changes === 0) throw new StaleBlockError()
    for (const { isRetained, ...block } of removes) {
      if ((isRetained ? retire : drop).run(block).changes === 0) throw new StaleBlockError()
    }
    for (const { kind, first } of unusedChunks) db.prepare(sql.dropChunk).run({ kind, first })
    for (const chunk of identities) storeIdChunk(db, chunk)
    const writer = new BlockWriter(db)
    for (const { block, afterId, lastId } of blocks) writer.insert(block, afterId, lastId)
    if (seal) db.prepare(sql.dropPlaceholder).run({ to: seal.to })
  })
  try {
    apply()
    return true
  } catch (error) {
    if (error instanceof StaleBlockError) return false
    throw error
  }
}

/** Discards all blocks. Everything is read from rows until it is sealed again. */
export function reset(db: Db): void {
  db.transaction(() => db.exec(sql.reset))()
}

/**
 * Builds the next batch: seals rows if at least `minimum` are unsealed, else rebuilds stale blocks, else
 * merges blocks, else maintains the dictionary of ids. Blocks of days before `today` (days since 1970-01-01) are
 * merged from two on, others from four. `collect`: see `IdMaintenance`.
 */
export function* nextWork(
  sealer: Sealer,
  minimum = 1,
  today = Number.NEGATIVE_INFINITY,
  collect = false,
): Generator<void, SealedBatch | undefined> {
  const pass = sealer.unsealed() >= minimum ? yield* sealer.pass() : undefined
  const batch = pass ?? (yield* sealer.rebuild()) ?? (yield* sealer.merge(today))
  return batch ?? (yield* sealer.maintainIds(collect))
}

/**
 * Seals rows while at least `minimum` are unsealed, and rebuilds and merges blocks. Does not yield: only for
 * callers that have nothing else to do.
 */
export function sealAll(
  db: Db,
  today: number,
  onProgress: (unsealed: number) => void = () => {},
  minimum = 1,
): void {
  const sealer = new Sealer(db)
  for (;;) {
    const batch = runToEnd(nextWork(sealer, minimum, today))
    if (!batch) return
    db.transaction(() => applySealedBatch(db, batch)).immediate()
    onProgress(sealer.unsealed())
  }
}

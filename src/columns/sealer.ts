import { runToEnd } from "../steps.ts"
import type { Db } from "../store/db/driver.ts"
import { wordsPerHash } from "../store/identities.ts"
import { lastEventId, startOfNode } from "../store/node-ids.ts"
import { StaleBlockError, sliceKey } from "./batch.ts"
import { blockColumns, blockOf, type RawBlock } from "./block.ts"
import { slicesPerBlock } from "./block-format.ts"
import { BlockReader } from "./block-reader.ts"
import { fittingBlocks } from "./block-rows.ts"
import { encode } from "./block-writer.ts"
import { ValueDictionaries } from "./column.ts"
import { ColumnBuilder } from "./column-builder.ts"
import { IdDictionary } from "./id-dictionary.ts"
import { IdMaintenance } from "./id-maintenance.ts"
import type { Columns } from "./memory-batch.ts"
import { merge } from "./merge.ts"
import { minPartsCurrentDay, minPartsPastDay, type Part, partsToMerge } from "./merge-plan.ts"
import { RowReader } from "./row-reader.ts"
import { applySealedBatch, type SealedBatch } from "./sealed-batch.ts"
import { type SealedState, sealedStateSql } from "./sealed-state.ts"

/**
 * Maximum number of rows sealed in one pass. A pass takes about 0.3 s of CPU time in the background. The transaction
 * that then stores the blocks takes about 8 ms.
 */
export const rowsPerPass = 65_536
/** Maximum number of blocks rebuilt or deleted in one transaction, which takes about 10 ms. */
const maxReplacedBlocks = 64
/** Number of days whose blocks are listed in one step of merging, which takes about 1 ms. */
const daysPerStep = 64
/** ms between reads of the list of retired blocks. */
const retiredInterval = 1_000

/** `day`: days since 1970-01-01. */
interface WebsiteDay {
  website: number
  day: number
}

const beforeAllDays: WebsiteDay = { website: -1, day: 0 }

const sql = {
  lastOfPass: `
    select max(id) from (select id from event_rows where id > :after order by id limit :limit)`,
  /**
   * Fast enough for one transaction, because it does not touch column data. The blocks are deleted later, in small
   * steps.
   */
  reset: `
    update blocks set website_rid = -1 - website_rid where website_rid >= 0;
    update identities set kind = kind + (select max(kind) / 10 * 10 + 10 from identities) where kind < 10;
    update sealed set deleted = deleted + 1, rebuilds = rebuilds + 1;`,
  unseal: "update sealed set id = :start",
  /**
   * Retired blocks with deleted events. They are deleted rather than rebuilt, because other blocks have replaced them.
   */
  staleRetired: "select id, stale from blocks where website_rid < 0 and stale > 0 limit :limit",
  staleDay: "select website_rid as website, day from blocks where stale > 0 and website_rid >= 0 limit 1",
  staleOfDay: `
    select ${blockColumns},
      not exists (select 1 from websites where rid = website_rid and deleted_at is null) and website_rid <> 0 as isDeleted
    from blocks
    where website_rid = :website and day = :day and stale > 0
    limit :limit`,
  retired: "select id from blocks where website_rid < 0",
  staleOf: "select stale from blocks where id = :id",
  /** Returns a value that changes whenever there might be something to merge. */
  mergeState: `
    select (select coalesce(max(id), 0) from blocks) || ' ' || (select count(*) from blocks where stale > 0)`,
  /** Days with several blocks that come after the given website and day, sorted by website and day. */
  days: `
    select website_rid as website, day from blocks
    where website_rid >= 0 and (website_rid, day) > (:website, :day)
    group by website_rid, day
    having count(*) > 1
    order by website_rid, day
    limit :limit`,
  parts: `
    select id, website_rid as website, day, events, stale, slices is null as hasSingleName,
      coalesce(bytes, events * 100) as bytes
    from blocks
    where website_rid = :website and day = :day
    order by after_id`,
  block: `select ${blockColumns} from blocks where id = :id and website_rid >= 0 and stale = 0`,
}

/**
 * Builds blocks: seals rows, rebuilds stale blocks, and merges small blocks. Only reads from its connection. Any
 * connection can store the result with `applySealedBatch`.
 */
export class Sealer {
  readonly #rows: RowReader
  readonly #blocks: BlockReader
  readonly #ids: IdMaintenance

  /** Estimated bytes of memory used for building columns, in total since the start. */
  builtBytes = 0
  /**
   * The state of the blocks, the day and the minimum at the time when nothing was left to merge. Until one of them
   * changes, there is nothing to merge.
   */
  #mergedState = ""
  /** When each retired block was first seen, in ms on the `elapsed` clock, by block id. */
  #retired: Map<number, number> = new Map()
  /** When the list of retired blocks was last read, in ms on the `elapsed` clock. */
  #retiredReadAt = Number.NEGATIVE_INFINITY
  /** The website and day up to which blocks were merged in this round. */
  #mergedDay = beforeAllDays

  /** `elapsed`: monotonic clock, in ms. `gracePeriod`: how long a replaced block stays readable, in ms. */
  constructor(
    private readonly db: Db,
    private readonly elapsed: () => number = () => 0,
    private readonly gracePeriod = 0,
    private readonly identities = new IdDictionary(db),
  ) {
    this.#rows = new RowReader(db)
    this.#blocks = new BlockReader(db, this.#rows, (kind, texts) => this.identities.find(kind, texts).ids)
    this.#ids = new IdMaintenance(db, this.#rows, this.#blocks, identities)
  }

  /** Returns the approximate number of unsealed rows, computed from row ids. */
  unsealed(): number {
    const { id, last } = this.#readState()
    return last - id
  }

  /**
   * Builds blocks from the next `limit` unsealed rows, or from fewer if they would exceed the memory for building.
   * Returns undefined if there are no unsealed rows. Yields while it reads.
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
    const next = this.identities.sizes()
    const columns = builder.finish((kind, texts) => {
      const { ids, hashes } = this.identities.find(kind, texts)
      const newTexts: string[] = []
      const newHashes = new Uint32Array(hashes.length)
      for (let index = 0; index < texts.length; index++) {
        if (ids[index] !== 0) continue
        const count = newTexts.push(texts[index] as string) - 1
        ids[index] = next[kind] + count
        for (let word = 0; word < wordsPerHash; word++)
          newHashes[count * wordsPerHash + word] = hashes[index * wordsPerHash + word] as number
      }
      const used = newHashes.slice(0, newTexts.length * wordsPerHash)
      identities.push(...this.identities.append(kind, newTexts, used))
      return ids
    })
    const blocks: SealedBatch["blocks"] = []
    for (const dayColumns of Map.groupBy(columns, ({ website, day }) => `${website} ${day}`).values()) {
      blocks.push({ block: yield* encode(dayColumns), afterId: from, lastId: to })
      yield
    }
    this.builtBytes += builder.bytes
    return { blocks, identities, seal: { from, to, deleted }, removes: [] }
  }

  /**
   * Returns a batch that deletes the retired blocks that no reader can use any more. If there are none, returns a batch
   * that replaces stale blocks of one website and day with rebuilt ones. Returns undefined if there are no stale blocks
   * either.
   */
  *rebuild(limit = maxReplacedBlocks): Generator<void, SealedBatch | undefined> {
    const batch: SealedBatch = { blocks: [], identities: [], removes: [] }
    const expired = this.#expired(limit)
    if (expired.length > 0) return { ...batch, removes: expired }
    const first = this.db.prepare(sql.staleDay).get() as WebsiteDay | undefined
    if (!first) return undefined
    const stale = this.db.prepare(sql.staleOfDay).all({ ...first, limit }) as (RawBlock & {
      isDeleted: 0 | 1
    })[]
    const blocks = fittingBlocks(stale)
    const rebuilt = yield* this.#blocks.rows.buildInSteps(
      blocks.filter(({ isDeleted }) => !isDeleted).map(blockOf),
    )
    for (const row of blocks) {
      const batches = rebuilt.get(row.id) ?? []
      if (batches.length > 0) {
        const block = yield* encode(batches.map(({ columns }) => columns))
        batch.blocks.push({ block, afterId: row.afterId, lastId: row.lastId })
        this.builtBytes += block.bytes
        yield
      }
      batch.removes.push({ id: row.id, stale: row.stale, isRetained: false })
    }
    return batch
  }

  /** Returns up to `limit` retired blocks that no reader can use any more. */
  #expired(limit: number): SealedBatch["removes"] {
    const stale = this.db.prepare(sql.staleRetired).all({ limit }) as { id: number; stale: number }[]
    if (stale.length > 0) return stale.map((block) => ({ ...block, isRetained: false }))
    const now = this.elapsed()
    if (now >= this.#retiredReadAt + Math.min(retiredInterval, this.gracePeriod)) {
      this.#retiredReadAt = now
      const ids = this.db.prepare(sql.retired).pluck().all() as number[]
      const since = new Map(ids.map((id) => [id, this.#retired.get(id) ?? now]))
      this.#retired = since
    }
    const expired: SealedBatch["removes"] = []
    // The map is in the order in which blocks were first seen.
    for (const [id, since] of this.#retired) {
      if (expired.length === limit || now - since < this.gracePeriod) break
      this.#retired.delete(id)
      const stale = this.db.prepare(sql.staleOf).pluck().get({ id }) as number | undefined
      if (stale !== undefined) expired.push({ id, stale, isRetained: false })
    }
    return expired
  }

  /**
   * Merges blocks of one website and day. Returns undefined if there is nothing to merge. `today`: days since
   * 1970-01-01. `minParts`: minimum number of blocks to merge on a day before `today`.
   */
  *merge(today: number, minParts = minPartsPastDay): Generator<void, SealedBatch | undefined> {
    const state = `${this.db.prepare(sql.mergeState).pluck().get()} ${today} ${minParts}`
    if (state === this.#mergedState) return undefined
    const daysAfter = this.db.prepare(sql.days)
    const partsOf = this.db.prepare(sql.parts)
    for (let rounds = 0; rounds < 2; ) {
      const days = daysAfter.all({ ...this.#mergedDay, limit: daysPerStep }) as WebsiteDay[]
      for (const websiteDay of days) {
        const minimum = websiteDay.day < today ? minParts : minPartsCurrentDay
        const parts = partsToMerge(partsOf.all(websiteDay) as Part[], minimum)
        const batch = parts.length < 2 ? undefined : yield* this.#mergeUnlessStale(parts)
        // `#mergedDay` is not advanced, so the next call continues with the same day.
        if (batch) return batch
        this.#mergedDay = websiteDay
      }
      yield
      if (days.length === daysPerStep) continue
      // The next round starts with the first day, because this round might have started in the middle.
      this.#mergedDay = beforeAllDays
      rounds++
    }
    this.#mergedState = state
    return undefined
  }

  *#mergeUnlessStale(parts: readonly Part[]): Generator<void, SealedBatch | undefined> {
    yield
    try {
      return yield* this.#mergeBlocks(parts)
    } catch (error) {
      if (!(error instanceof StaleBlockError)) throw error
      return undefined
    }
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
    const dictionaries = new ValueDictionaries()
    for (const sameSlice of byName.values()) {
      merged.push(
        merge(
          sameSlice.map((slice) => this.#blocks.open(slice)),
          dictionaries,
        ),
      )
      yield
    }
    const afterId = Math.min(...blocks.map((block) => block.afterId))
    const lastId = Math.max(...blocks.map((block) => block.lastId))
    const block = yield* encode(merged)
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

/** Discards all blocks so that they are rebuilt. Until the rows are sealed again, queries read the rows. */
export function reset(db: Db): void {
  db.transaction(() => {
    db.exec(sql.reset)
    db.prepare(sql.unseal).run({ start: startOfNode(lastEventId(db)) })
  })()
}

/** Options of `nextWork`. */
export interface SealingOptions {
  /** Seal rows if at least this many are unsealed. */
  minimum?: number
  /**
   * The current day, in days since 1970-01-01. The minimum number of blocks to merge is `minParts` for earlier days,
   * and `minPartsCurrentDay` for this day and later days.
   */
  today?: number
  minParts?: number
  /** Look for unused dictionary ids if there is nothing else to do. See `IdMaintenance`. */
  collect?: boolean
}

/**
 * Builds the next batch, or returns undefined if there is nothing to do. Performs the first of these tasks that is
 * needed: sealing rows, rebuilding stale blocks, merging blocks, and maintaining the dictionary of ids.
 */
export function* nextWork(
  sealer: Sealer,
  { minimum = 1, today = Number.NEGATIVE_INFINITY, minParts, collect = false }: SealingOptions = {},
): Generator<void, SealedBatch | undefined> {
  const pass = sealer.unsealed() >= minimum ? yield* sealer.pass() : undefined
  const batch = pass ?? (yield* sealer.rebuild()) ?? (yield* sealer.merge(today, minParts))
  return batch ?? (yield* sealer.maintainIds(collect))
}

/**
 * Seals rows as long as at least `minimum` are unsealed. Does not yield, so only callers that have nothing else to do
 * can use it.
 */
export function sealRows(
  db: Db,
  sealer: Sealer,
  minimum: number,
  onProgress = (_unsealed: number) => {},
): void {
  while (sealer.unsealed() >= minimum) {
    const batch = runToEnd(sealer.pass())
    if (!batch) return
    db.transaction(() => applySealedBatch(db, batch)).immediate()
    onProgress(sealer.unsealed())
  }
}

/** Seals all rows, and rebuilds and merges blocks. Like `sealRows`, does not yield. */
export function sealAll(
  db: Db,
  today: number,
  onProgress: (unsealed: number) => void = () => {},
  sealer = new Sealer(db),
): void {
  sealRows(db, sealer, 1, onProgress)
  for (;;) {
    const batch = runToEnd(nextWork(sealer, { today }))
    if (!batch) return
    db.transaction(() => applySealedBatch(db, batch)).immediate()
  }
}

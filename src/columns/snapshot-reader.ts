import type { Db, Statement } from "../store/db/driver.ts"
import { type RemovalTest, type RemovedTotals, removalTest, removedTotals } from "../store/removed-days.ts"
import { dayMs, type SliceId, sliceKey } from "./batch.ts"
import type { BlockRow, Slice } from "./block.ts"
import { type BlockDay, BlockIndex } from "./block-index.ts"
import { BlockReader } from "./block-reader.ts"
import { batchesBySlice, fittingBlocks } from "./block-rows.ts"
import { buildMemory } from "./column-builder.ts"
import { IdDictionary } from "./id-dictionary.ts"
import { MemoryBatch } from "./memory-batch.ts"
import { Cache } from "./result-cache.ts"
import { RowReader } from "./row-reader.ts"
import { type SealedState, sealedStateSql } from "./sealed-state.ts"
import { type Day, type Entry, Snapshot, type SnapshotScope } from "./snapshot.ts"
import { Stamps } from "./stamps.ts"
import { type UnsealedLimits, type UnsealedPart, UnsealedRows } from "./unsealed.ts"

/**
 * Up to these limits, all unsealed rows are held in memory, where they take up at most 100 MB. 400,000 ordinary rows
 * take up 60 MB. Above the limits, each query reads the rows day by day, one part of a day at a time. The ids in the
 * rows are always held in memory. A query that would exceed `idBytes` is rejected.
 */
const defaultLimits: UnsealedLimits = {
  rows: 400_000,
  bytes: 100_663_296,
  partBytes: buildMemory / 2,
  idBytes: 134_217_728,
}
/**
 * Maximum fraction of the memory that cached results can use. Running queries use the memory that they need, but leave
 * at least 3/8 of the total (see `queriesShare`). Cached columns only get what is left, because reading columns again
 * takes less time than computing results again.
 */
const cacheShare = 5 / 8

const sql = {
  websites: "select rid, id from websites where deleted_at is null",
  days: `
    select distinct ts / 86400000 from event_rows
    where id > :after and website_rid = :website and ts >= :from and ts < :to`,
}

/** A running query that takes memory from the caches. */
interface Borrower {
  /** Memory that the query has taken, in bytes. */
  readonly taken: number
}

/**
 * Opens snapshots, which read events as batches: sealed events from blocks, and unsealed events from rows. Caches the
 * unsealed rows. Each connection has one reader.
 */
export class SnapshotReader {
  readonly rows: RowReader
  readonly identities: IdDictionary
  readonly #sealed: Statement
  readonly #days: Statement
  readonly #websites: Statement
  readonly #hasRemovedEvents: RemovalTest
  readonly #index: BlockIndex
  readonly #cache: Cache
  readonly #stamps = new Stamps()
  readonly #reader: BlockReader
  readonly #borrowers = new Set<Borrower>()
  #unsealed: UnsealedRows | undefined
  /** Bytes of columns built by earlier `UnsealedRows`, in total. */
  #built = 0

  /**
   * `memory`: total bytes for the caches and running queries. `minFilteredEvents`: see `Cache`. `now`: returns the time
   * of a monotonic clock in ms, with which the cache measures the cost of results.
   */
  constructor(
    private readonly db: Db,
    private readonly memory = 0,
    minFilteredEvents?: number,
    private readonly limits = defaultLimits,
    now?: () => number,
  ) {
    this.rows = new RowReader(db)
    this.identities = new IdDictionary(db)
    this.#index = new BlockIndex(db)
    this.#cache = new Cache(memory * cacheShare, minFilteredEvents, now)
    // Ids are only looked up and never assigned, because all ids in sealed events have dictionary ids.
    this.#reader = new BlockReader(
      db,
      this.rows,
      (kind, texts) => this.identities.find(kind, texts).ids,
      () => memory - this.#cache.bytes - this.#borrowed,
    )
    this.#sealed = db.prepare(sealedStateSql)
    this.#days = db.prepare(sql.days).pluck()
    this.#websites = db.prepare(sql.websites).raw()
    this.#hasRemovedEvents = removalTest(db)
  }

  /**
   * Takes the memory that a query uses from the memory for cached columns. Returns an object that gives the memory back
   * when it is disposed of.
   */
  lend(borrower: Borrower): Disposable {
    this.#borrowers.add(borrower)
    return { [Symbol.dispose]: () => this.#borrowers.delete(borrower) }
  }

  get #borrowed(): number {
    let bytes = 0
    for (const { taken } of this.#borrowers) bytes += taken
    return bytes
  }

  /** Evicts entries from both caches until the rest and the running queries fit into memory. */
  trim(): void {
    this.#cache.shrink(this.memory - this.#borrowed)
    this.#reader.cache.trim()
  }

  /**
   * Bytes of columns that were read from blocks or built from unsealed rows, and of properties that were parsed for
   * this purpose, in total.
   */
  get read(): number {
    return this.#reader.segments.read + this.rows.parsedBytes + this.#built + (this.#unsealed?.built ?? 0)
  }

  /** True if the unsealed rows use so much memory that they should be sealed even if there are only a few of them. */
  get hasHeavyRows(): boolean {
    return this.#unsealed?.isHeavy === true && this.#unsealed.isCurrent(this.sealed())
  }

  /** True if the unsealed rows make each query slow, so that queries should wait until the rows are sealed. */
  get hasSlowRows(): boolean {
    return this.#unsealed?.areRebuilt === true && this.#unsealed.isCurrent(this.sealed())
  }

  /** Returns the current sealed state. */
  sealed(): SealedState {
    return this.#sealed.get() as SealedState
  }

  /**
   * Returns how many events of the websites in a scope were removed from the file. Undefined if all events in the scope
   * are in the file.
   */
  removedEvents({ websites, from, to }: SnapshotScope): RemovedTotals | undefined {
    return this.#hasRemovedEvents(websites, from, to) ? removedTotals(this.db, websites) : undefined
  }

  /** Opens a snapshot of the events in a scope. Yields while it reads unsealed rows. */
  *open(scope: SnapshotScope): Generator<void, Snapshot> {
    const from = Math.floor(scope.from / dayMs)
    const to = Math.floor((scope.to - 1) / dayMs)
    // Runs in one transaction. Otherwise, if a block is stored in between, its events would be read twice or not at
    // all.
    const [sealed, daysByWebsite] = this.db.transaction((): [SealedState, (readonly BlockDay[])[]] => [
      this.sealed(),
      scope.websites.map((website) => this.#index.daysOf(website)),
    ])()
    if (!this.#unsealed?.isCurrent(sealed)) {
      this.#built += this.#unsealed?.built ?? 0
      this.#unsealed = new UnsealedRows(this.rows, this.identities, sealed, this.limits)
    }
    const unsealed = this.#unsealed
    if (sealed.last - sealed.id <= this.limits.rows) yield* unsealed.readTo(sealed.last)
    const inMemory = unsealed.hasAllUpTo(sealed.last)
    this.#reader.cache.startQuery()
    this.#cache.startQuery()
    const days = new Map<number, DayParts>()
    const partsOf = (day: number): DayParts => {
      const parts = days.get(day) ?? { slices: [], state: "", rows: [], deferred: [] }
      days.set(day, parts)
      return parts
    }
    const blockReader = this.#reader
    // Fields are listed one by one, because each query creates an entry for each slice, and copying the fields of
    // another object takes twice as long.
    const entryOf = (slice: Slice): Entry => {
      const { block, name, kind, crawler } = slice
      const { website, day, afterId } = block
      return { website, name, kind, day, crawler, afterId, slice, open: () => blockReader.open(slice) }
    }
    for (const websiteDays of daysByWebsite) {
      const inRange = websiteDays.filter(({ day }) => day >= from && day <= to)
      const staleBlocks = inRange.flatMap(({ stale }) => stale)
      const stale = new StaleDays(blockReader, staleBlocks)
      for (const { day, slices, state } of inRange) {
        const parts = partsOf(day)
        parts.slices.push(slices)
        parts.state += `${state} `
      }
      for (const slice of staleBlocks.flatMap(({ slices }) => slices))
        partsOf(slice.block.day).rows.push({
          ...entryFieldsOf(slice),
          slice: undefined,
          open: () => stale.batchOf(slice),
        })
    }
    const inRange = ({ website, columns: { day } }: MemoryBatch) =>
      day >= from && day <= to && scope.websites.includes(website)
    if (inMemory) {
      for (const batch of unsealed.batches)
        if (inRange(batch)) partsOf(batch.columns.day).rows.push(entryOfRows(batch))
    } else {
      // There are too many unsealed rows to hold in memory. The names of a day's events are known only after reading
      // the day, so its entries are not listed until they are requested.
      for (const website of scope.websites) {
        const range = { website, from: scope.from, to: scope.to, after: sealed.id }
        for (const day of this.#days.all(range) as number[])
          partsOf(day).deferred.push(() =>
            unsealed
              .day(website, day, sealed.last)
              .flatMap((part, index) => entriesOfPart(part, index, website, day)),
          )
      }
    }
    const sortedDays = [...days].sort(([left], [right]) => left - right)
    const kinds = new Set(scope.kinds)
    const isInScope = ({ crawler, kind }: SliceId) => (scope.crawlers || !crawler) && kinds.has(kind)
    const ends = daysByWebsite.flatMap((list) => [list[0]?.day ?? [], list.at(-1)?.day ?? []].flat())
    return new Snapshot({
      scope,
      sealed,
      websiteIds: new Map(this.#websites.all() as [number, string][]),
      unsealed,
      blocks: blockReader,
      identities: this.identities,
      rows: this.rows,
      cache: this.#cache,
      stamps: this.#stamps,
      days: sortedDays.map(([day, { slices, state, rows, deferred }]): Day => {
        let sealed: Entry[] | undefined
        return {
          day,
          state,
          exceedsMemory: deferred.length > 0,
          sealed: () => {
            sealed ??= slices.flat().filter(isInScope).map(entryOf)
            return sealed
          },
          inRows: () => [...rows, ...deferred.flatMap((read) => read())].filter(isInScope),
        }
      }),
      span: { oldest: Math.min(...ends), newest: Math.max(...ends) },
      unreadRows: inMemory ? 0 : sealed.last - sealed.id,
    })
  }
}

/** The entries of a day while they are being collected. */
interface DayParts {
  /** One list of slices per website. */
  slices: Slice[][]
  state: string
  /** Entries that are read from rows. */
  rows: Entry[]
  /** Functions that read rows and return further entries. */
  deferred: (() => Entry[])[]
}

function entryFieldsOf({ block, name, kind, crawler }: Slice): Omit<Entry, "slice" | "open"> {
  const { website, day, afterId } = block
  return { website, name, kind, day, crawler, afterId }
}

function entryOfRows(batch: MemoryBatch): Entry {
  const { website, name, kind, crawler } = batch
  const { day, isWide } = batch.columns
  const entry = { website, name, kind, day, crawler, afterId: afterBlocks, slice: undefined }
  // For wide rows, each call opens a new batch, so that the parsed properties are freed together with it.
  return isWide
    ? { ...entry, open: () => new MemoryBatch(batch.columns) }
    : { ...entry, batch, open: () => batch }
}

function entriesOfPart({ batches, open }: UnsealedPart, part: number, website: number, day: number): Entry[] {
  return batches.map((id) => ({
    website,
    ...id,
    day,
    part,
    afterId: afterBlocks,
    slice: undefined,
    open: () => open(id),
  }))
}

/** The `afterId` of unsealed rows. It sorts them after the events of all blocks. */
const afterBlocks = Number.MAX_SAFE_INTEGER

/**
 * Builds the batches of stale blocks from rows. When a block is requested, also builds as many of the following stale
 * blocks of the same day as fit into memory.
 */
class StaleDays {
  /** Batches by block id and slice key. */
  #batches = new Map<number, ReadonlyMap<string, MemoryBatch>>()

  constructor(
    private readonly reader: BlockReader,
    private readonly blocks: readonly BlockRow[],
  ) {}

  /** Returns the batch of a slice, or undefined if all of its events were deleted. */
  batchOf(slice: Slice): MemoryBatch | undefined {
    const { id, website, day } = slice.block
    if (!this.#batches.has(id)) {
      const dayBlocks = this.blocks.filter((block) => block.website === website && block.day === day)
      const blocks = fittingBlocks(dayBlocks.slice(dayBlocks.findIndex((block) => block.id === id)))
      this.#batches.clear()
      const batches = this.reader.rows.buildAll(blocks)
      this.#batches = new Map(blocks.map((block) => [block.id, batchesBySlice(batches.get(block.id) ?? [])]))
    }
    return this.#batches.get(id)?.get(sliceKey(slice))
  }
}

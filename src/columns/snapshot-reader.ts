import type { Db, Statement } from "../store/db/driver.ts"
import { dayMs } from "./batch.ts"
import { BlockIndex, type DayOfBlocks } from "./block-index.ts"
import { BlockReader, type BlockRow, fittingBlocks } from "./block-reader.ts"
import { Cache } from "./cache.ts"
import { buildMemory, type MemoryBatch } from "./column-builder.ts"
import { IdDictionary } from "./id-dictionary.ts"
import { RowReader } from "./row-reader.ts"
import { type Day, type Entry, Snapshot, type SnapshotScope } from "./snapshot.ts"
import { type SealedState, type TailLimits, type TailPart, UnsealedRows } from "./unsealed.ts"

/**
 * Unsealed rows are held all at once up to these limits, in 100 MB, and read day by day beyond, a part of a day after the other: those
 * of 400,000 ordinary rows take 60 MB. Ids alone are held in any case, and a question for which they are too many is refused.
 */
const standardLimits: TailLimits = {
  rows: 400_000,
  bytes: 100_663_296,
  partBytes: buildMemory / 2,
  idBytes: 134_217_728,
}
/** Of the memory, for what was counted for earlier questions; the rest is for answers and, as far as they leave it, for columns. */
const countedShare = 3 / 8

const sql = {
  sealed: "select id, deleted, (select coalesce(max(id), 0) from event_rows) as last from sealed",
  websites: "select rid, id from websites where deleted_at is null",
  days: `
    select distinct ts / 86400000 from event_rows
    where website_rid = :website and ts >= :from and ts < :to and id > :after`,
}

/** An answer that is being made. */
interface Borrower {
  /** Bytes */
  readonly taken: number
}

/** Reads events as batches, from blocks and, where they are in none, from rows. One for each connection; it keeps the unsealed rows. */
export class SnapshotReader {
  readonly rows: RowReader
  readonly identities: IdDictionary
  readonly #sealed: Statement
  readonly #days: Statement
  readonly #websites: Statement
  readonly #directory: BlockIndex
  readonly #kept: Cache
  readonly #reader: BlockReader
  readonly #borrowers = new Set<Borrower>()
  #tail: UnsealedRows | undefined

  /** `memory`: bytes, of what is kept for the next question and of the answers that are being made. `chosenFrom`: see `Kept`. */
  constructor(
    private readonly db: Db,
    private readonly memory = 0,
    chosenFrom?: number,
    private readonly limits = standardLimits,
  ) {
    this.rows = new RowReader(db)
    this.identities = new IdDictionary(db)
    this.#directory = new BlockIndex(db)
    this.#kept = new Cache(memory * countedShare, chosenFrom)
    // Ids of sealed events all have their number already.
    this.#reader = new BlockReader(
      db,
      this.rows,
      (kind, texts) => this.identities.find(kind, texts).numbers,
      () => memory - this.#kept.bytes - this.#borrowed,
    )
    this.#sealed = db.prepare(sql.sealed)
    this.#days = db.prepare(sql.days).pluck()
    this.#websites = db.prepare(sql.websites).raw()
  }

  /** What it takes is taken away from columns that are kept, until it is given back. */
  lend(borrower: Borrower): Disposable {
    this.#borrowers.add(borrower)
    return { [Symbol.dispose]: () => this.#borrowers.delete(borrower) }
  }

  get #borrowed(): number {
    let bytes = 0
    for (const { taken } of this.#borrowers) bytes += taken
    return bytes
  }

  /** Drops of both caches what no longer fits beside the answers that borrow from their memory. */
  trim(): void {
    this.#kept.shrink(this.memory - this.#borrowed)
    this.#reader.trim()
  }

  /** Bytes of columns that were ever read. */
  get read(): number {
    return this.#reader.read
  }

  sealed(): SealedState {
    return this.#sealed.get() as SealedState
  }

  /** What there is at this moment. Yields while it reads unsealed rows. */
  *open(wanted: SnapshotScope): Generator<void, Snapshot> {
    const from = Math.floor(wanted.from / dayMs)
    const to = Math.floor((wanted.to - 1) / dayMs)
    // In one transaction: a block that is sealed meanwhile would be read twice, or its events not at all.
    const [sealed, ofWebsites] = this.db.transaction((): [SealedState, (readonly DayOfBlocks[])[]] => [
      this.sealed(),
      wanted.websites.map((website) => this.#directory.daysOf(website)),
    ])()
    if (!this.#tail?.fits(sealed))
      this.#tail = new UnsealedRows(this.rows, this.identities, sealed, this.limits)
    const tail = this.#tail
    if (sealed.last - sealed.id <= this.limits.rows) yield* tail.readTo(sealed.last)
    const inMemory = tail.holds(sealed.last)
    this.#reader.begin()
    const days = new Map<number, DayParts>()
    const partsOf = (day: number): DayParts => {
      const parts = days.get(day) ?? { blocks: [], state: "", loose: [], unread: [] }
      days.set(day, parts)
      return parts
    }
    const blockReader = this.#reader
    const entryOf = (block: BlockRow): Entry => ({
      ...placeOf(block),
      block,
      open: () => blockReader.open(block),
    })
    for (const ofWebsite of ofWebsites) {
      const inRange = ofWebsite.filter(({ day }) => day >= from && day <= to)
      const gone = inRange.flatMap(({ stale }) => stale)
      const stale = new StaleDays(blockReader, gone)
      for (const { day, blocks, state } of inRange) {
        const parts = partsOf(day)
        parts.blocks.push(...blocks)
        parts.state += `${state} `
      }
      for (const block of gone)
        partsOf(block.day).loose.push({
          ...placeOf(block),
          block: undefined,
          open: () => stale.batchOf(block),
        })
    }
    const inRange = ({ website, columns: { day } }: MemoryBatch) =>
      day >= from && day <= to && wanted.websites.includes(website)
    if (inMemory) {
      for (const batch of tail.batches)
        if (inRange(batch)) partsOf(batch.columns.day).loose.push(entryOfRows(batch))
    } else {
      // Too many unsealed rows to hold: which names are there shows only when a day is read, all at once.
      for (const website of wanted.websites) {
        const range = { website, from: wanted.from, to: wanted.to, after: sealed.id }
        for (const day of this.#days.all(range) as number[])
          partsOf(day).unread.push(() =>
            tail
              .day(website, day, sealed.last)
              .flatMap((part, index) => entriesOfPart(part, index, website, day)),
          )
      }
    }
    const ordered = [...days].sort(([one], [other]) => one - other)
    const isWanted = ({ crawler }: Entry) => wanted.crawlers || !crawler
    const ends = ofWebsites.flatMap((of) => [of[0]?.day ?? [], of.at(-1)?.day ?? []].flat())
    return new Snapshot(
      wanted,
      sealed.last,
      new Map(this.#websites.all() as [number, string][]),
      tail,
      this.rows,
      this.#kept,
      ordered.map(([day, { blocks, state, loose, unread }]): Day => {
        let sealed: Entry[] | undefined
        return {
          day,
          state,
          isUnread: unread.length > 0,
          sealed: () => {
            sealed ??= blocks.map(entryOf).filter(isWanted)
            return sealed
          },
          loose: () => [...loose, ...unread.flatMap((read) => read())].filter(isWanted),
        }
      }),
      { oldest: Math.min(...ends), newest: Math.max(...ends) },
      inMemory ? 0 : sealed.last - sealed.id,
    )
  }
}

/** What there is of a day. */
interface DayParts {
  blocks: BlockRow[]
  state: string
  loose: Entry[]
  /** More of it, which is read when it is needed. */
  unread: (() => Entry[])[]
}

function placeOf({ website, name, day, crawler, afterId }: BlockRow): Omit<Entry, "block" | "open"> {
  return { website, name, day, crawler: crawler === 1, afterId }
}

function entryOfRows(batch: MemoryBatch): Entry {
  const { website, name, crawler } = batch
  const { day } = batch.columns
  return { website, name, day, crawler, afterId: afterBlocks, block: undefined, batch, open: () => batch }
}

function entriesOfPart({ batches, open }: TailPart, part: number, website: number, day: number): Entry[] {
  return batches.map(({ name, crawler }) => ({
    website,
    name,
    day,
    crawler,
    part,
    afterId: afterBlocks,
    block: undefined,
    open: () => open(name, crawler),
  }))
}

/** Unsealed rows come after those of all blocks. */
const afterBlocks = Number.MAX_SAFE_INTEGER

/** Blocks that have to be read from rows: all of a day together, as far as memory allows, when the first one is asked for. */
class StaleDays {
  #batches = new Map<number, MemoryBatch | undefined>()

  constructor(
    private readonly reader: BlockReader,
    private readonly blocks: readonly BlockRow[],
  ) {}

  batchOf({ id, website, day }: BlockRow): MemoryBatch | undefined {
    if (!this.#batches.has(id)) {
      const ofDay = this.blocks.filter((block) => block.website === website && block.day === day)
      const together = fittingBlocks(ofDay.slice(ofDay.findIndex((block) => block.id === id)))
      this.#batches.clear()
      const found = this.reader.allFromRows(together)
      this.#batches = new Map(together.map((block) => [block.id, found.get(block.id)]))
    }
    return this.#batches.get(id)
  }
}

import type { Db, Statement } from "../store/native.ts"
import { dayMs } from "./batch.ts"
import { BlockReader, type BlockRow } from "./block.ts"
import type { MemoryBatch } from "./builder.ts"
import { type DayOfBlocks, Directory } from "./directory.ts"
import { Identities } from "./identities.ts"
import { Kept } from "./kept.ts"
import { Rows } from "./rows.ts"
import { type Day, type Entry, EventSource, type Wanted } from "./source.ts"
import { type Sealed, Tail } from "./tail.ts"

/** Unsealed rows that are read by id, all at once; more are read day by day, so that memory stays bounded. */
const tailInMemory = 400_000
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
export class Reader {
  readonly rows: Rows
  readonly identities: Identities
  readonly #sealed: Statement
  readonly #days: Statement
  readonly #websites: Statement
  readonly #directory: Directory
  readonly #kept: Kept
  readonly #reader: BlockReader
  readonly #borrowers = new Set<Borrower>()
  #tail: Tail | undefined

  /** `memory`: bytes, of what is kept for the next question and of the answers that are being made. `chosenFrom`: see `Kept`. */
  constructor(
    private readonly db: Db,
    private readonly memory = 0,
    chosenFrom?: number,
  ) {
    this.rows = new Rows(db)
    this.identities = new Identities(db)
    this.#directory = new Directory(db)
    this.#kept = new Kept(memory * countedShare, chosenFrom)
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

  sealed(): Sealed {
    return this.#sealed.get() as Sealed
  }

  /** What there is at this moment. Yields while it reads unsealed rows. */
  *open(wanted: Wanted): Generator<void, EventSource> {
    const from = Math.floor(wanted.from / dayMs)
    const to = Math.floor((wanted.to - 1) / dayMs)
    // In one transaction: a block that is sealed meanwhile would be read twice, or its events not at all.
    const [sealed, ofWebsites] = this.db.transaction((): [Sealed, (readonly DayOfBlocks[])[]] => [
      this.sealed(),
      wanted.websites.map((website) => this.#directory.daysOf(website)),
    ])()
    if (!this.#tail?.fits(sealed)) this.#tail = new Tail(this.rows, this.identities, sealed)
    const tail = this.#tail
    const inMemory = sealed.last - sealed.id <= tailInMemory
    if (inMemory) yield* tail.readTo(sealed.last)
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
        if (inRange(batch)) partsOf(batch.columns.day).loose.push(entryOfRows(batch, false))
    } else {
      // Too many unsealed rows to hold: which names are there shows only when a day is read, all at once.
      for (const website of wanted.websites) {
        const range = { website, from: wanted.from, to: wanted.to, after: sealed.id }
        for (const day of this.#days.all(range) as number[])
          partsOf(day).unread.push(() =>
            tail.day(website, day, sealed.last).map((batch) => entryOfRows(batch, true)),
          )
      }
    }
    const ordered = [...days].sort(([one], [other]) => one - other)
    const isWanted = ({ crawler }: Entry) => wanted.crawlers || !crawler
    const ends = ofWebsites.flatMap((of) => [of[0]?.day ?? [], of.at(-1)?.day ?? []].flat())
    return new EventSource(
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

function entryOfRows(batch: MemoryBatch, isUnread: boolean): Entry {
  return {
    website: batch.website,
    name: batch.name,
    day: batch.columns.day,
    crawler: batch.crawler,
    afterId: Number.MAX_SAFE_INTEGER,
    block: undefined,
    ...(isUnread ? {} : { batch }),
    open: () => batch,
  }
}

/** Blocks that have to be read from rows: all of a day together, when the first one is asked for. */
class StaleDays {
  #day: string | undefined
  #batches = new Map<number, MemoryBatch>()

  constructor(
    private readonly reader: BlockReader,
    private readonly blocks: readonly BlockRow[],
  ) {}

  batchOf({ id, website, day }: BlockRow): MemoryBatch | undefined {
    const key = `${website} ${day}`
    if (key !== this.#day) {
      this.#batches = this.reader.allFromRows(
        this.blocks.filter((block) => block.website === website && block.day === day),
      )
      this.#day = key
    }
    return this.#batches.get(id)
  }
}

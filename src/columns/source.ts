import type { Db, Statement } from "../store/native.ts"
import { type Batch, dayMs, type Kind, kinds, type Numbers, type Sighting } from "./batch.ts"
import { BlockReader, type BlockRow } from "./block.ts"
import { Builder, type Columns, MemoryBatch } from "./builder.ts"
import { type DayOfBlocks, Directory } from "./directory.ts"
import { Identities } from "./identities.ts"
import { Kept } from "./kept.ts"
import { type Row, Rows, type StoredEvent } from "./rows.ts"
import { type Sealed, Tail } from "./tail.ts"

/** Which events are wanted. */
export interface Wanted {
  /** Rids. */
  websites: readonly number[]
  /** Unix ms, `to` exclusive. */
  from: number
  to: number
  crawlers: boolean
}

/** A batch that may be there, without having read it. */
export interface Entry {
  website: number
  name: string
  day: number
  crawler: boolean
  /** It holds events with higher ids than this. */
  afterId: number
  /** Undefined: only the batch itself can tell. */
  block: BlockRow | undefined
  /** Where it is in memory already. */
  batch?: Batch
  open(): Batch | undefined
}

/** A UTC day that may have events. */
export interface Day {
  /** Since 1970-01-01 */
  day: number
  /** As long as it is the same, so are the events in blocks. "": there are none. */
  state: string
  /** There are too many events in rows to hold them: they are read each time that they are asked for. */
  isUnread: boolean
  /** Blocks. */
  sealed(): readonly Entry[]
  /** What has to be read from rows. */
  loose(): Entry[]
}

/** Row ids in one step of reading ids' text: some 30 ms. */
const idsPerStep = 65_536
/** Bytes that an id's text takes beside its characters. */
const textBytes = 60
/** Unix ms. */
const always = { from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER }
/** Events that are looked up one by one in one step: some 5 ms. */
const lookupsPerStep = 256
/** Rows that are read from end to end in the time of one that is looked up. */
const rowsPerLookup = 16
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
    memory = 0,
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
      () => [...this.#borrowers].reduce((left, { taken }) => left - taken, memory - this.#kept.bytes),
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

function inOrder(one: Entry, other: Entry): number {
  return (
    one.day - other.day ||
    one.website - other.website ||
    (one.name < other.name ? -1 : one.name > other.name ? 1 : 0) ||
    Number(one.crawler) - Number(other.crawler) ||
    one.afterId - other.afterId
  )
}

/** Ids that were read. */
interface Texts {
  all: Set<string>
  bytes: number
  /** Up to the event with this id. */
  last: number
}

/** Events of one moment. */
export class EventSource {
  /** Rows that were read instead of blocks. */
  rowsRead = 0
  blockEvents = 0
  /** Something was answered from a block's counts alone. */
  counted = false
  /** Something was answered from what was counted for an earlier question. */
  fromKept = false
  readonly #texts = new Map<Kind, ReadonlySet<string>>()

  constructor(
    readonly wanted: Wanted,
    private readonly last: number,
    /** Public ids by rid. */
    readonly websiteIds: ReadonlyMap<number, string>,
    private readonly tail: Tail,
    private readonly rows: Rows,
    readonly kept: Kept,
    /** In their order. */
    readonly days: readonly Day[],
    /** The days of all blocks of these websites. */
    readonly span: { oldest: number; newest: number },
    private readonly unread: number,
  ) {}

  /** Room for those that unread rows may bring, too. */
  get numbers(): Numbers {
    const { visitors, sessions, profiles } = this.tail.numbers()
    return {
      visitors: visitors + this.unread,
      sessions: sessions + this.unread,
      profiles: profiles + this.unread,
    }
  }

  /** By day, website, name, people before crawlers, and order of receipt. `names`: of these alone. */
  *entries(names?: readonly string[]): Generator<Entry> {
    const wanted = names && new Set(names)
    for (const day of this.days)
      for (const entry of this.#ofDay(day)) if (!wanted || wanted.has(entry.name)) yield entry
  }

  #ofDay(day: Day): Entry[] {
    const loose = day.loose()
    const entries = [...day.sealed(), ...loose]
    // Blocks of one website are in order as they come.
    return loose.length > 0 || this.wanted.websites.length > 1 ? entries.sort(inOrder) : entries
  }

  *batches({ names }: { names?: readonly string[] | undefined }): Generator<Batch> {
    for (const entry of this.entries(names)) {
      const batch = this.open(entry)
      if (batch) yield batch
    }
  }

  /** The entries of each day, from the newest day on. */
  *daysBackwards(): Generator<Entry[]> {
    for (const day of this.days.toReversed()) yield this.#ofDay(day)
  }

  /**
   * The newest events of all websites that are wanted, of which `fits` says yes; undefined where that would mean to look at more than
   * `mostRows` rows.
   */
  newest(
    to: number,
    count: number,
    fits: (row: Row) => boolean,
    mostRows: number,
  ): StoredEvent[] | undefined {
    const found: Row[] = []
    for (const website of this.wanted.websites) {
      const rows = this.rows.newest(website, this.wanted.from, to, mostRows)
      this.rowsRead += rows.length
      const fitting = rows.filter(fits)
      if (fitting.length < count && rows.length === mostRows) return undefined
      found.push(...fitting.slice(0, count))
    }
    found.sort((one, other) => other[3] - one[3] || other[0] - one[0])
    return found.slice(0, count).flatMap(([id]) => this.rows.event(id) ?? [])
  }

  nameOf(row: Row): string {
    return this.rows.typeOf(row[2]).name
  }

  /**
   * The rows of these moments, as they are and as columns, in which only ids of `numbered` have their numbers. `onEvent` hears of
   * each before the next is read. Yields meanwhile.
   */
  *eventsAt(
    moments: readonly { website: number; ts: number }[],
    numbered: readonly Kind[],
    onEvent: (event: StoredEvent) => void,
  ): Generator<void, { events: StoredEvent[]; columns: Columns[] }> {
    const builder = new Builder(this.rows)
    const events: StoredEvent[] = []
    for (const [index, { website, ts }] of moments.entries()) {
      const rows = this.rows.byTime(website, ts, ts + 1, 0, Number.MAX_SAFE_INTEGER)
      builder.add(rows)
      for (const [id] of rows) {
        const event = this.rows.event(id) as StoredEvent
        onEvent(event)
        events.push(event)
      }
      if (index % lookupsPerStep === lookupsPerStep - 1) yield
    }
    return {
      events,
      columns: builder.finish((kind, texts) =>
        // To find a few among millions of ids takes as long as to find many.
        numbered.includes(kind) ? this.numbersOf(kind, texts) : new Uint32Array(texts.length),
      ),
    }
  }

  open(entry: Entry): Batch | undefined {
    const batch = entry.open()
    if (batch instanceof MemoryBatch) this.rowsRead += batch.count
    else this.blockEvents += batch?.count ?? 0
    return batch
  }

  /**
   * Reads all ids of a kind, for those who compare their text. Some 0.5 us a row, but each is read once, as long as the ids can be kept;
   * those of events that were deleted since may be among them. Yields meanwhile.
   */
  *readTexts(kind: Kind): Generator<void, void> {
    const { websites } = this.wanted
    const key = `texts of ${kind} of ${websites}`
    const known = this.kept.find<Texts>(key, "") ?? { all: new Set(), bytes: 0, last: 0 }
    while (known.last < this.last) {
      const to = Math.min(known.last + idsPerStep, this.last)
      for (const text of this.rows.texts(kind, { websites, ...always }, known.last, to)) {
        if (known.all.has(text)) continue
        known.all.add(text)
        known.bytes += textBytes + text.length
      }
      known.last = to
      yield
    }
    this.kept.put(key, "", known, known.bytes, false)
    this.#texts.set(kind, known.all)
  }

  /** What `readTexts` has read. */
  textsOf(kind: Kind): Iterable<string> {
    return this.#texts.get(kind) ?? []
  }

  /** The public id of a website; undefined for the owner's own events. */
  websiteId(rid: number): string | undefined {
    return this.websiteIds.get(rid)
  }

  numbersOf(kind: Kind, texts: readonly string[]): Uint32Array {
    return this.tail.known(kind, texts)
  }

  /** The text of ids, by number. Yields meanwhile. */
  *texts(kind: Kind, wanted: readonly Sighting[]): Generator<void, Map<number, string>> {
    const asked = new Set(wanted.map(({ number }) => number))
    const found = new Map<number, string>()
    const take = (texts: readonly string[]) => {
      const numbers = this.numbersOf(kind, texts)
      texts.forEach((text, index) => {
        const number = numbers[index] as number
        if (asked.has(number)) found.set(number, text)
      })
    }
    if (wanted.length * rowsPerLookup > this.last) {
      for (let at = 0; at < this.last && found.size < asked.size; at += idsPerStep) {
        take([...new Set(this.rows.texts(kind, this.wanted, at, Math.min(at + idsPerStep, this.last)))])
        yield
      }
      return found
    }
    const column = 5 + kinds.indexOf(kind)
    const candidates = new Set<string>()
    for (const [index, { website, name, ts }] of wanted.entries()) {
      if (index % lookupsPerStep === lookupsPerStep - 1) yield
      for (const row of this.rows.byTime(website, ts, ts + 1, 0, Number.MAX_SAFE_INTEGER)) {
        if (row[column] !== null && this.rows.typeOf(row[2]).name === name)
          candidates.add(row[column] as string)
      }
    }
    take([...candidates])
    return found
  }
}

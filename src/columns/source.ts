import type { Db, Statement } from "../store/native.ts"
import { type Batch, dayMs, type Kind, kinds, type Numbers, type Sighting } from "./batch.ts"
import { BlockReader, type BlockRow } from "./block.ts"
import { Builder, type Columns, MemoryBatch } from "./builder.ts"
import { Identities } from "./identities.ts"
import { type Row, Rows, type StoredEvent } from "./rows.ts"

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
  /** Undefined: only the batch itself can tell. */
  block: BlockRow | undefined
  open(): Batch | undefined
}

/** Rows in one step of reading the unsealed ones: some 30 ms. */
const rowsPerStep = 8_192
/** Blocks of a website, and websites, whose list is kept: some 300 bytes a block. */
const blocksKept = 40_000
const websitesKept = 100
/** Row ids in one step of reading ids' text: some 30 ms. */
const idsPerStep = 65_536
/** Events that are looked up one by one in one step: some 5 ms. */
const lookupsPerStep = 256
/** Rows that are read from end to end in the time of one that is looked up. */
const rowsPerLookup = 16
/** Unsealed rows that are read by id, all at once; more are read day by day, so that memory stays bounded. */
const tailInMemory = 400_000

const sql = {
  sealed: "select id, deleted, (select coalesce(max(id), 0) from event_rows) as last from sealed",
  blocks: `
    select id, website_rid as website, day, name, crawler, after_id as afterId, last_id as lastId, events, quarters, stale
    from blocks
    where website_rid = :website
    order by day, name, crawler, after_id`,
  /** What changes whenever a block comes, goes or becomes stale. */
  state: `
    select (select coalesce(max(id), 0) from blocks) || ' ' ||
      (select count(*) || ' ' || coalesce(sum(id), 0) from blocks where stale > 0 or website_rid < 0) || ' ' || id from sealed`,
  websites: "select rid, id from websites where deleted_at is null",
  days: `
    select distinct ts / 86400000 from event_rows
    where website_rid = :website and ts >= :from and ts < :to and id > :after`,
}

interface Sealed {
  /** Events up to this id are in blocks. */
  id: number
  /** Counts deletions of later ones. */
  deleted: number
  /** Highest id of all. */
  last: number
}

/** Reads events as batches, from blocks and, where they are in none, from rows. One for each connection; it keeps the unsealed rows. */
export class Reader {
  readonly rows: Rows
  readonly identities: Identities
  readonly #sealed: Statement
  readonly #blocks: Statement
  readonly #days: Statement
  readonly #websites: Statement
  #tail: Tail | undefined

  readonly #reader: BlockReader
  readonly #state: Statement
  readonly #directory = new Map<number, BlockRow[]>()
  #directoryState = ""

  /** `memory`: bytes of columns to keep for the next question. */
  constructor(
    private readonly db: Db,
    memory = 0,
  ) {
    this.rows = new Rows(db)
    this.identities = new Identities(db)
    // Ids of sealed events all have their number already.
    this.#reader = new BlockReader(
      db,
      this.rows,
      (kind, texts) => this.identities.find(kind, texts).numbers,
      memory,
    )
    this.#sealed = db.prepare(sql.sealed)
    this.#state = db.prepare(sql.state).pluck()
    this.#blocks = db.prepare(sql.blocks)
    this.#days = db.prepare(sql.days).pluck()
    this.#websites = db.prepare(sql.websites).raw()
  }

  sealed(): Sealed {
    return this.#sealed.get() as Sealed
  }

  /** Of all days; kept until one of any website changes, for reading them takes longer than to answer many a question. */
  #blocksOf(website: number): BlockRow[] {
    const state = this.#state.get() as string
    if (state !== this.#directoryState || this.#directory.size > websitesKept) {
      this.#directory.clear()
      this.#directoryState = state
    }
    let blocks = this.#directory.get(website)
    if (!blocks) {
      blocks = this.#blocks.all({ website }) as BlockRow[]
      if (blocks.length <= blocksKept) this.#directory.set(website, blocks)
    }
    return blocks
  }

  /** What there is at this moment. Yields while it reads unsealed rows. */
  *open(wanted: Wanted): Generator<void, EventSource> {
    const from = Math.floor(wanted.from / dayMs)
    const to = Math.floor((wanted.to - 1) / dayMs)
    // In one transaction: a block that is sealed meanwhile would be read twice, or its events not at all.
    const [sealed, all] = this.db.transaction((): [Sealed, BlockRow[]] => [
      this.sealed(),
      wanted.websites.flatMap((website) => this.#blocksOf(website)),
    ])()
    const blocks = all.filter(
      ({ day, crawler }) => day >= from && day <= to && (wanted.crawlers || crawler === 0),
    )
    if (!this.#tail?.fits(sealed)) this.#tail = new Tail(this.rows, this.identities, sealed)
    const tail = this.#tail
    const inMemory = sealed.last - sealed.id <= tailInMemory
    if (inMemory) yield* tail.readTo(sealed.last)
    this.#reader.begin()
    const blockReader = this.#reader
    const stale = new StaleDays(
      blockReader,
      blocks.filter((block) => block.stale > 0),
    )
    const entries = blocks.map(
      (block): Entry => ({
        website: block.website,
        name: block.name,
        day: block.day,
        crawler: block.crawler === 1,
        block: block.stale === 0 ? block : undefined,
        open: () => (block.stale === 0 ? blockReader.open(block) : stale.batchOf(block)),
      }),
    )
    const inRange = (batch: MemoryBatch) =>
      batch.columns.day >= from &&
      batch.columns.day <= to &&
      (wanted.crawlers || !batch.crawler) &&
      wanted.websites.includes(batch.website)
    const entryOf = (batch: MemoryBatch): Entry => ({
      website: batch.website,
      name: batch.name,
      day: batch.columns.day,
      crawler: batch.crawler,
      block: undefined,
      open: () => batch,
    })
    if (inMemory) entries.push(...tail.batches.filter(inRange).map(entryOf))
    // Too many unsealed rows to hold: which names are there shows only when a day is read, all at once.
    const days = inMemory
      ? []
      : wanted.websites.flatMap((website) =>
          (this.#days.all({ website, from: wanted.from, to: wanted.to, after: sealed.id }) as number[]).map(
            (day) => ({
              day,
              batches: () => tail.day(website, day, sealed.last).filter(inRange).map(entryOf),
            }),
          ),
        )
    return new EventSource(
      wanted,
      sealed.last,
      new Map(this.#websites.all() as [number, string][]),
      tail,
      this.rows,
      entries.sort(inOrder),
      days,
      inMemory ? 0 : sealed.last - sealed.id,
    )
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
    Number(one.crawler) - Number(other.crawler)
  )
}

/** Events of one moment. */
export class EventSource {
  /** Rows that were read instead of blocks. */
  rowsRead = 0
  blockEvents = 0
  /** Something was answered from a block's counts alone. */
  counted = false
  readonly #texts = new Map<Kind, readonly string[]>()

  constructor(
    readonly wanted: Wanted,
    private readonly last: number,
    private readonly websiteIds: ReadonlyMap<number, string>,
    private readonly tail: Tail,
    private readonly rows: Rows,
    private readonly all: Entry[],
    private readonly days: { day: number; batches: () => Entry[] }[],
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
    const days = new Map<number, (() => Entry[])[]>()
    for (const { day, batches } of this.days) days.set(day, [...(days.get(day) ?? []), batches])
    let next = 0
    for (const day of [...new Set([...this.all.map((entry) => entry.day), ...days.keys()])].sort(
      (a, b) => a - b,
    )) {
      const ofDay: Entry[] = []
      while (next < this.all.length && (this.all[next] as Entry).day === day)
        ofDay.push(this.all[next++] as Entry)
      const late = days.get(day)
      if (late) ofDay.push(...late.flatMap((batches) => batches()))
      for (const entry of late ? ofDay.sort(inOrder) : ofDay)
        if (!wanted || wanted.has(entry.name)) yield entry
    }
  }

  *batches({ names }: { names?: readonly string[] | undefined }): Generator<Batch> {
    for (const entry of this.entries(names)) {
      const batch = this.open(entry)
      if (batch) yield batch
    }
  }

  /** The entries of each day, from the newest day on. */
  *daysBackwards(): Generator<Entry[]> {
    const byDay = new Map<number, (() => Entry[])[]>()
    const add = (day: number, entries: () => Entry[]) => {
      const ofDay = byDay.get(day)
      if (ofDay) ofDay.push(entries)
      else byDay.set(day, [entries])
    }
    for (const entry of this.all) add(entry.day, () => [entry])
    for (const { day, batches } of this.days) add(day, batches)
    for (const day of [...byDay.keys()].sort((one, other) => other - one)) {
      yield (byDay.get(day) ?? []).flatMap((entries) => entries())
    }
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

  /** Reads all ids of a kind, for those who compare their text. Some 0.5 us a row. Yields meanwhile. */
  *readTexts(kind: Kind): Generator<void, void> {
    const texts = new Set<string>()
    for (let at = 0; at < this.last; at += idsPerStep) {
      for (const text of this.rows.texts(kind, this.wanted, at, Math.min(at + idsPerStep, this.last)))
        texts.add(text)
      yield
    }
    this.#texts.set(kind, [...texts])
  }

  /** What `readTexts` has read. */
  textsOf(kind: Kind): readonly string[] {
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
        take(this.rows.texts(kind, this.wanted, at, Math.min(at + idsPerStep, this.last)))
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

/** The unsealed rows as batches, and the numbers of ids that no block has named yet. */
class Tail {
  batches: MemoryBatch[] = []
  #readTo: number
  /** Rows that were read and are in no batch yet. */
  #builder: Builder
  readonly #next: Numbers
  /** Numbers from these on that are in the database were given to others since: here they stand for fresh ids. */
  readonly #own: Numbers
  readonly #fresh: Record<Kind, Map<string, number>> = {
    visitors: new Map(),
    sessions: new Map(),
    profiles: new Map(),
  }

  constructor(
    private readonly rows: Rows,
    private readonly identities: Identities,
    private readonly sealed: Sealed,
  ) {
    this.#readTo = sealed.id
    this.#builder = new Builder(rows)
    this.#own = identities.numbers()
    this.#next = { ...this.#own }
  }

  /** False when rows have been sealed or deleted since, so that it must be read anew. */
  fits(now: Sealed): boolean {
    return now.id === this.sealed.id && now.deleted === this.sealed.deleted
  }

  numbers(): Numbers {
    return { ...this.#next }
  }

  /** Several questions may do so by turns: each goes on where another is. */
  *readTo(last: number): Generator<void, void> {
    while (this.#readTo < last) {
      const to = Math.min(this.#readTo + rowsPerStep, last)
      this.#builder.add(this.rows.byId(this.#readTo, to))
      this.#readTo = to
      if (this.#builder.count >= rowsPerStep * 8) this.#flush()
      yield
    }
    if (this.#builder.count > 0) this.#flush()
  }

  #flush(): void {
    this.batches.push(...this.#batchesOf(this.#builder))
    this.#builder = new Builder(this.rows)
  }

  day(website: number, day: number, last: number): MemoryBatch[] {
    const rows: Row[] = this.rows.byTime(website, day * dayMs, (day + 1) * dayMs, this.sealed.id, last)
    const builder = new Builder(this.rows)
    builder.add(rows)
    return this.#batchesOf(builder)
  }

  #batchesOf(builder: Builder): MemoryBatch[] {
    return builder
      .finish((kind, texts) => this.numbersOf(kind, texts))
      .map((columns) => new MemoryBatch(columns))
  }

  /** Ids that have no number get one. */
  numbersOf(kind: Kind, texts: readonly string[]): Uint32Array {
    const numbers = this.known(kind, texts)
    const fresh = this.#fresh[kind]
    for (let index = 0; index < texts.length; index++) {
      if (numbers[index] !== 0) continue
      numbers[index] = this.#next[kind]++
      fresh.set(texts[index] as string, numbers[index] as number)
    }
    return numbers
  }

  /** 0 for ids that no event has. */
  known(kind: Kind, texts: readonly string[]): Uint32Array {
    const fresh = this.#fresh[kind]
    const { numbers } = this.identities.find(kind, texts)
    for (let index = 0; index < texts.length; index++) {
      const number = numbers[index] as number
      if (number === 0 || number >= this.#own[kind]) numbers[index] = fresh.get(texts[index] as string) ?? 0
    }
    return numbers
  }
}

import type { LinkedVisitor } from "../store/identity-resolution.ts"
import { type Batch, type DictionarySizes, type IdKind, idKinds, type RowLocator } from "./batch.ts"
import type { BlockRow } from "./block-reader.ts"
import type { Cache } from "./cache.ts"
import { ColumnBuilder, type Columns, MemoryBatch } from "./column-builder.ts"
import type { RowHead, RowId, RowReader, StoredEvent } from "./row-reader.ts"
import type { UnsealedRows } from "./unsealed.ts"

/** Which events are wanted. */
export interface SnapshotScope {
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
  /** Of a day that is read part after part, so that each is read once: which one. Others are of the first. */
  part?: number
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

function inOrder(one: Entry, other: Entry): number {
  return (
    one.day - other.day ||
    one.website - other.website ||
    (one.part ?? 0) - (other.part ?? 0) ||
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
export class Snapshot {
  /** Rows that were read instead of blocks. */
  rowsRead = 0
  blockEvents = 0
  /** Something was answered from a block's counts alone. */
  counted = false
  /** Something was answered from what was counted for an earlier question. */
  fromKept = false
  readonly #texts = new Map<IdKind, ReadonlySet<string>>()

  constructor(
    readonly wanted: SnapshotScope,
    private readonly last: number,
    /** Public ids by rid. */
    readonly websiteIds: ReadonlyMap<number, string>,
    private readonly tail: UnsealedRows,
    private readonly rows: RowReader,
    readonly kept: Cache,
    /** In their order. */
    readonly days: readonly Day[],
    /** The days of all blocks of these websites. */
    readonly span: { oldest: number; newest: number },
    private readonly unread: number,
  ) {}

  /** Room for those that unread rows may bring, too. */
  get numbers(): DictionarySizes {
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
    fits: (row: RowHead) => boolean,
    mostRows: number,
  ): StoredEvent[] | undefined {
    const found: RowHead[] = []
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

  nameOf([, , typeId]: RowHead | RowId): string {
    return this.rows.typeOf(typeId as number).name
  }

  /**
   * The rows of these moments, as they are and as columns, in which only ids of `numbered` have their numbers. `onEvent` hears of
   * each before the next is read. Yields meanwhile.
   */
  *eventsAt(
    moments: readonly { website: number; ts: number }[],
    numbered: readonly IdKind[],
    onEvent: (event: StoredEvent) => void,
  ): Generator<void, { events: StoredEvent[]; columns: Columns[] }> {
    const builder = new ColumnBuilder(this.rows)
    const events: StoredEvent[] = []
    for (const [index, { website, ts }] of moments.entries()) {
      for (const row of this.rows.byTime(website, ts, ts + 1, 0, Number.MAX_SAFE_INTEGER)) {
        const event = this.rows.event(row[0]) as StoredEvent
        onEvent(event)
        builder.add(row)
        events.push(event)
      }
      if (index % lookupsPerStep === lookupsPerStep - 1) yield
    }
    return {
      events,
      columns: [
        ...builder.finish((kind, texts) =>
          // To find a few among millions of ids takes as long as to find many.
          numbered.includes(kind) ? this.numbersOf(kind, texts) : new Uint32Array(texts.length),
        ),
      ],
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
  *readTexts(kind: IdKind): Generator<void, void> {
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
  textsOf(kind: IdKind): Iterable<string> {
    return this.#texts.get(kind) ?? []
  }

  /** Of the events of a website at some moments, Unix ms, in no order. */
  rowIdsAt(website: number, moments: readonly number[]): RowId[] {
    const found = this.rows.ids(website, moments)
    this.rowsRead += found.length
    return found
  }

  /** The public id of a website; undefined for the owner's own events. */
  websiteId(rid: number): string | undefined {
    return this.websiteIds.get(rid)
  }

  numbersOf(kind: IdKind, texts: readonly string[]): Uint32Array {
    return this.tail.known(kind, texts)
  }

  /** The same, but ids that no event has get a number too. */
  numberAll(kind: IdKind, texts: readonly string[]): Uint32Array {
    const distinct = [...new Set(texts)]
    const numbers = this.tail.numbersOf(kind, distinct)
    const byText = new Map(distinct.map((text, index) => [text, numbers[index] as number]))
    return Uint32Array.from(texts, (text) => byText.get(text) as number)
  }

  /** See src/store/identity-resolution.ts, as what follows. */
  linkedIds(website: number, profileId: string): string[] {
    return this.rows.linkedIds(website, profileId)
  }

  linkedVisitors(website: number): Iterable<LinkedVisitor[]> {
    return this.rows.linkedVisitors(website)
  }

  latestProfileOf(website: number, anonymousId: string): string | undefined {
    return this.rows.latestProfileOf(website, anonymousId)
  }

  /** The text of ids, by number. Yields meanwhile. */
  *texts(kind: IdKind, wanted: readonly RowLocator[]): Generator<void, Map<number, string>> {
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
    const column = idKinds.indexOf(kind)
    const candidates = new Set<string>()
    for (const [index, { website, name, ts }] of wanted.entries()) {
      if (index % lookupsPerStep === lookupsPerStep - 1) yield
      for (const ids of this.rows.idsAt(website, ts, name)) {
        const id = ids[column]
        if (typeof id === "string") candidates.add(id)
      }
    }
    take([...candidates])
    return found
  }
}

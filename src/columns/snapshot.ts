import { type EventKind, kindIndex } from "../event-kinds.ts"
import type { LinkedVisitor } from "../store/identity-resolution.ts"
import { startOfNode } from "../store/node-ids.ts"
import { type Batch, type DictionarySizes, type IdKind, idKinds, type RowLocator } from "./batch.ts"
import type { Slice } from "./block.ts"
import type { BlockReader } from "./block-reader.ts"
import { ColumnBuilder } from "./column-builder.ts"
import type { IdDictionary } from "./id-dictionary.ts"
import { IdSearch, idsPerStep, type TextTest } from "./id-search.ts"
import { type Columns, MemoryBatch } from "./memory-batch.ts"
import type { Cache } from "./result-cache.ts"
import type { EventType, RowHead, RowId, RowReader, StoredEvent } from "./row-reader.ts"
import type { SealedState } from "./sealed-state.ts"
import type { Stamps } from "./stamps.ts"
import type { UnsealedRows } from "./unsealed.ts"

/** The events that a snapshot covers. */
export interface SnapshotScope {
  /** Rids of the websites. */
  websites: readonly number[]
  /** Unix ms, `to` exclusive. */
  from: number
  to: number
  crawlers: boolean
  kinds: readonly EventKind[]
}

/** A batch of events that can be opened. */
export interface Entry {
  website: number
  name: string
  kind: EventKind
  day: number
  crawler: boolean
  /**
   * The index of the entry's part, if the day is read in parts. Entries are sorted by part, so that each part is read
   * only once. Undefined counts as 0.
   */
  part?: number
  /** All events in the batch have higher row ids than this. */
  afterId: number
  /**
   * The slice of a block that the batch reads. Its number of events is known without reading columns. Undefined for a
   * batch from rows.
   */
  slice: Slice | undefined
  /** Set if the batch is already in memory. */
  batch?: Batch
  /** Returns the batch, or undefined if all its events were deleted. */
  open(): Batch | undefined
}

/** A UTC day that may have events. */
export interface Day {
  /** Days since 1970-01-01. */
  day: number
  /**
   * Identifies the current blocks of the day. As long as the state does not change, neither do the events in these
   * blocks. Empty if there are no blocks.
   */
  state: string
  /** True if unsealed rows of the day are not held in memory. They are then read each time they are requested. */
  exceedsMemory: boolean
  /** Returns the entries that are read from blocks. */
  sealed(): readonly Entry[]
  /** Returns the entries that are read from rows, because the events are unsealed or their block is stale. */
  inRows(): Entry[]
}

/** Number of events that are looked up individually in one step, which takes about 5 ms. */
const lookupsPerStep = 256
/**
 * Finding dictionary ids for texts requires a search through the whole dictionary. Checking whether one text has a
 * given dictionary id takes as long as searching this many ids.
 */
const idsPerCheck = 1_000
/** Number of rows that a scan reads in the time that it takes to look up one event. */
const rowsPerLookup = 16

/** Compares entries for sorting. This is the order of `Snapshot.entries`. */
export function compareEntries(left: Entry, right: Entry): number {
  return (
    left.day - right.day ||
    left.website - right.website ||
    (left.part ?? 0) - (right.part ?? 0) ||
    (left.name < right.name ? -1 : left.name > right.name ? 1 : 0) ||
    Number(left.crawler) - Number(right.crawler) ||
    kindIndex(left.kind) - kindIndex(right.kind) ||
    left.afterId - right.afterId
  )
}

interface SnapshotOptions {
  scope: SnapshotScope
  sealed: SealedState
  /** Ids of the websites by rid. */
  websiteIds: ReadonlyMap<number, string>
  unsealed: UnsealedRows
  blocks: Pick<BlockReader, "join">
  identities: IdDictionary
  rows: RowReader
  cache: Cache
  stamps: Stamps
  /** In chronological order. */
  days: readonly Day[]
  /** Oldest and newest day with blocks, for the websites in the scope. */
  span: { oldest: number; newest: number }
  /** Number of unsealed rows that have not been read. */
  unreadRows: number
}

/** The events in a scope at one point in time. */
export class Snapshot {
  /** Number of events read from rows. `blockEvents`: number of events read from blocks. */
  rowsRead = 0
  blockEvents = 0
  /** True if part of the result was computed from event counts that are stored in blocks. */
  counted = false
  /** True if part of the result comes from the cache. */
  usedCache = false

  readonly scope: SnapshotScope
  readonly websiteIds: ReadonlyMap<number, string>
  /** See `IdDictionary.textSeed`. */
  readonly textSeed: number
  readonly cache: Cache
  readonly stamps: Stamps
  readonly days: readonly Day[]
  readonly span: SnapshotOptions["span"]
  readonly #sealed: SealedState
  readonly #unsealed: UnsealedRows
  readonly #search: IdSearch
  readonly #rows: RowReader
  readonly #blocks: SnapshotOptions["blocks"]
  readonly #unreadRows: number

  constructor(options: SnapshotOptions) {
    this.scope = options.scope
    this.websiteIds = options.websiteIds
    this.textSeed = options.identities.textSeed
    this.cache = options.cache
    this.stamps = options.stamps
    this.days = options.days
    this.span = options.span
    this.#sealed = options.sealed
    this.#unsealed = options.unsealed
    this.#rows = options.rows
    this.#blocks = options.blocks
    this.#unreadRows = options.unreadRows
    this.#search = new IdSearch(options)
  }

  /** Sizes of the dictionaries, including space for the ids in unread rows. */
  get dictionarySizes(): DictionarySizes {
    const { visitors, sessions, profiles } = this.#unsealed.dictionarySizes()
    return {
      visitors: visitors + this.#unreadRows,
      sessions: sessions + this.#unreadRows,
      profiles: profiles + this.#unreadRows,
    }
  }

  /** Identifies the snapshot's events if all of them are read from blocks. Undefined if some are read from rows. */
  stateOfBlocks(): string | undefined {
    if (this.days.some((day) => day.exceedsMemory || day.inRows().length > 0)) return undefined
    return this.days.map(({ day, state }) => `${day} ${state}`).join()
  }

  /**
   * Iterates over entries, sorted by day, website, part, name, crawler (people first), kind, and order of arrival. If
   * `names` is set, leaves out entries with other names.
   */
  *entries(names?: readonly string[]): Generator<Entry> {
    const selected = names && new Set(names)
    for (const day of this.days)
      for (const entry of this.#entriesOf(day)) if (!selected || selected.has(entry.name)) yield entry
  }

  #entriesOf(day: Day): Entry[] {
    const fromRows = day.inRows()
    const entries = [...day.sealed(), ...fromRows]
    // The entries from blocks of one website are already sorted.
    return fromRows.length > 0 || this.scope.websites.length > 1 ? entries.sort(compareEntries) : entries
  }

  *batches({ names }: { names?: readonly string[] | undefined }): Generator<Batch> {
    for (const entry of this.entries(names)) {
      const batch = this.open(entry)
      if (batch) yield batch
    }
  }

  /** Iterates over the entries of each day, newest day first. */
  *daysBackwards(): Generator<Entry[]> {
    for (const day of this.days.toReversed()) yield this.#entriesOf(day)
  }

  /**
   * Returns the newest `count` events before `to` that pass `matches`. Returns undefined if more than `maxRows` rows of
   * a website would have to be read to find them.
   */
  newest(
    to: number,
    count: number,
    matches: (row: RowHead) => boolean,
    maxRows: number,
  ): StoredEvent[] | undefined {
    const heads: RowHead[] = []
    for (const website of this.scope.websites) {
      const rows = this.#rows.newest(website, this.scope.from, to, maxRows)
      this.rowsRead += rows.length
      const matching = rows.filter(matches)
      if (matching.length < count && rows.length === maxRows) return undefined
      heads.push(...matching.slice(0, count))
    }
    heads.sort((left, right) => right[3] - left[3] || right[0] - left[0])
    return heads.slice(0, count).flatMap(([id]) => this.#rows.event(id) ?? [])
  }

  typeOf([, , typeId]: RowHead | RowId): EventType {
    return this.#rows.typeOf(typeId as number)
  }

  /**
   * Reads the events of the given websites at the given times (Unix ms). Returns them both as stored and as columns.
   * The columns have dictionary ids only for the kinds of ids in `lookedUp`. Calls `onEvent` with each event before it
   * reads the next one. Yields while it reads.
   */
  *eventsAt(
    moments: readonly { website: number; ts: number }[],
    lookedUp: readonly IdKind[],
    onEvent: (event: StoredEvent) => void,
  ): Generator<void, { events: StoredEvent[]; columns: Columns[] }> {
    const builder = new ColumnBuilder(this.#rows)
    const events: StoredEvent[] = []
    for (const [index, { website, ts }] of moments.entries()) {
      for (const row of this.#rows.byTime(website, ts, ts + 1, 0, Number.MAX_SAFE_INTEGER)) {
        const event = this.#rows.event(row[0]) as StoredEvent
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
          // The lookup is skipped for other kinds, because looking up even a few ids among millions is slow.
          lookedUp.includes(kind) ? this.dictionaryIdsOf(kind, texts) : new Uint32Array(texts.length),
        ),
      ],
    }
  }

  /** Opens an entry. Adds its events to the number of events read. */
  open(entry: Entry): Batch | undefined {
    const batch = entry.open()
    if (batch instanceof MemoryBatch) this.rowsRead += batch.count
    else this.blockEvents += batch?.count ?? 0
    return batch
  }

  /** Opens adjacent slices of a block as one batch. Adds their events to the number of events read. */
  join(slices: readonly Slice[]): Batch {
    const batch = this.#blocks.join(slices)
    this.blockEvents += batch.count
    return batch
  }

  /** See `IdSearch.find`. */
  find(kind: IdKind, test: TextTest): Generator<void, void> {
    return this.#search.find(kind, test)
  }

  /** See `IdSearch.foundIds`. */
  foundIds(kind: IdKind, key: string): readonly number[] {
    return this.#search.foundIds(kind, key)
  }

  /** Returns the row ids of the events of a website at the given times (Unix ms), in no particular order. */
  rowIdsAt(website: number, times: readonly number[]): RowId[] {
    const rowIds = this.#rows.ids(website, times)
    this.rowsRead += rowIds.length
    return rowIds
  }

  /** Returns the id of a website, or undefined for the rid of events without a website. */
  websiteId(rid: number): string | undefined {
    return this.websiteIds.get(rid)
  }

  /** Returns the dictionary id of each text, or 0 if no event has the text as its id. */
  dictionaryIdsOf(kind: IdKind, texts: readonly string[]): Uint32Array {
    return this.#unsealed.dictionaryIdsOf(kind, texts)
  }

  /**
   * Assigns dictionary ids to texts that might be ids in unread rows, so that `dictionaryIdsOf` returns the same
   * dictionary ids before and after the rows are read.
   */
  assignUnreadIds(kind: IdKind, texts: readonly string[]): void {
    if (this.#unreadRows > 0) this.#unsealed.assignDictionaryIds(kind, texts)
  }

  /** Like `dictionaryIdsOf`, but assigns a dictionary id to each text that has none. */
  assignDictionaryIds(kind: IdKind, texts: readonly string[]): Uint32Array {
    const distinct = [...new Set(texts)]
    const ids = this.#unsealed.assignDictionaryIds(kind, distinct)
    const byText = new Map(distinct.map((text, index) => [text, ids[index] as number]))
    return Uint32Array.from(texts, (text) => byText.get(text) as number)
  }

  /** For this and the next two methods, see src/store/identity-resolution.ts. */
  linkedIds(website: number, profileId: string): string[] {
    return this.#rows.linkedIds(website, profileId)
  }

  linkedVisitors(website: number): Iterable<LinkedVisitor[]> {
    return this.#rows.linkedVisitors(website)
  }

  latestProfileOf(website: number, anonymousId: string): string | undefined {
    return this.#rows.latestProfileOf(website, anonymousId)
  }

  /** Returns a map from the dictionary ids in `locators` to the texts for which they stand. Yields while it reads. */
  *texts(kind: IdKind, locators: readonly RowLocator[]): Generator<void, Map<number, string>> {
    const requested = new Set(locators.map(({ dictionaryId }) => dictionaryId))
    const textsById = new Map<number, string>()
    const addTexts = (texts: readonly string[]) => {
      const dictionaryIds = this.dictionaryIdsOf(kind, texts)
      texts.forEach((text, index) => {
        const id = dictionaryIds[index] as number
        if (requested.has(id)) textsById.set(id, text)
      })
    }
    const { last } = this.#sealed
    const start = startOfNode(last)
    if (locators.length * rowsPerLookup > last - start) {
      for (let at = start; at < last && textsById.size < requested.size; at += idsPerStep) {
        addTexts([...new Set(this.#rows.texts(kind, this.scope, at, Math.min(at + idsPerStep, last)))])
        yield
      }
      return textsById
    }
    const column = idKinds.indexOf(kind)
    const candidates = new Set<string>()
    const areFew = locators.length * idsPerCheck < this.dictionarySizes[kind]
    for (const [index, { dictionaryId, website, name, ts }] of locators.entries()) {
      if (index % lookupsPerStep === lookupsPerStep - 1) yield
      for (const ids of this.#rows.idsAt(website, ts, name)) {
        const id = ids[column]
        if (typeof id !== "string") continue
        if (!areFew) candidates.add(id)
        else if (this.#unsealed.isIdOf(kind, dictionaryId, id)) textsById.set(dictionaryId, id)
      }
    }
    addTexts([...candidates])
    return textsById
  }
}

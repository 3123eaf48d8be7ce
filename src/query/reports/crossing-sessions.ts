import { type Batch, dayMs } from "../../columns/batch.ts"
import { compareEntries, type Day, type Entry, type Snapshot } from "../../columns/snapshot.ts"
import { lowerBound } from "../../columns/typed-arrays.ts"
import { FilterCache, type SealedBlock } from "../scan/filter-cache.ts"
import type { Narrowed } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import type { Selection } from "../structures/selection.ts"
import { openedEntry, withLargeBlocks } from "./large-blocks.ts"

/** Overhead of an array of IDs in bytes, not counting its elements. */
const listBytes = 120
/**
 * Number of recent days whose sessions are compared with the sessions of all other days whenever a block changes. The
 * result for the earlier days is cached separately, because their blocks seldom change.
 */
const recentDays = 2
/** Stored instead of a day number for a crossing session. */
const several = 65_535
/** Added to the number of a session's first day if the session also has events on the next day, but on no other day. */
const continued = 32_768
/**
 * Sessions with an event within this many ms before the newest sealed event count as crossing, because most new events
 * extend these sessions. The cached counts of the newest day therefore stay valid until its blocks change.
 */
const openMs = 3_600_000
/**
 * If more than one in this many sessions is crossing, scanning everything is faster than counting the crossing sessions
 * separately.
 */
const crossingShare = 4

/** IDs of sessions with events on one day, and a hash that identifies the list in cache keys. */
interface Ids {
  ids: Uint32Array
  key: string
}

/** The days on which sessions have events. */
interface SessionDays {
  /**
   * Indexed by session ID. If all events of the session are on one day, the number of that day, starting at 1. If they
   * are on two consecutive days, neither of which is recent, the number of the first day plus `continued`. Otherwise
   * `several`, or 0 if there are no events.
   */
  dayOf: Uint16Array
  /** For each day: the IDs of the crossing sessions with events on the day. */
  crossing: Ids[]
  /** For each day: the IDs of the sessions that began the day before and have events on no other day. */
  continuing: Ids[]
}

/** The sessions that have events on a day but are not counted with that day. */
interface DayIds {
  /** Counted with the unsealed events. */
  crossing: Ids
  /** Counted with the day before. */
  continuing: Ids
}

/** A snapshot in which the small blocks of the newest day count as unsealed events. */
type CrossingSource = Pick<Snapshot, "cache" | "scope" | "span" | "dictionarySizes" | "days">

const none: Ids = { ids: new Uint32Array(0), key: "" }
const noDayIds: DayIds = { crossing: none, continuing: none }

/**
 * Determines with which day each session in a snapshot is counted. The counts of a day are cached, so all events of a
 * session must be counted together. A session *belongs to* a day if all its events are in blocks of that day, or of
 * that day and the next one (if neither is one of the recent days). All other sessions are *crossing*: they belong to
 * no day, and each query counts their events together with the unsealed events.
 */
export class CrossingSessions {
  /** For each day: the IDs of the sessions that have events on the day but do not belong to it. */
  readonly excluded: ReadonlyMap<number, Uint32Array>

  private constructor(
    private readonly source: CrossingSource,
    /** Identifies the scope in cache keys. */
    private readonly name: string,
    private readonly byDay: ReadonlyMap<Day, DayIds>,
  ) {
    this.excluded = new Map(
      [...byDay].map(([{ day }, { crossing, continuing }]) => [
        day,
        continuing.ids.length === 0 ? crossing.ids : Uint32Array.from([...crossing.ids, ...continuing.ids]),
      ]),
    )
  }

  /**
   * Finds the crossing sessions of a snapshot. Returns undefined if there are too many, if the rows of a day are not in
   * memory, or if nothing can be cached.
   */
  static *find(snapshot: Snapshot, budget: MemoryBudget): Generator<void, CrossingSessions | undefined> {
    const { cache, scope, span, dictionarySizes } = snapshot
    if (cache.memory === 0 || snapshot.days.length >= continued) return undefined
    if (snapshot.days.some((day) => day.exceedsMemory || day.inRows().some(({ batch }) => !batch)))
      return undefined
    const { websites, crawlers, kinds } = scope
    const name = JSON.stringify({ websites, crawlers, kinds })
    // Earlier days are left as they are: their blocks seldom change, and one of their blocks can stay small forever.
    const days = snapshot.days.map((day) => (day.day === span.newest ? withLargeBlocks(day) : day))
    const source = { cache, scope, span, dictionarySizes, days }
    const found = yield* crossingIds(source, name, budget)
    return found && new CrossingSessions(source, name, found)
  }

  /**
   * Returns the days of the snapshot, with the sealed events of crossing sessions added to the unsealed events. `keyOf`
   * returns a key for everything else that the cached counts of a day depend on.
   */
  days(keyOf: (day: number) => string): Day[] {
    const hasSeveralWebsites = this.source.scope.websites.length > 1
    return this.source.days.map((day, index): Day => {
      const { crossing, continuing } = this.#idsOf(day)
      const next = this.source.days[index + 1]
      const nextKey = next && this.#idsOf(next).continuing.key
      const after = nextKey ? `${nextKey} ${next.state}` : ""
      const state =
        day.state === "" ? "" : `${day.state} ${crossing.key} ${continuing.key} ${after} ${keyOf(day.day)} `
      let rows: Entry[] | undefined
      return {
        day: day.day,
        state,
        exceedsMemory: false,
        // If two views have the same timestamp, the order of the entries decides which one counts as first.
        sealed: () => (hasSeveralWebsites ? day.sealed().toSorted(compareEntries) : day.sealed()),
        inRows: () => {
          rows ??= [...this.#sealedOf(day, "crossing"), ...day.inRows()].sort(compareEntries)
          return rows
        },
      }
    })
  }

  /** Returns the events on the day after `day` whose sessions belong to `day`. */
  eventsAfter(day: number): Narrowed[] {
    const { days } = this.source
    const next = days[days.findIndex((other) => other.day === day) + 1]
    return next
      ? this.#sealedOf(next, "continuing")
          .sort(compareEntries)
          .map(({ batch }) => ({ batch, selection: { first: 0, end: batch.count, at: undefined } }))
      : []
  }

  #idsOf(day: Day): DayIds {
    return this.byDay.get(day) ?? noDayIds
  }

  /** Returns the day's sealed events in crossing sessions, or in sessions that continue from the day before. */
  #sealedOf(day: Day, what: keyof DayIds): (Entry & { batch: Batch })[] {
    const { ids, key } = this.#idsOf(day)[what]
    if (ids.length === 0) return []
    const { cache } = this.source
    const name = `${what} events ${day.day} ${this.name}`
    const state = `${day.state} ${key}`
    const known = cache.find<FilterCache>(name, state)
    const events: FilterCache = known ?? new FilterCache((bytes) => cache.grow(name, events, bytes))
    if (!known) cache.put(name, state, events, { bytes: listBytes, isSpare: true })
    let marks: Uint8Array | undefined
    const select = (batch: Batch): Selection | undefined => {
      if (!marks) {
        marks = new Uint8Array((ids.at(-1) ?? 0) + 1)
        for (const id of ids) marks[id] = 1
      }
      return marked(batch.sessions(), marks)
    }
    return day.sealed().flatMap((entry) => {
      // Only session IDs are read from these blocks, which does not count as reading their events.
      const block = entry.open()
      const batch = block && events.matching(block as SealedBlock, () => select(block))
      return batch ? openedEntry(entry, batch) : []
    })
  }
}

/** Returns a selection of the events whose IDs are marked, or undefined if there are none. */
function marked(ids: Uint32Array, marks: Uint8Array): Selection | undefined {
  const at: number[] = []
  for (let index = 0; index < ids.length; index++) if (marks[ids[index] as number] === 1) at.push(index)
  return at.length > 0 ? { first: 0, end: ids.length, at: Uint32Array.from(at) } : undefined
}

/**
 * Calls `add` with the number of each day of a session. Does nothing for a session that is stored as `several`, because
 * it is already listed as crossing on all of its days.
 */
function forEachDay(dayOf: number, add: (number: number) => void): void {
  if (dayOf === 0 || dayOf === several) return
  const first = dayOf & ~continued
  add(first)
  if (first !== dayOf) add(first + 1)
}

/**
 * Returns for each day the sessions that have events on the day but do not belong to it, or undefined if too many
 * sessions are crossing. Sessions with unsealed events are crossing too.
 */
function* crossingIds(
  source: CrossingSource,
  name: string,
  budget: MemoryBudget,
): Generator<void, Map<Day, DayIds> | undefined> {
  const { days } = source
  const sealed = yield* sealedDays(source, name, budget)
  const added = days.map(() => new Set<number>())
  for (const day of days) {
    for (const { batch } of day.inRows()) {
      if (!batch) continue
      const { dayOf } = sealed
      for (const id of batch.sessions())
        if (id !== 0) forEachDay(dayOf[id] ?? 0, (number) => added[number - 1]?.add(id))
    }
    yield
  }
  const all = days.map((_, index): Ids => {
    const crossingIds = sealed.crossing[index] ?? none
    const more = added[index] as ReadonlySet<number>
    return more.size === 0 ? crossingIds : withKey(Uint32Array.from([...crossingIds.ids, ...more]).sort())
  })
  const crossing = all.reduce((sum, { ids }) => sum + ids.length, 0)
  if (crossing * crossingShare > sealed.total) return undefined
  return new Map(
    days.map((day, index) => [
      day,
      { crossing: all[index] ?? none, continuing: sealed.continuing[index] ?? none },
    ]),
  )
}

/**
 * Finds the days of each session in the blocks of a snapshot. The result is cached, because all queries in a request
 * usually see the same blocks. The result without the recent days is cached separately.
 */
function* sealedDays(
  source: CrossingSource,
  name: string,
  budget: MemoryBudget,
): Generator<void, SessionDays & { total: number }> {
  const { days, cache } = source
  const key = `sessions of all days ${days[0]?.day} ${days.length} ${name}`
  const state = days.map(({ day, state }) => `${day} ${state}`).join(" ")
  const known = cache.find<SessionDays & { total: number }>(key, state)
  if (known) return known
  const size = source.dictionarySizes.sessions
  const lists: Uint32Array[] = []
  for (const day of days) lists.push(yield* idsOf(source, day, name, size, budget))
  const olderCount = Math.max(0, days.length - recentDays)
  const older = yield* olderDays(source, name, lists.slice(0, olderCount), budget)
  const childBudget = budget.child()
  childBudget.reserve(size * 2 + days.length * listBytes)
  const dayOf = new Uint16Array(size)
  dayOf.set(older.dayOf)
  const added = days.map((): number[] => [])
  for (let number = olderCount + 1; number <= days.length; number++) {
    for (const id of lists[number - 1] as Uint32Array) {
      const before = dayOf[id] as number
      dayOf[id] = before === 0 ? number : several
      if (before === 0) continue
      forEachDay(before, (earlier) => added[earlier - 1]?.push(id))
      added[number - 1]?.push(id)
    }
    yield
  }
  const newest = days.find(({ day }) => day === source.span.newest)
  const openAfter = newest ? lastTimeOf(newest) - openMs : Number.POSITIVE_INFINITY
  for (let number = olderCount + 1; number <= days.length; number++) {
    for (const id of idsAfter(days[number - 1] as Day, openAfter)) {
      if (dayOf[id] !== number) continue
      dayOf[id] = several
      added[number - 1]?.push(id)
    }
    yield
  }
  const crossing = days.map((_, index): Ids => {
    const ids = older.crossing[index] ?? none
    const more = added[index] as readonly number[]
    return more.length === 0 ? ids : withKey(Uint32Array.from([...ids.ids, ...more]).sort())
  })
  const total = lists.reduce((sum, { length }) => sum + length, 0)
  const { continuing } = older
  const sessionDays = { dayOf, crossing, continuing, total }
  const bytes = childBudget.reserved + crossing.reduce((sum, { ids }) => sum + ids.byteLength, 0)
  if (cache.put(key, state, sessionDays, { bytes })) childBudget.release()
  return sessionDays
}

function withKey(ids: Uint32Array): Ids {
  return { ids, key: Bun.hash(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength)).toString(36) }
}

/** Returns the time of the last event in the blocks of a day, in Unix ms. */
function lastTimeOf(day: Day): number {
  const times = day.sealed().flatMap((entry) => {
    const batch = entry.open()
    return batch ? batch.base + (batch.times().at(-1) ?? 0) : []
  })
  return times.reduce((last, time) => Math.max(last, time), 0)
}

/**
 * Yields the session ID of each event in a day's blocks that is not before `time` (Unix ms). IDs can repeat. 0 stands
 * for a missing ID.
 */
function* idsAfter(day: Day, time: number): Generator<number> {
  if ((day.day + 1) * dayMs <= time) return
  for (const entry of day.sealed()) {
    const batch = entry.open()
    if (batch) yield* batch.sessions().subarray(lowerBound(batch.times(), time - batch.base))
  }
}

/** Returns the distinct session IDs in the blocks of a day. */
function* idsOf(
  { cache }: CrossingSource,
  day: Day,
  name: string,
  size: number,
  budget: MemoryBudget,
): Generator<void, Uint32Array> {
  const key = `sessions of day ${day.day} ${name}`
  const known = cache.find<Uint32Array>(key, day.state)
  if (known) return known
  const childBudget = budget.child()
  childBudget.reserve(size)
  const seen = new Uint8Array(size)
  const ids: number[] = []
  for (const entry of day.sealed()) {
    const sessions = entry.open()?.sessions() ?? []
    for (let index = 0; index < sessions.length; index++) {
      const id = sessions[index] as number
      if (seen[id] !== 0 || id === 0) continue
      seen[id] = 1
      ids.push(id)
    }
    yield
  }
  childBudget.release()
  const list = Uint32Array.from(ids)
  const bytes = list.byteLength + listBytes
  if (!cache.put(key, day.state, list, { bytes, isSpare: true })) budget.reserve(bytes)
  return list
}

/**
 * Finds the days of each session in `lists`, which contains the session IDs of each day, starting with the first day.
 */
function* olderDays(
  { cache, days }: CrossingSource,
  name: string,
  lists: readonly Uint32Array[],
  budget: MemoryBudget,
): Generator<void, SessionDays> {
  const key = `sessions of days ${days[0]?.day} ${lists.length} ${name}`
  const state = days
    .slice(0, lists.length)
    .map(({ day, state }) => `${day} ${state}`)
    .join(" ")
  const known = cache.find<SessionDays>(key, state)
  if (known) return known
  const largest = lists.reduce((most, ids) => ids.reduce((more, id) => Math.max(more, id), most), 0)
  const childBudget = budget.child()
  childBudget.reserve((largest + 1) * 2 + lists.length * listBytes)
  const dayOf = new Uint16Array(largest + 1)
  for (const [index, ids] of lists.entries()) {
    for (const id of ids) {
      const before = dayOf[id]
      dayOf[id] = before === 0 ? index + 1 : before === index ? before | continued : several
    }
    yield
  }
  const crossing: Ids[] = []
  const continuing: Ids[] = []
  const idsWith = (ids: Uint32Array, number: number) => {
    const found = ids.filter((id) => dayOf[id] === number)
    return found.length > 0 ? withKey(found.sort()) : none
  }
  for (const [index, ids] of lists.entries()) {
    crossing.push(idsWith(ids, several))
    continuing.push(idsWith(ids, index | continued))
    yield
  }
  const sessionDays = { dayOf, crossing, continuing }
  if (
    cache.put(key, state, sessionDays, {
      bytes:
        childBudget.reserved + [...crossing, ...continuing].reduce((sum, { ids }) => sum + ids.byteLength, 0),
    })
  )
    childBudget.release()
  return sessionDays
}

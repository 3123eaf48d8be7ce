import { type Batch, dayMs } from "../../columns/batch.ts"
import type { Cache } from "../../columns/result-cache.ts"
import { numberOf } from "../json-values.ts"
import { columnOf } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { forEachEvent, type Selection } from "../structures/selection.ts"
import { isBounce, pageSeconds } from "./bounce.ts"

/**
 * A traffic query also reads the events in this many ms before its range, to find the first view of each session and
 * the session's other views and events. For example, a session that starts before midnight keeps its source on the next
 * day. Nearly all sessions are shorter.
 */
export const sessionLookBack = dayMs

/** Flags of a session. The lowest two bits hold the number of views, which is capped at 2. */
const viewsMask = 3
const hasOtherEvents = 4
const isCounted = 8
/** The first view of the session matches the session filters. */
const isSelected = 16
/** The views of the session are counted elsewhere. */
const isExcluded = 32

/** The time of one view per session. Takes 6 bytes per session ID, whereas Unix ms would take 8. */
class ViewTimes {
  /** `days`: days since the first day of the range, plus 1. 0 for a session without a view. */
  constructor(
    private readonly days: Uint16Array,
    private readonly ms: Uint32Array,
    private readonly firstDay: number,
  ) {}

  dayOf(batch: Batch): number {
    return batch.base / dayMs - this.firstDay + 1
  }

  isUnset(id: number): boolean {
    return this.days[id] === 0
  }

  /** Returns true if the time stored for the session is later. `day` comes from `dayOf`. */
  isAfter(id: number, day: number, ms: number): boolean {
    const storedDay = this.days[id] as number
    return storedDay > day || (storedDay === day && (this.ms[id] as number) > ms)
  }

  set(id: number, day: number, ms: number): void {
    this.days[id] = day
    this.ms[id] = ms
  }

  clear(id: number): void {
    this.days[id] = 0
  }

  /** Returns the time of a session's view in Unix ms. */
  of(id: number): number {
    return ((this.days[id] as number) - 1 + this.firstDay) * dayMs + (this.ms[id] as number)
  }
}

/**
 * Number of spare elements in new arrays, for the IDs of sessions that start later: a minimum, and a share of the
 * current number of IDs.
 */
const minSpare = 1_024
const spareShare = 1 / 8
const cacheKey = "session arrays"

/**
 * The arrays of `PageSessions`, with an element for each session ID. They are reused, because a query that counts only
 * a few new events would spend most of its time creating arrays for millions of sessions. All elements are 0 between
 * uses, except those of `codes`, which are overwritten whenever the time of a view is set.
 */
export class SessionArrays {
  #flags: Uint8Array | undefined
  #firstDays: Uint16Array | undefined
  #firstMs: Uint32Array | undefined
  #lastDays: Uint16Array | undefined
  #lastMs: Uint32Array | undefined
  #codes: Uint32Array | undefined
  #seconds: Float32Array | undefined

  private constructor(readonly size: number) {}

  /** Takes the arrays out of the cache, or creates them. `size`: one more than the largest session ID. */
  static take(cache: Cache, size: number): SessionArrays {
    const cached = cache.take<SessionArrays>(cacheKey)
    if (cached && cached.size >= size) return cached
    return new SessionArrays(size + Math.max(minSpare, Math.ceil(size * spareShare)))
  }

  /** Puts the arrays into the cache. All sessions must have been cleared. */
  release(cache: Cache): void {
    const arrays = [
      this.#flags,
      this.#firstDays,
      this.#firstMs,
      this.#lastDays,
      this.#lastMs,
      this.#codes,
      this.#seconds,
    ]
    const bytes = arrays.reduce((sum, array) => sum + (array?.byteLength ?? 0), 0)
    cache.put(cacheKey, "", this, bytes, true)
  }

  flags(): Uint8Array {
    this.#flags ??= new Uint8Array(this.size)
    return this.#flags
  }

  /** `from`: the earliest time of a view, in Unix ms. */
  firstViews(from: number): ViewTimes {
    this.#firstDays ??= new Uint16Array(this.size)
    this.#firstMs ??= new Uint32Array(this.size)
    return new ViewTimes(this.#firstDays, this.#firstMs, Math.floor(from / dayMs))
  }

  lastViews(from: number): ViewTimes {
    this.#lastDays ??= new Uint16Array(this.size)
    this.#lastMs ??= new Uint32Array(this.size)
    return new ViewTimes(this.#lastDays, this.#lastMs, Math.floor(from / dayMs))
  }

  codes(): Uint32Array {
    this.#codes ??= new Uint32Array(this.size)
    return this.#codes
  }

  seconds(): Float32Array {
    this.#seconds ??= new Float32Array(this.size)
    return this.#seconds
  }
}

/** What a query needs to know about each session. */
export interface SessionFacts {
  /** The time of the first view, and whether that view matches the filters. */
  first: boolean
  /** The group of the session's first or last view. */
  code: "first" | "last" | undefined
  /** Whether the session is a bounce, and how long its pages were open. */
  totals: boolean
}

/** Collects facts about whole sessions, by session ID. The object can be cleared and reused for other events. */
export class PageSessions {
  readonly #firstViews: ViewTimes | undefined
  readonly #lastViews: ViewTimes | undefined
  /** The code of each session's group. */
  readonly #codes: Uint32Array | undefined
  /** Seconds that the session's pages were open. Sums of whole seconds are exact up to half a year. */
  readonly #seconds: Float32Array | undefined
  readonly #flags: Uint8Array

  /** `from` is the earliest time of an event in Unix ms. */
  constructor(arrays: SessionArrays, from: number, facts: SessionFacts, budget: MemoryBudget) {
    const hasFirst = facts.first || facts.code === "first"
    const bytes = 1 + (hasFirst ? 6 : 0) + (facts.code === "last" ? 6 : 0) + (facts.code ? 4 : 0)
    budget.reserve(arrays.size * (bytes + (facts.totals ? 4 : 0)))
    this.#firstViews = hasFirst ? arrays.firstViews(from) : undefined
    this.#lastViews = facts.code === "last" ? arrays.lastViews(from) : undefined
    this.#codes = facts.code && arrays.codes()
    this.#seconds = facts.totals ? arrays.seconds() : undefined
    this.#flags = arrays.flags()
  }

  /**
   * Adds page views. `matches` is 1 for each view that matches the session filters, or undefined if all views match.
   * `groups` is the group of each view.
   */
  addViews(
    batch: Batch,
    selection: Selection,
    matches: Uint8Array | undefined,
    groups: Uint32Array | undefined,
  ): void {
    const [ids, times, flags] = [batch.sessions(), batch.times(), this.#flags]
    const [first, last, codes] = [this.#firstViews, this.#lastViews, this.#codes]
    const day = (first ?? last)?.dayOf(batch) ?? 0
    forEachEvent(selection, (index) => {
      const id = ids[index] as number
      if (id === 0) return
      let flag = flags[id] as number
      if ((flag & viewsMask) < 2) flag++
      if (!first) flag |= isSelected
      else {
        const ms = times[index] as number
        if (first.isUnset(id) || first.isAfter(id, day, ms)) {
          first.set(id, day, ms)
          flag = (matches ? matches[index] : 1) === 1 ? flag | isSelected : flag & ~isSelected
          if (codes && groups && !last) codes[id] = groups[index] as number
        }
      }
      flags[id] = flag
      if (last && codes && groups) {
        const ms = times[index] as number
        if (last.isUnset(id) || !last.isAfter(id, day, ms)) {
          last.set(id, day, ms)
          codes[id] = groups[index] as number
        }
      }
    })
  }

  addExits(batch: Batch, selection: Selection): void {
    const column = columnOf(batch, "property.time_on_page")
    const sums = this.#seconds
    if (!column || !sums) return
    const ids = batch.sessions()
    const seconds = [0, ...column.values.map((value) => pageSeconds(numberOf(value)))]
    const { codes } = column
    forEachEvent(selection, (index) => {
      const id = ids[index] as number
      sums[id] = (sums[id] as number) + (seconds[codes[index] as number] as number)
    })
  }

  addOthers(batch: Batch, selection: Selection): void {
    const ids = batch.sessions()
    forEachEvent(selection, (index) => {
      const id = ids[index] as number
      this.#flags[id] = (this.#flags[id] as number) | hasOtherEvents
    })
  }

  /** Excludes sessions until they are cleared. */
  exclude(ids: Uint32Array): void {
    for (const id of ids) this.#flags[id] = isExcluded
  }

  /** Clears excluded sessions. */
  clearIds(ids: Uint32Array): void {
    for (const id of ids) this.#clear(id)
  }

  /** Clears the sessions to which the selected events belong. */
  clear(batch: Batch, selection: Selection): void {
    const ids = batch.sessions()
    forEachEvent(selection, (index) => this.#clear(ids[index] as number))
  }

  #clear(id: number): void {
    this.#flags[id] = 0
    this.#firstViews?.clear(id)
    this.#lastViews?.clear(id)
    if (this.#seconds) this.#seconds[id] = 0
  }

  /** Returns true if the views of the session are counted. */
  isIncluded(id: number): boolean {
    return ((this.#flags[id] as number) & (isSelected | isExcluded)) === isSelected
  }

  codeOf(id: number): number {
    return this.#codes?.[id] ?? 0
  }

  /** Returns the time of the session's first view in Unix ms. */
  firstViewOf(id: number): number {
    return this.#firstViews?.of(id) ?? 0
  }

  secondsOf(id: number): number {
    return this.#seconds?.[id] ?? 0
  }

  isBounce(id: number): boolean {
    const flag = this.#flags[id] as number
    return isBounce(flag & viewsMask, (flag & hasOtherEvents) !== 0, this.secondsOf(id))
  }

  /** Marks the session as counted. Returns false if it had already been counted. */
  count(id: number): boolean {
    const flag = this.#flags[id] as number
    if ((flag & isCounted) !== 0) return false
    this.#flags[id] = flag | isCounted
    return true
  }
}

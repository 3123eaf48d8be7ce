import { type Batch, dayMs } from "../../columns/batch.ts"
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

/** The time of one view per session. Takes 6 bytes per slot, whereas Unix ms would take 8. */
class ViewTimes {
  /** Days since the first day of the range, plus 1. 0 for a session without a view. */
  readonly #days: Uint16Array
  readonly #ms: Uint32Array
  readonly #firstDay: number

  /** `from`: the earliest time of a view, in Unix ms. */
  constructor(size: number, from: number) {
    this.#days = new Uint16Array(size)
    this.#ms = new Uint32Array(size)
    this.#firstDay = Math.floor(from / dayMs)
  }

  dayOf(batch: Batch): number {
    return batch.base / dayMs - this.#firstDay + 1
  }

  isUnset(slot: number): boolean {
    return this.#days[slot] === 0
  }

  /** Returns true if the time stored for the session is later than `ms` on `day`, which comes from `dayOf`. */
  isAfter(slot: number, day: number, ms: number): boolean {
    const storedDay = this.#days[slot] as number
    return storedDay > day || (storedDay === day && (this.#ms[slot] as number) > ms)
  }

  set(slot: number, day: number, ms: number): void {
    this.#days[slot] = day
    this.#ms[slot] = ms
  }

  /** Returns the time of a session's view in Unix ms. */
  of(slot: number): number {
    return ((this.#days[slot] as number) - 1 + this.#firstDay) * dayMs + (this.#ms[slot] as number)
  }
}

/**
 * Number of successive session IDs that get slots together, as a power of two. IDs are assigned in the order of
 * receipt, so the sessions of a day are on relatively few pages.
 */
const pageBits = 6
const pageMask = (1 << pageBits) - 1

/**
 * Assigns a slot in the arrays of `PageSessions` to each session that is counted. Otherwise, if only a few new events
 * are counted, most of the time would be spent on creating arrays with an element for each of millions of session IDs.
 */
export class SessionSlots {
  /**
   * For each page of IDs: the slot of its first ID, or 0 if the page has no slots. In that case, its IDs share the
   * first slots, which belong to no session.
   */
  readonly #pages: Uint32Array
  #size = 1 << pageBits

  /** `range`: one more than the largest session ID. */
  constructor(range: number, budget: MemoryBudget) {
    this.#pages = new Uint32Array((range >>> pageBits) + 1)
    budget.reserve(this.#pages.byteLength)
  }

  /** Number of slots. */
  get size(): number {
    return this.#size
  }

  /** Adds the sessions of the selected events. */
  add(batch: Batch, selection: Selection): void {
    const [ids, pages] = [batch.sessions(), this.#pages]
    forEachEvent(selection, (index) => {
      const page = (ids[index] as number) >>> pageBits
      if (pages[page] === 0) this.#addPage(page)
    })
  }

  /** Adds all session IDs. */
  addAll(): void {
    for (let page = 0; page < this.#pages.length; page++) if (this.#pages[page] === 0) this.#addPage(page)
  }

  #addPage(page: number): void {
    this.#pages[page] = this.#size
    this.#size += 1 << pageBits
  }

  of(id: number): number {
    return (this.#pages[id >>> pageBits] as number) + (id & pageMask)
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

/**
 * Sums of seconds are rounded to microseconds. Otherwise, a sum would depend on the order in which its terms were
 * added.
 */
const perSecond = 1_000_000

/** Collects facts about whole sessions, by slot. Reserves its memory in `budget`. */
export class PageSessions {
  readonly #firstViews: ViewTimes | undefined
  readonly #lastViews: ViewTimes | undefined
  /** The code of each session's group. */
  readonly #codes: Uint32Array | undefined
  /**
   * Seconds that the session's pages were open. Most clients report whole seconds. A Float32Array holds their sums
   * exactly, up to half a year.
   */
  #seconds: Float32Array | Float64Array | undefined
  readonly #flags: Uint8Array

  /** `from` is the earliest time of an event in Unix ms. All sessions must have been added to `slots`. */
  constructor(
    readonly slots: SessionSlots,
    from: number,
    facts: SessionFacts,
    private readonly budget: MemoryBudget,
  ) {
    const { size } = slots
    const hasFirst = facts.first || facts.code === "first"
    const bytes = 1 + (hasFirst ? 6 : 0) + (facts.code === "last" ? 6 : 0) + (facts.code ? 4 : 0)
    budget.reserve(size * (bytes + (facts.totals ? 4 : 0)))
    this.#firstViews = hasFirst ? new ViewTimes(size, from) : undefined
    this.#lastViews = facts.code === "last" ? new ViewTimes(size, from) : undefined
    this.#codes = facts.code && new Uint32Array(size)
    this.#seconds = facts.totals ? new Float32Array(size) : undefined
    this.#flags = new Uint8Array(size)
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
    const { slots } = this
    const [ids, times, flags] = [batch.sessions(), batch.times(), this.#flags]
    const [first, last, codes] = [this.#firstViews, this.#lastViews, this.#codes]
    const day = (first ?? last)?.dayOf(batch) ?? 0
    forEachEvent(selection, (index) => {
      const id = ids[index] as number
      if (id === 0) return
      const slot = slots.of(id)
      let flag = flags[slot] as number
      if ((flag & viewsMask) < 2) flag++
      if (!first) flag |= isSelected
      else {
        const ms = times[index] as number
        if (first.isUnset(slot) || first.isAfter(slot, day, ms)) {
          first.set(slot, day, ms)
          flag = (matches ? matches[index] : 1) === 1 ? flag | isSelected : flag & ~isSelected
          if (codes && groups && !last) codes[slot] = groups[index] as number
        }
      }
      flags[slot] = flag
      if (last && codes && groups) {
        const ms = times[index] as number
        if (last.isUnset(slot) || !last.isAfter(slot, day, ms)) {
          last.set(slot, day, ms)
          codes[slot] = groups[index] as number
        }
      }
    })
  }

  addExits(batch: Batch, selection: Selection): void {
    const column = columnOf(batch, "property.time_on_page")
    if (!column || !this.#seconds) return
    const { slots } = this
    const ids = batch.sessions()
    const seconds = [0, ...column.values.map((value) => pageSeconds(numberOf(value)))]
    if (this.#seconds instanceof Float32Array && !seconds.every(Number.isInteger)) {
      this.budget.reserve(slots.size * Float64Array.BYTES_PER_ELEMENT)
      this.#seconds = Float64Array.from(this.#seconds)
    }
    const sums = this.#seconds
    const { codes } = column
    forEachEvent(selection, (index) => {
      const slot = slots.of(ids[index] as number)
      sums[slot] = (sums[slot] as number) + (seconds[codes[index] as number] as number)
    })
  }

  addOthers(batch: Batch, selection: Selection): void {
    const [ids, flags, slots] = [batch.sessions(), this.#flags, this.slots]
    forEachEvent(selection, (index) => {
      const slot = slots.of(ids[index] as number)
      flags[slot] = (flags[slot] as number) | hasOtherEvents
    })
  }

  /** Excludes sessions. Must be called before events are added. */
  exclude(ids: Uint32Array): void {
    for (const id of ids) this.#flags[this.slots.of(id)] = isExcluded
  }

  /** Returns true if the views of the session are counted. */
  isIncluded(slot: number): boolean {
    return ((this.#flags[slot] as number) & (isSelected | isExcluded)) === isSelected
  }

  codeOf(slot: number): number {
    return this.#codes?.[slot] ?? 0
  }

  /** Returns the time of the session's first view in Unix ms. */
  firstViewOf(slot: number): number {
    return this.#firstViews?.of(slot) ?? 0
  }

  secondsOf(slot: number): number {
    const seconds = this.#seconds?.[slot] ?? 0
    return Number.isInteger(seconds) ? seconds : Math.round(seconds * perSecond) / perSecond
  }

  isBounce(slot: number): boolean {
    const flag = this.#flags[slot] as number
    return isBounce(flag & viewsMask, (flag & hasOtherEvents) !== 0, this.secondsOf(slot))
  }

  /** Marks the session as counted. Returns false if it had already been counted. */
  count(slot: number): boolean {
    const flag = this.#flags[slot] as number
    if ((flag & isCounted) !== 0) return false
    this.#flags[slot] = flag | isCounted
    return true
  }
}

import { type Batch, dayMs } from "../../columns/batch.ts"
import { numberOf } from "../json-values.ts"
import { columnOf } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { forEachEvent, type Selection } from "../structures/selection.ts"
import { isBounce, pageSeconds } from "./bounce.ts"

/**
 * A traffic query also reads this many ms before its range, to find the first view of each session and the session's
 * other views and events. For example, a session that starts before midnight keeps its source on the next day. Nearly
 * all sessions are shorter.
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
  /** Days since the first day of the range, plus 1. 0 for a session without a view. */
  readonly #days: Uint16Array
  readonly #ms: Uint32Array

  constructor(
    size: number,
    private readonly firstDay: number,
  ) {
    this.#days = new Uint16Array(size)
    this.#ms = new Uint32Array(size)
  }

  dayOf(batch: Batch): number {
    return batch.base / dayMs - this.firstDay + 1
  }

  isUnset(id: number): boolean {
    return this.#days[id] === 0
  }

  /** Returns true if the time stored for the session is later. `day` comes from `dayOf`. */
  isAfter(id: number, day: number, ms: number): boolean {
    const storedDay = this.#days[id] as number
    return storedDay > day || (storedDay === day && (this.#ms[id] as number) > ms)
  }

  set(id: number, day: number, ms: number): void {
    this.#days[id] = day
    this.#ms[id] = ms
  }

  clear(id: number): void {
    this.#days[id] = 0
  }

  /** Returns the time in Unix ms. */
  of(id: number): number {
    return ((this.#days[id] as number) - 1 + this.firstDay) * dayMs + (this.#ms[id] as number)
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

/** Facts about whole sessions, by session ID. The object can be cleared and reused for other events. */
export class PageSessions {
  readonly #firstViews: ViewTimes | undefined
  readonly #lastViews: ViewTimes | undefined
  /** The code of the group. */
  readonly #codes: Uint32Array | undefined
  /** Seconds that the session's pages were open. Sums of whole seconds are exact up to half a year. */
  readonly #seconds: Float32Array | undefined
  readonly #flags: Uint8Array

  /** `size` is one more than the largest session ID. `from` is the earliest time of an event in Unix ms. */
  constructor(size: number, from: number, facts: SessionFacts, budget: MemoryBudget) {
    const hasFirst = facts.first || facts.code === "first"
    const bytes = 1 + (hasFirst ? 6 : 0) + (facts.code === "last" ? 6 : 0) + (facts.code ? 4 : 0)
    budget.reserve(size * (bytes + (facts.totals ? 4 : 0)))
    const firstDay = Math.floor(from / dayMs)
    this.#firstViews = hasFirst ? new ViewTimes(size, firstDay) : undefined
    this.#lastViews = facts.code === "last" ? new ViewTimes(size, firstDay) : undefined
    this.#codes = facts.code && new Uint32Array(size)
    this.#seconds = facts.totals ? new Float32Array(size) : undefined
    this.#flags = new Uint8Array(size)
  }

  /**
   * `matches` is 1 for each view that matches the session filters, or undefined if all views match. `groups` is the
   * group of each view.
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

  /** Clears the sessions of events. */
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

  /** Returns the time in Unix ms. */
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

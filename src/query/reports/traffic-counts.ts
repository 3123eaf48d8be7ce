import type { Batch } from "../../columns/batch.ts"
import { groupsPerStep } from "../aggregate/group-table.ts"
import type { Measurement } from "../aggregate/measurement.ts"
import { type MeasureContext, measurementOf } from "../aggregate/measures.ts"
import type { Mergeable } from "../aggregate/partial-aggregates.ts"
import type { Bucket, GroupKey, TrafficGroup } from "../query.ts"
import type { Narrowed } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { NumberCounts } from "../structures/number-counts.ts"
import { NumberDictionary } from "../structures/number-dictionary.ts"
import type { Selection } from "../structures/selection.ts"

/** Bytes of a group's counts. */
export const trafficGroupBytes = 200
/** Durations in whole seconds below this number are counted in a table before they are added to a group. */
const tableSeconds = 4_096

/**
 * The measures that `TrafficCounts` computes. This object is cached together with the counts, so it must hold no more
 * data than necessary.
 */
export interface TrafficMeasures extends MeasureContext {
  /**
   * If true, a session is counted in the group of each of its views, which can be several groups. If false, each
   * session is counted once.
   */
  sessionsByView: boolean
  /** If true, bounces and durations are counted. */
  totals: boolean
}

/** Identifies a group by the values of its fields, or by its bucket. */
interface Label {
  by: GroupKey
  /** Start of the bucket in Unix ms. 0 if groups have no buckets. */
  start: number
  /** Identifies the values and the bucket. */
  key: string
}

/**
 * Counts views and sessions by group. If several objects are merged, each session must be counted in only one of them.
 */
export class TrafficCounts implements Mergeable<TrafficCounts> {
  /** Events that have been added but not counted yet. */
  pending: Narrowed[] = []
  readonly #groups = new Map<string, number>()
  readonly #labels: Label[]
  readonly #views: number[]
  readonly #sessions: number[]
  readonly #bounces: number[]
  /** The dictionary of the durations in all groups. */
  readonly #durations: NumberDictionary
  readonly #seconds: NumberCounts[]
  /** Durations that are not in `#seconds` yet: for each group, the number of sessions by duration in whole seconds. */
  readonly #tables = new Map<number, Uint32Array>()
  readonly #visitors: Measurement
  readonly #sessionIds: Measurement | undefined

  /** `base` contains the initial counts, which must not change afterwards. */
  constructor(
    private readonly measures: TrafficMeasures,
    private readonly budget: MemoryBudget,
    private readonly base?: TrafficCounts,
  ) {
    this.#labels = base ? base.#labels.slice() : []
    this.#views = base ? base.#views.slice() : []
    this.#sessions = base ? base.#sessions.slice() : []
    this.#bounces = base ? base.#bounces.slice() : []
    const durations = new NumberDictionary(budget, base ? base.#durations : undefined)
    this.#durations = durations
    this.#seconds = base ? base.#seconds.map((seconds) => new NumberCounts(durations, budget, seconds)) : []
    const distinct = (measure: "users" | "sessions", initial: Measurement | undefined) =>
      measurementOf(measure, measures, budget, initial)
    this.#visitors = distinct("users", base ? base.#visitors : undefined)
    this.#sessionIds = measures.sessionsByView
      ? distinct("sessions", base ? base.#sessionIds : undefined)
      : undefined
    budget.reserve(this.#labels.length * trafficGroupBytes)
  }

  add(batch: Batch, selection: Selection): void {
    this.pending.push({ batch, selection })
  }

  /** Returns the index of a group. Adds the group if it does not exist. */
  groupOf(by: GroupKey, start: number): number {
    return this.#groupOf({ by, start, key: `${start} ${JSON.stringify(by)}` })
  }

  #groupOf(label: Label): number {
    const { key } = label
    const known = this.#known(key)
    if (known !== undefined) return known
    this.budget.reserve(trafficGroupBytes + key.length * 2)
    const group = this.#labels.push(label) - 1
    this.#groups.set(key, group)
    this.#views.push(0)
    this.#sessions.push(0)
    this.#bounces.push(0)
    if (this.measures.totals) this.#seconds.push(new NumberCounts(this.#durations, this.budget))
    this.#visitors.grow()
    this.#sessionIds?.grow()
    return group
  }

  #known(key: string): number | undefined {
    return this.#groups.get(key) ?? (this.base ? this.base.#known(key) : undefined)
  }

  /** Adds each selected view to its group. */
  addViews(groups: Uint32Array, batch: Batch, selection: Selection): void {
    const views = this.#views
    for (const group of groups) views[group] = (views[group] as number) + 1
    this.#visitors.addEach(groups, batch, selection)
    this.#sessionIds?.addEach(groups, batch, selection)
  }

  /** Adds a session to a group. `seconds` is how long the session's pages were open. */
  addSession(group: number, isBounce: boolean, seconds: number): void {
    this.#sessions[group] = (this.#sessions[group] as number) + 1
    if (!this.measures.totals) return
    if (isBounce) this.#bounces[group] = (this.#bounces[group] as number) + 1
    if (seconds <= 0) return
    if (seconds >= tableSeconds || !Number.isInteger(seconds)) {
      this.#seconds[group]?.add(this.#durations.codeOf(seconds), 1)
      return
    }
    let table = this.#tables.get(group)
    if (!table) {
      table = new Uint32Array(tableSeconds)
      this.#tables.set(group, table)
    }
    table[seconds] = (table[seconds] as number) + 1
  }

  /** Clears `pending` once its events have been counted, and adds the durations in the tables to `#seconds`. */
  settle(): void {
    this.pending = []
    for (const [group, table] of this.#tables) {
      const seconds = this.#seconds[group] as NumberCounts
      table.forEach((times, value) => {
        if (times > 0) seconds.add(this.#durations.codeOf(value), times)
      })
    }
    this.#tables.clear()
  }

  *merge(other: TrafficCounts): Generator<void, void> {
    for (const [from, label] of other.#labels.entries()) {
      if (from % groupsPerStep === groupsPerStep - 1) yield
      const group = this.#groupOf(label)
      const add = (totals: number[], added: number[]) => {
        totals[group] = (totals[group] as number) + (added[from] as number)
      }
      add(this.#views, other.#views)
      add(this.#sessions, other.#sessions)
      add(this.#bounces, other.#bounces)
      if (this.measures.totals) this.#seconds[group]?.merge(other.#seconds[from] as NumberCounts)
      this.#visitors.merge(group, other.#visitors, from)
      if (other.#sessionIds) this.#sessionIds?.merge(group, other.#sessionIds, from)
    }
  }

  pack(): void {
    for (const seconds of this.#seconds) seconds.pack()
    this.#durations.trim()
    this.#visitors.pack()
    this.#sessionIds?.pack()
  }

  /** Returns the groups with views or sessions. */
  *rows(buckets: readonly Bucket[]): Generator<void, TrafficGroup[]> {
    const bucketOf = new Map(buckets.map(({ from }, bucket) => [from, bucket]))
    const rows: TrafficGroup[] = []
    for (const [group, { by, start }] of this.#labels.entries()) {
      if (group % groupsPerStep === groupsPerStep - 1) yield
      const views = this.#views[group] as number
      const sessions = this.#sessionIds?.value(group) ?? (this.#sessions[group] as number)
      if (views === 0 && sessions === 0) continue
      rows.push({
        by,
        bucket: bucketOf.get(start) ?? 0,
        views,
        visitors: this.#visitors.value(group) ?? 0,
        sessions,
        bounces: this.#bounces[group] as number,
        medianDuration: this.#seconds[group]?.percentile(0.5) ?? null,
      })
    }
    return rows
  }
}

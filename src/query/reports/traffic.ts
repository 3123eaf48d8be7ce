import { type Batch, dayMs } from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import { contextFields } from "../../store/contexts.ts"
import { GroupedIds } from "../aggregate/grouped-ids.ts"
import { groups } from "../aggregate/groups.ts"
import { numberOf } from "../json-values.ts"
import {
  type Bucket,
  type Dimension,
  type Filter,
  type GroupsQuery,
  type Scope,
  sessionLookBack,
  type TrafficGroup,
  type TrafficQuery,
  type TrafficResult,
} from "../query.ts"
import { columnOf, Matcher } from "../scan/matcher.ts"
import { GroupMedians } from "../structures/group-medians.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { forEachEvent, indexAt, type Selection, sizeOf } from "../structures/selection.ts"
import { bucketAt, bucketsOf } from "../structures/time-zone.ts"
import { GroupCodes } from "./dimension-codes.ts"
import { type ReportSource, visitBatches } from "./step.ts"

type TrafficSource = ReportSource & Pick<Snapshot, "stamps">

/** A session of one view is a bounce if its pages were open for less than this many seconds. */
const bounceSeconds = 10
/** Seconds that a page can be open, as the page script's endpoints accept them. An import can have other numbers. */
const maxPageSeconds = 86_400
/** Bytes of the counts of a group. */
const groupBytes = 200
/** Bytes for each session id: see `SessionTable`. */
const sessionBytes = 11

/**
 * Page views, visitors and sessions: see `TrafficQuery`.
 *
 * The first scan finds what belongs to a whole session: its first and last view, how long its pages were open, and whether it has other
 * events. The second one counts the views that match the filters. Memory: 11 bytes for each session id, 4 more if grouped, 10 by the last view,
 * and 4 bytes for each visitor of a group.
 */
export function* traffic(
  query: TrafficQuery,
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, TrafficResult> {
  const { by, scope } = query
  if (by?.view === "each" && !scope.filters.some(isOfSession))
    return yield* trafficOfViews(scope, by.fields, source, budget)
  // A new event can change the first view of any session, so the result is reused only while there is none.
  if (source.days.some((day) => day.isUnread || day.inRows().length > 0))
    return yield* scanTraffic(query, source, budget)
  const key = `traffic ${JSON.stringify(query)}`
  const state = source.days.map((day) => `${day.day} ${day.state}`).join(" ")
  const known = source.cache.find<TrafficResult>(key, state)
  if (known) {
    source.usedCache = true
    return known
  }
  const result = yield* scanTraffic(query, source, budget)
  source.cache.put(key, state, result, (result.groups.length + result.buckets.length) * groupBytes, false)
  return result
}

/** Page views by their own fields need no sessions: the partial aggregates of groups have them. */
function* trafficOfViews(
  scope: Scope,
  by: readonly Dimension[],
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, TrafficResult> {
  const ofViews: GroupsQuery = {
    kind: "groups",
    // The kinds of the scope decided what the snapshot holds.
    scope: { ...scope, filters: [...scope.filters, isView] },
    by,
    measures: ["events", "users", "sessions"],
  }
  const { buckets, groups: rows } = yield* groups(ofViews, source, budget)
  return {
    buckets,
    groups: rows.map(({ by: values, bucket, values: [views, visitors, sessions] }) => ({
      by: values,
      bucket,
      views: views ?? 0,
      visitors: visitors ?? 0,
      sessions: sessions ?? 0,
      bounces: 0,
      medianDuration: null,
    })),
  }
}

function* scanTraffic(
  { scope, by, granularity }: TrafficQuery,
  source: TrafficSource,
  budget: MemoryBudget,
): Generator<void, TrafficResult> {
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, granularity)
  const ofSessions = new Matcher(scope, scope.filters.filter(isOfSession), source)
  const ofViews = new Matcher(
    scope,
    [isView, ...scope.filters.filter((filter) => !isOfSession(filter))],
    source,
  )
  const codes = by && new GroupCodes(by.fields, source, budget)
  const sessionCodes = by?.view === "each" ? undefined : codes
  const ofSession = by?.view === "each" ? undefined : by?.view
  const from = scope.from - sessionLookBack
  const sessions = new SessionTable(source.numbers.sessions, from, ofSession, budget)
  yield* visitBatches(source, new Matcher({ from, to: scope.to }, [], source), (batch, selection) => {
    if (batch.kind === "page_view")
      sessions.addViews(batch, selection, fittingOf(ofSessions, batch, selection), sessionCodes)
    else if (batch.kind === "page_exit") sessions.addExits(batch, selection)
    else sessions.addOthers(batch, selection)
  })
  const counts = new TrafficCounts(sessions, buckets, by?.view === "each", source, budget)
  yield* visitBatches(source, ofViews, (batch, selection) => {
    counts.add(
      batch,
      selection,
      fittingOf(ofSessions, batch, selection),
      codes?.codesOf(batch),
      codes?.size ?? 1,
    )
  })
  if (codes) yield* codes.lookUp()
  return { buckets, groups: counts.groups((code) => codes?.valuesOf(code) ?? []) }
}

const isView: Filter = { field: "kind", op: "eq", value: "page_view" }

/** True for a filter that selects sessions by their first view. */
function isOfSession({ field }: Filter): boolean {
  // includes takes only one of its own values.
  return (contextFields as readonly string[]).includes(field)
}

/** One byte for each event of a batch: 1 if it matches; undefined if all selected events match. */
function fittingOf(matcher: Matcher, batch: Batch, selection: Selection): Uint8Array | undefined {
  if (!matcher.perEvent) return undefined
  const fits = new Uint8Array(batch.count)
  const selected = matcher.select(batch, selection)
  if (selected) forEachEvent(selected, (index) => (fits[index] = 1))
  return fits
}

/** Flags of a session; the lowest two bits are the number of its views, at most 2. */
const viewsMask = 3
const hasOtherEvents = 4
const isCounted = 8
/** Its first view matches the filters of sessions. */
const isSelected = 16

/** The time of a view of each session: 6 bytes for each session id, where Unix ms take 8. */
class ViewTimes {
  /** Days since the first day of the range, plus 1; 0 for a session without a view. */
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

  /** True if the session has a later time. `day`: as from `dayOf`. */
  isAfter(id: number, day: number, ms: number): boolean {
    const own = this.#days[id] as number
    return own > day || (own === day && (this.#ms[id] as number) > ms)
  }

  set(id: number, day: number, ms: number): void {
    this.#days[id] = day
    this.#ms[id] = ms
  }

  /** Unix ms */
  of(id: number): number {
    return ((this.#days[id] as number) - 1 + this.firstDay) * dayMs + (this.#ms[id] as number)
  }
}

/** What belongs to a whole session, by session id. */
class SessionTable {
  readonly firstViews: ViewTimes
  /** Only if sessions are grouped by the last view. */
  readonly #lastViews: ViewTimes | undefined
  /** The code of the group. Only if sessions are grouped by a field. */
  readonly #codes: Uint32Array | undefined
  /** Seconds that its pages were open. Sums of whole seconds up to half a year are exact. */
  readonly seconds: Float32Array
  readonly #flags: Uint8Array

  /** `from`: the start of the range, Unix ms. `by`: undefined if sessions are not grouped by a field. */
  constructor(size: number, from: number, by: "first" | "last" | undefined, budget: MemoryBudget) {
    budget.reserve(size * (sessionBytes + (by ? 4 : 0) + (by === "last" ? 6 : 0)))
    const firstDay = Math.floor(from / dayMs)
    this.firstViews = new ViewTimes(size, firstDay)
    this.#lastViews = by === "last" ? new ViewTimes(size, firstDay) : undefined
    this.#codes = by && new Uint32Array(size)
    this.seconds = new Float32Array(size)
    this.#flags = new Uint8Array(size)
  }

  /** `fits`: which views match the filters of sessions; undefined: all. */
  addViews(
    batch: Batch,
    selection: Selection,
    fits: Uint8Array | undefined,
    groups: GroupCodes | undefined,
  ): void {
    const [ids, times] = [batch.sessions(), batch.times()]
    const ofGroup = groups?.codesOf(batch)
    const [first, last, flags, codes] = [this.firstViews, this.#lastViews, this.#flags, this.#codes]
    const day = first.dayOf(batch)
    forEachEvent(selection, (index) => {
      const id = ids[index] as number
      if (id === 0) return
      const ms = times[index] as number
      let flag = flags[id] as number
      if ((flag & viewsMask) < 2) flag++
      if (first.isUnset(id) || first.isAfter(id, day, ms)) {
        first.set(id, day, ms)
        flag = (fits ? fits[index] : 1) === 1 ? flag | isSelected : flag & ~isSelected
        if (codes && ofGroup && !last) codes[id] = ofGroup[index] as number
      }
      flags[id] = flag
      if (last && codes && ofGroup && (last.isUnset(id) || !last.isAfter(id, day, ms))) {
        last.set(id, day, ms)
        codes[id] = ofGroup[index] as number
      }
    })
  }

  addExits(batch: Batch, selection: Selection): void {
    const column = columnOf(batch, "property.time_on_page")
    if (!column) return
    const ids = batch.sessions()
    const seconds = [0, ...column.values.map((value) => secondsOf(numberOf(value)))]
    const { codes } = column
    forEachEvent(selection, (index) => {
      const id = ids[index] as number
      this.seconds[id] = (this.seconds[id] as number) + (seconds[codes[index] as number] as number)
    })
  }

  addOthers(batch: Batch, selection: Selection): void {
    const ids = batch.sessions()
    forEachEvent(selection, (index) => {
      const id = ids[index] as number
      this.#flags[id] = (this.#flags[id] as number) | hasOtherEvents
    })
  }

  fits(id: number): boolean {
    return ((this.#flags[id] as number) & isSelected) !== 0
  }

  codeOf(id: number): number {
    return this.#codes?.[id] ?? 0
  }

  isBounce(id: number): boolean {
    return (
      ((this.#flags[id] as number) & (viewsMask | hasOtherEvents)) === 1 &&
      (this.seconds[id] as number) < bounceSeconds
    )
  }

  /** True the first time. */
  count(id: number): boolean {
    const flag = this.#flags[id] as number
    if ((flag & isCounted) !== 0) return false
    this.#flags[id] = flag | isCounted
    return true
  }
}

function secondsOf(number = 0): number {
  return Math.min(Math.max(number, 0), maxPageSeconds)
}

/** The counts of all groups. A group is a code, or a bucket. */
class TrafficCounts {
  readonly #views: number[] = []
  readonly #sessions: number[] = []
  readonly #bounces: number[] = []
  readonly #seconds: GroupMedians
  readonly #visitors: GroupedIds
  /** Only if grouped by fields of each view: a session then belongs to several groups. */
  readonly #sessionIds: GroupedIds | undefined

  constructor(
    private readonly table: SessionTable,
    private readonly buckets: readonly Bucket[],
    byEach: boolean,
    source: TrafficSource,
    private readonly budget: MemoryBudget,
  ) {
    const { numbers, stamps } = source
    this.#seconds = new GroupMedians(budget)
    this.#visitors = new GroupedIds("visitors", numbers.visitors, stamps, budget)
    this.#sessionIds = byEach ? new GroupedIds("sessions", numbers.sessions, stamps, budget) : undefined
    this.#grow(buckets.length)
  }

  /** `fits`: which views match the filters of sessions, for views without a session. `codes`: of the views, `groups` of them. */
  add(
    batch: Batch,
    selection: Selection,
    fits: Uint8Array | undefined,
    codes: Uint32Array | undefined,
    groups: number,
  ): void {
    this.#grow(groups)
    const { table } = this
    const [ids, times] = [batch.sessions(), batch.times()]
    const size = sizeOf(selection)
    const at = new Uint32Array(size)
    const groupOf = new Uint32Array(size)
    let count = 0
    for (let n = 0; n < size; n++) {
      const index = indexAt(selection, n)
      const id = ids[index] as number
      if (id === 0 ? fits?.[index] === 0 : !table.fits(id)) continue
      const ts = batch.base + (times[index] as number)
      const ofSession = id === 0 || this.#sessionIds ? undefined : table.codeOf(id)
      const group = codes ? (ofSession ?? (codes[index] as number)) : bucketAt(this.buckets, ts)
      at[count] = index
      groupOf[count++] = group
      this.#views[group] = (this.#views[group] as number) + 1
      if (ofSession !== undefined && table.count(id))
        this.#addSession(id, codes ? group : bucketAt(this.buckets, table.firstViews.of(id)))
    }
    const selected = { ...selection, at: at.subarray(0, count) }
    for (const distinct of [this.#visitors, this.#sessionIds])
      distinct?.addEach(groupOf.subarray(0, count), batch, selected)
  }

  #addSession(id: number, group: number): void {
    this.#sessions[group] = (this.#sessions[group] as number) + 1
    if (this.table.isBounce(id)) this.#bounces[group] = (this.#bounces[group] as number) + 1
    const seconds = this.table.seconds[id] as number
    if (seconds > 0) this.#seconds.add(group, seconds)
  }

  #grow(groups: number): void {
    for (; this.#views.length < groups; this.#views.push(0)) {
      this.budget.reserve(groupBytes)
      this.#sessions.push(0)
      this.#bounces.push(0)
      this.#visitors.grow()
      this.#sessionIds?.grow()
    }
  }

  groups(valuesOf: (code: number) => (string | null)[]): TrafficGroup[] {
    const medians = this.#seconds.medians(this.#views.length)
    const isByTime = this.buckets.length > 1
    return this.#views.flatMap((views, group): TrafficGroup[] => {
      const sessions = this.#sessionIds?.value(group) ?? (this.#sessions[group] as number)
      if (views === 0 && sessions === 0) return []
      return [
        {
          by: isByTime ? [] : valuesOf(group),
          bucket: isByTime ? group : 0,
          views,
          visitors: this.#visitors.value(group),
          sessions,
          bounces: this.#bounces[group] as number,
          medianDuration: medians[group] ?? null,
        },
      ]
    })
  }
}

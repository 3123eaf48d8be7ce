import type { Batch } from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import { contextFields } from "../../store/contexts.ts"
import { GroupedIds } from "../aggregate/grouped-ids.ts"
import { groups } from "../aggregate/groups.ts"
import { numberOf } from "../json.ts"
import type {
  Bucket,
  Dimension,
  Filter,
  GroupsQuery,
  Scope,
  TrafficGroup,
  TrafficQuery,
  TrafficResult,
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
/** Bytes of the counts of a group. */
const groupBytes = 200
/** Bytes for each session id: see `SessionTable`. */
const sessionBytes = 21

/**
 * Page views, visitors and sessions: see `TrafficQuery`.
 *
 * The first scan finds what belongs to a whole session: its first and last view, how long its pages were open, and whether it has other
 * events. The second one counts the views that match the filters. Memory: 21 bytes for each session id, 29 if grouped by the last view,
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
  const sessions = new SessionTable(source.numbers.sessions, by?.view === "last", budget)
  yield* visitBatches(source, new Matcher(scope, [], source), (batch, selection) => {
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

/** What belongs to a whole session, by session id. */
class SessionTable {
  /** Unix ms; Infinity for a session without a view. */
  readonly firstView: Float64Array
  /** Unix ms; only if sessions are grouped by the last view. */
  readonly #lastView: Float64Array | undefined
  /** Twice the code of the group, plus 1 if the first view matches the filters of sessions. */
  readonly #codes: Uint32Array
  /** Seconds that its pages were open. */
  readonly seconds: Float64Array
  readonly #flags: Uint8Array

  constructor(size: number, byLast: boolean, budget: MemoryBudget) {
    budget.reserve(size * (sessionBytes + (byLast ? 8 : 0)))
    this.firstView = new Float64Array(size).fill(Number.POSITIVE_INFINITY)
    this.#lastView = byLast ? new Float64Array(size).fill(Number.NEGATIVE_INFINITY) : undefined
    this.#codes = new Uint32Array(size)
    this.seconds = new Float64Array(size)
    this.#flags = new Uint8Array(size)
  }

  /** `fits`: which views match the filters of sessions; undefined: all. */
  addViews(
    batch: Batch,
    selection: Selection,
    fits: Uint8Array | undefined,
    codes: GroupCodes | undefined,
  ): void {
    const [ids, times] = [batch.sessions(), batch.times()]
    const ofGroup = codes?.codesOf(batch)
    const [firstView, lastView, flags, own] = [this.firstView, this.#lastView, this.#flags, this.#codes]
    forEachEvent(selection, (index) => {
      const id = ids[index] as number
      if (id === 0) return
      const ts = batch.base + (times[index] as number)
      const flag = flags[id] as number
      if ((flag & viewsMask) < 2) flags[id] = flag + 1
      const code = ofGroup ? (ofGroup[index] as number) : 0
      if (ts < (firstView[id] as number)) {
        firstView[id] = ts
        const fit = fits ? (fits[index] as number) : 1
        own[id] = (lastView ? (own[id] as number) & ~1 : code * 2) | fit
      }
      if (lastView && ts >= (lastView[id] as number)) {
        lastView[id] = ts
        own[id] = (code * 2) | ((own[id] as number) & 1)
      }
    })
  }

  addExits(batch: Batch, selection: Selection): void {
    const column = columnOf(batch, "property.time_on_page")
    if (!column) return
    const ids = batch.sessions()
    const seconds = [0, ...column.values.map((value) => numberOf(value) ?? 0)]
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
    return ((this.#codes[id] as number) & 1) === 1
  }

  codeOf(id: number): number {
    return (this.#codes[id] as number) >>> 1
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
        this.#addSession(id, codes ? group : bucketAt(this.buckets, table.firstView[id] as number))
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

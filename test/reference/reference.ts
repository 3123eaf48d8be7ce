import { isDeepStrictEqual } from "node:util"
import type { Dimension } from "../../src/query/fields.ts"
import type {
  EventsQuery,
  Filter,
  FunnelQuery,
  Group,
  GroupsPage,
  GroupsQuery,
  Measure,
  PathsQuery,
  PropertyNumbers,
  Query,
  QueryResults,
  ReachQuery,
  ReportCount,
  RetentionQuery,
  Scope,
  SessionsQuery,
  Step,
  StoredEvent,
  TrafficQuery,
  Unit,
  ValuesQuery,
  VisitorsQuery,
} from "../../src/query/query.ts"
import { type ContextField, contextFields } from "../../src/store/contexts.ts"
import { Clocks } from "./clock.ts"

// A slow and simple reference implementation of every query in src/query/query.ts, over an array of all events. It
// shares only types with the engine, so if both return the same result, it is probably correct.

export interface RawEvent extends StoredEvent {
  /** The website's id; null for events without a website. */
  websiteId: string | null
  /** `properties`, parsed. */
  parsed: object | null
  /** The event's profile id. If it has none, the profiles linked to its anonymous id, unless there are too many. */
  profiles: readonly string[]
  /** The profile to which the event's anonymous id was linked last. */
  linked: string | null
}

/** How long before the range the first view of a session can be, in ms. */
const trafficLookBack = 86_400_000

export function referenceResult<Q extends Query>(
  events: readonly RawEvent[],
  query: Q,
  clocks = new Clocks(),
): QueryResults[Q["kind"]] {
  // Filters of a traffic query select views and sessions, not events.
  const scope =
    query.kind === "traffic"
      ? { ...query.scope, from: query.scope.from - trafficLookBack, filters: [] }
      : query.scope
  const inScope = events.filter((event) => isInScope(event, scope))
  if (query.kind === "groups" && query.page?.previous) {
    const previous = events.filter((event) => isInScope(event, { ...scope, ...query.page?.previous }))
    return comparedGroups(inScope, previous, query, query.page) as QueryResults[Q["kind"]]
  }
  if ((query.kind === "visitors" || query.kind === "sessions") && query.of) {
    const { of } = query
    const counted = countedUnits(
      events.filter((event) => isInScope(event, of.query.scope)),
      of,
      clocks,
    )
    const list = query.kind === "sessions" ? sessions : of.query.unit === "profile_id" ? profiles : visitors
    return list(inScope, query, counted) as QueryResults[Q["kind"]]
  }
  const answer = reports[query.kind] as (events: RawEvent[], query: Query, clocks: Clocks) => unknown
  return answer(inScope, query, clocks) as QueryResults[Q["kind"]]
}

const reports = {
  groups,
  values,
  events: single,
  funnel,
  retention,
  paths,
  reach,
  sessions: (events: RawEvent[], query: SessionsQuery) => sessions(events, query),
  traffic,
  visitors: (events: RawEvent[], query: VisitorsQuery) => visitors(events, query),
}

// ——— Filters

export function isInScope(event: RawEvent, scope: Scope): boolean {
  return (
    scope.websites.includes(event.websiteRid) &&
    event.ts >= scope.from &&
    event.ts < scope.to &&
    (scope.crawlers || !event.crawler) &&
    scope.kinds.includes(event.kind) &&
    scope.filters.every((filter) => matches(event, filter))
  )
}

function matchesStep(event: RawEvent, step: Step): boolean {
  return (
    (step.name === undefined || (event.kind === "custom" && event.name === step.name)) &&
    (step.page === undefined || (event.kind === "page_view" && isPage(event.path, step.page))) &&
    step.filters.every((filter) => matches(event, filter))
  )
}

/** Each `*` stands for any text. */
function isPage(path: string | null, pattern: string): boolean {
  const parts = pattern
    .split("*")
    .map((part) => part.replace(/[^a-z]/gi, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`))
  return path !== null && new RegExp(`^${parts.join("[^]*")}$`, "u").test(path)
}

function matches(event: RawEvent, { field, op, value }: Filter): boolean {
  if (field === "profile") return event.profiles.includes(String(value))
  if (field === "page") return event.kind === "page_view" && isPage(event.path, String(value))
  const found = field === "property_key" ? keysOf(event) : present(contentOf(event, field))
  const some = (test: (text: string) => boolean) => found.some((one) => test(textOf(one)))
  const someNumber = (test: (number: number) => boolean) =>
    found.some((one) => {
      const number = numberIn(one)
      return number !== null && test(number)
    })
  const text = String(value)
  const list = (value: Filter["value"]) => (value as unknown[]).map(String)
  // There is no default case, so the code does not compile if an operator is missing.
  switch (op) {
    case "eq":
      return some((one) => one === text)
    case "ne":
      return !some((one) => one === text)
    case "in":
      return some((one) => list(value).includes(one))
    case "not_in":
      return !some((one) => list(value).includes(one))
    case "contains":
      return some((one) => one.includes(text))
    case "not_contains":
      return !some((one) => one.includes(text))
    case "contains_any_case":
      return some((one) => one.toLowerCase().includes(text.toLowerCase()))
    case "starts_with":
      return some((one) => one.startsWith(text))
    case "not_starts_with":
      return !some((one) => one.startsWith(text))
    case "ends_with":
      return some((one) => one.endsWith(text))
    case "gt":
      return someNumber((one) => one > Number(value))
    case "gte":
      return someNumber((one) => one >= Number(value))
    case "lt":
      return someNumber((one) => one < Number(value))
    case "lte":
      return someNumber((one) => one <= Number(value))
    case "exists":
      return found.length > 0 === value
  }
}

// ——— Values in an event

const fieldNames = {
  event_name: "name",
  kind: "kind",
  namespace: "namespace",
  source: "source",
  path: "path",
  profile_id: "profileId",
  anonymous_id: "anonymousId",
  session_id: "sessionId",
  website_id: "websiteId",
} as const

/** The value of a dimension in an event; null if it is missing. */
export function contentOf(event: RawEvent, dimension: Dimension): unknown {
  if (dimension === "query_string") return member(event.parsed, dimension)
  if (contextFields.some((field) => field === dimension)) return event.context[dimension as ContextField]
  if (!dimension.startsWith("property.")) return event[fieldNames[dimension as keyof typeof fieldNames]]
  const name = dimension.slice("property.".length)
  return deep(event.parsed, name.split("."))
}

/** The value at a path. Keys can contain dots, so the longest key that leads to a value is used. */
function deep(value: unknown, path: string[]): unknown {
  if (path.length === 0) return value
  for (let length = path.length; length > 0; length--) {
    const found = deep(member(value, path.slice(0, length).join(".")), path.slice(length))
    if (found !== null && found !== undefined) return found
  }
  return null
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null) return null
  if (Array.isArray(value)) return value.find((_, index) => String(index) === key) ?? null
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : null
}

/** The number in a value; null if there is none. A text is a number if it is a plain decimal, such as `-1.5`. */
function numberIn(value: unknown): number | null {
  if (typeof value === "number") return value
  if (typeof value !== "string") return null
  const [whole = "", fraction, ...more] = value.replace(/^-/, "").split(".")
  const isWhole = /^[0-9]+$/.test(whole) && (whole === "0" || !whole.startsWith("0"))
  const isFraction = fraction === undefined || /^[0-9]+$/.test(fraction)
  const isPlain = isWhole && isFraction && more.length === 0
  return isPlain && Math.abs(Number(value)) < 2 ** 53 ? Number(value) : null
}

/** Top-level keys that have a value. */
export function keysOf(event: RawEvent): string[] {
  return Object.keys(event.parsed ?? {}).filter((key) => member(event.parsed, key) !== null)
}

function present(value: unknown): unknown[] {
  return value === null || value === undefined ? [] : [value]
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value)
}

export function textOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : textOf(value)
}

// ——— Order and numbers

const byText = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0)
const nullFirst = (one: string | null, other: string | null) =>
  one === null || other === null ? Number(one !== null) - Number(other !== null) : byText(one, other)
const oldestFirst = (one: RawEvent, other: RawEvent) => one.ts - other.ts || one.id - other.id

const distinct = (values: (string | null)[]) => new Set(values.filter((value) => value !== null)).size

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return groups
}

/** The events of each unit. Events without the id have no unit; events of linked visitors can have several profiles. */
function byUnit(events: RawEvent[], unit: Unit): RawEvent[][] {
  return [...unitEvents(events, unit).values()]
}

function unitEvents(events: RawEvent[], unit: Unit): Map<string, RawEvent[]> {
  const all = new Map<string, RawEvent[]>()
  for (const event of events) {
    for (const id of unitsOf(event, unit)) {
      const theirs = all.get(id)
      if (theirs) theirs.push(event)
      else all.set(id, [event])
    }
  }
  return all
}

function unitsOf(event: RawEvent, unit: Unit): readonly string[] {
  if (unit === "profile_id") return event.profiles
  const id = event[fieldNames[unit]]
  return id === null ? [] : [id]
}

function nearestRank(values: number[], percent: number): number | null {
  const sorted = [...values].sort((one, other) => one - other)
  // Integer arithmetic: 0.95 times a count can be slightly above an integer.
  return sorted[Math.ceil((percent * sorted.length) / 100) - 1] ?? null
}

/** Compensated summation, so that the order of the events does not matter. */
function sumOf(values: number[]): number {
  let [sum, lost] = [0, 0]
  for (const value of values) {
    const next = sum + value
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum
    sum = next
  }
  return sum + lost
}

// ——— groups

function groups(
  events: RawEvent[],
  { scope, by, granularity, measures, only, page }: GroupsQuery,
  clocks: Clocks,
): QueryResults["groups"] {
  const clock = clocks.of(scope.zone)
  const buckets = granularity
    ? clock.buckets(scope.from, scope.to, granularity)
    : [{ from: scope.from, to: scope.to, label: "" }]
  const bucketOf = (event: RawEvent) =>
    granularity
      ? buckets.findIndex(
          ({ from, to, label }) =>
            event.ts >= from && event.ts < to && label === clock.label(event.ts, granularity),
        )
      : 0
  const grouped = groupBy(events, (event) =>
    JSON.stringify([bucketOf(event), ...by.map((dimension) => textOrNull(contentOf(event, dimension)))]),
  )
  if (by.length === 0 && !granularity && events.length === 0) grouped.set("[0]", [])
  const all = [...grouped].map(([key, members]) => {
    const [bucket, ...values] = JSON.parse(key) as [number, ...(string | null)[]]
    return { by: values, bucket, values: measures.map((measure) => measured(members, measure)) }
  })
  if (page) return { buckets, ...pageOf(all, page) }
  const isWanted = (group: Group) => !only || only.some((one) => isDeepStrictEqual(one, group.by))
  return { buckets, groups: all.filter(isWanted) }
}

/** A page of the groups of both periods. */
function comparedGroups(
  current: RawEvent[],
  previous: RawEvent[],
  { scope, by, measures }: GroupsQuery,
  { order, descending: down, offset, limit }: GroupsPage,
): QueryResults["groups"] {
  const valuesOf = (event: RawEvent) =>
    JSON.stringify(by.map((dimension) => textOrNull(contentOf(event, dimension))))
  const [nowBy, beforeBy] = [groupBy(current, valuesOf), groupBy(previous, valuesOf)]
  const all = [...new Set([...nowBy.keys(), ...beforeBy.keys()])].map((key) => ({
    by: JSON.parse(key) as (string | null)[],
    now: measures.map((measure) => measured(nowBy.get(key) ?? [], measure)),
    before: measures.map((measure) => measured(beforeBy.get(key) ?? [], measure)),
  }))
  const keysOf = ({ by, now, before }: (typeof all)[number]): (string | number | null)[] => {
    if ("by" in order) return [by[order.by] ?? null]
    if ("measure" in order) return [now[order.measure] ?? null, before[order.measure] ?? null]
    const index = "change" in order ? order.change : order.weightedChange
    const [value, past] = [now[index] ?? 0, before[index] ?? 0]
    const unit = "change" in order ? Math.abs(past) : Math.sqrt(Math.abs(value) + Math.abs(past))
    return [value === past ? 0 : (value - past) / unit, value - past]
  }
  all.sort((one, other) => {
    const others = keysOf(other)
    const byKey = keysOf(one).map((key, index) => placeOf(key, others[index] ?? null, down))
    const byText = one.by.map((value, index) => placeOf(value, other.by[index] ?? null, false))
    return [...byKey, ...byText].find((place) => place !== 0) ?? 0
  })
  const page = all.slice(offset, offset + limit)
  return {
    buckets: [{ from: scope.from, to: scope.to, label: "" }],
    groups: page.map(({ by, now }) => ({ by, bucket: 0, values: now })),
    previous: page.map(({ before }) => before),
    totals: { groups: all.length, sum: all.reduce((sum, { now: [first] }) => sum + (first ?? 0), 0) },
  }
}

/** Compares two values. Missing values come last in both directions. */
function placeOf(one: string | number | null, other: string | number | null, isDown: boolean): number {
  if (one === null || other === null) return Number(one === null) - Number(other === null)
  return (one < other ? -1 : one > other ? 1 : 0) * (isDown ? -1 : 1)
}

function pageOf(
  groups: Group[],
  { order, descending: down, offset, limit }: GroupsPage,
): Omit<QueryResults["groups"], "buckets"> {
  const placed = ({ by, values }: Group) =>
    ("by" in order ? by[order.by] : "measure" in order ? values[order.measure] : undefined) ?? null
  const sorted = [...groups].sort((one, other) => {
    const ties = one.by.map((value, index) => placeOf(value, other.by[index] ?? null, false))
    return placeOf(placed(one), placed(other), down) || ties.find((tie) => tie !== 0) || 0
  })
  const sum = groups.reduce((total, { values: [first] }) => total + (first ?? 0), 0)
  return { groups: sorted.slice(offset, offset + limit), totals: { groups: groups.length, sum } }
}

export function measured(events: RawEvent[], measure: Measure): number | null {
  const times = events.map(({ ts }) => ts)
  switch (measure) {
    case "events":
      return events.length
    case "users":
      return distinct(events.map(({ anonymousId }) => anonymousId))
    case "sessions":
      return distinct(events.map(({ sessionId }) => sessionId))
    case "profiles":
      return distinct(events.map(({ profileId }) => profileId))
    case "pages":
      return distinct(events.map(({ path }) => path))
    case "event_types":
      return distinct(events.map(({ name }) => name))
    case "with_properties":
      return events.filter(({ parsed }) => parsed && Object.keys(parsed).length > 0).length
    case "first":
      return times.length > 0 ? Math.min(...times) : null
    case "last":
      return times.length > 0 ? Math.max(...times) : null
  }
  const numbers = events
    .map((event) => numberIn(contentOf(event, measure.of)))
    .filter((value) => value !== null)
  if (measure.what === "count") return numbers.length
  if (numbers.length === 0) return null
  switch (measure.what) {
    case "sum":
      return sumOf(numbers)
    case "avg":
      return sumOf(numbers) / numbers.length
    case "min":
      return Math.min(...numbers)
    case "max":
      return Math.max(...numbers)
    case "p50":
      return nearestRank(numbers, 50)
    case "p75":
      return nearestRank(numbers, 75)
    case "p90":
      return nearestRank(numbers, 90)
    case "p95":
      return nearestRank(numbers, 95)
    case "p99":
      return nearestRank(numbers, 99)
  }
}

// ——— values

function values(events: RawEvent[], { keys, top, bins }: ValuesQuery): QueryResults["values"] {
  const properties: QueryResults["values"]["properties"] = []
  for (const [name, named] of groupBy(events, (event) => event.name)) {
    for (const key of new Set(named.flatMap(keysOf))) {
      if (keys && !keys.includes(key)) continue
      const found = named.flatMap((event) => present(member(event.parsed, key)))
      const numbers = found.map(numberIn).filter((value) => value !== null)
      const numberTexts = new Set(found.filter((value) => numberIn(value) !== null).map(textOf))
      const texts = found.map(textOf)
      const counts = [...groupBy(texts, (text) => text)].map(([text, same]) => ({ text, count: same.length }))
      const lengths = counts.map(({ text }) => text.length)
      const alike = (test: (text: string) => boolean) => counts.filter(({ text }) => test(text)).length
      properties.push({
        name,
        key,
        events: named.length,
        occurrences: texts.length,
        cardinality: counts.length,
        numeric: numberTexts.size,
        numericTexts: new Set(found.filter((value) => typeof value === "string" && numberIn(value) !== null))
          .size,
        boolean: alike((text) => text === "true" || text === "false"),
        date: alike((text) => /^\d{4}-\d\d-\d\d($|[T ])/.test(text) && !Number.isNaN(Date.parse(text))),
        url: alike((text) => /^https?:\/\/./i.test(text)),
        totalLength: sumOf(lengths),
        maxLength: Math.max(...lengths),
        top: counts
          .sort((one, other) => other.count - one.count || byText(one.text, other.text))
          .slice(0, top),
        ...(bins === undefined || numbers.length === 0 ? {} : { numbers: spread(numbers, bins) }),
      })
    }
  }
  return { properties }
}

function spread(numbers: number[], most: number): PropertyNumbers {
  const [min, max] = [Math.min(...numbers), Math.max(...numbers)]
  return {
    count: numbers.length,
    min,
    max,
    sum: sumOf(numbers),
    p50: nearestRank(numbers, 50) as number,
    p95: nearestRank(numbers, 95) as number,
    bins: histogram(numbers, boundsOf(min, max, numbers.every(Number.isInteger), most)),
  }
}

/**
 * The bounds of the bins of a histogram. Tries all widths, narrowest first. Bounds are multiples of the width, from the
 * last one up to the minimum to the first one from the maximum on.
 */
function boundsOf(min: number, max: number, isWhole: boolean, most: number): number[] {
  const largest = Math.max(Math.abs(min), Math.abs(max))
  for (let exponent = -330; ; exponent++) {
    for (const digit of [1, 2, 5]) {
      const width = Number(`${digit}e${exponent}`)
      const isTooFine =
        width < largest / 2 ** 40 || (isWhole ? width < 1 : min === max && width < largest / most)
      if (width === 0 || isTooFine) continue
      const bounds = [Number(`${Math.floor(min / width) * digit}e${exponent}`)]
      let index = Math.floor(min / width)
      // A quotient can be off by one because of rounding.
      while (Number(`${(index + 1) * digit}e${exponent}`) <= min)
        bounds[0] = Number(`${++index * digit}e${exponent}`)
      while ((bounds[0] as number) > min) bounds[0] = Number(`${--index * digit}e${exponent}`)
      do bounds.push(Number(`${++index * digit}e${exponent}`))
      while ((bounds.at(-1) as number) < max && bounds.length <= most + 2)
      if (bounds.length - 1 <= Math.max(most, 2)) return bounds
    }
  }
}

/** The last bin includes its end. */
function histogram(numbers: number[], bounds: number[]): PropertyNumbers["bins"] {
  return bounds.slice(1).map((to, index) => {
    const from = bounds[index] as number
    const isLast = index === bounds.length - 2
    const fitting = numbers.filter((number) => number >= from && (isLast ? number <= to : number < to))
    return { from, to, count: fitting.length }
  })
}

// ——— events

function single(events: RawEvent[], { limit, offset, after }: EventsQuery): QueryResults["events"] {
  const newestFirst = [...events].sort((one, other) => other.ts - one.ts || other.id - one.id)
  const left = newestFirst.filter(
    ({ ts, id }) => !after || ts < after.ts || (ts === after.ts && id < after.id),
  )
  return {
    events: left.slice(offset, offset + limit).map(({ parsed, profiles, linked, ...event }) => event),
  }
}

// ——— funnel

/** The steps that an event matches. */
interface Reached {
  ts: number
  steps: number[]
  by: string | null
}

/** The times at which a unit reached the first step, the second step, and so on. */
interface Attempt {
  by: string | null
  times: number[]
}

function funnel(events: RawEvent[], query: FunnelQuery): QueryResults["funnel"] {
  const { steps, by } = query
  const best = [...bestAttempts(events, query).values()]
  const byValue = groupBy(best, (attempt) => JSON.stringify(attempt.by))
  if (!by && best.length === 0) byValue.set("null", [])
  return {
    groups: [...byValue]
      .map(([value, attempts]) => ({
        by: JSON.parse(value) as string | null,
        steps: steps.map((_, index) => {
          const reached = attempts.filter(({ times }) => times.length > index)
          const waits = reached.map(({ times }) => (times[index] as number) - (times[index - 1] as number))
          return { units: reached.length, median: index === 0 ? null : nearestRank(waits, 50) }
        }),
      }))
      .sort((a, b) => (b.steps[0]?.units as number) - (a.steps[0]?.units as number) || nullFirst(a.by, b.by)),
  }
}

/** The best attempt of each unit, by the unit's id. */
function bestAttempts(events: RawEvent[], { steps, window, unit, by }: FunnelQuery): Map<string, Attempt> {
  const best = new Map<string, Attempt>()
  for (const [id, theirs] of unitEvents(events, unit)) {
    const reached = theirs
      .sort(oldestFirst)
      .map((event) => ({
        ts: event.ts,
        steps: steps.flatMap((step, index) => (matchesStep(event, step) ? [index] : [])),
        by: by ? textOrNull(contentOf(event, by)) : null,
      }))
      .filter((event) => event.steps.length > 0)
    const attempt = bestAttempt(reached, window)
    if (attempt) best.set(id, attempt)
  }
  return best
}

/** Each step keeps the latest attempt that reached it. The first attempt that gets furthest wins. */
function bestAttempt(events: Reached[], window: number): Attempt | undefined {
  const attempts: Attempt[] = []
  let best: Attempt | undefined
  for (const { ts, steps, by } of events) {
    for (const step of [...steps].reverse()) {
      const before = attempts[step - 1]
      if (step === 0) attempts[0] = { by, times: [ts] }
      else if (before && ts - (before.times[0] as number) <= window) {
        attempts[step] = { by: before.by, times: [...before.times, ts] }
      } else continue
      if (step + 1 > (best?.times.length ?? 0)) best = attempts[step]
    }
  }
  return best
}

// ——— retention

function retention(events: RawEvent[], query: RetentionQuery, clocks: Clocks): QueryResults["retention"] {
  const { scope, granularity } = query
  const buckets = clocks.of(scope.zone).buckets(scope.from, scope.to, granularity)
  const cohorts = buckets.map((_, index) => ({
    size: 0,
    returned: new Array<number>(buckets.length - index).fill(0),
  }))
  for (const { first, returns } of cohortMembers(events, query, buckets).values()) {
    const cohort = cohorts[first] as (typeof cohorts)[number]
    cohort.size++
    for (const index of returns) {
      if (index >= first) cohort.returned[index - first] = (cohort.returned[index - first] as number) + 1
    }
  }
  return { buckets, cohorts }
}

/** For each unit, the index of the period with its first start event, and of the periods with a return event. */
function cohortMembers(
  events: RawEvent[],
  { startEvent: start, returnEvent: comeBack, unit }: RetentionQuery,
  buckets: readonly { from: number; to: number }[],
): Map<string, { first: number; returns: Set<number> }> {
  const bucketOf = ({ ts }: RawEvent) => buckets.findIndex(({ from, to }) => ts >= from && ts < to)
  const members = new Map<string, { first: number; returns: Set<number> }>()
  for (const [id, theirs] of unitEvents(events, unit)) {
    const starts = theirs.filter((event) => matchesStep(event, start)).map(bucketOf)
    const returns = theirs.filter((event) => matchesStep(event, comeBack)).map(bucketOf)
    if (starts.length > 0) members.set(id, { first: Math.min(...starts), returns: new Set(returns) })
  }
  return members
}

// ——— the units that a report counts

function countedUnits(events: RawEvent[], of: ReportCount, clocks: Clocks): Set<string> {
  if ("step" in of) {
    const { query, step, isDropOff, value } = of
    const counted = [...bestAttempts(events, query)].filter(
      ([, { by, times }]) =>
        (isDropOff ? times.length === step + 1 : times.length > step) &&
        (value === undefined || by === value),
    )
    return new Set(counted.map(([id]) => id))
  }
  const { query, cohort, period } = of
  const { scope, granularity } = query
  const buckets = clocks.of(scope.zone).buckets(scope.from, scope.to, granularity)
  const counted = [...cohortMembers(events, query, buckets)].filter(
    ([, { first, returns }]) => first === cohort && (period === undefined || returns.has(cohort + period)),
  )
  return new Set(counted.map(([id]) => id))
}

// ——— reach

function reach(
  events: RawEvent[],
  { scope, granularity, unit }: ReachQuery,
  clocks: Clocks,
): QueryResults["reach"] {
  const buckets = granularity
    ? clocks.of(scope.zone).buckets(scope.from, scope.to, granularity)
    : [{ from: scope.from, to: scope.to, label: "" }]
  const units = buckets.map(({ from, to }) =>
    distinct(events.filter(({ ts }) => ts >= from && ts < to).flatMap((event) => unitsOf(event, unit))),
  )
  return { buckets, units }
}

// ——— paths, sessions, visitors

function paths(events: RawEvent[], { event: step, before, after }: PathsQuery): QueryResults["paths"] {
  const seen: { position: number; name: string | null; page: string | null }[] = []
  let sessions = 0
  for (const session of byUnit(events, "session_id")) {
    session.sort(oldestFirst)
    const at = session.findIndex((event) => matchesStep(event, step))
    if (at === -1) continue
    sessions++
    for (let position = -before; position <= after; position++) {
      const index = at + position
      // The end of a session counts once, not at the positions beyond it.
      if (position === 0 || index < -1 || index > session.length) continue
      const event = session[index]
      const page = event?.kind === "page_view" ? (event.path ?? "") : null
      seen.push({ position, name: event?.name ?? null, page })
    }
  }
  return {
    sessions,
    positions: [...groupBy(seen, (one) => JSON.stringify(one)).values()]
      .map((same) => ({ ...(same[0] as (typeof seen)[number]), count: same.length }))
      .sort(
        (a, b) =>
          a.position - b.position ||
          b.count - a.count ||
          nullFirst(a.name, b.name) ||
          nullFirst(a.page, b.page),
      ),
  }
}

/** Includes every id. Used if a query does not limit the list to certain units. */
const everyone = { has: (_id: string) => true }

function sessions(
  events: RawEvent[],
  { limit, offset }: ListPage,
  counted: Counted = everyone,
): QueryResults["sessions"] {
  const all = countedEvents(events, "session_id", counted).map(([, session]) => {
    session.sort(oldestFirst)
    const [first, last] = [session[0] as RawEvent, session.at(-1) as RawEvent]
    return {
      sessionId: first.sessionId as string,
      anonymousId: session.findLast(({ anonymousId }) => anonymousId !== null)?.anonymousId ?? null,
      profileId: session.findLast(({ profileId }) => profileId !== null)?.profileId ?? null,
      events: session.length,
      first: first.ts,
      last: last.ts,
      firstEvent: first.name,
      lastEvent: last.name,
    }
  })
  all.sort((one, other) => other.last - one.last || byText(one.sessionId, other.sessionId))
  return { total: all.length, sessions: all.slice(offset, offset + limit) }
}

function visitors(
  events: RawEvent[],
  { limit, offset }: ListPage,
  counted: Counted = everyone,
): QueryResults["visitors"] {
  const all = countedEvents(events, "anonymous_id", counted).map(([, own]) => {
    own.sort(oldestFirst)
    const [first, last] = [own[0] as RawEvent, own.at(-1) as RawEvent]
    return {
      anonymousId: first.anonymousId as string,
      profileId: own.findLast(({ profileId }) => profileId !== null)?.profileId ?? last.linked,
      events: own.length,
      sessions: distinct(own.map(({ sessionId }) => sessionId)),
      first: first.ts,
      last: last.ts,
    }
  })
  all.sort((one, other) => other.last - one.last || byText(one.anonymousId, other.anonymousId))
  return { total: all.length, visitors: all.slice(offset, offset + limit) }
}

function profiles(
  events: RawEvent[],
  { limit, offset }: ListPage,
  counted: Counted,
): QueryResults["visitors"] {
  const all = countedEvents(events, "profile_id", counted).map(([profileId, own]) => {
    own.sort(oldestFirst)
    return {
      anonymousId: own.findLast(({ anonymousId }) => anonymousId !== null)?.anonymousId ?? null,
      profileId,
      events: own.length,
      sessions: distinct(own.map(({ sessionId }) => sessionId)),
      first: (own[0] as RawEvent).ts,
      last: (own.at(-1) as RawEvent).ts,
    }
  })
  all.sort((one, other) => other.last - one.last || byText(one.profileId, other.profileId))
  return { total: all.length, visitors: all.slice(offset, offset + limit) }
}

type Counted = Pick<Set<string>, "has">
type ListPage = Pick<VisitorsQuery, "limit" | "offset">

function countedEvents(events: RawEvent[], unit: Unit, counted: Counted): [string, RawEvent[]][] {
  return [...unitEvents(events, unit)].filter(([id]) => counted.has(id))
}

// ——— traffic

/** Sorts by time. Events in the same ms are sorted by website and name, with people before crawlers, and then by id. */
const inTrafficOrder = (one: RawEvent, other: RawEvent) =>
  one.ts - other.ts ||
  one.websiteRid - other.websiteRid ||
  byText(one.name, other.name) ||
  Number(one.crawler) - Number(other.crawler) ||
  one.id - other.id

function traffic(
  events: RawEvent[],
  { scope, by, granularity }: TrafficQuery,
  clocks: Clocks,
): QueryResults["traffic"] {
  const buckets = granularity
    ? clocks.of(scope.zone).buckets(scope.from, scope.to, granularity)
    : [{ from: scope.from, to: scope.to, label: "" }]
  // A session that began before the range counts in the first bucket.
  const bucketOf = ({ ts }: RawEvent) =>
    Math.max(
      0,
      buckets.findIndex(({ from, to }) => ts >= from && ts < to),
    )
  const isOfSession = ({ field }: Filter) => contextFields.some((one) => one === field)
  const ofSession = scope.filters.filter(isOfSession)
  const ofView = scope.filters.filter((filter) => !isOfSession(filter))
  const bySession = groupBy(
    events.filter(({ sessionId }) => sessionId !== null),
    ({ sessionId }) => String(sessionId),
  )
  const views = events.filter(({ kind }) => kind === "page_view").sort(inTrafficOrder)
  const viewsBySession = groupBy(views, ({ sessionId }) => String(sessionId))
  const viewsOf = (view: RawEvent) => viewsBySession.get(String(view.sessionId)) as RawEvent[]
  // A view without a session is its own first and last view.
  const firstOf = (view: RawEvent) => (view.sessionId === null ? view : (viewsOf(view)[0] as RawEvent))
  const lastOf = (view: RawEvent) => (view.sessionId === null ? view : (viewsOf(view).at(-1) as RawEvent))
  const matching = views
    .filter(({ ts }) => ts >= scope.from)
    .filter((view) => ofView.every((filter) => matches(view, filter)))
    .filter((view) => ofSession.every((filter) => matches(firstOf(view), filter)))
  const sources = { each: (view: RawEvent) => view, first: firstOf, last: lastOf }
  const valuesIn = (view: RawEvent) =>
    by ? by.fields.map((field) => textOrNull(contentOf(sources[by.view](view), field))) : []
  const keyOf = (view: RawEvent, placed: RawEvent) => JSON.stringify([valuesIn(view), bucketOf(placed)])
  const groups = new Map<string, { views: RawEvent[]; sessions: Set<string> }>()
  const groupAt = (key: string) => {
    const group = groups.get(key) ?? { views: [], sessions: new Set() }
    groups.set(key, group)
    return group
  }
  for (const view of matching) {
    groupAt(keyOf(view, view)).views.push(view)
    if (view.sessionId !== null) groupAt(keyOf(view, firstOf(view))).sessions.add(view.sessionId)
  }
  return {
    buckets,
    groups: [...groups].map(([key, group]) => {
      const [values, bucket] = JSON.parse(key) as [(string | null)[], number]
      const facts = [...group.sessions].map((id) => sessionFacts(bySession.get(id) as RawEvent[]))
      const measuredSeconds = facts.flatMap(({ seconds }) => (seconds > 0 ? [seconds] : []))
      return {
        by: values,
        bucket,
        views: group.views.length,
        visitors: distinct(group.views.map(({ anonymousId }) => anonymousId)),
        sessions: group.sessions.size,
        bounces: by ? 0 : facts.filter(({ isBounce }) => isBounce).length,
        medianDuration: by ? null : nearestRank(measuredSeconds, 50),
      }
    }),
  }
}

function sessionFacts(events: RawEvent[]): { seconds: number; isBounce: boolean } {
  const micros = events
    .filter(({ kind }) => kind === "page_exit")
    .map(({ parsed }) => numberIn(deep(parsed, ["time_on_page"])) ?? 0)
    .reduce((sum, seconds) => sum + Math.round(Math.min(Math.max(seconds, 0), 86_400) * 1e6), 0)
  const views = events.filter(({ kind }) => kind === "page_view").length
  const others = events.filter(({ kind }) => kind !== "page_view" && kind !== "page_exit").length
  return { seconds: micros / 1e6, isBounce: views === 1 && others === 0 && micros < 10e6 }
}

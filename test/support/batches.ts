import { type DictionarySizes, dayMs, type IdKind, idKinds, type Value } from "../../src/columns/batch.ts"
import { emptyCodes } from "../../src/columns/column.ts"
import { type Columns, MemoryBatch, propertiesIn } from "../../src/columns/memory-batch.ts"
import { Cache } from "../../src/columns/result-cache.ts"
import type { Entry } from "../../src/columns/snapshot.ts"
import { type EventKind, eventKinds } from "../../src/event-kinds.ts"
import { positivePredicateOf } from "../../src/query/operators.ts"
import type { Scope } from "../../src/query/query.ts"
import type { ReportSource } from "../../src/query/reports/step.ts"
import type { LinkedVisitor } from "../../src/store/identity-resolution.ts"

/** An event in a short form for tests. */
export interface TestEvent {
  name: string
  /** Default: custom. */
  kind?: EventKind
  /** Unix ms */
  ts: number
  visitor?: string | null
  session?: string | null
  profile?: string | null
  path?: string
  website?: number
  crawler?: boolean
  properties?: Record<string, Value | null>
}

const idOf: Record<IdKind, (event: TestEvent) => string | null | undefined> = {
  visitors: ({ visitor }) => visitor,
  sessions: ({ session }) => session,
  profiles: ({ profile }) => profile,
}

/** A report source for events in memory, in the order in which they were received. */
export function sourceOf(
  events: readonly TestEvent[],
  /** Per website: anonymous ids with their profiles. */
  links: Record<number, LinkedVisitor[]> = {},
): ReportSource {
  const ids = {} as Record<IdKind, string[]>
  for (const kind of idKinds) ids[kind] = [...new Set(events.flatMap((event) => idOf[kind](event) ?? []))]
  const dictionaryIdsOf = (kind: IdKind, texts: readonly string[]) =>
    Uint32Array.from(texts, (text) => ids[kind].indexOf(text) + 1)
  const parts = new Map<string, TestEvent[]>()
  for (const event of events) {
    const key = JSON.stringify([
      Math.floor(event.ts / dayMs),
      event.website ?? 0,
      event.name,
      event.kind,
      event.crawler ?? false,
    ])
    parts.set(key, [...(parts.get(key) ?? []), event])
  }
  const entries = [...parts.values()]
    .map((part): Entry => {
      const columns = columnsOf(
        part.sort((one, other) => one.ts - other.ts),
        dictionaryIdsOf,
        events,
      )
      const { website, name, kind, day, crawler } = columns
      return {
        website,
        name,
        kind,
        day,
        crawler,
        afterId: 0,
        slice: undefined,
        open: () => new MemoryBatch(columns),
      }
    })
    .sort(
      (one, other) => one.day - other.day || one.website - other.website || (one.name < other.name ? -1 : 1),
    )
  return {
    get dictionarySizes(): DictionarySizes {
      const { visitors, sessions, profiles } = ids
      return {
        visitors: visitors.length + 1,
        sessions: sessions.length + 1,
        profiles: profiles.length + 1,
      }
    },
    assignDictionaryIds(kind, texts) {
      for (const text of texts) if (!ids[kind].includes(text)) ids[kind].push(text)
      return dictionaryIdsOf(kind, texts)
    },
    linkedVisitors: (website) => [links[website] ?? []],
    latestProfileOf: (website, anonymousId) => links[website]?.find(([id]) => id === anonymousId)?.[1].at(-1),
    *entries(names) {
      for (const entry of entries) if (!names || names.includes(entry.name)) yield entry
    },
    *daysBackwards() {
      const days = [...new Set(entries.map(({ day }) => day))].reverse()
      for (const day of days) yield entries.filter((entry) => entry.day === day)
    },
    open: (entry) => entry.open(),
    dictionaryIdsOf,
    foundIds: (kind, key) => {
      const [op, value] = JSON.parse(key)
      const test = positivePredicateOf({ op, value })
      return ids[kind].flatMap((text, index) => (test(text, text) ? index + 1 : []))
    },
    cache: new Cache(0),
    rowIdsAt: () => idsAreKnown(),
    typeOf: () => idsAreKnown(),
    websiteId: (rid) => (rid === 0 ? undefined : `website-${rid}`),
    *texts(kind, requested) {
      return new Map(
        requested.flatMap(({ dictionaryId, website, name, ts }): [number, string][] => {
          const text = ids[kind][dictionaryId - 1] as string
          const seen = events.some(
            (event) =>
              idOf[kind](event) === text &&
              (event.website ?? 0) === website &&
              event.name === name &&
              event.ts === ts,
          )
          return seen ? [[dictionaryId, text]] : []
        }),
      )
    },
  }
}

function idsAreKnown(): never {
  throw new Error("the ids of events in memory need no lookup")
}

function columnsOf(
  events: readonly TestEvent[],
  dictionaryIdsOf: (kind: IdKind, texts: readonly string[]) => Uint32Array,
  all: readonly TestEvent[],
): Columns {
  const [first] = events as [TestEvent]
  const day = Math.floor(first.ts / dayMs)
  const column = (of: (event: TestEvent) => Value | null | undefined) => {
    const keyOf = (value: Value) => (typeof value === "object" ? JSON.stringify(value) : value)
    const values = [
      ...new Map(events.flatMap((event) => of(event) ?? []).map((value) => [keyOf(value), value])).values(),
    ]
    const codes = emptyCodes(events.length, values.length)
    events.forEach((event, index) => {
      const value = of(event) ?? null
      codes[index] = value === null ? 0 : values.findIndex((other) => keyOf(other) === keyOf(value)) + 1
    })
    return { codes, values }
  }
  const idsOf = (kind: IdKind) =>
    Uint32Array.from(events, (event) => {
      const text = idOf[kind](event) ?? null
      return text === null ? 0 : (dictionaryIdsOf(kind, [text])[0] as number)
    })
  const keys = new Set(events.flatMap(({ properties }) => Object.keys(properties ?? {})))
  const properties = new Map([...keys].map((key) => [key, column(({ properties }) => properties?.[key])]))
  return {
    rowIds: Float64Array.from(events, (event) => all.indexOf(event) + 1),
    website: first.website ?? 0,
    name: first.name,
    kind: first.kind ?? "custom",
    crawler: first.crawler ?? false,
    day,
    count: events.length,
    bytes: 0,
    times: Uint32Array.from(events, ({ ts }) => ts - day * dayMs),
    ids: { visitors: idsOf("visitors"), sessions: idsOf("sessions"), profiles: idsOf("profiles") },
    fields: { path: column(({ path }) => path) },
    properties: () => propertiesIn(properties),
    hasProperties: Uint8Array.from(events, ({ properties }) =>
      Object.keys(properties ?? {}).length > 0 ? 1 : 0,
    ),
  }
}

/** Runs a generator to its end. */
export function runToEnd<Answer>(steps: Generator<void, Answer>): Answer {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

/** A scope of `days` days from the start of `day`. */
export function scopeOf(day: string, days: number, changes: Partial<Scope> = {}): Scope {
  const from = Date.parse(`${day}T00:00Z`)
  return {
    websites: [0],
    from,
    to: from + days * dayMs,
    zone: "UTC",
    filters: [],
    crawlers: true,
    kinds: eventKinds,
    ...changes,
  }
}

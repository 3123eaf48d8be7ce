import type { Db, Statement } from "./db/driver.ts"

/** An event as it was stored, under the names of the `events` view. */
export interface StoredEvent {
  id: number
  /** null: the owner's own event. */
  website_id: string | null
  name: string
  namespace: string | null
  source: string | null
  /** Unix ms, as `received_at`. */
  timestamp: number
  received_at: number
  anonymous_id: string | null
  session_id: string | null
  profile_id: string | null
  path: string | null
  event_id: string | null
  credential: "key" | "website_id"
  crawler: boolean
  /** The text of a JSON object. */
  properties: string | null
}

/** Which events are to be read. */
export interface EventSelection {
  /** websites.rid → websites.id, with null for 0, the owner's own events. */
  websites: ReadonlyMap<number, string | null>
  /** Unix ms, from (included) and to (not included) when they happened. */
  from: number
  to: number
}

export interface StoredProfile {
  profile_id: string
  /** The text of a JSON object. */
  traits: string
  created_at: number
  updated_at: number
}

export interface StoredLink {
  anonymous_id: string
  profile_id: string
  linked_at: number
}

/**
 * Events that are looked for by way of the index on time. So few are read one by one; more of them are quicker found among
 * all events in their order: 10 million are looked through in some 5 s.
 */
const maxIndexedEvents = 100_000
/** Entries of that index in one look, some ms. */
const indexRowsPerRead = 5_000
/** Profiles in one read: each may have 16 KiB of traits. */
const profilesPerRead = 100
const linksPerRead = 1_000
/** Sets of property keys that are kept parsed, at some 300 bytes each; when they are full they start anew. */
const maxCachedKeySets = 10_000

const eventColumns = `
  e.id, e.website_rid, t.name, t.namespace, t.source, e.ts, e.delay, e.anonymous_id, e.session_id, e.profile_id, e.path,
  e.event_id, e.via_key, e.crawler, t.keys, e.properties`

const sql = {
  last: "select max(id) from event_rows",
  lookByTime: `
    select ts, id from event_rows
    where website_rid = :rid and (ts, id) > (:ts, :id) and ts < :to
    order by ts, id
    limit :limit`,
  stretch:
    "select max(id) from (select id from event_rows where id > :after and id <= :last order by id limit :rows)",
  // The plus signs keep SQLite from the index on website and time: it would go through all of it for every stretch.
  inStretch: `
    select ${eventColumns}
    from event_rows as e
    cross join event_types as t on t.id = e.type_id
    where e.id > :after and e.id <= :last and +e.ts >= :from and +e.ts < :to
      and +e.website_rid in (select value from json_each(:rids))
    order by e.id`,
  atTime: `
    select ${eventColumns}
    from event_rows as e
    join event_types as t on t.id = e.type_id
    where e.website_rid = :rid and e.ts = :ts and e.id <= :last
    order by e.id`,
  byId: `
    select ${eventColumns}
    from event_rows as e
    cross join event_types as t on t.id = e.type_id
    where e.id in (select value from json_each(:ids)) and +e.website_rid in (select value from json_each(:rids))
    order by e.id`,
  profiles: `
    select profile_id, traits, created_at, updated_at from profiles
    where website_rid = :rid and profile_id > :after
    order by profile_id
    limit :limit`,
  profile: `
    select profile_id, traits, created_at, updated_at from profiles
    where website_rid = :rid and profile_id = :profileId`,
  // SQLite would look through all links of the website, which are in that order.
  linksOf: `
    select anonymous_id, profile_id, linked_at from profile_links indexed by profile_links_profile
    where website_rid = :rid and profile_id = :profileId
    order by anonymous_id`,
  linksFrom: `
    select anonymous_id, profile_id, linked_at from profile_links
    where website_rid = :rid and anonymous_id in (select value from json_each(:anonymousIds))
    order by anonymous_id, profile_id`,
  links: `
    select anonymous_id, profile_id, linked_at from profile_links
    where website_rid = :rid and (anonymous_id, profile_id) > (:anonymous, :profile)
    order by anonymous_id, profile_id
    limit :limit`,
}

type EventColumns = [
  id: number,
  rid: number,
  name: string,
  namespace: string,
  source: string,
  ts: number,
  delay: number,
  anonymousId: string | null,
  sessionId: string | null,
  profileId: string | null,
  path: string | null,
  eventId: string | null,
  viaKey: number,
  crawler: number,
  keys: string,
  properties: string | null,
]

/** Events of the first step, and characters of properties that a step has about: some ms. An event may have 32 KiB of them. */
const firstBatch = 16
const batchCharacters = 262_144

/** How many events the next step has, after one of `step`: fewer where they are large, and up to `rows`. */
function nextBatchSize(step: number, rows: number, events: readonly StoredEvent[]): number {
  const characters = events.reduce((sum, { properties }) => sum + (properties?.length ?? 0), 0)
  const fitting = Math.floor((batchCharacters * step) / Math.max(1, characters))
  return Math.max(1, Math.min(rows, step * 2, fitting))
}

/** Reads events a few at a time, each read a transaction of its own of some ms: rows never change once they are stored. */
export class EventReader {
  readonly #rangeEnd: Statement
  readonly #inRange: Statement
  readonly #byId: Statement
  readonly #atTime: Statement
  readonly #rids: string
  /** JSON text of `keys` → each key as JSON. */
  readonly #keys = new Map<string, string[]>()

  constructor(
    private readonly db: Db,
    private readonly selection: EventSelection,
  ) {
    this.#rangeEnd = db.prepare(sql.stretch).pluck()
    this.#inRange = db.prepare(sql.inStretch).raw()
    this.#byId = db.prepare(sql.byId).raw()
    this.#atTime = db.prepare(sql.atTime).raw()
    this.#rids = JSON.stringify([...selection.websites.keys()])
  }

  /**
   * Those that are there now, in the order of their ids, `rows` looked at in a step. An empty list is a step that found none:
   * whoever shares the thread with others can pause after it as after any.
   */
  *all(rows: number): Generator<StoredEvent[]> {
    const last = this.db.prepare(sql.last).pluck().get() as number | null
    if (last === null) return
    const few: number[] | undefined = yield* this.#idsByTime(last)
    if (few) {
      yield* this.inBatches(few, rows)
      return
    }
    const { from, to } = this.selection
    let step = Math.min(rows, firstBatch)
    for (let after = Number.MIN_SAFE_INTEGER; ; ) {
      const end = this.#rangeEnd.get({ after, last, rows: step }) as number | null
      if (end === null) return
      const found = this.#inRange.all({ after, last: end, from, to, rids: this.#rids })
      const events = (found as EventColumns[]).map((row) => this.#event(row))
      yield events
      after = end
      step = nextBatchSize(step, rows, events)
    }
  }

  /** The events with these ids, at most `rows` in a step. */
  *inBatches(ids: readonly number[], rows: number): Generator<StoredEvent[]> {
    let step = Math.min(rows, firstBatch)
    for (let at = 0; at < ids.length; ) {
      const events = this.byId(ids.slice(at, at + step))
      yield events
      at += step
      step = nextBatchSize(step, rows, events)
    }
  }

  byId(ids: readonly number[]): StoredEvent[] {
    const found = this.#byId.all({ ids: JSON.stringify(ids), rids: this.#rids })
    return (found as EventColumns[]).map((row) => this.#event(row))
  }

  /** Those of one website that happened in the same ms (Unix), with ids up to `last`. */
  atTime(rid: number, ts: number, last: number): StoredEvent[] {
    return (this.#atTime.all({ rid, ts, last }) as EventColumns[]).map((row) => this.#event(row))
  }

  /** The ids up to `last`, ascending; undefined where they are many. */
  *#idsByTime(last: number): Generator<StoredEvent[], number[] | undefined> {
    const { websites, from, to } = this.selection
    const look = this.db.prepare(sql.lookByTime).raw()
    const ids: number[] = []
    for (const rid of websites.keys()) {
      let [ts, id] = [from, Number.MIN_SAFE_INTEGER]
      for (;;) {
        const found = look.all({ rid, ts, id, to, limit: indexRowsPerRead }) as [number, number][]
        for (const [, one] of found) if (one <= last) ids.push(one)
        if (ids.length > maxIndexedEvents) return undefined
        const end = found.at(-1)
        if (!end || found.length < indexRowsPerRead) break
        ;[ts, id] = end
        yield []
      }
    }
    return ids.sort((one, other) => one - other)
  }

  #event(row: EventColumns): StoredEvent {
    const [id, rid, name, namespace, source, ts, delay] = row
    const [
      ,
      ,
      ,
      ,
      ,
      ,
      ,
      anonymous_id,
      session_id,
      profile_id,
      path,
      event_id,
      viaKey,
      crawler,
      keys,
      properties,
    ] = row
    return {
      id,
      website_id: this.selection.websites.get(rid) ?? null,
      name,
      namespace: namespace || null,
      source: source || null,
      timestamp: ts,
      received_at: ts + delay,
      anonymous_id,
      session_id,
      profile_id,
      path,
      event_id,
      credential: viaKey === 1 ? "key" : "website_id",
      crawler: crawler === 1,
      properties: keys === "" ? properties : this.#object(keys, properties ?? ""),
    }
  }

  /** Values were stored as JavaScript writes them, so that reading and writing them changes nothing. */
  #object(keys: string, values: string): string {
    let names = this.#keys.get(keys)
    if (!names) {
      names = (JSON.parse(keys) as string[]).map((key) => JSON.stringify(key))
      if (this.#keys.size >= maxCachedKeySets) this.#keys.clear()
      this.#keys.set(keys, names)
    }
    const list = JSON.parse(`[${values}]`) as unknown[]
    return `{${names.map((key, index) => `${key}:${JSON.stringify(list[index])}`).join(",")}}`
  }
}

/** Some at a time, in the order of their ids. */
export function* readProfiles(db: Db, rid: number): Generator<StoredProfile[]> {
  const read = db.prepare(sql.profiles)
  for (let after = ""; ; ) {
    const found = read.all({ rid, after, limit: profilesPerRead }) as StoredProfile[]
    if (found.length > 0) yield found
    const last = found.at(-1)
    if (!last || found.length < profilesPerRead) return
    after = last.profile_id
  }
}

export function* readLinks(db: Db, rid: number): Generator<StoredLink[]> {
  const read = db.prepare(sql.links)
  for (let [anonymous, profile] = ["", ""]; ; ) {
    const found = read.all({ rid, anonymous, profile, limit: linksPerRead }) as StoredLink[]
    if (found.length > 0) yield found
    const last = found.at(-1)
    if (!last || found.length < linksPerRead) return
    ;[anonymous, profile] = [last.anonymous_id, last.profile_id]
  }
}

/** One profile, if there is one, and the anonymous ids that are linked to it. */
export function readProfile(db: Db, rid: number, profileId: string): [StoredProfile[], StoredLink[]] {
  const read = (text: string) => db.prepare(text).all({ rid, profileId })
  return [read(sql.profile) as StoredProfile[], read(sql.linksOf) as StoredLink[]]
}

/** The links of anonymous ids to whatever profiles. */
export function readLinksOfVisitors(db: Db, rid: number, anonymousIds: readonly string[]): StoredLink[] {
  return db.prepare(sql.linksFrom).all({ rid, anonymousIds: JSON.stringify(anonymousIds) }) as StoredLink[]
}

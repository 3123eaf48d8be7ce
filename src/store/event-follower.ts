import type { EventKind } from "../event-kinds.ts"
import { type ContextField, contextFields, splitContext } from "./contexts.ts"
import type { Db, Statement } from "./db/driver.ts"
import { objectOf } from "./properties-json.ts"

/** A new event, with the column names of the `events` view. */
export interface FollowedEvent extends Record<ContextField, string | null> {
  id: number
  website_rid: number
  website_id: string | null
  event_name: string
  kind: EventKind
  namespace: string | null
  source: string | null
  /** In Unix ms. */
  timestamp: number
  anonymous_id: string | null
  session_id: string | null
  profile_id: string | null
  path: string | null
  crawler: 0 | 1
  /** JSON string of an object, or null. */
  properties: string | null
}

const sql = {
  newest: "select coalesce(max(id), 0) from event_rows",
  /**
   * Reads keys and values separately. The view would join them with one search per key, which takes 20 ms for an event
   * with 2,000 keys.
   */
  between: `
    select
      v.id, e.website_rid, v.website_id, v.name as event_name, v.namespace, v.source, v.timestamp, v.anonymous_id,
      v.session_id, v.profile_id, v.path, v.crawler, v.kind, t.keys,
      iif(typeof(e.properties) = 'integer', (select value from texts where id = e.properties), e.properties)
        as properties,
      ${contextFields.map((field) => `v.${field}`).join(", ")}
    from event_rows as e
    join events as v on v.id = e.id
    join event_types as t on t.id = e.type_id
    where e.id > :after and e.id <= :last
    order by e.id`,
}

/** Reads new events by ID. IDs are in commit order. */
export class EventFollower {
  readonly #newest: Statement
  readonly #between: Statement

  constructor(db: Db) {
    this.#newest = db.prepare(sql.newest).pluck()
    this.#between = db.prepare(sql.between)
  }

  /** Returns the ID of the newest event. 0 if there are no events. */
  newest(): number {
    return this.#newest.get() as number
  }

  /** Returns the events with IDs above `after`, up to and including `last`. */
  between(after: number, last: number): FollowedEvent[] {
    return this.read(after, last, Number.POSITIVE_INFINITY).events
  }

  /**
   * Returns the events with IDs above `after`, up to and including `last`. Stops after the event with which their total
   * text reaches `maxCharacters`. All text counts, because paths and referrers can be longer than the properties. The
   * `last` in the result is the ID up to which all events were read.
   */
  read(after: number, last: number, maxCharacters: number): { events: FollowedEvent[]; last: number } {
    const events: FollowedEvent[] = []
    let characters = 0
    for (const row of this.#between.iterate({ after, last })) {
      const event = eventOf(row as StoredEvent)
      events.push(event)
      for (const value of Object.values(event)) if (typeof value === "string") characters += value.length
      if (characters >= maxCharacters) return { events, last: event.id }
    }
    return { events, last }
  }
}

/**
 * An event as it is stored: `properties` contains values in the order of `keys`, or an object if `keys` is ''. See
 * `EventRow`.
 */
interface StoredEvent extends FollowedEvent {
  keys: string
}

function eventOf({ keys, properties, ...event }: StoredEvent): FollowedEvent {
  return {
    ...event,
    properties: keys === "" || properties === null ? properties : objectOf(keys, properties),
  }
}

/**
 * Returns the public form of an event, for streams and the live page. It contains `kind` unless the kind is custom, and
 * the known fields of the event's contexts.
 */
export function followedEventJson(followed: FollowedEvent) {
  const { rest, context } = splitContext(followed)
  const { id: _, website_rid, kind, crawler, properties, timestamp, ...event } = rest
  return {
    ...event,
    ...(kind === "custom" ? {} : { kind }),
    ...context,
    properties: properties === null ? {} : JSON.parse(properties),
    crawler: crawler === 1,
    timestamp: new Date(timestamp).toISOString(),
  }
}

/**
 * Returns the JSON of `followedEventJson`. Uses the stored text of the properties, because parsing 2,000 keys that the
 * process has not seen before takes 1 ms or more.
 */
export function followedEventText(followed: FollowedEvent): string {
  const { properties: _, ...event } = followedEventJson({ ...followed, properties: null })
  return `${JSON.stringify(event).slice(0, -1)},"properties":${followed.properties ?? "{}"}}`
}

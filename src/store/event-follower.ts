import type { EventKind } from "../event-kinds.ts"
import { type ContextField, contextFields, splitContext } from "./contexts.ts"
import type { Db, Statement } from "./db/driver.ts"

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
  between: `
    select
      v.id, e.website_rid, v.website_id, v.name as event_name, v.namespace, v.source, v.timestamp, v.anonymous_id,
      v.session_id, v.profile_id, v.path, v.crawler, v.properties, v.kind,
      ${contextFields.map((field) => `v.${field}`).join(", ")}
    from event_rows as e
    join events as v on v.id = e.id
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
    return this.#between.all({ after, last }) as FollowedEvent[]
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

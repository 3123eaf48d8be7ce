import type { ListedEvent, Scope } from "../query/query.ts"
import type { QuerySpec, Row, RunQuery, TypeResult } from "./query-spec.ts"
import { iso, wrong } from "./rows.ts"

/** Events that are passed over to get to a page: each is looked at, and a cursor leads there at once. */
const maxPassed = 100_000

export function* eventRows(ask: QuerySpec, put: RunQuery, scope: Scope): Generator<void, TypeResult> {
  const { limit, offset, cursor } = ask
  if (offset > maxPassed) {
    throw wrong(`page and limit pass over more than ${maxPassed} events: go on with cursor, meta.nextCursor`)
  }
  const { events } = yield* put({ kind: "events", scope, limit, offset: cursor ? 0 : offset, after: cursor })
  const end = events.length < limit ? undefined : events.at(-1)
  return { rows: events.map(eventRow), nextCursor: end ? cursorText(end) : null }
}

/** Databuddy's columns, and those that the stream has besides. */
function eventRow(event: ListedEvent): Row {
  return {
    event_name: event.name,
    namespace: event.namespace,
    path: event.path,
    source: event.source,
    properties: event.properties === null ? {} : JSON.parse(event.properties),
    anonymous_id: event.anonymousId,
    session_id: event.sessionId,
    profile_id: event.profileId,
    website_id: event.websiteId,
    crawler: event.crawler,
    timestamp: iso(event.ts),
  }
}

function cursorText({ ts, id }: { ts: number; id: number }): string {
  return Buffer.from(`${ts}.${id}`).toString("base64url")
}

/** What `cursorText` made; undefined: it did not make this. */
export function readCursor(text: string): { ts: number; id: number } | undefined {
  const [, ts, id] = /^(-?\d{1,15})\.(\d{1,15})$/.exec(Buffer.from(text, "base64url").toString()) ?? []
  return ts === undefined ? undefined : { ts: Number(ts), id: Number(id) }
}

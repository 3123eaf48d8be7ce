import { iso } from "../iso.ts"
import type { ListedEvent, Scope } from "../query/query.ts"
import type { QuerySpec, Row, RunQuery, TypeResult } from "./query-spec.ts"
import { invalidParameter } from "./rows.ts"

/**
 * Maximum number of events that `page` can skip. The server reads every skipped event, whereas a cursor seeks directly.
 */
const maxSkipped = 100_000

export function* eventRows(spec: QuerySpec, run: RunQuery, scope: Scope): Generator<void, TypeResult> {
  const { limit, offset, cursor } = spec
  if (offset > maxSkipped) {
    throw invalidParameter(
      `page and limit skip more than ${maxSkipped} events: use cursor with the value of meta.nextCursor`,
    )
  }
  const { events } = yield* run({ kind: "events", scope, limit, offset: cursor ? 0 : offset, after: cursor })
  const last = events.length < limit ? undefined : events.at(-1)
  return { rows: events.map(eventRow), nextCursor: last ? cursorText(last) : null }
}

/**
 * Returns Databuddy's columns plus the ones that the event stream adds: the kind (unless it is custom) and the context
 * fields that have a value.
 */
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
    ...(event.kind === "custom" ? {} : { kind: event.kind }),
    ...event.context,
  }
}

function cursorText({ ts, id }: { ts: number; id: number }): string {
  return Buffer.from(`${ts}.${id}`).toString("base64url")
}

/** Parses the output of `cursorText`. Returns undefined if the text is invalid. */
export function readCursor(text: string): { ts: number; id: number } | undefined {
  const [, ts, id] = /^(-?\d{1,15})\.(\d{1,15})$/.exec(Buffer.from(text, "base64url").toString()) ?? []
  return ts === undefined ? undefined : { ts: Number(ts), id: Number(id) }
}

import type {
  EventsQuery,
  EventsResult,
  ListedEvent,
  SessionsQuery,
  SessionsResult,
  VisitorsQuery,
  VisitorsResult,
} from "../../query/query.ts"
import { splitContext } from "../../store/contexts.ts"
import { eventOf, selectedColumns } from "../event-row.ts"
import { type ReportContext, readPage } from "./report.ts"
import { utf16Order } from "./scan.ts"
import { countedUnits } from "./units.ts"

/** Lists individual events, newest first. */
export async function events(
  { scope, limit, offset, after }: EventsQuery,
  { scan: newScan, run }: ReportContext,
): Promise<EventsResult> {
  const scan = newScan()
  const isAfter = after
    ? `where at < ${scan.bind("Int64", after.ts)} or (at = ${scan.bind("Int64", after.ts)} and id < ${scan.bind("UInt64", after.id)})`
    : ""
  const rows = await run(
    scan,
    `select ${selectedColumns}, ${scan.rid}
    from ${scan.rows(scope)}
    ${isAfter}
    order by at desc, id desc
    limit ${scan.bind("UInt64", limit)} offset ${scan.bind("UInt64", offset)}`,
  )
  return { events: rows.map((row) => listedEvent(row)) }
}

function listedEvent(row: readonly unknown[]): ListedEvent {
  const event = eventOf(row)
  const { context } = splitContext(event)
  return {
    id: event.id,
    websiteRid: row.at(-1) as number, // The column after the columns of the event.
    name: event.name,
    kind: event.kind,
    namespace: event.namespace,
    source: event.source,
    ts: event.timestamp,
    receivedAt: event.received_at,
    anonymousId: event.anonymous_id,
    sessionId: event.session_id,
    profileId: event.profile_id,
    path: event.path,
    eventId: event.event_id,
    crawler: event.crawler,
    properties: event.properties,
    context,
    websiteId: event.website_id,
  }
}

/** Sorts units by the time of their latest event, newest first. */
const latestFirst = ["last desc", utf16Order("unit")]

/** Lists sessions. The session with the latest event comes first. */
export async function sessions(
  { scope, of, limit, offset }: SessionsQuery,
  context: ReportContext,
): Promise<SessionsResult> {
  const scan = context.scan()
  const isCounted = of ? `and session_id in (${countedUnits(of, scan)})` : ""
  const grouped = `
    select assumeNotNull(session_id) as unit,
      argMaxIf(anonymous_id, (at, id), isNotNull(anonymous_id)) as visitor,
      argMaxIf(profile_id, (at, id), isNotNull(profile_id)) as profile,
      count() as number, min(at) as first, max(at) as last, argMin(name, (at, id)) as first_name, argMax(name, (at, id)) as last_name
    from ${scan.rows(scope)}
    where isNotNull(session_id) ${isCounted}
    group by session_id`
  type Row = [string, string | null, string | null, number, number, number, string, string]
  const { rows, totals } = await readPage<Row>(
    scan,
    { columns: ["*"], from: grouped, order: latestFirst, limit, offset, totals: ["count()"] },
    context,
  )
  const [total = 0] = totals
  return {
    total,
    sessions: rows.map(([sessionId, anonymousId, profileId, count, first, last, firstEvent, lastEvent]) => ({
      sessionId,
      anonymousId,
      profileId,
      events: count,
      first,
      last,
      firstEvent,
      lastEvent,
    })),
  }
}

/** Lists visitors, or the profiles behind a number in a report. The one with the latest event comes first. */
export async function visitors(
  { scope, of, limit, offset }: VisitorsQuery,
  context: ReportContext,
): Promise<VisitorsResult> {
  const { latestProfileOf } = context
  const scan = context.scan()
  const isProfiles = of?.query.unit === "profile_id"
  const units = scan.units(isProfiles ? "profile_id" : "anonymous_id")
  const isCounted = of ? `where unit in (${countedUnits(of, scan)})` : ""
  const grouped = `
    select unit,
      argMaxIf(anonymous_id, (at, id), isNotNull(anonymous_id)) as visitor,
      argMaxIf(profile_id, (at, id), isNotNull(profile_id)) as profile,
      argMax(${scan.rid}, (at, id)) as rid,
      count() as number, uniqExact(session_id) as sessions, min(at) as first, max(at) as last
    from (select *, arrayJoin(${units}) as unit from ${scan.rows(scope)})
    ${isCounted}
    group by unit`
  type Row = [string, string | null, string | null, number, number, number, number, number]
  const { rows, totals } = await readPage<Row>(
    scan,
    { columns: ["*"], from: grouped, order: latestFirst, limit, offset, totals: ["count()"] },
    context,
  )
  const [total = 0] = totals
  return {
    total,
    visitors: rows.map(([unit, visitor, profile, rid, count, sessions, first, last]) => ({
      anonymousId: isProfiles ? visitor : unit,
      profileId: isProfiles ? unit : (profile ?? latestProfileOf(rid, unit) ?? null),
      events: count,
      sessions,
      first,
      last,
    })),
  }
}

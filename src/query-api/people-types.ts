import { actionKinds, eventKinds } from "../event-kinds.ts"
import { iso } from "../iso.ts"
import type { ReportCount } from "../query/query.ts"
import { bucketsOf } from "../query/structures/time-zone.ts"
import { retentionQuery } from "./behaviour.ts"
import type { QuerySpec, QueryType } from "./query-spec.ts"
import { invalidParameter } from "./rows.ts"

/** Options that select one number in a funnel or retention report, to list the people or sessions that it counts. */
const countOptions = [
  "steps",
  "window",
  "by",
  "granularity",
  "reached",
  "droppedAfter",
  "value",
  "cohort",
  "period",
] as const

/** Settings shared by the lists of sessions and people. */
const listProperties = {
  kinds: eventKinds,
  needsReadData: true,
  oneOf: { options: ["reached", "droppedAfter", "cohort", "kinds"], required: false },
  requires: [
    { options: ["steps"], oneOf: ["reached", "droppedAfter", "cohort"] },
    { options: ["reached", "droppedAfter"], oneOf: ["steps"] },
    { options: ["window", "by"], oneOf: ["reached", "droppedAfter"] },
    { options: ["granularity", "period"], oneOf: ["cohort"] },
    { options: ["by"], oneOf: ["value"] },
    { options: ["value"], oneOf: ["by"] },
  ],
  steps: [1, 10],
  maxBy: 1,
  order: undefined,
} as const satisfies Partial<QueryType>

export const peopleTypes = {
  sessions: {
    ...listProperties,
    description:
      "Sessions, most recent event first. Lists all sessions, or only those counted by a funnel (reached, droppedAfter) or retention (cohort) report with the unit session",
    takes: [...countOptions, "kinds"],
    columns: [
      "session_id",
      "anonymous_id",
      "profile_id",
      "events",
      "first_event",
      "last_event",
      "started_at",
      "ended_at",
      "duration_ms",
    ],
    *rows(spec, run) {
      const { scope, limit, offset } = spec
      const of = reportCount({ ...spec, unit: "session_id" })
      const result = yield* run({ kind: "sessions", scope, of, limit, offset })
      const rows = result.sessions.map((session) => ({
        session_id: session.sessionId,
        anonymous_id: session.anonymousId,
        profile_id: session.profileId,
        events: session.events,
        first_event: session.firstEvent,
        last_event: session.lastEvent,
        started_at: iso(session.first),
        ended_at: iso(session.last),
        duration_ms: session.last - session.first,
      }))
      return { rows, total: result.total }
    },
  },
  people: {
    ...listProperties,
    description:
      "Visitors (anonymous IDs), most recently seen first. Lists all visitors, or only those counted by a funnel (reached, droppedAfter) or retention (cohort) report; with the unit profile, lists profiles",
    takes: [...countOptions, "unit", "kinds", "search"],
    requires: [
      ...listProperties.requires,
      { options: ["unit"], oneOf: ["reached", "droppedAfter", "cohort"] },
    ],
    columns: ["anonymous_id", "profile_id", "events", "sessions", "first_seen", "last_seen"],
    *rows(spec, run) {
      const { scope, limit, offset, unit } = spec
      if (unit === "session_id")
        throw invalidParameter("people does not take the unit session: use the query type sessions")
      const result = yield* run({ kind: "visitors", scope, of: reportCount(spec), limit, offset })
      const rows = result.visitors.map((visitor) => ({
        anonymous_id: visitor.anonymousId,
        profile_id: visitor.profileId,
        events: visitor.events,
        sessions: visitor.sessions,
        first_seen: iso(visitor.first),
        last_seen: iso(visitor.last),
      }))
      return { rows, total: result.total }
    },
  },
} as const satisfies Record<string, QueryType>

/**
 * Returns the funnel or retention count that the options select, or undefined to list all sessions or people. Throws a
 * RequestError.
 */
function reportCount(spec: QuerySpec): ReportCount | undefined {
  const { reached, droppedAfter, value, cohort, period } = spec.of
  const { steps, window, unit, by } = spec
  // Funnels and retention reports read only these kinds of events.
  const scope = { ...spec.scope, kinds: actionKinds }
  const step = reached ?? droppedAfter
  if (step !== undefined) {
    const last = droppedAfter === undefined ? steps.length : steps.length - 1
    if (last === 0) throw invalidParameter("droppedAfter needs at least 2 steps")
    if (step > last) {
      const option = droppedAfter === undefined ? "reached" : "droppedAfter"
      throw invalidParameter(`${option} must be at most ${last} with ${steps.length} steps`)
    }
    const query = { kind: "funnel", scope, steps, window, unit, by: by[0] } as const
    return { query, step: step - 1, isDropOff: droppedAfter !== undefined, value }
  }
  if (cohort === undefined) return undefined
  const { granularity = "weekly" } = spec
  if (granularity === "minute" || granularity === "hourly")
    throw invalidParameter("with cohort, granularity must be daily, weekly or monthly")
  if (steps.length !== 0 && steps.length !== 2)
    throw invalidParameter("with cohort, steps must be absent or have 2 entries")
  const { from, to, zone } = scope
  const index = bucketsOf(from, to, zone, granularity).findIndex(({ label }) => label === cohort)
  if (index < 0)
    throw invalidParameter(
      `cohort must be a date from the rows of the ${granularity} retention report for this range`,
    )
  return { query: retentionQuery({ ...spec, scope }, granularity), cohort: index, period }
}

import type { Batch } from "../../columns/batch.ts"
import type { SessionsQuery, SessionsResult } from "../query.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { EventRef, LatestId, type ListedId, listByLatestEvent } from "./latest-ids.ts"
import { isAfter, type Moment } from "./receipt-order.ts"
import type { ReportSource } from "./step.ts"

/** Returns a page of sessions, sorted by latest event, newest first. Uses as much memory as `listByLatestEvent`. */
export function* sessions(
  { scope, of, limit, offset }: SessionsQuery,
  source: ReportSource,
  budget: MemoryBudget,
): Generator<void, SessionsResult> {
  const { total, rows } = yield* listByLatestEvent(
    { unit: "session_id", scope, of, limit, offset },
    source,
    budget,
    (listed) => new SessionRow(listed, source),
    (session, batch, index) => session.add(batch, index),
  )
  const anonymousIds = yield* LatestId.texts(
    source,
    "visitors",
    rows.map(({ visitor }) => visitor),
  )
  const profileIds = yield* LatestId.texts(
    source,
    "profiles",
    rows.map(({ profile }) => profile),
  )
  return {
    total,
    sessions: rows.map(({ listed, events, first, last }, index) => ({
      sessionId: listed.text,
      anonymousId: anonymousIds[index] ?? null,
      profileId: profileIds[index] ?? null,
      events,
      first: first?.ts ?? listed.ts,
      last: listed.ts,
      firstEvent: first?.name ?? listed.name,
      lastEvent: last?.name ?? listed.name,
    })),
  }
}

class SessionRow {
  events = 0
  first: Moment | undefined
  last: Moment | undefined
  readonly visitor: LatestId
  readonly profile: LatestId

  constructor(
    readonly listed: ListedId,
    private readonly source: ReportSource,
  ) {
    this.visitor = new LatestId("visitors", source)
    this.profile = new LatestId("profiles", source)
  }

  add(batch: Batch, index: number): void {
    const ts = batch.base + (batch.times()[index] as number)
    this.events++
    const { first, last, source } = this
    const event = new EventRef(batch, index)
    if (!first || (ts <= first.ts && isAfter(first, event.moment, source))) this.first = event.moment
    if (!last || (ts >= last.ts && isAfter(event.moment, last, source))) this.last = event.moment
    this.visitor.add(event, ts)
    this.profile.add(event, ts)
  }
}

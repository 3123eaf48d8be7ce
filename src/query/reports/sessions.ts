import type { Batch } from "../../columns/batch.ts"
import type { SessionsQuery, SessionsResult } from "../query.ts"
import type { MemoryBudget } from "../structures/id-set.ts"
import { type Listed, Looked, NewestId, newest } from "./newest.ts"
import { isAfter, type Moment } from "./receipt-order.ts"
import type { Followed } from "./step.ts"

/** Sessions, the one with the latest event first. What it needs: see `newest`. */
export function* sessions(
  { scope, limit, offset }: SessionsQuery,
  source: Followed,
  budget: MemoryBudget,
): Generator<void, SessionsResult> {
  const { total, rows } = yield* newest(
    { kind: "sessions", scope, limit, offset },
    source,
    budget,
    (listed) => new Session(listed, source),
    (session, batch, index) => session.add(batch, index),
  )
  const anonymousIds = yield* NewestId.texts(
    source,
    "visitors",
    rows.map(({ visitor }) => visitor),
  )
  const profileIds = yield* NewestId.texts(
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

class Session {
  events = 0
  first: Moment | undefined
  last: Moment | undefined
  readonly visitor: NewestId
  readonly profile: NewestId

  constructor(
    readonly listed: Listed,
    private readonly source: Followed,
  ) {
    this.visitor = new NewestId("visitors", source)
    this.profile = new NewestId("profiles", source)
  }

  add(batch: Batch, index: number): void {
    const ts = batch.base + (batch.times()[index] as number)
    this.events++
    const { first, last, source } = this
    const looked = new Looked(batch, index)
    if (!first || (ts <= first.ts && isAfter(first, looked.moment, source))) this.first = looked.moment
    if (!last || (ts >= last.ts && isAfter(looked.moment, last, source))) this.last = looked.moment
    this.visitor.add(looked, ts)
    this.profile.add(looked, ts)
  }
}

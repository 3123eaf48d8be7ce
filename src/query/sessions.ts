import type { Batch } from "../columns/batch.ts"
import type { Budget } from "./distinct.ts"
import { type Listed, NewestId, newest } from "./newest.ts"
import type { SessionsAnswer, SessionsQuestion } from "./question.ts"
import type { Followed } from "./step.ts"

/** Sessions, the one with the latest event first. What it needs: see `newest`. */
export function* sessions(
  { scope, limit, offset }: SessionsQuestion,
  source: Followed,
  budget: Budget,
): Generator<void, SessionsAnswer> {
  const { total, rows } = yield* newest(
    { kind: "sessions", scope, limit, offset },
    source,
    budget,
    (listed) => new Session(listed),
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
    sessions: rows.map(({ listed, events, first, firstEvent }, index) => ({
      sessionId: listed.text,
      anonymousId: anonymousIds[index] ?? null,
      profileId: profileIds[index] ?? null,
      events,
      first,
      last: listed.ts,
      firstEvent,
      lastEvent: listed.name,
    })),
  }
}

class Session {
  events = 0
  first = Number.POSITIVE_INFINITY
  firstEvent = ""
  readonly visitor = new NewestId("visitors")
  readonly profile = new NewestId("profiles")

  constructor(readonly listed: Listed) {}

  add(batch: Batch, index: number): void {
    const ts = batch.base + (batch.times()[index] as number)
    this.events++
    if (ts < this.first || (ts === this.first && batch.name < this.firstEvent)) {
      this.first = ts
      this.firstEvent = batch.name
    }
    this.visitor.add(batch, index, ts)
    this.profile.add(batch, index, ts)
  }
}

import type { Batch } from "../../columns/batch.ts"
import type { VisitorsQuery, VisitorsResult } from "../query.ts"
import type { MemoryBudget } from "../structures/id-set.ts"
import { type Listed, Looked, NewestId, newest } from "./newest.ts"
import type { Followed } from "./step.ts"

/** Bytes that one session of a listed person takes. */
const sessionBytes = 40

/** People, the one seen last first. What it needs: see `newest`; and 40 bytes for each session of those on the page. */
export function* visitors(
  { scope, limit, offset }: VisitorsQuery,
  source: Followed,
  budget: MemoryBudget,
): Generator<void, VisitorsResult> {
  const { total, rows } = yield* newest(
    { kind: "visitors", scope, limit, offset },
    source,
    budget,
    (listed) => new Person(listed, budget, source),
    (person, batch, index) => person.add(batch, index),
  )
  const profileIds = yield* NewestId.texts(
    source,
    "profiles",
    rows.map(({ profile }) => profile),
  )
  return {
    total,
    people: rows.map(({ listed, events, sessions, first }, index) => ({
      anonymousId: listed.text,
      profileId: profileIds[index] ?? source.latestProfileOf(listed.website, listed.text) ?? null,
      events,
      sessions: sessions.size,
      first,
      last: listed.ts,
    })),
  }
}

class Person {
  events = 0
  first = Number.POSITIVE_INFINITY
  readonly sessions = new Set<number>()
  readonly profile: NewestId

  constructor(
    readonly listed: Listed,
    private readonly budget: MemoryBudget,
    source: Followed,
  ) {
    this.profile = new NewestId("profiles", source)
  }

  add(batch: Batch, index: number): void {
    const ts = batch.base + (batch.times()[index] as number)
    this.events++
    this.first = Math.min(this.first, ts)
    const session = batch.sessions()[index] as number
    if (session !== 0 && !this.sessions.has(session)) {
      this.budget.take(sessionBytes)
      this.sessions.add(session)
    }
    this.profile.add(new Looked(batch, index), ts)
  }
}

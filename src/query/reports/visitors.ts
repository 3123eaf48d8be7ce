import type { Batch } from "../../columns/batch.ts"
import type { VisitorsQuery, VisitorsResult } from "../query.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { EventRef, LatestId, type ListedId, listByLatestEvent } from "./latest-ids.ts"
import type { ReportSource } from "./step.ts"

/** Bytes reserved for each session of a listed visitor. */
const sessionBytes = 40

/**
 * A page of visitors, ordered by their latest event, newest first. Memory: that of `listByLatestEvent`, and 40 bytes
 * for each session of the visitors on the page.
 */
export function* visitors(
  { scope, limit, offset }: VisitorsQuery,
  source: ReportSource,
  budget: MemoryBudget,
): Generator<void, VisitorsResult> {
  const { total, rows } = yield* listByLatestEvent(
    { kind: "visitors", scope, limit, offset },
    source,
    budget,
    (listed) => new VisitorRow(listed, budget, source),
    (visitor, batch, index) => visitor.add(batch, index),
  )
  const profileIds = yield* LatestId.texts(
    source,
    "profiles",
    rows.map(({ profile }) => profile),
  )
  return {
    total,
    visitors: rows.map(({ listed, events, sessions, first }, index) => ({
      anonymousId: listed.text,
      profileId: profileIds[index] ?? source.latestProfileOf(listed.website, listed.text) ?? null,
      events,
      sessions: sessions.size,
      first,
      last: listed.ts,
    })),
  }
}

class VisitorRow {
  events = 0
  first = Number.POSITIVE_INFINITY
  readonly sessions = new Set<number>()
  readonly profile: LatestId

  constructor(
    readonly listed: ListedId,
    private readonly budget: MemoryBudget,
    source: ReportSource,
  ) {
    this.profile = new LatestId("profiles", source)
  }

  add(batch: Batch, index: number): void {
    const ts = batch.base + (batch.times()[index] as number)
    this.events++
    this.first = Math.min(this.first, ts)
    const session = batch.sessions()[index] as number
    if (session !== 0 && !this.sessions.has(session)) {
      this.budget.reserve(sessionBytes)
      this.sessions.add(session)
    }
    this.profile.add(new EventRef(batch, index), ts)
  }
}

import type { Batch } from "../../columns/batch.ts"
import type { VisitorsQuery, VisitorsResult } from "../query.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { EventRef, LatestId, type ListedId, listByLatestEvent } from "./latest-ids.ts"
import type { ReportSource } from "./step.ts"

/** Bytes reserved for each session of a listed visitor. */
const sessionBytes = 40

/**
 * Returns a page of visitors or profiles, sorted by latest event, newest first. Uses as much memory as
 * `listByLatestEvent`, plus 40 bytes per session of the visitors or profiles on the page.
 */
export function* visitors(
  { scope, of, limit, offset }: VisitorsQuery,
  source: ReportSource,
  budget: MemoryBudget,
): Generator<void, VisitorsResult> {
  const isProfiles = of?.query.unit === "profile_id"
  const otherKind = isProfiles ? "visitors" : "profiles"
  const { total, rows } = yield* listByLatestEvent(
    { unit: of?.query.unit ?? "anonymous_id", scope, of, limit, offset },
    source,
    budget,
    (listed) => new VisitorRow(listed, otherKind, budget, source),
    (visitor, batch, index) => visitor.add(batch, index),
  )
  const otherIds = yield* LatestId.texts(
    source,
    otherKind,
    rows.map(({ other }) => other),
  )
  return {
    total,
    visitors: rows.map(({ listed, events, sessions, first }, index) => {
      const other = otherIds[index] ?? null
      return {
        ...(isProfiles
          ? { anonymousId: other, profileId: listed.text }
          : {
              anonymousId: listed.text,
              profileId: other ?? source.latestProfileOf(listed.website, listed.text) ?? null,
            }),
        events,
        sessions: sessions.size,
        first,
        last: listed.ts,
      }
    }),
  }
}

/** A visitor or a profile. */
class VisitorRow {
  events = 0
  first = Number.POSITIVE_INFINITY
  readonly sessions = new Set<number>()
  /** The profile of a visitor, or the anonymous ID of a profile. */
  readonly other: LatestId

  constructor(
    readonly listed: ListedId,
    otherKind: "visitors" | "profiles",
    private readonly budget: MemoryBudget,
    source: ReportSource,
  ) {
    this.other = new LatestId(otherKind, source)
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
    this.other.add(new EventRef(batch, index), ts)
  }
}

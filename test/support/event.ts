import type { EventRow } from "../../src/store/events.ts"

/** A plain event as it is stored; a test says what matters to it. */
export function eventRow(changes: Partial<EventRow> = {}): EventRow {
  return {
    websiteRid: 0,
    name: "bought",
    namespace: "",
    source: "",
    keys: '["plan"]',
    ts: 0,
    receivedAt: 0,
    anonymousId: null,
    hashVisitor: false,
    sessionId: null,
    profileId: null,
    path: null,
    viaKey: 1,
    crawler: 0,
    eventId: null,
    properties: '"pro"',
    ...changes,
  }
}

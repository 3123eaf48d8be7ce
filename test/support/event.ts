import {
  type AcquisitionContext,
  acquisitionFields,
  type ClientContext,
  clientFields,
} from "../../src/store/contexts.ts"
import type { EventRow } from "../../src/store/events.ts"

/** Both contexts. `valueAt` returns the value of a field from its index in its context. */
export function contextsOf(valueAt: (place: number) => string): {
  client: ClientContext
  acquisition: AcquisitionContext
} {
  const filled = (fields: readonly string[]) =>
    Object.fromEntries(fields.map((field, place) => [field, valueAt(place)]))
  // `fromEntries` loses the field names from the type.
  return {
    client: filled(clientFields) as ClientContext,
    acquisition: filled(acquisitionFields) as AcquisitionContext,
  }
}

/** A plain event row. A test overrides the fields that matter to it. */
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

/** Events that are hard to serialize as text, JSON or CSV, in the first ms of 2026. */
export function oddEvents(changes: Partial<EventRow> = {}): EventRow[] {
  const begin = Date.UTC(2026, 0, 1)
  const plain = { ts: begin, receivedAt: begin, ...changes }
  const texts = [
    "=1+1",
    "'=1",
    "+1",
    "-1",
    "@a",
    "\t=1",
    " =1",
    "＝1",
    "'",
    'a"b',
    "a,b;c|d",
    "a\r\nb",
    " a ",
    "日本 🎉",
    "\u2028\u0007",
  ]
  const objects = [
    { plan: "pro", nested: { b: [1, -0.5, 1e21, 5e-324, null, true], a: {} } },
    { 10: "ten", 2: "two", zwei: 2 },
    {},
    JSON.parse('{"__proto__":1,"constructor":{"toString":null},"":""}') as object,
    { 'a"b\\c': "\u0000\ud800 </script> \u2028", "=1+1": "@x" },
  ]
  return [
    ...texts.map((text, index) => {
      const same = {
        name: text,
        namespace: text,
        source: text,
        anonymousId: text,
        sessionId: text,
        path: text,
      }
      return eventRow({
        ...same,
        profileId: text,
        eventId: text,
        ts: begin + index,
        receivedAt: begin + index + 3,
        ...changes,
      })
    }),
    ...objects.map((object, index) => {
      const keys = JSON.stringify(Object.keys(object))
      const properties = JSON.stringify(Object.values(object)).slice(1, -1)
      return eventRow({
        keys,
        properties,
        viaKey: 0,
        crawler: 1,
        ts: begin + 1_000 - index,
        receivedAt: begin + 1_000,
        ...changes,
      })
    }),
    eventRow({
      keys: "",
      properties: '{"2":1,"kept":"whole"}',
      ts: begin + 7,
      receivedAt: begin + 5,
      ...changes,
    }),
    eventRow({ keys: "", properties: null, ...plain }),
    ...texts.map((text, index) =>
      eventRow({
        name: text,
        kind: "page_view",
        ...contextsOf((place) => ((index + place) % 3 === 0 ? "" : text)),
        ts: begin + 2_000 + index,
        receivedAt: begin + 2_000,
        ...changes,
      }),
    ),
    eventRow({ kind: "error", ...plain }),
    eventRow({ ...contextsOf((place) => (place === 1 ? "only" : "")), ...plain }),
    // The same event twice, which counts as two events.
    eventRow(plain),
    eventRow(plain),
  ]
}

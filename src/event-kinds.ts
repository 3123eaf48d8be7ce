/**
 * What an event records. A `custom` event has a name that the sender chose, such as an event sent to /track. A
 * website's server reports `ai_visit`, and the page script reports all other kinds. The database stores the index of a
 * kind, so add new kinds at the end. A new kind also needs a migration, because the view `events` maps each index to
 * its name.
 */
export const eventKinds = [
  "custom",
  "page_view",
  "page_exit",
  "outgoing_link",
  "web_vital",
  "error",
  "engagement",
  "ai_visit",
] as const

export type EventKind = (typeof eventKinds)[number]

/** The kinds of events that visitors cause deliberately. They can be steps in goals, funnels, retention and paths. */
export const actionKinds: readonly EventKind[] = ["custom", "page_view"]

/** Returns the number that the database stores for a kind. */
export function kindIndex(kind: EventKind): number {
  return eventKinds.indexOf(kind)
}

/**
 * Returns the kind for a number in the database. Throws if the number is unknown, which means that a later version
 * wrote it.
 */
export function kindAt(index: number): EventKind {
  const kind = eventKinds[index]
  if (kind === undefined) throw new Error(`this version does not know the event kind ${index}`)
  return kind
}

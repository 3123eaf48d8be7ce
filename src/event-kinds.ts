/**
 * What an event records. A `custom` event has a name that the sender chose, such as one sent to /track. A website's
 * server reports `ai_visit`, and the page script all others. The database stores the index of a kind, so add new kinds
 * at the end. The view `events` maps each index to its name, so a new kind needs a migration.
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

/**
 * The kinds of events that visitors cause on purpose. They can be steps of goals, funnels, retention and
 * paths.
 */
export const actionKinds: readonly EventKind[] = ["custom", "page_view"]

/** The number that the database stores for a kind. */
export function kindIndex(kind: EventKind): number {
  return eventKinds.indexOf(kind)
}

/** Returns the kind for a number in the database. Throws if a later version wrote it. */
export function kindAt(index: number): EventKind {
  const kind = eventKinds[index]
  if (kind === undefined) throw new Error(`this version does not know the event kind ${index}`)
  return kind
}

/**
 * What an event records. `custom`: an event that the sender named, as on /track. All others come from the page script, except `ai_visit`,
 * which a website's server reports. The database stores the index: add new kinds at the end. The view `events` names them,
 * so a new kind needs a migration.
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

/** The kinds of events that visitors do on purpose: the steps of funnels and the like. */
export const actionKinds: readonly EventKind[] = ["custom", "page_view"]

/** The number that the database stores for a kind. */
export function kindIndex(kind: EventKind): number {
  return eventKinds.indexOf(kind)
}

/** The kind of a number of the database, which a later version can have written. */
export function kindAt(index: number): EventKind {
  const kind = eventKinds[index]
  if (kind === undefined) throw new Error(`this version does not know the event kind ${index}`)
  return kind
}

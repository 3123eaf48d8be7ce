/**
 * What an event records. `custom`: an event that the sender named, as on /track. All others come from the page script, except `ai_visit`,
 * which a website's server reports. The database stores the index: add new kinds at the end.
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

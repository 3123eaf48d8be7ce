import type { Contents } from "../store/check.ts"
import { isoTime, shortTime } from "./print.ts"

/** The counts of a database that backup, restore and check print. */
export function contentsJson({ websites, keys, users, events, newestEvent }: Contents) {
  return { websites, keys, users, events, newestEvent: isoTime(newestEvent) }
}

export function contentsFields({
  websites,
  keys,
  users,
  events,
  newestEvent,
}: Contents): Record<string, string> {
  return {
    websites: String(websites),
    keys: String(keys),
    users: String(users),
    events: String(events),
    "newest event": shortTime(isoTime(newestEvent), "none"),
  }
}

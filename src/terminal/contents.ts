import type { Contents } from "../store/check.ts"
import { isoTime, shortTime } from "./print.ts"

/** Returns the counts that backup, restore and check print for a database. */
export function contentsJson({ websites, keys, users, events, removed, newestEvent }: Contents) {
  const removedEvents = removed?.events ?? 0
  return { websites, keys, users, events, removedEvents, newestEvent: isoTime(newestEvent) }
}

export function contentsFields({
  websites,
  keys,
  users,
  events,
  removed,
  newestEvent,
}: Contents): Record<string, string> {
  const inCluster = removed && `${removed.events} events before ${isoTime(removed.localSince)?.slice(0, 10)}`
  return {
    websites: String(websites),
    keys: String(keys),
    users: String(users),
    events: String(events),
    ...(inCluster === undefined ? {} : { "only in cluster": inCluster }),
    "newest event": shortTime(isoTime(newestEvent), "none"),
  }
}

import { dayMs } from "../columns/batch.ts"
import type { Db } from "../store/db/driver.ts"
import { EventReader, type StoredEvent } from "../store/event-reader.ts"
import { idRangeOf } from "../store/event-times.ts"
import { startOfNode } from "../store/node-ids.ts"
import { addSums, findRemovedDay, isEqual, removedDays, type Sum } from "../store/removed-days.ts"
import { listWebsites, withoutWebsite } from "../store/websites.ts"
import type { Cluster } from "./cluster.ts"
import { hashOf, rowHash } from "./event-row.ts"

/** A website and a UTC day, which identify the events of the website on that day. */
export interface WebsiteDay {
  /** Website id. Empty for events without a website. */
  website: string
  /** Days since 1970-01-01. */
  day: number
}

/** A website and day for which the events in the file and in the cluster differ. */
export interface Difference extends WebsiteDay {
  /** Number of events in the file, including events that were removed from the file after shipping. */
  here: number
  inCluster: number
}

export interface Comparison {
  /** Number of compared events that are in the file or were removed from it. */
  events: number
  /** Number of these events that were removed from the file. Only the cluster has them. */
  removed: number
  /** Number of compared combinations of website and day. */
  days: number
  differences: Difference[]
}

/** Called after each step, which takes about 5 ms, with the number of events read so far. */
export type Pause = (events: number) => Promise<void>

/** Number of events read per step. */
export const rowsPerStep = 1_000

/**
 * Compares all events from this node with ids up to `lastId` in the file and in the cluster. Events that were removed
 * from the file count as if they were still in the file. Holds one event count and one hash in memory for each website
 * and day.
 */
export async function compare(db: Db, cluster: Cluster, lastId: number, pause: Pause): Promise<Comparison> {
  const here = await sumsOf(db, lastId, pause)
  const differences: Difference[] = []
  const seen = new Set<string>()
  // Runs one query per day. A single query could run for minutes without a response, and the client would abandon it.
  const days = `select distinct toInt32(day) as number from events where ${ofNode} order by number`
  const range = rangeUpTo(lastId)
  const query = `
    select website, count(), toString(sum(${rowHash}))
    from events final
    where day = toDate32({day:Int32}) and ${ofNode}
    group by website`
  for (const [day] of await cluster.all<[number]>(days, range)) {
    for (const [website, events, hash] of await cluster.all<[string, number, string]>(query, {
      day,
      ...range,
    })) {
      const key = keyOf(website, day)
      const sum = here.get(key)
      seen.add(key)
      const there = { events, hash: BigInt(hash) }
      if (sum && isEqual(sum, there)) continue
      const now = sumOfRemovedDay(db, { website, day }, lastId)
      if (now && isEqual(now, there)) continue
      differences.push({ website, day, here: sum?.events ?? 0, inCluster: events })
    }
  }
  let events = 0
  for (const [key, sum] of here) {
    events += sum.events
    if (!seen.has(key) && sum.events > 0) differences.push({ ...dayOf(key), here: sum.events, inCluster: 0 })
  }
  const removed = visibleRemovedDays(db).reduce((total, { sum }) => total + sum.events, 0)
  return { events, removed, days: new Set([...here.keys(), ...seen]).size, differences }
}

/**
 * Returns a map from the rid of each website that is not deleted to its id. The map also contains the rid for events
 * without a website, with the value null.
 */
export function visibleWebsites(db: Db): Map<number, string | null> {
  const websites = new Map<number, string | null>(listWebsites(db).map(({ rid, id }) => [rid, id]))
  return websites.set(withoutWebsite, null)
}

/** A website and day, and the sum of its events that were removed from the file. */
interface RemovedSum extends WebsiteDay {
  sum: Sum
}

/** Returns the sums of removed events, except the sums for deleted websites. */
function visibleRemovedDays(db: Db): RemovedSum[] {
  const websites = visibleWebsites(db)
  return removedDays(db).flatMap((removed) => {
    const website = websites.get(removed.rid)
    return website === undefined ? [] : [{ website: website ?? "", day: removed.day, sum: removed }]
  })
}

/** Sums the events of a website and day in the file, with ids up to `lastId`. Takes 10 µs per event. */
export function localSumOfDay(db: Db, rid: number, { website, day }: WebsiteDay, lastId: number): Sum {
  let sum: Sum = { events: 0, hash: 0n }
  for (const events of eventsOfDay(db, rid, { website, day }, lastId))
    for (const event of events) sum = addSums(sum, { events: 1, hash: hashOf(event) })
  return sum
}

/** Yields the events of a website and day in the file, with ids up to `lastId`, in the order of their ids. */
export function* eventsOfDay(
  db: Db,
  rid: number,
  { website, day }: WebsiteDay,
  lastId: number,
): Generator<StoredEvent[]> {
  const [from, to] = [day * dayMs, (day + 1) * dayMs]
  const { after, last } = idRangeOf(db, rid, from, to)
  const reader = new EventReader(db, { websites: new Map([[rid, website || null]]), from, to })
  for (const { events } of reader.inRange(after, Math.min(last, lastId), rowsPerStep)) yield events
}

/**
 * Sums the events of a website and day, including the events that were removed from the file. Reads the events and the
 * sum of removed events in one transaction, because events can be removed while `compare` runs. Returns undefined if no
 * events were removed.
 */
function sumOfRemovedDay(db: Db, { website, day }: WebsiteDay, lastId: number): Sum | undefined {
  const rid = ridOf(db, website)
  if (rid === undefined) return undefined
  return db.transaction(() => {
    const removed = findRemovedDay(db, rid, day)
    return removed && addSums(localSumOfDay(db, rid, { website, day }, lastId), removed)
  })()
}

/**
 * Returns the rid of a website, or undefined if the website was deleted. An empty `website` stands for events without a
 * website.
 */
export function ridOf(db: Db, website: string): number | undefined {
  for (const [rid, id] of visibleWebsites(db)) if ((id ?? "") === website) return rid
  return undefined
}

/**
 * ClickHouse SQL condition for the events from one node with ids up to `lastId`. A node is a server together with its
 * database file. The id of an event contains the number of the node.
 */
export const ofNode = "id > {after:UInt64} and id <= {lastId:UInt64}"

/** Returns the parameters for `ofNode`. */
export function rangeUpTo(lastId: number): { after: number; lastId: number } {
  return { after: startOfNode(lastId), lastId }
}

/** ClickHouse SQL condition for the events from one node, of one website and day, with ids up to `lastId`. */
export const ofDay = `website = {website:String} and day = toDate32({day:Int32}) and ${ofNode}`

/** Sums the events of a node, website and day in the cluster, with ids up to `lastId`. */
export async function clusterSumOfDay(
  cluster: Cluster,
  { website, day }: WebsiteDay,
  lastId: number,
): Promise<Sum> {
  const query = `select count(), toString(sum(${rowHash})) from events final where ${ofDay}`
  const [[events, hash] = [0, "0"]] = await cluster.all<[number, string]>(query, {
    website,
    day,
    ...rangeUpTo(lastId),
  })
  return { events, hash: BigInt(hash) }
}

/** Creates a reader for all events in the file, with or without a website, except events of deleted websites. */
export function readerOfAll(db: Db): EventReader {
  const [from, to] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
  return new EventReader(db, { websites: visibleWebsites(db), from, to })
}

async function sumsOf(db: Db, lastId: number, pause: Pause): Promise<Map<string, Sum>> {
  const sums = new Map<string, Sum>(
    visibleRemovedDays(db).map(({ website, day, sum: { events, hash } }) => [
      keyOf(website, day),
      { events, hash },
    ]),
  )
  let read = 0
  for (const { events } of readerOfAll(db).inRange(0, lastId, rowsPerStep)) {
    for (const event of events) {
      const key = keyOf(event.website_id ?? "", Math.floor(event.timestamp / dayMs))
      const sum = sums.get(key)
      const hash = hashOf(event)
      if (sum) {
        sum.events++
        sum.hash = BigInt.asUintN(64, sum.hash + hash)
      } else sums.set(key, { events: 1, hash })
    }
    read += events.length
    await pause(read)
  }
  return sums
}

/** Returns a key for a website and day. `dayOf` splits it at the first space, which is always the one after the day. */
function keyOf(website: string, day: number): string {
  return `${day} ${website}`
}

function dayOf(key: string): WebsiteDay {
  const space = key.indexOf(" ")
  return { website: key.slice(space + 1), day: Number(key.slice(0, space)) }
}

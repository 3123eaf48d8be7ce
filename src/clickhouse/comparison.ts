import { dayMs } from "../columns/batch.ts"
import type { Db } from "../store/db/driver.ts"
import { EventReader, type StoredEvent } from "../store/event-reader.ts"
import { idRangeOf } from "../store/event-times.ts"
import { addSums, findRemovedDay, isEqual, removedDays, type Sum } from "../store/removed-days.ts"
import { listWebsites, withoutWebsite } from "../store/websites.ts"
import type { Cluster } from "./cluster.ts"
import { hashOf, rowHash } from "./event-row.ts"

/** The events of one website and UTC day. */
export interface WebsiteDay {
  /** '': no website. */
  website: string
  /** Days since 1970-01-01. */
  day: number
}

/** A day on which the two sides differ. */
export interface Difference extends WebsiteDay {
  /** Events in the file, and those that were removed from it. */
  here: number
  inCluster: number
}

export interface Comparison {
  /** Number of events up to the id that are in the file, or were removed from it. */
  events: number
  /** Those of them that were removed: only the cluster has them. */
  removed: number
  /** Number of combinations of website and day. */
  days: number
  differences: Difference[]
}

/** Called between steps of about 5 ms, with the number of events already read. */
export type Pause = (events: number) => Promise<void>

/** Events per step. */
export const rowsPerStep = 1_000

/**
 * Compares all events with ids up to `lastId` on both sides, those of the file and those that were removed from it.
 * Holds a number and a hash for each website and day in memory.
 */
export async function compare(db: Db, cluster: Cluster, lastId: number, pause: Pause): Promise<Comparison> {
  const here = await sumsOf(db, lastId, pause)
  const differences: Difference[] = []
  const seen = new Set<string>()
  // Runs one query per day: a single query would not respond for minutes, and the client would abandon it.
  const days = "select distinct toInt32(day) as number from events order by number"
  const query = `
    select website, count(), toString(sum(${rowHash}))
    from events final
    where day = toDate32({day:Int32}) and id <= {lastId:UInt64}
    group by website`
  for (const [day] of await cluster.all<[number]>(days)) {
    for (const [website, events, hash] of await cluster.all<[string, number, string]>(query, {
      day,
      lastId,
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

/** rid → id of the websites that are not deleted; of events without a website: null. */
export function visibleWebsites(db: Db): Map<number, string | null> {
  const websites = new Map<number, string | null>(listWebsites(db).map(({ rid, id }) => [rid, id]))
  return websites.set(withoutWebsite, null)
}

/** A website and day of which events were removed. */
interface RemovedSum extends WebsiteDay {
  sum: Sum
}

/** Removed days, without those of deleted websites. */
function visibleRemovedDays(db: Db): RemovedSum[] {
  const websites = visibleWebsites(db)
  return removedDays(db).flatMap((removed) => {
    const website = websites.get(removed.rid)
    return website === undefined ? [] : [{ website: website ?? "", day: removed.day, sum: removed }]
  })
}

/** The events of a website and day with ids up to `lastId` that are in the file. Takes 10 µs for each. */
export function localSumOfDay(db: Db, rid: number, { website, day }: WebsiteDay, lastId: number): Sum {
  let sum: Sum = { events: 0, hash: 0n }
  for (const events of eventsOfDay(db, rid, { website, day }, lastId))
    for (const event of events) sum = addSums(sum, { events: 1, hash: hashOf(event) })
  return sum
}

/** The events of a website and day with ids up to `lastId` that are in the file, in the order of their ids. */
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
 * The events of a website and day at one moment, with those that were removed; undefined if none were. While `compare`
 * reads, events can move from the rows to the removed ones.
 */
function sumOfRemovedDay(db: Db, { website, day }: WebsiteDay, lastId: number): Sum | undefined {
  const rid = ridOf(db, website)
  if (rid === undefined) return undefined
  return db.transaction(() => {
    const removed = findRemovedDay(db, rid, day)
    return removed && addSums(localSumOfDay(db, rid, { website, day }, lastId), removed)
  })()
}

/** The rid of a website, or of events without one; undefined if it was deleted. */
export function ridOf(db: Db, website: string): number | undefined {
  for (const [rid, id] of visibleWebsites(db)) if ((id ?? "") === website) return rid
  return undefined
}

/** SQL of the cluster: an event of a website and day with an id up to `lastId`. */
export const ofDay = "website = {website:String} and day = toDate32({day:Int32}) and id <= {lastId:UInt64}"

/** The events of a website and day with ids up to `lastId` in the cluster. */
export async function clusterSumOfDay(
  cluster: Cluster,
  { website, day }: WebsiteDay,
  lastId: number,
): Promise<Sum> {
  const query = `select count(), toString(sum(${rowHash})) from events final where ${ofDay}`
  const [[events, hash] = [0, "0"]] = await cluster.all<[number, string]>(query, { website, day, lastId })
  return { events, hash: BigInt(hash) }
}

/** Creates a reader of all visible events, with or without a website. */
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

/** A website's id contains no space. */
function keyOf(website: string, day: number): string {
  return `${day} ${website}`
}

function dayOf(key: string): WebsiteDay {
  const space = key.indexOf(" ")
  return { website: key.slice(space + 1), day: Number(key.slice(0, space)) }
}

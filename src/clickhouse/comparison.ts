import { dayMs } from "../columns/batch.ts"
import type { Db } from "../store/db/driver.ts"
import { EventReader } from "../store/event-reader.ts"
import { listWebsites, withoutWebsite } from "../store/websites.ts"
import type { Cluster } from "./cluster.ts"
import { hashOf, rowHash } from "./event-row.ts"

/**
 * Number of events, and the sum of their hashes modulo 2^64, which does not depend on the order of the
 * events.
 */
export interface Sum {
  events: number
  hash: bigint
}

/** The events of one website and UTC day. */
export interface WebsiteDay {
  /** '': no website. */
  website: string
  /** Days since 1970-01-01. */
  day: number
}

/** A day on which the two sides differ. */
export interface Difference extends WebsiteDay {
  here: number
  inCluster: number
}

export interface Comparison {
  /** Number of events in the file up to the id. */
  events: number
  /** Number of combinations of website and day. */
  days: number
  differences: Difference[]
}

/** Called between steps of about 5 ms, with the number of events already read. */
export type Pause = (events: number) => Promise<void>

/** Events per step. */
export const rowsPerStep = 1_000

/**
 * Compares all events with ids up to `lastId` on both sides. Holds a number and a hash for each website and day in
 * memory.
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
      if (sum?.events === events && sum.hash === BigInt(hash)) continue
      differences.push({ website, day, here: sum?.events ?? 0, inCluster: events })
    }
  }
  let events = 0
  for (const [key, sum] of here) {
    events += sum.events
    if (!seen.has(key)) differences.push({ ...dayOf(key), here: sum.events, inCluster: 0 })
  }
  return { events, days: new Set([...here.keys(), ...seen]).size, differences }
}

/** Creates a reader of all visible events, with or without a website. */
export function readerOfAll(db: Db): EventReader {
  const websites = new Map<number, string | null>(listWebsites(db).map(({ rid, id }) => [rid, id]))
  websites.set(withoutWebsite, null)
  return new EventReader(db, { websites, from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER })
}

async function sumsOf(db: Db, lastId: number, pause: Pause): Promise<Map<string, Sum>> {
  const sums = new Map<string, Sum>()
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

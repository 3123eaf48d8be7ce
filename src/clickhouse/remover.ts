import { dayMs } from "../columns/batch.ts"
import type { Db } from "../store/db/driver.ts"
import type { StoredEvent } from "../store/event-reader.ts"
import { nextTimeOf } from "../store/event-times.ts"
import { sweepPause, sweepRows } from "../store/events.ts"
import { addSums, findRemovedDay, isEqual, removedDays, type Sum } from "../store/removed-days.ts"
import { deletedIds, readShipping, type ShippingChange } from "../store/shipping.ts"
import { websiteIds } from "../store/websites.ts"
import type { Cluster } from "./cluster.ts"
import {
  clusterSumOfDay,
  eventsOfDay,
  localSumOfDay,
  ofDay,
  rangeUpTo,
  visibleWebsites,
  type WebsiteDay,
} from "./comparison.ts"
import { deleteDay } from "./deletions.ts"
import { hashOf } from "./event-row.ts"
import type { SchemaState } from "./schema.ts"

/**
 * ms from the end of a round to the start of the next. A round compares and removes all days that are old enough,
 * including days that were removed before and have received late events since.
 */
const roundInterval = 3_600_000
/** Approximate duration of a step in ms. Events that arrive during a step are not shipped until it ends. */
const stepTime = 5_000
/** Number of event ids per transaction. */
const eventIdsPerWrite = 2_000

export interface RemoverDeps {
  /** A connection that only reads. */
  db: Db
  cluster: Cluster
  /** Stores a change in the file, in a transaction on its only writing connection. */
  write: (change: ShippingChange) => Promise<void>
  /** Waits for `ms`. Rejects when the shipper must stop. */
  sleep: (ms: number) => Promise<void>
  /** Age in ms at which events are removed from the file. If undefined, all events stay. */
  keepLocal?: number | undefined
  /** Unix ms */
  now: () => number
  /** Monotonic clock, in ms. */
  elapsed: () => number
  log: (level: "info" | "warn", message: string, fields?: Record<string, string | number>) => void
}

interface Day extends WebsiteDay {
  rid: number
}

/** A day that has the same events in the cluster and in the file, and an iterator over its events in the file. */
interface ComparedDay {
  day: Day
  events: Iterator<StoredEvent[]>
}

/**
 * Removes events older than --keep-local from the file, one website and day at a time, after checking that the cluster
 * has the same events for that day. Events that were removed from the file in this way exist only in the cluster. When
 * they expire, this class deletes them there.
 */
export class Remover {
  /** When the next round is due, in ms on the `elapsed` clock. */
  #dueAt = Number.NEGATIVE_INFINITY
  /** The remaining days to compare in this round. */
  #days: Iterator<Day> | undefined
  /** The day whose events are being removed. */
  #current: ComparedDay | undefined

  constructor(private readonly deps: RemoverDeps) {}

  /** True if there might be something to remove or to delete. */
  get isDue(): boolean {
    const { db, keepLocal, elapsed } = this.deps
    return (
      (keepLocal !== undefined && elapsed() >= this.#dueAt) || removedDays(db).some((day) => day.isExpired)
    )
  }

  /**
   * Takes one step, which removes events for a few seconds. Call this when all events up to `shippedId` are shipped and
   * no deletions are pending. Returns true if nothing is left to remove until the next round.
   */
  async remove(shippedId: number): Promise<boolean> {
    const { db, keepLocal, elapsed, now, sleep } = this.deps
    if (keepLocal === undefined || elapsed() < this.#dueAt) return true
    const end = elapsed() + stepTime
    this.#days ??= daysBefore(db, Math.floor((now() - keepLocal) / dayMs))
    while (elapsed() < end) {
      if (deletedIds(db, shippedId, 1).length > 0 || readShipping(db)?.mustCompare) return false
      if (this.#current) {
        await this.#removeSome(this.#current)
        await sleep(sweepPause)
        continue
      }
      const { value: day, done } = this.#days.next()
      if (done) {
        this.#endRound()
        return true
      }
      if (await this.#isSame(day, shippedId))
        this.#current = { day, events: eventsOfDay(db, day.rid, day, shippedId) }
    }
    return false
  }

  /**
   * Abandons the current round, so that every day is compared again before its events are removed. Call this when the
   * cluster might have lost events.
   */
  interrupt(): void {
    this.#current = undefined
    this.#days = undefined
  }

  #endRound(): void {
    this.interrupt()
    this.#dueAt = this.deps.elapsed() + roundInterval
  }

  /**
   * Returns true if the file has events of the day, and the cluster has exactly these events and the events of the day
   * that were removed from the file.
   */
  async #isSame(day: Day, shippedId: number): Promise<boolean> {
    const { db, cluster, write, log } = this.deps
    const [local, removed] = db.transaction((): [Sum, Sum | undefined] => [
      localSumOfDay(db, day.rid, day, shippedId),
      findRemovedDay(db, day.rid, day.day),
    ])()
    if (local.events === 0) return false
    const here = removed ? addSums(local, removed) : local
    const there = await clusterSumOfDay(cluster, day, shippedId)
    // A difference is normal if events have just been deleted in the file and not yet in the cluster.
    if (isEqual(here, there)) return true
    if (deletedIds(db, shippedId, 1).length > 0) return false
    log(
      "warn",
      "the events of a day were not removed from the file, because the cluster has different events for that day; comparing all events",
      {
        website: day.website,
        day: new Date(day.day * dayMs).toISOString().slice(0, 10),
        here: here.events,
        inCluster: there.events,
      },
    )
    await write({ type: "rewind", id: shippedId })
    // Ends the round. Otherwise, a difference that the full comparison does not find would cause an endless loop.
    this.#endRound()
    return false
  }

  /** Removes a few events of the current day. */
  async #removeSome({ day: { rid, day }, events }: ComparedDay): Promise<void> {
    const { value: read, done } = events.next()
    if (done) {
      this.#current = undefined
      return
    }
    for (let from = 0; from < read.length; from += sweepRows) {
      const some = read.slice(from, from + sweepRows).map((event) => ({ id: event.id, hash: hashOf(event) }))
      await this.deps.write({ type: "remove", rid, day, events: some })
    }
  }

  /** Deletes removed events from the cluster if they have expired, or if their website was deleted. */
  async deleteExpired(schema: SchemaState): Promise<void> {
    const { db, cluster, write } = this.deps
    const expired = removedDays(db).filter(({ isExpired }) => isExpired)
    if (expired.length === 0) return
    const ids = websiteIds(db)
    for (const { rid, day, lastId } of expired) {
      const website = ids.get(rid)
      if (website === undefined) throw new Error(`the website ${rid} of removed events does not exist`)
      const query = `select event_id, credential from events final where ${ofDay} and isNotNull(event_id)`
      const rows = cluster.rows<[string, string]>(query, { website, day, ...rangeUpTo(lastId) })
      for await (const chunk of rows) {
        for (let from = 0; from < chunk.length; from += eventIdsPerWrite) {
          const eventIds = chunk.slice(from, from + eventIdsPerWrite).map(([eventId, credential]) => ({
            eventId,
            viaKey: credential === "key" ? (1 as const) : (0 as const),
          }))
          await write({ type: "forgetEventIds", rid, eventIds })
        }
      }
      for (const statement of deleteDay({ website, day }, lastId, schema)) await cluster.run(statement)
      await write({ type: "deleteExpired", rid, day })
    }
  }
}

/**
 * Yields the days before `end` on which a website has events in the file, one website after another, oldest day first.
 * Includes days that were removed and have received late events since.
 */
function* daysBefore(db: Db, end: number): Generator<Day> {
  const ids = [...websiteIds(db).values()]
  for (const [rid, website] of visibleWebsites(db)) {
    // Skips a website while the cluster still has the events of a deleted website with the same id.
    if (ids.filter((id) => id === (website ?? "")).length > 1) continue
    for (let time = nextTimeOf(db, rid, 0); time !== undefined; ) {
      const day = Math.floor(time / dayMs)
      if (day >= end) break
      yield { rid, website: website ?? "", day }
      time = nextTimeOf(db, rid, (day + 1) * dayMs)
    }
  }
}

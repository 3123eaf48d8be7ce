import type { Random } from "../environment.ts"
import type { Db } from "./db/driver.ts"
import { lastEventId, startOfNode } from "./node-ids.ts"
import { applyRemoval, type RemovalChange } from "./removed-days.ts"

/** How far the events in this file have been shipped to a ClickHouse cluster. */
export interface Shipping {
  /** The name that identifies this file in the cluster. */
  writer: string
  /** No event with a higher ID has ever been sent. */
  sendingId: number
  /** The watermark. The cluster has acknowledged all events up to this ID. */
  shippedId: number
  /** Time of the last acknowledgment in Unix ms. */
  shippedAt: number | null
  /** True if the cluster might differ from the file below the watermark. */
  mustCompare: boolean
  /** True if a repair has started and no comparison has found both sides equal since. */
  isRepairing: boolean
}

/** A change to the shipping state. `at` is in Unix ms. */
export type ShippingChange = WatermarkChange | RemovalChange

type WatermarkChange =
  /** Shipping starts. Events with IDs up to `id` will not be shipped. */
  | { type: "start"; writer: string; id: number }
  /** Events up to `id` are about to be sent. */
  | { type: "send"; id: number }
  /** The cluster has acknowledged the events up to `id`. */
  | { type: "acknowledge"; id: number; at: number }
  /** The cluster has lost the events that were shipped after `id`. */
  | { type: "rewind"; id: number }
  /** Differences are about to be repaired. */
  | { type: "repair" }
  /** A comparison found the same events on both sides up to the watermark. */
  | { type: "compared" }
  /** The cluster has deleted these events. */
  | { type: "deleted"; ids: readonly number[]; at: number }
  /**
   * The file was filled from the cluster, which has the events up to `id`. The file and the cluster still have to be
   * compared. The change has no effect on a file that has shipped under another name.
   */
  | { type: "adopt"; writer: string; id: number; at: number }

/** How far the cluster is behind the file. */
export interface ShippingLag {
  /** Approximate number of unshipped events: the number of IDs above the watermark. */
  events: number
  /** Receipt time of the oldest unshipped event in Unix ms. Null if all events have been shipped. */
  oldest: number | null
  /** Number of deletions to ship, counted up to `maxCountedDeletions`. */
  deletions: number
}

/** Maximum number of deletions to count. Counting this many takes 1 ms. */
export const maxCountedDeletions = 100_000
/** Number of random bytes in the name of a writer. */
const writerBytes = 16

/** Values of the column must_compare. */
const comparison = { none: 0, due: 1, repairing: 2 } as const

const sql = {
  read: `
    select writer, sending_id as sendingId, shipped_id as shippedId, shipped_at as shippedAt, must_compare as comparison
    from shipping`,
  compareLater: `update shipping set must_compare = max(must_compare, ${comparison.due})`,
  hasTable: "select exists (select 1 from sqlite_schema where type = 'table' and name = 'shipping')",
  oldest: `
    select ts + delay from event_rows where id > :shippedId and website_rid >= 0 order by id limit 1`,
  deletions: `select count(*) from (select 1 from shipping_deletions limit ${maxCountedDeletions})`,
  deletedIds: "select id from shipping_deletions where id <= :shippedId order by id limit :limit",
  isDeleted: "select exists (select 1 from shipping_deletions where id = :id)",
  // If the cluster has deleted the events with the highest IDs, they are missing from the file. The empty row prevents
  // a later event from getting an ID below the watermark.
  reserve: `
    insert into event_rows (id, website_rid, type_id, ts, delay, via_key, crawler)
    select :id, -1, 0, 0, 0, 0, 0 where :id > (select coalesce(max(id), 0) from event_rows)`,
  // If there are removed days, no range counts as a gap, because the IDs of the removed events are unknown.
  isGap: `
    select not exists (select 1 from removed_days)
      and not exists (select 1 from event_rows where id > :from and id < :to and website_rid >= 0)`,
}

const changes: { [Type in WatermarkChange["type"]]: string } = {
  start: `
    insert into shipping (one, writer, sending_id, shipped_id) values (1, :writer, :id, :id) on conflict do nothing`,
  send: "update shipping set sending_id = max(sending_id, :id)",
  acknowledge: "update shipping set shipped_id = :id, shipped_at = :at",
  rewind: `update shipping set shipped_id = :id, must_compare = max(must_compare, ${comparison.due})`,
  repair: `update shipping set must_compare = ${comparison.repairing}`,
  compared: `update shipping set must_compare = ${comparison.none}`,
  deleted: "delete from shipping_deletions where id in (select value from json_each(:ids))",
  adopt: `
    insert into shipping (one, writer, sending_id, shipped_id, shipped_at, must_compare)
    values (1, :writer, :id, :id, :at, ${comparison.due})
    on conflict do update set
      writer = :writer, sending_id = max(sending_id, :id), shipped_id = max(shipped_id, :id), shipped_at = :at, must_compare = max(must_compare, ${comparison.due})
    where writer = :writer or sending_id = :start`,
}

/** Returns the shipping state, or undefined if events have never been shipped. */
export function readShipping(db: Db): Shipping | undefined {
  const row = db.prepare(sql.read).get() as
    | (Omit<Shipping, "mustCompare" | "isRepairing"> & { comparison: number })
    | undefined
  if (row === undefined) return undefined
  const { comparison: state, ...shipping } = row
  return {
    ...shipping,
    mustCompare: state !== comparison.none,
    isRepairing: state === comparison.repairing,
  }
}

/** Applies a change. Runs inside the caller's transaction. */
export function applyShippingChange(db: Db, change: ShippingChange): void {
  if (!isWatermarkChange(change)) {
    applyRemoval(db, change)
    return
  }
  const { type, ...values } = change
  if (change.type === "adopt") {
    db.prepare(sql.reserve).run({ id: change.id })
    // If a server was started with the file before, it has stored a different name. The change only replaces that name
    // if the server has not sent any events.
    db.prepare(changes.adopt).run({ ...values, start: startOfNode(change.id) })
    return
  }
  db.prepare(changes[type]).run("ids" in values ? { ...values, ids: JSON.stringify(values.ids) } : values)
}

function isWatermarkChange(change: ShippingChange): change is WatermarkChange {
  return change.type in changes
}

/**
 * Records that a restored file might differ from the cluster, because deletions made after the backup might have been
 * shipped. Does nothing if the file has never shipped events, or is from a version without shipping.
 */
export function compareAfterRestore(db: Db): void {
  if (db.prepare(sql.hasTable).pluck().get() === 1) db.exec(sql.compareLater)
}

export function shippingLag(db: Db, shippedId: number): ShippingLag {
  const value = (text: string, parameters: object) =>
    db.prepare(text).pluck().get(parameters) as number | undefined
  const oldest = value(sql.oldest, { shippedId }) ?? null
  // If the event with the highest ID was deleted, an empty row still has that ID. Therefore, nothing is counted unless
  // there is an unshipped event.
  const last = lastEventId(db)
  const events = oldest === null ? 0 : last - Math.max(shippedId, startOfNode(last))
  return { events, oldest, deletions: value(sql.deletions, {}) ?? 0 }
}

/** Returns the IDs of deleted events that the cluster might still have, in ascending order. */
export function deletedIds(db: Db, shippedId: number, limit: number): number[] {
  return db.prepare(sql.deletedIds).pluck().all({ shippedId, limit }) as number[]
}

/** Returns a function that returns true for events that have been deleted in the file but not yet in the cluster. */
export function pendingDeletion(db: Db): (id: number) => boolean {
  const isDeleted = db.prepare(sql.isDeleted).pluck()
  return (id) => isDeleted.get({ id }) === 1
}

/** A range of IDs. Includes both `first` and `last`. */
export interface IdRange {
  first: number
  last: number
}

/**
 * Merges the ascending IDs of deleted events into ranges. A range contains no ID of an existing event, whether the
 * event is in the file or was removed from it. IDs up to the watermark are never reused.
 */
export function rangesWithoutEvents(db: Db, ids: readonly number[]): IdRange[] {
  const isGap = db.prepare(sql.isGap).pluck()
  const ranges: IdRange[] = []
  for (const id of ids) {
    const previous = ranges.at(-1)
    const isNext = previous && (id === previous.last + 1 || isGap.get({ from: previous.last, to: id }) === 1)
    if (isNext) previous.last = id
    else ranges.push({ first: id, last: id })
  }
  return ranges
}

/** Returns a random name that no other file has. */
export function newWriter(random: Random): string {
  return Buffer.from(random(new Uint8Array(writerBytes))).toString("hex")
}

import { dayMs } from "../columns/batch.ts"
import type { Db } from "../store/db/driver.ts"
import { EventReader } from "../store/event-reader.ts"
import {
  findRemovedDay,
  isEqual,
  type RemovalChange,
  type RemovedDay,
  subtractSums,
} from "../store/removed-days.ts"
import { deletedIds, type IdRange } from "../store/shipping.ts"
import type { Cluster } from "./cluster.ts"
import {
  clusterSumOfDay,
  localSumOfDay,
  ofDay,
  rangeUpTo,
  ridOf,
  rowsPerStep,
  type WebsiteDay,
} from "./comparison.ts"
import { deleteRows, type ForeignRow } from "./deletions.ts"
import { EventEncoder, insertColumns } from "./event-row.ts"
import type { SchemaState } from "./schema.ts"

/** An insert is sent when it reaches this many rows, or this many bytes of memory. */
export interface InsertLimits {
  rows: number
  bytes: number
}

export interface RepairDeps {
  db: Db
  cluster: Cluster
  schema: SchemaState
  /** Events with higher ids are not shipped yet. */
  lastId: number
  limits: InsertLimits
  pause: () => Promise<void>
  write: (change: RemovalChange) => Promise<void>
  /**
   * Called after the record of a day's removed events has been corrected. `from`: the record before the correction.
   * `to`: the number of removed events according to the cluster.
   */
  onCorrection: (day: WebsiteDay, from: RemovedDay, to: number) => void
}

/** Rows to delete are buffered until there are more than this many. Each row uses about 100 bytes of memory. */
const maxForeignRows = 100_000

/**
 * Makes the events in the cluster equal to those in the file on the given days. Holds the event IDs of one website and
 * day in memory at a time. If events of a day were removed from the file, the cluster has the only copy of them, so
 * nothing is deleted there. Instead, the file's record of the removed events is changed to match the cluster. Returns the
 * smallest range that contains the ids of all events that were inserted or deleted.
 */
export async function repair(days: readonly WebsiteDay[], deps: RepairDeps): Promise<IdRange> {
  let foreign: ForeignRow[] = []
  let changed = noIds
  const include = (ids: Iterable<number>) => {
    for (const id of ids) changed = unionOf(changed, { first: id, last: id })
  }
  const remove = async () => {
    for (const statement of deleteRows(foreign, deps.schema)) await deps.cluster.run(statement)
    foreign = []
  }
  for (const day of days) {
    const rid = ridOf(deps.db, day.website)
    const ids = rid === undefined ? new Set<number>() : await sendDay(rid, day, deps)
    include(ids)
    if (rid !== undefined && findRemovedDay(deps.db, rid, day.day)) {
      await correctRemovedDay(rid, day, deps)
      continue
    }
    const others = await otherRows(day, ids, deps)
    include(others.map(({ id }) => id))
    foreign.push(...others)
    if (foreign.length > maxForeignRows) await remove()
  }
  await remove()
  return changed
}

/** A range without ids. */
export const noIds: IdRange = { first: Number.POSITIVE_INFINITY, last: Number.NEGATIVE_INFINITY }

/** Returns the smallest range that contains both ranges. */
export function unionOf(one: IdRange, other: IdRange): IdRange {
  return { first: Math.min(one.first, other.first), last: Math.max(one.last, other.last) }
}

/** Corrects the file's record of a day's removed events: the events that the cluster has and the file does not. */
async function correctRemovedDay(
  rid: number,
  day: WebsiteDay,
  { db, cluster, lastId, write, onCorrection }: RepairDeps,
): Promise<void> {
  const local = localSumOfDay(db, rid, day, lastId)
  const removed = findRemovedDay(db, rid, day.day)
  const sum = subtractSums(await clusterSumOfDay(cluster, day, lastId), local)
  // Corrects nothing while deletions are pending, or if the cluster has fewer events than the file, because the file
  // has just sent them. The next comparison covers both cases.
  if (!removed || isEqual(sum, removed) || sum.events < 0 || deletedIds(db, lastId, 1).length > 0) return
  const missing = Math.max(0, removed.missing + removed.events - sum.events)
  const expected = { events: removed.events, hash: removed.hash }
  await write({ type: "correct", rid, day: day.day, expected, sum, missing })
  onCorrection(day, removed, sum.events)
}

/** Inserts the events of a day into the cluster again, and returns their ids. */
async function sendDay(
  rid: number,
  { website, day }: WebsiteDay,
  { db, cluster, schema, lastId, limits, pause }: RepairDeps,
): Promise<Set<number>> {
  const ids = new Set<number>()
  const isReplicated = schema.cluster !== undefined
  const websites = new Map([[rid, website === "" ? null : website]])
  const reader = new EventReader(db, { websites, from: day * dayMs, to: (day + 1) * dayMs })
  let encoder = new EventEncoder()
  const send = async () => {
    if (encoder.rows > 0) await cluster.insert("events", insertColumns, encoder.finish(), isReplicated)
    encoder = new EventEncoder()
  }
  for (const events of reader.all(rowsPerStep)) {
    for (const event of events) {
      if (event.id > lastId) continue
      ids.add(event.id)
      encoder.add(event)
    }
    if (encoder.rows >= limits.rows || encoder.bytes >= limits.bytes) await send()
    await pause()
  }
  await send()
  return ids
}

/** Returns the rows of a day in the cluster whose ids are not in `ids`. */
async function otherRows(
  { website, day }: WebsiteDay,
  ids: ReadonlySet<number>,
  { cluster, lastId }: RepairDeps,
): Promise<ForeignRow[]> {
  const query = `select id from events final where ${ofDay}`
  const foreign: ForeignRow[] = []
  for await (const rows of cluster.rows<[number]>(query, { website, day, ...rangeUpTo(lastId) })) {
    for (const [id] of rows) if (!ids.has(id)) foreign.push({ website, day, id })
  }
  return foreign
}

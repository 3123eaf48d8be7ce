import { UserError } from "../errors.ts"
import type { Db } from "./db/driver.ts"

/*
 * Several servers can ship events to one ClickHouse cluster (see src/clickhouse/README.md). Each of these servers is a
 * node with its own file. The event IDs of node n start after n * `idsPerNode`, so they are unique in the cluster.
 * Within a node, they are in commit order. Files without a node number have the IDs of node 0.
 */

/** Number of event IDs per node. A node that receives a billion events per day uses them up in 24 years. */
export const idsPerNode = 2 ** 43
/** Highest node number. JavaScript numbers are exact up to 2^53, which is enough for the IDs of 1,024 nodes. */
export const maxNode = 999

const sql = {
  last: "select coalesce(max(id), 0) from event_rows",
  // SQLite assigns IDs above the highest existing one, so the first event of the node gets the ID after this empty row.
  reserve: `
    insert into event_rows (id, website_rid, type_id, ts, delay, via_key, crawler) values (:start, -1, 0, 0, 0, 0, 0)`,
  seal: "update sealed set id = :start",
  ship: "update shipping set sending_id = :start, shipped_id = :start",
}

/** Returns the highest ID that any event has ever had. */
export function lastEventId(db: Db): number {
  return db.prepare(sql.last).pluck().get() as number
}

/** Returns the number of the node that assigned an ID. */
export function nodeOf(id: number): number {
  return Math.floor(id / idsPerNode)
}

/**
 * Returns the number below the first ID of a node. The IDs of the node are above `startOfNode(id)` and up to
 * `endOfNode(id)`. `id` is any ID of the node, or the start itself.
 */
export function startOfNode(id: number): number {
  return nodeOf(id) * idsPerNode
}

export function endOfNode(id: number): number {
  return startOfNode(id) + idsPerNode - 1
}

/**
 * Gives a file without events the node number `node`, the value of --node. A file that has or had events keeps its
 * number. Throws a UserError if that number is not `node`, or if `node` is undefined and the number is not 0.
 */
export function assignNode(db: Db, node: number | undefined): void {
  const last = lastEventId(db)
  const current = nodeOf(last)
  if (current === (node ?? 0)) return
  if (node === undefined) {
    throw new UserError(
      `${db.name} is the file of node ${current}, and --node is not set`,
      `start the server with --node ${current}`,
    )
  }
  if (last > 0) {
    throw new UserError(
      `${db.name} has events of node ${current}, so it cannot become the file of node ${node}`,
      `start the server with --node ${current}, or give node ${node} its own file with --db`,
    )
  }
  const start = node * idsPerNode
  db.transaction(() => {
    for (const statement of [sql.reserve, sql.seal, sql.ship]) db.prepare(statement).run({ start })
  }).immediate()
}

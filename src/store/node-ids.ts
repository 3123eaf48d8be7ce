import { UserError } from "../errors.ts"
import type { Db } from "./db/driver.ts"

/*
 * Several servers can ship to one ClickHouse cluster: see src/clickhouse/README.md. Each of them is a node with a file of
 * its own. The ids of node n start after n * `idsPerNode`, so they are unique in the cluster, and in the order of
 * the commits within a node. Files without a node number have the ids of node 0.
 */

/** A node with a billion events per day has used its ids after 24 years. */
export const idsPerNode = 2 ** 43
/** Numbers are exact up to 2^53, which is 1,024 nodes. */
export const maxNode = 999

const sql = {
  last: "select coalesce(max(id), 0) from event_rows",
  // SQLite continues after the highest id.
  reserve: `
    insert into event_rows (id, website_rid, type_id, ts, delay, via_key, crawler) values (:start, -1, 0, 0, 0, 0, 0)`,
  seal: "update sealed set id = :start",
  ship: "update shipping set sending_id = :start, shipped_id = :start",
}

/** Returns the highest ID that any event has ever had. */
export function lastEventId(db: Db): number {
  return db.prepare(sql.last).pluck().get() as number
}

/** The node that assigned an id. */
export function nodeOf(id: number): number {
  return Math.floor(id / idsPerNode)
}

/** The ids of a node are above `startOfNode`, and up to `endOfNode`, of any of them and of `startOfNode` itself. */
export function startOfNode(id: number): number {
  return nodeOf(id) * idsPerNode
}

export function endOfNode(id: number): number {
  return startOfNode(id) + idsPerNode - 1
}

/**
 * Makes a file without events that of a node. A file that has, or had, events keeps its number. Throws a UserError if
 * that is another one. `node`: the value of --node; undefined: the flag is not given.
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
      `start the server with --node ${current}, or give node ${node} a file of its own with --db`,
    )
  }
  const start = node * idsPerNode
  db.transaction(() => {
    for (const statement of [sql.reserve, sql.seal, sql.ship]) db.prepare(statement).run({ start })
  }).immediate()
}

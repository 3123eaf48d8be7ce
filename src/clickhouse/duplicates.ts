import { idsPerNode } from "../store/node-ids.ts"
import type { IdRange } from "../store/shipping.ts"
import type { Cluster } from "./cluster.ts"
import { deletionTarget, type SchemaState } from "./schema.ts"

// If events from several nodes have the same event id, only the event from the node with the lowest number counts. Each
// node looks for such duplicates after each of its inserts, and before it records the insert. So even if two nodes
// insert at the same time, at least one of them sees both events.

/** Maximum number of events that are looked up in one statement. The cluster holds their event ids in memory. */
const idsPerStatement = 1_000_000

const node = (id: string) => `intDiv(${id}, ${idsPerNode})`

const pairsOfEvents = (after: number, last: number) => `
  insert into duplicates (id, original)
  select distinct pair.1, pair.2
  from (
    select groupUniqArray(id) as ids
    from event_ids
    where (event_id, website, credential) in (
      select assumeNotNull(event_id), website, credential from events
      where id > ${after} and id <= ${last} and isNotNull(event_id))
    group by event_id, website, credential
    having uniqExact(${node("id")}) > 1)
  array join arrayFlatten(arrayMap(
    one -> arrayMap(other -> (one, other), arrayFilter(other -> ${node("other")} < ${node("one")}, ids)), ids)) as pair`

/** Records the duplicates of the events with ids above `after` and up to `last`. */
export async function markDuplicates(
  cluster: Cluster,
  after: number,
  last: number,
  schema: SchemaState,
): Promise<void> {
  for (let from = after; from < last; from += idsPerStatement) {
    const to = Math.min(from + idsPerStatement, last)
    await cluster.insertSelect(pairsOfEvents(from, to), schema.cluster !== undefined)
  }
}

/**
 * Deletes the recorded pairs of a duplicate and its original in which at least one of the two ids is above `after` and
 * at most `last`.
 */
export async function forgetDuplicates(
  cluster: Cluster,
  after: number,
  last: number,
  schema: SchemaState,
): Promise<void> {
  const between = (column: string) => `${column} > ${after} and ${column} <= ${last}`
  await cluster.run(
    `delete from ${deletionTarget("duplicates", schema)} where (${between("id")}) or (${between("original")})`,
  )
}

/**
 * Records the duplicates of the events with these ids again, because ids can belong to different events after a repair.
 * While the function runs, an event that two nodes have shipped might be counted twice.
 */
export async function renewDuplicates(
  cluster: Cluster,
  { first, last }: IdRange,
  schema: SchemaState,
): Promise<void> {
  if (first > last) return
  await forgetDuplicates(cluster, first - 1, last, schema)
  await markDuplicates(cluster, first - 1, last, schema)
}

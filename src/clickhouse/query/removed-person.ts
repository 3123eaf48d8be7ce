import { UserError } from "../../errors.ts"
import type { Db } from "../../store/db/driver.ts"
import { type Person, storedIdsOf } from "../../store/forget.ts"
import { findRemovedDay, localTest, type RemovedEvent, removedTotals } from "../../store/removed-days.ts"
import { pendingDeletion, readShipping } from "../../store/shipping.ts"
import { websiteIds } from "../../store/websites.ts"
import { Cluster } from "../cluster.ts"
import { rowHash } from "../event-row.ts"
import { readSchema, requireSchema } from "../schema.ts"
import type { ClusterLogin } from "../shipping-thread.ts"
import { readWriters, splitWriters } from "../writers.ts"
import { isUpTo } from "./scan.ts"
import { Parameters } from "./statement.ts"

type Row = [id: number, day: number, hash: string, credential: string, eventId: string | null]

/**
 * Finds the events of a person that were removed from the file. src/store/identity-resolution.ts defines which events
 * these are. Throws a ClusterError, or a UserError if the cluster does not have the events from this file.
 */
export async function removedEventsOf(
  db: Db,
  login: ClusterLogin,
  person: Person,
  now: number,
): Promise<RemovedEvent[]> {
  const { websiteRid: rid } = person
  if (!removedTotals(db, [rid])) return []
  const cluster = new Cluster(login.address, login.password)
  try {
    const shippedId = await requireOwnEvents(db, cluster)
    const parameters = new Parameters()
    const condition = isEventOfPerson(parameters, person, storedIdsOf(db, person, now))
    const website = parameters.bind("String", websiteIds(db).get(rid) ?? "")
    const rows = await cluster.queryWithTables<Row>(
      `select id, toInt32(day), toString(${rowHash}), credential, event_id from events final
      where website = ${website} and ${condition} and ${isUpTo([shippedId], "id", parameters)}
      order by id`,
      { parameters: parameters.values, tables: [], settings: {}, signal: new AbortController().signal },
    )
    const isLocal = localTest(db)
    const isDeleted = pendingDeletion(db)
    return rows
      .filter(([id, day]) => findRemovedDay(db, rid, day) && !isLocal(id) && !isDeleted(id))
      .map(([id, day, hash, credential, eventId]) => ({
        id,
        day,
        hash: BigInt(hash),
        viaKey: credential === "key" ? 1 : 0,
        eventId,
      }))
  } finally {
    await cluster.close()
  }
}

/**
 * Returns a SQL condition that is true for the events of the person. See src/store/identity-resolution.ts. `storedIds`:
 * the result of `storedIdsOf`.
 */
export function isEventOfPerson(
  parameters: Parameters,
  { id }: Person,
  storedIds: readonly string[],
): string {
  const ids = parameters.bind("Array(String)", storedIds)
  const isOfVisitor = `ifNull(anonymous_id in ${ids}, 0)`
  return "profileId" in id
    ? `(ifNull(profile_id = ${parameters.bind("String", id.profileId)}, 0) or (isNull(profile_id) and ${isOfVisitor}))`
    : isOfVisitor
}

/**
 * Returns the watermark of the file. Throws a UserError if the cluster does not have the events from the file up to the
 * watermark.
 */
export async function requireOwnEvents(db: Db, cluster: Cluster): Promise<number> {
  requireSchema(await readSchema(cluster), cluster.name)
  const shipping = readShipping(db)
  if (shipping) {
    const { shippedId } = shipping
    const { own } = splitWriters(await readWriters(cluster), { ...shipping, isShared: true }, cluster.name)
    if (own && own.shippedId >= shippedId) return shippedId
  }
  throw new UserError(
    `${cluster.name} does not have the events that were removed from ${db.name}`,
    "correct the database in --clickhouse, or let the server ship the lost events again",
  )
}

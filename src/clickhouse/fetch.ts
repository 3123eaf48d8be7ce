import { sealedStateSql } from "../columns/sealed-state.ts"
import { reset } from "../columns/sealer.ts"
import type { Random } from "../environment.ts"
import { UserError } from "../errors.ts"
import { eventLine } from "../export/lines.ts"
import { eventRowOf } from "../import/import.ts"
import { retryBusy } from "../import/import-lines.ts"
import type { TextLine } from "../import/lines.ts"
import { DailyHash } from "../store/daily-hash.ts"
import type { Db } from "../store/db/driver.ts"
import type { StoredEvent } from "../store/event-reader.ts"
import { EventInserter } from "../store/events.ts"
import { assignNode, endOfNode, lastEventId, nodeOf, startOfNode } from "../store/node-ids.ts"
import { deletedWebsites, registrySource } from "../store/registry-copy.ts"
import { dropEmptyRemovedDays, localTest, removedDays, takeBack } from "../store/removed-days.ts"
import { pendingDeletion } from "../store/shipping.ts"
import type { Cluster } from "./cluster.ts"
import { ofDay, rangeUpTo, visibleWebsites, type WebsiteDay } from "./comparison.ts"
import { eventOf, hashOf, selectedColumns } from "./event-row.ts"
import { readEvents } from "./row-reader.ts"
import { readWebsiteLines, type WriterRow } from "./writers.ts"

/**
 * Returns the writer whose events to fetch, which is the writer with the same node number as `db`. If `db` is a new
 * file, returns the writer with the number `node`, or the only writer if `node` is undefined, and gives `db` the
 * number. Throws a UserError if there is no such writer.
 */
export function originOf(
  db: Db,
  writers: readonly WriterRow[],
  node: number | undefined,
  where: string,
): WriterRow {
  const isNew = lastEventId(db) === 0
  const [only] = writers
  const number = node ?? (isNew && only && writers.length === 1 ? nodeOf(only.shippedId) : undefined)
  if (number !== undefined) assignNode(db, number)
  const origin = writers.find(({ shippedId }) => nodeOf(shippedId) === nodeOf(lastEventId(db)))
  if (origin && (number !== undefined || !isNew)) return origin
  if (!only) throw new UserError(`no events were shipped to ${where}`, "correct the database in --clickhouse")
  const nodes = writers.map(({ shippedId }) => nodeOf(shippedId)).join(", ")
  throw isNew && number === undefined
    ? new UserError(
        `several nodes ship events to ${where}: ${nodes}`,
        "give the number of one of them with --node",
      )
    : new UserError(
        `node ${nodeOf(lastEventId(db))} has shipped no events to ${where}, only: ${nodes}`,
        "correct the database in --clickhouse, or --node",
      )
}

/**
 * Returns a function that returns true for events that a fetch must not restore. These are events that have yet to be
 * deleted in the cluster and, if the file copies its websites from another server, events of deleted websites.
 */
export function deletedEvents(db: Db): (event: StoredEvent) => boolean {
  const isPending = pendingDeletion(db)
  const websites = registrySource(db) ? deletedWebsites(db) : new Set()
  return ({ id, website_id: website }) => isPending(id) || websites.has(website)
}

/**
 * Yields the websites and events that the file `writer` has shipped, as the lines of an export. The websites come
 * first, but are omitted if `db` copies its websites from another server. The events are in the order of their ids.
 * Omits events for which `isDeleted` is true, because an import would restore them.
 */
export async function* linesOfCluster(
  db: Db,
  cluster: Cluster,
  { writer, shippedId }: WriterRow,
  isDeleted: (event: StoredEvent) => boolean,
): AsyncGenerator<TextLine[]> {
  let number = 0
  const lineOf = (text: string): TextLine => ({ number: ++number, text })
  if (!registrySource(db)) yield (await readWebsiteLines(cluster, writer)).map(lineOf)
  const ofNode = { after: startOfNode(shippedId), last: endOfNode(shippedId) }
  const all = { condition: "true", parameters: {}, ...ofNode, signal: new AbortController().signal }
  for await (const events of readEvents(cluster, all)) {
    const remaining = events.filter((event) => !isDeleted(event))
    yield remaining.map((event) => lineOf(eventLine(event)))
  }
}

/** Number of events per transaction. A transaction takes about 20 ms. */
const eventsPerWrite = 1_000

interface FetchDeps {
  db: Db
  cluster: Cluster
  random: Random
  /** Called after each transaction, with the number of events stored so far. */
  onProgress: (events: number) => void
}

/**
 * Copies all events that were removed from the file back to it, with their ids, and returns the number of events. The
 * caller must hold the shipping lock, so that no server removes events at the same time. If the call is interrupted,
 * call the function again to finish.
 */
export async function fetchRemovedDays({ db, cluster, random, onProgress }: FetchDeps): Promise<number> {
  const inserter = new EventInserter(db, new DailyHash(db, random), { withIds: true })
  const websites = visibleWebsites(db)
  let added = 0
  for (const { rid, day, lastId } of removedDays(db)) {
    const website = websites.get(rid)
    // The events of a deleted website are not fetched.
    if (website === undefined) continue
    const query = `select ${selectedColumns} from events final where ${ofDay} order by id`
    const rows = cluster.rows(query, { website: website ?? "", day, ...rangeUpTo(lastId) })
    for await (const chunk of rows) {
      for (let from = 0; from < chunk.length; from += eventsPerWrite) {
        const events = chunk.slice(from, from + eventsPerWrite).map(eventOf)
        await retryBusy(() => {
          added += db.transaction(() => insertRemoved(db, inserter, rid, day, events)).immediate()
        })
        onProgress(added)
      }
    }
  }
  await retryBusy(() => db.transaction(() => dropEmptyRemovedDays(db)).immediate())
  return added
}

/** Inserts the given events, except those that are in the file or deleted. Returns the number of inserted events. */
function insertRemoved(
  db: Db,
  inserter: EventInserter,
  rid: number,
  day: WebsiteDay["day"],
  events: readonly StoredEvent[],
): number {
  const isLocal = localTest(db)
  const isDeleted = pendingDeletion(db)
  const missing = events.filter(({ id }) => !isLocal(id) && !isDeleted(id))
  const [first] = missing
  if (!first) return 0
  const { id: sealedId } = db.prepare(sealedStateSql).get() as { id: number }
  // Column blocks must contain all events up to `sealedId`. If an event with an id in this range is inserted, all
  // blocks must be rebuilt.
  if (first.id <= sealedId) reset(db)
  takeBack(
    db,
    rid,
    day,
    missing.map((event) => ({
      id: event.id,
      day,
      hash: hashOf(event),
      viaKey: event.credential === "key" ? 1 : 0,
      eventId: event.event_id,
    })),
  )
  const inserted = inserter.insert(missing.map((event) => eventRowOf(event, rid)))
  if (inserted !== missing.length)
    throw new Error(`${missing.length - inserted} events have the event ids of other events`)
  return inserted
}

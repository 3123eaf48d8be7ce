import type { NodeWatermark } from "../../query/query.ts"
import type { Db } from "../../store/db/driver.ts"
import { EventReader } from "../../store/event-reader.ts"
import { linkedIds, linkedVisitors } from "../../store/identity-resolution.ts"
import { lastEventId } from "../../store/node-ids.ts"
import { deletedIds, readShipping } from "../../store/shipping.ts"
import { listWebsites, withoutWebsite } from "../../store/websites.ts"
import type { SentTable } from "../cluster.ts"
import { EventEncoder, tableStructure } from "../event-row.ts"
import { RowEncoder } from "../row-encoder.ts"
import { NotSupportedError } from "./scan.ts"

/** Limits of the tables that are sent with each statement. They are low, because encoding a million rows takes 5 s. */
export interface SnapshotLimits {
  rows: number
  bytes: number
  deletions: number
  linkedVisitors: number
}

export const snapshotLimits: SnapshotLimits = {
  rows: 200_000,
  bytes: 33_554_432,
  deletions: 500_000,
  linkedVisitors: 200_000,
}

const sql = {
  /** A new website can have the same id as a deleted website whose events are still being deleted. */
  deletedWebsites: "select id from websites where deleted_at is not null",
  version: "pragma data_version",
}

/** Number of events per read. */
const rowsPerRead = 5_000

/** The data that the file has but the cluster does not, at a single point in time. */
export interface FileSnapshot {
  writer: string
  watermark: number
  /** Events with ids above the watermark. */
  tail: SentTable
  tailRows: number
  /** Ids of events that were deleted here and might still be in the cluster. */
  deleted: SentTable
  /** Maps the rid of a website to its id in the cluster. */
  websites: ReadonlyMap<number, string>
  /** The other nodes. The snapshot includes the events from each of them up to its watermark. */
  others: readonly NodeWatermark[]
}

/**
 * Reads snapshots of a file. `read` and `links` throw a NotSupportedError if the cluster cannot answer queries in the
 * current state of the file.
 */
export class SnapshotSource {
  #current: { version: number; snapshot: FileSnapshot } | undefined

  constructor(
    private readonly db: Db,
    private readonly limits: SnapshotLimits = snapshotLimits,
    /** True if other nodes can ship to the same database. They might ship events before this node does. */
    private readonly isShared = false,
  ) {}

  /** Returns a snapshot. If nothing has been committed since the last call, returns the same snapshot again. */
  read(): FileSnapshot {
    const version = this.db.prepare(sql.version).pluck().get() as number
    if (this.#current?.version !== version) {
      this.#current = undefined
      this.#current = { version, snapshot: this.db.transaction(() => this.#read())() }
    }
    return this.#current.snapshot
  }

  #read(): FileSnapshot {
    const { db, limits } = this
    const shipping = readShipping(db)
    if (!shipping || (shipping.shippedId === 0 && !this.isShared))
      throw new NotSupportedError("no events have been shipped yet")
    if (shipping.mustCompare)
      throw new NotSupportedError("the cluster and the file might differ and must be compared first")
    const websites = new Map(listWebsites(db).map(({ rid, id }) => [rid, id]))
    const ids = new Set(websites.values())
    for (const id of db.prepare(sql.deletedWebsites).pluck().all() as string[])
      if (ids.has(id))
        throw new NotSupportedError(
          `the events of a deleted website with the same ID (${id}) are still being deleted`,
        )
    const deletions = deletedIds(db, shipping.shippedId, limits.deletions + 1)
    if (deletions.length > limits.deletions)
      throw new NotSupportedError("too many deletions have not been shipped yet")
    const deleted = new RowEncoder()
    for (const id of deletions) deleted.integer(id)
    websites.set(withoutWebsite, "")
    const tail = this.#tail(shipping.shippedId, websites)
    return {
      writer: shipping.writer,
      watermark: shipping.shippedId,
      tail: { name: "tail", structure: tableStructure, rows: tail.finish() },
      tailRows: tail.rows,
      deleted: { name: "deleted", structure: "id UInt64", rows: deleted.finish() },
      websites,
      others: [],
    }
  }

  #tail(after: number, websites: ReadonlyMap<number, string>): EventEncoder {
    const encoder = new EventEncoder()
    const named = new Map([...websites].map(([rid, id]) => [rid, id === "" ? null : id]))
    const reader = new EventReader(this.db, {
      websites: named,
      from: Number.MIN_SAFE_INTEGER,
      to: Number.MAX_SAFE_INTEGER,
    })
    const last = lastEventId(this.db)
    if (last - after > this.limits.rows)
      throw new NotSupportedError("too many events have not been shipped yet")
    for (const { events } of reader.inRange(after, last, rowsPerRead)) {
      for (const event of events) encoder.add(event)
      if (encoder.bytes > this.limits.bytes)
        throw new NotSupportedError("too many events have not been shipped yet")
    }
    return encoder
  }

  /** Returns a table with the visitors of these websites that are linked to profiles, together with those profiles. */
  links(websites: Iterable<readonly [rid: number, id: string]>): SentTable {
    const rows = new RowEncoder()
    let count = 0
    for (const [rid, id] of websites) {
      for (const batch of linkedVisitors(this.db, rid)) {
        count += batch.length
        if (count > this.limits.linkedVisitors)
          throw new NotSupportedError("too many visitors are linked to profiles")
        for (const [visitor, profiles] of batch) {
          rows.text(id)
          rows.text(visitor)
          rows.texts(profiles)
        }
      }
    }
    const structure = "website String, anonymous_id String, profiles Array(String)"
    return { name: "links", structure, rows: rows.finish() }
  }

  linkedIds(rid: number, profileId: string): string[] {
    return linkedIds(this.db, rid, profileId)
  }
}

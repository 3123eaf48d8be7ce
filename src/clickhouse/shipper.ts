import { dayMs } from "../columns/batch.ts"
import type { Random } from "../environment.ts"
import { UserError } from "../errors.ts"
import { websiteLine } from "../export/lines.ts"
import { endOfNode, lastEventId, nodeOf, startOfNode } from "../store/node-ids.ts"
import {
  deletedIds,
  type IdRange,
  newWriter,
  rangesWithoutEvents,
  readShipping,
  type Shipping,
} from "../store/shipping.ts"
import { listWebsites } from "../store/websites.ts"
import { ClusterError } from "./cluster.ts"
import { compare, readerOfAll, rowsPerStep } from "./comparison.ts"
import { deleteRanges } from "./deletions.ts"
import { forgetDuplicates, markDuplicates, renewDuplicates } from "./duplicates.ts"
import { EventEncoder, insertColumns } from "./event-row.ts"
import { Remover, type RemoverDeps } from "./remover.ts"
import { type InsertLimits, noIds, type RepairDeps, repair, unionOf } from "./repair.ts"
import { readSchema, requireSchema, type SchemaState } from "./schema.ts"
import { readWriters, WriterRecord } from "./writers.ts"

/** Dependencies of a shipper. */
export interface ShipperDeps extends RemoverDeps {
  /** Waits between steps, which take about 5 ms each, so that the thread can do other work. */
  pause: () => Promise<void>
  random: Random
  /** True if other nodes can ship to the same database. */
  isShared: boolean
}

/** Limits of a batch. At most two batches are in memory. */
export interface ShipperLimits extends InsertLimits {
  /**
   * An insert without a response might still be running in the cluster for this many ms. Deletions are held back for
   * this long, because such an insert could store deleted events again.
   */
  outcomeWindow: number
}

/**
 * The rows of an insert become one part of the table. A part has 100,000 rows, because merging smaller parts costs the
 * cluster more. Sending 16 MiB takes less than a second.
 */
export const shipperLimits: ShipperLimits = { rows: 100_000, bytes: 16_777_216, outcomeWindow: 300_000 }

/** Maximum number of deletions shipped in one step. */
const idsPerStep = 20_000

/** ms between shipments of deletions while more events are waiting than fit into a batch. */
const deletionsInterval = 60_000

export interface StepResult {
  /** True if the cluster acknowledged anything in this step. */
  hasShipped: boolean
  events: number
  /**
   * True if nothing is left to ship, except events that have just arrived. The caller then waits, because each insert
   * creates a part that the cluster must merge.
   */
  isDone: boolean
}

/** Encoded events with ids above `after` and up to `end`. `first`: the id of the first event. */
interface Batch {
  after: number
  first: number
  end: number
  rows: number
  chunks: Uint8Array[]
  /** True if the batch ended at a limit, so that more events are waiting. */
  isFull: boolean
}

/**
 * Ships events to a cluster in the order of their ids. For each batch, it first records in the file the highest id that
 * it will send. Then it inserts the rows into the cluster, records the highest id there too, and finally advances the
 * watermark in the file. The watermark is the id up to which everything is shipped. If the process crashes before that,
 * the next process sends the rows again, which is harmless. The caller must hold a lock, so that there is only one
 * shipper per file.
 */
export class Shipper {
  /** The batch that follows the one being sent. It is read while that one is sent. */
  #next: Promise<Batch | undefined> | undefined
  /** From this time on, deletions are shipped even if events are waiting. In ms on the `elapsed` clock. */
  #deletionsDueAt = Number.NEGATIVE_INFINITY
  /** Deletions are held back until this time, in ms on the `elapsed` clock. */
  #outcomeKnownAt = Number.NEGATIVE_INFINITY
  /** The website settings that were sent most recently. */
  #websites: string | undefined
  #hasVerified = false
  /**
   * True from a repair until the next comparison. If this comparison still finds differences, the step fails with an
   * error.
   */
  #hasRepaired = false
  /**
   * A range that covers the ids of all events that repairs have changed since the last comparison without differences.
   * Undefined if the ids are unknown because a repair failed or was run by another process.
   */
  #repaired: IdRange | undefined
  readonly #remover: Remover

  constructor(
    private readonly deps: ShipperDeps,
    private readonly limits: ShipperLimits = shipperLimits,
  ) {
    this.#remover = new Remover(deps)
  }

  /**
   * Ships one batch of events. If no full batch is waiting after it, also ships deletions and repairs differences.
   * Throws a ClusterError or a UserError.
   */
  async step(): Promise<StepResult> {
    const { db } = this.deps
    const shipping = readShipping(db) ?? (await this.#start())
    // If an earlier process was killed while it sent a batch or a repair, its insert might still be running.
    const mightHaveInsert = shipping.sendingId > shipping.shippedId || shipping.isRepairing
    if (!this.#hasVerified && mightHaveInsert) this.#holdDeletions()
    const hasWork =
      lastEventId(db) > shipping.shippedId ||
      this.#deletions(shipping).length > 0 ||
      shipping.mustCompare ||
      this.#remover.isDue
    // The first step always contacts the cluster, to report missing tables before there are events.
    if (!hasWork && this.#hasVerified) return { hasShipped: false, events: 0, isDone: true }
    // The cluster is verified before a batch is read, so that a step costs only one request during an outage.
    const { schema, record, isCurrent } = await this.#verify(shipping)
    this.#hasVerified = true
    if (!isCurrent) return { hasShipped: false, events: 0, isDone: false }
    await this.#sendWebsites(record)
    const batch = await this.#nextBatch(shipping.shippedId)
    if (batch && !(await this.#send(batch, schema, record)))
      return { hasShipped: false, events: 0, isDone: false }
    const isDone = await this.#followUp(batch?.isFull ?? false, schema)
    return { hasShipped: true, events: batch?.rows ?? 0, isDone }
  }

  /**
   * Ships deletions and repairs differences. While events are waiting (`isBehind`), ships deletions only once per
   * `deletionsInterval`, and repairs nothing. Returns true if nothing is left to do.
   */
  async #followUp(isBehind: boolean, schema: SchemaState): Promise<boolean> {
    const { db, elapsed } = this.deps
    const shipping = readShipping(db)
    if (!shipping || (isBehind && elapsed() < this.#deletionsDueAt)) return false
    this.#deletionsDueAt = elapsed() + deletionsInterval
    const ids = this.#deletions(shipping)
    if (ids.length > 0) await this.#delete(ids, schema)
    if (isBehind || ids.length === idsPerStep) return false
    // Expired events are deleted before a repair, because a repair would mistake the events of a deleted website for
    // foreign rows.
    if (!this.#deletionsHeld) await this.#remover.deleteExpired(schema)
    if (shipping.mustCompare) return this.#repair(shipping, schema)
    return this.#deletionsHeld || (await this.#remover.remove(shipping.shippedId))
  }

  #deletions({ shippedId }: Shipping): number[] {
    return this.#deletionsHeld ? [] : deletedIds(this.deps.db, shippedId, idsPerStep)
  }

  /**
   * Called for a file that was restored from a backup. Deletes the events that the cluster received after the backup
   * was created. Later steps ship the remaining events in the file, and then compare all events.
   */
  async replaceNewer(): Promise<void> {
    const { db, cluster, write, now } = this.deps
    const shipping = readShipping(db) ?? (await this.#start())
    const schema = await readSchema(cluster)
    requireSchema(schema, cluster.name)
    const record = await this.#record(shipping, schema)
    // The rewind is stored first, so that everything is compared even if the deletion is interrupted.
    await write({ type: "rewind", id: shipping.shippedId })
    const { shippedId } = shipping
    const last = endOfNode(shippedId)
    for (const statement of deleteRanges([{ first: shippedId + 1, last }], schema))
      await cluster.run(statement)
    if (schema.hasEventIds) await forgetDuplicates(cluster, shippedId, last, schema)
    await record.write(shipping.shippedId, now())
  }

  async #record(shipping: Shipping, schema: SchemaState): Promise<WriterRecord> {
    const { cluster, isShared } = this.deps
    const file = { ...shipping, isShared }
    return new WriterRecord(cluster, file, await readWriters(cluster), schema.cluster !== undefined)
  }

  get #deletionsHeld(): boolean {
    return this.deps.elapsed() < this.#outcomeKnownAt
  }

  #holdDeletions(): void {
    this.#outcomeKnownAt = this.deps.elapsed() + this.limits.outcomeWindow
  }

  /** Holds back deletions if `error` means that an insert might still be running. Returns `error`. */
  #observe(error: unknown): unknown {
    if (error instanceof ClusterError && error.isOutcomeUnknown) this.#holdDeletions()
    return error
  }

  async #start(): Promise<Shipping> {
    const { db, write, random } = this.deps
    await write({ type: "start", writer: newWriter(random), id: startOfNode(lastEventId(db)) })
    const shipping = readShipping(db)
    if (!shipping) throw new Error("the shipping state was not stored")
    return shipping
  }

  /**
   * Checks that the tables match this version, and that the cluster still has the events that it acknowledged. If the
   * cluster has fewer events, rewinds the watermark.
   */
  async #verify(
    shipping: Shipping,
  ): Promise<{ schema: SchemaState; record: WriterRecord; isCurrent: boolean }> {
    const { cluster, write, now, log } = this.deps
    const schema = await readSchema(cluster)
    const node = nodeOf(shipping.shippedId)
    requireSchema(schema, cluster.name, node > 0)
    const record = await this.#record(shipping, schema)
    if (schema.hasEventIds && record.isNew) {
      // Records the file in the cluster before its first insert. If another file with the same node number is recorded
      // at the same time, the next step for each file finds the other file, and ships nothing.
      await record.write(record.shippedId, now())
      return { schema, record, isCurrent: false }
    }
    if (record.shippedId > shipping.sendingId) {
      throw new UserError(
        `${cluster.name} has events from this file up to id ${record.shippedId}, but the file has sent none beyond id ${shipping.sendingId}: the file was restored from a backup, or a copy of it is also shipping events`,
        "stop the copy, or see “After a restore” in src/clickhouse/README.md: `databuddy clickhouse fetch` adds the events that only the cluster has, and `databuddy clickhouse load --replace` deletes them",
      )
    }
    if (record.shippedId >= shipping.shippedId) return { schema, record, isCurrent: true }
    this.#next = undefined
    this.#websites = undefined
    this.#remover.interrupt()
    log("warn", "the cluster is behind the watermark; shipping events again", {
      cluster: cluster.name,
      watermark: shipping.shippedId,
      shippedAgainFrom: record.shippedId,
    })
    await write({ type: "rewind", id: record.shippedId })
    return { schema, record, isCurrent: false }
  }

  /**
   * Sends a batch. Returns false if the batch must be sent again, because the cluster has started to store event ids in
   * the meantime and might not have stored the event ids of the batch.
   */
  async #send(batch: Batch, schema: SchemaState, record: WriterRecord): Promise<boolean> {
    const { cluster, write, now } = this.deps
    const isReplicated = schema.cluster !== undefined
    await write({ type: "send", id: batch.end })
    if (batch.isFull) {
      this.#next = this.#read(batch.end)
      // If reading fails, the step that uses the batch reports the error.
      this.#next.catch(() => {})
    }
    try {
      if (batch.rows > 0) await cluster.insert("events", insertColumns, batch.chunks, isReplicated)
      if (schema.hasEventIds) await markDuplicates(cluster, batch.first - 1, batch.end, schema)
      else if ((await readSchema(cluster)).hasEventIds) return false
      await record.write(batch.end, now())
    } catch (error) {
      throw this.#observe(error)
    }
    await write({ type: "acknowledge", id: batch.end, at: now() })
    return true
  }

  /** Sends the website settings if they have changed. */
  async #sendWebsites(record: WriterRecord): Promise<void> {
    const lines = listWebsites(this.deps.db).map(websiteLine)
    const text = lines.join("\n")
    if (text === this.#websites) return
    await record.writeWebsites(lines)
    this.#websites = text
  }

  async #delete(ids: readonly number[], schema: SchemaState): Promise<void> {
    const { db, cluster, write, now } = this.deps
    for (const statement of deleteRanges(rangesWithoutEvents(db, ids), schema)) await cluster.run(statement)
    await write({ type: "deleted", ids, at: now() })
  }

  /**
   * Compares the events in the file and in the cluster, and repairs differences. Returns true if there were no
   * differences.
   */
  async #repair({ shippedId, isRepairing }: Shipping, schema: SchemaState): Promise<boolean> {
    const { db, cluster, write, pause, log } = this.deps
    this.#remover.interrupt()
    const { differences } = await compare(db, cluster, shippedId, pause)
    if (differences.length === 0) {
      this.#hasRepaired = false
      if (schema.hasEventIds && isRepairing) {
        const all = { first: startOfNode(shippedId) + 1, last: shippedId }
        await renewDuplicates(cluster, this.#repaired ?? all, schema)
      }
      await write({ type: "compared" })
      log("info", "the cluster has the same events as the file", { cluster: cluster.name, lastId: shippedId })
      return true
    }
    if (this.#hasRepaired) {
      this.#hasRepaired = false
      throw new ClusterError(
        `${cluster.name} still differs from the file after a repair (days: ${differences.length})`,
        undefined,
        false,
      )
    }
    log("warn", "the cluster and the file have different events; repairing the cluster", {
      cluster: cluster.name,
      days: differences.length,
    })
    const repairedBefore = isRepairing ? this.#repaired : noIds
    this.#repaired = undefined
    await write({ type: "repair" })
    try {
      const onCorrection: RepairDeps["onCorrection"] = ({ website, day }, { events }, inCluster) =>
        log(
          "warn",
          "for a day removed from the file, the cluster has a different number of events than were removed; recording the cluster's number",
          {
            website,
            day: new Date(day * dayMs).toISOString().slice(0, 10),
            removed: events,
            inCluster,
          },
        )
      const { limits } = this
      const lastId = shippedId
      const ids = await repair(differences, {
        db,
        cluster,
        schema,
        lastId,
        limits,
        pause,
        write,
        onCorrection,
      })
      this.#repaired = repairedBefore && unionOf(repairedBefore, ids)
    } catch (error) {
      throw this.#observe(error)
    }
    this.#hasRepaired = true
    return false
  }

  /**
   * Returns the batch of events that follow the id `after`, from memory if it has already been read. Undefined if there
   * are no such events.
   */
  async #nextBatch(after: number): Promise<Batch | undefined> {
    const next = this.#next
    this.#next = undefined
    const batch = await next
    return batch?.after === after ? batch : this.#read(after)
  }

  async #read(after: number): Promise<Batch | undefined> {
    const { db, pause } = this.deps
    // Reads the last id before the list of websites, so that the website of every event up to this id is in the list,
    // unless it was deleted.
    const last = lastEventId(db)
    if (last <= after) return undefined
    const encoder = new EventEncoder()
    let first: number | undefined
    let batchEnd = after
    let isFull = false
    for (const { events, end } of readerOfAll(db).inRange(after, last, rowsPerStep)) {
      first ??= events[0]?.id
      for (const event of events) encoder.add(event)
      batchEnd = end
      isFull = encoder.rows >= this.limits.rows || encoder.bytes >= this.limits.bytes
      if (isFull) break
      await pause()
    }
    return {
      after,
      first: first ?? batchEnd,
      end: batchEnd,
      rows: encoder.rows,
      chunks: encoder.finish(),
      isFull,
    }
  }
}

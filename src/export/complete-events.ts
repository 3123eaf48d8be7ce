import { RequestError } from "../errors.ts"
import type { Db } from "../store/db/driver.ts"
import type { EventSelection, StoredEvent } from "../store/event-reader.ts"
import type { Person } from "../store/forget.ts"
import { lastEventId, startOfNode } from "../store/node-ids.ts"
import { lastRemovedDays, removedText, removedTotals } from "../store/removed-days.ts"
import { readShipping } from "../store/shipping.ts"
import { RemovedCounts } from "./removed-counts.ts"

// An export contains the events in the file, and the removed events: those that only the cluster still has, because
// --keep-local removed them from the file.

/** Selects the removed events to read. */
export interface RemovedSelection {
  /** IDs of websites, where '' stands for events without a website. */
  websites: readonly string[]
  /** Range of UTC days, as days since 1970-01-01. Both ends are inclusive. */
  days: { first: number; last: number }
  /** Range of event times in Unix ms, `to` exclusive. */
  from: number
  to: number
  /** Range of event IDs: above `after`, up to and including `last`. */
  after: number
  last: number
  /**
   * If set, only this person's events are read. `storedIds`: the anonymous IDs that are stored with the person's
   * events.
   */
  person: (Person & { storedIds: readonly string[] }) | undefined
}

/** The cluster, as the source of removed events. */
export interface RemovedEvents {
  /** Rejects if the cluster cannot currently be read. `rids`: the websites of the export. */
  check: (rids: readonly number[]) => Promise<void>
  /**
   * Yields the selected events in ID order. Leaves out deleted events. May include events that are still in the file.
   * Throws an error if it cannot yield all selected events.
   */
  read: (selection: RemovedSelection, signal: AbortSignal) => AsyncGenerator<StoredEvent[]>
}

/**
 * Returns a source of removed events that loads the client of the cluster only when it is needed. `errorOf`: returns
 * the error to throw instead of `cause`. Its `rids` are the websites of the export, or undefined after the export has
 * begun.
 */
export function loadedOnDemand(
  load: () => Promise<RemovedEvents>,
  errorOf: (cause: unknown, rids: readonly number[] | undefined) => unknown,
): RemovedEvents {
  return {
    check: async (rids) => {
      try {
        await (await load()).check(rids)
      } catch (cause) {
        throw errorOf(cause, rids)
      }
    },
    read: async function* (selection, signal) {
      try {
        yield* (await load()).read(selection, signal)
      } catch (cause) {
        throw signal.aborted ? cause : errorOf(cause, undefined)
      }
    },
  }
}

/** The sources from which an export reads events. */
export interface ExportSource {
  db: Db
  /** Undefined if no cluster is configured. An export of removed events then fails. */
  cluster: RemovedEvents | undefined
  /** Aborted when the client disconnects. */
  signal: AbortSignal
}

type Selection = EventSelection & Pick<RemovedSelection, "person">

/** What has been removed from the selection: the websites with removed events, and the last day with such events. */
interface Removed {
  rids: ReadonlySet<number>
  lastDay: number
}

/** Merges the removed events into the events of the file. More events may be removed while the export is running. */
export class CompleteEvents {
  /** Undefined for a person, because the file does not store how many of a person's events were removed. */
  readonly #counts: RemovedCounts | undefined
  /** The last event ID when the export started. Events that arrive later are not exported. */
  readonly #lastId: number
  /** What had been removed when the cluster was last queried or, before the first query, when the export started. */
  #removed: Removed
  /** The result of the last query, until it has been read completely. */
  #chunks: AsyncGenerator<StoredEvent[]> | undefined
  /** Events that have been read from the result but not yielded yet. */
  #chunk: StoredEvent[] = []
  /** All events up to this ID have been yielded. */
  #yieldedId: number
  /** The queries so far cover all IDs up to this one. */
  #selectedId: number

  constructor(
    private readonly source: ExportSource,
    private readonly selection: Selection,
  ) {
    this.#lastId = lastEventId(source.db)
    this.#yieldedId = this.#selectedId = startOfNode(this.#lastId)
    this.#removed = this.#readRemoved()
    if (!selection.person) this.#counts = new RemovedCounts(source.db, selection)
  }

  /** Rejects if selected events have been removed and the cluster cannot be read. */
  async check(): Promise<void> {
    if (this.#removed.rids.size > 0) await this.#cluster().check([...this.selection.websites.keys()])
  }

  /**
   * Yields the events of `batches` and the removed events, in ID order. `batches`: the selected events of the file in
   * ID order. Batches can be empty.
   */
  async *add(batches: AsyncIterable<StoredEvent[]> | Iterable<StoredEvent[]>): AsyncGenerator<StoredEvent[]> {
    try {
      for await (const batch of batches) {
        const end = batch.at(-1)?.id
        if (end === undefined) yield batch
        else yield* this.#upTo(end, batch)
      }
      yield* this.#upTo(this.#lastId, [])
      this.#counts?.verify()
    } finally {
      await this.#stop()
    }
  }

  /** Yields all events up to the ID `end`: the events of `batch`, and the removed events. */
  async *#upTo(end: number, batch: readonly StoredEvent[]): AsyncGenerator<StoredEvent[]> {
    let at = 0
    for await (const removed of this.#removedUpTo(end)) {
      const merged: StoredEvent[] = []
      for (const event of removed) {
        for (let inFile = batch[at]; inFile && inFile.id < event.id; inFile = batch[++at]) merged.push(inFile)
        if (batch[at]?.id === event.id) continue
        merged.push(event)
        this.#counts?.add(event)
      }
      yield merged
      this.#yieldedId = removed.at(-1)?.id ?? this.#yieldedId
    }
    yield batch.slice(at)
    this.#yieldedId = end
  }

  /**
   * Yields the removed events up to the ID `end`. Must be called after the file has been read up to `end`, so that
   * every event that was missing from the file has already been recorded as removed.
   */
  async *#removedUpTo(end: number): AsyncGenerator<StoredEvent[]> {
    const removed = this.#readRemoved()
    const isSelected = removed.lastDay <= this.#removed.lastDay && removed.rids.isSubsetOf(this.#removed.rids)
    if (!isSelected) {
      await this.#stop()
      this.#removed = removed
      this.#selectedId = this.#yieldedId
    }
    for (;;) {
      const later = this.#chunk.findIndex(({ id }) => id > end)
      const events = this.#chunk.splice(0, later < 0 ? this.#chunk.length : later)
      if (events.length > 0) yield events
      if (this.#chunk.length > 0) return
      this.#chunks ??= this.#select(end)
      const next = await this.#chunks?.next()
      if (!next) return
      if (next.done) this.#chunks = undefined
      else this.#chunk = next.value
    }
  }

  /**
   * Selects the removed events with the remaining IDs. Returns undefined if there are none up to `end`. Events above
   * the watermark are in the file, unless the cluster has lost events. In that case, both sides must be compared first,
   * and `read` throws an error.
   */
  #select(end: number): AsyncGenerator<StoredEvent[]> | undefined {
    const { websites, from, to, person } = this.selection
    const { rids, lastDay } = this.#removed
    const shipping = readShipping(this.source.db)
    const last = shipping?.mustCompare ? this.#lastId : Math.min(shipping?.shippedId ?? 0, this.#lastId)
    const after = this.#selectedId
    if (rids.size === 0 || after >= Math.min(end, last)) return undefined
    this.#selectedId = last
    return this.#cluster().read(
      {
        websites: [...rids].map((rid) => websites.get(rid) ?? ""),
        days: { first: firstDay(from), last: lastDay },
        from,
        to,
        after,
        last,
        person,
      },
      this.source.signal,
    )
  }

  async #stop(): Promise<void> {
    await this.#chunks?.return(undefined)
    this.#chunks = undefined
    this.#chunk = []
  }

  #readRemoved(): Removed {
    const { websites, from, to } = this.selection
    const days = lastRemovedDays(this.source.db, [...websites.keys()], from, to)
    return { rids: new Set(days.keys()), lastDay: Math.max(...days.values()) }
  }

  /** Returns the cluster. Throws a RequestError if none is configured. */
  #cluster(): RemovedEvents {
    const { cluster, db } = this.source
    if (cluster) return cluster
    const totals = removedTotals(db, [...this.selection.websites.keys()])
    throw new RequestError("events_removed", {
      detail: `${totals ? `${removedText(totals)}, so ` : ""}the export would be incomplete: export later days, set --clickhouse as for serve, or copy the events back with databuddy clickhouse fetch`,
    })
  }
}

/** Returns the UTC day of a time, but at least 0, because days before 1970 are never removed. */
function firstDay(from: number): number {
  return Math.max(0, Math.floor(from / 86_400_000))
}

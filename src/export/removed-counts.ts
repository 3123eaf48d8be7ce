import { UserError } from "../errors.ts"
import type { Db } from "../store/db/driver.ts"
import type { EventSelection, StoredEvent } from "../store/event-reader.ts"
import { isEqual, type RemovedDay, removedDays } from "../store/removed-days.ts"

const dayMs = 86_400_000

/** Counts the removed events in an export, to find out whether the cluster has lost some of them. */
export class RemovedCounts {
  /** The removed days that the export selects completely, as they were when it started. The keys are from `keyOf`. */
  readonly #days: ReadonlyMap<string, RemovedDay>
  readonly #events = new Map<string, number>()

  constructor(
    private readonly db: Db,
    private readonly selection: EventSelection,
  ) {
    this.#days = this.#read()
  }

  /** Counts an event that only the cluster has. */
  add({ website_id, timestamp }: StoredEvent): void {
    const key = keyOf(website_id, Math.floor(timestamp / dayMs))
    this.#events.set(key, (this.#events.get(key) ?? 0) + 1)
  }

  /**
   * Throws a UserError if the cluster did not return as many events of a day as were removed from the file. Ignores
   * days that have expired, and days from which events have been removed or deleted since the export started.
   */
  verify(): void {
    for (const [key, day] of this.#read()) {
      const before = this.#days.get(key)
      if (!before || !isEqual(before, day) || day.isExpired) continue
      const events = this.#events.get(key) ?? 0
      if (events === day.events) continue
      const date = new Date(day.day * dayMs).toISOString().slice(0, 10)
      throw new UserError(
        `the export is incomplete: ${day.events} events of ${date} were removed from ${this.db.name}, and the cluster has ${events} of them`,
        "databuddy clickhouse compare shows all days on which both sides differ",
      )
    }
  }

  #read(): Map<string, RemovedDay> {
    const { websites, from, to } = this.selection
    return new Map(
      removedDays(this.db)
        .filter(({ rid, day }) => websites.has(rid) && day * dayMs >= from && (day + 1) * dayMs <= to)
        .map((day) => [keyOf(websites.get(day.rid) ?? null, day.day), day]),
    )
  }
}

function keyOf(website: string | null, day: number): string {
  return `${day} ${website ?? ""}`
}

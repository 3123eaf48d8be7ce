import { UserError } from "../../errors.ts"
import type { RemovedEvents, RemovedSelection } from "../../export/complete-events.ts"
import type { Db } from "../../store/db/driver.ts"
import type { StoredEvent } from "../../store/event-reader.ts"
import { pendingDeletion, readShipping } from "../../store/shipping.ts"
import { Cluster, requestTimes } from "../cluster.ts"
import { readEvents } from "../row-reader.ts"
import type { ClusterLogin } from "../shipping-thread.ts"
import { isEventOfPerson, requireOwnEvents } from "./removed-person.ts"
import { Parameters } from "./statement.ts"

/** The cluster counts as down if a check takes longer than this many ms. */
const checkTimeout = 5_000

/**
 * Reads removed events from the cluster. Throws a ClusterError, or a UserError if the cluster might not have all events
 * that were removed from the file.
 */
export class EventsInCluster implements RemovedEvents {
  constructor(
    private readonly db: Db,
    private readonly login: ClusterLogin,
  ) {}

  async check(): Promise<void> {
    const cluster = this.#connect(checkTimeout)
    try {
      await this.#verify(cluster)
    } finally {
      await cluster.close()
    }
  }

  async *read(selection: RemovedSelection, signal: AbortSignal): AsyncGenerator<StoredEvent[]> {
    const { websites, days, from, to, after, last, person } = selection
    const parameters = new Parameters()
    const bind = parameters.bind.bind(parameters)
    const conditions = [
      `website in ${bind("Array(String)", websites)}`,
      `day between toDate32(${bind("Int32", days.first)}) and toDate32(${bind("Int32", days.last)})`,
      `toUnixTimestamp64Milli(ts) >= ${bind("Int64", from)}`,
      `toUnixTimestamp64Milli(ts) < ${bind("Int64", to)}`,
      ...(person ? [isEventOfPerson(parameters, person, person.storedIds)] : []),
    ]
    const cluster = this.#connect(requestTimes.timeout)
    const isDeleted = pendingDeletion(this.db)
    try {
      const events = readEvents(cluster, {
        condition: conditions.join(" and "),
        parameters: parameters.values,
        after,
        last,
        signal,
        verify: () => this.#verify(cluster),
      })
      for await (const chunk of events) yield chunk.filter(({ id }) => !isDeleted(id))
    } finally {
      await cluster.close()
    }
  }

  #connect(timeout: number): Cluster {
    return new Cluster(this.login.address, this.login.password, { ...requestTimes, timeout })
  }

  async #verify(cluster: Cluster): Promise<void> {
    if (readShipping(this.db)?.mustCompare)
      throw new UserError(
        `${cluster.name} and ${this.db.name} might differ and must be compared first`,
        "retry when the server has compared them, or run databuddy clickhouse load with the server stopped",
      )
    await requireOwnEvents(this.db, cluster)
  }
}

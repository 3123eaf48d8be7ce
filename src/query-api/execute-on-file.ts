import type { SnapshotReader } from "../columns/snapshot-reader.ts"
import { RequestError } from "../errors.ts"
import { executeQuery, type QueryOutcome, snapshotScope } from "../query/engine/execute.ts"
import type { Query } from "../query/query.ts"
import type { MemoryBudget } from "../query/structures/memory-budget.ts"
import { removedText } from "../store/removed-days.ts"

/**
 * Executes a query on the events in the database file. Throws `events_removed` if the query needs events that have been
 * removed from the file.
 */
export function* executeOnFile<Q extends Query>(
  reader: SnapshotReader,
  query: Q,
  budget: MemoryBudget,
): Generator<void, QueryOutcome<Q>> {
  requireAllEvents(reader, query)
  const outcome = yield* executeQuery(reader, query, budget)
  // Checked again, because events can be removed while the query runs.
  requireAllEvents(reader, query)
  return outcome
}

function requireAllEvents(reader: SnapshotReader, query: Query): void {
  const removed = reader.removedEvents(snapshotScope(query))
  if (removed) throw new RequestError("events_removed", { detail: removedText(removed) })
}

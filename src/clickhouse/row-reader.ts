import type { StoredEvent } from "../store/event-reader.ts"
import { type Cluster, ClusterError, type TableQuery } from "./cluster.ts"
import { eventOf, selectedColumns } from "./event-row.ts"

/** Selects the events to read from the cluster. */
export interface RowSelection {
  /** SQL condition. Its values are in `parameters`, in the format of ClickHouse's parameters. */
  condition: string
  parameters: Readonly<Record<string, string>>
  /** Reads IDs above `after` and up to `last`. */
  after: number
  last: number
  signal: AbortSignal
  /** Called before each statement. Rejects if the cluster might not have all events. */
  verify?: () => Promise<void>
}

/**
 * Number of IDs per statement. The cluster sorts the events with these IDs in memory. The index on IDs finds the events
 * without a full scan, because IDs increase with the time of receipt.
 */
const idsPerQuery = 200_000

/**
 * Yields events in ID order, only as fast as the consumer reads them. Holds one chunk of a response in memory. Throws a
 * ClusterError if it cannot read all events, or the abort reason if the signal is aborted.
 */
export async function* readEvents(cluster: Cluster, selection: RowSelection): AsyncGenerator<StoredEvent[]> {
  const { condition, parameters, signal, verify } = selection
  const where = `where (${condition}) and id > {after:UInt64} and id <= {last:UInt64}`
  // A proxy can end an incomplete response as if it were complete. To detect this, each row contains the total number
  // of rows.
  const events = `select ${selectedColumns}, count() over () from events final ${where} order by id`
  // This query runs only if a statement found no events, because it reads the IDs of all later events.
  const nextId = `select minOrNull(id) from events ${where}`
  const queryOf = (after: number, last: number): TableQuery => ({
    parameters: { ...parameters, after: String(after), last: String(last) },
    tables: [],
    settings: {},
    signal,
  })
  const incomplete = () => new ClusterError(`${cluster.name} sent an incomplete response`, undefined, true)
  for (let after = selection.after; after < selection.last; ) {
    await verify?.()
    const last = Math.min(after + idsPerQuery, selection.last)
    let rows = 0
    let end = after
    try {
      let total = 0
      for await (const chunk of cluster.rowsWithTables(events, queryOf(after, last))) {
        const read = chunk.map(eventOf)
        rows += read.length
        total = Number(chunk[0]?.at(-1))
        end = read.at(-1)?.id ?? end
        yield read
      }
      if (rows !== total) throw incomplete()
    } catch (error) {
      // Continues after the last event received, because a response also breaks off if the consumer pauses for longer
      // than the timeouts of the connection allow.
      const isBrokenOff = error instanceof ClusterError && error.number === undefined && rows > 0
      if (!isBrokenOff || signal.aborted) throw error
      after = end
      continue
    }
    after = last
    if (rows > 0) continue
    const [row] = await cluster.queryWithTables<[number | null]>(nextId, queryOf(end, selection.last))
    if (row === undefined) throw incomplete()
    const [next] = row
    if (next === null) return
    if (next <= last) throw incomplete()
    after = next - 1
  }
}

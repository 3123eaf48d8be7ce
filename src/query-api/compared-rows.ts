import type { Scope } from "../query/query.ts"
import { span } from "./groups.ts"
import type { QuerySpec, QueryType, Row, RunQuery, TypeResult } from "./query-spec.ts"
import { unionOf } from "./rows.ts"

/** A report with one row per value of its first column. */
interface ComparedReport {
  /** The column used to match the rows of the two periods. */
  label: string
  /** Values of the other columns in a row without events. The `previous` object of a row has the same columns. */
  empty: Row
  /** The column that holds the row's share. `previous` does not have it. */
  share?: string
  rows: (scope: Scope, run: RunQuery) => Generator<void, Row[]>
}

/**
 * Defines the columns and rows of a report that supports comparison. If a query sets `compare`, the report contains
 * the rows of both periods.
 */
export function comparedReport({
  label,
  empty,
  share,
  rows: rowsIn,
}: ComparedReport): Pick<QueryType, "columns" | "takes" | "rows"> {
  const columns = Object.keys(empty)
  function* rows({ scope, previous }: QuerySpec, run: RunQuery): Generator<void, TypeResult> {
    const current = yield* rowsIn(scope, run)
    if (!previous) return { rows: current }
    const earlier = yield* rowsIn({ ...scope, ...span(previous) }, run)
    const withoutEvents: Row = share ? { ...empty, [share]: 0 } : empty
    const union = unionOf(
      current,
      earlier,
      (row) => JSON.stringify(row[label]),
      (row) => ({ [label]: row[label], ...withoutEvents }),
    )
    const previousOf = (row: Row) =>
      Object.fromEntries(columns.map((column) => [column, row[column] ?? null]))
    return { rows: union.map(({ item, previous = empty }) => ({ ...item, previous: previousOf(previous) })) }
  }
  return { columns: [label, ...columns, ...(share ? [share] : [])], takes: ["compare"], rows }
}

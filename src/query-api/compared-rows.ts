import type { Scope } from "../query/query.ts"
import { span } from "./groups.ts"
import type { QuerySpec, QueryType, Row, RunQuery, TypeResult } from "./query-spec.ts"
import { unionOf } from "./rows.ts"

/** A report with a row for each value of its first column. */
interface ComparedReport {
  /** The column that pairs the rows of two periods. */
  label: string
  /** The values of the other columns if there are no events; `previous` has these columns. */
  empty: Row
  /** The column for the row's share, which `previous` does not have. */
  share?: string
  rows: (scope: Scope, run: RunQuery) => Generator<void, Row[]>
}

/** Defines the columns and rows of a compared report. In a comparison, the rows are those of both periods. */
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

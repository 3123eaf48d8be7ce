import type { Scope } from "../query/query.ts"
import { span } from "./groups.ts"
import type { QuerySpec, QueryType, Row, RunQuery, TypeResult } from "./query-spec.ts"

/** A report with a row for each value of its first column. */
interface ComparedReport {
  /** The column that pairs the rows of two periods. */
  label: string
  /** The other columns without events; `previous` has these. */
  empty: Row
  /** The column for the row's share, which `previous` does not have. */
  share?: string
  rows: (scope: Scope, run: RunQuery) => Generator<void, Row[]>
}

/** The columns of such a report, and its rows: in a comparison, those of both periods. */
export function comparedReport({
  label,
  empty,
  share,
  rows: rowsIn,
}: ComparedReport): Pick<QueryType, "columns" | "takes" | "rows"> {
  const columns = Object.keys(empty)
  const shares = share ? [share] : []
  function* rows({ scope, previous }: QuerySpec, run: RunQuery): Generator<void, TypeResult> {
    const current = yield* rowsIn(scope, run)
    if (!previous) return { rows: current }
    const earlier = yield* rowsIn({ ...scope, ...span(previous) }, run)
    const earlierByLabel = new Map(earlier.map((row) => [row[label], row]))
    const labels = new Set(current.map((row) => row[label]))
    const more = earlier.flatMap((row): Row[] =>
      labels.has(row[label])
        ? []
        : [{ [label]: row[label], ...empty, ...Object.fromEntries(shares.map((name) => [name, 0])) }],
    )
    const previousOf = (row: Row) => {
      const values = earlierByLabel.get(row[label]) ?? empty
      return Object.fromEntries(columns.map((column) => [column, values[column] ?? null]))
    }
    return { rows: [...current, ...more].map((row) => ({ ...row, previous: previousOf(row) })) }
  }
  return { columns: [label, ...columns, ...shares], takes: ["compare"], rows }
}

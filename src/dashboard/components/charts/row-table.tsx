import type { ComponentChildren } from "preact"
import { useApp } from "../../state/app.ts"
import { useFormat } from "../controls/use-format.ts"
import { type LinkedPeople, PeopleLink } from "../people/people-link.tsx"
import { DataTable, type Sort } from "./data-table.tsx"
import { Change, type Direction } from "./stat.tsx"

/** A table column, which either renders its cells or shows a count. */
export type RowColumn<Row> = {
  heading: string
  /** Sort key; undefined if the column is not sortable. */
  sort?: string | undefined
} & (
  | { cell: (row: Row) => ComponentChildren; isNumber?: boolean }
  | {
      count: (row: Row) => number
      /** Returns the people that the count links to. If absent or if it returns undefined, there is no link. */
      people?: (row: Row) => LinkedPeople | undefined
    }
)

interface RowTableProps<Row> {
  /** Accessible name. */
  name: string
  rows: readonly Row[]
  columns: readonly RowColumn<Row>[]
  keyOf: (row: Row) => string
  /** The length of the bar behind the first cell of a row, from 0 to 1. */
  barOf: (row: Row) => number
  sort: Sort
  onSort: (sort: Sort) => void
}

/** A table defined by its columns. The server sorts the rows. */
export function RowTable<Row>({ name, rows, columns, keyOf, barOf, sort, onSort }: RowTableProps<Row>) {
  const format = useFormat()
  return (
    <DataTable
      name={name}
      columns={columns.map(({ heading }) => heading)}
      numeric={columns.map((column) => "count" in column || (column.isNumber ?? false))}
      bars={rows.map(barOf)}
      keys={rows.map(keyOf)}
      sorting={{ ...sort, keys: columns.map((column) => column.sort), onSort }}
      rows={rows.map((row) =>
        columns.map((column) => {
          if (!("count" in column)) return column.cell(row)
          const text = format.count(column.count(row))
          const people = column.people?.(row)
          return people ? (
            <PeopleLink key={column.heading} {...people} count={column.count(row)}>
              {text}
            </PeopleLink>
          ) : (
            text
          )
        }),
      )}
    />
  )
}

interface ChangeColumnOptions<Row> {
  value: (row: Row) => number
  /** Returns undefined or null if the row is missing from the previous period. */
  previous: (row: Row) => number | null | undefined
  better?: (row: Row) => Direction | undefined
}

/**
 * Returns the column that shows the change of a count since the previous period, or no column if nothing is compared.
 */
export function useChangeColumn<Row>(options: ChangeColumnOptions<Row>): RowColumn<Row>[] {
  const { view } = useApp()
  const format = useFormat()
  if (!view.value.compare) return []
  const { value, previous, better } = options
  return [
    {
      heading: "Change",
      sort: "change",
      isNumber: true,
      cell: (row) => (
        <Change value={value(row)} previous={previous(row) ?? 0} better={better?.(row)} format={format} />
      ),
    },
  ]
}

/** Shows how long ago something was last seen, or a dash if `time` is null. */
export function LastSeen({ time }: { time: string | null }) {
  const { now } = useApp()
  const format = useFormat()
  if (time === null) return "–"
  return (
    <time dateTime={time} title={format.time(time)}>
      {format.ago(time, now())}
    </time>
  )
}

import type { ComponentChildren } from "preact"
import { useApp } from "../../state/app.ts"
import { useFormat } from "../controls/use-format.ts"
import { type LinkedPeople, PeopleLink } from "../people/people-link.tsx"
import { DataTable, type Sort } from "./data-table.tsx"
import { Change, type Direction } from "./stat.tsx"

/** A column of a table: the content of its cells, or the count that it shows. */
export type RowColumn<Row> = {
  heading: string
  /** Sort key; undefined: rows cannot be sorted by the column. */
  sort?: string | undefined
} & (
  | { cell: (row: Row) => ComponentChildren; isNumber?: boolean }
  | {
      count: (row: Row) => number
      /** The people that the count links to. Absent: no link. */
      people?: (row: Row) => LinkedPeople | undefined
    }
)

interface RowTableProps<Row> {
  /** Accessible name. */
  name: string
  rows: readonly Row[]
  columns: readonly RowColumn<Row>[]
  keyOf: (row: Row) => string
  /** Length of the bar behind a row's first cell, 0 to 1. */
  barOf: (row: Row) => number
  sort: Sort
  onSort: (sort: Sort) => void
}

/** A table of rows that the server sorts, described by its columns. */
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
  /** Undefined or null: the row did not exist in the previous period. */
  previous: (row: Row) => number | null | undefined
  better?: (row: Row) => Direction | undefined
}

/** The column with the change of a count since the previous period. There is none without a comparison. */
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

/** How long ago a row was last seen. */
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

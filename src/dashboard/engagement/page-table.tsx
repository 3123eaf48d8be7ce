import { CardMenu } from "../components/charts/card-menu.tsx"
import { DataTable } from "../components/charts/data-table.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Value } from "../components/controls/value.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import type { PinnedTile } from "../state/boards.ts"
import type { Format } from "../state/format.ts"
import type { QueryState } from "../state/use-query.ts"
import type { Column, PageReport } from "./tables.ts"

type Row = Record<string, string | number | null>

/** Number of rows in the table on a board. */
const tileRows = 20

/** Returns the table as a tile for boards. */
function tileOf({ name, title, columns }: PageReport): PinnedTile {
  return {
    kind: "table",
    title,
    query: { parameters: [{ name, limit: tileRows }] },
    columns: [
      { column: "name", label: "Page", format: "text" },
      ...columns.map(({ column, label, unit }) => ({
        column,
        label,
        format: unit === "ms" ? ("milliseconds" as const) : unit,
      })),
    ],
  }
}

/** A report with one row per page. The bars show the first column. Clicking a page filters by that page. */
export function PageTable({ table, query }: { table: PageReport; query: QueryState }) {
  const format = useFormat()
  const { name, title, hint, empty, file, columns } = table
  const rows = query.rows<Row>(name)
  const views = rows.map((row) => Number(row[columns[0]?.column ?? ""]))
  const max = Math.max(...views, 1)
  return (
    <Panel
      title={title}
      hint={hint}
      pin={tileOf(table)}
      actions={
        <CardMenu
          file={file}
          columns={["page", ...columns.map(({ column }) => column)]}
          rows={rows.map((row) => [row.name, ...columns.map(({ column }) => row[column])])}
        />
      }
    >
      <Loaded query={query} id={name} height={240}>
        {() =>
          rows.length === 0 ? (
            <Empty title={empty} />
          ) : (
            <DataTable
              name={title}
              columns={["Page", ...columns.map(({ label }) => label)]}
              numeric={[false, ...columns.map(({ unit }) => unit !== "text")]}
              bars={views.map((value) => value / max)}
              keys={rows.map((row) => String(row.name))}
              rows={rows.map((row) => [
                <Value key="page" field="path" value={String(row.name)} />,
                ...columns.map(({ column, unit }) => cellText(row[column] ?? null, unit, format)),
              ])}
            />
          )
        }
      </Loaded>
    </Panel>
  )
}

/** Formats the value of a cell. Returns a dash for null. */
function cellText(value: string | number | null, unit: Column["unit"], format: Format): string {
  if (value === null) return "–"
  if (typeof value === "string") return value
  switch (unit) {
    case "percent":
      return format.rate(value)
    case "seconds":
      return format.duration(value * 1_000)
    case "ms":
      return format.duration(value)
    case "number":
      return format.number(value)
    default:
      return format.count(value)
  }
}

import type { ComponentChildren } from "preact"
import { moverValue, type ValueNames } from "../components/charts/explanation.tsx"
import { LastSeen } from "../components/charts/row-table.tsx"
import { ValueText } from "../components/controls/value.tsx"
import type { Measure } from "../state/boards.ts"
import type { Row } from "../state/query-cache.ts"
import { valueText } from "./values.ts"

/** Returns the display name of a value. */
export function nameIn(row: Row, column: string, names: ValueNames): string {
  const value = row[column]
  if (column === "website_id") return names.session.nameOf(typeof value === "string" ? value : "none")
  return typeof value === "string" ? moverValue(column, value, names) : "(none)"
}

/** Returns the content of a table cell. */
export function cellOf(row: Row, { column, format: as }: Measure, names: ValueNames): ComponentChildren {
  const value = row[column]
  if (as === "time") return <LastSeen time={typeof value === "string" ? value : null} />
  if (as === "text") {
    const isMissing = value === null && column !== "website_id"
    return <ValueText value={isMissing ? null : nameIn(row, column, names)} />
  }
  return typeof value === "number" ? valueText(value, as, names.format) : "–"
}

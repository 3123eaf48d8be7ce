import type { Locator } from "playwright-core"
import type { Dashboard } from "./browser.ts"

/** The rows that the API has for the one parameter of a query, in the last 30 days where it says nothing else. */
export async function rowsOf<Row>(
  dashboard: Dashboard,
  parameter: object,
  query: object = {},
): Promise<Row[]> {
  const { data } = await dashboard.api<{ data: { data: Row[] }[] }>(`query?website_id=${dashboard.site}`, {
    method: "POST",
    body: JSON.stringify({ preset: "last_30d", ...query, parameters: [parameter] }),
  })
  return data[0]?.data ?? []
}

/** What stands in the cells of a table's body, row by row; a row's head is its first. */
export async function cellsOf(table: Locator): Promise<string[][]> {
  const rows = await table.locator("tbody tr").all()
  return Promise.all(rows.map((row) => row.locator("th, td").allTextContents()))
}

/** As the page writes numbers: 1,204 */
export function count(value: number): string {
  return value.toLocaleString("en-GB")
}

/** As the page writes percentages: 12.3% */
export function rate(value: number): string {
  if (value > 0 && value < 0.05) return "<0.1%"
  return `${value.toLocaleString("en-GB", { minimumFractionDigits: 1, maximumFractionDigits: 1 })}%`
}

const dayMs = 86_400_000

/** 2026-11-24 */
export function dayAgo(days: number): string {
  return new Date(Date.now() - days * dayMs).toISOString().slice(0, 10)
}

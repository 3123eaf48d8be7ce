import type { Locator, Page } from "playwright-core"
import type { Dashboard } from "./browser.ts"

/** The rows that the API returns for one query parameter, by default for the last 30 days. */
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

/** Chooses an action from a card's menu. `name` selects the menu if there are several. */
export async function chooseAction(card: Page | Locator, action: string, name = ""): Promise<void> {
  await card.getByRole("button", { name: `More actions for ${name}`, exact: name !== "" }).click()
  await card.getByRole("button", { name: action }).click()
}

/** The text of a table's body cells by row, row headers included. */
export async function cellsOf(table: Locator): Promise<string[][]> {
  return table
    .locator("tbody tr")
    .evaluateAll((rows) =>
      rows.map((row) => [...row.querySelectorAll("th, td")].map((cell) => cell.textContent ?? "")),
    )
}

/** The value of a number on the page: 1,204 → 1204 */
export function numberOf(text = ""): number {
  return Number(text.replaceAll(",", ""))
}

/** The totals at the top of a report. */
export async function totalsOf(page: Page): Promise<number[]> {
  return (await page.locator(".stat-value").allInnerTexts()).map(numberOf)
}

/** A number as the page formats it: 1,204 */
export function count(value: number): string {
  return value.toLocaleString("en-GB")
}

/** A percentage as the page formats it: 12.3% */
export function rate(value: number): string {
  if (value > 0 && value < 0.05) return "<0.1%"
  return `${value.toLocaleString("en-GB", { minimumFractionDigits: 1, maximumFractionDigits: 1 })}%`
}

const dayMs = 86_400_000

/** The date that many days ago, in UTC: 2026-11-24 */
export function dayAgo(days: number): string {
  return new Date(Date.now() - days * dayMs).toISOString().slice(0, 10)
}

/** The position of the middle of a date, in px within the plot. */
export async function positionOf(chart: Locator, index: number): Promise<{ x: number; y: number }> {
  const dates = await chart.getByRole("table").locator("tbody tr").count()
  const { width, height } = (await chart.locator(".u-over").boundingBox()) ?? { width: 0, height: 0 }
  return { x: ((index + 0.5) / dates) * width, y: height / 2 }
}

import type { Dashboard } from "./browser.ts"

const compared = { compare: "previous_period" }
const overTime = { granularity: "daily" }

function number(title: string, column: string) {
  return {
    kind: "number",
    title,
    query: {
      parameters: [
        { name: "custom_events_summary", ...compared },
        { name: "custom_events_trends", ...overTime },
      ],
    },
    measure: { column, label: title, format: "count" },
  }
}

const trend = { name: "custom_events_trends", ...overTime, ...compared }
const events = { column: "total_events", label: "Events", format: "count" }

/** A tile of each kind that reads the shop's events. */
export const shopTiles = [
  number("Orders and more", "total_events"),
  number("Visitors", "unique_users"),
  {
    kind: "chart",
    title: "Events over time",
    path: "overview",
    query: { parameters: [trend] },
    measure: events,
    display: "lines",
  },
  {
    kind: "chart",
    title: "Events by name",
    query: {
      parameters: [trend, { name: "custom_events_trends_by_event", limit: 5, ...overTime }],
    },
    measure: events,
    by: "event_name",
    display: "bars",
  },
  {
    kind: "table",
    title: "Events with a plan",
    query: {
      parameters: [{ name: "custom_events", limit: 10, ...compared }],
      filters: [{ field: "property.plan", op: "exists", value: true }],
    },
    columns: [{ column: "name", label: "Event", format: "text" }, events],
  },
  {
    kind: "funnel",
    title: "Purchase",
    query: {
      parameters: [{ name: "funnel", steps: ["page_viewed", "product_viewed", "cart_filled", "order_paid"] }],
    },
  },
  {
    kind: "retention",
    title: "Return visits",
    query: { parameters: [{ name: "retention", granularity: "weekly" }] },
  },
]

/** Creates a board for `place` (a website, none or all; by default, the shop) and returns its ID. */
export async function createBoard(
  dashboard: Dashboard,
  tiles: readonly object[] = shopTiles,
  place = dashboard.site,
): Promise<string> {
  const body = JSON.stringify({ name: "Growth", tiles })
  const { board } = await dashboard.api<{ board: { id: string } }>(`boards?website_id=${place}`, {
    method: "POST",
    body,
  })
  return board.id
}

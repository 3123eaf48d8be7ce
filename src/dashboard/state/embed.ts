import type { ReportPage } from "../../sections.ts"
import type { Theme } from "./preferences.ts"

/** How a share link looks in a frame on another website. */
export interface Embed {
  /** `system` follows the visitor's operating system. */
  theme: Theme
  /** The only chart to show; undefined for the whole page. */
  chart: string | undefined
}

/** The URL parameters of an embedded page. `mode=wallboard` shows a board as a wallboard. */
export const embedParamNames = ["theme", "chart", "mode"] as const

export function parseEmbed(params: URLSearchParams): Embed {
  const theme = params.get("theme")
  return {
    theme: theme === "light" || theme === "dark" ? theme : "system",
    chart: params.get("chart") ?? undefined,
  }
}

/** The charts, tables and numbers of each page that can be embedded on their own. `Panel` uses the same names. */
export const embedCharts = {
  web: {
    numbers: "Key metrics",
    trend: "Over time",
    movers: "What explains the change",
    pages: "Pages",
    sources: "Sources",
    countries: "Countries",
    devices: "Devices",
    links: "Outgoing links",
  },
  overview: {
    numbers: "Key metrics",
    trend: "Over time",
    movers: "What changed",
    events: "Top events",
    properties: "Top properties",
  },
  events: { movers: "What changed", events: "All events" },
  event: {
    numbers: "Key metrics",
    trend: "Over time",
    movers: "What explains the change",
    breakdown: "Breakdown",
  },
  funnels: { steps: "Funnel steps", breakdown: "Breakdown" },
  retention: { cohorts: "Cohorts" },
  paths: { paths: "Steps before and after" },
  goals: { numbers: "Goal totals", trend: "Conversion over time", comparison: "Comparison" },
  errors: { numbers: "Key metrics", trend: "Over time", errors: "All errors" },
  vitals: { numbers: "Web vitals", trend: "Over time" },
  engagement: { scroll: "Scroll depth" },
} as const satisfies Record<ReportPage, Record<string, string>>

type NamesOf<Charts> = Charts extends unknown ? keyof Charts : never
export type ChartName = NamesOf<(typeof embedCharts)[ReportPage]>

/** A page's charts by name; empty for a page that cannot be shared. */
export function chartsOf(page: string): Readonly<Record<string, string>> {
  return Object.hasOwn(embedCharts, page) ? embedCharts[page as ReportPage] : {}
}

/** A query type that returns one row per page. */
export interface PageReport {
  /** Name of the query type. */
  name: string
  title: string
  hint: string
  /** Shown instead of an empty table. */
  empty: string
  file: string
  columns: readonly Column[]
}

export interface Column {
  /** The name in the API. */
  column: string
  label: string
  unit: "count" | "number" | "seconds" | "ms" | "percent" | "text"
}

export const quality: PageReport = {
  name: "engagement_quality_by_page",
  title: "Attention",
  hint: "Attention is the active time as a percentage of the time that pages were open.",
  empty: "No engagement in this range",
  file: "attention",
  columns: [
    { column: "page_views", label: "Page views", unit: "count" },
    { column: "attention_ratio", label: "Attention", unit: "percent" },
    { column: "avg_active_time", label: "Active time", unit: "seconds" },
    { column: "avg_time_on_page", label: "Time on page", unit: "seconds" },
    { column: "avg_scroll_depth", label: "Scroll depth", unit: "percent" },
    { column: "avg_interactions", label: "Interactions", unit: "number" },
    { column: "median_time_to_first_interaction", label: "First interaction", unit: "ms" },
  ],
}

export const frustration: PageReport = {
  name: "frustration_by_page",
  title: "Frustration",
  hint: "The share of page views with repeated clicks, clicks without a response, or errors.",
  empty: "No engagement in this range",
  file: "frustration",
  columns: [
    { column: "page_views", label: "Page views", unit: "count" },
    { column: "rage_click_rate", label: "Rage clicks", unit: "percent" },
    { column: "top_rage_click_target", label: "Top element", unit: "text" },
    { column: "dead_click_rate", label: "Dead clicks", unit: "percent" },
    { column: "top_dead_click_target", label: "Top element", unit: "text" },
    { column: "error_rate", label: "Errors", unit: "percent" },
  ],
}

export const forms: PageReport = {
  name: "form_abandonment_by_page",
  title: "Forms",
  hint: "Sessions in which a form was started, and the share that did not submit it.",
  empty: "No forms were used in this range",
  file: "forms",
  columns: [
    { column: "form_starts", label: "Started", unit: "count" },
    { column: "form_submits", label: "Submitted", unit: "count" },
    { column: "abandonment_rate", label: "Abandoned", unit: "percent" },
    { column: "top_abandoned_field", label: "Top field", unit: "text" },
  ],
}

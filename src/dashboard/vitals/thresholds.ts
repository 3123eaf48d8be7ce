export interface Metric {
  /** The name in the API. */
  metric: "LCP" | "INP" | "CLS" | "FCP" | "TTFB"
  name: string
  /**
   * The published thresholds for the 75th percentile: values are good up to `good` and poor above `poor`. In ms, except
   * for CLS, which is a ratio.
   */
  good: number
  poor: number
}

/** The web vitals with thresholds, Core Web Vitals first: https://web.dev/articles/vitals */
export const metrics: readonly [Metric, ...Metric[]] = [
  { metric: "LCP", name: "Largest Contentful Paint", good: 2_500, poor: 4_000 },
  { metric: "INP", name: "Interaction to Next Paint", good: 200, poor: 500 },
  { metric: "CLS", name: "Cumulative Layout Shift", good: 0.1, poor: 0.25 },
  { metric: "FCP", name: "First Contentful Paint", good: 1_800, poor: 3_000 },
  { metric: "TTFB", name: "Time to First Byte", good: 800, poor: 1_800 },
]

export interface Rating {
  label: "Good" | "Needs improvement" | "Poor"
  /** The CSS class of the badge. */
  look: "good" | "fair" | "bad"
}

export function ratingOf({ good, poor }: Metric, value: number): Rating {
  if (value <= good) return { label: "Good", look: "good" }
  return value <= poor ? { label: "Needs improvement", look: "fair" } : { label: "Poor", look: "bad" }
}

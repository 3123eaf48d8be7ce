import type { Format } from "../state/format.ts"

/** How the API classifies a property: a row of `custom_events_property_classification`. */
export interface PropertyKind {
  property_key: string
  /** Number of distinct values. */
  cardinality: number
  /** Number of events with a value. */
  total_count: number
  /** Share of the event's occurrences with a value, from 0 to 1. */
  coverage_ratio: number
  /** Whether all values are numbers. */
  is_numeric: boolean
  /** Number of distinct values that are numbers sent as text. */
  numbers_as_text: number
  render_strategy: "toggle" | "histogram" | "timeline" | "links" | "bars" | "top_list" | "samples"
}

/** How to show a property: the shares of true and false, a histogram, the most frequent values, or a sample. */
export type Visualization = "rate" | "histogram" | "list" | "samples"

export function visualizationOf({ render_strategy, cardinality, total_count }: PropertyKind): Visualization {
  switch (render_strategy) {
    case "toggle":
      return "rate"
    case "histogram":
      return "histogram"
    case "samples":
      return "samples"
    case "top_list":
      // If each event has a different value, every count is 1, so a sample is more useful.
      return cardinality === total_count ? "samples" : "list"
    case "timeline":
    case "links":
    case "bars":
      return "list"
  }
}

/**
 * Returns a copy of a numeric property that is shown as a histogram even if it has only a few values. Returns other
 * properties unchanged.
 */
export function asNumbers(kind: PropertyKind): PropertyKind {
  return kind.is_numeric ? { ...kind, render_strategy: "histogram" } : kind
}

/** Describes the values and how many events have one, for example “8 values, in 54.2% of events”. */
export function describeKind(kind: PropertyKind, format: Format): string {
  const { cardinality, coverage_ratio: coverage } = kind
  const coverageText = coverage < 1 ? `, in ${format.rate(100 * coverage)} of events` : ""
  const texts = kind.numbers_as_text
  const textNote = kind.is_numeric && texts > 0 ? `, ${format.countOf(texts, "number")} sent as text` : ""
  return describeValues(kind, `${format.count(cardinality)}`) + coverageText + textNote
}

function describeValues(kind: PropertyKind, count: string): string {
  const { render_strategy, cardinality, total_count } = kind
  const isSingle = cardinality === 1
  switch (visualizationOf(kind)) {
    case "rate":
      return "True or false"
    case "histogram":
      return "Numbers"
    case "samples":
      return cardinality === total_count ? `${count} unique values` : `${count} values, mostly unique`
    case "list":
      if (render_strategy === "timeline") return isSingle ? "1 date" : `${count} dates`
      if (render_strategy === "links") return isSingle ? "1 URL or path" : `${count} URLs or paths`
      return isSingle ? "1 value" : `${count} values`
  }
}

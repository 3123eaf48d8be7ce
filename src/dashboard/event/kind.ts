import type { Format } from "../state/format.ts"

/** A property of an event and what its values look like, as the API classifies them. */
export interface Kind {
  property_key: string
  /** Distinct values. */
  cardinality: number
  /** Events that have a value. */
  total_count: number
  /** Of all events of this name, 0 to 1. */
  coverage_ratio: number
  render_strategy: "toggle" | "histogram" | "timeline" | "links" | "bars" | "top_list" | "samples"
}

/** What shows the values best: parts of a whole, how numbers spread, the most frequent, or just some of them. */
export type Picture = "rate" | "histogram" | "list" | "samples"

export function pictureOf({ render_strategy, cardinality, total_count }: Kind): Picture {
  switch (render_strategy) {
    case "toggle":
      return "rate"
    case "histogram":
      return "histogram"
    case "samples":
      return "samples"
    case "top_list":
      // The API lists up to 1,000 values; where each event has its own, their counts tell nothing.
      return cardinality === total_count ? "samples" : "list"
    case "timeline":
    case "links":
    case "bars":
      return "list"
  }
}

/** What kind of values there are, and how many of the events have one. */
export function kindText(kind: Kind, format: Format): string {
  const { cardinality, coverage_ratio: coverage } = kind
  const some = coverage < 1 ? `, in ${format.rate(100 * coverage)} of the events` : ""
  return valuesText(kind, `${format.count(cardinality)}`) + some
}

function valuesText(kind: Kind, count: string): string {
  const { render_strategy, cardinality, total_count } = kind
  const isOne = cardinality === 1
  switch (pictureOf(kind)) {
    case "rate":
      return "True or false"
    case "histogram":
      return "Numbers"
    case "samples":
      return `${count} values, ${cardinality === total_count ? "each once" : "hardly any twice"}`
    case "list":
      if (render_strategy === "timeline") return isOne ? "1 date" : `${count} dates`
      if (render_strategy === "links") return isOne ? "1 address" : `${count} addresses`
      return isOne ? "1 value" : `${count} values`
  }
}

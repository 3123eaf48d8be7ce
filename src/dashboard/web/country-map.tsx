import { useEffect, useState } from "preact/hooks"
import { useFormat } from "../components/controls/use-format.ts"
import type { Row } from "./tabs.ts"
import type { Outline } from "./world.ts"

interface CountryMapProps {
  /** Rows of the query type `country`. */
  rows: readonly Row[]
}

/**
 * A world map. The more visitors a country has, the stronger its color. The map is hidden from screen readers, which
 * read the table instead.
 */
export function CountryMap({ rows }: CountryMapProps) {
  const format = useFormat()
  const [outlines, setOutlines] = useState<readonly Outline[]>([])
  useEffect(() => {
    // The outlines load separately, so that they do not delay the numbers. The table works without them.
    import("./world.ts").then(
      ({ worldOutlines }) => setOutlines(worldOutlines()),
      () => {},
    )
  }, [])
  const visitors = new Map(rows.map((row) => [row.country_code, Number(row.visitors)]))
  const max = Math.max(...visitors.values(), 1)
  return (
    <svg class="web-map" viewBox="0 0 720 368" aria-hidden="true" focusable="false">
      {outlines.map(({ code, name, path }) => {
        const count = visitors.get(code) ?? 0
        return (
          <path
            key={name}
            d={path}
            // Uses the square root, because otherwise a single large country would make all others look the same.
            style={{ "--share": `${Math.round(100 * Math.sqrt(count / max))}%` }}
          >
            <title>{`${code ? format.country(code) : name}: ${format.countOf(count, "visitor")}`}</title>
          </path>
        )
      })}
    </svg>
  )
}

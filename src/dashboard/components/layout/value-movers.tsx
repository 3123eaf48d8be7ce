import type { EventKind } from "../../../event-kinds.ts"
import { useApp } from "../../state/app.ts"
import type { Filter } from "../../state/filters.ts"
import { comparisonOption, type ResultMeta } from "../../state/query-cache.ts"
import { useQuery } from "../../state/use-query.ts"
import { changeValue, SortedTable } from "../charts/data-table.tsx"
import { type Mover, moverField, moverText, moverValue, shareWords } from "../charts/explanation.tsx"
import { Change, type Direction } from "../charts/stat.tsx"
import { useFormat } from "../controls/use-format.ts"
import { Value } from "../controls/value.tsx"
import { Loaded, Panel } from "./panel.tsx"

/** Maximum number of values to list. */
const listed = 6

interface ValueMoversProps {
  /** Selects the events. */
  filters: readonly Filter[]
  /** Kinds of the events. */
  kinds?: readonly EventKind[]
  /** Which direction is better. */
  better?: Direction | undefined
  /** The API name of a measure, and its label. */
  measure: { name: "events" | "users" | "sessions"; label: string }
}

type MoverRow = Mover & Record<string, unknown> & { previous?: Record<string, number> | null }

/** The values that best explain the change in a measure, with a sentence about the first one. */
export function ValueMovers({ filters, kinds = ["custom"], measure, better }: ValueMoversProps) {
  const { session, view } = useApp()
  const format = useFormat()
  const { compare } = view.value
  const query = useQuery(
    compare
      ? [{ name: "movers", kinds, measures: [measure.name], limit: listed, ...comparisonOption(compare) }]
      : undefined,
    { filters: [...filters] },
  )
  if (!compare) return null
  const countsOf = (row: MoverRow) => ({
    now: Number(row[measure.name] ?? 0),
    before: Number(row.previous?.[measure.name] ?? 0),
  })
  return (
    <Panel
      title="What explains the change"
      chart="movers"
      hint="Values that changed more than the rest, sorted by how much of the change they explain."
    >
      <Loaded query={query} id="movers" height={270}>
        {() => {
          const rows = query.rows<MoverRow>("movers").filter(({ is_offset }) => !is_offset)
          const summary = query.meta("movers")?.movers
          if (!summary) return null
          return (
            <>
              <p class="movers-summary">
                {measure.label}{" "}
                <Change
                  value={summary.total}
                  previous={summary.previous_total}
                  better={better}
                  format={format}
                />
                {summary.total !== summary.previous_total && reasonOf(rows[0])}
              </p>
              {rows.length > 0 && (
                <SortedTable
                  name="What explains the change"
                  columns={["Property", "Value", measure.label, "Previous", "Change", "Share of change"]}
                  numeric={[false, false, true, true, true, true]}
                  keys={rows.map(({ field, value }) => JSON.stringify([field, value]))}
                  values={rows.map((row) => {
                    const { now, before } = countsOf(row)
                    const change = changeValue(now, before)
                    return [moverField(row.field), row.value ?? "", now, before, change, row.percentage ?? 0]
                  })}
                  rows={rows.map((row) => {
                    const { now, before } = countsOf(row)
                    return [
                      moverField(row.field),
                      <Value key="value" field={row.field} value={row.value}>
                        {row.value?.trim()
                          ? moverValue(row.field, row.value, { format, session })
                          : undefined}
                      </Value>,
                      format.count(now),
                      format.count(before),
                      <Change key="change" value={now} previous={before} better={better} format={format} />,
                      row.percentage === null ? "–" : format.rate(row.percentage),
                    ]
                  })}
                />
              )}
              <SkippedFields skipped={summary.skipped} />
            </>
          )
        }}
      </Loaded>
    </Panel>
  )

  function reasonOf(mover: Mover | undefined): string {
    const share = shareWords(mover)
    if (mover && share) return `, ${share} from ${moverText(mover, { format, session })}`
    return view.value.filters.length > 0
      ? ". Among these events, no single value explains the change."
      : ", not explained by any single value"
  }
}

function SkippedFields({ skipped }: Pick<NonNullable<ResultMeta["movers"]>, "skipped">) {
  if (skipped.length === 0) return null
  return (
    <p class="muted">
      Not compared because they have too many values or properties:{" "}
      {skipped.map(({ field }) => moverField(field)).join(", ")}
    </p>
  )
}

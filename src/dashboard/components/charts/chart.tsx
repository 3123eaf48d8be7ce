import { useState } from "preact/hooks"
import { comparisonLabel } from "../../state/annotations.ts"
import { isolate } from "../../state/bidi.ts"
import { Link } from "../controls/link.tsx"
import { CardMenu, tableAction } from "./card-menu.tsx"
import { DataTable } from "./data-table.tsx"
import { type DateAction, DateMenu } from "./date-menu.tsx"
import { dashOf, Plot, type PlotProps } from "./plot.tsx"
import { dateName, shadeOf } from "./series.ts"
import { ZoomHint } from "./zoom-hint.tsx"

export interface ChartProps extends Omit<PlotProps, "value" | "height" | "selected" | "onSelect"> {
  /** Returns the actions for a date. If absent, dates have no actions. */
  actionsOf?: (index: number) => readonly DateAction[]
  /** Accessible name. */
  name: string
  /** Formats a value. Default: a count, or a percentage if `isRate` is set. */
  value?: (value: number) => string
  /** px */
  height?: number
  /** File name of the download, without extension. */
  file: string
}

const defaultHeight = 260

/** A chart over time with a legend and a table of the same values. */
export function Chart(props: ChartProps) {
  const { name, dates, series, format, marks = [], file, height = defaultHeight, actionsOf } = props
  const [isTable, setTable] = useState(false)
  const value =
    props.value ?? ((number: number) => (props.isRate ? format.rate(number) : format.count(number)))
  const columns = ["Date", ...series.map((line) => line.name)]
  const rows = dates.map((date, index) => [date, ...series.map(({ values }) => values[index])])
  const shownRows = dates.map((_, index) => [
    dateName(props, index),
    ...series.map(({ values }) => {
      const shown = values[index]
      return shown === undefined ? "–" : value(shown)
    }),
  ])
  const table = (
    <DataTable
      name={name}
      columns={columns}
      rows={shownRows}
      numeric={columns.map((_, index) => index > 0)}
    />
  )
  return (
    <figure class="chart" aria-label={name}>
      {isTable ? (
        <section
          class="chart-table"
          style={{ "--height": `${height}px` }}
          aria-label={`${name}, table`}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable box must be reachable by keyboard
          tabIndex={0}
        >
          {table}
        </section>
      ) : (
        <>
          {actionsOf ? (
            <ZoomHint text="Drag to zoom, click for more">
              <DateMenu
                name={name}
                count={dates.length}
                actionsOf={actionsOf}
                titleOf={(index) => dateName(props, index)}
                textOf={(index) => rowText(shownRows[index] ?? [], columns)}
              >
                {(selected, onSelect) => (
                  <Plot {...props} value={value} height={height} selected={selected} onSelect={onSelect} />
                )}
              </DateMenu>
            </ZoomHint>
          ) : (
            <Plot {...props} value={value} height={height} />
          )}
          <div class="hidden">{table}</div>
        </>
      )}
      <figcaption class="chart-foot">
        <ul class="legend">
          {series.map((line, index) => (
            <li key={index} class={line.isPrevious ? "previous" : shadeOf(line, index)}>
              {props.kind === "lines" && !line.isPrevious && <LineKey index={index} />}
              <span>{line.name}</span>
            </li>
          ))}
          {marks.map(({ date, text, comparison }) => (
            <li key={`${date} ${text}`} class="mark">
              <span>
                <span>
                  {format.shortDay(date)}: {text}
                </span>{" "}
                {comparison !== undefined && (
                  <Link href={comparison} label={`${comparisonLabel} ${isolate(text)}`}>
                    {comparisonLabel}
                  </Link>
                )}
              </span>
            </li>
          ))}
        </ul>
        <div class="chart-actions">
          <CardMenu file={file} columns={columns} rows={rows} actions={[tableAction(isTable, setTable)]} />
        </div>
      </figcaption>
    </figure>
  )
}

/** Returns a table row as text, such as `Mon, Nov 23, 2026: Events 12, Previous period 10`. */
function rowText([date, ...values]: readonly string[], [, ...names]: readonly string[]): string {
  return `${date}: ${values.map((value, index) => `${names[index]} ${value}`).join(", ")}`
}

/** A sample of the line, for the legend. */
function LineKey({ index }: { index: number }) {
  return (
    <svg class="line-key" viewBox="0 0 26 10" aria-hidden="true" focusable="false">
      <path d="M0 5h26" stroke-dasharray={dashOf(index).join(" ")} />
    </svg>
  )
}

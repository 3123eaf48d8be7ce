import { Chart } from "../components/charts/chart.tsx"
import { changeValue, ScrollBox, SortedTable } from "../components/charts/data-table.tsx"
import { Sparkline } from "../components/charts/sparkline.tsx"
import { Change } from "../components/charts/stat.tsx"
import { resultText, type Step } from "../components/controls/event-picker.tsx"
import { useGranularity, useProgress } from "../components/controls/granularity.tsx"
import { units } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import type { StepRow } from "../funnels/steps-chart.tsx"
import { Bars } from "../funnels/steps-chart.tsx"
import { HeatMap } from "../retention/cohort-table.tsx"
import { cohortsOf, type Row as RetentionRow } from "../retention/cohorts.ts"
import { periods } from "../retention/periods.ts"
import { type Annotation, marksOf } from "../state/annotations.ts"
import { useApp } from "../state/app.ts"
import type { BoardTile, TileOf } from "../state/boards.ts"
import type { Row } from "../state/query-cache.ts"
import type { QueryState } from "../state/use-query.ts"
import { cellOf, nameIn } from "./cells.tsx"
import { chartLines } from "./chart-series.ts"
import { numberIn, valueText } from "./values.ts"
import "../funnels/funnels.css"
import "../retention/retention.css"

interface BodyProps<Tile> {
  tile: Tile
  /** The ID of each result is the index of its parameter. */
  query: QueryState
  annotations: readonly Annotation[]
}

/** The content of a tile once its query has finished. */
export function TileBody({ tile, ...props }: BodyProps<BoardTile>) {
  switch (tile.kind) {
    case "number":
      return <NumberBody tile={tile} {...props} />
    case "chart":
      return <ChartBody tile={tile} {...props} />
    case "table":
      return <TableBody tile={tile} {...props} />
    case "funnel":
      return <FunnelBody tile={tile} {...props} />
    case "retention":
      return <RetentionBody tile={tile} {...props} />
  }
}

function NumberBody({ tile, query }: BodyProps<TileOf<"number">>) {
  const { view } = useApp()
  const format = useFormat()
  const { measure, trend = measure.column } = tile
  const [row] = query.rows("0")
  const trendRows = query.rows("1")
  const { started, isRunning } = useProgress(trendRows.map(({ date }) => String(date)))
  const value = numberIn(row, measure.column)
  const show = (shown: number) => valueText(shown, measure.format, format)
  return (
    <>
      <p class="tile-number">
        <span class="stat-value">{value === undefined ? "–" : show(value)}</span>
        {view.value.compare && value !== undefined && hasValues(row?.previous) && (
          <Change
            value={value}
            previous={numberIn(row?.previous, measure.column) ?? 0}
            format={format}
            isRate={measure.format === "percent"}
            better={measure.better}
            show={show}
          />
        )}
      </p>
      {trendRows.length > 0 && (
        <Sparkline
          values={trendRows.slice(0, started).map((one) => numberIn(one, trend) ?? 0)}
          isRunning={isRunning}
        />
      )}
    </>
  )
}

/** True if the previous period has any values to compare with. */
function hasValues(previous: unknown): boolean {
  return Object.values(Object(previous)).some((value) => typeof value === "number" && value !== 0)
}

function ChartBody({ tile, query, annotations }: BodyProps<TileOf<"chart">>) {
  const { session, view } = useApp()
  const format = useFormat()
  const granularity = useGranularity()
  const { measure, by = "", display, title } = tile
  const { compare, range } = view.value
  const rows = tile.query.parameters.map((_, index) => query.rows(String(index)))
  const hasPrevious = compare !== undefined && rows[0]?.some(({ previous }) => previous) === true
  const { dates, series } = chartLines(tile, rows, (row) => nameIn(row, by, { format, session }), hasPrevious)
  const { started, isRunning } = useProgress(dates)
  if (dates.length === 0) return <NoData />
  const isCount = measure.format === "count"
  return (
    <Chart
      name={title}
      file={title}
      kind={display}
      dates={dates}
      series={series}
      granularity={granularity}
      format={format}
      started={started}
      isRunning={isRunning}
      marks={marksOf(annotations, dates, range.to)}
      isRate={measure.format === "percent"}
      {...(isCount ? {} : { hasFractions: true, value: (value) => valueText(value, measure.format, format) })}
    />
  )
}

function TableBody({ tile, query }: BodyProps<TileOf<"table">>) {
  const { session, view } = useApp()
  const format = useFormat()
  const { columns, title } = tile
  const rows = query.rows("0")
  if (rows.length === 0) return <NoData />
  const isNumber = ({ format: as }: (typeof columns)[number]) => as !== "text" && as !== "time"
  const first = columns.find(isNumber)
  const isCompared = view.value.compare !== undefined && rows.some(({ previous }) => previous !== undefined)
  const numberOf = (row: unknown) => (first && numberIn(row, first.column)) ?? 0
  const max = Math.max(...rows.map(numberOf), 1)
  const cells = columns.flatMap((column) => [
    {
      heading: column.label,
      isNumber: column.format !== "text",
      cell: (row: Row) => cellOf(row, column, { format, session }),
      value: (row: Row) => numberIn(row, column.column) ?? String(row[column.column] ?? ""),
    },
    ...(column === first && isCompared
      ? [
          {
            heading: "Change",
            isNumber: true,
            cell: (row: Row) => (
              <Change
                value={numberOf(row)}
                previous={numberOf(row.previous)}
                better={column.better}
                isRate={column.format === "percent"}
                show={(value) => valueText(value, column.format, format)}
                format={format}
              />
            ),
            value: (row: Row) => changeValue(numberOf(row), numberOf(row.previous)),
          },
        ]
      : []),
  ])
  return (
    <SortedTable
      name={title}
      columns={cells.map(({ heading }) => heading)}
      numeric={cells.map((cell) => cell.isNumber)}
      rows={rows.map((row) => cells.map(({ cell }) => cell(row)))}
      values={rows.map((row) => cells.map(({ value }) => value(row)))}
      bars={rows.map((row) => numberOf(row) / max)}
    />
  )
}

function FunnelBody({ tile, query }: BodyProps<TileOf<"funnel">>) {
  const rows = query.rows<StepRow>("0")
  const unit = unitOf(tile)
  // The dashboard writes steps in this shape, and the server has validated them.
  const steps = (tile.query.parameters[0]?.steps ?? []) as Partial<Step>[]
  if (!rows[0]?.people) return <NoData />
  return (
    <ScrollBox>
      <Bars rows={rows} names={rows.map((row, index) => stepName(row, steps[index]))} unit={unit} />
    </ScrollBox>
  )
}

/**
 * Returns the name of a step. A step is an event with its filters, or only an event name if the tile was created with
 * the API.
 */
function stepName({ event_name: name }: StepRow, step: Partial<Step> | undefined): string {
  return resultText(name, { name: step?.name ?? "", filters: step?.filters ?? [] })
}

function RetentionBody({ tile, query }: BodyProps<TileOf<"retention">>) {
  const { view } = useApp()
  const granularity = query.parameter("0")?.granularity
  const period = periods.find(({ value }) => value === granularity) ?? periods[0]
  const all = cohortsOf(query.rows<RetentionRow>("0"), period, view.value)
  const first = all.findIndex(({ people }) => people > 0)
  if (first < 0) return <NoData />
  return (
    <HeatMap
      // Leading empty cohorts are omitted, as on the retention page.
      cohorts={all.slice(first)}
      period={period}
      unit={unitOf(tile)}
      isPercent={tile.show !== "people"}
    />
  )
}

function unitOf({ query }: BoardTile) {
  return units.find(({ value }) => value === query.parameters[0]?.unit) ?? units[0]
}

function NoData() {
  return <p class="tile-empty muted">No data in this range</p>
}

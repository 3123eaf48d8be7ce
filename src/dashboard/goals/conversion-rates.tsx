import { CardMenu } from "../components/charts/card-menu.tsx"
import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { SortedTable } from "../components/charts/data-table.tsx"
import { RangeChart } from "../components/charts/range-chart.tsx"
import type { PreviousSeries, Series } from "../components/charts/series.ts"
import { Stat } from "../components/charts/stat.tsx"
import { resultText, type Step, stepBody } from "../components/controls/event-picker.tsx"
import { GranularitySwitch, useGranularity } from "../components/controls/granularity.tsx"
import type { Unit } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { PeopleLink } from "../components/people/people-link.tsx"
import type { Selection } from "../components/people/selection.ts"
import { PinButton } from "../components/saved/pin.tsx"
import { useApp } from "../state/app.ts"
import { compared, overTime, type PinnedTile } from "../state/boards.ts"
import { comparisonOption } from "../state/query-cache.ts"
import { type QueryState, useQuery } from "../state/use-query.ts"
import type { GoalRow } from "./goal.ts"
import { RateChange, rateChange } from "./rate-change.tsx"

interface RatesProps {
  steps: readonly Step[]
  unit: Unit
}

/** The conversion rates of one or more goals, as totals and a chart. */
export function ConversionRates({ steps, unit }: RatesProps) {
  const { view } = useApp()
  const granularity = useGranularity()
  const goals = { ...parameterOf(steps, unit), ...comparisonOption(view.value.compare) }
  const query = useQuery([
    { ...goals, id: "totals" },
    { ...goals, id: "trend", granularity },
  ])
  return (
    <>
      {steps.length === 1 ? (
        <Totals query={query} unit={unit} goal={steps[0]} />
      ) : (
        <Comparison query={query} steps={steps} unit={unit} />
      )}
      <Panel
        title="Conversion over time"
        chart="trend"
        pin={chartTile(steps, unit)}
        hint={`Of all ${unit.many} with an event, the share that converted.`}
        actions={<GranularitySwitch />}
      >
        <Loaded query={query} id="trend" height={306}>
          {() => {
            const { dates, series } = seriesOf(query, steps)
            const isEmpty = query.rows<GoalRow>("trend").every(({ total }) => total === 0)
            return isEmpty ? (
              <NoMatch />
            ) : (
              <RangeChart
                name="Conversion over time"
                file="conversion"
                people={steps.length === 1 ? { selection: converted(steps[0], unit) } : undefined}
                kind="lines"
                dates={dates}
                series={series}
                isRate
              />
            )
          }}
        </Loaded>
      </Panel>
    </>
  )
}

function parameterOf(steps: readonly Step[], unit: Unit) {
  return { name: "goals", steps: steps.map(stepBody), unit: unit.value }
}

/**
 * Returns the chart as a tile for boards. Returns undefined if several goals have the same event, because their lines
 * would have the same name.
 */
function chartTile(steps: readonly Step[], unit: Unit): PinnedTile | undefined {
  const names = steps.map(({ name }) => name)
  if (new Set(names).size < names.length) return undefined
  return {
    kind: "chart",
    title: `Conversion: ${names.map((name) => name || "any event").join(", ")}`,
    query: { parameters: [{ ...parameterOf(steps, unit), ...overTime, ...compared }] },
    measure: { column: "conversion_rate", label: "Conversion", format: "percent", better: "higher" },
    ...(steps.length > 1 ? { by: "goal" } : {}),
    display: "lines",
  }
}

/** Returns a goal's totals as tiles for boards. */
function numbersOf(goal: Step | undefined, unit: Unit): PinnedTile[] {
  const totals = [
    { column: "conversion_rate", label: "Conversion", format: "percent", better: "higher" },
    { column: "converted", label: "Converted", format: "count" },
    { column: "completions", label: "Conversions", format: "count" },
  ] as const
  const parameter = parameterOf(goal ? [goal] : [], unit)
  return totals.map((measure) => ({
    kind: "number",
    title: `${measure.label}: ${goal?.name || "any event"}`,
    query: {
      parameters: [
        { ...parameter, ...compared },
        { ...parameter, ...overTime },
      ],
    },
    measure,
  }))
}

interface TotalsProps {
  query: QueryState
  unit: Unit
}

function Totals({ query, unit, goal }: TotalsProps & { goal: Step | undefined }) {
  const { view } = useApp()
  const format = useFormat()
  return (
    <section class="panel stats" aria-label="Goal totals">
      <PinButton name="a total" tiles={numbersOf(goal, unit)} />
      <Loaded query={query} id="totals" height={62}>
        {() => {
          const [row] = query.rows<GoalRow>("totals")
          const previous = row?.previous
          const previousValue = (value: number | undefined) => (view.value.compare ? (value ?? 0) : undefined)
          return row ? (
            <dl class="stats-row goals-stats">
              <Stat
                label="Conversion"
                value={row.conversion_rate}
                previous={previous?.total ? previous.conversion_rate : undefined}
                format={format}
                isRate
                better="higher"
              />
              <Stat
                label="Converted"
                value={row.converted}
                previous={previousValue(previous?.converted)}
                format={format}
                people={{ selection: converted(goal, unit) }}
              />
              <Stat
                label={`All ${unit.many}`}
                value={row.total}
                previous={previousValue(previous?.total)}
                format={format}
              />
              <Stat
                label="Conversions"
                value={row.completions}
                previous={previousValue(previous?.completions)}
                format={format}
              />
            </dl>
          ) : null
        }}
      </Loaded>
      <ComparisonNote query={query} id="totals" />
    </section>
  )
}

/** Returns the selection of the people who converted. */
function converted(goal: Step = { name: "", filters: [] }, unit: Unit): Selection {
  return {
    type: "reached",
    step: 1,
    steps: [goal],
    window: undefined,
    unit,
    breakdown: undefined,
    name: undefined,
  }
}

function Comparison({ query, steps, unit }: TotalsProps & { steps: readonly Step[] }) {
  const { view } = useApp()
  const format = useFormat()
  const { compare } = view.value
  const rows = query.rows<GoalRow>("totals")
  const names = rows.map((row, index) => resultText(row.goal, steps[index]))
  const max = Math.max(...rows.map((row) => row.conversion_rate), 0.01)
  return (
    <Panel
      title="Comparison"
      chart="comparison"
      actions={
        <CardMenu
          file="goals"
          columns={["goal", "percent", unit.many, `all ${unit.many}`, "conversions"]}
          rows={rows.map((row, index) => [
            names[index],
            row.conversion_rate,
            row.converted,
            row.total,
            row.completions,
          ])}
        />
      }
    >
      <Loaded query={query} id="totals" height={34 * (steps.length + 1)}>
        {() => (
          <SortedTable
            name="Goal comparison"
            columns={["Goal", "Conversion", ...(compare ? ["Change"] : []), "Converted", "Conversions"]}
            numeric={[false, true, true, true, true]}
            bars={rows.map((row) => row.conversion_rate / max)}
            keys={rows.map((_, index) => String(index))}
            values={rows.map((row, index) => [
              names[index],
              row.conversion_rate,
              ...(compare ? [rateChange(row)] : []),
              row.converted,
              row.completions,
            ])}
            rows={rows.map((row, index) => [
              names[index],
              format.rate(row.conversion_rate),
              ...(compare ? [<RateChange key="change" row={row} format={format} />] : []),
              <PeopleLink key="converted" count={row.converted} selection={converted(steps[index], unit)}>
                {format.count(row.converted)}
              </PeopleLink>,
              format.count(row.completions),
            ])}
          />
        )}
      </Loaded>
      <ComparisonNote query={query} id="totals" />
    </Panel>
  )
}

/**
 * Returns one line per goal, and a line for the previous period if there is only one goal. The rows of a goal are
 * adjacent and in chronological order.
 */
function seriesOf(
  query: QueryState,
  steps: readonly Step[],
): { dates: string[]; series: (Series | PreviousSeries)[] } {
  const rows = query.rows<GoalRow>("trend")
  const count = query.parameter("trend")?.steps?.length ?? 1
  const length = rows.length / count
  const dates = rows.slice(0, length).map(({ date = "" }) => date)
  const lines = Array.from({ length: count }, (_, index) => rows.slice(index * length, (index + 1) * length))
  const series = lines.flatMap((line, index): Series[] => {
    const [first] = line
    return first
      ? [
          {
            name: resultText(first.goal, steps[index]),
            values: line.map(({ conversion_rate }) => conversion_rate),
          },
        ]
      : []
  })
  const hasPrevious = lines.length === 1 && rows.some(({ previous }) => previous)
  if (!hasPrevious) return { dates, series }
  const values = rows.map(({ previous }) => previous?.conversion_rate)
  return { dates, series: [...series, { name: "Previous period", values, isPrevious: true }] }
}

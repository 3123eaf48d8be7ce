import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import type { Series, SeriesBefore } from "../components/charts/plot.tsx"
import { RangeChart } from "../components/charts/range-chart.tsx"
import { Stat } from "../components/charts/stat.tsx"
import { type Step, stepBody, stepText } from "../components/controls/event-picker.tsx"
import { GranularitySwitch, useGranularity } from "../components/controls/granularity.tsx"
import { titled, type Unit } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { useApp } from "../state/app.ts"
import { type Answered, useQuery } from "../state/use-query.ts"
import type { GoalRow } from "./goal.ts"
import { RateChange } from "./rate-change.tsx"

interface RatesProps {
  steps: readonly Step[]
  unit: Unit
}

/** The conversion rates of one goal or some, as numbers and over time. */
export function Rates({ steps, unit }: RatesProps) {
  const { view } = useApp()
  const granularity = useGranularity()
  const goals = {
    name: "goals",
    steps: steps.map(stepBody),
    unit: unit.value,
    ...(view.value.compare ? { compare: "previous_period" } : {}),
  }
  const answered = useQuery([
    { ...goals, id: "whole" },
    { ...goals, id: "course", granularity },
  ])
  return (
    <>
      {steps.length === 1 ? (
        <Numbers answered={answered} unit={unit} />
      ) : (
        <Comparison answered={answered} steps={steps} unit={unit} />
      )}
      <Panel
        title="Conversion over time"
        hint={`Of the ${unit.many} with any event, the share that had the goal.`}
        actions={<GranularitySwitch />}
      >
        <Loaded answered={answered} of="course" height={306}>
          {() => {
            const { dates, series } = linesOf(answered, steps)
            const isEmpty = answered.rows<GoalRow>("course").every(({ total }) => total === 0)
            return isEmpty ? (
              <NoMatch />
            ) : (
              <RangeChart
                name="Conversion over time"
                file="conversion"
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

interface NumbersProps {
  answered: Answered
  unit: Unit
}

function Numbers({ answered, unit }: NumbersProps) {
  const { view } = useApp()
  const format = useFormat()
  return (
    <section class="panel stats" aria-label="The goal in numbers">
      <Loaded answered={answered} of="whole" height={64}>
        {() => {
          const [row] = answered.rows<GoalRow>("whole")
          const before = row?.previous
          const was = (value: number | undefined) => (view.value.compare ? (value ?? 0) : undefined)
          return row ? (
            <dl class="stats-row goals-stats">
              <Stat
                label="Conversion"
                value={row.conversion_rate}
                before={before?.total ? before.conversion_rate : undefined}
                format={format}
                isRate
              />
              <Stat
                label={`${titled(unit)} who got there`}
                value={row.converted}
                before={was(before?.converted)}
                format={format}
              />
              <Stat
                label={`All ${unit.many}`}
                value={row.total}
                before={was(before?.total)}
                format={format}
              />
              <Stat
                label="Times it happened"
                value={row.completions}
                before={was(before?.completions)}
                format={format}
              />
            </dl>
          ) : null
        }}
      </Loaded>
      <ComparisonNote answered={answered} of="whole" />
    </section>
  )
}

function Comparison({ answered, steps, unit }: NumbersProps & { steps: readonly Step[] }) {
  const { view } = useApp()
  const format = useFormat()
  const { compare } = view.value
  const rows = answered.rows<GoalRow>("whole")
  const names = rows.map((row, index) => nameOf(row, steps[index]))
  const most = Math.max(...rows.map((row) => row.conversion_rate), 0.01)
  return (
    <Panel
      title="Side by side"
      actions={
        <DownloadCsv
          file="goals"
          columns={["goal", "percent", unit.many, `of all ${unit.many}`, "events"]}
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
      <Loaded answered={answered} of="whole" height={34 * (steps.length + 1)}>
        {() => (
          <DataTable
            name="Goals side by side"
            columns={[
              "Goal",
              "Conversion",
              ...(compare ? ["Change"] : []),
              `${titled(unit)} who got there`,
              "Times it happened",
            ]}
            numeric={[false, true, true, true, true]}
            bars={rows.map((row) => row.conversion_rate / most)}
            rows={rows.map((row, index) => [
              names[index],
              format.rate(row.conversion_rate),
              ...(compare ? [<RateChange key="change" row={row} format={format} />] : []),
              format.count(row.converted),
              format.count(row.completions),
            ])}
          />
        )}
      </Loaded>
      <ComparisonNote answered={answered} of="whole" />
    </Panel>
  )
}

/** While an answer is old, the steps are others. */
function nameOf({ goal }: GoalRow, step: Step | undefined): string {
  return step && step.name === (goal ?? "") ? stepText(step) : (goal ?? "Any event")
}

/** A line for each goal; where there is one, the period before too. The rows of each stand together, in the order of time. */
function linesOf(
  answered: Answered,
  steps: readonly Step[],
): { dates: string[]; series: (Series | SeriesBefore)[] } {
  const rows = answered.rows<GoalRow>("course")
  const count = (answered.asked("course")?.steps as unknown[] | undefined)?.length ?? 1
  const length = rows.length / count
  const dates = rows.slice(0, length).map(({ date = "" }) => date)
  const lines = Array.from({ length: count }, (_, index) => rows.slice(index * length, (index + 1) * length))
  const series = lines.flatMap((line, index): Series[] => {
    const [first] = line
    return first
      ? [{ name: nameOf(first, steps[index]), values: line.map(({ conversion_rate }) => conversion_rate) }]
      : []
  })
  const before = lines.length === 1 && rows.some(({ previous }) => previous)
  if (!before) return { dates, series }
  const values = rows.map(({ previous }) => previous?.conversion_rate)
  return { dates, series: [...series, { name: "The period before", values, isBefore: true }] }
}

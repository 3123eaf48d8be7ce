import { useState } from "preact/hooks"
import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { type Step, stepText } from "../components/controls/event-picker.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { counted, titled, type Unit } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import type { Answered } from "../state/use-query.ts"
import { windowText } from "./window.tsx"

/** How many got to a step. */
export interface StepCount {
  people: number
  /** Percent. */
  conversion_rate: number
  step_conversion_rate: number
  median_ms: number | null
}

/** A row of the type `funnel`. */
export interface StepRow extends StepCount {
  step: number
  event_name: string | null
  previous?: StepCount
}

/** px of a step, with what is said below it. */
const stepHeight = 106

interface StepsPanelProps {
  answered: Answered
  steps: readonly Step[]
  unit: Unit
  window: string
}

/** How many got to each step: as bars, or as a table. */
export function StepsPanel({ answered, steps, unit, window }: StepsPanelProps) {
  const [isTable, setTable] = useState(false)
  const rows = answered.rows<StepRow>("whole")
  const names = rows.map((row, index) => nameOf(row, steps[index]))
  const stopped = rows.map((row, index) => row.people - (rows[index + 1]?.people ?? row.people))
  return (
    <Panel
      title="How many get to each step"
      hint={`Within ${windowText(window)} of the first step, in the best attempt of each ${unit.one}.`}
      actions={
        <>
          <button
            type="button"
            class="button small quiet"
            aria-pressed={isTable}
            onClick={() => setTable(!isTable)}
          >
            <Icon name="table" /> Table
          </button>
          <DownloadCsv
            file="funnel"
            columns={[
              "step",
              "event",
              unit.many,
              "percent of the first step",
              "percent of the step before",
              "went no further",
              "median ms since the step before",
            ]}
            rows={rows.map((row, index) => [
              row.step,
              names[index],
              row.people,
              row.conversion_rate,
              row.step_conversion_rate,
              index === rows.length - 1 ? null : stopped[index],
              row.median_ms,
            ])}
          />
        </>
      }
    >
      <Loaded answered={answered} of="whole" height={steps.length * stepHeight}>
        {() =>
          rows[0]?.people ? (
            isTable ? (
              <StepsTable rows={rows} names={names} stopped={stopped} unit={unit} />
            ) : (
              <Bars rows={rows} names={names} unit={unit} />
            )
          ) : (
            <Empty title={`No ${unit.one} did the first step in this range`}>
              {unit.value === "visitor"
                ? "Choose a longer range, or another event to begin with."
                : `Only events that carry a ${unit.one} id count. Count visitors, or choose a longer range.`}
            </Empty>
          )
        }
      </Loaded>
    </Panel>
  )
}

/** While an answer is old, the steps are others. */
function nameOf(row: StepRow, step: Step | undefined): string {
  return step && step.name === (row.event_name ?? "") ? stepText(step) : (row.event_name ?? "Any event")
}

function Bars({ rows, names, unit }: { rows: readonly StepRow[]; names: readonly string[]; unit: Unit }) {
  const format = useFormat()
  return (
    <ol class="funnels-picture">
      {rows.map((row, index) => {
        const before = rows[index - 1]
        const after = rows[index + 1]
        return (
          <li key={row.step}>
            <div class="funnels-head">
              <span class="funnels-number" aria-hidden="true">
                {row.step}
              </span>
              <span class="funnels-name" title={names[index]}>
                {names[index]}
              </span>
              <span class="funnels-figures">
                {counted(row.people, unit, format)} <b>{format.rate(row.conversion_rate)}</b>
              </span>
            </div>
            <div class="funnels-track" aria-hidden="true">
              <div class="funnels-kept" style={{ width: `${row.conversion_rate}%` }} />
              {before && (
                <div
                  class="funnels-lost"
                  style={{ width: `${Math.max(0, before.conversion_rate - row.conversion_rate)}%` }}
                />
              )}
            </div>
            {after && (
              <p class="funnels-between">
                <span>
                  <b>{format.rate(after.step_conversion_rate)}</b> went on
                  {after.median_ms !== null && <>, half of them within {format.duration(after.median_ms)}</>}
                </span>
                <span>
                  {format.count(row.people - after.people)} went no further (
                  {format.rate(row.people === 0 ? 0 : (100 * (row.people - after.people)) / row.people)})
                </span>
              </p>
            )}
          </li>
        )
      })}
    </ol>
  )
}

interface StepsTableProps {
  rows: readonly StepRow[]
  names: readonly string[]
  stopped: readonly number[]
  unit: Unit
}

function StepsTable({ rows, names, stopped, unit }: StepsTableProps) {
  const format = useFormat()
  return (
    <DataTable
      name="How many get to each step"
      columns={["Step", titled(unit), "Of the first", "Of the step before", "Went no further", "Median time"]}
      numeric={[false, true, true, true, true, true]}
      rows={rows.map((row, index) => [
        `${row.step}. ${names[index]}`,
        format.count(row.people),
        format.rate(row.conversion_rate),
        index === 0 ? "–" : format.rate(row.step_conversion_rate),
        index === rows.length - 1 ? "–" : format.count(stopped[index] ?? 0),
        row.median_ms === null ? "–" : format.duration(row.median_ms),
      ])}
    />
  )
}

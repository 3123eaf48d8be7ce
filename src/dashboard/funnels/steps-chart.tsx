import { useState } from "preact/hooks"
import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { resultText, type Step } from "../components/controls/event-picker.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { type Unit, unitTitle } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import type { QueryState } from "../state/use-query.ts"
import { windowText } from "./window-picker.tsx"

/** How many people reached a step. */
export interface StepMetrics {
  people: number
  /** Percent of the first step. */
  conversion_rate: number
  /** Percent of the previous step. */
  step_conversion_rate: number
  median_ms: number | null
}

/** A row of the type `funnel`. */
export interface StepRow extends StepMetrics {
  step: number
  event_name: string | null
  previous?: StepMetrics
}

/** px of a step with the figures below it. */
const stepHeight = 106

interface StepsPanelProps {
  query: QueryState
  steps: readonly Step[]
  unit: Unit
  window: string
}

/** How many people reached each step, as bars or a table. */
export function StepsPanel({ query, steps, unit, window }: StepsPanelProps) {
  const [isTable, setTable] = useState(false)
  const rows = query.rows<StepRow>("steps")
  const names = rows.map((row, index) => resultText(row.event_name, steps[index]))
  const droppedOff = rows.map((row, index) => row.people - (rows[index + 1]?.people ?? row.people))
  return (
    <Panel
      title="Funnel steps"
      hint={`Within ${windowText(window)} of the first step · best attempt per ${unit.one}`}
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
              "percent of the previous step",
              "dropped off",
              "median ms since the previous step",
            ]}
            rows={rows.map((row, index) => [
              row.step,
              names[index],
              row.people,
              row.conversion_rate,
              row.step_conversion_rate,
              index === rows.length - 1 ? null : droppedOff[index],
              row.median_ms,
            ])}
          />
        </>
      }
    >
      <Loaded query={query} id="steps" height={steps.length * stepHeight}>
        {() =>
          rows[0]?.people ? (
            isTable ? (
              <StepsTable rows={rows} names={names} droppedOff={droppedOff} unit={unit} />
            ) : (
              <Bars rows={rows} names={names} unit={unit} />
            )
          ) : (
            <Empty title={`No ${unit.many} entered the funnel in this range`}>
              {unit.value === "visitor"
                ? "Try a longer range or a different first step."
                : `Only events with a ${unit.one} ID are included. Count visitors instead, or try a longer range.`}
            </Empty>
          )
        }
      </Loaded>
    </Panel>
  )
}

function Bars({ rows, names, unit }: { rows: readonly StepRow[]; names: readonly string[]; unit: Unit }) {
  const format = useFormat()
  return (
    <ol class="funnels-steps">
      {rows.map((row, index) => {
        const previous = rows[index - 1]
        const next = rows[index + 1]
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
                {format.countOf(row.people, unit.one)} <b>{format.rate(row.conversion_rate)}</b>
              </span>
            </div>
            <div class="funnels-track" aria-hidden="true">
              <div class="funnels-bar" style={{ width: `${row.conversion_rate}%` }} />
              {previous && (
                <div
                  class="funnels-drop-off"
                  style={{ width: `${Math.max(0, previous.conversion_rate - row.conversion_rate)}%` }}
                />
              )}
            </div>
            {next && (
              <p class="funnels-between">
                <span>
                  <b>{format.rate(next.step_conversion_rate)}</b> continued
                  {next.median_ms !== null && <> · median {format.duration(next.median_ms)}</>}
                </span>
                <span>
                  {format.count(row.people - next.people)} dropped off (
                  {format.rate(row.people === 0 ? 0 : (100 * (row.people - next.people)) / row.people)})
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
  droppedOff: readonly number[]
  unit: Unit
}

function StepsTable({ rows, names, droppedOff, unit }: StepsTableProps) {
  const format = useFormat()
  return (
    <DataTable
      name="Funnel steps"
      columns={["Step", unitTitle(unit), "Of first step", "Of previous step", "Dropped off", "Median time"]}
      numeric={[false, true, true, true, true, true]}
      rows={rows.map((row, index) => [
        `${row.step}. ${names[index]}`,
        format.count(row.people),
        format.rate(row.conversion_rate),
        index === 0 ? "–" : format.rate(row.step_conversion_rate),
        index === rows.length - 1 ? "–" : format.count(droppedOff[index] ?? 0),
        row.median_ms === null ? "–" : format.duration(row.median_ms),
      ])}
    />
  )
}

import { useState } from "preact/hooks"
import { CardMenu, tableAction } from "../components/charts/card-menu.tsx"
import { DataTable } from "../components/charts/data-table.tsx"
import { resultText, type Step } from "../components/controls/event-picker.tsx"
import { type Unit, unitTitle } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { PeopleLink } from "../components/people/people-link.tsx"
import type { Selection } from "../components/people/selection.ts"
import type { PinnedTile } from "../state/boards.ts"
import type { QueryState } from "../state/use-query.ts"
import { windowText } from "./window-picker.tsx"

/** The number of people who reached a step, with rates and times. */
export interface StepMetrics {
  people: number
  /** `people` as a percentage of the people at the first step. */
  conversion_rate: number
  /** `people` as a percentage of the people at the previous step. */
  step_conversion_rate: number
  median_ms: number | null
}

/** A row of the query type `funnel`. */
export interface StepRow extends StepMetrics {
  step: number
  event_name: string | null
  previous?: StepMetrics
}

/** Height in px of a step with its bar and figures. */
const stepHeight = 106

interface StepsPanelProps {
  query: QueryState
  steps: readonly Step[]
  unit: Unit
  window: string
  /** The name of the saved funnel. */
  name: string | undefined
  pin: PinnedTile
}

/** The number of people who reached each step, as bars or as a table. */
export function StepsPanel({ query, steps, unit, window, name, pin }: StepsPanelProps) {
  const [isTable, setTable] = useState(false)
  const rows = query.rows<StepRow>("steps")
  const names = rows.map((row, index) => resultText(row.event_name, steps[index]))
  const droppedOff = rows.map((row, index) => row.people - (rows[index + 1]?.people ?? row.people))
  const selectionOf: SelectionOf = (type, step) => ({
    type,
    step,
    steps,
    window,
    unit,
    breakdown: undefined,
    name,
  })
  return (
    <Panel
      title="Funnel steps"
      chart="steps"
      pin={pin}
      hint={`Counts each ${unit.one}'s best attempt. An attempt lasts up to ${windowText(window)} from its first step.`}
      actions={
        <CardMenu
          file="funnel"
          actions={[tableAction(isTable, setTable)]}
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
      }
    >
      <Loaded query={query} id="steps" height={steps.length * stepHeight}>
        {() =>
          rows[0]?.people ? (
            isTable ? (
              <StepsTable
                rows={rows}
                names={names}
                droppedOff={droppedOff}
                unit={unit}
                selectionOf={selectionOf}
              />
            ) : (
              <Bars rows={rows} names={names} unit={unit} selectionOf={selectionOf} />
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

/** Returns the selection of the people who reached a step, or who dropped off after it. Steps are numbered from 1. */
type SelectionOf = (type: "reached" | "dropped", step: number) => Selection

interface BarsProps {
  rows: readonly StepRow[]
  names: readonly string[]
  unit: Unit
  /** If undefined, the numbers are not links. */
  selectionOf?: SelectionOf
}

export function Bars({ rows, names, unit, selectionOf }: BarsProps) {
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
                <PeopleLink
                  count={row.people}
                  label={`${format.countOf(row.people, unit.one)} reached step ${row.step}`}
                  selection={selectionOf?.("reached", row.step)}
                >
                  {format.countOf(row.people, unit.one)}
                </PeopleLink>{" "}
                <b>{format.rate(row.conversion_rate)}</b>
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
                <PeopleLink count={row.people - next.people} selection={selectionOf?.("dropped", row.step)}>
                  {format.count(row.people - next.people)} dropped off (
                  {format.rate(row.people === 0 ? 0 : (100 * (row.people - next.people)) / row.people)})
                </PeopleLink>
              </p>
            )}
          </li>
        )
      })}
    </ol>
  )
}

interface StepsTableProps extends BarsProps {
  selectionOf: SelectionOf
  droppedOff: readonly number[]
}

function StepsTable({ rows, names, droppedOff, unit, selectionOf }: StepsTableProps) {
  const format = useFormat()
  return (
    <DataTable
      name="Funnel steps"
      columns={[
        "Step",
        unitTitle(unit),
        "% of first step",
        "% of previous step",
        "Dropped off",
        "Median time",
      ]}
      numeric={[false, true, true, true, true, true]}
      rows={rows.map((row, index) => [
        `${row.step}. ${names[index]}`,
        <PeopleLink key="people" count={row.people} selection={selectionOf("reached", row.step)}>
          {format.count(row.people)}
        </PeopleLink>,
        format.rate(row.conversion_rate),
        index === 0 ? "–" : format.rate(row.step_conversion_rate),
        index === rows.length - 1 ? (
          "–"
        ) : (
          <PeopleLink
            key="dropped"
            count={droppedOff[index] ?? 0}
            selection={selectionOf("dropped", row.step)}
          >
            {format.count(droppedOff[index] ?? 0)}
          </PeopleLink>
        ),
        row.median_ms === null ? "–" : format.duration(row.median_ms),
      ])}
    />
  )
}

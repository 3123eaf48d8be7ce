import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { Stat } from "../components/charts/stat.tsx"
import {
  isChosen,
  parseStep,
  type Step,
  stepBody,
  stepParam,
  useEventNames,
} from "../components/controls/event-picker.tsx"
import { FieldPicker } from "../components/controls/field-picker.tsx"
import { Steps } from "../components/controls/steps.tsx"
import { parseUnit, type Unit, UnitPicker, unitParam } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { EmptyReport } from "../components/layout/empty-report.tsx"
import { Page } from "../components/layout/page.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { SaveButton, SavedList, useSavedViews } from "../components/saved/saved.tsx"
import { useApp } from "../state/app.ts"
import type { PinnedTile } from "../state/boards.ts"
import { comparisonOption, type Parameter } from "../state/query-cache.ts"
import { type QueryState, useQuery } from "../state/use-query.ts"
import { Breakdown, bestText, shownValues } from "./breakdown.tsx"
import { type StepMetrics, type StepRow, StepsPanel } from "./steps-chart.tsx"
import { defaultWindow, readWindow, WindowPicker } from "./window-picker.tsx"
import "./funnels.css"

/** The API's limits for the number of steps. */
const [minSteps, maxSteps] = [2, 10]

/** The funnel report: a step editor, totals, a chart and a breakdown. */
export function Funnels() {
  const { router } = useApp()
  const { params } = router.location.value
  const events = useEventNames()
  const saved = useSavedViews("funnel")
  const steps = params.getAll("step").map(parseStep)
  const unit = parseUnit(params)
  const window = readWindow(params)
  const by = params.get("by") ?? undefined
  const chosen = steps.filter(isChosen)
  const isComplete = chosen.length >= minSteps
  const path = router.reportPath("funnels", {
    step: chosen.map(stepParam),
    window: window === defaultWindow ? undefined : window,
    unit: unitParam(unit.value),
    by,
  })
  const [first, second = first] = events.names
  return (
    <Page title="Funnels">
      <SavedList title="Saved funnels" saved={saved} path={isComplete ? path : undefined} />
      {steps.length === 0 ? (
        <EmptyReport
          title="Where do people drop off?"
          text="A funnel shows how many people complete a sequence of events, and where the others drop off."
          events={events}
        >
          <button
            type="button"
            class="button primary"
            onClick={() => router.setParams({ step: [first ?? "", second ?? ""] })}
          >
            {first} → {second}
          </button>
          <button type="button" class="button" onClick={() => router.setParams({ step: ["", ""] })}>
            Choose events
          </button>
        </EmptyReport>
      ) : (
        <>
          <Panel title="Steps" actions={isComplete && <SaveButton kind="funnel" saved={saved} path={path} />}>
            <Steps
              steps={steps}
              names={events.names}
              min={minSteps}
              max={maxSteps}
              isOrdered
              label={(number) => `Step ${number}`}
              addLabel="Add step"
              onChange={(next) => router.setParams({ step: next.map(stepParam) })}
            />
            <div class="settings">
              <WindowPicker window={window} onChange={(next) => router.setParams({ window: next })} />
              <UnitPicker unit={unit} onChange={(next) => router.setParams({ unit: unitParam(next) })} />
              <FieldPicker
                label="Break down by"
                field={by}
                event={chosen[0]?.name}
                onChange={(next) => router.setParams({ by: next })}
              />
            </div>
          </Panel>
          {isComplete ? (
            <Funnel
              steps={chosen}
              unit={unit}
              window={window}
              by={by}
              name={saved.data?.views.find((view) => view.path === path)?.name}
            />
          ) : (
            <section class="panel">
              <Empty title="Choose at least two events">
                The first event starts the funnel, and the last one completes it.
              </Empty>
            </section>
          )}
        </>
      )}
    </Page>
  )
}

export interface FunnelProps {
  steps: readonly Step[]
  unit: Unit
  window: string
  by: string | undefined
  /** The name of the saved funnel. */
  name: string | undefined
}

function Funnel({ steps, unit, window, by, name }: FunnelProps) {
  const { compare } = useApp().view.value
  const funnel = { name: "funnel", steps: steps.map(stepBody), window, unit: unit.value }
  const query = useQuery([
    { ...funnel, id: "steps", ...comparisonOption(compare) },
    ...(by === undefined
      ? []
      : [{ ...funnel, id: "breakdown", by: [by], limit: shownValues, ...comparisonOption(compare) }]),
  ])
  return (
    <>
      <Totals query={query} isCompared={compare !== undefined} by={by} />
      <StepsPanel
        query={query}
        steps={steps}
        unit={unit}
        window={window}
        name={name}
        pin={tileOf(steps, funnel)}
      />
      {by !== undefined && (
        <Breakdown query={query} steps={steps} unit={unit} window={window} by={by} name={name} />
      )}
    </>
  )
}

/** Returns the funnel as a tile for boards. */
function tileOf(steps: readonly Step[], funnel: Parameter): PinnedTile {
  const [first, last] = [steps[0], steps.at(-1)].map((step) => step?.name || "any event")
  return { kind: "funnel", title: `${first} → ${last}`, query: { parameters: [funnel] } }
}

interface TotalsProps {
  query: QueryState
  isCompared: boolean
  by: string | undefined
}

/** The conversion from the first to the last step, the people at both steps, and the value with the best conversion. */
function Totals({ query, isCompared, by }: TotalsProps) {
  const format = useFormat()
  const best = by === undefined ? "" : bestText(query, by, format)
  return (
    <section class="panel stats" aria-label="Funnel totals">
      <Loaded query={query} id="steps" height={62}>
        {() => {
          const rows = query.rows<StepRow>("steps")
          const previousRows = rows.flatMap(({ previous }) => (previous ? [previous] : []))
          const previous = (value: (rows: readonly StepMetrics[]) => number) =>
            isCompared && previousRows.length > 0 ? value(previousRows) : undefined
          return (
            <dl class="stats-row three funnels-stats">
              <Stat
                label="Conversion"
                value={conversion(rows)}
                previous={entered(previousRows) > 0 ? previous(conversion) : undefined}
                format={format}
                isRate
                better="higher"
              />
              <Stat label="Entered" value={entered(rows)} previous={previous(entered)} format={format} />
              <Stat
                label="Completed"
                value={completed(rows)}
                previous={previous(completed)}
                format={format}
              />
            </dl>
          )
        }}
      </Loaded>
      <ComparisonNote query={query} id="steps" />
      {/* Reserves space for the line while the value is loading. */}
      {by !== undefined && (query.isLoading || best !== "") && <p class="funnels-best">{best || "\u00a0"}</p>}
    </section>
  )
}

const conversion = (rows: readonly StepMetrics[]) => rows.at(-1)?.conversion_rate ?? 0
const entered = (rows: readonly StepMetrics[]) => rows[0]?.people ?? 0
const completed = (rows: readonly StepMetrics[]) => rows.at(-1)?.people ?? 0

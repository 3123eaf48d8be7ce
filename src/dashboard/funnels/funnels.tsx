import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { Stat } from "../components/charts/stat.tsx"
import {
  isChosen,
  readStep,
  type Step,
  stepBody,
  stepParam,
  useEventNames,
} from "../components/controls/event-picker.tsx"
import { FieldPicker } from "../components/controls/field-picker.tsx"
import { Steps } from "../components/controls/steps.tsx"
import { readUnit, titled, type Unit, UnitPicker, unitParam } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { EmptyReport } from "../components/layout/empty-report.tsx"
import { Page } from "../components/layout/page.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { SaveButton, SavedList, useSaved } from "../components/saved/saved.tsx"
import { useApp } from "../state/app.ts"
import { useQuery } from "../state/use-query.ts"
import { Breakdown, shownValues } from "./breakdown.tsx"
import { type StepCount, type StepRow, StepsPanel } from "./steps-chart.tsx"
import { readWindow, standardWindow, WindowPicker } from "./window.tsx"
import "./funnels.css"

/** As many steps as the API takes. */
const [leastSteps, mostSteps] = [2, 10]

export function Funnels() {
  const { place } = useApp()
  const { params } = place.spot.value
  const events = useEventNames()
  const saved = useSaved("funnel")
  const steps = params.getAll("step").map(readStep)
  const unit = readUnit(params)
  const window = readWindow(params)
  const by = params.get("by") ?? undefined
  const chosen = steps.filter(isChosen)
  const isWhole = chosen.length >= leastSteps
  const path = place.question("funnels", {
    step: chosen.map(stepParam),
    window: window === standardWindow ? undefined : window,
    unit: unitParam(unit.value),
    by,
  })
  const [first, second = first] = events.names
  return (
    <Page title="Funnels">
      <SavedList title="Saved funnels" saved={saved} path={isWhole ? path : undefined} />
      {steps.length === 0 ? (
        <EmptyReport
          title="Where do people stop?"
          text="A funnel follows people through events in their order, and shows how many get to each step."
          events={events}
        >
          <button
            type="button"
            class="button primary"
            onClick={() => place.set({ step: [first ?? "", second ?? ""] })}
          >
            From {first} to {second}
          </button>
          <button type="button" class="button" onClick={() => place.set({ step: ["", ""] })}>
            Choose the events
          </button>
        </EmptyReport>
      ) : (
        <>
          <Panel title="Steps" actions={isWhole && <SaveButton kind="funnel" saved={saved} path={path} />}>
            <Steps
              steps={steps}
              names={events.names}
              least={leastSteps}
              most={mostSteps}
              isOrdered
              label={(number) => `Step ${number}`}
              more="Add a step"
              onChange={(next) => place.set({ step: next.map(stepParam) })}
            />
            <div class="settings">
              <WindowPicker window={window} onChange={(next) => place.set({ window: next })} />
              <UnitPicker unit={unit} onChange={(next) => place.set({ unit: unitParam(next) })} />
              <FieldPicker
                label="Break down by"
                field={by}
                event={chosen[0]?.name}
                onChange={(next) => place.set({ by: next })}
              />
            </div>
          </Panel>
          {isWhole ? (
            <Funnel steps={chosen} unit={unit} window={window} by={by} />
          ) : (
            <section class="panel">
              <Empty title="Choose at least two events">
                The first is where people begin, the last what they should get to.
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
}

function Funnel({ steps, unit, window, by }: FunnelProps) {
  const { compare } = useApp().view.value
  const funnel = { name: "funnel", steps: steps.map(stepBody), window, unit: unit.value }
  const answered = useQuery([
    { ...funnel, id: "whole", ...(compare ? { compare: "previous_period" } : {}) },
    ...(by === undefined ? [] : [{ ...funnel, id: "parts", by: [by], limit: shownValues }]),
  ])
  return (
    <>
      <Numbers answered={answered} unit={unit} isCompared={compare} />
      <StepsPanel answered={answered} steps={steps} unit={unit} window={window} />
      {by !== undefined && <Breakdown answered={answered} steps={steps} unit={unit} by={by} />}
    </>
  )
}

interface NumbersProps {
  answered: ReturnType<typeof useQuery>
  unit: Unit
  isCompared: boolean
}

/** The funnel as a whole, from its first step to its last. */
function Numbers({ answered, unit, isCompared }: NumbersProps) {
  const format = useFormat()
  const name = titled(unit)
  return (
    <section class="panel stats" aria-label="The funnel in numbers">
      <Loaded answered={answered} of="whole" height={64}>
        {() => {
          const rows = answered.rows<StepRow>("whole")
          const before = rows.flatMap(({ previous }) => (previous ? [previous] : []))
          const was = (value: (rows: readonly StepCount[]) => number) =>
            isCompared && before.length > 0 ? value(before) : undefined
          return (
            <dl class="stats-row three funnels-stats">
              <Stat
                label="Conversion"
                value={conversion(rows)}
                before={began(before) > 0 ? was(conversion) : undefined}
                format={format}
                isRate
              />
              <Stat label={`${name} who began`} value={began(rows)} before={was(began)} format={format} />
              <Stat
                label={`${name} who finished`}
                value={finished(rows)}
                before={was(finished)}
                format={format}
              />
            </dl>
          )
        }}
      </Loaded>
      <ComparisonNote answered={answered} of="whole" />
    </section>
  )
}

const conversion = (rows: readonly StepCount[]) => rows.at(-1)?.conversion_rate ?? 0
const began = (rows: readonly StepCount[]) => rows[0]?.people ?? 0
const finished = (rows: readonly StepCount[]) => rows.at(-1)?.people ?? 0

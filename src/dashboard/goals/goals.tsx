import { isChosen, readStep, stepParam, useEventNames } from "../components/controls/event-picker.tsx"
import { Steps } from "../components/controls/steps.tsx"
import { readUnit, UnitPicker, unitParam } from "../components/controls/unit.tsx"
import { EmptyReport } from "../components/layout/empty-report.tsx"
import { Page } from "../components/layout/page.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { SaveButton, useSaved } from "../components/saved/saved.tsx"
import { useApp } from "../state/app.ts"
import { goalPath } from "./goal.ts"
import { Rates } from "./rates.tsx"
import { SavedGoals } from "./saved-goals.tsx"
import "./goals.css"

/** Goals that are drawn together: as many as a chart tells apart. */
const mostGoals = 6
/** Events that are offered to begin with. */
const offered = 5

export function Goals() {
  const { place } = useApp()
  const { params } = place.spot.value
  const events = useEventNames()
  const saved = useSaved("goal")
  const steps = params.getAll("step").map(readStep)
  const unit = readUnit(params)
  const chosen = steps.filter(isChosen)
  const [only] = chosen
  const path = only && chosen.length === 1 ? goalPath({ step: only, unit }) : undefined
  return (
    <Page title="Goals">
      <SavedGoals saved={saved} path={path} />
      {steps.length === 0 ? (
        <EmptyReport
          title="How many get there?"
          text="A goal is an event that you want to happen: see which share of all visitors had it, and how that changes."
          events={events}
        >
          {events.names.slice(0, offered).map((name) => (
            <button
              key={name}
              type="button"
              class="button"
              onClick={() => place.set({ step: stepParam({ name, filters: [] }) })}
            >
              {name}
            </button>
          ))}
          <button type="button" class="button" onClick={() => place.set({ step: "" })}>
            Choose another event
          </button>
        </EmptyReport>
      ) : (
        <>
          <Panel
            title={steps.length > 1 ? "The events" : "The event"}
            actions={path !== undefined && <SaveButton kind="goal" saved={saved} path={path} />}
          >
            <Steps
              steps={steps}
              names={events.names}
              least={1}
              most={mostGoals}
              label={(number) => (steps.length > 1 ? `Goal ${number}` : "Goal")}
              more="Add one to compare"
              onChange={(next) => place.set({ step: next.map(stepParam) })}
            />
            <div class="settings">
              <UnitPicker unit={unit} onChange={(next) => place.set({ unit: unitParam(next) })} />
            </div>
          </Panel>
          {chosen.length > 0 ? (
            <Rates steps={chosen} unit={unit} />
          ) : (
            <section class="panel">
              <Empty title="Choose an event">Its conversion rate over time is shown here.</Empty>
            </section>
          )}
        </>
      )}
    </Page>
  )
}

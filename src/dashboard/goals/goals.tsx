import { isChosen, parseStep, stepParam, useEventNames } from "../components/controls/event-picker.tsx"
import { Steps } from "../components/controls/steps.tsx"
import { parseUnit, UnitPicker, unitParam } from "../components/controls/unit.tsx"
import { EmptyReport } from "../components/layout/empty-report.tsx"
import { Page } from "../components/layout/page.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { SaveButton, useSavedViews } from "../components/saved/saved.tsx"
import { useApp } from "../state/app.ts"
import { ConversionRates } from "./conversion-rates.tsx"
import { goalPath } from "./goal.ts"
import { SavedGoals } from "./saved-goals.tsx"
import "./goals.css"

/** Maximum number of goals per chart. More lines would be hard to tell apart. */
const maxGoals = 6
/** Number of events suggested on the empty page. */
const suggestedEvents = 5

/** The goals report: saved goals, and the conversion rates of the selected events. */
export function Goals() {
  const { router } = useApp()
  const { params } = router.location.value
  const events = useEventNames()
  const saved = useSavedViews("goal")
  const steps = params.getAll("step").map(parseStep)
  const unit = parseUnit(params)
  const chosen = steps.filter(isChosen)
  const [only] = chosen
  const path = only && chosen.length === 1 ? goalPath({ step: only, unit }) : undefined
  return (
    <Page title="Goals">
      <SavedGoals saved={saved} path={path} />
      {steps.length === 0 ? (
        <EmptyReport
          title="How many people convert?"
          text="A goal is an event you want people to trigger. See what share of visitors convert over time."
          events={events}
        >
          {events.names.slice(0, suggestedEvents).map((name) => (
            <button
              key={name}
              type="button"
              class="button"
              onClick={() => router.setParams({ step: stepParam({ name, filters: [] }) })}
            >
              {name}
            </button>
          ))}
          <button type="button" class="button" onClick={() => router.setParams({ step: "" })}>
            Choose another event
          </button>
        </EmptyReport>
      ) : (
        <>
          <Panel
            title={steps.length > 1 ? "Goals" : "Goal"}
            actions={path !== undefined && <SaveButton kind="goal" saved={saved} path={path} />}
          >
            <Steps
              steps={steps}
              names={events.names}
              min={1}
              max={maxGoals}
              label={(number) => (steps.length > 1 ? `Goal ${number}` : "Event")}
              addLabel="Compare with"
              onChange={(next) => router.setParams({ step: next.map(stepParam) })}
            />
            <div class="settings">
              <UnitPicker unit={unit} onChange={(next) => router.setParams({ unit: unitParam(next) })} />
            </div>
          </Panel>
          {chosen.length > 0 ? (
            <ConversionRates steps={chosen} unit={unit} />
          ) : (
            <section class="panel">
              <Empty title="Choose an event">Its conversion rate will appear here.</Empty>
            </section>
          )}
        </>
      )}
    </Page>
  )
}

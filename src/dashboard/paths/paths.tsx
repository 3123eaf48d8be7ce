import {
  isChosen,
  parseStep,
  stepBody,
  stepParam,
  stepText,
  useEventNames,
} from "../components/controls/event-picker.tsx"
import { Select } from "../components/controls/select.tsx"
import { Steps } from "../components/controls/steps.tsx"
import { EmptyReport } from "../components/layout/empty-report.tsx"
import { Page } from "../components/layout/page.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { SaveButton, SavedList, useSavedViews } from "../components/saved/saved.tsx"
import { useApp } from "../state/app.ts"
import { useQuery } from "../state/use-query.ts"
import { PathsPanel } from "./paths-chart.tsx"
import "./paths.css"

/** Number of steps before and after the event: the maximum, which is the API's limit, and the default. */
const maxSteps = 5
const defaultSteps = 3
/** The choices for the number of rows per step. */
const rowChoices = [8, 20, 50]
/** Number of events suggested on the empty page. */
const suggestedEvents = 5

/** The paths report: an event picker, and the steps before and after the event. */
export function Paths() {
  const { router } = useApp()
  const { params } = router.location.value
  const events = useEventNames()
  const saved = useSavedViews("paths")
  const [step] = params.getAll("step").map(parseStep)
  const before = readCount(params.get("before"), range(0, maxSteps), defaultSteps)
  // The API requires steps on at least one side.
  const after = readCount(params.get("after"), range(before === 0 ? 1 : 0, maxSteps), defaultSteps)
  const rows = readCount(params.get("rows"), rowChoices, rowChoices[0] ?? 0)
  const isComplete = step !== undefined && isChosen(step)
  const path = router.reportPath("paths", {
    step: isComplete ? stepParam(step) : undefined,
    before: before === defaultSteps ? undefined : String(before),
    after: after === defaultSteps ? undefined : String(after),
  })
  const query = useQuery(
    isComplete ? [{ name: "paths", id: "paths", steps: [stepBody(step)], before, after }] : undefined,
  )
  const select = (name: string, label: string, value: number, choices: readonly number[]) => (
    <label class="inline-field">
      {label}
      <Select
        value={String(value)}
        options={choices.map((choice) => ({ value: String(choice), label: String(choice) }))}
        onChange={(selected) => router.setParams({ [name]: selected }, "replace")}
      />
    </label>
  )
  return (
    <Page title="Paths">
      <SavedList title="Saved paths" saved={saved} path={isComplete ? path : undefined} />
      {step === undefined ? (
        <EmptyReport
          title="What happens before and after an event?"
          text="Paths show what happened before and after an event in the same session."
          events={events}
        >
          {events.names.slice(0, suggestedEvents).map((name, index) => (
            <button
              key={name}
              type="button"
              class={`button ${index === 0 ? "primary" : ""}`}
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
            title="Selected event"
            actions={isComplete && <SaveButton kind="paths" saved={saved} path={path} />}
          >
            <Steps
              steps={[step]}
              names={events.names}
              min={1}
              max={1}
              label={() => "Event"}
              onChange={(next) => router.setParams({ step: next.map(stepParam) })}
            />
            <div class="settings">
              {select("before", "Steps before", before, range(after === 0 ? 1 : 0, maxSteps))}
              {select("after", "Steps after", after, range(before === 0 ? 1 : 0, maxSteps))}
              {select("rows", "Rows per step", rows, rowChoices)}
            </div>
          </Panel>
          {isComplete ? (
            <PathsPanel query={query} event={stepText(step)} rowsPerStep={rows} />
          ) : (
            <section class="panel">
              <Empty title="Choose an event">The steps before and after it will appear here.</Empty>
            </section>
          )}
        </>
      )}
    </Page>
  )
}

/** The integers from `from` to `to`, inclusive. */
function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

function readCount(text: string | null, choices: readonly number[], fallback: number): number {
  return choices.find((choice) => String(choice) === text) ?? fallback
}

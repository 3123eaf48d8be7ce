import {
  isChosen,
  readStep,
  stepBody,
  stepParam,
  stepText,
  useEventNames,
} from "../components/controls/event-picker.tsx"
import { Steps } from "../components/controls/steps.tsx"
import { EmptyReport } from "../components/layout/empty-report.tsx"
import { Page } from "../components/layout/page.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty } from "../components/layout/states.tsx"
import { SaveButton, SavedList, useSaved } from "../components/saved/saved.tsx"
import { useApp } from "../state/app.ts"
import { useQuery } from "../state/use-query.ts"
import { PlacesPanel } from "./paths-chart.tsx"
import "./paths.css"

/** Events before and after that can be looked at, as the API takes them, and those where nobody says. */
const mostPlaces = 5
const standardPlaces = 3
/** Names that one column shows. */
const lengths = [8, 20, 50]
/** Events that are offered to begin with. */
const offered = 5

export function Paths() {
  const { place } = useApp()
  const { params } = place.spot.value
  const events = useEventNames()
  const saved = useSaved("paths")
  const [step] = params.getAll("step").map(readStep)
  const before = countOf(params.get("before"), range(0, mostPlaces), standardPlaces)
  // With nothing on both sides there would be nothing to see.
  const after = countOf(params.get("after"), range(before === 0 ? 1 : 0, mostPlaces), standardPlaces)
  const rows = countOf(params.get("rows"), lengths, lengths[0] ?? 0)
  const isWhole = step !== undefined && isChosen(step)
  const path = place.question("paths", {
    step: isWhole ? stepParam(step) : undefined,
    before: before === standardPlaces ? undefined : String(before),
    after: after === standardPlaces ? undefined : String(after),
  })
  const answered = useQuery(
    isWhole ? [{ name: "paths", id: "paths", steps: [stepBody(step)], before, after }] : undefined,
  )
  const count = (name: string, label: string, value: number, of: readonly number[]) => (
    <label class="inline-field">
      {label}
      <select value={value} onChange={(event) => place.set({ [name]: event.currentTarget.value }, "replace")}>
        {of.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
    </label>
  )
  return (
    <Page title="Paths">
      <SavedList title="Saved paths" saved={saved} path={isWhole ? path : undefined} />
      {step === undefined ? (
        <EmptyReport
          title="Where do people come from, and where do they go?"
          text="Paths show what happened just before and after an event in the same session."
          events={events}
        >
          {events.names.slice(0, offered).map((name, index) => (
            <button
              key={name}
              type="button"
              class={`button ${index === 0 ? "primary" : ""}`}
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
            title="The event in the middle"
            actions={isWhole && <SaveButton kind="paths" saved={saved} path={path} />}
          >
            <Steps
              steps={[step]}
              names={events.names}
              least={1}
              most={1}
              label={() => "Event"}
              onChange={(next) => place.set({ step: next.map(stepParam) })}
            />
            <div class="settings">
              {count("before", "Events before", before, range(after === 0 ? 1 : 0, mostPlaces))}
              {count("after", "Events after", after, range(before === 0 ? 1 : 0, mostPlaces))}
              {count("rows", "Names in a column", rows, lengths)}
            </div>
          </Panel>
          {isWhole ? (
            <PlacesPanel answered={answered} event={stepText(step)} shown={rows} />
          ) : (
            <section class="panel">
              <Empty title="Choose an event">What came before and after it is shown here.</Empty>
            </section>
          )}
        </>
      )}
    </Page>
  )
}

/** The whole numbers from one to another, both included. */
function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

function countOf(text: string | null, possible: readonly number[], standard: number): number {
  return possible.find((one) => String(one) === text) ?? standard
}

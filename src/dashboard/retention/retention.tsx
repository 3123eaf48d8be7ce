import {
  isChosen,
  readStep,
  type Step,
  stepBody,
  stepParam,
  useEventNames,
} from "../components/controls/event-picker.tsx"
import { Segmented } from "../components/controls/segmented.tsx"
import { Steps } from "../components/controls/steps.tsx"
import { readUnit, UnitPicker, unitParam, units } from "../components/controls/unit.tsx"
import { Page } from "../components/layout/page.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { SaveButton, SavedList, useSaved } from "../components/saved/saved.tsx"
import { useApp } from "../state/app.ts"
import { useQuery } from "../state/use-query.ts"
import { CohortsPanel } from "./cohorts.tsx"
import { possiblePeriods, readPeriod } from "./periods.ts"
import "./retention.css"

/** A session is over before anybody could come back in it. */
const followed = units.filter(({ value }) => value !== "session")

const any: Step = { name: "", filters: [] }

export function Retention() {
  const { place, view } = useApp()
  const { params } = place.spot.value
  const { range } = view.value
  const events = useEventNames()
  const saved = useSaved("retention")
  const [start = any, comeBack = any] = params.getAll("step").map(readStep)
  const unit =
    followed.find(({ value }) => value === readUnit(params).value) ?? readUnit(new URLSearchParams())
  const period = readPeriod(params, range)
  const show = params.get("show") === "people" ? "people" : "percent"
  const asked = isChosen(start) || isChosen(comeBack) ? [start, comeBack] : []
  const path = place.question("retention", {
    step: asked.map(stepParam),
    by: params.get("by") ?? undefined,
    unit: unitParam(unit.value),
    show: show === "people" ? show : undefined,
  })
  const answered = useQuery([
    {
      name: "retention",
      id: "cohorts",
      granularity: period.value,
      unit: unit.value,
      ...(asked.length === 0 ? {} : { steps: asked.map(stepBody) }),
    },
  ])
  return (
    <Page title="Retention">
      <SavedList title="Saved tables" saved={saved} path={path} />
      <Panel
        title="Who comes back"
        class="retention-question"
        hint="People by the time of their first event in the range, and how many of them came back in each later one."
        actions={<SaveButton kind="retention" saved={saved} path={path} />}
      >
        <Steps
          steps={[start, comeBack]}
          names={events.names}
          least={2}
          most={2}
          label={(number) => (number === 1 ? "Began with" : "Came back with")}
          isAnyAllowed
          onChange={(next) => place.set({ step: next.some(isChosen) ? next.map(stepParam) : undefined })}
        />
        <div class="settings">
          <Segmented
            legend="People are taken together by"
            options={possiblePeriods(range)}
            value={period.value}
            onChange={(by) => place.set({ by }, "replace")}
          />
          <Segmented
            legend="Each cell shows"
            options={[
              { value: "percent", label: "Percent" },
              { value: "people", label: "Numbers" },
            ]}
            value={show}
            onChange={(next) => place.set({ show: next === "people" ? next : undefined }, "replace")}
          />
          <UnitPicker
            unit={unit}
            of={followed}
            onChange={(next) => place.set({ unit: unitParam(next) }, "replace")}
          />
        </div>
      </Panel>
      <CohortsPanel answered={answered} unit={unit} isPercent={show === "percent"} />
    </Page>
  )
}

import {
  isChosen,
  parseStep,
  type Step,
  stepBody,
  stepParam,
  useEventNames,
} from "../components/controls/event-picker.tsx"
import { Segmented } from "../components/controls/segmented.tsx"
import { Steps } from "../components/controls/steps.tsx"
import { parseUnit, UnitPicker, unitParam, units } from "../components/controls/unit.tsx"
import { Page } from "../components/layout/page.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { SaveButton, SavedList, useSavedViews } from "../components/saved/saved.tsx"
import { useApp } from "../state/app.ts"
import type { PinnedTile } from "../state/boards.ts"
import { useQuery } from "../state/use-query.ts"
import { CohortsPanel } from "./cohort-table.tsx"
import { possiblePeriods, readPeriod } from "./periods.ts"
import "./retention.css"

/** Sessions have no retention, because a session that has ended has no later events. */
const retentionUnits = units.filter(({ value }) => value !== "session")

const anyEvent: Step = { name: "", filters: [] }

/** The retention report: event pickers and a table of cohorts. */
export function Retention() {
  const { router, view } = useApp()
  const { params } = router.location.value
  const { range } = view.value
  const events = useEventNames()
  const saved = useSavedViews("retention")
  const [first = anyEvent, returning = anyEvent] = params.getAll("step").map(parseStep)
  const unit =
    retentionUnits.find(({ value }) => value === parseUnit(params).value) ?? parseUnit(new URLSearchParams())
  const period = readPeriod(params, range)
  const show = params.get("show") === "people" ? "people" : "percent"
  const steps = isChosen(first) || isChosen(returning) ? [first, returning] : []
  const path = router.reportPath("retention", {
    step: steps.map(stepParam),
    by: params.get("by") ?? undefined,
    unit: unitParam(unit.value),
    show: show === "people" ? show : undefined,
  })
  const retention = {
    name: "retention",
    granularity: period.value,
    unit: unit.value,
    ...(steps.length === 0 ? {} : { steps: steps.map(stepBody) }),
  }
  const query = useQuery([{ ...retention, id: "cohorts" }])
  const pin: PinnedTile = {
    kind: "retention",
    title: first.name === "" ? "Retention" : `Retention after ${first.name}`,
    query: { parameters: [retention] },
    show,
  }
  return (
    <Page title="Retention">
      <SavedList title="Saved reports" saved={saved} path={path} />
      <Panel
        title="Who comes back?"
        class="retention-question"
        hint="Groups people by when their first event in the range occurred."
        actions={<SaveButton kind="retention" saved={saved} path={path} />}
      >
        <Steps
          steps={[first, returning]}
          names={events.names}
          min={2}
          max={2}
          label={(number) => (number === 1 ? "First event" : "Return event")}
          isAnyAllowed
          onChange={(next) =>
            router.setParams({ step: next.some(isChosen) ? next.map(stepParam) : undefined })
          }
        />
        <div class="settings">
          <Segmented
            legend="Cohort period"
            options={possiblePeriods(range)}
            value={period.value}
            onChange={(by) => router.setParams({ by }, "replace")}
          />
          <Segmented
            legend="Show"
            options={[
              { value: "percent", label: "%" },
              { value: "people", label: "Count" },
            ]}
            value={show}
            onChange={(next) => router.setParams({ show: next === "people" ? next : undefined }, "replace")}
          />
          <UnitPicker
            unit={unit}
            options={retentionUnits}
            onChange={(next) => router.setParams({ unit: unitParam(next) }, "replace")}
          />
        </div>
      </Panel>
      <CohortsPanel query={query} steps={steps} unit={unit} isPercent={show === "percent"} pin={pin} />
    </Page>
  )
}

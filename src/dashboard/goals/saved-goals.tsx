import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { stepBody, stepParam, stepText } from "../components/controls/event-picker.tsx"
import { Link } from "../components/controls/link.tsx"
import { unitParam, units } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import type { SavedView } from "../components/saved/save-view.tsx"
import { type Saved, SavedMenu } from "../components/saved/saved.tsx"
import { useApp } from "../state/app.ts"
import type { Parameter } from "../state/query-cache.ts"
import { type Answered, useQuery } from "../state/use-query.ts"
import { type Goal, type GoalRow, goalOf } from "./goal.ts"
import { RateChange } from "./rate-change.tsx"

/** Goals that are shown before somebody asks for more: each is a question of its own. */
const shownAtOnce = 20
/** Steps that one parameter takes. */
const mostSteps = 10

interface SavedGoalsProps {
  saved: Saved
  /** The goal that is looked at, as it is saved. */
  path: string | undefined
}

/** The saved goals with their rates in the range. Nothing while there are none. */
export function SavedGoals({ saved, path }: SavedGoalsProps) {
  const [most, setMost] = useState(shownAtOnce)
  const all = (saved.data?.views ?? []).flatMap((view): SavedGoal[] => {
    const goal = goalOf(view.path)
    return goal ? [{ ...goal, view }] : []
  })
  if (all.length === 0) return null
  const shown = all.slice(0, most)
  return (
    <GoalList goals={shown} saved={saved} path={path}>
      {all.length > shown.length && (
        <button type="button" class="button small" onClick={() => setMost(most + shownAtOnce)}>
          {Math.min(shownAtOnce, all.length - shown.length)} more
        </button>
      )}
    </GoalList>
  )
}

interface SavedGoal extends Goal {
  view: SavedView
}

interface GoalListProps extends SavedGoalsProps {
  goals: readonly SavedGoal[]
  children: ComponentChildren
}

function GoalList({ goals, saved, path, children }: GoalListProps) {
  const { place, view, session } = useApp()
  const format = useFormat()
  const { compare } = view.value
  const asked = questionsOf(goals, compare)
  const answered = useQuery(asked)
  const rows = rowsOf(goals, answered)
  const most = Math.max(...rows.map((row) => row?.conversion_rate ?? 0), 0.01)
  return (
    <Panel
      title="Saved goals"
      actions={
        <DownloadCsv
          file="saved-goals"
          columns={["name", "goal", "counted", "percent", "converted", "of all"]}
          rows={goals.map(({ view, step, unit }, index) => [
            view.name,
            stepText(step),
            unit.many,
            rows[index]?.conversion_rate,
            rows[index]?.converted,
            rows[index]?.total,
          ])}
        />
      }
    >
      <Loaded answered={answered} of={asked[0]?.id ?? ""} height={34 * (goals.length + 1)}>
        {() => (
          <DataTable
            name="Saved goals"
            columns={[
              "Goal",
              "Conversion",
              ...(compare ? ["Change"] : []),
              "Got there",
              "Of",
              ...(session.isOwner
                ? [
                    <span key="menu" class="hidden">
                      What to do with it
                    </span>,
                  ]
                : []),
            ]}
            numeric={[false, true, true, true, true, true]}
            bars={rows.map((row) => (row?.conversion_rate ?? 0) / most)}
            keys={goals.map(({ view }) => view.id)}
            rows={goals.map(({ view, step, unit }, index) => {
              const row = rows[index]
              return [
                <span key="name" class="goals-name">
                  <Link
                    href={place.with({ step: stepParam(step), unit: unitParam(unit.value) })}
                    isCurrent={view.path === path}
                  >
                    {view.name}
                  </Link>
                  {view.name !== stepText(step) && <small>{stepText(step)}</small>}
                </span>,
                row ? format.rate(row.conversion_rate) : "–",
                ...(compare ? [<RateChange key="change" row={row} format={format} />] : []),
                row ? format.count(row.converted) : "–",
                row ? `${format.count(row.total)} ${unit.many}` : "–",
                ...(session.isOwner
                  ? [<SavedMenu key="menu" view={view} path={path} onChanged={saved.again} />]
                  : []),
              ]
            })}
          />
        )}
      </Loaded>
      <ComparisonNote answered={answered} of={asked[0]?.id ?? ""} />
      {children}
    </Panel>
  )
}

/** The goals of one unit are asked for together, as many as go: those who could have had them are counted once. */
function packsOf(goals: readonly SavedGoal[]): { id: string; goals: SavedGoal[] }[] {
  return units.flatMap((unit) => {
    const same = goals.filter((goal) => goal.unit === unit)
    const packs = Math.ceil(same.length / mostSteps)
    return Array.from({ length: packs }, (_, pack) => ({
      id: `${unit.value} ${pack}`,
      goals: same.slice(pack * mostSteps, (pack + 1) * mostSteps),
    }))
  })
}

function questionsOf(goals: readonly SavedGoal[], compare: boolean): Parameter[] {
  return packsOf(goals).map(({ id, goals: [first, ...rest] }) => ({
    name: "goals",
    id,
    unit: first?.unit.value,
    steps: [...(first ? [first] : []), ...rest].map(({ step }) => stepBody(step)),
    ...(compare ? { compare: "previous_period" } : {}),
  }))
}

/** The answer of each goal, in their order; undefined where there is none. */
function rowsOf(goals: readonly SavedGoal[], answered: Answered): (GoalRow | undefined)[] {
  const found = new Map<string, GoalRow>()
  for (const { id, goals: pack } of packsOf(goals)) {
    const rows = answered.rows<GoalRow>(id)
    // While an answer is old, it is about other goals.
    if (rows.length !== pack.length) continue
    pack.forEach(({ view }, index) => {
      const row = rows[index]
      if (row) found.set(view.id, row)
    })
  }
  return goals.map(({ view }) => found.get(view.id))
}

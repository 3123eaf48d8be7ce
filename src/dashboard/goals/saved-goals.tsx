import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import { CardMenu } from "../components/charts/card-menu.tsx"
import { ComparisonNote } from "../components/charts/comparison-note.tsx"
import { SortedTable } from "../components/charts/data-table.tsx"
import { stepBody, stepParam, stepText } from "../components/controls/event-picker.tsx"
import { Link } from "../components/controls/link.tsx"
import { unitParam, units } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import type { SavedView } from "../components/saved/save-view.tsx"
import { SavedMenu, type SavedResource } from "../components/saved/saved.tsx"
import { useApp } from "../state/app.ts"
import { comparisonOption, type Parameter } from "../state/query-cache.ts"
import type { Comparison } from "../state/range.ts"
import { type QueryState, useQuery } from "../state/use-query.ts"
import { type Goal, type GoalRow, readGoal } from "./goal.ts"
import { RateChange, rateChange } from "./rate-change.tsx"

/**
 * Number of goals to show initially, and to add with each click on “Show … more”. Each goal makes the query slower.
 */
const pageSize = 20
/** The API's limit for the number of steps per parameter. */
const maxSteps = 10

interface SavedGoalsProps {
  saved: SavedResource
  /** The path under which the current goal would be saved; undefined unless exactly one goal is selected. */
  path: string | undefined
}

/** The saved goals with their conversion rates in the range. Renders nothing if there are none. */
export function SavedGoals({ saved, path }: SavedGoalsProps) {
  const [limit, setLimit] = useState(pageSize)
  const all = (saved.data?.views ?? []).flatMap((view): SavedGoal[] => {
    const goal = readGoal(view.path)
    return goal ? [{ ...goal, view }] : []
  })
  if (all.length === 0) return null
  const visible = all.slice(0, limit)
  return (
    <GoalList goals={visible} saved={saved} path={path}>
      {all.length > visible.length && (
        <button type="button" class="button small" onClick={() => setLimit(limit + pageSize)}>
          Show {Math.min(pageSize, all.length - visible.length)} more
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
  const { router, view, session } = useApp()
  const format = useFormat()
  const { compare } = view.value
  const parameters = parametersOf(goals, compare)
  const query = useQuery(parameters)
  const rows = rowsOf(goals, query)
  const max = Math.max(...rows.map((row) => row?.conversion_rate ?? 0), 0.01)
  return (
    <Panel
      title="Saved goals"
      actions={
        <CardMenu
          file="saved-goals"
          columns={["name", "goal", "counted", "percent", "converted", "total"]}
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
      <Loaded query={query} id={parameters[0]?.id ?? ""} height={34 * (goals.length + 1)}>
        {() => (
          <SortedTable
            name="Saved goals"
            columns={[
              "Goal",
              "Conversion",
              ...(compare ? ["Change"] : []),
              "Converted",
              "Total",
              ...(session.isOwner
                ? [
                    <span key="menu" class="hidden">
                      Actions
                    </span>,
                  ]
                : []),
            ]}
            numeric={[false, true, true, true, true, true]}
            bars={rows.map((row) => (row?.conversion_rate ?? 0) / max)}
            keys={goals.map(({ view }) => view.id)}
            values={goals.map(({ view }, index) => [
              view.name,
              rows[index]?.conversion_rate ?? 0,
              ...(compare ? [rateChange(rows[index])] : []),
              rows[index]?.converted ?? 0,
              rows[index]?.total ?? 0,
            ])}
            rows={goals.map(({ view, step, unit }, index) => {
              const row = rows[index]
              return [
                <span key="name" class="goals-name">
                  <Link
                    href={router.hrefWith({ step: stepParam(step), unit: unitParam(unit.value) })}
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
                  ? [<SavedMenu key="menu" view={view} path={path} onChanged={saved.refetch} />]
                  : []),
              ]
            })}
          />
        )}
      </Loaded>
      <ComparisonNote query={query} id={parameters[0]?.id ?? ""} />
      {children}
    </Panel>
  )
}

/**
 * Groups goals with the same unit into batches of at most `maxSteps`. Each batch becomes one parameter of the query,
 * because all steps of a parameter share its unit and total.
 */
function batchesOf(goals: readonly SavedGoal[]): { id: string; goals: SavedGoal[] }[] {
  return units.flatMap((unit) => {
    const sameUnit = goals.filter((goal) => goal.unit === unit)
    const count = Math.ceil(sameUnit.length / maxSteps)
    return Array.from({ length: count }, (_, index) => ({
      id: `${unit.value} ${index}`,
      goals: sameUnit.slice(index * maxSteps, (index + 1) * maxSteps),
    }))
  })
}

function parametersOf(goals: readonly SavedGoal[], compare: Comparison | undefined): Parameter[] {
  return batchesOf(goals).map(({ id, goals: [first, ...rest] }) => ({
    name: "goals",
    id,
    unit: first?.unit.value,
    steps: [...(first ? [first] : []), ...rest].map(({ step }) => stepBody(step)),
    ...comparisonOption(compare),
  }))
}

/** Returns the row of each goal, in the order of the goals; undefined for a goal without a row. */
function rowsOf(goals: readonly SavedGoal[], query: QueryState): (GoalRow | undefined)[] {
  const rowsById = new Map<string, GoalRow>()
  for (const { id, goals: batch } of batchesOf(goals)) {
    const rows = query.rows<GoalRow>(id)
    // While a query is loading, `query` still has the rows of the previous query, which may have had other goals.
    if (rows.length !== batch.length) continue
    batch.forEach(({ view }, index) => {
      const row = rows[index]
      if (row) rowsById.set(view.id, row)
    })
  }
  return goals.map(({ view }) => rowsById.get(view.id))
}

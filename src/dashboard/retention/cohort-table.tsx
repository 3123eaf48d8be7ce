import { CardMenu } from "../components/charts/card-menu.tsx"
import { ScrollBox } from "../components/charts/data-table.tsx"
import type { Step } from "../components/controls/event-picker.tsx"
import { type Unit, unitTitle } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { PeopleLink } from "../components/people/people-link.tsx"
import type { Selection } from "../components/people/selection.ts"
import { useApp } from "../state/app.ts"
import type { PinnedTile } from "../state/boards.ts"
import type { QueryState } from "../state/use-query.ts"
import {
  averageOf,
  averageSize,
  type CellValue,
  type Cohort,
  cohortsOf,
  maxPercentage,
  type Row,
} from "./cohorts.ts"
import { type Period, periods } from "./periods.ts"

interface CohortsPanelProps {
  query: QueryState
  /** The first event and the return event. A missing step stands for any event. */
  steps: readonly Step[]
  unit: Unit
  isPercent: boolean
  pin: PinnedTile
}

/** The retention table: one row per cohort, and one column per period, counted from the cohort's own period. */
export function CohortsPanel({ query, steps, unit, isPercent, pin }: CohortsPanelProps) {
  const { view } = useApp()
  const granularity = query.parameter("cohorts")?.granularity
  const period = periods.find(({ value }) => value === granularity) ?? periods[0]
  const all = cohortsOf(query.rows<Row>("cohorts"), period, view.value)
  const first = all.findIndex(({ people }) => people > 0)
  // Leading empty cohorts are omitted.
  const cohorts = first < 0 ? [] : all.slice(first)
  const { one, many } = period
  const numberOf = ({ returned, percentage }: CellValue) => (isPercent ? percentage : returned)
  return (
    <Panel
      title={`${unitTitle(unit)} by first ${one}`}
      chart="cohorts"
      pin={pin}
      actions={
        <CardMenu
          file="retention"
          columns={[
            one,
            unit.many,
            ...cohorts.map((_, offset) => `${offset} ${offset === 1 ? one : many} later`),
          ]}
          rows={cohorts.map(({ date, people, cells }) => [date, people, ...cells.map(numberOf)])}
        />
      }
    >
      <Loaded query={query} id="cohorts" height={320}>
        {() =>
          cohorts.length > 0 ? (
            <HeatMap cohorts={cohorts} period={period} steps={steps} unit={unit} isPercent={isPercent} />
          ) : (
            <NoMatch />
          )
        }
      </Loaded>
    </Panel>
  )
}

interface HeatMapProps {
  cohorts: readonly Cohort[]
  period: Period
  /** If undefined, the numbers are not links. */
  steps?: readonly Step[]
  unit: Unit
  isPercent: boolean
}

export function HeatMap({ cohorts, period, steps, unit, isPercent }: HeatMapProps) {
  const { range, today } = useApp().view.value
  const format = useFormat()
  const { one } = period
  const cohortLabel = (date: string) => {
    if (period.value === "monthly") return format.bucket(date, period.value)
    return date.slice(0, 4) === today.slice(0, 4) ? format.shortDay(date) : format.day(date)
  }
  const max = maxPercentage(cohorts)
  const averages = cohorts.map((_, offset) => averageOf(cohorts, offset))
  const text = ({ returned, percentage }: CellValue) =>
    isPercent ? format.rate(percentage) : format.count(returned)
  const shade = ({ percentage }: CellValue) => ({
    "--share": `${Math.min(100, (100 * percentage) / max).toFixed(1)}%`,
  })
  const selectionOf = (date: string, offset?: number): Selection | undefined =>
    steps && { type: "cohort", date, period: offset, granularity: period.value, steps, unit }
  const hasIncomplete = cohorts.some(({ cells }) => cells.some(({ isComplete }) => !isComplete))
  return (
    <>
      <ScrollBox>
        <table class="retention-map">
          <caption class="hidden">
            Retention of {unit.many} by first {one}
          </caption>
          <thead>
            <tr>
              <th scope="col" rowSpan={2}>
                Cohort
              </th>
              <th scope="col" rowSpan={2} class="number">
                {unitTitle(unit)}
              </th>
              <th scope="colgroup" colSpan={cohorts.length} class="retention-offset">
                {period.label} later
              </th>
            </tr>
            <tr>
              {cohorts.map(({ date }, offset) => (
                <th key={date} scope="col" class="number">
                  {offset}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <tr class="retention-average">
              <th scope="row">Average</th>
              <td class="number">{format.tenths(averageSize(cohorts))}</td>
              {averages.map((average, offset) => (
                <td key={offset} class="number">
                  {average ? (isPercent ? text(average) : format.tenths(average.returned)) : "–"}
                </td>
              ))}
            </tr>
            {cohorts.map(({ date, people, cells }) => (
              <tr key={date}>
                <th scope="row">
                  {cohortLabel(date)}
                  {date < range.from && <small> from {format.shortDay(range.from)}</small>}
                </th>
                <td class="number">
                  <PeopleLink count={people} selection={selectionOf(date)}>
                    {format.count(people)}
                  </PeopleLink>
                </td>
                {cells.map((cell, offset) => (
                  <td
                    key={offset}
                    class={`retention-cell ${cell.isComplete ? "" : "part"}`}
                    style={people === 0 ? undefined : shade(cell)}
                  >
                    <PeopleLink count={cell.returned} selection={selectionOf(date, offset)}>
                      {people === 0 ? "–" : text(cell)}
                    </PeopleLink>
                    {!cell.isComplete && people > 0 && <span class="hidden"> so far</span>}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollBox>
      {hasIncomplete && (
        <p class="retention-legend">
          <span class="retention-cell part" aria-hidden="true">
            0
          </span>
          Incomplete {one}, excluded from the average.
        </p>
      )}
    </>
  )
}

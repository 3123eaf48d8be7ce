import { DownloadCsv, ScrollBox } from "../components/charts/data-table.tsx"
import { type Unit, unitTitle } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { useApp, type View } from "../state/app.ts"
import { lastDayOf } from "../state/range.ts"
import type { QueryState } from "../state/use-query.ts"
import { type Period, periods } from "./periods.ts"

/** A row of the query type `retention`. */
interface Row {
  date: string
  people: number
  period: number
  returned: number
  /** Percent of `people`. */
  percentage: number
}

/** People whose first event was in the same period. */
interface Cohort {
  date: string
  people: number
  cells: Cell[]
}

interface Cell {
  returned: number
  percentage: number
  /** The period has ended and is completely in the range. */
  isComplete: boolean
}

/** A cell, or the average of a column. */
interface CellValue {
  returned: number
  percentage: number
}

interface CohortsPanelProps {
  query: QueryState
  unit: Unit
  isPercent: boolean
}

/** The retention table: a row per cohort, a column per period after its first. */
export function CohortsPanel({ query, unit, isPercent }: CohortsPanelProps) {
  const { view } = useApp()
  const granularity = query.parameter("cohorts")?.granularity
  const period = periods.find(({ value }) => value === granularity) ?? periods[0]
  const all = cohortsOf(query.rows<Row>("cohorts"), period, view.value)
  const first = all.findIndex(({ people }) => people > 0)
  // Leading empty cohorts are left out.
  const cohorts = first < 0 ? [] : all.slice(first)
  const { one, many } = period
  const numberOf = ({ returned, percentage }: CellValue) => (isPercent ? percentage : returned)
  return (
    <Panel
      title={`${unitTitle(unit)} by first ${one}`}
      actions={
        <DownloadCsv
          file="retention"
          columns={[one, unit.many, ...cohorts.map((_, offset) => `${offset} ${many} later`)]}
          rows={cohorts.map(({ date, people, cells }) => [date, people, ...cells.map(numberOf)])}
        />
      }
    >
      <Loaded query={query} id="cohorts" height={320}>
        {() =>
          cohorts.length > 0 ? (
            <HeatMap cohorts={cohorts} period={period} unit={unit} isPercent={isPercent} />
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
  unit: Unit
  isPercent: boolean
}

function HeatMap({ cohorts, period, unit, isPercent }: HeatMapProps) {
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
                <td class="number">{format.count(people)}</td>
                {cells.map((cell, offset) => (
                  <td
                    key={offset}
                    class={`retention-cell ${cell.isComplete ? "" : "part"}`}
                    style={people === 0 ? undefined : shade(cell)}
                  >
                    {people === 0 ? "–" : text(cell)}
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

/** Groups the rows by cohort: those of a cohort are adjacent, in order of periods. */
function cohortsOf(rows: readonly Row[], { value: granularity }: Period, { range, today }: View): Cohort[] {
  const dates = rows.filter(({ period }) => period === 0).map(({ date }) => date)
  const isComplete = dates.map((date) => hasEnded(lastDayOf(date, granularity), range.to, today))
  const cohorts: Cohort[] = []
  for (const { date, people, period: offset, returned, percentage } of rows) {
    if (offset === 0) cohorts.push({ date, people, cells: [] })
    cohorts.at(-1)?.cells.push({
      returned,
      percentage,
      isComplete: isComplete[cohorts.length - 1 + offset] ?? false,
    })
  }
  return cohorts
}

function hasEnded(lastDay: string, to: string, today: string): boolean {
  return lastDay < today && lastDay <= to
}

/** The largest percentage after the first period, which is near 100%: it gets the darkest shade. */
function maxPercentage(cohorts: readonly Cohort[]): number {
  const percentages = cohorts.flatMap(({ cells }) => cells.slice(1).map(({ percentage }) => percentage))
  return percentages.reduce((max, percentage) => Math.max(max, percentage), 1)
}

/** The average over cohorts whose period is complete, weighted by people; undefined if there is none. */
function averageOf(cohorts: readonly Cohort[], offset: number): CellValue | undefined {
  const complete = cohorts.filter(({ people, cells }) => people > 0 && cells[offset]?.isComplete)
  const people = complete.reduce((sum, cohort) => sum + cohort.people, 0)
  const returned = complete.reduce((sum, { cells }) => sum + (cells[offset]?.returned ?? 0), 0)
  return people === 0
    ? undefined
    : { returned: returned / complete.length, percentage: (100 * returned) / people }
}

function averageSize(cohorts: readonly Cohort[]): number {
  return cohorts.reduce((sum, { people }) => sum + people, 0) / cohorts.length
}

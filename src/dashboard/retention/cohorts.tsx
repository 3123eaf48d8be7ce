import { DownloadCsv, ScrollBox } from "../components/charts/data-table.tsx"
import { titled, type Unit } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { useApp, type View } from "../state/app.ts"
import { lastDayOf } from "../state/range.ts"
import type { Answered } from "../state/use-query.ts"
import { type Period, periods } from "./periods.ts"

/** A row of the type `retention`. */
interface Row {
  date: string
  people: number
  period: number
  returned: number
  /** Of `people`. */
  percentage: number
}

/** Those who began in the same time. */
interface Cohort {
  date: string
  people: number
  cells: Cell[]
}

interface Cell {
  returned: number
  percentage: number
  /** The time is over, and the range has all of it. */
  isWhole: boolean
}

/** The mean of one column. */
interface Mean {
  returned: number
  percentage: number
}

interface CohortsPanelProps {
  answered: Answered
  unit: Unit
  isPercent: boolean
}

/** A heat map: a row for those who began in the same time, a column for each time after. */
export function CohortsPanel({ answered, unit, isPercent }: CohortsPanelProps) {
  const { view } = useApp()
  const asked = answered.asked("cohorts")?.granularity
  const period = periods.find(({ value }) => value === asked) ?? periods[0]
  const all = cohortsOf(answered.rows<Row>("cohorts"), period, view.value)
  const first = all.findIndex(({ people }) => people > 0)
  // Before anybody began there is nothing to come back from.
  const cohorts = first < 0 ? [] : all.slice(first)
  const { one, many } = period
  const shown = ({ returned, percentage }: Mean) => (isPercent ? percentage : returned)
  return (
    <Panel
      title={`${titled(unit)} by the ${one} they began in`}
      actions={
        <DownloadCsv
          file="retention"
          columns={[one, unit.many, ...cohorts.map((_, later) => `${later} ${many} later`)]}
          rows={cohorts.map(({ date, people, cells }) => [date, people, ...cells.map(shown)])}
        />
      }
    >
      <Loaded answered={answered} of="cohorts" height={320}>
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
  const began = (date: string) => {
    if (period.value === "monthly") return format.bucket(date, period.value)
    return date.slice(0, 4) === today.slice(0, 4) ? format.shortDay(date) : format.day(date)
  }
  const most = mostOf(cohorts)
  const means = cohorts.map((_, later) => meanOf(cohorts, later))
  const text = ({ returned, percentage }: Mean) =>
    isPercent ? format.rate(percentage) : format.count(returned)
  const shade = ({ percentage }: Mean) => ({
    "--share": `${Math.min(100, (100 * percentage) / most).toFixed(1)}%`,
  })
  const hasParts = cohorts.some(({ cells }) => cells.some(({ isWhole }) => !isWhole))
  return (
    <>
      <ScrollBox>
        <table class="retention-map">
          <caption class="hidden">
            {titled(unit)} by the {one} they began in, and how many of them came back
          </caption>
          <thead>
            <tr>
              <th scope="col" rowSpan={2}>
                Began in
              </th>
              <th scope="col" rowSpan={2} class="number">
                {titled(unit)}
              </th>
              <th scope="colgroup" colSpan={cohorts.length} class="retention-later">
                {period.label} later
              </th>
            </tr>
            <tr>
              {cohorts.map(({ date }, later) => (
                <th key={date} scope="col" class="number">
                  {later}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <tr class="retention-mean">
              <th scope="row">Average</th>
              <td class="number">{format.tenths(averageSize(cohorts))}</td>
              {means.map((mean, later) => (
                <td key={later} class="number">
                  {mean ? (isPercent ? text(mean) : format.tenths(mean.returned)) : "–"}
                </td>
              ))}
            </tr>
            {cohorts.map(({ date, people, cells }) => (
              <tr key={date}>
                <th scope="row">
                  {began(date)}
                  {date < range.from && <small> from {format.shortDay(range.from)} on</small>}
                </th>
                <td class="number">{format.count(people)}</td>
                {cells.map((cell, later) => (
                  <td
                    key={later}
                    class={`retention-cell ${cell.isWhole ? "" : "part"}`}
                    style={people === 0 ? undefined : shade(cell)}
                  >
                    {people === 0 ? "–" : text(cell)}
                    {!cell.isWhole && people > 0 && <span class="hidden"> so far</span>}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollBox>
      {hasParts && (
        <p class="retention-legend">
          <span class="retention-cell part" aria-hidden="true">
            0
          </span>
          The {one} is not over, or not all of it is in the range. The average leaves it out.
        </p>
      )}
    </>
  )
}

/** The rows of each cohort stand together, in the order of the times. */
function cohortsOf(rows: readonly Row[], { value: granularity }: Period, { range, today }: View): Cohort[] {
  const dates = rows.filter(({ period }) => period === 0).map(({ date }) => date)
  const isWhole = dates.map((date) => isOver(lastDayOf(date, granularity), range.to, today))
  const cohorts: Cohort[] = []
  for (const { date, people, period: later, returned, percentage } of rows) {
    if (later === 0) cohorts.push({ date, people, cells: [] })
    cohorts.at(-1)?.cells.push({
      returned,
      percentage,
      isWhole: isWhole[cohorts.length - 1 + later] ?? false,
    })
  }
  return cohorts
}

function isOver(lastDay: string, to: string, today: string): boolean {
  return lastDay < today && lastDay <= to
}

/** The largest percentage of later times, which has the darkest shade: in the first nearly everybody is there. */
function mostOf(cohorts: readonly Cohort[]): number {
  const later = cohorts.flatMap(({ cells }) => cells.slice(1).map(({ percentage }) => percentage))
  return later.reduce((most, one) => Math.max(most, one), 1)
}

/** Of the cohorts that had all of this time. In percent each person counts the same. Undefined: there is no such cohort. */
function meanOf(cohorts: readonly Cohort[], later: number): Mean | undefined {
  const whole = cohorts.filter(({ people, cells }) => people > 0 && cells[later]?.isWhole)
  const people = whole.reduce((all, one) => all + one.people, 0)
  const returned = whole.reduce((all, { cells }) => all + (cells[later]?.returned ?? 0), 0)
  return people === 0
    ? undefined
    : { returned: returned / whole.length, percentage: (100 * returned) / people }
}

function averageSize(cohorts: readonly Cohort[]): number {
  return cohorts.reduce((all, { people }) => all + people, 0) / cohorts.length
}

import { CardMenu } from "../components/charts/card-menu.tsx"
import { DataTable } from "../components/charts/data-table.tsx"
import { Change } from "../components/charts/stat.tsx"
import { type Step, stepParam } from "../components/controls/event-picker.tsx"
import { Link } from "../components/controls/link.tsx"
import type { Unit } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { ValueText } from "../components/controls/value.tsx"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { PeopleLink } from "../components/people/people-link.tsx"
import { useApp } from "../state/app.ts"
import { isolate } from "../state/bidi.ts"
import { fieldName, valueFilter } from "../state/filters.ts"
import type { Format } from "../state/format.ts"
import type { QueryState } from "../state/use-query.ts"
import type { StepRow } from "./steps-chart.tsx"

/** Maximum number of values to show. Values with the most people come first. */
export const shownValues = 20

/** Label of a missing value. */
const none = "(none)"

interface BreakdownProps {
  query: QueryState
  steps: readonly Step[]
  unit: Unit
  window: string
  by: string
  /** The name of the saved funnel. */
  name: string | undefined
}

/** The funnel's conversion for each value that a field has at the first step. */
export function Breakdown({ query, steps, unit, window, by, name: funnelName }: BreakdownProps) {
  const { router, view } = useApp()
  const format = useFormat()
  const isCompared = view.value.compare !== undefined
  const groups = groupsOf(query)
  const [first, ...rest] = steps
  const max = Math.max(...groups.map((group) => conversion(group)), 0.01)
  const laterSteps = (groups[0]?.rows ?? []).slice(1)
  const name = fieldName(by)
  const peopleAt = (value: string | null, { step, people } = { step: 1, people: 0 }) => (
    <PeopleLink
      key={step}
      count={people}
      selection={{ type: "reached", step, steps, window, unit, breakdown: { by, value }, name: funnelName }}
    >
      {format.count(people)}
    </PeopleLink>
  )
  /**
   * Returns the conversion from the first to the last step in the previous period, and the change since then. Returns
   * dashes for values that cannot be computed because nobody entered the funnel in one of the periods.
   */
  const changeOf = (rows: readonly StepRow[]) => {
    const [first, last] = [rows[0], rows.at(-1)]
    if (!first?.previous?.people || !last?.previous) return ["–", "–"]
    const { conversion_rate: now, previous } = last
    const before = previous.conversion_rate
    return [
      format.rate(before),
      first.people === 0 ? (
        "–"
      ) : (
        <Change key="change" value={now} previous={before} isRate better="higher" format={format} />
      ),
    ]
  }
  return (
    <Panel
      title={`By ${name}`}
      chart="breakdown"
      hint={`Top ${shownValues} values at the first step, most ${unit.many} first. Bars show overall conversion. Click a value to filter.`}
      actions={
        <CardMenu
          file="funnel-by-value"
          columns={[
            by,
            "step",
            "event",
            unit.many,
            "percent of the first step",
            "percent of the previous step",
            ...(isCompared
              ? [`${unit.many} in previous period`, "percent of the first step in previous period"]
              : []),
          ]}
          rows={groups.flatMap(({ value, rows }) =>
            rows.map((row) => [
              value,
              row.step,
              row.event_name,
              row.people,
              row.conversion_rate,
              row.step_conversion_rate,
              ...(isCompared ? [row.previous?.people, row.previous?.conversion_rate] : []),
            ]),
          )}
        />
      }
    >
      <Loaded query={query} id="breakdown" height={200}>
        {() =>
          groups.length === 0 ? (
            <NoMatch />
          ) : (
            <DataTable
              name={`Funnel by ${isolate(name)}`}
              columns={[
                name,
                "Entered",
                ...laterSteps.map((row) => (
                  <span key={row.step} class="funnels-column" title={row.event_name ?? undefined}>
                    {row.step}. {row.event_name ?? "Any event"}
                  </span>
                )),
                ...(isCompared ? ["Previous", "Change"] : []),
                "Completed",
              ]}
              numeric={[false, ...Array<boolean>(laterSteps.length + (isCompared ? 4 : 2)).fill(true)]}
              bars={groups.map((group) => conversion(group) / max)}
              keys={groups.map(({ value }) => String(value))}
              rows={groups.map(({ value, rows }) => [
                first ? (
                  <Link
                    key="value"
                    label={`Filter by ${isolate(name)}: ${isolate(value ?? none)}`}
                    href={router.hrefWith({
                      step: [firstStepParam(first, by, value), ...rest.map(stepParam)],
                    })}
                  >
                    <ValueText value={value} />
                  </Link>
                ) : (
                  <ValueText key="value" value={value} />
                ),
                peopleAt(value, rows[0]),
                ...rows.slice(1).map((row) => format.rate(row.conversion_rate)),
                ...(isCompared ? changeOf(rows) : []),
                peopleAt(value, rows.at(-1)),
              ])}
            />
          )
        }
      </Loaded>
    </Panel>
  )
}

interface Group {
  value: string | null
  rows: StepRow[]
}

/** Groups the rows by value. The rows of a value are adjacent and in step order. */
function groupsOf(query: QueryState): Group[] {
  const [by] = query.parameter("breakdown")?.by ?? []
  if (by === undefined) return []
  const groups: Group[] = []
  for (const row of query.rows<StepRow & Record<string, string | null>>("breakdown")) {
    if (row.step === 1) groups.push({ value: row[by] ?? null, rows: [] })
    groups.at(-1)?.rows.push(row)
  }
  return groups
}

function conversion({ rows }: Group): number {
  return rows.at(-1)?.conversion_rate ?? 0
}

/**
 * A value can only be named as the best if it has at least this share of all people. The conversion of fewer people
 * depends too much on chance.
 */
const minShare = 0.05

/**
 * Returns a sentence that names the value with the best conversion, and one about the previous period. Returns '' if
 * there are fewer than two values, or if none has enough people.
 */
export function bestText(query: QueryState, by: string, format: Format): string {
  const groups = groupsOf(query)
  const now = bestOf(groups, (row) => row)
  if (!now || groups.length < 2) return ""
  const before = bestOf(groups, (row) => row.previous ?? undefined)
  const text = `Best conversion by ${isolate(fieldName(by))}: ${now.name}, ${format.rate(now.rate)}.`
  if (!before) return text
  const rate = format.rate(before.rate)
  return before.name === now.name
    ? `${text} It was also the best in the previous period: ${rate}.`
    : `${text} In the previous period, it was ${before.name}: ${rate}.`
}

/**
 * Returns the value with the best conversion in a period, or undefined if there is none. `countsOf` returns the counts
 * of a step in that period.
 */
function bestOf(
  groups: readonly Group[],
  countsOf: (row: StepRow) => { people: number; conversion_rate: number } | undefined,
) {
  const entries = groups.map(({ value, rows: [first, ...rest] }) => {
    const last = rest.at(-1)
    return {
      name: isolate(value ?? none),
      people: (first && countsOf(first)?.people) ?? 0,
      rate: (last && countsOf(last)?.conversion_rate) ?? 0,
    }
  })
  const total = entries.reduce((sum, { people }) => sum + people, 0)
  return entries
    .filter(({ people, rate }) => rate > 0 && people >= minShare * total)
    .toSorted((a, b) => b.rate - a.rate)[0]
}

function firstStepParam({ name, filters }: Step, by: string, value: string | null): string {
  return stepParam({
    name,
    filters: [...filters.filter(({ field }) => field !== by), valueFilter(by, value)],
  })
}

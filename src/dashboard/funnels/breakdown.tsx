import { DataTable, DownloadCsv } from "../components/charts/data-table.tsx"
import { type Step, stepParam } from "../components/controls/event-picker.tsx"
import { Link } from "../components/controls/link.tsx"
import { titled, type Unit } from "../components/controls/unit.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Loaded, Panel } from "../components/layout/panel.tsx"
import { useApp } from "../state/app.ts"
import { type Filter, fieldName } from "../state/filters.ts"
import type { Answered } from "../state/use-query.ts"
import type { StepRow } from "./steps-chart.tsx"

/** Values that are shown: those of the most people. */
export const shownValues = 20

/** What stands for a value that is missing. */
const none = "(none)"

interface BreakdownProps {
  answered: Answered
  steps: readonly Step[]
  unit: Unit
  by: string
}

/** The same funnel for each value that the first step had. */
export function Breakdown({ answered, steps, unit, by }: BreakdownProps) {
  const { place } = useApp()
  const format = useFormat()
  const groups = groupsOf(answered)
  const [first, ...rest] = steps
  const most = Math.max(...groups.map((group) => conversion(group)), 0.01)
  const later = (groups[0]?.rows ?? []).slice(1)
  const name = fieldName(by)
  return (
    <Panel
      title={`By ${name}`}
      hint={`By the value that the first step had, ${shownValues} at most; the bars are the share that finishes. Choose a value to begin with it alone.`}
      actions={
        <DownloadCsv
          file="funnel-by-value"
          columns={[
            by,
            "step",
            "event",
            unit.many,
            "percent of the first step",
            "percent of the step before",
          ]}
          rows={groups.flatMap(({ value, rows }) =>
            rows.map((row) => [
              value,
              row.step,
              row.event_name,
              row.people,
              row.conversion_rate,
              row.step_conversion_rate,
            ]),
          )}
        />
      }
    >
      <Loaded answered={answered} of="parts" height={200}>
        {() =>
          groups.length === 0 ? (
            <NoMatch />
          ) : (
            <DataTable
              name={`The funnel by ${name}`}
              columns={[
                name,
                `${titled(unit)} who began`,
                ...later.map((row) => (
                  <span key={row.step} class="funnels-column" title={row.event_name ?? undefined}>
                    {row.step}. {row.event_name ?? "Any event"}
                  </span>
                )),
                "Finished",
              ]}
              numeric={[false, true, ...later.map(() => true), true]}
              bars={groups.map((group) => conversion(group) / most)}
              keys={groups.map(({ value }) => String(value))}
              rows={groups.map(({ value, rows }) => [
                first ? (
                  <Link
                    key="value"
                    label={`${value ?? none}: begin with it alone`}
                    href={place.with({ step: [beginningWith(first, by, value), ...rest.map(stepParam)] })}
                  >
                    {value ?? none}
                  </Link>
                ) : (
                  value
                ),
                format.count(rows[0]?.people ?? 0),
                ...rows.slice(1).map((row) => format.rate(row.conversion_rate)),
                format.count(rows.at(-1)?.people ?? 0),
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

/** The rows of each value stand together, in the order of the steps. */
function groupsOf(answered: Answered): Group[] {
  const [by] = (answered.asked("parts")?.by as string[] | undefined) ?? []
  if (by === undefined) return []
  const groups: Group[] = []
  for (const row of answered.rows<StepRow & Record<string, string | null>>("parts")) {
    if (row.step === 1) groups.push({ value: row[by] ?? null, rows: [] })
    groups.at(-1)?.rows.push(row)
  }
  return groups
}

function conversion({ rows }: Group): number {
  return rows.at(-1)?.conversion_rate ?? 0
}

function only(field: string, value: string | null): Filter {
  return value === null ? { field, op: "exists", value: false } : { field, op: "eq", value }
}

function beginningWith({ name, filters }: Step, by: string, value: string | null): string {
  return stepParam({ name, filters: [...filters.filter(({ field }) => field !== by), only(by, value)] })
}

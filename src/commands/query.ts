import { type Command, Option } from "commander"
import { UserError } from "../errors.ts"
import { eventKinds } from "../event-kinds.ts"
import { cell } from "../export/csv.ts"
import { integer } from "../flag-values.ts"
import { granularities } from "../query/query.ts"
import type { Entry } from "../query-api/execute.ts"
import type { Row } from "../query-api/query-spec.ts"
import { types } from "../query-api/query-types.ts"
import { maxLimit, maxSteps, units } from "../query-api/schema.ts"
import type { Context } from "../terminal/context.ts"
import { collect } from "../terminal/database.ts"
import { operatorHelp, readFilter, readStep } from "../terminal/filter.ts"
import { bar, printJson, printTable, shown } from "../terminal/print.ts"
import { addWhereOptions, runQueries, type Where } from "../terminal/query-client.ts"

interface QueryOptions extends Where {
  last?: string
  preset?: string
  from?: string
  to?: string
  zone?: string
  where?: string[]
  by?: string[]
  measure?: string[]
  step?: string[]
  kind?: string[]
  granularity?: string
  window?: string
  unit?: string
  before?: number
  after?: number
  top?: number
  anonymousId?: string
  profileId?: string
  reached?: number
  droppedAfter?: number
  /** False for --no-value. */
  value?: string | false
  cohort?: string
  period?: number
  search?: string
  cursor?: string
  limit?: number
  page?: number
  sort?: string
  order?: string
  compare?: boolean | string
  crawlers?: boolean
  json?: boolean
  csv?: boolean
}

const examples = `
Filters (--where; events must match all of them): <field> <operator> <value>, such as
  property.plan=pro  path!=/x  property.total>10  path^=/blog  path~blog  "property.plan in pro,free"
  property.plan (is set)  !property.plan (is not set)
Operators, by symbol or name: ${operatorHelp}
Put double quotes around values that contain commas, operators, or leading or trailing spaces: 'property.city in "Paris, TX",Rome'
Lists and whole filters can be JSON: 'property.plan in ["pro","a,b"]'  '{"field":"path","op":"eq","value":"=x"}'

Examples:
  databuddy query custom_events --last 7d --by property.plan
  databuddy query custom_events_trends --last 30d --where property.plan=pro
  databuddy query funnel --step visited --step "bought where property.total>10" --window 1d
  databuddy query funnel --step '{"page":"/pricing"}' --step signed_up
  databuddy query events --by path --measure users --measure sum:property.total --csv
  databuddy query events --kind page_view --by country
  databuddy query movers --last week --where event_name=signed_up
  databuddy query people --step visited --step bought --dropped-after 1`

export function addQueryCommand(root: Command, context: Context): void {
  const list = Object.entries(types).map(([name, { description }]) => `  ${name}: ${description}`)
  const command = root
    .command("query <type>")
    .description("query events")
    .option(
      "--last <time>",
      'time range: 7d (including today), 24h, 2w or "hour"; "week" or "month" for the last full calendar week or month',
    )
    .option("--preset <name>", "today, yesterday, this_week, this_month, this_year, …")
    .option("--from <day>", "first day, or a time")
    .option("--to <day>", "last day, or an exclusive end time")
    .option("--zone <zone>", "time zone of days and hours, such as Europe/Berlin (default: UTC)")
    .option("--where <filter>", "only events that match (see below); can be repeated", collect)
    .option("--by <field>", "break down by a field, such as path or property.plan; can be repeated", collect)
    .option(
      "--measure <measure>",
      "events, users, sessions, …, or an aggregate such as sum:property.total (also avg, min, max, p50, p75, p90, p95, p99); can be repeated",
      collect,
    )
    .option(
      "--step <event>",
      'a step: an event name, "<name> where <filter> and <filter>", or a page as {"page":"/pricing"}; can be repeated',
      collect,
    )
    .addOption(
      new Option("--kind <kind>", "kind of events that the type `events` reads; can be repeated")
        .choices(eventKinds)
        .argParser(collect),
    )
    .addOption(new Option("--granularity <unit>", "length of time intervals").choices(granularities))
    .option("--window <duration>", "conversion window of a funnel, such as 1h or 7d")
    .addOption(new Option("--unit <who>", "what to count").choices(units))
    .option(
      "--before <number>",
      "for the type `paths`: number of steps to show before the event",
      integer(0, 5),
    )
    .option(
      "--after <number>",
      "for the type `paths`: number of steps to show after the event",
      integer(0, 5),
    )
    .option("--top <number>", "maximum number of values per property key", integer(1, 1_000))
    .option("--anonymous-id <id>", "only events from this visitor")
    .option("--profile-id <id>", "only events with this profile")
    .option(
      "--reached <step>",
      "only people who reached this step of the funnel that --step defines",
      integer(1, maxSteps),
    )
    .option(
      "--dropped-after <step>",
      "only people who reached this step of the funnel but no later step",
      integer(1, maxSteps),
    )
    .option("--value <value>", "only people in the funnel with this value of the --by field")
    .option("--no-value", "only people in the funnel without a value of the --by field")
    .option("--cohort <date>", "only people in this cohort of the retention that --step defines")
    .option(
      "--period <number>",
      "only people in the cohort who returned this many periods later",
      integer(0, 100_000),
    )
    .option("--search <text>", "visitors whose anonymous id contains this text")
    .option("--cursor <text>", "continue from the cursor of an earlier result")
    .option("--limit <rows>", "maximum number of rows", integer(1, maxLimit))
    .option("--page <number>", "page number, from 1", integer(1, 100_000))
    .option("--sort <column>", "sort by this column")
    .addOption(new Option("--order <order>", "sort order").choices(["asc", "desc"]))
    .option(
      "--compare [period]",
      'compare with the previous period, or with "year" (same dates last year), "weekdays" (matching weekdays) or a range such as 2026-01-01..2026-01-31',
    )
    .option("--crawlers", "include events from crawlers")
    .addOption(new Option("--json", "print JSON").conflicts("csv"))
    .option("--csv", "print CSV")
  addWhereOptions(command)
    .addHelpText("after", `\nTypes:\n${list.join("\n")}\n${examples}`)
    .action((type: string, options: QueryOptions) => query(type, options, context))
}

async function query(type: string, options: QueryOptions, context: Context): Promise<void> {
  const [entry] = await runQueries(bodyOf(type, options), options, context)
  if (!entry) return
  if (options.json) printJson(entry, context)
  else if (options.csv) await context.outAndWait(csvOf(entry.data))
  else printEntry(entry, options, context)
}

/** Converts the options to the request body of the API. */
function bodyOf(type: string, options: QueryOptions): object {
  const { last, preset, from, to, zone, where, limit, page, crawlers } = options
  const parameter = {
    name: type,
    by: splitLists(options.by),
    measures: splitLists(options.measure),
    steps: options.step?.map(readStep),
    kinds: options.kind,
    granularity: options.granularity,
    window: options.window,
    unit: options.unit,
    before: options.before,
    after: options.after,
    top: options.top,
    anonymousId: options.anonymousId,
    profileId: options.profileId,
    reached: options.reached,
    droppedAfter: options.droppedAfter,
    value: options.value === false ? null : options.value,
    cohort: options.cohort,
    period: options.period,
    search: options.search,
    cursor: options.cursor,
    compare: comparisonOf(options.compare),
    sortBy: options.sort,
    sortOrder: options.order,
  }
  return withoutUndefined({
    parameters: [withoutUndefined(parameter)],
    preset: last === undefined ? preset : presetOf(last),
    startDate: from,
    endDate: to,
    timeZone: zone,
    filters: where?.map(readFilter),
    limit,
    page,
    crawlers,
  })
}

/** Removes undefined fields, because the request schema rejects them. */
function withoutUndefined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

function splitLists(values: string[] | undefined): string[] | undefined {
  return values?.flatMap((value) => value.split(",")).map((value) => value.trim())
}

/** Converts `--last` to a preset of the API. Throws a UserError if the value is invalid. */
function presetOf(last: string): string {
  const [, weeks] = /^([1-9]\d{0,2})w$/.exec(last) ?? []
  if (weeks !== undefined) return `last_${7 * Number(weeks)}d`
  if (/^(?:[1-9]\d{0,3}[dh]|hour|week|month)$/.test(last)) return `last_${last}`
  throw new UserError(
    `--last must be a number of days (7d, at most 9999d), weeks (2w) or hours (24h), or "hour", "week" or "month", not ${JSON.stringify(last)}`,
    "for today, yesterday or this year use --preset; for other ranges use --from and --to",
  )
}

const comparisonNames: Partial<Record<string, string>> = {
  year: "previous_year",
  weekdays: "matching_weekdays",
}

/** Returns the value of `compare` for the API. Throws a UserError if the value is invalid. */
function comparisonOf(compare: boolean | string | undefined): string | object | undefined {
  if (typeof compare !== "string") return compare ? "previous_period" : undefined
  const [startDate, endDate, ...others] = compare.split("..")
  if (startDate && endDate && others.length === 0) return { startDate, endDate }
  const name = comparisonNames[compare]
  if (name !== undefined) return name
  throw new UserError(
    `--compare must be "year", "weekdays", or two dates such as 2026-01-01..2026-01-31, not ${JSON.stringify(compare)}`,
    "--compare without a value compares with the previous period",
  )
}

function csvOf(rows: readonly Row[]): string {
  const flat = rows.map(({ previous, ...row }) => {
    const prefixed = Object.entries((previous ?? {}) as Row).map(([name, value]) => [
      `previous.${name}`,
      value,
    ])
    return { ...row, ...Object.fromEntries(prefixed) } as Row
  })
  // Collects the columns of all rows, because a row with nothing to compare to has no `previous.` columns.
  const columns = [...new Set(flat.flatMap((row) => Object.keys(row)))]
  const lines = [columns, ...flat.map((row) => columns.map((name) => csvValue(row[name])))]
  return lines.map((line) => `${line.map(cell).join(",")}\n`).join("")
}

function csvValue(value: unknown): string | number | boolean | null {
  if (value === undefined || value === null) return null
  return typeof value === "object" ? JSON.stringify(value) : (value as string | number | boolean)
}

/** Explains values of `--last` that can be misread as "until now". */
const calendarRanges: Partial<Record<string, string>> = {
  week: ": the previous calendar week; use --last 7d for the last 7 days",
  month: ": the previous calendar month; use --last 30d for the last 30 days",
}

function printEntry(
  { data, meta }: Extract<Entry<Row[]>, { success: true }>,
  { website, zone, last }: QueryOptions,
  context: Context,
): void {
  const source =
    website === undefined ? "all events" : website === "none" ? "events without a website" : website
  const times = ({ from, to }: { from: string; to: string }) =>
    [from, to].map((time) => time.slice(0, 16).replace("T", " ")).join(" to ")
  const comparison = meta.previous ? `, compared to ${times(meta.previous)} UTC` : ""
  const zoneNote = zone === undefined ? "" : ` (days in ${shown(zone)})`
  const calendar = (last && calendarRanges[last]) ?? ""
  context.out(`${shown(source)}, ${times(meta)} UTC${comparison}${zoneNote}${calendar}\n\n`)
  if (data.length === 0) context.out("no results in this range; try --last 365d, or --from and --to\n")
  else printRows(data, context)
  const skipped = meta.movers?.skipped ?? []
  if (skipped.length > 0) {
    const fields = skipped.map(({ field, reason }) => `${shown(field)} (${reason.replaceAll("_", " ")})`)
    context.out(`\nnot compared: ${fields.join(", ")}\n`)
  }
  if (typeof meta.nextCursor === "string") context.out(`\nmore: --cursor ${meta.nextCursor}\n`)
  else if (meta.total !== undefined && meta.total > data.length) {
    context.out(`\n${data.length} of ${meta.total} rows; see more with --limit or --page\n`)
  }
}

/** Numeric columns that are not measures. */
const notMeasures = new Set(["step", "rank", "place", "period"])

/** Prints rows as a table. On a terminal, bars show the first measure. */
export function printRows(rows: readonly Row[], context: Context): void {
  const columns = Object.keys(rows[0] ?? {}).filter((name) => name !== "previous")
  const isNumber = (name: string) =>
    rows.every((row) => row[name] === null || typeof row[name] === "number") &&
    rows.some((row) => typeof row[name] === "number")
  const measure = columns.find((name) => isNumber(name) && !notMeasures.has(name))
  const headings = columns.map((name) => name.toUpperCase())
  const right = new Set(columns.flatMap((name, index) => (isNumber(name) ? [index] : [])))
  const hasPrevious = rows.some((row) => row.previous !== undefined)
  if (hasPrevious) right.add(headings.push("PREVIOUS") - 1).add(headings.push("CHANGE") - 1)
  const hasBars = context.outIsTerminal && measure !== undefined && rows.length > 1
  if (hasBars) headings.push("")
  const max = measure === undefined ? 0 : Math.max(...rows.map((row) => Number(row[measure] ?? 0)))
  const lines = rows.map((row) => {
    const cells = columns.map((name) => cellText(row[name]))
    const value = Number((measure && row[measure]) ?? 0)
    if (hasPrevious) cells.push(...changeCells(value, measure, row.previous as Row | null))
    if (hasBars) cells.push(bar(value, max))
    return cells
  })
  printTable(headings, lines, context, right)
}

function changeCells(value: number, measure: string | undefined, previous: Row | null): [string, string] {
  const before = measure === undefined ? undefined : previous?.[measure]
  if (typeof before !== "number") return ["-", "-"]
  if (before === 0) return ["0", value === 0 ? "0 %" : "new"]
  const change = ((value - before) / before) * 100
  return [cellText(before), `${change > 0 ? "+" : ""}${change.toFixed(1)} %`]
}

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

function cellText(value: unknown): string {
  if (value === null || value === undefined) return "-"
  if (typeof value === "number") return value.toLocaleString("en-US", { maximumFractionDigits: 2 })
  if (typeof value === "string") return isoTime.test(value) ? value.slice(0, 19).replace("T", " ") : value
  return JSON.stringify(value)
}

import { type Command, Option } from "commander"
import { whole } from "../config.ts"
import { cell } from "../export/csv.ts"
import { granularities } from "../query/query.ts"
import type { Entry } from "../query-api/execute.ts"
import type { Row } from "../query-api/query-spec.ts"
import { maxLimit, units } from "../query-api/schema.ts"
import { types } from "../query-api/types.ts"
import type { Context } from "../terminal/context.ts"
import { collect } from "../terminal/database.ts"
import { operatorHelp, readFilter, readStep } from "../terminal/filter.ts"
import { bar, printJson, printNumbers, shown } from "../terminal/print.ts"
import { addWhereOptions, askQuery, type Where } from "../terminal/query-client.ts"

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
  granularity?: string
  window?: string
  unit?: string
  before?: number
  after?: number
  top?: number
  anonymousId?: string
  profileId?: string
  search?: string
  cursor?: string
  limit?: number
  page?: number
  sort?: string
  order?: string
  compare?: boolean
  crawlers?: boolean
  json?: boolean
  csv?: boolean
}

const examples = `
Filters (--where, several hold together): <field> <operator> <value>, such as
  property.plan=pro  path!=/x  property.total>10  path^=/blog  path~blog  "property.plan in pro,free"
  property.plan (has a value)  !property.plan (has none)
Operators, by their sign or their name: ${operatorHelp}
Values that have commas, signs or blanks at an end go into double quotes: 'property.city in "Paris, TX",Rome'
A list can be JSON: 'property.plan in ["pro","a,b"]'; so can a whole filter: '{"field":"path","op":"eq","value":"=x"}'

Examples:
  databuddy query custom_events --last 7d --by property.plan
  databuddy query custom_events_trends --last 30d --where property.plan=pro
  databuddy query funnel --step visited --step "bought where property.total>10" --window 1d
  databuddy query events --by path --measure users --measure sum:property.total --csv`

export function addQueryCommand(root: Command, context: Context): void {
  const list = Object.entries(types).map(([name, { description }]) => `  ${name}: ${description}`)
  const command = root
    .command("query <type>")
    .description("ask about events")
    .option(
      "--last <time>",
      "7d (with today), 24h, 2w, hour; week, month: the last whole one of the calendar",
    )
    .option("--preset <name>", "today, yesterday, this_week, this_month, this_year, …")
    .option("--from <day>", "the first day, or a time")
    .option("--to <day>", "the last day, or a time that is not included")
    .option("--zone <zone>", "whose days and hours, such as Europe/Berlin (default: UTC)")
    .option("--where <filter>", "only events that fit; see below", collect)
    .option("--by <field>", "break down by a field, such as path or property.plan", collect)
    .option(
      "--measure <measure>",
      "events, users, sessions, …, or sum:property.total (avg, min, max, p50, p95)",
      collect,
    )
    .option("--step <event>", "a step: its name, or: name where <filter> and <filter>", collect)
    .addOption(new Option("--granularity <unit>", "of trends").choices(granularities))
    .option("--window <time>", "of a funnel, such as 1h or 7d")
    .addOption(new Option("--unit <who>", "who is followed").choices(units))
    .option("--before <number>", "places before an event", whole(0, 5))
    .option("--after <number>", "places after an event", whole(0, 5))
    .option("--top <number>", "values of each property key", whole(1, 1_000))
    .option("--anonymous-id <id>", "whose events")
    .option("--profile-id <id>", "whose events")
    .option("--search <text>", "people whose anonymous id has this in it")
    .option("--cursor <text>", "go on after meta.nextCursor of an earlier answer")
    .option("--limit <rows>", "at most so many rows", whole(1, maxLimit))
    .option("--page <number>", "from 1", whole(1, 100_000))
    .option("--sort <column>", "order by this column")
    .addOption(new Option("--order <order>", "of the sorting").choices(["asc", "desc"]))
    .option("--compare", "compare with the period before")
    .option("--crawlers", "count events of crawlers too")
    .addOption(new Option("--json", "print JSON").conflicts("csv"))
    .option("--csv", "print CSV")
  addWhereOptions(command)
    .addHelpText("after", `\nTypes:\n${list.join("\n")}\n${examples}`)
    .action((type: string, options: QueryOptions) => query(type, options, context))
}

async function query(type: string, options: QueryOptions, context: Context): Promise<void> {
  const [entry] = await askQuery(bodyOf(type, options), options, context)
  if (!entry) return
  if (options.json) printJson(entry, context)
  else if (options.csv) await context.outTaken(csvOf(entry.data))
  else printEntry(entry, options, context)
}

/** What the API would be sent. */
function bodyOf(type: string, options: QueryOptions): object {
  const { last, preset, from, to, zone, where, limit, page, crawlers } = options
  const parameter = {
    name: type,
    by: listed(options.by),
    measures: listed(options.measure),
    steps: options.step?.map(readStep),
    granularity: options.granularity,
    window: options.window,
    unit: options.unit,
    before: options.before,
    after: options.after,
    top: options.top,
    anonymousId: options.anonymousId,
    profileId: options.profileId,
    search: options.search,
    cursor: options.cursor,
    compare: options.compare ? "previous_period" : undefined,
    sortBy: options.sort,
    sortOrder: options.order,
  }
  return withoutUndefined({
    parameters: [withoutUndefined(parameter)],
    preset: last === undefined ? preset : `last_${lastOf(last)}`,
    startDate: from,
    endDate: to,
    timeZone: zone,
    filters: where?.map(readFilter),
    limit,
    page,
    crawlers,
  })
}

/** A schema takes no field that is there and undefined. */
function withoutUndefined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

function listed(values: string[] | undefined): string[] | undefined {
  return values?.flatMap((value) => value.split(",")).map((value) => value.trim())
}

function lastOf(text: string): string {
  const [, weeks] = /^(\d{1,3})w$/.exec(text) ?? []
  return weeks === undefined ? text : `${7 * Number(weeks)}d`
}

function csvOf(rows: readonly Row[]): string {
  const flat = rows.map(({ previous, ...row }) => {
    const before = Object.entries((previous ?? {}) as Row).map(([name, value]) => [`previous.${name}`, value])
    return { ...row, ...Object.fromEntries(before) } as Row
  })
  // The period before may have fewer dates than this one.
  const columns = [...new Set(flat.flatMap((row) => Object.keys(row)))]
  const lines = [columns, ...flat.map((row) => columns.map((name) => plain(row[name])))]
  return lines.map((line) => `${line.map(cell).join(",")}\n`).join("")
}

function plain(value: unknown): string | number | boolean | null {
  if (value === undefined || value === null) return null
  return typeof value === "object" ? JSON.stringify(value) : (value as string | number | boolean)
}

/** What `--last` takes and many read as "until now". */
const calendarRanges: Partial<Record<string, string>> = {
  week: ": the calendar week before this one; --last 7d ends now",
  month: ": the calendar month before this one; --last 30d ends now",
}

function printEntry(
  { data, meta }: Extract<Entry<Row[]>, { success: true }>,
  { website, zone, last }: QueryOptions,
  context: Context,
): void {
  const of =
    website === undefined ? "all websites and own events" : website === "none" ? "own events" : website
  const times = ({ from, to }: { from: string; to: string }) =>
    [from, to].map((time) => time.slice(0, 16).replace("T", " ")).join(" to ")
  const before = meta.previous ? `, compared with ${times(meta.previous)} UTC` : ""
  const ofZone = zone === undefined ? "" : ` (days of ${shown(zone)})`
  const calendar = (last && calendarRanges[last]) ?? ""
  context.out(`${shown(of)}, ${times(meta)} UTC${before}${ofZone}${calendar}\n\n`)
  if (data.length === 0)
    context.out("no results in this range: --last 365d or --from and --to take another one\n")
  else printRows(data, context)
  if (typeof meta.nextCursor === "string") context.out(`\nmore: --cursor ${meta.nextCursor}\n`)
  else if (meta.total !== undefined && meta.total > data.length) {
    context.out(`\n${data.length} of ${meta.total} rows: --limit and --page show others\n`)
  }
}

/** Columns of numbers that are no measure to draw. */
const noMeasures = new Set(["step", "rank", "place", "period"])

/** As a table; on a terminal the first measure is drawn as bars. */
export function printRows(rows: readonly Row[], context: Context): void {
  const columns = Object.keys(rows[0] ?? {}).filter((name) => name !== "previous")
  const isNumber = (name: string) =>
    rows.every((row) => row[name] === null || typeof row[name] === "number") &&
    rows.some((row) => typeof row[name] === "number")
  const measure = columns.find((name) => isNumber(name) && !noMeasures.has(name))
  const headings = columns.map((name) => ({ text: name, right: isNumber(name) }))
  const hasPrevious = rows.some((row) => row.previous !== undefined)
  if (hasPrevious) headings.push({ text: "before", right: true }, { text: "change", right: true })
  const isDrawn = context.outIsTerminal && measure !== undefined && rows.length > 1
  if (isDrawn) headings.push({ text: "", right: false })
  const most = measure === undefined ? 0 : Math.max(...rows.map((row) => Number(row[measure] ?? 0)))
  const lines = rows.map((row) => {
    const cells = columns.map((name) => cellOf(row[name]))
    const value = Number((measure && row[measure]) ?? 0)
    if (hasPrevious) cells.push(...changeOf(value, measure, row.previous as Row | null))
    if (isDrawn) cells.push(bar(value, most))
    return cells
  })
  printNumbers(headings, lines, context)
}

function changeOf(value: number, measure: string | undefined, previous: Row | null): [string, string] {
  const before = measure === undefined ? undefined : previous?.[measure]
  if (typeof before !== "number") return ["-", "-"]
  if (before === 0) return ["0", value === 0 ? "0 %" : "new"]
  const change = ((value - before) / before) * 100
  return [cellOf(before), `${change > 0 ? "+" : ""}${change.toFixed(1)} %`]
}

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

function cellOf(value: unknown): string {
  if (value === null || value === undefined) return "-"
  if (typeof value === "number") return value.toLocaleString("en-US", { maximumFractionDigits: 2 })
  if (typeof value === "string") return isoTime.test(value) ? value.slice(0, 19).replace("T", " ") : value
  return JSON.stringify(value)
}

import { parseDuration } from "../duration.ts"
import { RequestError } from "../errors.ts"
import { type EventKind, eventKinds } from "../event-kinds.ts"
import { type Dimension, idFields } from "../query/fields.ts"
import type { Filter, Granularity, Measure, Step, Unit } from "../query/query.ts"
import { type Comparison, type PreviousRange, previousOf } from "./comparison.ts"
import { readCursor } from "./events.ts"
import type { CountOptions, NamedMeasure, QuerySpec, QueryType, Sort } from "./query-spec.ts"
import { typeOf } from "./query-types.ts"
import { dayMs, type Range, RangeFault, readRange, tooManyBuckets } from "./range.ts"
import { changeColumns, invalidParameter } from "./rows.ts"
import {
  defaultLimit,
  optionNames,
  optionSchemas,
  orList,
  type ParameterBody,
  type QueryBody,
  type units,
} from "./schema.ts"

/** What a parser needs to know besides the body. */
export interface ParameterContext {
  /** Row IDs of websites. 0 stands for events without a website. */
  websites: readonly number[]
  /** Current time in Unix ms. */
  now: number
  /** True if the caller has the scope `read:data`, which permits access to individual events and people. */
  canReadData: boolean
}

interface ParameterInput {
  body: QueryBody
  parameter: ParameterBody
  range: Range
  zone: string
  context: ParameterContext
  /** Filters of the query, followed by those of the parameter. */
  filters: Filter[]
  steps: Step[]
}

/** Default time window of a funnel, in ms. */
const defaultWindow = 7 * dayMs
const maxWindow = 366 * dayMs
/** Default number of events shown before and after the central event of a path report. */
const defaultPathSteps = 3
/** Default number of values per property key. */
const defaultTop = 10
const defaultMeasures = ["events", "users", "sessions"]
/**
 * Maximum number of rows before the requested page. These rows are limited because they must be computed as well. Lists
 * of events have a lower limit, but support cursors.
 */
const maxOffset = 1_000_000

const unitFields: Record<(typeof units)[number], Unit> = {
  visitor: "anonymous_id",
  session: "session_id",
  profile: "profile_id",
}

/** A valid parameter, or the error of an invalid one. */
export type ParsedParameter = QuerySpec | { id: string; failure: RequestError }

/** Parses one parameter. The body of the query must already match the schema. */
export function parseParameter(input: ParameterInput): ParsedParameter {
  const id = input.parameter.id ?? input.parameter.name
  try {
    return readParameter(input)
  } catch (error) {
    if (error instanceof RangeFault) return { id, failure: invalidParameter(parameterMessage(error)) }
    if (error instanceof RequestError) return { id, failure: error }
    throw error
  }
}

function parameterMessage({ message }: RangeFault): string {
  return message.replaceAll("startDate", "start_date").replaceAll("endDate", "end_date")
}

/** Validates a parameter and fills in defaults. Throws a RequestError or a RangeFault. */
function readParameter(input: ParameterInput): QuerySpec {
  const { body, parameter, zone, context, steps } = input
  const { name } = parameter
  const type = typeOf(name)
  if (!type) throw invalidParameter(`unknown type ${name}; GET /v1/query/types lists all types`)
  validateOptions(name, type, parameter, steps.length)
  const range = parameterRange(type, input)
  const compare =
    type.alwaysCompares ||
    (type.takes.includes("compare") && (parameter.compare ?? body.compare) !== undefined)
  const granularity = granularityOf(name, type, parameter, body)
  const tooMany = granularity && tooManyBuckets(range, granularity)
  if (tooMany) throw invalidParameter(tooMany)
  const limit = parameter.limit ?? body.limit ?? defaultLimit
  const offset = ((parameter.page ?? body.page ?? 1) - 1) * limit
  if (offset > maxOffset)
    throw invalidParameter(
      `page and limit skip more than ${maxOffset} rows: add filters or choose a shorter range`,
    )
  const measures = measuresOf(name, type, parameter)
  const by = [...new Set(parameter.by ?? [])]
  const { maxBy = by.length } = type
  if (by.length > maxBy) {
    throw invalidParameter(`by must be ${maxBy === 1 ? "one field" : `at most ${maxBy} fields`} for ${name}`)
  }
  const filters = [...input.filters, ...optionFilters(parameter)]
  if (!context.canReadData)
    requireReport(name, type, by, [...filters, ...steps.flatMap((step) => step.filters)])
  // If `value` is set, the result has no column for the `by` field, because every row would have that value.
  const duplicate = parameter.value === undefined && type.columns.find((column) => isOneOf(by, column))
  if (duplicate)
    throw invalidParameter(`by contains ${duplicate}, which is already a column of ${name}: remove it`)
  return {
    type: name,
    id: parameter.id ?? name,
    scope: {
      websites: context.websites,
      from: range.from,
      to: range.to,
      zone,
      filters,
      crawlers: body.crawlers ?? false,
      kinds: kindsOf(type, parameter),
    },
    range,
    previous: compare
      ? comparedPeriod(range, zone, context.now, parameter.compare ?? body.compare)
      : undefined,
    granularity,
    by,
    measures,
    steps,
    window: readWindow(parameter.window),
    unit: unitFields[parameter.unit ?? "visitor"],
    before: parameter.before ?? defaultPathSteps,
    after: parameter.after ?? defaultPathSteps,
    top: parameter.top ?? type.defaultTop ?? defaultTop,
    limit,
    offset,
    sort: readSort(name, type, { ...body, ...parameter }, { by, measures, granularity, isCompared: compare }),
    cursor: parameter.cursor === undefined ? undefined : requireCursor(parameter.cursor),
    of: countOptions(parameter),
  }
}

function countOptions({ reached, droppedAfter, value, cohort, period }: ParameterBody): CountOptions {
  return { reached, droppedAfter, value, cohort, period }
}

/** Rejects options that are unsupported, missing or in conflict. */
function validateOptions(name: string, type: QueryType, parameter: ParameterBody, steps: number): void {
  const present = optionNames.filter((option) => parameter[option] !== undefined)
  const unsupported = present.filter((option) => !type.takes.includes(option))
  const takes = type.takes.length === 0 ? "no options" : type.takes.join(", ")
  if (unsupported.length > 0) {
    throw invalidParameter(`${name} does not take ${unsupported.join(", ")}; it takes ${takes}`)
  }
  const missing = (type.needs ?? []).filter((option) => parameter[option] === undefined)
  if (missing.length > 0) throw invalidParameter(`${name} needs ${missing.join(", ")}`)
  const [min, max] = type.steps ?? [0, 0]
  if (parameter.steps && (steps < min || steps > max)) {
    throw invalidParameter(`steps must be ${min === max ? min : `${min} to ${max}`} for ${name}`)
  }
  for (const { options, oneOf } of type.requires ?? []) {
    const dependent = options.filter((option) => parameter[option] !== undefined)
    if (dependent.length > 0 && oneOf.every((option) => parameter[option] === undefined))
      throw invalidParameter(`${name} takes ${dependent.join(", ")} only together with ${oneOf.join(" or ")}`)
  }
  if (!type.oneOf) return
  const { options, required } = type.oneOf
  const count = options.filter((option) => parameter[option] !== undefined).length
  const list = options.join(" or ")
  if (count > 1) throw invalidParameter(`${name} takes only one of ${list}`)
  if (required && count === 0) throw invalidParameter(`${name} needs ${list}`)
}

/** Throws if a parameter needs the scope `read:data`. Only called if the caller lacks this scope. */
function requireReport(
  name: string,
  { needsReadData }: QueryType,
  by: readonly Dimension[],
  filters: readonly Filter[],
): void {
  if (needsReadData)
    throw invalidParameter(`${name} returns individual events or people and needs the scope read:data`)
  const used: readonly string[] = [...by, ...filters.map(({ field }) => field)]
  if (used.includes("profile"))
    throw invalidParameter("profileId identifies a person and needs the scope read:data")
  const field = idFields.find((id) => used.includes(id))
  if (field)
    throw invalidParameter(
      `${field} identifies people; by and filters can only use it with the scope read:data`,
    )
}

/** Returns the period to compare a range with. Throws a RequestError. */
function comparedPeriod(
  range: Range,
  zone: string,
  now: number,
  comparison: Comparison | undefined,
): PreviousRange {
  try {
    return previousOf(range, zone, now, comparison)
  } catch (error) {
    if (error instanceof RangeFault) throw invalidParameter(`compare.${error.message}`)
    throw error
  }
}

function parameterRange(type: QueryType, { body, parameter, range, zone, context }: ParameterInput): Range {
  if (type.range) return type.range(zone, context.now)
  const { start_date: start, end_date: end, preset } = parameter
  if (start === undefined && end === undefined && preset === undefined) return range
  if (preset !== undefined) return readRange({ preset, startDate: start, endDate: end }, zone, context.now)
  return readRange({ startDate: start ?? body.startDate, endDate: end ?? body.endDate }, zone, context.now)
}

/** Returns the granularity, or undefined if there is none. Throws a RequestError if the type does not support it. */
function granularityOf(
  name: string,
  type: QueryType,
  parameter: ParameterBody,
  body: QueryBody,
): Granularity | undefined {
  if (!type.takes.includes("granularity")) return undefined
  const text = parameter.granularity ?? body.granularity
  if (text === undefined) return type.defaultGranularity
  const granularity = text === "hour" ? "hourly" : text === "day" ? "daily" : text
  const { granularities } = type
  if (!granularities || granularities.includes(granularity)) return granularity
  throw invalidParameter(`granularity must be ${orList(granularities)} for ${name}`)
}

/** Returns the kinds of events to read, in the order of `eventKinds`. */
function kindsOf({ kinds = ["custom"] }: QueryType, parameter: ParameterBody): readonly EventKind[] {
  const { kinds: requested } = parameter
  if (requested) return eventKinds.filter((kind) => requested.includes(kind))
  if (kinds !== "person") return kinds
  return parameter.anonymousId === undefined && parameter.profileId === undefined ? ["custom"] : eventKinds
}

/** Returns the filters for which options such as `anonymousId` are shorthand. */
function optionFilters({ anonymousId, profileId, search }: ParameterBody): Filter[] {
  const filters: Filter[] = []
  if (anonymousId !== undefined) filters.push({ field: "anonymous_id", op: "eq", value: anonymousId })
  if (profileId !== undefined) filters.push({ field: "profile", op: "eq", value: profileId })
  if (search !== undefined) filters.push({ field: "anonymous_id", op: "contains", value: search })
  return filters
}

function readSort(
  name: string,
  { order, sortsBy }: QueryType,
  { sortBy, sortOrder }: Pick<ParameterBody, "sortBy" | "sortOrder">,
  options: Pick<QuerySpec, "by" | "measures" | "granularity"> & { isCompared: boolean },
): Sort | undefined {
  if (!order) {
    if (sortBy === undefined) return undefined
    throw invalidParameter(`${name} has a fixed order and does not take sortBy`)
  }
  const { by, granularity } = options
  const others = granularity
    ? []
    : order.others.flatMap((column): readonly string[] => (column === "…" ? by : [column]))
  const typeColumns = sortsBy?.(options) ?? [...new Set([order.by, ...others])]
  const columns =
    options.isCompared && typeColumns[0] !== "date" ? [...typeColumns, ...changeColumns] : typeColumns
  const column = sortBy ?? columns[0] ?? order.by
  if (!columns.includes(column)) throw invalidParameter(`${name} can be sorted by ${columns.join(", ")}`)
  const isText = textColumns.has(column) || isOneOf(by, column)
  return { by: column, order: sortOrder ?? (column === order.by ? order.order : isText ? "asc" : "desc") }
}

function isOneOf(names: readonly string[], name: string): boolean {
  return names.includes(name)
}

/** Columns sorted in ascending order by default. */
const textColumns: ReadonlySet<string> = new Set(["name", "event_name", "date"])

function measuresOf(name: string, { oneMeasure }: QueryType, { measures }: ParameterBody): NamedMeasure[] {
  if (!oneMeasure) return (measures ?? defaultMeasures).map(readMeasure)
  const [measure = oneMeasure[0], ...others] = measures ?? []
  const [what = measure] = measure.split(":")
  if (others.length > 0 || !oneMeasure.includes(what))
    throw invalidParameter(`measures must be one of ${orList(oneMeasure)} for ${name}`)
  return [readMeasure(measure)]
}

function readMeasure(name: string): NamedMeasure {
  const [, what, of] = /^([^:]+):(.+)$/s.exec(name) ?? []
  const measure = what === undefined ? name : { what, of }
  // The type assertion is safe because the schema's pattern allows only valid measures.
  return { name, measure: measure as Measure }
}

function readWindow(text: string | undefined): number {
  if (text === undefined) return defaultWindow
  const window = parseDuration(text) ?? Number.POSITIVE_INFINITY
  if (window <= maxWindow) return window
  throw invalidParameter(`window ${optionSchemas.window.expected}`)
}

function requireCursor(text: string): { ts: number; id: number } {
  const cursor = readCursor(text)
  if (cursor) return cursor
  throw invalidParameter("cursor must be the meta.nextCursor from an earlier result")
}

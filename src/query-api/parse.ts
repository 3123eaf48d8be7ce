import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler"
import { parseDuration } from "../duration.ts"
import { type FieldError, RequestError } from "../errors.ts"
import { fieldErrors, invalidShape } from "../http/validation.ts"
import { type OperatorInfo, operators } from "../query/operators.ts"
import {
  type Dimension,
  type Filter,
  type Granularity,
  idFields,
  type Measure,
  type Property,
  type Step,
  type Unit,
} from "../query/query.ts"
import { isTimeZone } from "../query/structures/tzdata.ts"
import { readCursor } from "./events.ts"
import { minCells, type QueryLimits, tooManyCells } from "./limits.ts"
import type { NamedMeasure, QuerySpec, QueryType, Sort } from "./query-spec.ts"
import { typeOf } from "./query-types.ts"
import { previousOf, type Range, RangeFault, readRange, tooManyBuckets } from "./range.ts"
import { invalidParameter } from "./rows.ts"
import {
  defaultLimit,
  type FilterBody,
  maxBatch,
  type Option,
  optionSchemas,
  orList,
  type ParameterBody,
  type QueryBody,
  querySchema,
  type StepBody,
} from "./schema.ts"

/** A parsed query. An invalid parameter is replaced by its error. */
export interface ParsedQuery {
  id: string | undefined
  parameters: (QuerySpec | { id: string; failure: RequestError })[]
  page: number
  limit: number
  /** Number of filters. */
  filters: number
}

/** Context of a query outside its body. */
export interface ParseOptions {
  /** Row ids; 0 stands for events without a website. */
  websites: readonly number[]
  /** Default time zone. */
  zone: string
  /** Unix ms */
  now: number
  /** The caller has the scope read:data: single events and people are allowed. */
  canReadData: boolean
  limits: QueryLimits
}

const checkQuery = TypeCompiler.Compile(querySchema)

const day = 86_400_000
const defaultWindow = 7 * day
const maxWindow = 366 * day
const defaultPathSteps = 3
const defaultTop = 10
const defaultMeasures = ["events", "users", "sessions"]
/** Maximum offset of a page; beyond it, use cursors. */
const maxOffset = 1_000_000

const unitFields: Record<"visitor" | "session" | "profile", Unit> = {
  visitor: "anonymous_id",
  session: "session_id",
  profile: "profile_id",
}

/** Replacements for messages of TypeBox. */
const typeBoxMessages: Record<string, string> = {
  "Unexpected property": "is not a field of this request",
  "Expected object": "must be a JSON object",
}

/**
 * Parses a query or a batch of queries. Throws `invalid_shape` with all invalid fields; a parameter that only its type rejects fails
 * alone. Yields after each parameter, which takes up to 1 ms.
 */
export function* parseQueries(
  value: unknown,
  options: ParseOptions,
): Generator<void, { isBatch: boolean; queries: ParsedQuery[] }> {
  limitParameters(value, options.limits.parameters)
  if (!Array.isArray(value)) {
    return {
      isBatch: false,
      queries: limitCells([yield* readQuery(value, options, "")], options.limits.cells),
    }
  }
  if (value.length === 0 || value.length > maxBatch) {
    throw invalidShape([{ field: "", message: `must be one query, or a list of 1 to ${maxBatch}` }])
  }
  const errors: FieldError[] = []
  const queries: ParsedQuery[] = []
  for (const [index, body] of value.entries()) {
    try {
      queries.push(yield* readQuery(body, options, `${index}.`))
    } catch (error) {
      if (!(error instanceof RequestError) || !error.fields) throw error
      errors.push(...error.fields)
    }
  }
  if (errors.length > 0) throw invalidShape(errors)
  return { isBatch: true, queries: limitCells(queries, options.limits.cells) }
}

/** Limits the parameters before validation, which takes about 20 µs per parameter. */
function limitParameters(value: unknown, max: number): void {
  const countOf = (query: unknown) => {
    const { parameters } = (query ?? {}) as { parameters?: unknown }
    return Array.isArray(parameters) ? parameters.length : 0
  }
  const count = [value].flat().reduce((sum: number, query) => sum + countOf(query), 0)
  if (count <= max) return
  throw invalidShape([
    {
      field: Array.isArray(value) ? "" : "parameters",
      message: `has ${count} parameters, but this caller can send at most ${max} per request: use several requests`,
    },
  ])
}

/** Rejects parameters that would exceed the values of a request together with earlier ones, before any query runs. */
function limitCells(queries: ParsedQuery[], max: number): ParsedQuery[] {
  let cells = 0
  return queries.map((query) => ({
    ...query,
    parameters: query.parameters.map((parameter) => {
      const min = "failure" in parameter ? 0 : minCells(parameter)
      if (cells + min > max) return { id: parameter.id, failure: tooManyCells(max - cells) }
      cells += min
      return parameter
    }),
  }))
}

/** Maximum characters of an invalid value that its error repeats. */
const maxQuoted = 60

/** Errors of the schema, with `prefix` before the field names. */
function shapeErrors(check: TypeCheck<typeof querySchema>, value: unknown, prefix: string): FieldError[] {
  return fieldErrors(check, value).map(({ field, message }) => {
    const actual = field.split(".").reduce((object: unknown, key) => Object(object)[key], value)
    const isWord = typeof actual === "string" && actual.length <= maxQuoted
    return {
      field: field === "" ? prefix.slice(0, -1) : `${prefix}${field}`,
      message: `${typeBoxMessages[message] ?? message}${isWord ? `, not ${JSON.stringify(actual)}` : ""}`,
    }
  })
}

function* readQuery(value: unknown, options: ParseOptions, prefix: string): Generator<void, ParsedQuery> {
  if (!checkQuery.Check(value)) throw invalidShape(shapeErrors(checkQuery, value, prefix))
  const body: QueryBody = value
  const errors: FieldError[] = []
  const zone = body.timeZone ?? options.zone
  if (!isTimeZone(zone))
    errors.push({ field: `${prefix}timeZone`, message: "must be a time zone, such as Europe/Berlin" })
  const filters = readFilters(body.filters, `${prefix}filters`, errors)
  const parameters = body.parameters.map((parameter) =>
    typeof parameter === "string" ? { name: parameter } : parameter,
  )
  const parsedFilters = parameters.map((parameter, index) => {
    const field = `${prefix}parameters.${index}`
    return {
      filters: readFilters(parameter.filters, `${field}.filters`, errors),
      steps: (parameter.steps ?? []).map((step, stepIndex) =>
        readStep(step, `${field}.steps.${stepIndex}.filters`, errors),
      ),
    }
  })
  const range = errors.length === 0 ? queryRange(body, zone, options.now, prefix, errors) : undefined
  if (errors.length > 0 || range === undefined) throw invalidShape(errors)
  const parsed: ParsedQuery["parameters"] = []
  for (const [index, parameter] of parameters.entries()) {
    const { filters: ownFilters = [], steps = [] } = parsedFilters[index] ?? {}
    parsed.push(
      parseParameter({ body, parameter, range, zone, options, filters: [...filters, ...ownFilters], steps }),
    )
    yield
  }
  return {
    id: body.id,
    page: body.page ?? 1,
    limit: body.limit ?? defaultLimit,
    filters: filters.length,
    parameters: parsed,
  }
}

function parseParameter(input: ParameterInput): ParsedQuery["parameters"][number] {
  const id = input.parameter.id ?? input.parameter.name
  try {
    return readParameter(input)
  } catch (error) {
    if (error instanceof RangeFault) return { id, failure: invalidParameter(parameterMessage(error)) }
    if (error instanceof RequestError) return { id, failure: error }
    throw error
  }
}

function queryRange(
  body: QueryBody,
  zone: string,
  now: number,
  prefix: string,
  errors: FieldError[],
): Range | undefined {
  try {
    return readRange(body, zone, now)
  } catch (error) {
    if (!(error instanceof RangeFault)) throw error
    errors.push({ field: `${prefix}${error.field}`, message: error.requirement })
    return undefined
  }
}

function parameterMessage({ message }: RangeFault): string {
  return message.replaceAll("startDate", "start_date").replaceAll("endDate", "end_date")
}

interface ParameterInput {
  body: QueryBody
  parameter: ParameterBody
  /** Range of the query. */
  range: Range
  zone: string
  options: ParseOptions
  filters: Filter[]
  steps: Step[]
}

/** Throws a RequestError or a RangeFault. */
function readParameter(input: ParameterInput): QuerySpec {
  const { body, parameter, zone, options, steps } = input
  const { name } = parameter
  const type = typeOf(name)
  if (!type) throw invalidParameter(`unknown type ${name}; GET /v1/query/types lists all types`)
  validateOptions(name, type, parameter, steps.length)
  const range = parameterRange(input)
  const compare = type.takes.includes("compare") && (parameter.compare ?? body.compare) !== undefined
  const granularity = granularityOf(name, type, parameter, body)
  const tooMany = granularity && tooManyBuckets(range, granularity)
  if (tooMany) throw invalidParameter(tooMany)
  const limit = parameter.limit ?? body.limit ?? defaultLimit
  const offset = ((parameter.page ?? body.page ?? 1) - 1) * limit
  if (offset > maxOffset) throw invalidParameter(`page and limit skip more than ${maxOffset} rows`)
  const measures = (parameter.measures ?? defaultMeasures).map(readMeasure)
  const by = [...new Set(parameter.by ?? [])] as Dimension[]
  const { maxBy = by.length } = type
  if (by.length > maxBy) {
    throw invalidParameter(`by must be ${maxBy === 1 ? "one field" : `at most ${maxBy} fields`} for ${name}`)
  }
  const filters = [...input.filters, ...optionFilters(parameter)]
  if (!options.canReadData)
    requireReport(name, type, by, [...filters, ...steps.flatMap((step) => step.filters)])
  const duplicate = type.columns.find((column) => by.includes(column as Dimension))
  if (duplicate) throw invalidParameter(`by contains ${duplicate}, which is already a column of ${name}`)
  return {
    type: name,
    id: parameter.id ?? name,
    scope: {
      websites: options.websites,
      from: range.from,
      to: range.to,
      zone,
      filters,
      crawlers: body.crawlers ?? false,
    },
    range,
    previous: compare ? previousOf(range, zone, options.now) : undefined,
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
    sort: readSort(name, type, { ...body, ...parameter }, { by, measures, granularity }),
    cursor: parameter.cursor === undefined ? undefined : requireCursor(parameter.cursor),
  }
}

/** Rejects options that the type does not support, and missing or conflicting options. */
function validateOptions(name: string, type: QueryType, parameter: ParameterBody, steps: number): void {
  const present = (Object.keys(optionSchemas) as Option[]).filter((option) => parameter[option] !== undefined)
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
  if (!type.oneOf) return
  const { options, required } = type.oneOf
  const count = options.filter((option) => parameter[option] !== undefined).length
  const list = options.join(" or ")
  if (count > 1) throw invalidParameter(`${name} takes only one of ${list}`)
  if (required && count === 0) throw invalidParameter(`${name} needs ${list}`)
}

/** Rejects parameters that need the scope read:data. */
function requireReport(
  name: string,
  { needsReadData }: QueryType,
  by: readonly Dimension[],
  filters: readonly Filter[],
): void {
  if (needsReadData)
    throw invalidParameter(`${name} returns single events or people and needs the scope read:data`)
  const used: readonly string[] = [...by, ...filters.map(({ field }) => field)]
  if (used.includes("profile"))
    throw invalidParameter("profileId identifies a person and needs the scope read:data")
  const field = idFields.find((id) => used.includes(id))
  if (field)
    throw invalidParameter(`${field} identifies people; using it in by or filters needs the scope read:data`)
}

function parameterRange({ body, parameter, range, zone, options }: ParameterInput): Range {
  const { start_date: start, end_date: end, preset } = parameter
  if (start === undefined && end === undefined && preset === undefined) return range
  if (preset !== undefined) return readRange({ preset, startDate: start, endDate: end }, zone, options.now)
  return readRange({ startDate: start ?? body.startDate, endDate: end ?? body.endDate }, zone, options.now)
}

/** The granularity of the query applies only to types that have one. */
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

/** Filters that options stand for. */
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
  options: Pick<QuerySpec, "by" | "measures" | "granularity">,
): Sort | undefined {
  if (!order) {
    if (sortBy === undefined) return undefined
    throw invalidParameter(`${name} has a fixed order and takes no sortBy`)
  }
  const { by, granularity } = options
  const others = granularity
    ? []
    : order.others.flatMap((column): readonly string[] => (column === "…" ? by : [column]))
  const columns = sortsBy?.(options) ?? [...new Set([order.by, ...others])]
  const column = sortBy ?? columns[0] ?? order.by
  if (!columns.includes(column)) throw invalidParameter(`${name} can be sorted by ${columns.join(", ")}`)
  const isText = textColumns.has(column) || by.includes(column as Dimension)
  return { by: column, order: sortOrder ?? (column === order.by ? order.order : isText ? "asc" : "desc") }
}

/** Columns that sort ascending by default. */
const textColumns: ReadonlySet<string> = new Set(["name", "event_name", "date"])

function readMeasure(name: string): NamedMeasure {
  const [, what, of] = /^([^:]+):(.+)$/s.exec(name) ?? []
  const measure = what === undefined ? name : { what, of: of as Property }
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
  throw invalidParameter("cursor must be meta.nextCursor of an earlier result")
}

function readStep(step: string | StepBody, field: string, errors: FieldError[]): Step {
  if (typeof step === "string") return { name: step, filters: [] }
  return { name: step.name, filters: readFilters(step.filters, field, errors) }
}

function readFilters(filters: FilterBody[] | undefined, field: string, errors: FieldError[]): Filter[] {
  return (filters ?? []).map((filter, index) => {
    const message = operandError(filter)
    if (message) errors.push({ field: `${field}.${index}.value`, message })
    return filter as Filter
  })
}

/** Error of a filter's value for its operator; undefined if it is valid. */
function operandError({ op, value }: FilterBody): string | undefined {
  const { expected, isValid } = operandTypes[operators[op].operandType]
  return isValid(value) ? undefined : `must be ${expected} for ${op}`
}

const operandTypes: Record<
  OperatorInfo["operandType"],
  { expected: string; isValid: (value: FilterBody["value"]) => boolean }
> = {
  text: { expected: "one value", isValid: (value) => !Array.isArray(value) },
  number: { expected: "a number", isValid: (value) => typeof value === "number" },
  list: { expected: "a list", isValid: (value) => Array.isArray(value) },
  boolean: { expected: "true or false", isValid: (value) => typeof value === "boolean" },
}

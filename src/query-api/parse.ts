import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler"
import { durationOf } from "../duration.ts"
import { type FieldError, RequestError } from "../errors.ts"
import { fieldErrors, invalid } from "../http/validation.ts"
import { type OperatorInfo, operators } from "../query/operators.ts"
import {
  type Dimension,
  type Filter,
  type Granularity,
  type Measure,
  type Property,
  personFields,
  type Step,
  type Unit,
} from "../query/query.ts"
import { isZone } from "../query/structures/tzdata.ts"
import { readCursor } from "./events.ts"
import { leastCells, type QueryLimits, tooManyCells } from "./limits.ts"
import type { NamedMeasure, QuerySpec, QueryType, Sort } from "./query-spec.ts"
import { previousOf, type Range, RangeFault, readRange, tooManyBuckets } from "./range.ts"
import { wrong } from "./rows.ts"
import {
  defaultLimit,
  type FilterBody,
  maxBatch,
  type Option,
  optionSchemas,
  type ParameterBody,
  type QueryBody,
  querySchema,
  type StepBody,
} from "./schema.ts"
import { typeOf } from "./types.ts"

/** A query that was read. What cannot be answered of it is said in its place. */
export interface ParsedQuery {
  id: string | undefined
  parameters: (QuerySpec | { id: string; failure: RequestError })[]
  page: number
  limit: number
  /** How many. */
  filters: number
}

/** What a query is about besides what it says itself. */
export interface About {
  /** Rids; 0: the owner's own events. */
  websites: readonly number[]
  /** Of queries that name none. */
  zone: string
  /** Unix ms */
  now: number
  /** Single events and people may be asked for too. */
  withSingles: boolean
  limits: QueryLimits
}

const checkQuery = TypeCompiler.Compile(querySchema)

const day = 86_400_000
const defaultWindow = 7 * day
const maxWindow = 366 * day
const defaultPlaces = 3
const defaultTop = 10
const defaultMeasures = ["events", "users", "sessions"]
/** Rows that an engine passes over to get to a page: beyond it, cursors lead on. */
const maxOffset = 1_000_000

const unitFields: Record<"visitor" | "session" | "profile", Unit> = {
  visitor: "anonymous_id",
  session: "session_id",
  profile: "profile_id",
}

/** What TypeBox says where a schema has no words of its own. */
const wording: Record<string, string> = {
  "Unexpected property": "is not a field of this request",
  "Expected object": "must be a JSON object",
}

/**
 * One query, or several. Throws `invalid_shape` with each bad field named; what is wrong with a parameter for its type
 * alone fails that parameter. A step is a parameter, up to a millisecond of work.
 */
export function* parseQueries(
  value: unknown,
  about: About,
): Generator<void, { isBatch: boolean; queries: ParsedQuery[] }> {
  requireParameters(value, about.limits.parameters)
  if (!Array.isArray(value)) {
    return { isBatch: false, queries: withinCells([yield* readQuery(value, about, "")], about.limits.cells) }
  }
  if (value.length === 0 || value.length > maxBatch) {
    throw invalid([{ field: "", message: `must be one query, or a list of 1 to ${maxBatch}` }])
  }
  const errors: FieldError[] = []
  const queries: ParsedQuery[] = []
  for (const [index, one] of value.entries()) {
    try {
      queries.push(yield* readQuery(one, about, `${index}.`))
    } catch (error) {
      if (!(error instanceof RequestError) || !error.fields) throw error
      errors.push(...error.fields)
    }
  }
  if (errors.length > 0) throw invalid(errors)
  return { isBatch: true, queries: withinCells(queries, about.limits.cells) }
}

/** Before anything else is looked at: to check a parameter takes some 20 µs. */
function requireParameters(value: unknown, most: number): void {
  const countOf = (one: unknown) => {
    const { parameters } = (one ?? {}) as { parameters?: unknown }
    return Array.isArray(parameters) ? parameters.length : 0
  }
  const count = [value].flat().reduce((sum: number, one) => sum + countOf(one), 0)
  if (count <= most) return
  throw invalid([
    {
      field: Array.isArray(value) ? "" : "parameters",
      message: `holds ${count} parameters, and at most ${most} of this caller are answered in one request: send several`,
    },
  ])
}

/** Those that would give more values than a request gets, with those before them, fail before anything is counted. */
function withinCells(queries: ParsedQuery[], most: number): ParsedQuery[] {
  let cells = 0
  return queries.map((query) => ({
    ...query,
    parameters: query.parameters.map((one) => {
      const least = "failure" in one ? 0 : leastCells(one)
      if (cells + least > most) return { id: one.id, failure: tooManyCells(most - cells) }
      cells += least
      return one
    }),
  }))
}

/** Characters of a wrong word that its error repeats. */
const longestShown = 60

/** What its schema finds wrong, with `prefix` before the fields. */
function shapeErrors(check: TypeCheck<typeof querySchema>, value: unknown, prefix: string): FieldError[] {
  return fieldErrors(check, value).map(({ field, message }) => {
    const given = field.split(".").reduce((at: unknown, key) => Object(at)[key], value)
    const isWord = typeof given === "string" && given.length <= longestShown
    return {
      field: field === "" ? prefix.slice(0, -1) : `${prefix}${field}`,
      message: `${wording[message] ?? message}${isWord ? `, and not ${JSON.stringify(given)}` : ""}`,
    }
  })
}

function* readQuery(value: unknown, about: About, prefix: string): Generator<void, ParsedQuery> {
  if (!checkQuery.Check(value)) throw invalid(shapeErrors(checkQuery, value, prefix))
  const body: QueryBody = value
  const errors: FieldError[] = []
  const zone = body.timeZone ?? about.zone
  if (!isZone(zone))
    errors.push({ field: `${prefix}timeZone`, message: "must be a time zone, such as Europe/Berlin" })
  const filters = readFilters(body.filters, `${prefix}filters`, errors)
  const parameters = body.parameters.map((one) => (typeof one === "string" ? { name: one } : one))
  const own = parameters.map((one, index) => {
    const field = `${prefix}parameters.${index}`
    return {
      filters: readFilters(one.filters, `${field}.filters`, errors),
      steps: (one.steps ?? []).map((step, place) =>
        readStep(step, `${field}.steps.${place}.filters`, errors),
      ),
    }
  })
  const range = errors.length === 0 ? wholeRange(body, zone, about.now, prefix, errors) : undefined
  if (errors.length > 0 || range === undefined) throw invalid(errors)
  const read: ParsedQuery["parameters"] = []
  for (const [index, parameter] of parameters.entries()) {
    const { filters: further = [], steps = [] } = own[index] ?? {}
    read.push(orFailure({ body, parameter, range, zone, about, filters: [...filters, ...further], steps }))
    yield
  }
  return {
    id: body.id,
    page: body.page ?? 1,
    limit: body.limit ?? defaultLimit,
    filters: filters.length,
    parameters: read,
  }
}

function orFailure(reading: Reading): ParsedQuery["parameters"][number] {
  const id = reading.parameter.id ?? reading.parameter.name
  try {
    return readParameter(reading)
  } catch (error) {
    if (error instanceof RangeFault) return { id, failure: wrong(inParameter(error)) }
    if (error instanceof RequestError) return { id, failure: error }
    throw error
  }
}

function wholeRange(
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
    errors.push({ field: `${prefix}${error.field}`, message: error.must })
    return undefined
  }
}

function inParameter({ message }: RangeFault): string {
  return message.replaceAll("startDate", "start_date").replaceAll("endDate", "end_date")
}

interface Reading {
  body: QueryBody
  parameter: ParameterBody
  /** The query's. */
  range: Range
  zone: string
  about: About
  filters: Filter[]
  steps: Step[]
}

/** Throws a Refusal or a RangeFault. */
function readParameter(reading: Reading): QuerySpec {
  const { body, parameter, zone, about, steps } = reading
  const { name } = parameter
  const type = typeOf(name)
  if (!type) throw wrong(`there is no type ${name}: GET /v1/query/types lists them`)
  requireFit(name, type, parameter, steps.length)
  const range = ownRange(reading)
  const compare = type.takes.includes("compare") && (parameter.compare ?? body.compare) !== undefined
  const granularity = granularityOf(type, parameter, body)
  const tooMany = granularity && tooManyBuckets(range, granularity)
  if (tooMany) throw wrong(tooMany)
  const limit = parameter.limit ?? body.limit ?? defaultLimit
  const offset = ((parameter.page ?? body.page ?? 1) - 1) * limit
  if (offset > maxOffset) throw wrong(`page and limit pass over more than ${maxOffset} rows`)
  const measures = (parameter.measures ?? defaultMeasures).map(readMeasure)
  const by = [...new Set(parameter.by ?? [])] as Dimension[]
  if (name === "funnel" && by.length > 1) throw wrong("by must be one field for funnel")
  const filters = [...reading.filters, ...ownFilters(parameter)]
  if (!about.withSingles)
    requireReport(name, type, by, [...filters, ...steps.flatMap((step) => step.filters)])
  const taken = type.columns.find((column) => by.includes(column as Dimension))
  if (taken) throw wrong(`by names ${taken}, which is a column of ${name} anyway`)
  return {
    type: name,
    id: parameter.id ?? name,
    scope: {
      websites: about.websites,
      from: range.from,
      to: range.to,
      zone,
      filters,
      crawlers: body.crawlers ?? false,
    },
    range,
    previous: compare ? previousOf(range, zone, about.now) : undefined,
    granularity,
    by,
    measures,
    steps,
    window: readWindow(parameter.window),
    unit: unitFields[parameter.unit ?? "visitor"],
    before: parameter.before ?? defaultPlaces,
    after: parameter.after ?? defaultPlaces,
    top: parameter.top ?? type.top ?? defaultTop,
    limit,
    offset,
    sort: readSort(name, type, { ...body, ...parameter }, { by, measures, granularity }),
    cursor: parameter.cursor === undefined ? undefined : requireCursor(parameter.cursor),
  }
}

/** Throws where a parameter has what its type does not take, or lacks what it needs. */
function requireFit(name: string, type: QueryType, parameter: ParameterBody, steps: number): void {
  const given = (Object.keys(optionSchemas) as Option[]).filter((option) => parameter[option] !== undefined)
  const extra = given.filter((option) => !type.takes.includes(option))
  const takes = type.takes.length === 0 ? "nothing of its own" : type.takes.join(", ")
  if (extra.length > 0) throw wrong(`${name} does not take ${extra.join(", ")}; it takes ${takes}`)
  const missing = (type.needs ?? []).filter((option) => parameter[option] === undefined)
  if (missing.length > 0) throw wrong(`${name} needs ${missing.join(", ")}`)
  const [least, most] = type.steps ?? [0, 0]
  if (parameter.steps && (steps < least || steps > most)) {
    throw wrong(`steps must be ${least === most ? least : `${least} to ${most}`} for ${name}`)
  }
  const { anonymousId, profileId } = parameter
  if (anonymousId !== undefined && profileId !== undefined) {
    throw wrong(`${name} takes an anonymousId or a profileId, not both`)
  }
  if (name === "person" && anonymousId === undefined && profileId === undefined) {
    throw wrong("person needs an anonymousId or a profileId, one of the two")
  }
}

/** Throws where an answer would show what takes more than `read:reports`. */
function requireReport(
  name: string,
  { singles }: QueryType,
  by: readonly Dimension[],
  filters: readonly Filter[],
): void {
  if (singles) throw wrong(`${name} shows single events or people, which takes the scope read:data`)
  const named: readonly string[] = [...by, ...filters.map(({ field }) => field)]
  if (named.includes("profile")) throw wrong("profileId tells people apart: it takes the scope read:data")
  const field = personFields.find((one) => named.includes(one))
  if (field) throw wrong(`${field} tells people apart: to name it in by or filters takes the scope read:data`)
}

function ownRange({ body, parameter, range, zone, about }: Reading): Range {
  const { start_date: start, end_date: end, preset } = parameter
  if (start === undefined && end === undefined && preset === undefined) return range
  if (preset !== undefined) return readRange({ preset, startDate: start, endDate: end }, zone, about.now)
  return readRange({ startDate: start ?? body.startDate, endDate: end ?? body.endDate }, zone, about.now)
}

/** What a query says for all of its parameters is not for those that have no dates. */
function granularityOf(type: QueryType, parameter: ParameterBody, body: QueryBody): Granularity | undefined {
  if (!type.takes.includes("granularity")) return undefined
  const asked = parameter.granularity ?? body.granularity
  if (asked === undefined) return type.dated
  return asked === "hour" ? "hourly" : asked === "day" ? "daily" : asked
}

/** Filters that an option stands for. */
function ownFilters({ anonymousId, profileId, search }: ParameterBody): Filter[] {
  const filters: Filter[] = []
  if (anonymousId !== undefined) filters.push({ field: "anonymous_id", op: "eq", value: anonymousId })
  if (profileId !== undefined) filters.push({ field: "profile", op: "eq", value: profileId })
  if (search !== undefined) filters.push({ field: "anonymous_id", op: "contains", value: search })
  return filters
}

function readSort(
  name: string,
  { order, takes }: QueryType,
  { sortBy, sortOrder }: Pick<ParameterBody, "sortBy" | "sortOrder">,
  { by, measures, granularity }: Pick<QuerySpec, "by" | "measures" | "granularity">,
): Sort | undefined {
  if (!order) {
    if (sortBy === undefined) return undefined
    throw wrong(`${name} has an order of its own and takes no sortBy`)
  }
  const measured = takes.includes("measures") ? measures.map((measure) => measure.name) : []
  const asked = [...by, ...measured]
  const own = name === "events" ? { ...order, by: granularity ? "date" : (asked[by.length] ?? "") } : order
  const besides = granularity ? [] : own.besides.flatMap((one) => (one === "…" ? asked : [one]))
  const column = sortBy ?? own.by
  if (column !== own.by && !besides.includes(column)) {
    throw wrong(`${name} can be sorted by ${[...new Set([own.by, ...besides])].join(", ")}`)
  }
  const isText = column === "date" || textColumns.has(column) || by.includes(column as Dimension)
  return { by: column, order: sortOrder ?? (column === order.by ? order.order : isText ? "asc" : "desc") }
}

const textColumns: ReadonlySet<string> = new Set(["name", "event_name", "date"])

function readMeasure(name: string): NamedMeasure {
  const [, what, of] = /^([^:]+):(.+)$/s.exec(name) ?? []
  const measure = what === undefined ? name : { what, of: of as Property }
  return { name, measure: measure as Measure }
}

function readWindow(text: string | undefined): number {
  if (text === undefined) return defaultWindow
  const window = durationOf(text) ?? Number.POSITIVE_INFINITY
  if (window <= maxWindow) return window
  throw wrong(`window ${optionSchemas.window.expected}`)
}

function requireCursor(text: string): { ts: number; id: number } {
  const cursor = readCursor(text)
  if (cursor) return cursor
  throw wrong("cursor must be meta.nextCursor of an earlier answer")
}

function readStep(step: string | StepBody, field: string, errors: FieldError[]): Step {
  if (typeof step === "string") return { name: step, filters: [] }
  return { name: step.name, filters: readFilters(step.filters, field, errors) }
}

function readFilters(filters: FilterBody[] | undefined, field: string, errors: FieldError[]): Filter[] {
  return (filters ?? []).map((filter, index) => {
    const message = mistakeOf(filter)
    if (message) errors.push({ field: `${field}.${index}.value`, message })
    return filter as Filter
  })
}

/** What is wrong with a filter's value for its operator. */
function mistakeOf({ op, value }: FilterBody): string | undefined {
  const { must, fits } = operands[operators[op].takes]
  return fits(value) ? undefined : `must be ${must} for ${op}`
}

const operands: Record<
  OperatorInfo["takes"],
  { must: string; fits: (value: FilterBody["value"]) => boolean }
> = {
  text: { must: "one value", fits: (value) => !Array.isArray(value) },
  number: { must: "a number", fits: (value) => typeof value === "number" },
  list: { must: "a list", fits: (value) => Array.isArray(value) },
  boolean: { must: "true or false", fits: (value) => typeof value === "boolean" },
}

import { type FieldError, RequestError } from "../errors.ts"
import { defaultMessages, fieldErrors, invalidShape, SchemaCheck } from "../http/validation.ts"
import { isTimeZone } from "../query/structures/tzdata.ts"
import { readFilters, readStep } from "./parse-filters.ts"
import { type ParameterContext, type ParsedParameter, parseParameter } from "./parse-parameter.ts"
import { type Range, RangeFault, readRange } from "./range.ts"
import { minCells, type QueryLimits, tooManyCells } from "./result-limits.ts"
import { defaultLimit, maxBatch, type QueryBody, querySchema } from "./schema.ts"
import { type LimitedCaller, requireQueryType } from "./type-access.ts"

/** A parsed query. Invalid parameters are represented by their error. */
export interface ParsedQuery {
  id: string | undefined
  parameters: ParsedParameter[]
  page: number
  limit: number
  /** Number of filters that apply to all parameters. */
  filters: number
}

/** What the parser needs to know besides the body of the request. */
export interface ParseOptions extends ParameterContext {
  /** The time zone to use if the query names none. */
  zone: string
  limits: QueryLimits
  /**
   * The caller whose access limits the query types. Undefined on the command line, and if the server itself chose the
   * query.
   */
  caller?: LimitedCaller
}

const checkQuery = new SchemaCheck(querySchema)

/**
 * Parses a query or a batch of queries. Throws `invalid_shape`, which lists all invalid fields, or `section_missing`.
 * If a parameter only violates the rules of its query type, the other parameters still run. Yields after each parameter
 * (up to 1 ms of work).
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

/**
 * Throws if a request has more than `max` parameters. Called before they are validated, because validating a parameter
 * takes about 20 µs.
 */
function limitParameters(value: unknown, max: number): void {
  const countOf = (query: unknown) => {
    const { parameters } = Object(query)
    return Array.isArray(parameters) ? parameters.length : 0
  }
  const count = [value].flat().reduce((sum: number, query) => sum + countOf(query), 0)
  if (count <= max) return
  throw invalidShape([
    {
      field: Array.isArray(value) ? "" : "parameters",
      message: `has ${count} parameters, but this caller can send at most ${max} per request: split it into several requests`,
    },
  ])
}

/** Rejects parameters that would push a request over its maximum number of values. Called before any query runs. */
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

/** Maximum length, in characters, of an invalid value that an error repeats. */
const maxQuoted = 60

/** Returns the schema errors, with `prefix` before each field name. */
function shapeErrors(check: SchemaCheck<typeof querySchema>, value: unknown, prefix: string): FieldError[] {
  return fieldErrors(check, value).map(({ field, message }) => {
    const actual = field.split(".").reduce((object: unknown, key) => Object(object)[key], value)
    const isWord = typeof actual === "string" && actual.length <= maxQuoted
    return {
      field: field === "" ? prefix.slice(0, -1) : `${prefix}${field}`,
      message: `${defaultMessages[message] ?? message}${isWord ? `, not ${JSON.stringify(actual)}` : ""}`,
    }
  })
}

function* readQuery(value: unknown, options: ParseOptions, prefix: string): Generator<void, ParsedQuery> {
  if (!checkQuery.accepts(value)) throw invalidShape(shapeErrors(checkQuery, value, prefix))
  const body: QueryBody = value
  const errors: FieldError[] = []
  const zone = body.timeZone ?? options.zone
  if (!isTimeZone(zone))
    errors.push({ field: `${prefix}timeZone`, message: "must be a time zone, such as Europe/Berlin" })
  const filters = readFilters(body.filters, `${prefix}filters`, errors)
  const parameters = body.parameters.map((parameter) =>
    typeof parameter === "string" ? { name: parameter } : parameter,
  )
  for (const { name } of parameters) if (options.caller) requireQueryType(options.caller, name)
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
    const spec = parseParameter({
      body,
      parameter,
      range,
      zone,
      context: options,
      filters: [...filters, ...ownFilters],
      steps,
    })
    if (options.caller && !("failure" in spec)) requireQueryType(options.caller, spec.type, spec.scope.kinds)
    parsed.push(spec)
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

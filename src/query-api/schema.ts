import { type Static, type TSchema, Type } from "@sinclair/typebox"
import { eventKinds } from "../event-kinds.ts"
import { strict } from "../http/schema.ts"
import { type Dimension, fields } from "../query/fields.ts"
import { type OperatorInfo, operatorNames, operators } from "../query/operators.ts"
import { countMeasures, granularities, propertyMeasures } from "../query/query.ts"
import { type Comparison, comparisons } from "./comparison.ts"
import { type Preset, presets } from "./range.ts"

/** Default and maximum number of rows in a result. */
export const defaultLimit = 100
export const maxLimit = 10_000
/** Maximum number of parameters in a query, and of queries in a batch. Queries run one after another. */
const maxParameters = 50
export const maxBatch = 20
/** Maximum number of steps in a funnel. */
export const maxSteps = 10
/** Maximum number of filters, far more than anyone would combine by hand. Each filter is tested on every event. */
const maxFilters = 50
/** Maximum length of a path, in characters. */
const maxPath = 2_048
/**
 * Maximum length of a filter value, in characters. No value is longer, because an event's properties take up at most 32
 * KiB.
 */
const maxText = 32_768

export const units = ["visitor", "session", "profile"] as const

// `expected` is a schema's error message.

export function oneOf<const Values extends readonly string[]>(values: Values, description: string) {
  // The type assertion is needed because Type.Union loses the literal types of a mapped list.
  return Type.Union(
    values.map((value) => Type.Literal(value)),
    { description, expected: `must be ${orList(values)}` },
  ) as unknown as TSchema & { static: Values[number]; expected: string }
}

/** Formats a list as `a, b or c`. */
export function orList(values: readonly string[]): string {
  return `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`
}

/** Formats a list as `a, b and c`. */
function andList(values: readonly string[]): string {
  return `${values.slice(0, -1).join(", ")} and ${values.at(-1)}`
}

const operatorsOf = (what: OperatorInfo["operandType"]) =>
  operatorNames.filter((op) => operators[op].operandType === what)
const numeric = operatorsOf("number")

const text = (description: string, max = 256) =>
  Type.String({
    minLength: 1,
    maxLength: max,
    description,
    expected: `must be a string of 1 to ${max} characters`,
  })

/** Pattern of a field that is a property. The key can be empty. */
const property = "property\\.[^]{0,512}"
const anyField = `${orList(fields)}, or property.<path> such as property.plan`

const dimension = Type.Unsafe<Dimension>(
  Type.String({
    pattern: `^(?:${fields.join("|")}|${property})$`,
    expected: `must be ${anyField}`,
  }),
)

const scalar = Type.Union([Type.String({ maxLength: maxText }), Type.Number(), Type.Boolean()])
const filter = Type.Object(
  {
    field: Type.Unsafe<Dimension | "property_key">(
      Type.String({
        pattern: `^(?:${fields.join("|")}|property_key|${property})$`,
        description: `${anyField}. A nested value is written as property.cart.total, and an element of an array as property.items.0.sku. property_key matches the keys of an event's properties`,
        expected: `must be ${fields.join(", ")}, property_key or property.<path> such as property.plan`,
      }),
    ),
    op: oneOf(
      operatorNames,
      `${andList(numeric)} compare numbers (the text 19.90 counts as a number, 01129 does not). All other operators compare text. ${andList(operatorNames.filter((op) => operators[op].isNegation))} also match if the value is missing. exists takes true or false`,
    ),
    value: Type.Union([scalar, Type.Array(scalar, { minItems: 1, maxItems: 1_000 })], {
      description: `A list for ${andList(operatorsOf("list"))}, a number for ${andList(numeric)}`,
      expected:
        "must be a string of at most 32768 characters, a number, true, false, or a list of 1 to 1000 of them",
    }),
  },
  strict,
)

const filters = (description: string) =>
  Type.Array(filter, {
    maxItems: maxFilters,
    description,
    expected: `must be a list of at most ${maxFilters} filters {field, op, value}`,
  })

const step = Type.Object(
  {
    name: Type.Optional(
      text("Name of a custom event. Without `name` and `page`, the step matches any event"),
    ),
    page: Type.Optional(
      text("Path of a page view, such as /pricing, instead of `name`. Each `*` matches any text", maxPath),
    ),
    filters: Type.Optional(filters("Filters that the event has to match")),
  },
  strict,
)

const date = (description: string) =>
  Type.String({
    pattern: "^\\d{4}-\\d\\d-\\d\\d(?:T\\d\\d:\\d\\d(?::\\d\\d(?:\\.\\d{1,3})?)?(?:Z|[+-]\\d\\d:\\d\\d)?)?$",
    description,
    expected: "must be a day such as 2026-11-24, or a time such as 2026-11-24T13:30:00Z",
  })

const preset = Type.Unsafe<Preset>(
  Type.String({
    pattern: `^(?:${presets.join("|")}|last_[1-9]\\d{0,3}[dh])$`,
    description: `${presets.join(", ")}; any number works for days (last_60d, including today) and hours (last_6h). Weeks start on Monday`,
    expected: `must be ${orList(presets)}`,
  }),
)

const granularity = oneOf(
  [...granularities, "hour", "day"],
  "Length of the intervals in a trend. minute allows at most 10,000 intervals. hour and day are the same as hourly and daily",
)

const limit = Type.Integer({
  minimum: 1,
  maximum: maxLimit,
  description: `Maximum number of rows. Trends always include all dates. Default ${defaultLimit}`,
  expected: `must be a whole number from 1 to ${maxLimit}`,
})
const page = Type.Integer({
  minimum: 1,
  maximum: 100_000,
  description: "Page number, starting at 1",
  expected: "must be a whole number from 1 to 100000",
})
const sortBy = text(
  "A column of the result. With `compare`, also `change` (the change in the default sort column, relative to the previous period) and `weighted_change` (the same change, weighted by the size of the values)",
)
const sortOrder = oneOf(["asc", "desc"], "Default desc; asc for text and dates")
const compare = Type.Unsafe<Comparison>(
  Type.Union(
    [
      ...comparisons.map((comparison) => Type.Literal(comparison)),
      Type.Object(
        { startDate: date("First day, or start time"), endDate: date("Last day, or end time") },
        strict,
      ),
    ],
    {
      description:
        "Adds `previous` to each row, with the row's measures in another period. previous_period: the period of the same length before the range, or the same number of calendar months if the range consists of calendar months. previous_year: the same dates a year earlier. matching_weekdays: the latest period before the range that starts on the same weekday. `startDate` and `endDate` select any other period. If the range has not ended yet, the previous period ends at the same point: at 10:15, today is compared with yesterday up to 10:15. Minutes, hours and days are matched by local date and time, even across clock changes. `previous` is null for dates without a counterpart in the previous period. Rows that occur only in the previous period are also included; their own measures have the values for no events, such as 0 for a count",
      expected: `must be ${comparisons.join(", ")} or {startDate, endDate}`,
    },
  ),
)
const pathSteps = (description: string) =>
  Type.Integer({ minimum: 0, maximum: 5, description, expected: "must be a whole number from 0 to 5" })

const stepNumber = (description: string) =>
  Type.Integer({
    minimum: 1,
    maximum: maxSteps,
    description,
    expected: `must be a whole number from 1 to ${maxSteps}`,
  })

/** Options of query types besides range and filters. */
export const optionSchemas = {
  granularity,
  by: Type.Array(dimension, {
    minItems: 1,
    maxItems: 3,
    description: `Fields to break down by: ${anyField}`,
    expected: "must be a list of 1 to 3 fields such as event_name, path or property.plan",
  }),
  measures: Type.Array(
    Type.String({
      pattern: `^(?:${countMeasures.join("|")}|(?:${propertyMeasures.join("|")}):${property})$`,
      expected: `must be ${orList(countMeasures)}, or ${orList(propertyMeasures)} of a property, such as sum:property.amount`,
    }),
    {
      minItems: 1,
      maxItems: 10,
      description: `${countMeasures.join(", ")}; ${propertyMeasures.join(", ")} of a numeric property, such as sum:property.amount`,
      expected: "must be a list of 1 to 10 measures",
    },
  ),
  steps: Type.Array(
    Type.Union([text("Name of a custom event"), step], {
      expected: "must be the name of an event, {name, filters} or {page, filters}",
    }),
    {
      minItems: 1,
      maxItems: maxSteps,
      description: "Custom events and page views, each a name, {name, filters} or {page, filters}",
      expected: `must be a list of 1 to ${maxSteps} events, each a name, {name, filters} or {page, filters}`,
    },
  ),
  kinds: Type.Array(oneOf(eventKinds, "Kind of event"), {
    minItems: 1,
    maxItems: eventKinds.length,
    description:
      "Only events of these kinds. Default: custom, or all kinds if anonymousId or profileId is set",
    expected: `must be a list in which each item is ${orList(eventKinds)}`,
  }),
  window: Type.String({
    pattern: "^[1-9]\\d{0,8}[smhdw]$",
    description:
      "Maximum time between the first and the last step of a funnel, such as 1h or 14d. Default 7d, maximum 366d",
    expected: "must be a duration such as 30m, 1h or 14d, at most 366d",
  }),
  unit: oneOf(units, "What to count. Default visitor"),
  before: pathSteps("Number of events to show before the event that the paths are built around. Default 3"),
  after: pathSteps("Number of events to show after the event that the paths are built around. Default 3"),
  top: Type.Integer({
    minimum: 1,
    maximum: 1_000,
    description:
      "Maximum number of values per property key (default 10), or of bins for numbers (default 20)",
    expected: "must be a whole number from 1 to 1000",
  }),
  anonymousId: text("Only events of this visitor"),
  profileId: text(
    "Only events of this profile: events with its ID, and events that have no profile ID but whose anonymous ID was linked to it by /identify",
  ),
  reached: stepNumber(
    "Only people who reached this step of the funnel defined by `steps` (1 is the first step)",
  ),
  droppedAfter: stepNumber(
    "Only people who reached this step of the funnel defined by `steps` but no later step",
  ),
  value: Type.Union([Type.String({ maxLength: maxText }), Type.Null()], {
    description:
      "Only people that the funnel counts under this value of `by`. null selects people without a value",
    expected: `must be a string of at most ${maxText} characters, or null`,
  }),
  cohort: date(
    "Only people in one cohort of the retention report for `steps`: the cohort whose `date` is this value",
  ),
  period: Type.Integer({
    minimum: 0,
    maximum: 100_000,
    description: "Only people who returned this many periods after the first event",
    expected: "must be a whole number from 0 to 100000",
  }),
  search: text("Text that the anonymous ID must contain"),
  cursor: text("`meta.nextCursor` from an earlier result, to get the next page"),
  compare,
}

export type Option = keyof typeof optionSchemas

/** Names of the options. The type assertion is needed because Object.keys loses the types of the keys. */
export const optionNames = Object.keys(optionSchemas) as Option[]

const id = text("Name of the parameter in the response")

export const parameterSchema = Type.Object(
  {
    name: text("A query type; GET /v1/query/types lists them"),
    ...Type.Partial(
      Type.Object({
        id,
        start_date: date("startDate for this parameter only"),
        end_date: date("endDate for this parameter only"),
        preset,
        filters: filters("Applied in addition to the filters of the query"),
        limit,
        page,
        sortBy,
        sortOrder,
        ...optionSchemas,
      }),
    ).properties,
  },
  strict,
)

/** A query: a list of parameters, each of which requests one report, over one time range of a website's events. */
export const querySchema = Type.Object(
  {
    parameters: Type.Array(
      Type.Union([text("The name of a type"), parameterSchema], {
        expected: "must be the name of a type, or an object with a name",
      }),
      {
        minItems: 1,
        maxItems: maxParameters,
        description: "Query types, each as a name or as an object",
        expected: `must be a list of 1 to ${maxParameters} types, each a name or an object with a name`,
      },
    ),
    ...Type.Partial(
      Type.Object({
        startDate: date("First day, or start time"),
        endDate: date("Last day (inclusive), or end time (exclusive). Default: today"),
        preset,
        timeZone: text("IANA time zone for days, weeks and hours, such as Europe/Berlin. Default UTC"),
        filters: filters("Only events that match all filters"),
        granularity,
        limit,
        page,
        sortBy,
        sortOrder,
        compare,
        crawlers: Type.Boolean({
          description: "Include events from crawlers",
          expected: "must be true or false",
        }),
        id,
      }),
    ).properties,
  },
  strict,
)

/** The query string of POST /v1/query. */
export const queryStringSchema = Type.Object({
  website_id: Type.String({
    description:
      "The website. `none` selects events without a website, `all` everything that the key can read",
  }),
  timezone: Type.Optional(Type.String({ description: "The time zone of queries without `timeZone`" })),
})

export const streamStringSchema = Type.Object({
  website_id: queryStringSchema.properties.website_id,
  name: Type.Optional(Type.String({ description: "Only events with this name; can be repeated" })),
  crawlers: Type.Optional(
    Type.String({ enum: ["true", "false"], description: "true: include events from crawlers" }),
  ),
})

export type QueryBody = Static<typeof querySchema>
export type ParameterBody = Static<typeof parameterSchema>
export type FilterBody = Static<typeof filter>
export type StepBody = Static<typeof step>

import { type Static, type TSchema, Type } from "@sinclair/typebox"
import { type OperatorInfo, operatorNames, operators } from "../query/operators.ts"
import { countMeasures, fields, granularities, propertyMeasures } from "../query/query.ts"
import { type Preset, presets } from "./range.ts"

/** Rows of an answer where nobody says, and the most that can be asked for. */
export const defaultLimit = 100
export const maxLimit = 10_000
/** Questions of one request: they are answered one after another, and nobody waits for more. */
export const maxParameters = 50
export const maxBatch = 20
/** Events of a funnel. */
export const maxSteps = 10
/** Far more than a person combines by hand; each is looked at for every event. */
const maxFilters = 50
/** Characters of what events are compared with: the longest value that an event can have is shorter. */
const maxText = 4_096

export const units = ["visitor", "session", "profile"] as const

// In each schema, `expected` is what the error says the field must be.

const strict = { additionalProperties: false }

function oneOf<const Values extends readonly string[]>(values: Values, description: string) {
  // Of a list that is mapped, Type.Union forgets which literals there are.
  return Type.Union(
    values.map((value) => Type.Literal(value)),
    { description, expected: `must be ${listed(values)}` },
  ) as unknown as TSchema & { static: Values[number]; expected: string }
}

function listed(values: readonly string[]): string {
  return `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`
}

function all(values: readonly string[]): string {
  return `${values.slice(0, -1).join(", ")} and ${values.at(-1)}`
}

const taking = (what: OperatorInfo["takes"]) => operatorNames.filter((op) => operators[op].takes === what)
const numeric = taking("number")

const text = (description: string, most = 256) =>
  Type.String({
    minLength: 1,
    maxLength: most,
    description,
    expected: `must be a string of 1 to ${most} characters`,
  })

const property = "property\\.[^]{1,512}"
const anyField = `${listed(fields)}, or property.<path> such as property.plan`

const dimension = Type.String({
  pattern: `^(?:${fields.join("|")}|${property})$`,
  expected: `must be ${anyField}`,
})

const scalar = Type.Union([Type.String({ maxLength: maxText }), Type.Number(), Type.Boolean()])
const filter = Type.Object(
  {
    field: Type.String({
      pattern: `^(?:${fields.join("|")}|property_key|${property})$`,
      description: `${anyField}; nested as property.cart.total, in arrays as property.items.0.sku. property_key: the keys of the event's properties`,
      expected: `must be ${fields.join(", ")}, property_key or property.<path> such as property.plan`,
    }),
    op: oneOf(
      operatorNames,
      `${all(numeric)} compare numbers (text such as 19.90 is one, 01129 is none), all others text. ${all(operatorNames.filter((op) => operators[op].isNegation))} are true where the value is missing. exists takes true or false`,
    ),
    value: Type.Union([scalar, Type.Array(scalar, { minItems: 1, maxItems: 1_000 })], {
      description: `A list for ${all(taking("list"))}, a number for ${all(numeric)}`,
      expected:
        "must be a string of at most 4096 characters, a number, true, false, or a list of 1 to 1000 of them",
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
    name: Type.Optional(text("Of the event; left out: any event")),
    filters: Type.Optional(filters("What the event must be besides")),
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
    description: `${presets.join(", ")}; any number of days (last_60d, with today) or hours (last_6h). Weeks begin on Monday`,
    expected: `must be ${listed(presets)}`,
  }),
)

const granularity = oneOf(
  [...granularities, "hour", "day"],
  "Of trends. minute: at most 10,000 of them; hour and day mean hourly and daily",
)

const limit = Type.Integer({
  minimum: 1,
  maximum: maxLimit,
  description: `Rows; trends have all their dates whatever it says. Default ${defaultLimit}`,
  expected: `must be a whole number from 1 to ${maxLimit}`,
})
const page = Type.Integer({
  minimum: 1,
  maximum: 100_000,
  description: "From 1",
  expected: "must be a whole number from 1 to 100000",
})
const sortBy = text("A column of the answer")
const sortOrder = oneOf(["asc", "desc"], "Default desc, of texts and dates asc")
const compare = oneOf(
  ["previous_period"],
  "Adds to each row `previous`: its measures in the period of the same length before. While the range is not over, that period ends as far into itself as now is into the range, of whole days at the same time of day: today at 10:15 is compared with yesterday until 10:15. Minutes, hours and days are compared with those of the same clock time, also where clocks were set between. null for dates that it does not have",
)
const places = (description: string) =>
  Type.Integer({ minimum: 0, maximum: 5, description, expected: "must be a whole number from 0 to 5" })

/** What a type can be given beside a range and filters. */
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
      expected: `must be ${listed(countMeasures)}, or ${listed(propertyMeasures)} of a property, such as sum:property.amount`,
    }),
    {
      minItems: 1,
      maxItems: 10,
      description: `${countMeasures.join(", ")}; ${propertyMeasures.join(", ")} of a property's numbers, as sum:property.amount`,
      expected: "must be a list of 1 to 10 measures",
    },
  ),
  steps: Type.Array(
    Type.Union([text("The name of an event"), step], {
      expected: "must be the name of an event, or {name, filters}",
    }),
    {
      minItems: 1,
      maxItems: maxSteps,
      description: "Events, each a name or {name, filters}",
      expected: `must be a list of 1 to ${maxSteps} events, each a name or {name, filters}`,
    },
  ),
  window: Type.String({
    pattern: "^[1-9]\\d{0,8}[smhdw]$",
    description: "From the first step of a funnel to its last, such as 1h or 14d. Default 7d, at most 366d",
    expected: "must be a time such as 30m, 1h or 14d, at most 366d",
  }),
  unit: oneOf(units, "Who is followed. Default visitor"),
  before: places("Events before it. Default 3"),
  after: places("Events after it. Default 3"),
  top: Type.Integer({
    minimum: 1,
    maximum: 1_000,
    description: "Values of each property key, default 10; of numbers the bins, default 20",
    expected: "must be a whole number from 1 to 1000",
  }),
  anonymousId: text("Whose events"),
  profileId: text(
    "Whose events: those that name this profile, and those that name none and come from an anonymous id that /identify linked to it",
  ),
  search: text("A part of the anonymous id"),
  cursor: text("`meta.nextCursor` of an earlier answer: go on after it"),
  compare,
}

export type Option = keyof typeof optionSchemas

const id = text("Named in the answer")

/** One thing that is asked for. */
export const parameterSchema = Type.Object(
  {
    name: text("A type: GET /v1/query/types lists them"),
    ...Type.Partial(
      Type.Object({
        id,
        start_date: date("As startDate, for this parameter alone"),
        end_date: date("As endDate, for this parameter alone"),
        preset,
        filters: filters("Beside those of the query"),
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

/** A query: things to ask about one range of one website's events. */
export const querySchema = Type.Object(
  {
    parameters: Type.Array(
      Type.Union([text("The name of a type"), parameterSchema], {
        expected: "must be the name of a type, or an object with a name",
      }),
      {
        minItems: 1,
        maxItems: maxParameters,
        description: "What to ask for: names of types, or objects",
        expected: `must be a list of 1 to ${maxParameters} types, each a name or an object with a name`,
      },
    ),
    ...Type.Partial(
      Type.Object({
        startDate: date("The first day, or a time"),
        endDate: date("The last day, itself included, or a time, itself not included. Default: today"),
        preset,
        timeZone: text(
          "IANA name, such as Europe/Berlin: days, weeks and hours are of its clocks. Default UTC",
        ),
        filters: filters("Events that fit all of them"),
        granularity,
        limit,
        page,
        sortBy,
        sortOrder,
        compare,
        crawlers: Type.Boolean({
          description: "Count events of marked crawlers too",
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
      "The website; `none`: the owner's own events, which belong to none; `all`: whatever the key may read, together",
  }),
  timezone: Type.Optional(Type.String({ description: "The timeZone of a query that names none" })),
})

export const streamStringSchema = Type.Object({
  website_id: queryStringSchema.properties.website_id,
  name: Type.Optional(Type.String({ description: "Only events of this name; can be given several times" })),
  crawlers: Type.Optional(
    Type.String({ enum: ["true", "false"], description: "true: those of marked crawlers too" }),
  ),
})

export const websiteSchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  domain: Type.String(),
  isPublic: Type.Literal(false),
  createdAt: Type.String({ format: "date-time" }),
})

export const metaSchema = Type.Object({
  source: Type.String({
    description:
      "What was read: kept (counted for earlier questions), counts (numbers kept a quarter of an hour), blocks (columns) or rows, joined by +",
  }),
  rows_read: Type.Integer({ description: "Single events that were read" }),
  block_events: Type.Integer({ description: "Events that were looked at in blocks" }),
  ms: Type.Number({ description: "How long it took" }),
  from: Type.String({ format: "date-time", description: "The range" }),
  to: Type.String({ format: "date-time", description: "Its end, exclusive" }),
  previous: Type.Optional(
    Type.Object(
      { from: Type.String({ format: "date-time" }), to: Type.String({ format: "date-time" }) },
      { description: "With `compare`: the period that it is compared with" },
    ),
  ),
  total: Type.Optional(Type.Integer({ description: "Rows on all pages" })),
  nextCursor: Type.Optional(
    Type.Union([Type.Null(), Type.String()], { description: "null: there is no more" }),
  ),
})

/** A type, as GET /v1/query/types shows it. */
export const typeSchema = Type.Object({
  allowedFilters: Type.Array(Type.String(), { description: "Fields that filters may have" }),
  customizable: Type.Literal(true),
  defaultLimit: Type.Integer(),
  meta: Type.Object({
    description: Type.String(),
    outputFields: Type.Array(Type.String(), {
      description: "Columns of its rows; `…`: those of `by` and `measures`",
    }),
    takes: Type.Array(Type.String(), { description: "Fields that a parameter of this type may have" }),
    needs: Type.Array(Type.String(), { description: "Fields that it must have" }),
    sortBy: Type.Array(Type.String(), { description: "Columns to sort by; the first by default" }),
  }),
})

export type TypeConfig = Static<typeof typeSchema>
export type QueryBody = Static<typeof querySchema>
export type ParameterBody = Static<typeof parameterSchema>
export type FilterBody = Static<typeof filter>
export type StepBody = Static<typeof step>
export type MetaJson = Static<typeof metaSchema>

import { dayMs } from "../../columns/batch.ts"
import type { Dimension, Field } from "../../query/fields.ts"
import { pathSplits } from "../../query/json-values.ts"
import { type Operator, operators } from "../../query/operators.ts"
import { type Bucket, type Filter, type Scope, type Step, stepFilters, type Unit } from "../../query/query.ts"
import { type ContextField, contextFields } from "../../store/contexts.ts"
import { startOfNode } from "../../store/node-ids.ts"
import { insertColumns } from "../event-row.ts"
import { canonicalText, documentOf, numberPattern } from "./json-sql.ts"
import { Parameters, surrogateMark } from "./statement.ts"

/** Thrown when ClickHouse cannot answer a query. The message says why. */
export class NotSupportedError extends Error {}

/** What a scan needs to know about the file. */
export interface ScanContext {
  /** Maps the rid of a website to its id in the cluster. The id is empty for events without a website. */
  websites: ReadonlyMap<number, string>
  /** Events up to this id are in the cluster. Later events are sent with the query, as the table `tail`. */
  watermark: number
  /** Watermarks of the other nodes: the ids up to which they have shipped their events. */
  otherWatermarks: readonly number[]
  /**
   * Returns the anonymous ids linked to a profile of a website. Events that have such an id and no profile count as
   * events of this profile.
   */
  linkedIds: (rid: number, profileId: string) => readonly string[]
}

/** SQL for a value. The result is null if the value is missing. */
interface Expression {
  sql: string
  isNullable: boolean
}

interface TestInput extends Pick<Parameters, "bind"> {
  sql: string
  /** SQL for the value as a number. The result is null if the value is not a number. */
  number: string
  list: readonly string[]
}

type Test = (input: TestInput) => string

const operandOf = ({ list, bind }: TestInput) => bind("String", list[0] ?? "")
const equal: Test = (input) => `${input.sql} = ${operandOf(input)}`
const oneOf: Test = ({ sql, list, bind }) => `${sql} in ${bind("Array(String)", list)}`
/**
 * Returns the operand of a test for a part of a string. Throws a NotSupportedError if the operand has an unpaired
 * surrogate. JavaScript would also find it inside surrogate pairs, but ClickHouse would not, because it compares UTF-8.
 */
function partOf({ list, bind }: TestInput, text = list[0] ?? ""): string {
  if (!text.isWellFormed())
    throw new NotSupportedError("a filter by part of a string has an unpaired surrogate")
  return bind("String", text)
}
const contains: Test = (input) => `position(toString(${input.sql}), ${partOf(input)}) > 0`
const startsWith: Test = (input) => `startsWith(toString(${input.sql}), ${partOf(input)})`
const endsWith: Test = (input) => `endsWith(toString(${input.sql}), ${partOf(input)})`
const comparison =
  (operator: string): Test =>
  ({ number, list, bind }) => {
    const limit = Number(list[0])
    // A comparison with a value that is not a number is never true.
    return Number.isNaN(limit) ? "0" : `ifNull(${number} ${operator} ${bind("Float64", limit)}, 0)`
  }

/**
 * For each operator, a function that returns SQL for its test. A negated operator has the test of the operator that it
 * negates.
 */
const tests: { readonly [Name in Operator]: Test } = {
  eq: equal,
  ne: equal,
  in: oneOf,
  not_in: oneOf,
  contains,
  not_contains: contains,
  // ClickHouse's lowerUTF8 returns the same string as toLowerCase. `npm run test:clickhouse` compares the two for every
  // code point.
  contains_any_case: (input) =>
    `position(lowerUTF8(toString(${input.sql})), ${partOf(input, (input.list[0] ?? "").toLowerCase())}) > 0`,
  starts_with: startsWith,
  not_starts_with: startsWith,
  ends_with: endsWith,
  gt: comparison(">"),
  gte: comparison(">="),
  lt: comparison("<"),
  lte: comparison("<="),
  exists: ({ sql, list }) => `isNotNull(${sql}) = ${list[0] === "false" ? 0 : 1}`,
}

/**
 * Maximum number of dots in the path of a property. Each dot doubles the number of ways to split the path into keys.
 */
const maxDots = 4

type Column = Exclude<Field, ContextField | "query_string">

/** The column that stores each field. `missing`: how a missing value is stored (`empty`: as ''). */
const columnOf: Readonly<Record<Column, { name: string; missing: "never" | "empty" | "null" }>> = {
  event_name: { name: "name", missing: "never" },
  kind: { name: "kind", missing: "never" },
  namespace: { name: "namespace", missing: "empty" },
  source: { name: "source", missing: "empty" },
  website_id: { name: "website", missing: "empty" },
  path: { name: "path", missing: "null" },
  profile_id: { name: "profile_id", missing: "null" },
  anonymous_id: { name: "anonymous_id", missing: "null" },
  session_id: { name: "session_id", missing: "null" },
}

function isContextField(field: string): field is ContextField {
  return contextFields.some((one) => one === field)
}

/**
 * Builds a subquery that returns the events in a scope, and SQL expressions for fields of these events. The rows have
 * the columns of the table `events` and `at` (Unix ms). For each property that an expression uses, they also have three
 * columns: `r0` (its JSON), `t0` (its text) and `n0` (its number). The digit is the index of the property. Create all
 * expressions before calling `rows`, which adds the columns that they need.
 */
export class Scan {
  readonly parameters = new Parameters()
  readonly #properties = new Map<string, number>()
  #needsDocument = false
  #needsLinks = false

  constructor(private readonly context: ScanContext) {}

  get needsLinks(): boolean {
    return this.#needsLinks
  }

  /** Adds a value to the parameters and returns its placeholder, such as `{p0:String}`. */
  readonly bind: Parameters["bind"] = (type, value) => this.parameters.bind(type, value)

  /** Returns SQL for a dimension as text. The result has the type Nullable(String). */
  text(dimension: Dimension): string {
    return `toNullable(toString(${this.#expression(dimension).sql}))`
  }

  /** Returns SQL for the number in a property. The result has the type Nullable(Float64). */
  number(property: Dimension): string {
    return `n${this.#property(property.slice("property.".length))}`
  }

  /**
   * SQL for the top-level properties that have a value. The result is an array of tuples of a key and the JSON value.
   */
  get entries(): string {
    this.#needsDocument = true
    return "arrayFilter(entry -> entry.2 != 'null', JSONExtractKeysAndValuesRaw(document))"
  }

  #expression(dimension: Dimension): Expression {
    if (dimension === "query_string")
      return { sql: this.#propertyText("query_string", true), isNullable: true }
    if (dimension.startsWith("property."))
      return { sql: this.#propertyText(dimension.slice("property.".length)), isNullable: true }
    if (isContextField(dimension)) return { sql: `nullIf(${dimension}, '')`, isNullable: true }
    // The type assertion is safe because all other dimensions are columns.
    const { name, missing } = columnOf[dimension as Column]
    return { sql: missing === "empty" ? `nullIf(${name}, '')` : name, isNullable: missing !== "never" }
  }

  #propertyText(path: string, isKey = false): string {
    return `t${this.#property(path, isKey)}`
  }

  /**
   * Returns the index of a property. The index is part of the names of the property's columns. `isKey`: true if `path`
   * is a single key, which can contain dots.
   */
  #property(path: string, isKey = false): number {
    this.#needsDocument = true
    const sql = isKey ? this.#rawOf([[path]]) : this.#rawOf(sequencesOf(path))
    const index = this.#properties.get(sql) ?? this.#properties.size
    this.#properties.set(sql, index)
    return index
  }

  /** Returns SQL for the JSON at the first of these paths that has a value. */
  #rawOf(sequences: readonly (readonly string[])[]): string {
    const found = sequences
      .flatMap((keys) => this.#placesOf(keys))
      .map((sql) => `nullIf(nullIf(${sql}, ''), 'null')`)
    return `coalesce(${found.join(", ")})`
  }

  /**
   * Returns SQL for each place in the document that a path of keys can mean. A number in the path can be a key of an
   * object or an index of an array. The document itself is always an object.
   */
  #placesOf(keys: readonly string[]): string[] {
    let places: { path: string; condition: string }[] = [{ path: "document", condition: "" }]
    keys.forEach((key, depth) => {
      const isIndex = depth > 0 && /^(?:0|[1-9]\d{0,8})$/.test(key)
      places = places.flatMap(({ path, condition }) => [
        { path: `${path}, ${this.bind("String", key)}`, condition },
        ...(isIndex
          ? [
              {
                path: `${path}, ${Number(key) + 1}`,
                condition: `${condition}JSONType(${path}) = 'Array' and `,
              },
            ]
          : []),
      ])
    })
    return places.map(({ path, condition }) =>
      condition === "" ? `JSONExtractRaw(${path})` : `if(${condition}1, JSONExtractRaw(${path}), '')`,
    )
  }

  /** Returns SQL for a filter. The result is true or false, never null. */
  condition(filter: Filter): string {
    const { field, op, value } = filter
    if (field === "profile") return this.#isOfProfile(String(value))
    if (field === "page") return `(kind = 'page_view' and ${this.#isPage(String(value))})`
    const { isNegation } = operators[op]
    const isPositive =
      field === "property_key"
        ? `arrayExists(key -> ${this.#test(filter, { sql: "key", isNullable: false }, keyNumber)}, arrayMap(entry -> entry.1, ${this.entries}))`
        : this.#test(filter, this.#expression(field), this.#numberOf(field))
    if (op === "exists" && field === "property_key") return `notEmpty(${this.entries}) = ${value ? 1 : 0}`
    return isNegation ? `not (${isPositive})` : isPositive
  }

  /** Returns SQL for a field as a number. The text in a column is parsed. */
  #numberOf(field: Dimension): string {
    if (field === "query_string") return `n${this.#property(field, true)}`
    if (field.startsWith("property.")) return this.number(field)
    const { sql } = this.#expression(field)
    return keyNumber.replaceAll("key", `toString(${sql})`)
  }

  /**
   * Returns SQL for the test of a filter's operator. For a negated operator, this is the test of the operator that it
   * negates.
   */
  #test({ op, value }: Filter, { sql, isNullable }: Expression, number: string): string {
    const list = [value].flat().map(String)
    const condition = tests[op]({ sql, number, list, bind: this.bind })
    return isNullable ? `ifNull(${condition}, 0)` : condition
  }

  #isPage(pattern: string): string {
    const like = pattern.replace(/[\\%_]/g, "\\$&").replaceAll("*", "%")
    return `ifNull(path like ${this.bind("String", like)}, 0)`
  }

  #isOfProfile(profileId: string): string {
    const linked = [...this.context.websites].flatMap(([rid, website]) => {
      const ids = this.context.linkedIds(rid, profileId)
      if (ids.length === 0) return []
      const place = `website = ${this.bind("String", website)}`
      return [
        `(${place} and isNull(profile_id) and ifNull(anonymous_id in ${this.bind("Array(String)", ids)}, 0))`,
      ]
    })
    return `(${[`ifNull(profile_id = ${this.bind("String", profileId)}, 0)`, ...linked].join(" or ")})`
  }

  all(filters: readonly Filter[]): string {
    return filters.length === 0 ? "1" : filters.map((filter) => `(${this.condition(filter)})`).join(" and ")
  }

  step(step: Step): string {
    return this.all(stepFilters(step))
  }

  /** Returns SQL for the units of an event. The result has the type Array(String). */
  units(unit: Unit): string {
    if (unit !== "profile_id") return `if(isNull(${unit}), [], [assumeNotNull(${unit})])`
    this.#needsLinks = true
    return "if(isNotNull(profile_id), [assumeNotNull(profile_id)], profiles)"
  }

  /** Returns SQL for the start of the bucket that contains a time, in Unix ms. */
  bucketOf(time: string, buckets: readonly Bucket[]): string {
    return `roundDown(${time}, ${this.bind(
      "Array(Int64)",
      buckets.map(({ from }) => from),
    )})`
  }

  /** Returns the subquery for the events in a scope, in parentheses. */
  rows(scope: Scope): string {
    const where = this.all(scope.filters)
    const columns = insertColumns.join(", ")
    const union = [
      `select ${columns} from events final where ${this.#isShipped} and id not in (select id from deleted) and ${this.#conditions(scope, "day")}`,
      `select ${columns} from tail where ${this.#conditions(scope, "toDate32(ts)")}`,
    ]
    let rows = `select *, toUnixTimestamp64Milli(ts) as at${this.#needsDocument ? `, ${documentOf("properties")} as document` : ""} from (${union.join(" union all ")})`
    const properties = [...this.#properties]
    if (properties.length > 0) {
      rows = `select *, ${properties.map(([sql, index]) => `${sql} as r${index}`)} from (${rows})`
      rows = `select *, ${properties.map(([, index]) => `${jsonText(`r${index}`)} as t${index}`)} from (${rows})`
      rows = `select *, ${properties.map(([, index]) => `${jsonNumber(`r${index}`, `t${index}`)} as n${index}`)} from (${rows})`
    }
    if (this.#needsLinks) {
      rows = `select events.*, links.profiles as profiles from (${rows}) as events any left join (select website, toNullable(anonymous_id) as anonymous_id, profiles from links) as links on events.website = links.website and events.anonymous_id = links.anonymous_id`
    }
    return `(select * from (${rows}) where ${where})`
  }

  /**
   * SQL condition for the events of each node up to its watermark. If events from several nodes have the same event id,
   * only one of them matches.
   */
  get #isShipped(): string {
    const { watermark, otherWatermarks } = this.context
    if (otherWatermarks.length === 0) return `id <= ${this.bind("UInt64", watermark)}`
    const isUpToWatermark = (column: string) => isUpTo([watermark, ...otherWatermarks], column, this)
    // A duplicate counts as long as its original is not shipped.
    return `(${isUpToWatermark("id")}) and id not in (select id from duplicates where ${isUpToWatermark("original")})`
  }

  /**
   * Returns SQL for all conditions of a scope except its filters. `date`: SQL for the day of an event. Limits the days
   * as well as the times, so that ClickHouse can skip other days. Its table is partitioned and sorted by day.
   */
  #conditions({ websites, from, to, crawlers, kinds }: Scope, date: string): string {
    const ids = websites.map((rid) => this.context.websites.get(rid)).filter((id) => id !== undefined)
    const day = (ms: number) => Math.min(Math.max(Math.floor(ms / dayMs), minDay), maxDay)
    return [
      `website in ${this.bind("Array(String)", ids)}`,
      `kind in ${this.bind("Array(String)", [...kinds])}`,
      `${date} between toDate32(${this.bind("Int32", day(from))}) and toDate32(${this.bind("Int32", day(to - 1))})`,
      `toUnixTimestamp64Milli(ts) >= ${this.bind("Int64", from)}`,
      `toUnixTimestamp64Milli(ts) < ${this.bind("Int64", to)}`,
      ...(crawlers ? [] : ["not crawler"]),
    ].join(" and ")
  }

  /** SQL for the rid of an event's website. */
  get rid(): string {
    const pairs = [...this.context.websites]
    const rids = this.bind(
      "Array(Int64)",
      pairs.map(([rid]) => rid),
    )
    return `arrayElement(${rids}, indexOf(${this.bind(
      "Array(String)",
      pairs.map(([, id]) => id),
    )}, website))`
  }
}

/**
 * Returns a SQL condition for the events of each node up to its watermark. `column`: the column with the event's id.
 */
export function isUpTo(
  watermarks: readonly number[],
  column: string,
  parameters: Pick<Parameters, "bind">,
): string {
  const id = (value: number) => parameters.bind("UInt64", value)
  return watermarks
    .map((last) => `${column} > ${id(startOfNode(last))} and ${column} <= ${id(last)}`)
    .join(" or ")
}

/** The first and the last day that a Date32 can store (1900 to 2299), in days since 1970-01-01. */
const [minDay, maxDay] = [-25_567, 120_529] as const

/** Returns all ways to split a path into keys. Those with a longer first key come first. */
function sequencesOf(path: string): string[][] {
  if (path.split(".").length - 1 > maxDots)
    throw new NotSupportedError(`property.${path} has more than ${maxDots} dots`)
  const found: string[][] = []
  for (const [key, below] of pathSplits(path)) {
    if (below === undefined) found.push([key])
    else found.push(...sequencesOf(below).map((rest) => [key, ...rest]))
  }
  return found
}

/**
 * SQL for the number in the string `key`. The result is null if the string is not a number, or if its absolute value
 * exceeds `Number.MAX_SAFE_INTEGER`.
 */
const keyNumber = `if(match(key, '${numberPattern}') and abs(toFloat64OrZero(key)) <= ${Number.MAX_SAFE_INTEGER}, toFloat64OrNull(key), null)`

/** Returns SQL for a JSON value as text. The text of a string has no quotes. */
export function jsonText(raw: string): string {
  return `multiIf(isNull(${raw}), null, startsWith(${raw}, '"'), JSONExtractString(assumeNotNull(${raw})), match(${raw}, '^[\\\\[{]'), ${canonicalText(`assumeNotNull(${raw})`)}, replaceRegexpOne(assumeNotNull(${raw}), 'e([0-9])', 'e+\\\\1'))`
}

/**
 * Returns SQL for a JSON value as a number. Equivalent to `numberOf` in src/query/json-values.ts. `text`: SQL for the
 * value as text.
 */
export function jsonNumber(raw: string, text: string): string {
  return `multiIf(isNull(${raw}), null, startsWith(${raw}, '"'), ${keyNumber.replaceAll("key", `assumeNotNull(${text})`)}, match(${raw}, '^[-0-9]'), toFloat64OrNull(${raw}), null)`
}

/**
 * Returns SQL for a sort key that orders strings by their UTF-16 code units, as JavaScript does. The order of UTF-8
 * bytes differs for code points from U+E000 upward. Half a surrogate pair sorts before all pairs.
 */
export function utf16Order(text: string): string {
  const halves = `replaceAll(replaceAll(${text}, '\\xEE', '\\xFE'), '${surrogateMark}', '\\xEE')`
  return `replaceAll(${halves}, '\\xEF', '\\xFF')`
}

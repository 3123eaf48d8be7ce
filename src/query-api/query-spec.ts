import type { EventKind } from "../event-kinds.ts"
import type { Dimension } from "../query/fields.ts"
import type {
  Granularity,
  Measure,
  MoversSummary,
  Query,
  ResultOf,
  Scope,
  Step,
  Unit,
} from "../query/query.ts"
import type { PreviousRange } from "./comparison.ts"
import type { Range } from "./range.ts"
import type { Option, ParameterBody } from "./schema.ts"

/** A validated query parameter with all defaults filled in. */
export interface QuerySpec {
  type: string
  /** The parameter's name in the response. */
  id: string
  scope: Scope
  range: Range
  /** The range to compare with. Undefined if there is no comparison. */
  previous: PreviousRange | undefined
  /** Undefined if there is no breakdown by time. */
  granularity: Granularity | undefined
  by: readonly Dimension[]
  measures: readonly NamedMeasure[]
  steps: readonly Step[]
  /** Time window of a funnel, in ms. */
  window: number
  unit: Unit
  before: number
  after: number
  /** Maximum number of values per property key. */
  top: number
  limit: number
  offset: number
  sort: Sort | undefined
  cursor: { ts: number; id: number } | undefined
  /** Selects the number in a funnel or retention report whose people or sessions are listed. */
  of: CountOptions
}

export type CountOptions = {
  [Name in "reached" | "droppedAfter" | "value" | "cohort" | "period"]: ParameterBody[Name] | undefined
}

export interface NamedMeasure {
  /** The name in the request, and the name of the column. */
  name: string
  measure: Measure
}

export interface Sort {
  by: string
  order: "asc" | "desc"
}

export type Row = Record<string, unknown>

/** The rows of a parameter, built from the engine's results. */
export interface TypeResult {
  rows: Row[]
  /** True if the rows are already sorted and limited to one page. */
  isPage?: boolean
  /** The number of rows on all pages, if the engine does the paging. */
  total?: number
  /** Null on the last page. */
  nextCursor?: string | null
  /** What a movers query compared. */
  movers?: MoversSummary
}

/** Runs one engine query. Yields between steps to let other work run. */
export type RunQuery = <Q extends Query>(query: Q) => Generator<void, ResultOf<Q>>

/** Everything the parser, the limits and the documentation need to know about a query type. */
export interface QueryType {
  description: string
  /** Options in addition to range, filters, limit, page and sortBy. */
  takes: readonly Option[]
  /** Required options. */
  needs?: readonly Option[]
  /** Mutually exclusive options. `required`: true if one of them must be present. */
  oneOf?: { options: readonly (keyof ParameterBody & Option)[]; required: boolean }
  /** `options` can only be used together with at least one option in `oneOf`. */
  requires?: readonly { options: readonly Option[]; oneOf: readonly Option[] }[]
  /**
   * Kinds of events to read. The default is custom events. `person` means all kinds if the query selects a person,
   * otherwise custom events.
   */
  kinds?: readonly EventKind[] | "person"
  /** Set if the rows are individual events, sessions or people. The scope `read:data` is then required. */
  needsReadData?: true
  /** Overrides the range of the query. */
  range?: (zone: string, now: number) => Range
  /** Minimum and maximum number of steps. */
  steps?: readonly [min: number, max: number]
  /** Maximum number of fields in `by`. The default is the limit of the schema. */
  maxBy?: number
  /** Supported granularities. By default, all are supported. */
  granularities?: readonly Granularity[]
  /** Columns of the rows, in order. `…` stands for the columns of `by` and `measures`. */
  columns: readonly string[]
  /**
   * The default order, and the other allowed sort columns. `…` stands for the fields in `by`. Undefined if rows have a
   * fixed order.
   */
  order: (Sort & { others: readonly string[] }) | undefined
  /**
   * Only set if the allowed sort columns depend on the options. Returns these columns, with the default first. They
   * replace the columns in `order`.
   */
  sortsBy?: (options: Pick<QuerySpec, "by" | "measures" | "granularity">) => readonly string[]
  /**
   * Columns that order rows with equal values in the sort column. `-` before a name means descending. The default is
   * all text columns.
   */
  tieBreakers?: readonly string[] | undefined
  /** Default value of `top`. If it is absent, the parser's default applies. */
  defaultTop?: number | undefined
  /**
   * Only one measure is allowed, and it must be one of these. The first is the default. A property measure such as
   * `sum` is listed without the name of the property.
   */
  oneMeasure?: readonly [string, ...string[]]
  /** Compares with the previous period even if `compare` is absent. */
  alwaysCompares?: true
  /** True if a query with a granularity returns a row for every date in the range. */
  hasAllDates?: boolean | undefined
  /** If this is absent, rows are broken down by time only on request. */
  defaultGranularity?: Granularity | undefined
  rows: (spec: QuerySpec, run: RunQuery) => Generator<void, TypeResult>
}

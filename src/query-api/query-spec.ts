import type { EventKind } from "../event-kinds.ts"
import type {
  Dimension,
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
  /** Name of the parameter in the response. */
  id: string
  scope: Scope
  range: Range
  /** The range to compare with; undefined without a comparison. */
  previous: PreviousRange | undefined
  /** Undefined: no breakdown by time. */
  granularity: Granularity | undefined
  by: readonly Dimension[]
  measures: readonly NamedMeasure[]
  steps: readonly Step[]
  /** ms */
  window: number
  unit: Unit
  before: number
  after: number
  /** Values per property key. */
  top: number
  limit: number
  offset: number
  sort: Sort | undefined
  cursor: { ts: number; id: number } | undefined
  /** The count in a funnel or retention table whose people the list shows. */
  of: CountOptions
}

export type CountOptions = {
  [Name in "reached" | "droppedAfter" | "value" | "cohort" | "period"]: ParameterBody[Name] | undefined
}

export interface NamedMeasure {
  /** As in the request; also the name of the column. */
  name: string
  measure: Measure
}

export interface Sort {
  by: string
  order: "asc" | "desc"
}

export type Row = Record<string, unknown>

/** Rows of a parameter, built from the results of the engine. */
export interface TypeResult {
  rows: Row[]
  /** The rows are already sorted and limited to the page. */
  isPage?: boolean
  /** Rows on all pages, if the engine pages itself. */
  total?: number
  /** null on the last page. */
  nextCursor?: string | null
  /** What a movers query checked. */
  movers?: MoversSummary
}

/** Runs one query of the engine. Yields between steps, so that other work can run. */
export type RunQuery = <Q extends Query>(query: Q) => Generator<void, ResultOf<Q>>

/** Everything that the parser, the limits and the documentation know about a query type. */
export interface QueryType {
  description: string
  /** Options besides range, filters, limit, page and sortBy. */
  takes: readonly Option[]
  /** Required options. */
  needs?: readonly Option[]
  /** Mutually exclusive options; one of them can be required. */
  oneOf?: { options: readonly (keyof ParameterBody & Option)[]; required: boolean }
  /** Options that need one of `oneOf`. */
  requires?: readonly { options: readonly Option[]; oneOf: readonly Option[] }[]
  /**
   * The kinds of events that the type reads. Absent: custom events. `person`: all kinds if the query selects a person,
   * otherwise custom events.
   */
  kinds?: readonly EventKind[] | "person"
  /** The rows are individual events, sessions or people, which require the scope read:data. */
  needsReadData?: true
  /** Replaces the range of the query. */
  range?: (zone: string, now: number) => Range
  /** Number of steps. */
  steps?: readonly [min: number, max: number]
  /** Maximum number of fields in `by`; absent: the limit of the schema. */
  maxBy?: number
  /** Supported granularities; absent: all. */
  granularities?: readonly Granularity[]
  /** Columns of the rows, in order. `…` stands for the columns of `by` and `measures`. */
  columns: readonly string[]
  /**
   * Default sort column, and the other allowed columns (`…`: the fields of `by`). Undefined: the order of the engine is
   * fixed.
   */
  order: (Sort & { others: readonly string[] }) | undefined
  /** Sort columns if they depend on the options; the first is the default. Replaces the columns of `order`. */
  sortsBy?: (options: Pick<QuerySpec, "by" | "measures" | "granularity">) => readonly string[]
  /** Columns that order rows with equal sort values; `-` before a name: descending. Absent: all text columns. */
  tieBreakers?: readonly string[] | undefined
  /** Default of `top`; absent: the default of the parser. */
  defaultTop?: number | undefined
  /**
   * Takes exactly one of these measures; the first is the default. Measures of a property are listed without its name:
   * `sum`.
   */
  oneMeasure?: readonly [string, ...string[]]
  /** Compares even if `compare` is absent. */
  alwaysCompares?: true
  /** With a granularity, every date of the range has a row. */
  hasAllDates?: boolean | undefined
  /** Absent: no breakdown by time unless requested. */
  defaultGranularity?: Granularity | undefined
  rows: (spec: QuerySpec, run: RunQuery) => Generator<void, TypeResult>
}

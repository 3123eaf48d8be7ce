import type { Dimension, Granularity, Measure, Query, ResultOf, Scope, Step, Unit } from "../query/query.ts"
import type { Range } from "./range.ts"
import type { Option } from "./schema.ts"

/** One thing that is asked for, checked and with everything filled in. */
export interface QuerySpec {
  type: string
  /** How it is named in the answer. */
  id: string
  scope: Scope
  range: Range
  /** The range to compare with. */
  previous: Range | undefined
  /** Undefined: not by time, where the type leaves the choice. */
  granularity: Granularity | undefined
  by: readonly Dimension[]
  measures: readonly NamedMeasure[]
  steps: readonly Step[]
  /** ms */
  window: number
  unit: Unit
  before: number
  after: number
  /** Values of each property key. */
  top: number
  limit: number
  offset: number
  sort: Sort | undefined
  cursor: { ts: number; id: number } | undefined
}

export interface NamedMeasure {
  /** As it was asked for; the column has this name. */
  name: string
  measure: Measure
}

export interface Sort {
  by: string
  order: "asc" | "desc"
}

export type Row = Record<string, unknown>

/** What a type makes of the engine's answers. */
export interface TypeResult {
  rows: Row[]
  /** They are in their order, and as many as they should be. */
  isCut?: boolean
  /** Rows on all pages, where the engine itself takes pages. */
  total?: number
  /** null: there is no more. */
  nextCursor?: string | null
}

/** Runs one question, in steps between which others have their turn. */
export type RunQuery = <Asked extends Query>(question: Asked) => Generator<void, ResultOf<Asked>>

export interface QueryType {
  description: string
  /** What it may be given beside a range, filters, limit, page and sortBy. */
  takes: readonly Option[]
  /** What of it must be given. */
  needs?: readonly Option[]
  /** Its rows are single events, sessions or people, which no report shows. */
  singles?: true
  /** How many steps it may be given. */
  steps?: readonly [least: number, most: number]
  /** The columns of its rows, in their order; those of `by` and `measures` come instead of `…`. */
  columns: readonly string[]
  /** What rows are ordered by where nobody says, and what besides they can be; undefined: by the engine alone. */
  order: (Sort & { besides: readonly string[] }) | undefined
  /** Columns that rows of the same place in that order are ordered by; `-` before a name: downwards. Left out: all texts. */
  ties?: readonly string[] | undefined
  /** Values of each property key, or bins, where nobody says; left out: as many as of most types. */
  top?: number | undefined
  /** The dates where nobody says; left out: none. */
  dated?: Granularity | undefined
  rows: (ask: QuerySpec, put: RunQuery) => Generator<void, TypeResult>
}

import type { SealedBatch } from "../../columns/sealer.ts"
import type { MoversSummary, Query, QueryStatistics } from "../query.ts"
import type { QueryOutcome } from "./execute.ts"

// Messages between the main thread and the query thread. `Spec` describes the rows to render; only the query API knows it.

/** The remaining limits of a response for the next query of its request. */
export interface ResponseLimits {
  rows: number
  /** Columns times rows. */
  cells: number
  /** Bytes of JSON. */
  bytes: number
}

/** From the main thread to the query thread. */
export type WorkerRequest<Spec> =
  | { type: "open"; path: string; memory: number }
  | { type: "execute"; id: number; caller: string; query: Query }
  | { type: "render"; id: number; caller: string; spec: Spec; limits: ResponseLimits }
  | { type: "cancel"; id: number }
  /** Bytes of rendered rows that were sent or dropped: they no longer count as used memory. */
  | { type: "release"; bytes: number }
  /**
   * Requests the next sealed batch. `includeFew`: also seals a few rows. `today`: days since 1970-01-01; the small
   * blocks of earlier days are merged even if there are only two. `collect`: also removes unused dictionary ids.
   */
  | { type: "seal"; includeFew: boolean; today: number; collect: boolean }
  | { type: "close" }

/** The rows of a response, as JSON. */
export interface RenderedRows {
  /** A JSON array in UTF-8. The sender owns its memory until it is sent. */
  chunks: Uint8Array<ArrayBuffer>[]
  bytes: number
  rows: number
  cells: number
  /** Rows on all pages. */
  total: number | undefined
  /** null: this is the last page. */
  nextCursor: string | null | undefined
  /** Set only for movers. */
  movers: MoversSummary | undefined
  /** One for each query that was executed. */
  statistics: Omit<QueryStatistics, "ms">[]
}

/** Why a query failed. The messages of `rejected` and `eventsRemoved` are for the caller; the others stay internal. */
export type QueryFailure = {
  kind: "rejected" | "eventsRemoved" | "outOfMemory" | "internal"
  message: string
  stack?: string | undefined
}

/** From the query thread to the main thread. */
export type WorkerMessage =
  /** The database is open. */
  | { type: "opened" }
  | { type: "result"; id: number; outcome: QueryOutcome<Query> }
  | { type: "rendered"; id: number; rendered: RenderedRows }
  | ({ type: "failure"; id: number } & QueryFailure)
  /**
   * `batch` is undefined if there was nothing to seal, or if sealing failed. `unsealed`: number of unsealed rows when
   * sealing was requested.
   */
  | { type: "sealed"; batch: SealedBatch | undefined; unsealed: number; failure?: string }
  | { type: "closed" }

import type { SealedBatch } from "../../columns/sealed-batch.ts"
import type { MoversSummary, Query, QueryStatistics } from "../query.ts"
import type { QueryOutcome } from "./execute.ts"

// Messages between the main thread and the query thread. `Spec` describes the rows to render, and only the query API
// knows its type.

/** The part of a request's limits that is left for its next query. */
export interface ResponseLimits {
  rows: number
  /** Columns times rows. */
  cells: number
  /** Bytes of JSON. */
  bytes: number
  /** Number of queries in the request after this one. */
  queries: number
}

/** From the main thread to the query thread. */
export type WorkerRequest<Spec> =
  | { type: "open"; path: string; memory: number }
  | { type: "execute"; id: number; caller: string; query: Query }
  | { type: "render"; id: number; caller: string; weight: number; spec: Spec; limits: ResponseLimits }
  | { type: "cancel"; id: number }
  /**
   * Tells the thread that this many bytes of rendered rows have been sent or dropped, so that they no longer count as
   * used memory.
   */
  | { type: "release"; bytes: number }
  /**
   * Requests the next sealed batch. `includeFew`: seal even if there are only a few rows. `today`: the current day, as
   * days since 1970-01-01. Small blocks of earlier days are merged even if there are only two. `collect`: also remove
   * unused dictionary IDs.
   */
  | { type: "seal"; includeFew: boolean; today: number; collect: boolean }
  | { type: "close" }

/** The rows of a response, as JSON. */
export interface RenderedRows {
  /** The pieces of a JSON array in UTF-8. Their memory is transferred with the message. */
  chunks: Uint8Array<ArrayBuffer>[]
  bytes: number
  rows: number
  cells: number
  /** Number of rows on all pages. */
  total: number | undefined
  /** Null on the last page. */
  nextCursor: string | null | undefined
  /** Only set for movers. */
  movers: MoversSummary | undefined
  /** One entry per executed query. */
  statistics: Omit<QueryStatistics, "ms">[]
}

/**
 * Why a query failed. Messages of the kinds `rejected` and `eventsRemoved` are sent to the caller. Other messages stay
 * internal.
 */
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
   * `batch` is undefined if there was nothing to seal or sealing failed. `unsealed` is the number of unsealed rows when
   * sealing was requested.
   */
  | { type: "sealed"; batch: SealedBatch | undefined; unsealed: number; failure?: string }
  | { type: "closed" }

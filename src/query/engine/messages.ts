import type { SealedBatch } from "../../columns/sealer.ts"
import type { Query, QueryStatistics } from "../query.ts"
import type { Answered } from "./execute.ts"

// What the main thread and the query thread send each other. `Spec`: what rows are made of; the query API knows.

/** What of its answer a request still gets. */
export interface Room {
  rows: number
  /** Columns of rows. */
  cells: number
  /** Of JSON. */
  bytes: number
}

export type WorkerRequest<Spec> =
  | { what: "open"; path: string; memory: number }
  | { what: "ask"; id: number; caller: string; question: Query }
  | { what: "render"; id: number; caller: string; spec: Spec; room: Room }
  | { what: "stop"; id: number }
  /** So many bytes of rendered rows are sent, or nobody wants them. */
  | { what: "sent"; bytes: number }
  /** `collect`: look for numbers of ids that are not used any more, too. `few`: even if there are only a few rows. Of days before `today` (since 1970-01-01) small blocks are made one, be they two. */
  | { what: "seal"; few: boolean; today: number | undefined; collect: boolean }
  | { what: "close" }

/** The rows that are the answer to a spec. */
export interface Rendered {
  /** A JSON array, in UTF-8. Its memory is the sender's until it is sent. */
  chunks: Uint8Array<ArrayBuffer>[]
  bytes: number
  rows: number
  cells: number
  /** Rows on all pages. */
  total: number | undefined
  /** null: there is no more. */
  nextCursor: string | null | undefined
  /** Of the questions. */
  metas: Omit<QueryStatistics, "ms">[]
}

/** What kept a query from being answered. `refused`: its words are for the caller. */
export type Failure = { kind: "refused" | "tooLarge" | "fault"; message: string; stack?: string | undefined }

export type WorkerMessage =
  | { what: "answer"; id: number; answered: Answered<Query> }
  | { what: "rendered"; id: number; rendered: Rendered }
  | ({ what: "failure"; id: number } & Failure)
  | { what: "work"; work: SealedBatch | undefined; failure?: string }
  | { what: "closed" }

import type { QueryFailure, RenderedRows, ResponseLimits } from "../../query/engine/messages.ts"
import type { QuerySpec } from "../../query-api/query-spec.ts"
import type { ClusterLogin } from "../shipping-thread.ts"
import type { ClusterQueryLimits } from "./cluster-query.ts"

// Messages between the main thread and the thread that queries the cluster.

export type ClusterRequest =
  | ({ type: "open"; path: string; limits: ClusterQueryLimits; isShared: boolean } & ClusterLogin)
  | { type: "render"; id: number; spec: QuerySpec; limits: ResponseLimits }
  | { type: "cancel"; id: number }
  | { type: "close" }

export type ClusterMessage =
  | { type: "rendered"; id: number; rendered: RenderedRows }
  | ({ type: "failure"; id: number } & QueryFailure)
  /** The cluster cannot answer this query. `reason` can be shown to the caller. */
  | { type: "notSupported"; id: number; reason: string }
  /** The cluster cannot answer any queries at the moment. */
  | { type: "outage"; id: number; message: string; hint: string | undefined }
  | { type: "closed" }

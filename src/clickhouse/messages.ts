import type { ShippingChange } from "../store/shipping.ts"
import type { ClusterAddress } from "./address.ts"

// Messages between the main thread and the thread that ships events.

export type ShippingRequest =
  | {
      type: "open"
      path: string
      address: ClusterAddress
      password: string
      keepLocal: number | undefined
      isShared: boolean
    }
  /** The response to `write`. `error`: why the change was not stored. Undefined if it was stored. */
  | { type: "written"; id: number; error: string | undefined }
  | { type: "close" }

export type ShippingMessage =
  | { type: "write"; id: number; change: ShippingChange }
  /** The cluster acknowledged this number of events. */
  | { type: "shipped"; events: number }
  /** A step failed. `retryMs`: ms until the next attempt. */
  | { type: "failed"; message: string; hint: string | undefined; retryMs: number }
  | { type: "log"; level: "info" | "warn"; message: string; fields: Record<string, string | number> }
  | { type: "closed" }

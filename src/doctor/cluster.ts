import { type RemovedTotals, removedText } from "../store/removed-days.ts"
import type { ShippingLag } from "../store/shipping.ts"
import type { CheckResult } from "./check-result.ts"

/** The state of shipping events to a ClickHouse cluster. */
export interface ClusterFacts {
  /** Name of the cluster in --clickhouse. Undefined if the flag is not set. */
  name: string | undefined
  /** Why the cluster cannot be used. Undefined if it can be used. */
  failure: { message: string; hint: string | undefined } | undefined
  /** Undefined if no events have been shipped. */
  lag: ShippingLag | undefined
  /** Undefined if all events are in the SQLite file. */
  removed: RemovedTotals | undefined
}

/**
 * Maximum age in ms of an unshipped event before doctor reports it. Retries are at most a minute apart, and a batch
 * takes seconds.
 */
const maxLag = 900_000

/** Checks the cluster and the state of shipping. `now`: Unix ms. */
export function checkCluster({ name, failure, lag, removed }: ClusterFacts, now: number): CheckResult[] {
  const about = "cluster"
  if (name === undefined && lag === undefined) return []
  const shipped = lag === undefined ? "no events have been shipped yet" : stateText(lag)
  const state = removed ? `${shipped}; ${removedText(removed)}` : shipped
  if (name === undefined) {
    if (removed) {
      const hint =
        "set --clickhouse as for `serve`; `databuddy clickhouse fetch` stores the events in the file again"
      return [{ about, message: `not checked, because --clickhouse is not set; ${state}`, hint }]
    }
    return [{ about, message: `not checked, because --clickhouse is not set; ${state}` }]
  }
  if (failure) {
    const hint =
      failure.hint ??
      `check --clickhouse, the password, the grants of the user and the network; ${removed ? "new events" : "events"} stay in the SQLite file`
    return [{ about, message: `${failure.message}; ${state}`, hint }]
  }
  if (removed && removed.missing > 0) {
    const missing = `${removed.missing.toLocaleString("en")} removed events were not in the cluster at the last comparison`
    const hint =
      "they were deleted after the restored backup was created, or the cluster has lost them; restore a backup of the cluster that has them"
    return [{ about, message: `${name} answers, but ${missing}; ${state}`, hint }]
  }
  const oldest = lag?.oldest ?? null
  if (oldest === null || now - oldest <= maxLag) return [{ about, message: `${name} answers; ${state}` }]
  const hint =
    "a server with --clickhouse ships events and logs any failure; `databuddy clickhouse load` ships them without a server"
  return [
    {
      about,
      message: `${name} answers, but the oldest unshipped event is from ${new Date(oldest).toISOString()}; ${state}`,
      hint,
    },
  ]
}

function stateText({ events, deletions }: ShippingLag): string {
  const count = (value: number, noun: string) =>
    `${value.toLocaleString("en")} ${noun}${value === 1 ? "" : "s"}`
  return `${count(events, "event")} and ${count(deletions, "deletion")} have not been shipped yet`
}

import { readFileSync, writeFileSync } from "node:fs"
import { openReader, type Server } from "../harness.ts"
import { type Client, emptyWaits } from "./honest-clients.ts"

// What `npm run test:attack` measures, and how it is printed.

/**
 * Resources that the process used: ms of CPU time, ms for which its main thread waited for a core, and MB of memory.
 */
export interface Usage {
  main: number
  /** ms for which the main thread was runnable, but other threads had the cores. */
  waiting: number
  others: number
  /** Peak memory since the last call of `resetPeak`. */
  peak: number
}

export function usageOf({ pid }: Pick<Server, "pid">): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  // utime and stime, in ticks of 10 ms. Fields are counted from the end of the name, which is in parentheses.
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number)
  const [run = 0, wait = 0] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8")
    .split(" ")
    .map(Number)
  const peak = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])
  const main = run / 1e6
  return { main, waiting: wait / 1e6, others: (user + system) * 10 - main, peak: (peak * 1_024) / 1e6 }
}

export function resetPeak({ pid }: Pick<Server, "pid">): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5")
}

/** Returns how many of the events are stored exactly once. */
export function countStored(path: string, ids: readonly string[]): number {
  const db = openReader(path)
  try {
    const counts = new Map(
      db
        .prepare("select event_id, count(*) from events where event_id is not null group by event_id")
        .raw()
        .all() as [string, number][],
    )
    return ids.filter((id) => counts.get(id) === 1).length
  } finally {
    db.close()
  }
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export const table = (rows: (string | number)[][]) => {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => String(row[column]).length))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, column) => String(cell).padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n")
}

/** Results of the honest clients, added up over several phases. */
export interface Phase {
  waits: Record<Client, number[]>
  failures: Record<string, number>
  stored: string[]
  seconds: number
  usage: Usage
}

export const emptyPhase = (): Phase => ({
  waits: emptyWaits(),
  failures: {},
  stored: [],
  seconds: 0,
  usage: { main: 0, waiting: 0, others: 0, peak: 0 },
})

export const perSecond = ({ usage, seconds }: Phase) =>
  (["main", "waiting", "others"] as const).map((key) => Math.round(usage[key] / seconds))

export const percentiles = ({ waits }: Phase, client: Client) =>
  [0.5, 0.99].map((share) => percentile(waits[client], share).toFixed(1))

import { readFileSync } from "node:fs"

/** Resident memory of a process, now and at its peak, in MiB. Works only on Linux. */
export function memoryOf({ pid }: { pid: number }): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const field = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1_024
  return { now: field("VmRSS"), peak: field("VmHWM") }
}

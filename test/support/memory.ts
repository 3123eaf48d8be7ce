import { readFileSync } from "node:fs"

/** Resident memory of a process in MiB; `peak`: the most ever. Only Linux has it in a file. */
export function memoryOf({ pid }: { pid: number }): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const field = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1_024
  return { now: field("VmRSS"), peak: field("VmHWM") }
}

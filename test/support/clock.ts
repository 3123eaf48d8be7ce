import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { repository } from "./repository.ts"

/** The C compiler for the preload library; null if there is none, or this is not Linux. */
export const compiler = process.platform === "linux" ? Bun.which("cc") : null

/** Compiles clock.c, which shifts the clock of processes that preload it. Returns the environment variables for them. */
export function buildClock(folder: string): { LD_PRELOAD: string; CLOCK_FILE: string } {
  const library = join(folder, "clock.so")
  const source = join(repository, "test/support/clock.c")
  const { success, stderr } = Bun.spawnSync([compiler ?? "cc", "-shared", "-fPIC", "-o", library, source])
  if (!success) throw new Error(stderr.toString())
  return { LD_PRELOAD: library, CLOCK_FILE: join(folder, "ahead") }
}

/** Sets the clock of the processes with this CLOCK_FILE `seconds` ahead of the machine's. */
export function setAhead(file: string, seconds: number): void {
  // A mapped file must not shrink.
  writeFileSync(file, new BigInt64Array([BigInt(seconds)]), { flag: existsSync(file) ? "r+" : "w" })
}

/** Sets the clock of the processes with this CLOCK_FILE to `at` (Unix ms), regardless of this process's own clock. */
export function setClock(file: string, at: number): void {
  setAhead(file, ownAhead() + Math.round((at - Date.now()) / 1_000))
}

/** Seconds by which the clock of this process is ahead of the machine's. */
export function ownAhead(): number {
  const file = process.env.CLOCK_FILE
  return file === undefined ? 0 : Number(readFileSync(file).readBigInt64LE())
}

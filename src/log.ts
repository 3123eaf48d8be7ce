export const logLevels = ["debug", "info", "warn", "error"] as const
export type LogLevel = (typeof logLevels)[number]
export type LogFields = Record<string, string | number | boolean | null | undefined>
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void

/**
 * Minimum time between log lines for the same error, in ms, so that a loaded server does not log it for each request.
 */
const throttleInterval = 1_000

/**
 * Creates a log that writes one JSON object per line, or readable text if `readable` is set. `options.level` can be
 * changed later. In JSON, a field cannot replace the time, level or message of its line.
 */
export function createLog(
  write: (line: string) => void,
  options: { level: LogLevel; readable: boolean },
  now: () => number,
): Log {
  return (level, message, fields = {}) => {
    if (logLevels.indexOf(level) < logLevels.indexOf(options.level)) return
    const time = new Date(now()).toISOString()
    if (!options.readable) {
      const line = { time, level, message }
      // The first spread puts these keys first. The last one prevents `fields` from replacing them.
      write(`${JSON.stringify({ ...line, ...fields, ...line })}\n`)
      return
    }
    const text = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
    write(`${time} ${level} ${message}${text.join("")}\n`)
  }
}

/**
 * Calls `report` for `key` at most once per second. `suppressed`: the number of calls skipped since the last report, or
 * undefined if there were none.
 */
export type Throttle = (key: string, report: (suppressed: number | undefined) => void) => void

/** Creates a throttle. `elapsed`: monotonic clock, in ms. */
export function createThrottle(elapsed: () => number): Throttle {
  const last = new Map<string, { at: number; suppressed: number }>()
  return (key, report) => {
    const before = last.get(key)
    if (before && elapsed() - before.at < throttleInterval) {
      before.suppressed++
      return
    }
    // Keys are error messages, so there are usually only a few. The limit bounds memory if there are more.
    if (last.size > 100) last.clear()
    last.set(key, { at: elapsed(), suppressed: 0 })
    report(before?.suppressed || undefined)
  }
}

/**
 * Returns a function that logs store failures. It logs each message at most once per second, with the number of
 * suppressed repetitions as `more`.
 */
export function faultLog(log: Log, elapsed: () => number): (error: unknown) => void {
  const throttled = createThrottle(elapsed)
  return (error) => {
    const { message, code } = describe(error)
    throttled(message, (more) => log("error", "the store failed", { error: message, code, more }))
  }
}

function describe(error: unknown): { message: string; code: string | undefined } {
  const { message, code, cause } = (error ?? {}) as { message?: string; code?: string; cause?: unknown }
  if (cause) return describe(cause)
  return { message: message ?? String(error), code }
}

export const logLevels = ["debug", "info", "warn", "error"] as const
export type LogLevel = (typeof logLevels)[number]
export type LogFields = Record<string, string | number | boolean | null | undefined>
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void

/** ms: the same fault under load is one line a second, not one a request. */
const throttleInterval = 1_000

/** One JSON object a line, or a readable line where a person looks on. */
export function createLog(
  write: (line: string) => void,
  options: { level: LogLevel; readable: boolean },
  now: () => number,
): Log {
  const least = logLevels.indexOf(options.level)
  return (level, message, fields = {}) => {
    if (logLevels.indexOf(level) < least) return
    const time = new Date(now()).toISOString()
    if (!options.readable) {
      write(`${JSON.stringify({ time, level, message, ...fields })}\n`)
      return
    }
    const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
    write(`${time} ${level} ${message}${rest.join("")}\n`)
  }
}

/** Says that `what` happened, once a second at most; `more`: how often it was left unsaid since the last time. */
export type Throttle = (what: string, say: (more: number | undefined) => void) => void

/** `elapsed`: ms of a clock that is never set. */
export function createThrottle(elapsed: () => number): Throttle {
  const last = new Map<string, { at: number; hidden: number }>()
  return (what, say) => {
    const before = last.get(what)
    if (before && elapsed() - before.at < throttleInterval) {
      before.hidden++
      return
    }
    // What is said are messages of errors and few; should they ever be many, the memory of them starts anew.
    if (last.size > 100) last.clear()
    last.set(what, { at: elapsed(), hidden: 0 })
    say(before?.hidden || undefined)
  }
}

/** Logs each fault of the store, the same message once a second at most, with how many were not logged. */
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

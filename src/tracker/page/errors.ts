import type { Host } from "./plugin.ts"

/** Maximum number of errors to report per page, so that code that keeps throwing does not send errors forever. */
const maxErrors = 100
/** Maximum number of identical errors to report per page. */
const maxEqual = 5
/**
 * Errors to ignore, in addition to errors from browser extensions: ResizeObserver warnings that a layout takes more
 * than one frame, and errors from scripts on other origins, which contain no details.
 */
const ignored = /^ResizeObserver loop|^Script error\.?$/
const extension = /^[a-z-]+-extension:/

/** Returns a function that reports `error` and `unhandledrejection` events. */
export function start({ add, path }: Host): (event: Event) => void {
  const counts = new Map<string, number>()
  let total = 0
  return (event) => {
    const fields = fieldsOf(event)
    if (!fields || ignored.test(fields.message) || extension.test(fields.filename ?? "")) return
    const key = `${fields.message} ${fields.filename} ${fields.lineno}`
    const count = counts.get(key) ?? 0
    if (count >= maxEqual || total >= maxErrors) return
    counts.set(key, count + 1)
    total++
    add("/errors", { ...fields, path: path() })
  }
}

function fieldsOf(event: Event) {
  if (event instanceof ErrorEvent) {
    const { message, filename, lineno, colno, error } = event
    return { ...describe(error, message), filename: filename.slice(0, 512), lineno, colno }
  }
  if (event instanceof PromiseRejectionEvent)
    return { ...describe(event.reason), filename: undefined, lineno: undefined }
  // An image or a script has failed to load.
  return undefined
}

/** Returns the fields that describe a thrown value, which can have any type. */
function describe(thrown: unknown, message?: string) {
  const isError = thrown instanceof Error
  const text = message || (isError ? thrown.message : textOf(thrown))
  return {
    message: text.slice(0, 2_048) || "Unknown error",
    errorType: (isError ? thrown.name : typeof thrown).slice(0, 128),
    stack: isError ? thrown.stack?.slice(0, 4_096) : undefined,
  }
}

function textOf(thrown: unknown): string {
  try {
    return typeof thrown === "object" ? JSON.stringify(thrown) : String(thrown)
  } catch {
    return String(thrown)
  }
}

import { type RejectionReason, rejections } from "./rejection-reasons.ts"

/**
 * An invalid field of a request. For example, `1.properties` is the field `properties` of the second event in a batch.
 */
export interface FieldError {
  field: string
  message: string
}

/**
 * Thrown to reject a request. The response is built from the reason's row in `rejections`, from `fields` and, under
 * /v1, from `detail`. `cause` is only logged.
 */
export class RequestError extends Error {
  readonly fields: FieldError[] | undefined
  /** Value of the header `Retry-After`, in seconds. */
  readonly retryAfter: number | undefined
  /** Additional response headers, such as RateLimit headers. */
  readonly headers: Record<string, string> | undefined
  /** Replaces the reason's meaning and advice in errors under /v1 and in the CLI. */
  readonly detail: string | undefined

  constructor(
    readonly reason: RejectionReason,
    more: {
      fields?: FieldError[]
      retryAfter?: number
      headers?: Record<string, string>
      detail?: string
      cause?: unknown
    } = {},
  ) {
    super(more.detail ?? rejections[reason].message, { cause: more.cause })
    this.fields = more.fields
    this.retryAfter = more.retryAfter
    this.headers = more.headers
    this.detail = more.detail
  }
}

/** Returns a RequestError unchanged. Any other error becomes `internal`, so that the client learns nothing about it. */
export function toRequestError(error: unknown): RequestError {
  return error instanceof RequestError ? error : new RequestError("internal", { cause: error })
}

/** Returns the message of a thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Returns the code of a SQLite or system error, such as SQLITE_BUSY or ENOENT, or '' if the error has no code. */
export function codeOf(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
  return typeof code === "string" ? code : ""
}

/** True if SQLite failed because another connection holds the lock. */
export function isBusy(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error))
}

/** Thrown when writing to standard output fails, which means that the command's output is incomplete. */
export class OutputError extends Error {
  /** True if the reader closed the pipe, as `head` does after its last line. */
  readonly isClosedPipe: boolean

  constructor(cause: unknown) {
    const { code, message } = cause as { code?: string; message: string }
    super(`cannot write to standard output (${code ?? message})`, { cause })
    this.isClosedPipe = code === "EPIPE"
  }
}

/** An error that the user of a command can fix. The CLI prints it as `error` and `hint` and exits with code 1. */
export class UserError extends Error {
  constructor(
    message: string,
    readonly hint?: string,
  ) {
    super(message)
  }
}

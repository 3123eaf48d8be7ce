/**
 * Every way a request can be refused. The key is the stable word of `x-databuddy-reason`; the message is the one the
 * contract publishes for the status.
 */
export const rejections = {
  invalid_host: { status: 400, message: "Invalid Host header" },
  invalid_utf8: { status: 400, message: "Invalid request body" },
  invalid_json: { status: 400, message: "Invalid request body" },
  invalid_gzip: { status: 400, message: "Invalid request body" },
  nesting_too_deep: { status: 400, message: "Invalid request body" },
  invalid_shape: { status: 400, message: "Invalid request body" },
  batch_too_long: { status: 400, message: "Invalid request body" },
  unsupported_content_type: { status: 400, message: "Invalid request body" },
  unsupported_content_encoding: { status: 400, message: "Invalid request body" },
  website_id_missing: { status: 400, message: "Missing websiteId" },
  credential_missing: { status: 401, message: "API key or website_id required" },
  key_malformed: { status: 401, message: "API key or website_id required" },
  key_unknown: { status: 401, message: "API key or website_id required" },
  key_disabled: { status: 401, message: "API key or website_id required" },
  key_revoked: { status: 401, message: "API key or website_id required" },
  key_expired: { status: 401, message: "API key or website_id required" },
  login_wrong: { status: 401, message: "Wrong email or password" },
  login_ended: { status: 401, message: "Login has ended" },
  share_ended: { status: 401, message: "Share link has ended" },
  metrics_token_wrong: { status: 401, message: "Metrics token required" },
  scope_missing: { status: 403, message: "API key missing track:events scope" },
  website_mismatch: { status: 403, message: "Website scope mismatch" },
  key_website_mismatch: { status: 403, message: "Website scope mismatch" },
  grant_too_wide: { status: 403, message: "Nobody can give more than they have themselves" },
  csrf: { status: 403, message: "Request from another page" },
  origin_not_allowed: { status: 403, message: "Origin not authorized" },
  website_unknown: { status: 404, message: "Website not found" },
  website_paused: { status: 404, message: "Website not found" },
  key_not_found: { status: 404, message: "Key not found" },
  note_unknown: { status: 404, message: "Note not found" },
  view_unknown: { status: 404, message: "Saved view not found" },
  share_unknown: { status: 404, message: "Share link not found" },
  profile_unknown: { status: 404, message: "Profile not found" },
  user_not_found: { status: 404, message: "User not found" },
  invite_unknown: { status: 404, message: "Link not found" },
  route_unknown: { status: 404, message: "Not found" },
  conflict: { status: 409, message: "Already exists" },
  payload_too_large: { status: 413, message: "Payload too large" },
  rate_limited: { status: 429, message: "Rate limit exceeded" },
  too_many_failed_credentials: { status: 429, message: "Rate limit exceeded" },
  too_many_rejected_bytes: { status: 429, message: "Rate limit exceeded" },
  too_many_new_names: { status: 429, message: "Rate limit exceeded" },
  row_refused: { status: 500, message: "Internal server error" },
  internal: { status: 500, message: "Internal server error" },
  store_locked: { status: 503, message: "Temporarily unavailable" },
  store_failed: { status: 503, message: "Temporarily unavailable" },
  disk_low: { status: 503, message: "Temporarily unavailable" },
  file_replaced: { status: 503, message: "Temporarily unavailable" },
  streams_full: { status: 503, message: "Temporarily unavailable" },
  queue_full: { status: 503, message: "Temporarily unavailable" },
  queries_full: { status: 503, message: "Temporarily unavailable" },
} as const satisfies Record<string, { status: number; message: string }>

export type Reason = keyof typeof rejections

/** One bad field of a request: `1.properties` is the field `properties` of the second event of a batch. */
export interface FieldError {
  field: string
  message: string
}

/** A request that is not carried out. Only the table above and `fields` ever reach a client; `cause` is for the log. */
export class RequestError extends Error {
  readonly fields: FieldError[] | undefined
  /** Seconds, for `Retry-After`. */
  readonly retryAfter: number | undefined
  /** More headers of the answer, such as those of a rate limit. */
  readonly headers: Record<string, string> | undefined
  /** What a person should know beyond the status' message; shown by the management API and the command line. */
  readonly detail: string | undefined

  constructor(
    readonly reason: Reason,
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

/** Standard output cannot be written: whatever a command has to say is lost. */
export class OutputError extends Error {
  /** The reader of the pipe has gone, as `head` does once it has enough. */
  readonly isClosedPipe: boolean

  constructor(cause: unknown) {
    const { code, message } = cause as { code?: string; message: string }
    super(`standard output cannot be written (${code ?? message})`, { cause })
    this.isClosedPipe = code === "EPIPE"
  }
}

/** What a person at the command line did wrong or must mend: printed as `error` and `hint`, exit code 1. */
export class UserError extends Error {
  constructor(
    message: string,
    readonly hint?: string,
  ) {
    super(message)
  }
}

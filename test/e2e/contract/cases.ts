import { acquisitionFields, clientFields } from "../../../src/store/contexts.ts"
import type { KeyName } from "./seed.ts"
import { secrets } from "./seed.ts"

/** One request. */
export interface ContractRequest {
  /** Default: /track */
  path?: string
  /** Sent as a Bearer token, or null for no key. Default: an unlimited key. */
  key?: KeyName | null
  /** Names in lower case; null removes a default header. */
  headers?: Record<string, string | null>
  /** Strings and bytes are sent unchanged, other values as JSON. */
  body: unknown
}

/** A row of the view `events` with parsed properties. The default timestamp is the time of receipt. */
export interface StoredEvent {
  website_id: string | null
  name: string
  namespace: string | null
  source: string | null
  timestamp?: number
  anonymous_id: unknown
  session_id: string | null
  profile_id: string | null
  path: string | null
  event_id: string | null
  credential: "key" | "website_id"
  crawler: 0 | 1
  properties: unknown
}

export interface Accepted {
  count: number
  /** Stored rows, in order. */
  stored: StoredEvent[]
  /** The header `x-databuddy-reason` of the 200 response. */
  reason: string | null
}

export interface Rejected {
  reason: string
  status: number
  /** The exact body. */
  body: string
}

export interface Case {
  name: string
  sent: ContractRequest
  answer: Accepted | Rejected
}

const nothing: StoredEvent = {
  website_id: null,
  name: "e",
  namespace: null,
  source: null,
  anonymous_id: null,
  session_id: null,
  profile_id: null,
  path: null,
  event_id: null,
  credential: "key",
  crawler: 0,
  properties: null,
}

/** Values that the view `events` shows in the columns for pages if an event is not from a page. */
export const notFromPage = {
  kind: "custom",
  ...Object.fromEntries([...clientFields, ...acquisitionFields].map((field) => [field, null])),
}

/** A minimal event. */
export const plainEvent = { name: "e" }

/** Returns the row that stores `plainEvent` if it is sent with an unlimited key, with `changes` applied. */
export function row(changes: Partial<StoredEvent> = {}): StoredEvent {
  return { ...nothing, ...changes }
}

export function accepted(
  stored: readonly Partial<StoredEvent>[],
  { count = stored.length, reason = null }: { count?: number; reason?: string | null } = {},
): Accepted {
  return { count, stored: stored.map(row), reason }
}

/** The published messages, by status. */
const messages: Record<number, string> = {
  400: "Invalid request body",
  401: "API key or website_id required",
  404: "Website not found",
  413: "Payload too large",
  429: "Rate limit exceeded",
  500: "Internal server error",
  503: "Temporarily unavailable",
}

const statuses: Record<string, number | [status: number, message: string]> = {
  invalid_utf8: 400,
  invalid_json: 400,
  invalid_gzip: 400,
  invalid_shape: 400,
  nesting_too_deep: 400,
  batch_too_long: 400,
  unsupported_content_type: 400,
  unsupported_content_encoding: 400,
  website_id_missing: [400, "Missing websiteId"],
  credential_missing: 401,
  key_malformed: 401,
  key_unknown: 401,
  key_disabled: 401,
  key_revoked: 401,
  key_expired: 401,
  scope_missing: [403, "API key missing track:events scope"],
  website_mismatch: [403, "Website scope mismatch"],
  key_website_mismatch: [403, "Website scope mismatch"],
  origin_not_allowed: [403, "Origin not authorized"],
  website_unknown: 404,
  website_paused: 404,
  payload_too_large: 413,
  rate_limited: 429,
  too_many_failed_credentials: 429,
  too_many_rejected_bytes: 429,
  row_refused: 500,
  store_locked: 503,
  queue_full: 503,
}

/** `errors` maps fields to messages, in the order of the response. */
export function rejected(reason: string, errors?: Record<string, string>): Rejected {
  const entry = statuses[reason]
  if (entry === undefined) throw new Error(`no such reason: ${reason}`)
  const [status, message] = typeof entry === "number" ? [entry, messages[entry]] : entry
  const fields = errors && Object.entries(errors).map(([field, problem]) => ({ field, message: problem }))
  const body = fields ? { status: "error", message, errors: fields } : { status: "error", message }
  return { reason, status, body: JSON.stringify(body) }
}

/** Returns `plainEvent` with `field` set to `value`. */
export function eventWith(field: string, value: unknown): Record<string, unknown> {
  return { ...plainEvent, [field]: value }
}

export function headersOf({ key = "full", headers = {} }: ContractRequest): Headers {
  const all: Record<string, string | null> = {
    "content-type": "application/json",
    authorization: key === null ? null : `Bearer ${secrets[key]}`,
    ...headers,
  }
  return new Headers(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null))
}

export function bytesOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body))
}

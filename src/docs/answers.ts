import { type FieldError, type Reason, RequestError, rejections } from "../errors.ts"
import { type Json, ref } from "./json.ts"

/** What each reason tells a person. The statuses and messages are those of the table in src/errors.ts. */
export const meanings: Record<Reason, string> = {
  invalid_host: "the Host header is missing, or is no host",
  invalid_utf8: "the body is not UTF-8",
  invalid_json: "the body is not JSON",
  invalid_gzip: "the body is not gzip, though Content-Encoding says so",
  nesting_too_deep: "objects and arrays are nested too deep to be read",
  invalid_shape: "a field is missing, of a wrong type or beyond a limit; `errors` names it",
  batch_too_long: "more events than one request may hold",
  unsupported_content_type: "a Content-Type that is not JSON",
  unsupported_content_encoding: "a Content-Encoding other than gzip",
  website_id_missing: "a websiteId neither in the body nor in the query",
  credential_missing: "no credential",
  key_malformed: "what was sent does not look like a key",
  key_unknown: "there is no such key",
  key_disabled: "the key is disabled",
  key_revoked: "the key was revoked",
  key_expired: "the key has expired",
  login_wrong: "there is no such user, or the password is another",
  login_ended: "the login has ended, by time or because somebody ended it",
  share_ended: "the share link has ended, by time or because somebody ended it",
  metrics_token_wrong: "not the token of --metrics-token-file",
  scope_missing: "the key lacks the scope that this takes",
  website_mismatch: "an event is for another website than the website id that is the credential",
  key_website_mismatch: "the key is limited to some websites, and this is for another or for none",
  grant_too_wide: "nobody can give, take or touch more than they have themselves",
  csrf: "a page of another origin made the request, or it lacks `x-databuddy-page: 1`, which what is more than a look needs beside a cookie",
  origin_not_allowed: "the page's origin is not one of the website's",
  website_unknown: "there is no such website",
  website_paused: "the website is paused",
  key_not_found: "there is no key with this id",
  note_unknown: "there is no note with this id",
  view_unknown: "there is no saved view with this id",
  share_unknown: "there is no share link with this id",
  profile_unknown: "the website has no profile with this id",
  user_not_found: "there is no user with this id",
  invite_unknown: "there is no such link: it was used, is over, or never was",
  route_unknown: "there is nothing at this path",
  conflict: "it exists already, is revoked for good, or is one more than are kept",
  payload_too_large: "the body is too large, as sent or after decompression",
  rate_limited:
    "too many requests with this key, or too many requests, events or bytes for this website from this address, or exports or queries at a time",
  too_many_failed_credentials:
    "the key is wrong, and too many wrong ones came from this address; a right one is accepted",
  too_many_rejected_bytes:
    "too many bytes of rejected requests came from this address within a minute; a valid key is not affected",
  too_many_new_names:
    "with a website id as the credential: event names (each with its namespace and source) that nobody sent before, more than 1,000 for this website since midnight UTC",
  row_refused: "the database refused what was sent; nothing of it is stored",
  internal: "a fault of the server",
  store_locked: "another process holds the database's lock",
  store_failed: "the disk is full, or failed",
  disk_low: "less room is left on the disk than --min-free",
  file_replaced: "the database file was removed or replaced while the server had it open",
  streams_full: "as many streams are open as the server keeps",
  queue_full: "more is waiting for the disk than the server holds",
  queries_full: "too many queries of all callers are waiting, or this one has waited for a minute",
}

/** Statuses after which the same request can be sent again. */
const retriable = new Set<number>([429, 503])

/** The `components.headers` that the responses refer to. */
export const headers: Json = {
  RequestId: {
    description: "The request's own x-request-id if it sent a sane one, else a new one",
    schema: { type: "string" },
    required: true,
  },
  RetryAfter: {
    description: "Seconds to wait before the same request is sent again",
    schema: { type: "integer", minimum: 0 },
    required: true,
  },
  RateLimitLimit: {
    description:
      "Requests a minute, of which a large one counts as several; the RateLimit headers are there where a request counts against a limit",
    schema: { type: "integer" },
  },
  RateLimitRemaining: { description: "Requests left", schema: { type: "integer" } },
  RateLimitReset: {
    description: "Seconds until one more is allowed, if none is left; else until all are",
    schema: { type: "integer" },
  },
}

const everyAnswer = {
  "x-request-id": ref("headers/RequestId"),
  "RateLimit-Limit": ref("headers/RateLimitLimit"),
  "RateLimit-Remaining": ref("headers/RateLimitRemaining"),
  "RateLimit-Reset": ref("headers/RateLimitReset"),
}

export function success(
  description: string,
  schema: Json,
  more: { headers?: Json; example?: Json } = {},
): Json {
  const { headers, ...content } = more
  return {
    description,
    headers: { ...everyAnswer, ...headers },
    content: { "application/json": { schema, ...content } },
  }
}

export function reasonHeader(description: string, reasons: readonly Reason[]): Json {
  return { "x-databuddy-reason": { description, schema: { type: "string", enum: reasons } } }
}

/** How some routes word a refusal. */
export interface Wording {
  /** The routes' own function: the examples are what it makes. */
  refuse: (error: unknown, headers: Record<string, string>) => Response
  /** Of the bodies that one status comes with. */
  schema: (bodies: readonly Json[]) => Json
  /** What `errors` may look like. */
  field: FieldError
}

/** One response for each status that the reasons have, with the reasons, bodies and headers of that status. */
export async function refused(reasons: readonly Reason[], wording: Wording): Promise<Json> {
  const responses: Json = {}
  for (const [status, ofStatus] of Map.groupBy(reasons, (reason) => rejections[reason].status)) {
    responses[status] = await refusedWith(status, ofStatus, wording)
  }
  return responses
}

async function refusedWith(status: number, reasons: readonly Reason[], wording: Wording): Promise<Json> {
  const bodies = new Map<string, Json>()
  const examples: Json = {}
  for (const reason of reasons) {
    const text = await example(reason, wording)
    if (bodies.has(text)) continue
    bodies.set(text, JSON.parse(text))
    examples[reason] = { value: JSON.parse(text) }
  }
  const messages = new Set(reasons.map((reason) => rejections[reason].message))
  const list = reasons.map((reason) => `- \`${reason}\`: ${meanings[reason]}`)
  return {
    description: `${[...messages].join(", or ")}\n\n${list.join("\n")}`,
    headers: {
      ...everyAnswer,
      ...reasonHeader("Why, in one stable word", reasons),
      ...(retriable.has(status) ? { "Retry-After": ref("headers/RetryAfter") } : {}),
    },
    content: { "application/json": { schema: wording.schema([...bodies.values()]), examples } },
  }
}

function example(reason: Reason, { refuse, field }: Wording): Promise<string> {
  const more = { fields: [field], detail: `${field.field} ${field.message}` }
  const refusal = new RequestError(reason, reason === "invalid_shape" ? more : {})
  return refuse(refusal, { "x-request-id": "0c1f6a52-1f0e-4a0e-9d57-8a5c7a4f2b11" }).text()
}

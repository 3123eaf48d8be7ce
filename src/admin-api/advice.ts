import { type Reason, rejections } from "../errors.ts"
import type { RejectedRequest } from "../http/rejected-requests.ts"

/** What to change, for each reason that /track and /identify have; for people who see it in a list, not at the request. */
const advice: Partial<Record<Reason, string>> = {
  invalid_utf8: "Encode the body as UTF-8.",
  invalid_json: "Send the body as JSON, as JSON.stringify writes it. One that was cut off is none.",
  invalid_gzip: "Compress the body with gzip, or send it without Content-Encoding.",
  nesting_too_deep: "Send flatter JSON: properties are nested at most 64 deep.",
  invalid_shape:
    "Send a JSON object with the fields that GET /docs lists; /track also takes an array of such objects.",
  batch_too_long: "Send fewer events in one request, or raise --max-batch.",
  unsupported_content_type: "Send the body as Content-Type: application/json.",
  unsupported_content_encoding: "Send the body as it is, or gzip it and say Content-Encoding: gzip.",
  website_id_missing: "Name the website: as websiteId in the body, or as ?website_id= in the address.",
  credential_missing:
    "Send an API key as Authorization: Bearer <key>. A page, which can keep no secret, sends its events to /track?website_id=<id> instead.",
  key_malformed:
    "Send the whole key, as it was shown when it was made: it begins with dbdy_ and has 37 characters.",
  key_unknown:
    "Send a key that exists; this one was never made, or has been rotated since. A new one can be created.",
  key_disabled: "Enable the key again, or send another one.",
  key_revoked: "Create a new key and send that: a revoked one stays revoked.",
  key_expired: "Give the key a later end, or send a new one.",
  scope_missing: "Give the key the scope track:events, or send one that has it.",
  website_mismatch:
    "Leave websiteId out of the events, or make it the website id that the request is sent with. Events for several websites take an API key.",
  key_website_mismatch:
    "Add the website to those of the key, or send a key that is for it. Events that name no website take a key that is not limited to some.",
  origin_not_allowed:
    "Add the host of the page, or the whole origin of the app, to the website's allowed origins. What says no origin takes an API key.",
  website_unknown: "Correct the website id, or create the website: none has this id, or it was deleted.",
  website_paused: "Resume the website: a paused one takes no events.",
  payload_too_large: "Send less in one request, or raise --max-body.",
  rate_limited:
    "Send less and wait as long as Retry-After says, or send with a key. The limit is the key's own; for a website id from one address it is --rate-limit, --rate-limit-events and --rate-limit-bytes.",
  too_many_failed_credentials:
    "Stop what sends wrong keys from this address, or give it a right key, which is accepted at once.",
  too_many_rejected_bytes:
    "Mend what this address sends: so much of it was rejected that the rest waits for a minute. A request with a valid key is still accepted.",
  too_many_new_names:
    "Put what differs from event to event into properties, not into the name, namespace or source. If the names are meant, send them with an API key: without one a website takes 1,000 new ones a day (UTC), and all known ones.",
  row_refused:
    "Look into the server's log, which says what the database would not take. Nothing of the request is stored.",
  internal: "Look into the server's log: this is a fault of the server, and the request was in order.",
  store_locked:
    "End the program that holds the database's lock, or let it write in shorter steps. Then send the request again.",
  store_failed: "Make room on the disk, or mend it: the server's log says what failed. Then send it again.",
  disk_low: "Make room on the database's disk, or lower --min-free. Then send the request again.",
  file_replaced:
    "Restart the server: its database file was removed or replaced. Then send the request again.",
  queue_full:
    "Send the request again after as long as Retry-After says. Where this happens often the disk is too slow, or --queue-events and --queue-bytes are too low.",
}

/** What to change about a refused request, in one or two sentences. */
export function adviceOn({
  reason,
  fields,
  origin,
}: Pick<RejectedRequest, "reason" | "fields" | "origin">): string {
  if (origin) return `If ${origin} is yours, add ${origin} to the website's allowed origins.`
  if (fields.length === 0) return advice[reason] ?? `${rejections[reason].message}.`
  return `Mend what was sent: ${fields.map(({ field, message }) => `${field} ${message}`).join("; ")}.`
}

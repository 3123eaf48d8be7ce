/** One way to reject a request. */
interface Rejection {
  status: number
  /** The message that the contract defines for the status. */
  message: string
  /** What happened, as a lower-case clause without a full stop. Shown in the API reference and in /v1 errors. */
  meaning: string
  /**
   * What to do next, in one or two sentences. Shown in /v1 errors, in CLI hints, and in the list of rejected requests.
   */
  advice: string
}

/** Every reason to reject a request. The keys are values of the `x-databuddy-reason` header. */
export const rejections = {
  invalid_host: {
    status: 400,
    message: "Invalid Host header",
    meaning: "the Host header is missing or is not a host",
    advice: "Set the Host header to the host that the request is for.",
  },
  invalid_utf8: {
    status: 400,
    message: "Invalid request body",
    meaning: "the body is not UTF-8",
    advice: "Encode the body as UTF-8.",
  },
  invalid_json: {
    status: 400,
    message: "Invalid request body",
    meaning: "the body is not JSON",
    advice: "Send complete JSON, as JSON.stringify writes it.",
  },
  invalid_gzip: {
    status: 400,
    message: "Invalid request body",
    meaning: "Content-Encoding is gzip, but the body is not",
    advice: "Compress the body with gzip, or send it without Content-Encoding.",
  },
  nesting_too_deep: {
    status: 400,
    message: "Invalid request body",
    meaning: "the body nests objects and arrays too deeply",
    advice: "Send flatter JSON: properties can be nested at most 64 levels deep.",
  },
  too_many_values: {
    status: 400,
    message: "Invalid request body",
    meaning: "the body, or an item of its array, contains more than 32,768 values",
    advice: "Send fewer properties per event: the limit is 32 KiB of JSON.",
  },
  invalid_shape: {
    status: 400,
    message: "Invalid request body",
    meaning: "a field is missing, has the wrong type or exceeds a limit; see `errors`",
    advice:
      "Send a JSON object with the fields listed at GET /docs; /track also takes an array of such objects.",
  },
  batch_too_long: {
    status: 400,
    message: "Invalid request body",
    meaning: "the request contains more events than allowed",
    advice:
      "Send fewer events per request. For /track, --max-batch raises the limit; GET /docs lists the limits of the page script.",
  },
  unsupported_content_type: {
    status: 400,
    message: "Invalid request body",
    meaning: "the Content-Type is not JSON",
    advice: "Send the body as Content-Type: application/json.",
  },
  unsupported_content_encoding: {
    status: 400,
    message: "Invalid request body",
    meaning: "the Content-Encoding is not gzip",
    advice: "Send the body uncompressed, or compress it with gzip and send Content-Encoding: gzip.",
  },
  website_id_missing: {
    status: 400,
    message: "Missing websiteId",
    meaning: "the request does not name a website",
    advice: "Name the website in the query as ?website_id=<id>, or as websiteId in the body of /identify.",
  },
  client_id_missing: {
    status: 400,
    message: "Missing client ID",
    meaning: "the page does not name a website",
    advice:
      "Name the website in the query as ?client_id=<id>, or in the header databuddy-client-id. The page script sends the ID in its data-client-id attribute.",
  },
  client_id_unknown: {
    status: 400,
    message: "Invalid or inactive client ID",
    meaning: "no website has this client ID",
    advice:
      "Compare the client ID of the page (data-client-id) with the list of websites. The website never existed or was deleted; create it if necessary.",
  },
  client_id_paused: {
    status: 400,
    message: "Invalid or inactive client ID",
    meaning: "the website with this client ID is paused",
    advice: "Resume the website: a paused website accepts no events.",
  },
  credential_missing: {
    status: 401,
    message: "API key or website_id required",
    meaning: "the request has no credentials",
    advice:
      "Send an API key as Authorization: Bearer <key> or as x-api-key. Pages cannot keep a secret: they send events to /track?website_id=<id> instead.",
  },
  key_malformed: {
    status: 401,
    message: "API key or website_id required",
    meaning: "the value sent does not look like an API key",
    advice: "Send the whole key as shown when it was created: it starts with dbdy_ and has 37 characters.",
  },
  key_unknown: {
    status: 401,
    message: "API key or website_id required",
    meaning: "no such API key exists",
    advice:
      "Send an existing key: this one never existed or has been rotated. If the secret is lost, create a new key.",
  },
  key_disabled: {
    status: 401,
    message: "API key or website_id required",
    meaning: "the API key is disabled",
    advice: "Enable the key again, or send another key.",
  },
  key_revoked: {
    status: 401,
    message: "API key or website_id required",
    meaning: "the API key was revoked",
    advice: "Create a new key: a revoked key cannot be restored.",
  },
  key_expired: {
    status: 401,
    message: "API key or website_id required",
    meaning: "the API key has expired",
    advice: "Set a later expiry date, or create a new key.",
  },
  login_wrong: {
    status: 401,
    message: "Wrong email or password",
    meaning: "wrong email or password",
    advice: "Try again, or ask an owner for a link to reset the password.",
  },
  login_ended: {
    status: 401,
    message: "Login has ended",
    meaning: "the login session expired or was ended",
    advice: "Log in again.",
  },
  share_ended: {
    status: 401,
    message: "Share link has ended",
    meaning: "the share link has expired, has been revoked or never existed",
    advice: "Ask the person who shared it for a new link.",
  },
  metrics_token_wrong: {
    status: 401,
    message: "Metrics token required",
    meaning: "the token is missing or differs from the one in --metrics-token-file",
    advice: "Send the token as Authorization: Bearer <token>.",
  },
  scope_missing: {
    status: 403,
    message: "API key missing track:events scope",
    meaning: "the credential lacks the required scope",
    advice: "Add the scope to the key, or send a key that has it: /track and /identify require track:events.",
  },
  section_missing: {
    status: 403,
    message: "Not included",
    meaning:
      "the login or share link is limited to certain dashboard pages or to one board, and this request is not part of them",
    advice: "Ask an owner for access to the section or for a share link to the page.",
  },
  website_mismatch: {
    status: 403,
    message: "Website scope mismatch",
    meaning: "an event names a different website than the request",
    advice:
      "Remove websiteId from the events, or use the same website ID for the request. Sending to several websites requires an API key.",
  },
  key_website_mismatch: {
    status: 403,
    message: "Website scope mismatch",
    meaning:
      "the credential is limited to certain websites, and the request is for a different website or for none",
    advice:
      "Add the website to the key, or use a key that can access it. Events without a website require a key for all websites.",
  },
  grant_too_wide: {
    status: 403,
    message: "Permissions exceed those of the caller",
    meaning: "the request would grant, change or revoke permissions that the caller does not have",
    advice: "Request fewer permissions, or use a key or login that has them.",
  },
  csrf: {
    status: 403,
    message: "Request from another page",
    meaning:
      "a page of another origin made the request, or a request with a session cookie tries to make changes without the header `x-databuddy-page: 1`",
    advice: "Make the request from the dashboard, or send an API key instead of the cookie.",
  },
  origin_not_allowed: {
    status: 403,
    message: "Origin not authorized",
    meaning: "the website does not accept events from this origin",
    advice:
      "Allow the host of the page, or the whole origin of the app, in the website's settings. Requests without an Origin header require an API key if the website lists allowed origins.",
  },
  page_identify_off: {
    status: 403,
    message: "Identify from pages is off",
    meaning: "the website does not allow pages to identify visitors",
    advice: "Identify visitors with an API key, or allow pages to do so in the website's settings.",
  },
  host_not_allowed: {
    status: 403,
    message: "Host not authorized",
    meaning: "the website does not accept visits to this host",
    advice:
      "Only send visits to the website's domain or its subdomains, or allow the host in the website's settings.",
  },
  website_unknown: {
    status: 404,
    message: "Website not found",
    meaning: "no such website exists",
    advice:
      "Compare the website ID with the list of websites. The website never existed or was deleted; create it if necessary.",
  },
  website_paused: {
    status: 404,
    message: "Website not found",
    meaning: "the website is paused",
    advice: "Resume the website: a paused website accepts no events.",
  },
  key_not_found: {
    status: 404,
    message: "Key not found",
    meaning: "no API key has this ID",
    advice: "Compare the ID with the list of keys.",
  },
  note_unknown: {
    status: 404,
    message: "Note not found",
    meaning: "no annotation has this ID",
    advice: "Compare the ID with the list of annotations: this annotation might have been deleted.",
  },
  view_unknown: {
    status: 404,
    message: "Saved view not found",
    meaning: "no saved view has this ID",
    advice: "Compare the ID with the list of saved views: this view might have been deleted.",
  },
  board_unknown: {
    status: 404,
    message: "Board not found",
    meaning: "no board has this ID",
    advice: "Compare the ID with the list of boards: this board might have been deleted.",
  },
  share_unknown: {
    status: 404,
    message: "Share link not found",
    meaning: "no share link has this ID",
    advice: "Compare the ID with the list of share links: this link might have been revoked.",
  },
  profile_unknown: {
    status: 404,
    message: "Profile not found",
    meaning: "the website has no profile with this ID",
    advice: "Check the profile ID and the website. POST /identify creates profiles.",
  },
  user_not_found: {
    status: 404,
    message: "User not found",
    meaning: "no user has this ID",
    advice: "Compare the ID with the list of users.",
  },
  invite_unknown: {
    status: 404,
    message: "Link not found",
    meaning: "the link has already been used, has expired or never existed",
    advice: "Ask an owner for a new link.",
  },
  route_unknown: {
    status: 404,
    message: "Not found",
    meaning: "nothing exists at this path",
    advice: "See GET /docs for a list of all paths.",
  },
  conflict: {
    status: 409,
    message: "Already exists",
    meaning: "the item already exists, can no longer be changed, or would exceed a limit",
    advice: "List the existing items, then change or delete one of them.",
  },
  payload_too_large: {
    status: 413,
    message: "Payload too large",
    meaning: "the body is too large, either as sent or after decompression",
    advice:
      "Send less data per request. For /track, --max-body raises the limit; GET /docs lists the limits of the page script.",
  },
  rate_limited: {
    status: 429,
    message: "Rate limit exceeded",
    meaning:
      "the key or share link made too many requests; the address sent too many requests, events or bytes for this website; or too many exports or queries are running",
    advice:
      "Wait for the time in Retry-After and send less, or use an API key, which has its own limit. Requests with a website ID from one address are limited by --rate-limit, --rate-limit-events and --rate-limit-bytes.",
  },
  too_many_failed_credentials: {
    status: 429,
    message: "Rate limit exceeded",
    meaning: "the key is wrong, and this address has sent too many wrong keys; a valid key is still accepted",
    advice:
      "Stop the program that sends wrong keys from this address, or give it a valid key. Valid keys are accepted immediately.",
  },
  too_many_rejected_bytes: {
    status: 429,
    message: "Rate limit exceeded",
    meaning:
      "this address sent too many bytes in rejected requests within a minute; requests with a valid key are not affected",
    advice:
      "Fix the requests from this address, then wait a minute. Requests with a valid key are still accepted.",
  },
  too_many_new_names: {
    status: 429,
    message: "Rate limit exceeded",
    meaning:
      "the website received more than 1,000 new event names (each with its namespace and source) without an API key since midnight UTC",
    advice:
      "Put values that differ from event to event into properties, not into the name, namespace or source. If you need all these names, send the events with an API key: without one, a website accepts known names and 1,000 new names per day (UTC).",
  },
  row_refused: {
    status: 500,
    message: "Internal server error",
    meaning: "the database rejected the data; nothing from the request was stored",
    advice:
      "Look up the request ID in the server's log, which shows what the database rejected, and fix the request.",
  },
  internal: {
    status: 500,
    message: "Internal server error",
    meaning: "the server encountered an internal error",
    advice: "Look up the request ID in the server's log. The request was valid; the error is in the server.",
  },
  store_locked: {
    status: 503,
    message: "Temporarily unavailable",
    meaning: "another process holds the database lock",
    advice:
      "Stop the program that holds the database lock, or let it write in shorter transactions. Then retry the request.",
  },
  store_failed: {
    status: 503,
    message: "Temporarily unavailable",
    meaning: "the disk is full or failed",
    advice:
      "Free up disk space or repair the disk (the server's log shows what failed), then retry the request.",
  },
  events_removed: {
    status: 503,
    message: "Temporarily unavailable",
    meaning:
      "the request needs events that were removed from the SQLite file (--keep-local) or belong to other nodes (--node), and the ClickHouse cluster cannot provide them",
    advice:
      "Retry once the cluster responds, or choose a later range. If the cluster does not support the request, `databuddy clickhouse fetch` copies removed events back into the file.",
  },
  registry_elsewhere: {
    status: 409,
    message: "Conflict",
    meaning: "this server copies its websites, keys and users from another server (--registry)",
    advice: "Send the request to the server that the error names.",
  },
  registry_secret_wrong: {
    status: 401,
    message: "Unauthorized",
    meaning: "the registry secret is missing or wrong",
    advice: "Start both servers with the same secret in --registry-secret-file or DATABUDDY_REGISTRY_SECRET.",
  },
  disk_low: {
    status: 503,
    message: "Temporarily unavailable",
    meaning: "the disk has less free space than --min-free",
    advice: "Free up space on the database's disk or lower --min-free, then retry the request.",
  },
  file_replaced: {
    status: 503,
    message: "Temporarily unavailable",
    meaning: "the database file was removed or replaced while the server had it open",
    advice: "Restart the server because its database file was removed or replaced, then retry the request.",
  },
  streams_full: {
    status: 503,
    message: "Temporarily unavailable",
    meaning: "the maximum number of event streams is already open",
    advice: "Close another stream, or retry after the time in Retry-After.",
  },
  queue_full: {
    status: 503,
    message: "Temporarily unavailable",
    meaning: "too many events are waiting to be written to disk",
    advice:
      "Retry after the time in Retry-After. If this happens often, the disk is too slow, or --queue-events and --queue-bytes are too low.",
  },
  queries_full: {
    status: 503,
    message: "Temporarily unavailable",
    meaning: "too many queries are waiting, or this query has waited for a minute",
    advice: "Retry after the time in Retry-After, and send fewer queries at a time.",
  },
} as const satisfies Record<string, Rejection>

export type RejectionReason = keyof typeof rejections

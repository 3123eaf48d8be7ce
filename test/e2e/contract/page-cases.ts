import { gzipSync } from "node:zlib"
import { websiteIds } from "./seed.ts"

/** A request from a page, with the expected response and the expected rows. */
export interface PageCase {
  name: string
  method?: "GET" | "POST" | "HEAD"
  path: string
  headers?: Record<string, string>
  /** Strings and bytes are sent unchanged, other values as JSON. Absent for GET. */
  body?: unknown
  status: number
  /** The exact body. */
  answer: string
  reason?: string | null
  /** Fields of the rows of the view `events`, in order; `properties` are compared as a whole. Default: none. */
  stored?: Record<string, unknown>[]
}

/** Stands for a hash of an anonymous id. */
export const expectHash = "(hash)"

const site = websiteIds.example
const on = (path: string, id: string = site) => `${path}?client_id=${id}`

export const view = { eventId: "e", name: "screen_view", path: "https://example.com/pricing" }
const link = { type: "outgoing_link", eventId: "e", href: "https://elsewhere.test/" }
const vital = { metricName: "LCP", metricValue: 1250.5, path: "/pricing" }
const failure = { message: "x is undefined", path: "/pricing" }
const span = { path: "/pricing" }
const custom = { eventName: "signed_up" }

/** Endpoints that accept lists: path, `type` of the response, maximum number of items, and a minimal item. */
export const lists = [
  ["/vitals", "web_vitals", 20, vital],
  ["/errors", "error", 50, failure],
  ["/engagement", "engagement", 20, span],
  ["/events", "custom_event", 100, custom],
] as const

const messages: Record<string, [status: number, message: string]> = {
  client_id_missing: [400, "Missing client ID"],
  client_id_unknown: [400, "Invalid or inactive client ID"],
  client_id_paused: [400, "Invalid or inactive client ID"],
  origin_not_allowed: [403, "Origin not authorized"],
  host_not_allowed: [403, "Host not authorized"],
  payload_too_large: [413, "Payload too large"],
  rate_limited: [429, "Rate limit exceeded"],
  page_identify_off: [403, "Identify from pages is off"],
}

/** Returns a rejection with its exact body. `errors` maps fields to messages. */
export function rejection(
  reason: string,
  errors?: Record<string, string>,
): Pick<PageCase, "status" | "answer" | "reason"> {
  const [status, message] = messages[reason] ?? [400, "Invalid request body"]
  const fields = errors && Object.entries(errors).map(([field, problem]) => ({ field, message: problem }))
  const body = { status: "error", message, ...(fields && { errors: fields }) }
  return { status, answer: JSON.stringify(body), reason }
}

function ok(body: object, status = 200): Pick<PageCase, "status" | "answer" | "reason"> {
  return { status, answer: JSON.stringify(body), reason: null }
}

const okView = ok({ status: "success", type: "track" })
const okLink = ok({ status: "success", type: "outgoing_link" })

/** Returns the response to a batch of one invalid item. */
function invalidItem(item: { eventId?: unknown; type?: unknown }, errors: Record<string, string>) {
  const type = item.type ?? "track"
  const isKnown = type === "track" || type === "outgoing_link"
  const result = {
    status: "error",
    message: isKnown ? "Invalid event schema" : "Unknown event type",
    code: "INVALID_EVENT_SCHEMA",
    errors: Object.entries(errors).map(([field, message]) => ({ field, message })),
    eventType: typeof type === "string" ? type : "unknown",
    eventId: typeof item.eventId === "string" ? item.eventId.slice(0, 512) : null,
  }
  return batchAnswer("error", 1, 0, 0, [result])
}

function batchAnswer(status: string, processed: number, track: number, links: number, results: unknown[]) {
  return ok({ status, batch: true, processed, batched: { track, outgoing_link: links }, results })
}

const badText = "must not contain NUL or half of a surrogate pair"
const upTo = (limit: number) => `must be a string of at most ${limit} characters`
const oneTo = (limit: number) => `must be a string of 1 to ${limit} characters`
const whole = (maximum: number) => `must be a whole number from 0 to ${maximum}`
const between = (maximum: number) => `must be a number from 0 to ${maximum}`
const httpUrl = "must be an absolute http or https URL"
const badTime = "must be whole Unix milliseconds, from 2000-01-01 to an hour from now"
const badAnonymize = 'must be true, false or "auto"'

type FieldTable = Record<string, [message: string, invalid: unknown[]]>

const commonFields = (idLength: number): FieldTable => ({
  anonymousId: [upTo(idLength), ["a".repeat(idLength + 1), 7, []]],
  sessionId: [upTo(idLength), ["a".repeat(idLength + 1), true]],
  profileId: [upTo(128), ["a".repeat(129), {}]],
  timestamp: [badTime, [1.5, "2026-01-01", 946_684_799_999, Date.UTC(2100, 0, 1), 1_700_000_000]],
  anonymizeVisitorIds: [badAnonymize, ["yes", 1]],
})

const pageContext: FieldTable = {
  title: ["must be a string", [5]],
  referrer: ["must be a string", [5]],
  properties: ["must be an object", [[], "x", 5]],
}

/** Path and minimal item, and for each field its error message and invalid values. */
const invalidFields: [path: string, item: Record<string, unknown>, fields: FieldTable][] = [
  [
    "/",
    view,
    {
      eventId: [oneTo(512), [undefined, null, "", 5, "e".repeat(513)]],
      name: [oneTo(128), [undefined, null, "", 5, "n".repeat(129)]],
      path: [
        httpUrl,
        [undefined, null, "", 5, "/pricing", "example.com/a", "ftp://example.com/", "about:blank"],
      ],
      ...commonFields(256),
      ...pageContext,
      page_count: [whole(1_000), [-1, 1.5, 1_001, "1"]],
      time_on_page: [between(86_400), [-1, 86_401, "1"]],
      scroll_depth: [between(100), [-1, 100.5]],
      interaction_count: [whole(10_000), [-1, 1.5, 10_001]],
    },
  ],
  [
    "/",
    link,
    {
      eventId: [oneTo(512), [undefined, null, "", "e".repeat(513)]],
      href: [oneTo(2_048), [undefined, null, "", 5, "h".repeat(2_049)]],
      text: [upTo(2_048), ["t".repeat(2_049), 5]],
      ...commonFields(256),
      ...pageContext,
    },
  ],
  [
    "/vitals",
    vital,
    {
      metricName: [
        "must be one of FCP, LCP, CLS, INP, TTFB, FPS",
        [undefined, null, "", "lcp", "FID", "toString"],
      ],
      metricValue: [between(3_600_000), [undefined, null, "1", -1, 3_600_000.5, 1e300]],
      path: [oneTo(2_048), [undefined, null, "", `/${"p".repeat(2_048)}`]],
      eventId: [upTo(512), ["e".repeat(513), 5]],
      ...commonFields(128),
    },
  ],
  [
    "/vitals",
    { ...vital, metricName: "CLS" },
    { metricValue: [`${between(100)} for CLS`, [100.5, 3_600_000]] },
  ],
  [
    "/errors",
    failure,
    {
      message: [oneTo(2_048), [undefined, null, "", "m".repeat(2_049)]],
      path: [oneTo(2_048), [undefined, null, "", "p".repeat(2_049)]],
      filename: [upTo(512), ["f".repeat(513), 1]],
      lineno: ["must be a whole number", [1.5, "1"]],
      colno: ["must be a whole number", [1.5, "1"]],
      stack: [upTo(4_096), ["s".repeat(4_097), []]],
      errorType: [upTo(128), ["t".repeat(129)]],
      eventId: [upTo(512), ["e".repeat(513)]],
      ...commonFields(128),
    },
  ],
  [
    "/engagement",
    span,
    {
      path: [oneTo(2_048), [undefined, null, "", "p".repeat(2_049)]],
      pageIndex: [whole(65_535), [-1, 1.5, 65_536]],
      exitType: ["must be one of navigation, spa, hidden, unload", ["", "close", 1]],
      timeOnPage: [between(604_800), [-1, 604_801]],
      activeTime: [between(604_800), [-1, 604_801]],
      timeToFirstInteraction: [between(604_800_000), [-1, 604_800_001]],
      maxScrollDepth: [between(100), [-1, 101]],
      ...Object.fromEntries(
        [
          "scroll",
          "click",
          "key",
          "interaction",
          "copy",
          "rageClick",
          "deadClick",
          "formField",
          "formSubmit",
          "error",
        ].map((what) => [`${what}Count`, [whole(65_535), [-1, 1.5, 65_536, "1"]]]),
      ),
      rageClickTarget: ["must be a string", [5]],
      ...commonFields(128),
    },
  ],
  [
    "/events",
    custom,
    {
      eventName: [oneTo(128), [undefined, null, "", "n".repeat(129)]],
      path: [upTo(2_048), ["p".repeat(2_049), 5]],
      properties: ["must be an object", [[], "x"]],
      ...commonFields(128),
    },
  ],
]

/** Fields that are stored in text columns, by path. */
const columnTexts: Record<string, string[]> = {
  "/": ["eventId", "name", "anonymousId", "sessionId", "profileId"],
  "/vitals": ["eventId", "anonymousId", "sessionId", "profileId"],
  "/errors": ["eventId", "anonymousId", "sessionId", "profileId"],
  "/engagement": ["eventId", "anonymousId", "sessionId", "profileId"],
  "/events": ["eventName", "eventId", "anonymousId", "sessionId", "profileId"],
}

function shown(value: unknown): string {
  const text = value === undefined ? "absent" : JSON.stringify(value)
  return text.length > 40 ? `${text.slice(0, 20)}… of ${text.length} characters` : text
}

/** Each invalid value of each field, in its own request. */
export const fieldCases: PageCase[] = invalidFields.flatMap(([path, item, fields]) =>
  Object.entries({
    ...fields,
    ...Object.fromEntries(
      (columnTexts[path] ?? []).map((field) => [`${field}\0`, [badText, ["a\0", "\ud800"]]]),
    ),
  }).flatMap(([key, [message, values]]) => {
    const field = key.replace("\0", "")
    if (!(field in fields)) return []
    return (values as unknown[]).flatMap((value): PageCase[] => {
      const sent = { ...item, [field]: value }
      const name = `${path} ${item === link ? "link " : ""}rejects ${field} ${shown(value)}`
      const isList = path !== "/"
      const errors = { [isList ? `0.${field}` : field]: message as string }
      const alone = {
        name,
        path: on(path),
        body: isList ? [sent] : sent,
        ...rejection("invalid_shape", errors),
      }
      if (isList) return [alone]
      const batch = invalidItem(sent, { [field]: message as string })
      return [alone, { name: `${name} in a batch`, path: on("/batch"), body: [sent], ...batch, reason: null }]
    })
  }),
)

const hostname = { hostname: "example.com" }
const viewRow = { kind: "page_view", name: "screen_view", path: "/pricing", properties: hostname }

/** What is stored for each kind of event. */
export const storedCases: PageCase[] = [
  {
    name: "a page view with only the required fields is stored under its path",
    path: on("/"),
    body: { ...view, eventId: "least" },
    ...okView,
    stored: [{ ...viewRow, event_id: "least", anonymous_id: null, credential: "website_id", crawler: 0 }],
  },
  {
    name: "a page view with all fields is stored, with those that describe the page as properties",
    path: on("/"),
    body: {
      type: "track",
      eventId: "full",
      name: "screen_view",
      path: "https://Shop.Example.com:8443/a%20b/%C3%BC/?q=1&utm_source=x#part",
      anonymousId: "anon",
      sessionId: "sess",
      profileId: "user",
      timestamp: 1_700_000_000_000,
      sessionStartTime: 1_699_999_999_000,
      referrer: "https://www.google.com/search?q=secret",
      title: "Pricing",
      viewport_size: "1280x720",
      screen_resolution: "1920x1080",
      language: "de-AT",
      timezone: "Europe/Vienna",
      utm_source: "news",
      utm_medium: "email",
      utm_campaign: "may",
      utm_term: "shoes",
      utm_content: "top",
      gclid: "g",
      fbclid: "f",
      ttclid: "t",
      twclid: "w",
      li_fat_id: "l",
      msclkid: "m",
      page_count: 3,
      properties: { plan: "pro", title: "overwritten" },
      anonymizeVisitorIds: "auto",
      unknown: { ignored: true },
    },
    ...okView,
    stored: [
      {
        kind: "page_view",
        name: "screen_view",
        namespace: null,
        source: null,
        path: "/a b/ü",
        timestamp: 1_700_000_000_000,
        anonymous_id: "anon",
        session_id: "sess",
        profile_id: "user",
        event_id: "full",
        properties: {
          plan: "pro",
          title: "Pricing",
          hostname: "shop.example.com",
          query_string: "q=1&utm_source=x",
          viewport_size: "1280x720",
          gclid: "g",
          fbclid: "f",
          ttclid: "t",
          twclid: "w",
          li_fat_id: "l",
          msclkid: "m",
          page_count: 3,
        },
        language: "de-AT",
        timezone: "Europe/Vienna",
        screen_resolution: "1920x1080",
        referrer: "https://www.google.com/search",
        referrer_domain: "google.com",
        utm_source: "news",
        utm_medium: "email",
        utm_campaign: "may",
        utm_term: "shoes",
        utm_content: "top",
      },
    ],
  },
  {
    name: "every optional field can be null",
    path: on("/"),
    body: {
      ...view,
      eventId: "nulls",
      ...Object.fromEntries(
        "type,anonymousId,sessionId,profileId,timestamp,sessionStartTime,referrer,title,viewport_size,screen_resolution,language,timezone,utm_source,utm_medium,utm_campaign,utm_term,utm_content,gclid,fbclid,ttclid,twclid,li_fat_id,msclkid,page_count,time_on_page,scroll_depth,interaction_count,properties,anonymizeVisitorIds"
          .split(",")
          .map((field) => [field, null]),
      ),
    },
    ...okView,
    stored: [{ ...viewRow, anonymous_id: null, session_id: null, profile_id: null, language: null }],
  },
  {
    name: "a page_exit is stored with its measurements and its own event id",
    path: on("/"),
    body: {
      ...view,
      name: "page_exit",
      eventId: "exit",
      time_on_page: 12.5,
      scroll_depth: 80,
      interaction_count: 0,
    },
    ...okView,
    stored: [
      {
        kind: "page_exit",
        name: "page_exit",
        event_id: "exit",
        properties: { ...hostname, time_on_page: 12.5, scroll_depth: 80, interaction_count: 0 },
      },
    ],
  },
  ...["signed_up", "error", "toString", "__proto__"].map((name) => ({
    name: `an event named ${name} is a custom event, and has only its own properties`,
    path: on("/"),
    body: {
      ...view,
      name,
      eventId: `custom ${name}`,
      title: "T",
      language: "en",
      properties: { plan: "pro" },
    },
    ...okView,
    stored: [{ kind: "custom", name, path: "/pricing", properties: { plan: "pro" }, language: "en" }],
  })),
  {
    name: "a title, UTM value or query that is too long is cut, without half of a surrogate pair at its end",
    path: on("/"),
    body: {
      ...view,
      eventId: "cut",
      title: `${"t".repeat(511)}🎉`,
      utm_source: "u".repeat(200),
      gclid: "g".repeat(2_000),
      path: `${view.path}?${"q".repeat(3_000)}`,
    },
    ...okView,
    stored: [
      {
        ...viewRow,
        properties: {
          title: "t".repeat(511),
          ...hostname,
          query_string: "q".repeat(1_024),
          gclid: "g".repeat(128),
        },
        utm_source: "u".repeat(128),
      },
    ],
  },
  ...["not a url", "javascript:alert(1)", "https://", "http://[", "\ud800", "direct", ""].map((referrer) => ({
    name: `a view with the referrer ${JSON.stringify(referrer)} is stored without it`,
    path: on("/"),
    body: { ...view, eventId: `referrer ${encodeURIComponent(referrer.toWellFormed())}`, referrer },
    ...okView,
    stored: [{ ...viewRow, referrer: null, referrer_type: "direct" }],
  })),
  {
    name: "malformed sizes, languages and time zones are left out",
    path: on("/"),
    body: {
      ...view,
      eventId: "odd",
      viewport_size: "wide",
      screen_resolution: "0",
      language: "??",
      timezone: "Mars/Base",
    },
    ...okView,
    stored: [{ ...viewRow, screen_resolution: null, language: null, timezone: null }],
  },
  ...(
    [
      ["https://example.com", "/"],
      ["https://example.com/", "/"],
      ["https://example.com//", "/"],
      ["http://example.com/a/b/", "/a/b"],
      ["https://example.com/100%", "/100%"],
      ["https://example.com/%ff", "/%ff"],
      ["https://example.com/a%00b", "/a%00b"],
      ["https://example.com/%E6%97%A5", "/日"],
      [`https://example.com/${"p".repeat(3_000)}`, `/${"p".repeat(2_047)}`],
    ] as const
  ).map(([url, path], index) => ({
    name: `the path of ${shown(url)} is ${shown(path)}`,
    path: on("/"),
    body: { ...view, eventId: `path ${index}`, path: url },
    ...okView,
    stored: [{ ...viewRow, path }],
  })),
  ...["http://192.0.2.7:8080/x", "https://[2001:db8::1]/x"].map((url) => ({
    name: `the host of ${url} can be an address`,
    path: on("/"),
    body: { ...view, eventId: `host ${url}`, path: url },
    ...okView,
    stored: [{ ...viewRow, path: "/x", properties: { hostname: new URL(url).hostname } }],
  })),
  {
    name: "properties of 32 KiB are accepted, but left out if there is no space for the page's own",
    path: on("/"),
    body: { ...view, eventId: "big", properties: { p: "x".repeat(32_768 - 8) } },
    ...okView,
    stored: [viewRow],
  },
  {
    name: "properties of a custom event can have 32 KiB",
    path: on("/"),
    body: { ...view, eventId: "big custom", name: "x", properties: { p: "x".repeat(32_768 - 8) } },
    ...okView,
    stored: [{ properties: { p: "x".repeat(32_768 - 8) } }],
  },
  {
    name: "properties with names that the page reserves are dropped, even if the page does not send its own",
    path: on("/"),
    body: {
      ...view,
      eventId: "reserved",
      name: "page_exit",
      time_on_page: 3,
      scroll_depth: null,
      properties: { time_on_page: 900, scroll_depth: 900, title: "x", plan: "pro" },
    },
    ...okView,
    stored: [{ kind: "page_exit", properties: { time_on_page: 3, plan: "pro", ...hostname } }],
  },
  {
    name: "properties of a link with reserved names are dropped, even if the link has none of its own",
    path: on("/"),
    body: {
      ...link,
      eventId: "reserved link",
      href: "mailto:a@b.test",
      properties: { domain: "x", text: "y" },
    },
    ...okLink,
    stored: [{ kind: "outgoing_link", properties: { href: "mailto:a@b.test" } }],
  },
  {
    name: "properties of more than 32 KiB are rejected",
    path: on("/"),
    body: { ...view, properties: { p: "x".repeat(32_768 - 7) } },
    ...rejection("invalid_shape", { properties: "must be at most 32768 bytes of JSON" }),
  },
  {
    name: "an outgoing link is stored with the page it is on",
    path: on("/"),
    body: {
      ...link,
      eventId: "link",
      text: "Partner",
      path: view.path,
      title: "Pricing",
      properties: { a: 1 },
    },
    ...okLink,
    stored: [
      {
        kind: "outgoing_link",
        name: "outgoing_link",
        path: "/pricing",
        event_id: "link",
        properties: {
          a: 1,
          title: "Pricing",
          ...hostname,
          href: link.href,
          text: "Partner",
          domain: "elsewhere.test",
        },
      },
    ],
  },
  {
    name: "an outgoing link is stored even if its page is missing",
    path: on("/"),
    body: { ...link, eventId: "bare link", path: "/relative" },
    ...okLink,
    stored: [
      { kind: "outgoing_link", path: null, properties: { href: link.href, domain: "elsewhere.test" } },
    ],
  },
  {
    name: "a type that is unknown is rejected",
    path: on("/"),
    body: { ...view, type: "web_vitals" },
    ...rejection("invalid_shape", { type: 'must be "track", "outgoing_link" or absent' }),
  },
  ...[[view], 5, null, "x"].map((body) => ({
    name: `/ rejects ${JSON.stringify(body)?.slice(0, 20)}, which is not an item`,
    path: on("/"),
    body: JSON.stringify(body),
    ...rejection("invalid_shape", undefined),
  })),
  ...[1.5, "now", null, {}].map((value, index) => ({
    name: `a view with ${shown(value)} as its session start and UTM values is stored without them`,
    path: on("/"),
    body: {
      ...view,
      eventId: `lenient ${index}`,
      sessionStartTime: value,
      utm_source: [value],
      utm_medium: { value },
      utm_campaign: 5,
      utm_term: true,
      utm_content: "top",
    },
    ...okView,
    stored: [
      {
        ...viewRow,
        utm_source: null,
        utm_medium: null,
        utm_campaign: null,
        utm_term: null,
        utm_content: "top",
      },
    ],
  })),
  ...lists.map(([path, type, , item]) => ({
    name: `${path} replaces NUL and half of a surrogate pair in a path`,
    path: on(path),
    body: ["/a\0b\ud800c", "/%41\udc00\0", "https://example.com/%00"].map((sent) => ({
      ...item,
      path: sent,
    })),
    ...ok({ status: "success", type, count: 3 }),
    stored: ["/a\ufffdb\ufffdc", "/A\ufffd\ufffd", "/%00"].map((stored) => ({ path: stored })),
  })),
  ...(
    [
      ["FCP", 3_600_000],
      ["LCP", 1250.5],
      ["CLS", 100],
      ["INP", 1250.5],
      ["TTFB", 1250.5],
      ["FPS", 0],
    ] as const
  ).map(([metricName, metricValue]) => ({
    name: `${metricName} of ${metricValue} is stored under its name`,
    path: on("/vitals"),
    body: [{ ...vital, metricName, metricValue, eventId: `vital ${metricName}`, anonymousId: "anon" }],
    ...ok({ status: "success", type: "web_vitals", count: 1 }),
    stored: [
      {
        kind: "web_vital",
        name: metricName,
        path: "/pricing",
        anonymous_id: "anon",
        properties: { value: metricValue },
      },
    ],
  })),
  {
    name: "an error is stored with its position in the script",
    path: on("/errors"),
    body: [
      {
        ...failure,
        path: "https://example.com/a%20b/?q#h",
        filename: "https://example.com/a.js",
        lineno: 3,
        colno: 14,
        stack: "Error\n  at a\0",
        errorType: "TypeError",
      },
    ],
    ...ok({ status: "success", type: "error", count: 1 }),
    stored: [
      {
        kind: "error",
        name: "error",
        path: "/a b",
        properties: {
          message: failure.message,
          filename: "https://example.com/a.js",
          lineno: 3,
          colno: 14,
          stack: "Error\n  at a\0",
          error_type: "TypeError",
        },
      },
    ],
  },
  {
    name: "an engagement span is stored with its counters",
    path: on("/engagement"),
    body: [
      {
        path: "/a%20b/?q",
        timestamp: 1_700_000_000_000,
        pageIndex: 0,
        exitType: "hidden",
        timeOnPage: 40,
        activeTime: 30.5,
        timeToFirstInteraction: 0,
        maxScrollDepth: 100,
        scrollCount: 1,
        clickCount: 2,
        keyCount: 3,
        interactionCount: 4,
        copyCount: 5,
        rageClickCount: 6,
        deadClickCount: 7,
        formFieldCount: 8,
        formSubmitCount: 9,
        errorCount: 65_535,
        rageClickTarget: "b".repeat(70),
        deadClickTarget: "a#x",
        lastFormField: "",
      },
    ],
    ...ok({ status: "success", type: "engagement", count: 1 }),
    stored: [
      {
        kind: "engagement",
        name: "engagement",
        path: "/a b",
        timestamp: 1_700_000_000_000,
        properties: {
          page_index: 0,
          exit_type: "hidden",
          time_on_page: 40,
          active_time: 30.5,
          time_to_first_interaction: 0,
          max_scroll_depth: 100,
          scroll_count: 1,
          click_count: 2,
          key_count: 3,
          interaction_count: 4,
          copy_count: 5,
          rage_click_count: 6,
          dead_click_count: 7,
          form_field_count: 8,
          form_submit_count: 9,
          error_count: 65_535,
          rage_click_target: "b".repeat(64),
          dead_click_target: "a#x",
        },
      },
    ],
  },
  {
    name: "events in the older format are stored as custom events",
    path: on("/events"),
    body: [{ ...custom, path: "/pricing/", properties: { plan: "pro" }, profileId: "user" }, custom],
    ...ok({ status: "success", type: "custom_event", count: 2 }),
    stored: [
      {
        kind: "custom",
        name: "signed_up",
        path: "/pricing",
        profile_id: "user",
        properties: { plan: "pro" },
      },
      { kind: "custom", name: "signed_up", path: null, properties: null },
    ],
  },
  ...["/vitals", "/errors", "/engagement", "/events"].map((path) => ({
    name: `${path} accepts null for every optional field`,
    path: on(path),
    body: [
      {
        ...lists.find(([one]) => one === path)?.[3],
        ...Object.fromEntries(
          [
            "eventId",
            "timestamp",
            "anonymousId",
            "sessionId",
            "profileId",
            "anonymizeVisitorIds",
            "stack",
            "exitType",
            "clickCount",
            "properties",
          ].map((field) => [field, null]),
        ),
      },
    ],
    ...ok({ status: "success", type: lists.find(([one]) => one === path)?.[1], count: 1 }),
    stored: [{ event_id: null, anonymous_id: null }],
  })),
  ...([true, false, "auto", null] as const).flatMap((anonymizeVisitorIds) =>
    [websiteIds.example, websiteIds.daily].map((id) => ({
      name: `anonymizeVisitorIds ${anonymizeVisitorIds} on ${id === site ? "a plain website" : "one that anonymizes"}`,
      path: on("/vitals", id),
      body: [{ ...vital, anonymousId: "anon", anonymizeVisitorIds }],
      ...ok({ status: "success", type: "web_vitals", count: 1 }),
      stored: [
        {
          anonymous_id: anonymizeVisitorIds === true || id === websiteIds.daily ? expectHash : "anon",
        },
      ],
    })),
  ),
  {
    name: "a known crawler's view is stored and marked",
    path: on("/"),
    headers: { "user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)" },
    body: { ...view, eventId: "crawler" },
    ...okView,
    stored: [{ ...viewRow, crawler: 1 }],
  },
]

/** Results of batches, and the limits of lists. */
export const batchCases: PageCase[] = [
  {
    name: "a batch reports each item, and stores the valid ones",
    path: on("/batch"),
    body: [
      { ...view, eventId: "b1" },
      { ...link, eventId: "b2" },
      { type: "screen", eventId: "b3" },
      { ...view, eventId: "b4", path: "/relative", name: "" },
      7,
      { ...view, eventId: "b1" },
    ],
    ...batchAnswer("partial", 6, 2, 1, [
      { status: "success", type: "track", eventId: "b1" },
      { status: "success", type: "outgoing_link", eventId: "b2" },
      {
        status: "error",
        message: "Unknown event type",
        code: "INVALID_EVENT_SCHEMA",
        errors: [{ field: "type", message: 'must be "track", "outgoing_link" or absent' }],
        eventType: "screen",
        eventId: "b3",
      },
      {
        status: "error",
        message: "Invalid event schema",
        code: "INVALID_EVENT_SCHEMA",
        errors: [{ field: "name", message: oneTo(128) }],
        eventType: "track",
        eventId: "b4",
      },
      {
        status: "error",
        message: "Invalid event schema",
        code: "INVALID_EVENT_SCHEMA",
        errors: [{ field: "", message: "must be an object" }],
        eventType: "track",
        eventId: null,
      },
      { status: "success", type: "track", eventId: "b1" },
    ]),
    stored: [
      { kind: "page_view", event_id: "b1" },
      { kind: "outgoing_link", event_id: "b2" },
    ],
  },
  {
    name: "an empty batch succeeds",
    path: on("/batch"),
    body: [],
    ...batchAnswer("success", 0, 0, 0, []),
  },
  {
    name: "a batch of 100 items is accepted",
    path: on("/batch"),
    body: Array.from({ length: 100 }, (_, index) => ({ ...view, eventId: `hundred ${index}` })),
    ...batchAnswer(
      "success",
      100,
      100,
      0,
      Array.from({ length: 100 }, (_, index) => ({
        status: "success",
        type: "track",
        eventId: `hundred ${index}`,
      })),
    ),
    stored: Array.from({ length: 100 }, (_, index) => ({ event_id: `hundred ${index}` })),
  },
  {
    name: "a batch of 101 items is rejected",
    path: on("/batch"),
    body: Array.from({ length: 101 }, () => view),
    ...rejection("batch_too_long"),
  },
  ...[view, {}, 5, null].map((body) => ({
    name: `a batch that is ${JSON.stringify(body).slice(0, 12)} is rejected`,
    path: on("/batch"),
    body: JSON.stringify(body),
    ...rejection("invalid_shape"),
  })),
  ...lists.flatMap(([path, type, max, item]): PageCase[] => [
    {
      name: `${path} accepts an empty array`,
      path: on(path),
      body: [],
      ...ok({ status: "success", type, count: 0 }),
    },
    {
      name: `${path} accepts ${max} items`,
      path: on(path),
      body: Array(max).fill(item),
      ...ok({ status: "success", type, count: max }),
      stored: Array(max).fill({}),
    },
    {
      name: `${path} rejects ${max + 1} items`,
      path: on(path),
      body: Array(max + 1).fill(item),
      ...rejection("batch_too_long"),
    },
    {
      name: `${path} accepts one item without an array`,
      path: on(path),
      body: item,
      ...ok({ status: "success", type, count: 1 }),
      stored: [{}],
    },
    {
      name: `${path} stores nothing if one item is invalid`,
      path: on(path),
      body: [item, { ...item, timestamp: 5 }, item],
      ...rejection("invalid_shape", { "1.timestamp": badTime }),
    },
  ]),
]

const bodyOf = (bytes: number, item: object) => {
  const text = JSON.stringify({ ...item, pad: "" })
  return text.replace('"pad":""', `"pad":"${"x".repeat(bytes - text.length)}"`)
}

/** Bodies: encodings, types and sizes. */
export const bodyCases: PageCase[] = [
  {
    name: "text/plain, as beacons send it, is JSON",
    path: on("/batch"),
    headers: { "content-type": "text/plain;charset=UTF-8" },
    body: [{ ...view, eventId: "beacon" }],
    ...batchAnswer("success", 1, 1, 0, [{ status: "success", type: "track", eventId: "beacon" }]),
    stored: [{ event_id: "beacon" }],
  },
  {
    name: "gzip is accepted",
    path: on("/"),
    headers: { "content-encoding": "gzip" },
    body: gzipSync(JSON.stringify({ ...view, eventId: "gzip" })),
    ...okView,
    stored: [{ event_id: "gzip" }],
  },
  {
    name: "a body of 1 MiB is accepted",
    path: on("/"),
    body: bodyOf(1_048_576, { ...view, eventId: "1 MiB" }),
    ...okView,
    stored: [{ event_id: "1 MiB" }],
  },
  {
    name: "a body of 1 MiB plus one byte is rejected",
    path: on("/"),
    body: bodyOf(1_048_577, view),
    ...rejection("payload_too_large"),
  },
  {
    name: "1 MiB plus one byte after decompression is rejected",
    path: on("/vitals"),
    headers: { "content-encoding": "gzip" },
    body: gzipSync(bodyOf(1_048_577, vital)),
    ...rejection("payload_too_large"),
  },
  {
    name: "errors of 128 KiB are accepted",
    path: on("/errors"),
    body: bodyOf(131_072, failure),
    ...ok({ status: "success", type: "error", count: 1 }),
    stored: [{ kind: "error" }],
  },
  {
    name: "errors of 128 KiB plus one byte are rejected",
    path: on("/errors"),
    body: bodyOf(131_073, failure),
    ...rejection("payload_too_large"),
  },
  ...["/", "/batch", "/vitals", "/errors", "/engagement", "/events", "/ai-traffic"].flatMap(
    (path): PageCase[] => [
      { name: `${path} rejects invalid JSON`, path: on(path), body: "{", ...rejection("invalid_json") },
      {
        name: `${path} rejects another content type`,
        path: on(path),
        headers: { "content-type": "text/html" },
        body: "[]",
        ...rejection("unsupported_content_type"),
      },
      {
        name: `${path} rejects deep nesting`,
        path: on(path),
        body: "[".repeat(300),
        ...rejection("nesting_too_deep"),
      },
    ],
  ),
]

const pagePosts: [path: string, body: unknown][] = [
  ["/", view],
  ["/batch", [view]],
  ...lists.map(([path, , , item]) => [path, [item]] as [string, unknown]),
]

/** Who can send: the website, and its origins. */
export const credentialCases: PageCase[] = [
  ...pagePosts.flatMap(([path, body]): PageCase[] => [
    { name: `${path} rejects a request without a website`, path, body, ...rejection("client_id_missing") },
    ...(
      [
        ["client_id_unknown", "unknown", websiteIds.unknown],
        ["client_id_unknown", "not a UUID and not registered", websiteIds.unknownLegacy],
        ["client_id_unknown", "deleted", websiteIds.deleted],
        ["client_id_unknown", "longer than 255 characters", "w".repeat(256)],
        ["client_id_paused", "paused", websiteIds.paused],
      ] as const
    ).map(([reason, what, id]) => ({
      name: `${path} rejects a website that is ${what}`,
      path: on(path, id),
      body,
      ...rejection(reason),
    })),
    ...["https://evil.test", "null", "https://example.com.evil.test"].map((origin) => ({
      name: `${path} rejects the origin ${origin}`,
      path: on(path),
      headers: { origin },
      body,
      ...rejection("origin_not_allowed"),
    })),
    {
      name: `${path} rejects a request without an origin if the website lists origins`,
      path: on(path, websiteIds.listed),
      body,
      ...rejection("origin_not_allowed"),
    },
    {
      name: `${path} checks the origin before it reports that the website is paused`,
      path: on(path, websiteIds.paused),
      headers: { origin: "https://evil.test" },
      body,
      ...rejection("origin_not_allowed"),
    },
    {
      name: `${path} checks the shape before the website`,
      path: on(path, websiteIds.unknown),
      body: path === "/batch" ? {} : "5",
      ...rejection("invalid_shape"),
    },
  ]),
  ...[
    "https://example.com",
    "https://www.example.com",
    "https://shop.example.com:8443",
    "http://localhost:3000",
  ].map((origin) => ({
    name: `a page of ${origin} can send`,
    path: on("/events"),
    headers: { origin },
    body: [custom],
    ...ok({ status: "success", type: "custom_event", count: 1 }),
    stored: [{ website_id: site }],
  })),
  ...(
    [
      ["the query website_id", `/events?website_id=${site}`, {}],
      ["the header databuddy-client-id", "/events", { "databuddy-client-id": site }],
      ["the query in capitals", `/events?client_id=${site.toUpperCase()}`, {}],
      ["the query rather than the header", on("/events"), { "databuddy-client-id": websiteIds.unknown }],
      ["the query, and an invalid key is ignored", on("/events"), { authorization: "Bearer dbdy_x" }],
    ] as const
  ).map(([what, path, headers]) => ({
    name: `the website is read from ${what}`,
    path,
    headers,
    body: [custom],
    ...ok({ status: "success", type: "custom_event", count: 1 }),
    stored: [{ website_id: site, credential: "website_id" }],
  })),
]

const who = { profileId: "user" }
const okIdentify = ok({ status: "success", type: "identify" })

/** POST /identify without a key. */
export const identifyCases: PageCase[] = [
  ...[
    who,
    { ...who, anonymousId: null, traits: null, anonymizeVisitorIds: null },
    { ...who, websiteId: "ignored" },
  ].map((body) => ({
    name: `a page can send ${JSON.stringify(body)}`,
    path: on("/identify"),
    body,
    ...okIdentify,
  })),
  {
    name: "the website can be sent in the header",
    path: "/identify",
    headers: { "databuddy-client-id": site },
    body: who,
    ...okIdentify,
  },
  ...(
    [
      ["profileId", oneTo(128), [undefined, null, "", 5, "u".repeat(129)]],
      ["anonymousId", upTo(256), [5, "a".repeat(257)]],
      ["traits", "must be an object of at most 50 strings, numbers, booleans or nulls", ["x", []]],
      ["anonymizeVisitorIds", badAnonymize, ["yes"]],
    ] as const
  ).flatMap(([field, message, values]) =>
    values.map((value) => ({
      name: `a page cannot send ${field} ${shown(value)}`,
      path: on("/identify"),
      body: { ...who, [field]: value },
      ...rejection("invalid_shape", { [field]: message }),
    })),
  ),
  {
    name: "a page cannot send more than 2 KiB of traits",
    path: on("/identify"),
    body: { ...who, traits: { t: "x".repeat(2_048) } },
    ...rejection("invalid_shape", { traits: "must be at most 2048 bytes of JSON" }),
  },
  {
    name: "a page cannot send NUL in a profileId",
    path: on("/identify"),
    body: { profileId: "a\0" },
    ...rejection("invalid_shape", { profileId: badText }),
  },
  {
    name: "an unknown website is rejected",
    path: on("/identify", websiteIds.unknown),
    body: who,
    ...rejection("client_id_unknown"),
  },
  {
    name: "a paused website is rejected",
    path: on("/identify", websiteIds.paused),
    body: who,
    ...rejection("client_id_paused"),
  },
  {
    name: "an empty client_id is rejected",
    path: "/identify?client_id=",
    body: who,
    ...rejection("client_id_missing"),
  },
  {
    name: "another origin is rejected",
    path: on("/identify"),
    headers: { origin: "https://evil.test" },
    body: who,
    ...rejection("origin_not_allowed"),
  },
]

const gif = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64").toString(
  "latin1",
)

function pixel(query: string, rest: Partial<PageCase> = {}): Omit<PageCase, "name"> {
  return { method: "GET", path: `/px.jpg?${query}`, status: 200, answer: gif, reason: null, ...rest }
}

const pixelView = `client_id=${site}&name=screen_view&path=${encodeURIComponent(view.path)}`

export const pixelCases: PageCase[] = [
  {
    name: "the pixel stores a view with numbers, booleans and nested properties",
    ...pixel(
      `${pixelView}&eventId=px1&page_count=5&title=2024&timestamp=1700000000000&anonymousId=42&properties[plan]=pro&properties[seats]=3&properties[deep][yes]=true&properties[id]=007&properties[long]=12345678901234567890&anonymizeVisitorIds=false`,
    ),
    stored: [
      {
        kind: "page_view",
        name: "screen_view",
        path: "/pricing",
        event_id: "px1",
        anonymous_id: "42",
        timestamp: 1_700_000_000_000,
        properties: {
          plan: "pro",
          seats: 3,
          deep: { yes: true },
          id: "007",
          long: "12345678901234567890",
          title: "2024",
          ...hostname,
          page_count: 5,
        },
      },
    ],
  },
  {
    name: "the pixel accepts properties as JSON, and uses the last of two values",
    ...pixel(
      `${pixelView}&type=track&eventId=px0&eventId=px2&properties=${encodeURIComponent('{"a":[1],"__proto__":2}')}`,
    ),
    stored: [{ event_id: "px2", properties: JSON.parse('{"a":[1],"__proto__":2,"hostname":"example.com"}') }],
  },
  {
    name: "the pixel stores __proto__ like any other key",
    ...pixel(`${pixelView}&eventId=px3&properties[__proto__][a]=1&__proto__[type]=x`),
    stored: [{ event_id: "px3", properties: JSON.parse('{"__proto__":{"a":1},"hostname":"example.com"}') }],
  },
  {
    name: "the pixel stores an outgoing link",
    ...pixel(`client_id=${site}&type=outgoing_link&eventId=px4&href=https%3A%2F%2Felsewhere.test%2F`),
    stored: [
      { kind: "outgoing_link", properties: { href: "https://elsewhere.test/", domain: "elsewhere.test" } },
    ],
  },
  {
    name: "the pixel stores a web vital",
    ...pixel(`client_id=${site}&type=web_vitals&metricName=CLS&metricValue=0.05&path=%2Fpricing`),
    stored: [{ kind: "web_vital", name: "CLS", properties: { value: 0.05 } }],
  },
  {
    name: "HEAD of the pixel stores nothing",
    ...pixel(`${pixelView}&eventId=head`, { method: "HEAD", answer: "" }),
  },
  {
    name: "the pixel stores an error",
    ...pixel(`client_id=${site}&type=error&message=m&path=%2F&lineno=3`),
    stored: [{ kind: "error", properties: { message: "m", lineno: 3 } }],
  },
  ...(
    [
      ["without fields", "", "invalid_shape"],
      ["of another type", `${pixelView}&eventId=x&type=engagement`, "invalid_shape"],
      ["of an inherited type", `${pixelView}&eventId=x&type=toString`, "invalid_shape"],
      ["with a type that is nested", `${pixelView}&eventId=x&type[a]=track`, "invalid_shape"],
      ["without an eventId", pixelView, "invalid_shape"],
      ["with a relative path", `client_id=${site}&eventId=x&name=n&path=%2Fa`, "invalid_shape"],
      ["with text as a number", `${pixelView}&eventId=x&page_count=many`, "invalid_shape"],
      ["with a nested name", `client_id=${site}&eventId=x&name[a]=n&path=https://a.test/`, "invalid_shape"],
      ["with properties that are not JSON", `${pixelView}&eventId=x&properties=%7B`, "invalid_shape"],
      ["with deep properties", `${pixelView}&eventId=x&properties${"[a]".repeat(70)}=1`, "invalid_shape"],
      ["with NUL in an id", `${pixelView}&eventId=x%00`, "invalid_shape"],
      ["without a website", pixelView.replace(/^client_id=[^&]*&/, "eventId=x&"), "client_id_missing"],
      [
        "of an unknown website",
        `${pixelView.replace(site, websiteIds.unknown)}&eventId=x`,
        "client_id_unknown",
      ],
      ["of a paused website", `${pixelView.replace(site, websiteIds.paused)}&eventId=x`, "client_id_paused"],
    ] as const
  ).map(([what, query, reason]) => ({
    name: `a pixel ${what} returns an image and stores nothing`,
    ...pixel(query, { reason }),
  })),
  {
    name: "a pixel from another origin returns an image and stores nothing",
    ...pixel(`${pixelView}&eventId=x`, {
      headers: { origin: "https://evil.test" },
      reason: "origin_not_allowed",
    }),
  },
]

const visit = {
  websiteId: site,
  host: "www.example.com",
  path: "/docs/start.md?x=1",
  format: "markdown",
  userAgent: "Mozilla/5.0 (compatible; GPTBot/1.1; +https://openai.com/gptbot)",
}
const okVisit = ok({ status: "success", type: "ai_visit" }, 202)

export const otherCases: PageCase[] = [
  {
    name: "a visit by an AI agent is stored with the agent's name and marked as a crawler's",
    path: "/ai-traffic",
    body: { ...visit, accept: "text/markdown", signatureAgent: null, referrer: null },
    ...okVisit,
    stored: [
      {
        kind: "ai_visit",
        name: "ai_visit",
        path: "/docs/start.md",
        crawler: 1,
        anonymous_id: null,
        properties: { agent: "GPTBot", hostname: "www.example.com", format: "markdown" },
      },
    ],
  },
  ...(
    [
      ["Mozilla/5.0 AppleWebKit/537.36 (compatible; claudebot/1.0)", "ClaudeBot"],
      ["Mozilla/5.0 (compatible; Applebot-Extended/1.0)", "Applebot-Extended"],
      ["something else 1.0", "other"],
    ] as const
  ).map(([userAgent, agent]) => ({
    name: `the agent of ${userAgent} is ${agent}`,
    path: "/ai-traffic",
    body: { websiteId: site, host: "example.com", path: "/", userAgent },
    ...okVisit,
    stored: [{ properties: { agent, hostname: "example.com" } }],
  })),
  {
    name: "a server needs no origin, even if the website lists some",
    path: "/ai-traffic",
    body: { ...visit, websiteId: websiteIds.listed, host: "partner.test" },
    ...okVisit,
    stored: [{ website_id: websiteIds.listed }],
  },
  ...(
    [
      ["websiteId", oneTo(255), [undefined, null, "", "w".repeat(256)]],
      ["host", oneTo(255), [undefined, null, "", 5]],
      ["path", oneTo(2_048), [undefined, null, "", "p".repeat(2_049)]],
      ["userAgent", oneTo(2_048), [undefined, null, "", "u".repeat(2_049)]],
      ["format", upTo(64), [5, "f".repeat(65)]],
    ] as const
  ).flatMap(([field, message, values]) =>
    values.map((value) => ({
      name: `/ai-traffic rejects ${field} ${shown(value)}`,
      path: "/ai-traffic",
      body: { ...visit, [field]: value },
      ...rejection("invalid_shape", { [field]: message }),
    })),
  ),
  {
    name: "/ai-traffic rejects a list",
    path: "/ai-traffic",
    body: [visit],
    ...rejection("invalid_shape"),
  },
  ...["evil.test", "example.com.evil.test", "evil.test/example.com", "user@example.com", "a b"].map(
    (host) => ({
      name: `/ai-traffic rejects the host ${host}`,
      path: "/ai-traffic",
      body: { ...visit, host },
      ...rejection("host_not_allowed"),
    }),
  ),
  {
    name: "/ai-traffic rejects a page of another origin",
    path: "/ai-traffic",
    headers: { origin: "https://evil.test" },
    body: visit,
    ...rejection("origin_not_allowed"),
  },
  {
    name: "/ai-traffic rejects an unknown website",
    path: "/ai-traffic",
    body: { ...visit, websiteId: websiteIds.unknown },
    ...rejection("client_id_unknown"),
  },
  {
    name: "/ai-traffic rejects a paused website",
    path: "/ai-traffic",
    body: { ...visit, websiteId: websiteIds.paused },
    ...rejection("client_id_paused"),
  },
  {
    name: "there are no feature flags",
    method: "GET",
    path: `/public/v1/flags/bulk?clientId=${site}&keys=a,b`,
    ...ok({ flags: {} }),
  },
  { name: "flags need no website", method: "GET", path: "/public/v1/flags/bulk", ...ok({ flags: {} }) },
]

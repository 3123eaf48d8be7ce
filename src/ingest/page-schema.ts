import { type Static, type TProperties, type TSchema, Type } from "@sinclair/typebox"
import { SchemaCheck } from "../http/validation.ts"
import { type IdentifyInput, traitsSchema } from "./schema.ts"

// The items that the page script sends. Optional fields can be null. Lengths are in UTF-16 code units, as in
// JavaScript. `expected` completes the error message "<field> …". Unknown fields are ignored.

/**
 * Strings that describe the page or the visit are cut after this many UTF-16 code units, because a long string is no
 * reason to lose the page view.
 */
export const textLimits = {
  title: 512,
  /** The longest DNS name has 253 characters. */
  host: 255,
  utm: 128,
  query: 1_024,
  clickId: 128,
  engagementTarget: 64,
} as const

interface About {
  description: string
  expected: string
}

function optional<Schema extends TSchema>(schema: Schema, { description, expected }: About) {
  return Type.Optional(Type.Union([schema, Type.Null()], { description, expected }))
}

/** Schema of a string with at most `limit` characters. */
function text(limit: number, description: string) {
  const expected = `must be a string of at most ${limit} characters`
  return optional(Type.String({ maxLength: limit }), { description, expected })
}

/** Schema of a string of any length. It is cut if it is too long, and left out if it is malformed. */
function lenientText(description: string) {
  return optional(Type.String(), { description, expected: "must be a string" })
}

/** Schema of a string that is cut at `limit` characters. */
function cutText(limit: number, description: string) {
  return lenientText(`${description}; cut at ${limit} characters`)
}

/** Schema of a value of any type. It is left out if it does not match the description. */
function lenient(description: string) {
  return Type.Optional(Type.Unknown({ description }))
}

function requiredText(limit: number, description: string) {
  const expected = `must be a string of 1 to ${limit} characters`
  return Type.String({ minLength: 1, maxLength: limit, description, expected })
}

function wholeNumber(maximum: number, description: string) {
  const expected = `must be a whole number from 0 to ${maximum}`
  return optional(Type.Integer({ minimum: 0, maximum }), { description, expected })
}

function number(maximum: number, description: string) {
  const expected = `must be a number from 0 to ${maximum}`
  return optional(Type.Number({ minimum: 0, maximum }), { description, expected })
}

function position(description: string) {
  return optional(Type.Integer(), { description, expected: "must be a whole number" })
}

const type = (description: string) => lenientText(description)

export const timestampError = "must be whole Unix milliseconds, from 2000-01-01 to an hour from now"

const timestamp = optional(Type.Integer(), {
  description: "Unix ms, from 2000-01-01 to an hour from now. Default: time of receipt",
  expected: timestampError,
})

const properties = optional(Type.Object({}, { additionalProperties: true }), {
  description:
    "Any JSON; keys have at most 128 characters, and all properties together at most 32 KiB serialized",
  expected: "must be an object",
})

const anonymizeVisitorIds = optional(Type.Union([Type.Boolean(), Type.Literal("auto")]), {
  description: "Store anonymousId as a hash that changes daily; auto: use the website's setting",
  expected: 'must be true, false or "auto"',
})

/** Returns the fields of every item. `idLength`: the maximum length of anonymousId and sessionId. */
function commonFields(idLength: number) {
  return {
    anonymousId: text(idLength, "Visitor id, created by the page script"),
    sessionId: text(idLength, "Session id"),
    profileId: text(128, "Id of an identified user"),
    timestamp,
    anonymizeVisitorIds,
  }
}

const optionalEventId = text(
  512,
  "Idempotency key; if several items have the same key, only the first is stored",
)
const eventId = requiredText(
  512,
  "Idempotency key; if several items have the same key, only the first is stored",
)

const utm = (name: string) =>
  lenient(`UTM ${name}; cut at ${textLimits.utm} characters, left out if it is not a string`)

/** The fields of page events and outgoing links that describe the page and the visit. */
const pageContext = {
  sessionStartTime: lenient("Unix ms; not stored"),
  referrer: lenientText('http(s) URL, "direct" or empty; left out if it is malformed'),
  title: cutText(textLimits.title, "Title of the page"),
  viewport_size: lenientText(
    "Width and height of the viewport, such as 1280x720; left out if it is malformed",
  ),
  screen_resolution: lenientText(
    "Width and height of the screen, such as 1920x1080; left out if it is malformed",
  ),
  language: lenientText("BCP 47 language tag, such as en-US; left out if it is malformed"),
  timezone: lenientText("IANA time zone, such as Europe/Vienna; left out if it is malformed"),
  utm_source: utm("source"),
  utm_medium: utm("medium"),
  utm_campaign: utm("campaign"),
  utm_term: utm("term"),
  utm_content: utm("content"),
  gclid: cutText(textLimits.clickId, "Google Ads click id"),
  fbclid: cutText(textLimits.clickId, "Meta click id"),
  ttclid: cutText(textLimits.clickId, "TikTok click id"),
  twclid: cutText(textLimits.clickId, "X click id"),
  li_fat_id: cutText(textLimits.clickId, "LinkedIn click id"),
  msclkid: cutText(textLimits.clickId, "Microsoft Advertising click id"),
}

function object<Fields extends TProperties>(fields: Fields) {
  return Type.Object(fields, { expected: "must be an object" })
}

export const pageEventSchema = object({
  type: type('"track" or absent'),
  eventId,
  name: requiredText(
    128,
    "`screen_view`: a page view; `page_exit`: the end of a page view; any other name: a custom event",
  ),
  path: Type.String({
    minLength: 1,
    description:
      "http or https URL of the page. The path is stored after decoding it and removing trailing slashes. The query is stored as the property query_string, cut at 1024 characters",
    expected: "must be an absolute http or https URL",
  }),
  ...commonFields(256),
  ...pageContext,
  page_count: wholeNumber(1_000, "Pages seen in the session"),
  time_on_page: number(86_400, "Seconds on the page, for a page_exit"),
  scroll_depth: number(100, "Percentage of the page that was scrolled, for a page_exit"),
  interaction_count: wholeNumber(10_000, "Interactions with the page, for a page_exit"),
  properties,
})

export const outgoingLinkSchema = object({
  type: type('"outgoing_link"'),
  eventId,
  href: requiredText(2_048, "Target of the link"),
  text: text(2_048, "Text of the link"),
  path: lenientText("URL of the page; left out if it is malformed"),
  ...commonFields(256),
  ...pageContext,
  properties,
})

const pathname = requiredText(2_048, "Path of the page, or its URL")

export const acceptedVitals = ["FCP", "LCP", "CLS", "INP", "TTFB", "FPS"] as const

/** Maximum value of a metric: an hour in ms. */
const maxVital = 3_600_000
/** Maximum value of CLS, a ratio that is rarely above 1. */
export const maxLayoutShift = 100

export const vitalSchema = object({
  metricName: Type.Union(
    acceptedVitals.map((name) => Type.Literal(name)),
    { description: "Name of the metric", expected: `must be one of ${acceptedVitals.join(", ")}` },
  ),
  metricValue: Type.Number({
    minimum: 0,
    maximum: maxVital,
    description: `ms; CLS: a ratio of at most ${maxLayoutShift}; FPS: frames per second`,
    expected: `must be a number from 0 to ${maxVital}`,
  }),
  path: pathname,
  eventId: optionalEventId,
  ...commonFields(128),
})

export const errorSchema = object({
  message: requiredText(2_048, "Message of the error"),
  path: pathname,
  filename: text(512, "URL of the script"),
  lineno: position("Line in the script"),
  colno: position("Column in the script"),
  stack: text(4_096, "Stack trace"),
  errorType: text(128, "Class of the error, such as TypeError"),
  eventId: optionalEventId,
  ...commonFields(128),
})

/** Maximum of a counter in an engagement report. */
const maxCount = 65_535
/** Maximum duration in an engagement report: a week in seconds. */
const maxSpan = 604_800

export const exitTypes = ["navigation", "spa", "hidden", "unload"] as const

export const engagementSchema = object({
  path: pathname,
  pageIndex: wholeNumber(maxCount, "Index of the page in the session, from 0"),
  exitType: optional(Type.Union(exitTypes.map((exit) => Type.Literal(exit))), {
    description: "How the span ended",
    expected: `must be one of ${exitTypes.join(", ")}`,
  }),
  timeOnPage: number(maxSpan, "Seconds"),
  activeTime: number(maxSpan, "Seconds during which the page was visible and in use"),
  timeToFirstInteraction: number(maxSpan * 1_000, "ms; 0: no interaction"),
  maxScrollDepth: number(100, "Percentage of the page"),
  scrollCount: wholeNumber(maxCount, "Scrolls"),
  clickCount: wholeNumber(maxCount, "Clicks"),
  keyCount: wholeNumber(maxCount, "Keys pressed"),
  interactionCount: wholeNumber(maxCount, "Interactions"),
  copyCount: wholeNumber(maxCount, "Copies"),
  rageClickCount: wholeNumber(maxCount, "Series of clicks on one control without a response"),
  deadClickCount: wholeNumber(maxCount, "Clicks after which nothing happened"),
  formFieldCount: wholeNumber(maxCount, "Form fields used"),
  formSubmitCount: wholeNumber(maxCount, "Forms submitted"),
  errorCount: wholeNumber(maxCount, "Errors"),
  rageClickTarget: cutText(textLimits.engagementTarget, "Control that was last rage-clicked"),
  deadClickTarget: cutText(textLimits.engagementTarget, "Control that was last clicked without an effect"),
  lastFormField: cutText(textLimits.engagementTarget, "Name of the last form field used"),
  eventId: optionalEventId,
  ...commonFields(128),
})

export const customEventSchema = object({
  eventName: requiredText(128, "Name of the event"),
  path: text(2_048, "Path of the page, or its URL"),
  properties,
  eventId: optionalEventId,
  ...commonFields(128),
})

export const pageIdentitySchema = object({
  profileId: requiredText(128, "Id of the identified user"),
  anonymousId: text(256, "Visitor id to link to the user"),
  anonymizeVisitorIds,
  traits: optional(traitsSchema, {
    description: traitsSchema.description ?? "",
    expected: traitsSchema.expected,
  }),
})

export const aiVisitSchema = object({
  websiteId: requiredText(255, "Id of the website"),
  host: requiredText(255, "Host that was requested: the website's domain, a subdomain or an allowed host"),
  path: requiredText(2_048, "Path that was requested, or its URL"),
  format: text(64, "Format of the response, such as html or markdown"),
  userAgent: requiredText(2_048, "User agent of the request. Only the name of the agent is stored"),
  accept: text(2_048, "Accept header; not stored"),
  signatureAgent: text(2_048, "Signature-Agent header; not stored"),
  referrer: lenientText("Referrer of the request; left out if it is malformed"),
})

export type PageEventInput = Static<typeof pageEventSchema>
export type OutgoingLinkInput = Static<typeof outgoingLinkSchema>
/** TypeBox does not infer the type of additional properties. */
export type PageIdentityInput = Omit<Static<typeof pageIdentitySchema>, "traits"> &
  Pick<IdentifyInput, "traits">
export type AiVisitInput = Static<typeof aiVisitSchema>

export const checkAiVisit = new SchemaCheck(aiVisitSchema)
export const checkPageIdentity = new SchemaCheck(pageIdentitySchema)

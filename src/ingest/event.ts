import { type FieldError, RequestError } from "../errors.ts"
import { parseTime } from "../http/dates.ts"
import { maxNesting, parse } from "../http/large-body.ts"
import { fieldErrors, maxFieldErrors } from "../http/validation.ts"
import { JsonScanner, objectText, UnscannableError } from "../json-scanner.ts"
import { runToEnd } from "../steps.ts"
import type { EventRow } from "../store/events.ts"
import { isUuid, type Website } from "../store/websites.ts"
import { checkEvent, type EventInput } from "./schema.ts"

/** An event that has passed all checks of the contract that depend on the event alone. */
export interface CheckedEvent {
  input: EventInput
  /** Unix ms */
  ts: number
  /** As in `EventRow`. */
  keys: string
  properties: string | null
}

/** Inputs for the checks of an event. */
export interface EventRules {
  /** Maximum number of events in a request. */
  maxEvents: number
  /** Time of receipt, in Unix ms. */
  now: number
  /** As in `JsonBody`: true if no string can contain NUL or a lone surrogate. By default, each string is checked. */
  isPlain?: boolean
  /** True if a website with exactly this id exists, paused or not. */
  isRegistered: (websiteId: string) => boolean
}

/** 2000-01-01 in Unix ms. Earlier timestamps are probably in seconds or from a clock that was never set. */
const earliest = Date.UTC(2000, 0, 1)
/** Maximum time by which a client's clock can be ahead, in ms. */
const maxClockAhead = 3_600_000
const maxKeyLength = 128
/** Maximum size of the serialized properties, in bytes of UTF-8. */
const maxPropertyBytes = 32_768
/**
 * Maximum number of values in properties. Each takes at least two bytes (the value and a comma), so more values would
 * not fit into `maxPropertyBytes`.
 */
const maxValues = maxPropertyBytes / 2
const tooLarge = `must be at most ${maxPropertyBytes} bytes of JSON`
/**
 * Maximum number of levels of objects and arrays in `properties`, including `properties` itself. SQLite's JSON
 * functions allow many more (1,000).
 */
const maxDepth = 64
/** Maximum number of bytes that UTF-8 needs for one UTF-16 code unit. */
const bytesPerUnit = 3

const textFields = [
  "name",
  "namespace",
  "anonymousId",
  "sessionId",
  "websiteId",
  "source",
  "eventId",
  "profileId",
  "path",
] as const

/** Validates the body of /track. Throws `batch_too_long`, or `invalid_shape` with every invalid field. */
export function readEvents(body: unknown, rules: EventRules): CheckedEvent[] {
  return runToEnd(readEventsInSteps(body, rules))
}

/** Like `readEvents`, but in one step per event. */
export function* readEventsInSteps(body: unknown, rules: EventRules): Generator<void, CheckedEvent[]> {
  const isBatch = Array.isArray(body)
  const list = isBatch ? body : [body]
  if (list.length > rules.maxEvents) throw new RequestError("batch_too_long")
  const events: CheckedEvent[] = []
  const errors: FieldError[] = []
  for (let index = 0; index < list.length; index++) {
    if (index > 0) yield
    const checked = readEvent(list[index], rules)
    if (!Array.isArray(checked)) events.push(checked)
    else {
      const prefix = isBatch ? `${index}.` : ""
      errors.push(...checked.map(({ field, message }) => ({ field: trimDot(prefix + field), message })))
      // The response lists no more errors than this.
      if (errors.length >= maxFieldErrors) break
    }
  }
  if (errors.length > 0) throw invalidBody(errors)
  return events
}

function readEvent(value: unknown, rules: EventRules): CheckedEvent | FieldError[] {
  if (!checkEvent.accepts(value)) return fieldErrors(checkEvent, value)
  const input: EventInput = value
  const errors: FieldError[] = []
  if (!rules.isPlain) {
    for (const field of textFields) {
      const content = input[field]
      if (content && !isPlainText(content)) errors.push({ field, message: plainTextError })
    }
  }
  if (input.websiteId && !isUuid(input.websiteId) && !rules.isRegistered(input.websiteId)) {
    errors.push({ field: "websiteId", message: "must be a UUID or the id of a registered website" })
  }
  const ts = readTimestamp(input.timestamp, rules.now)
  if (ts === undefined) {
    errors.push({ field: "timestamp", message: checkEvent.schema.properties.timestamp.expected })
  }
  const serialized = serializeProperties(input.properties, rules.isPlain)
  if (typeof serialized === "string") errors.push({ field: "properties", message: serialized })
  else if (ts !== undefined && errors.length === 0) {
    const { keys, properties } = serialized
    return { input, ts, keys, properties }
  }
  return errors
}

export const plainTextError = "must not contain NUL or half of a surrogate pair"

/**
 * Returns false if the text contains NUL, which ends a string in SQLite's tools, or a lone surrogate, which UTF-8
 * cannot encode.
 */
export function isPlainText(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0")
}

function readTimestamp(timestamp: number | string | undefined, now: number): number | undefined {
  if (timestamp === undefined || timestamp === "") return now
  const ts = Math.floor(typeof timestamp === "number" ? timestamp : parseTime(timestamp))
  return isAcceptedTime(ts, now) ? ts : undefined
}

/** True if an event received at `now` can have the time `ts`. Both are in Unix ms. */
export function isAcceptedTime(ts: number, now: number): boolean {
  return ts >= earliest && ts <= now + maxClockAhead
}

/**
 * Serializes properties in the format of a row. Returns an error message if they are invalid. `isPlain`: as in
 * `JsonBody`.
 */
export function serializeProperties(
  properties: object | undefined,
  isPlain = false,
): Pick<CheckedEvent, "keys" | "properties"> | string {
  if (properties === undefined) return { keys: "", properties: null }
  if (properties instanceof SerializedProperties) return properties.serialized
  const names = Object.keys(properties)
  if (names.length > maxValues) return tooLarge
  let areKeysPlain = true
  for (const name of names) {
    if (name.length > maxKeyLength) return `must have keys of at most ${maxKeyLength} characters`
    if (!isPlain && !isPlainText(name)) areKeysPlain = false
  }
  const count = { values: 0 }
  const error = valueError(properties, 1, count)
  if (error) return error
  const keys = JSON.stringify(names)
  const values = JSON.stringify(Object.values(properties)).slice(1, -1)
  if (!fits(names.length, keys, values)) return tooLarge
  // Keys with NUL or lone surrogates stay in the object, where JSON escapes them.
  return areKeysPlain ? { keys, properties: values } : { keys: "", properties: JSON.stringify(properties) }
}

/**
 * True if an object with these keys and values is not too large. `keys`: a JSON array. `values`: a JSON array without
 * its brackets.
 */
function fits(count: number, keys: string, values: string): boolean {
  // The length of the whole object in UTF-16 code units. The brackets around the keys become braces, the commas between
  // keys become colons, and one more colon follows the last key.
  const units = count === 0 ? 2 : keys.length + values.length + 1
  if (alwaysFits(units)) return true
  const bytes = units - keys.length - values.length + Buffer.byteLength(keys) + Buffer.byteLength(values)
  return bytes <= maxPropertyBytes
}

/** Maximum number of property keys in the description of a rejected request. */
export const maxListedKeys = 30

/** Properties that `parseWideEvent` has already serialized. */
export class SerializedProperties {
  /** `keys`: the first `maxListedKeys` property keys. */
  constructor(
    readonly serialized: ReturnType<typeof serializeProperties>,
    readonly keys: readonly string[],
  ) {}
}

/**
 * Parses an event like `JSON.parse`, but leaves out fields that are not in the schema. Serializes the properties
 * without creating objects (see `JsonScanner`). Throws `invalid_json`.
 */
export function parseWideEvent(text: string): unknown {
  try {
    const event: Record<string, unknown> = {}
    const scanner = new JsonScanner(text)
    for (const field of scanner.members()) {
      if (field === "properties" && scanner.isAtObject) event[field] = scanProperties(scanner)
      else {
        const value = scanner.value(maxNesting)
        if (Object.hasOwn(checkEvent.schema.properties, field)) event[field] = JSON.parse(value)
      }
    }
    return event
  } catch (error) {
    if (error instanceof UnscannableError) return parse(text)
    throw error
  }
}

/**
 * Like `serializeProperties`. Throws UnscannableError if the properties are invalid for a reason other than their size.
 * The event is then parsed in full, and its validation describes the error.
 */
function scanProperties(scanner: JsonScanner): SerializedProperties {
  const members = scanner.object(maxDepth)
  const names = [...members.keys()]
  if (names.some(({ length }) => length > maxKeyLength)) throw new UnscannableError()
  const keys = JSON.stringify(names)
  const properties = [...members.values()].join(",")
  const serialized = !fits(names.length, keys, properties)
    ? tooLarge
    : names.every(isPlainText)
      ? { keys, properties }
      : { keys: "", properties: objectText(members) }
  return new SerializedProperties(serialized, names.slice(0, maxListedKeys))
}

/** True if an object of this many UTF-16 code units is never too large, regardless of its characters. */
export function alwaysFits(units: number): boolean {
  return units * bytesPerUnit <= maxPropertyBytes
}

/**
 * Describes what is invalid in a value, or returns undefined if it is valid. Adds the number of values to
 * `count.values`.
 */
function valueError(value: unknown, depth: number, count: { values: number }): string | undefined {
  if (typeof value === "number")
    return Number.isFinite(value) ? undefined : "must hold numbers that fit a double"
  if (typeof value !== "object" || value === null) return undefined
  if (depth > maxDepth) return `must be nested at most ${maxDepth} deep`
  const inner = Array.isArray(value) ? value : Object.values(value)
  count.values += inner.length
  if (count.values > maxValues) return tooLarge
  for (const child of inner) {
    const error = valueError(child, depth + 1, count)
    if (error) return error
  }
  return undefined
}

/** How and when an event was received. */
export interface Receipt {
  viaKey: boolean
  crawler: boolean
  /** Unix ms */
  receivedAt: number
}

/** Converts an event to a row. `website` is undefined for an event without a website. */
export function toRow(event: CheckedEvent, website: Website | undefined, receipt: Receipt): EventRow {
  const { input } = event
  return {
    websiteRid: website?.rid ?? 0,
    name: input.name,
    namespace: input.namespace ?? "",
    source: input.source ?? "",
    keys: event.keys,
    ts: event.ts,
    receivedAt: receipt.receivedAt,
    anonymousId: input.anonymousId || null,
    hashVisitor: shouldHashVisitor(input.anonymizeVisitorIds, website),
    sessionId: input.sessionId || null,
    profileId: input.profileId || null,
    path: input.path || null,
    viaKey: receipt.viaKey ? 1 : 0,
    crawler: receipt.crawler ? 1 : 0,
    eventId: input.eventId || null,
    properties: event.properties,
  }
}

/**
 * True if the visitor id is stored as a hash. An event can request more privacy than the website's setting provides,
 * but never less.
 */
export function shouldHashVisitor(
  requested: EventInput["anonymizeVisitorIds"],
  website: Website | undefined,
): boolean {
  return requested === true || website?.anonymize === "daily"
}

/** Converts the field "1.", which stands for the whole second event, to "1". */
export function trimDot(field: string): string {
  return field.endsWith(".") ? field.slice(0, -1) : field
}

/** Creates an `invalid_shape` error. Omits errors about the whole body, because they have no field name. */
export function invalidBody(errors: readonly FieldError[]): RequestError {
  const fields = errors.filter((error) => error.field !== "").slice(0, maxFieldErrors)
  return new RequestError("invalid_shape", fields.length > 0 ? { fields } : {})
}

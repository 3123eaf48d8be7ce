import { type FieldError, RequestError } from "../errors.ts"
import { timeOf } from "../http/dates.ts"
import { fieldErrors, maxErrors } from "../http/validation.ts"
import type { EventRow } from "../store/events.ts"
import { isUuid, type Website } from "../store/websites.ts"
import { checkEvent, type EventInput } from "./schema.ts"

/** An event that keeps every rule of the contract that can be told from the event alone. */
export interface CheckedEvent {
  input: EventInput
  /** Unix ms */
  ts: number
  /** As in `EventRow`. */
  keys: string
  properties: string | null
}

export interface EventRules {
  /** Events in a request. */
  maxEvents: number
  /** Unix ms, the time of receipt. */
  now: number
  /** As in `JsonBody`: no text needs to be searched for NUL and halves of surrogate pairs. Left out: each is. */
  isPlain?: boolean
  /** True where a website with exactly this id exists, be it paused. */
  isRegistered: (websiteId: string) => boolean
}

/** 2000-01-01, Unix ms. What is older is a time in seconds, or a clock that was never set. */
const earliest = Date.UTC(2000, 0, 1)
/** ms that a client's clock may be ahead. */
const latestAhead = 3_600_000
const maxKeyLength = 128
/** UTF-8 bytes of the serialised properties. */
const maxPropertyBytes = 32_768
/** Values in properties: each takes two bytes at least, itself and a comma. With more there is nothing to serialise. */
const maxValues = maxPropertyBytes / 2
const tooLarge = `must be at most ${maxPropertyBytes} bytes of JSON`
/** Levels of objects and arrays in `properties`, itself the first: far below where SQLite's JSON gives up (1,000). */
const maxDepth = 64
/** UTF-8 bytes that a UTF-16 unit takes at most. */
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

/** Checks a request's JSON. Throws `invalid_shape` with every bad field named, or `batch_too_long`. */
export function readEvents(body: unknown, rules: EventRules): CheckedEvent[] {
  const batch = Array.isArray(body)
  const list = batch ? body : [body]
  if (list.length > rules.maxEvents) throw new RequestError("batch_too_long")
  const events: CheckedEvent[] = []
  const errors: FieldError[] = []
  for (let index = 0; index < list.length; index++) {
    const checked = readEvent(list[index], rules)
    if (!Array.isArray(checked)) events.push(checked)
    else {
      const prefix = batch ? `${index}.` : ""
      errors.push(...checked.map(({ field, message }) => ({ field: trimDot(prefix + field), message })))
      // To look at the others would be work for an answer that does not show it.
      if (errors.length >= maxErrors) break
    }
  }
  if (errors.length > 0) throw new RequestError("invalid_shape", named(errors))
  return events
}

function readEvent(value: unknown, rules: EventRules): CheckedEvent | FieldError[] {
  if (!checkEvent.Check(value)) return fieldErrors(checkEvent, value)
  const input: EventInput = value
  const errors: FieldError[] = []
  if (!rules.isPlain) {
    for (const field of textFields) {
      const content = input[field]
      if (content && !isPlainText(content)) errors.push({ field, message: badText })
    }
  }
  if (input.websiteId && !isUuid(input.websiteId) && !rules.isRegistered(input.websiteId)) {
    errors.push({ field: "websiteId", message: "must be a UUID or the id of a registered website" })
  }
  const ts = readTimestamp(input.timestamp, rules.now)
  if (ts === undefined) {
    errors.push({ field: "timestamp", message: checkEvent.Schema().properties.timestamp.expected })
  }
  const serialised = serialiseProperties(input.properties, rules.isPlain)
  if (typeof serialised === "string") errors.push({ field: "properties", message: serialised })
  else if (errors.length === 0) return { input, ts: ts as number, ...serialised }
  return errors
}

export const badText = "must not contain NUL or half of a surrogate pair"

/** NUL ends a string for SQLite's tools, and half a surrogate pair is no UTF-8. */
export function isPlainText(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0")
}

function readTimestamp(timestamp: number | string | undefined, now: number): number | undefined {
  if (timestamp === undefined || timestamp === "") return now
  const ts = Math.floor(typeof timestamp === "number" ? timestamp : timeOf(timestamp))
  return isTime(ts, now) ? ts : undefined
}

/** Whether an event can have happened at `ts`, where it is received at `now`; both Unix ms. */
export function isTime(ts: number, now: number): boolean {
  return ts >= earliest && ts <= now + latestAhead
}

/** As a row holds them. Gives what is wrong, as a string. `isPlain`: true where no key needs to be searched, as in `JsonBody`. */
export function serialiseProperties(
  properties: object | undefined,
  isPlain = false,
): Pick<CheckedEvent, "keys" | "properties"> | string {
  if (properties === undefined) return { keys: "", properties: null }
  const names = Object.keys(properties)
  if (names.length > maxValues) return tooLarge
  let plain = true
  for (const name of names) {
    if (name.length > maxKeyLength) return `must have keys of at most ${maxKeyLength} characters`
    if (!isPlain && !isPlainText(name)) plain = false
  }
  const count = { values: 0 }
  const wrong = wrongIn(properties, 1, count)
  if (wrong) return wrong
  const keys = JSON.stringify(names)
  const values = JSON.stringify(Object.values(properties)).slice(1, -1)
  // As one object they are a character longer: the keys' brackets turn to braces, the commas of one list to colons, and
  // there is one colon more than commas.
  const units = names.length === 0 ? 2 : keys.length + values.length + 1
  if (units * bytesPerUnit > maxPropertyBytes) {
    const bytes = units - keys.length - values.length + Buffer.byteLength(keys) + Buffer.byteLength(values)
    if (bytes > maxPropertyBytes) return tooLarge
  }
  // Keys that are no plain text stay in the object, where JSON escapes them.
  return plain ? { keys, properties: values } : { keys: "", properties: JSON.stringify(properties) }
}

function wrongIn(value: unknown, depth: number, count: { values: number }): string | undefined {
  if (typeof value === "number")
    return Number.isFinite(value) ? undefined : "must hold numbers that fit a double"
  if (typeof value !== "object" || value === null) return undefined
  if (depth > maxDepth) return `must be nested at most ${maxDepth} deep`
  const inner = Array.isArray(value) ? value : Object.values(value)
  count.values += inner.length
  if (count.values > maxValues) return tooLarge
  for (const one of inner) {
    const wrong = wrongIn(one, depth + 1, count)
    if (wrong) return wrong
  }
  return undefined
}

export interface Sender {
  viaKey: boolean
  crawler: boolean
  /** Unix ms */
  receivedAt: number
}

/** `website`: where the event goes; undefined: the owner's own event. */
export function toRow(event: CheckedEvent, website: Website | undefined, sender: Sender): EventRow {
  const { input } = event
  return {
    websiteRid: website?.rid ?? 0,
    name: input.name,
    namespace: input.namespace ?? "",
    source: input.source ?? "",
    keys: event.keys,
    ts: event.ts,
    receivedAt: sender.receivedAt,
    anonymousId: input.anonymousId || null,
    hashVisitor: hashesVisitor(input.anonymizeVisitorIds, website),
    sessionId: input.sessionId || null,
    profileId: input.profileId || null,
    path: input.path || null,
    viaKey: sender.viaKey ? 1 : 0,
    crawler: sender.crawler ? 1 : 0,
    eventId: input.eventId || null,
    properties: event.properties,
  }
}

/** An event may ask for more privacy than its website has set, never for less. */
export function hashesVisitor(
  asked: EventInput["anonymizeVisitorIds"],
  website: Website | undefined,
): boolean {
  return asked === true || website?.anonymize === "daily"
}

/** "1." names the second event as a whole: "1". */
function trimDot(field: string): string {
  return field.endsWith(".") ? field.slice(0, -1) : field
}

/** Nothing to name where the body as a whole is no event. */
function named(errors: FieldError[]): { fields?: FieldError[] } {
  const fields = errors.filter((error) => error.field !== "").slice(0, maxErrors)
  return fields.length > 0 ? { fields } : {}
}

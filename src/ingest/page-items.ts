import type { Static, TObject } from "@sinclair/typebox"
import { type FieldError, RequestError } from "../errors.ts"
import type { EventKind } from "../event-kinds.ts"
import { fieldErrors, maxFieldErrors, SchemaCheck } from "../http/validation.ts"
import type { AcquisitionInput } from "./acquisition.ts"
import type { ClientInput } from "./client-context.ts"
import {
  alwaysFits,
  invalidBody,
  isAcceptedTime,
  isPlainText,
  plainTextError,
  serializeProperties,
  trimDot,
} from "./event.ts"
import {
  customEventSchema,
  engagementSchema,
  errorSchema,
  maxLayoutShift,
  type OutgoingLinkInput,
  outgoingLinkSchema,
  type PageEventInput,
  pageEventSchema,
  textLimits,
  timestampError,
  vitalSchema,
} from "./page-schema.ts"
import { cut, type PageAddress, type PageAddresses, pagePathOf, sizeOf } from "./page-text.ts"

/** An item (an event from the page script) that has passed all checks that depend on the item alone. */
export interface PageItem {
  kind: EventKind
  name: string
  path: string | null
  /** Unix ms */
  ts: number
  /** As in `EventRow`. */
  keys: string
  properties: string | null
  common: CommonInput
  visit: VisitInput | undefined
}

/** The part of an item that describes the visit. */
export interface VisitInput {
  /** The fields of the item. */
  item: ClientInput & AcquisitionInput
  page: PageAddress | undefined
}

/** The fields that every item has. */
interface CommonInput {
  anonymousId?: string | null
  sessionId?: string | null
  profileId?: string | null
  eventId?: string | null
  timestamp?: number | null
  anonymizeVisitorIds?: boolean | "auto" | null
  properties?: object | null
}

/** The parts of an item that depend on its type. */
interface Description {
  kind: EventKind
  name: string
  path: string | null
  /**
   * Properties that are stored in addition to the sender's, unless they are null, undefined or ''. Their names are
   * reserved.
   */
  builtIn?: Record<string, string | number | null | undefined>
  visit?: VisitInput
}

export interface ItemRules {
  /** Time of receipt, in Unix ms. */
  now: number
  /** As in `JsonBody`. */
  isPlain: boolean
  pageAddresses: PageAddresses
}

/** Validates one type of items. */
export interface ItemType {
  schema: TObject
  /** Returns the item, or its invalid fields if there are any. */
  read: (value: unknown, rules: ItemRules) => PageItem | FieldError[]
}

/** Fields whose strings are stored in columns, where NUL ends a string and lone surrogates are lost. */
const columnFields = ["name", "eventName", "eventId", "anonymousId", "sessionId", "profileId"] as const

/** Creates an item type. `describe` returns an error if a field is invalid in a way that the schema cannot express. */
function itemType<Schema extends TObject>(
  schema: Schema,
  describe: (input: Static<Schema>, pageAddresses: PageAddresses) => Description | FieldError,
): ItemType {
  const check = new SchemaCheck(schema)
  return {
    schema,
    read: (value, rules) => {
      if (!check.accepts(value)) return fieldErrors(check, value)
      const described = describe(value, rules.pageAddresses)
      // The type assertion is safe because every schema has these fields. TypeScript cannot infer this from a type
      // parameter.
      const common = value as CommonInput
      const errors: FieldError[] = rules.isPlain ? [] : columnTextErrors(value)
      const ts = common.timestamp ?? rules.now
      if (!isAcceptedTime(ts, rules.now)) errors.push({ field: "timestamp", message: timestampError })
      const serialized = serialize(common.properties, "kind" in described ? described.builtIn : {}, rules)
      if (typeof serialized === "string") errors.push({ field: "properties", message: serialized })
      if ("field" in described) return [described, ...errors]
      if (typeof serialized === "string" || errors.length > 0) return errors
      const { kind, name, path, visit } = described
      const { keys, properties } = serialized
      return { kind, name, path, ts, keys, properties, common, visit }
    },
  }
}

function columnTextErrors(value: object): FieldError[] {
  const fields = new Map<string, unknown>(Object.entries(value))
  return columnFields
    .filter((field) => {
      const content = fields.get(field)
      return typeof content === "string" && !isPlainText(content)
    })
    .map((field) => ({ field, message: plainTextError }))
}

/**
 * Serializes the sender's properties together with the built-in ones. The names of built-in properties are reserved, so
 * the sender's value for such a name is never used, even if the built-in value is missing. If all properties together
 * are too large, the sender's are left out.
 */
function serialize(
  sent: object | null | undefined,
  builtIn: Description["builtIn"] = {},
  { isPlain }: ItemRules,
): ReturnType<typeof serializeProperties> {
  if (!sent) {
    const own = serializeBuiltIn(builtIn)
    if (own) return own
  }
  const all: Record<string, unknown> = { ...sent }
  let isEmpty = true
  for (const name in builtIn) {
    const value = builtIn[name]
    if (isMissing(value)) {
      if (Object.hasOwn(all, name)) delete all[name]
      continue
    }
    all[name] = value
    isEmpty = false
  }
  if (isEmpty) return serializeProperties(sent ? all : undefined, isPlain)
  const serialized = serializeProperties(all, isPlain)
  if (typeof serialized !== "string") return serialized
  const alone = serializeProperties(sent ?? undefined, isPlain)
  if (typeof alone === "string") return alone
  const present = Object.fromEntries(Object.entries(builtIn).filter(([, value]) => !isMissing(value)))
  const serializedBuiltIn = serializeProperties(present, isPlain)
  // The built-in properties alone are only too large if they contain many control characters, which JSON escapes.
  return typeof serializedBuiltIn === "string" ? serializeProperties(undefined) : serializedBuiltIn
}

/**
 * Serializes the properties of an item that has only built-in ones, as nearly every page view does. This is faster than
 * `serializeProperties`. Returns undefined if the properties might be too large.
 */
function serializeBuiltIn(
  builtIn: NonNullable<Description["builtIn"]>,
): Exclude<ReturnType<typeof serializeProperties>, string> | undefined {
  const names: string[] = []
  const values: (string | number)[] = []
  for (const name in builtIn) {
    const value = builtIn[name]
    if (isMissing(value)) continue
    names.push(name)
    values.push(value)
  }
  if (names.length === 0) return { keys: "", properties: null }
  const keys = JSON.stringify(names)
  const properties = JSON.stringify(values).slice(1, -1)
  return alwaysFits(keys.length + properties.length + 1) ? { keys, properties } : undefined
}

const isMissing = (value: unknown): value is null | undefined | "" =>
  value === null || value === undefined || value === ""

const cutOf = (text: string | null | undefined, limit: number) => text && cut(text, limit)

/** Returns the properties of page events and outgoing links that describe the page. */
function pageProperties(input: PageEventInput | OutgoingLinkInput, page: PageAddress | undefined) {
  return {
    title: cutOf(input.title, textLimits.title),
    hostname: cutOf(page?.hostname, textLimits.host),
    query_string: cutOf(page?.search.slice(1), textLimits.query),
    viewport_size: sizeOf(input.viewport_size),
    gclid: cutOf(input.gclid, textLimits.clickId),
    fbclid: cutOf(input.fbclid, textLimits.clickId),
    ttclid: cutOf(input.ttclid, textLimits.clickId),
    twclid: cutOf(input.twclid, textLimits.clickId),
    li_fat_id: cutOf(input.li_fat_id, textLimits.clickId),
    msclkid: cutOf(input.msclkid, textLimits.clickId),
  }
}

/** Names that the page script reserves. Events with other names are custom. */
const pageKinds: Readonly<Record<string, EventKind>> = { screen_view: "page_view", page_exit: "page_exit" }

const pageEvents = itemType(pageEventSchema, (input, pageAddresses) => {
  const page = pageAddresses.parse(input.path)
  if (!page) return { field: "path", message: pageEventSchema.properties.path.expected }
  const kind = Object.hasOwn(pageKinds, input.name) ? pageKinds[input.name] : undefined
  const { name } = input
  const { path } = page
  const visit = { item: input, page }
  if (!kind) return { kind: "custom", name, path, visit }
  const builtIn = {
    ...pageProperties(input, page),
    page_count: input.page_count,
    time_on_page: input.time_on_page,
    scroll_depth: input.scroll_depth,
    interaction_count: input.interaction_count,
  }
  return { kind, name, path, visit, builtIn }
})

const outgoingLinks = itemType(outgoingLinkSchema, (input, pageAddresses) => {
  const page = input.path ? pageAddresses.parse(input.path) : undefined
  return {
    kind: "outgoing_link",
    name: "outgoing_link",
    path: page?.path ?? null,
    builtIn: {
      ...pageProperties(input, page),
      href: input.href,
      text: input.text,
      domain: URL.parse(input.href)?.hostname.replace(/^www\./, "") || undefined,
    },
    visit: { item: input, page },
  }
})

export const vitals = itemType(vitalSchema, (input) => {
  if (input.metricName === "CLS" && input.metricValue > maxLayoutShift) {
    return { field: "metricValue", message: `must be a number from 0 to ${maxLayoutShift} for CLS` }
  }
  return {
    kind: "web_vital",
    name: input.metricName,
    path: pagePathOf(input.path),
    builtIn: { value: input.metricValue },
  }
})

export const errors = itemType(errorSchema, (input) => ({
  kind: "error",
  name: "error",
  path: pagePathOf(input.path),
  builtIn: {
    message: input.message,
    filename: input.filename,
    lineno: input.lineno,
    colno: input.colno,
    stack: input.stack,
    error_type: input.errorType,
  },
}))

export const engagementSpans = itemType(engagementSchema, (input) => ({
  kind: "engagement",
  name: "engagement",
  path: pagePathOf(input.path),
  builtIn: {
    page_index: input.pageIndex,
    exit_type: input.exitType,
    time_on_page: input.timeOnPage,
    active_time: input.activeTime,
    time_to_first_interaction: input.timeToFirstInteraction,
    max_scroll_depth: input.maxScrollDepth,
    scroll_count: input.scrollCount,
    click_count: input.clickCount,
    key_count: input.keyCount,
    interaction_count: input.interactionCount,
    copy_count: input.copyCount,
    rage_click_count: input.rageClickCount,
    dead_click_count: input.deadClickCount,
    form_field_count: input.formFieldCount,
    form_submit_count: input.formSubmitCount,
    error_count: input.errorCount,
    rage_click_target: cutOf(input.rageClickTarget, textLimits.engagementTarget),
    dead_click_target: cutOf(input.deadClickTarget, textLimits.engagementTarget),
    last_form_field: cutOf(input.lastFormField, textLimits.engagementTarget),
  },
}))

export const customEvents = itemType(customEventSchema, (input) => ({
  kind: "custom",
  name: input.eventName,
  path: input.path ? pagePathOf(input.path) : null,
}))

/** Types of the items that / and /batch accept, by the value of `type`. */
export const pageItemTypes = { track: pageEvents, outgoing_link: outgoingLinks } as const satisfies Record<
  string,
  ItemType
>

export type PageItemType = keyof typeof pageItemTypes

/** Returns the type of an item sent to / or /batch, or undefined if it is unknown. Default: `track`. */
export function pageItemTypeOf(value: unknown): PageItemType | undefined {
  const type = typeof value === "object" && value !== null && "type" in value ? value.type : undefined
  if (type === undefined || type === null) return "track"
  return typeof type === "string" && Object.hasOwn(pageItemTypes, type) ? (type as PageItemType) : undefined
}

export const unknownTypeErrors: FieldError[] = [
  { field: "type", message: 'must be "track", "outgoing_link" or absent' },
]

/**
 * Validates a list of items, or one item, in one step per item. Throws `batch_too_long`, or `invalid_shape` with every
 * invalid field.
 */
export function* readItems(
  body: unknown,
  { read }: ItemType,
  maxItems: number,
  rules: ItemRules,
): Generator<void, PageItem[]> {
  const isList = Array.isArray(body)
  const list = isList ? body : [body]
  if (list.length > maxItems) throw new RequestError("batch_too_long")
  const items: PageItem[] = []
  const errors: FieldError[] = []
  for (let index = 0; index < list.length && errors.length < maxFieldErrors; index++) {
    if (index > 0) yield
    const item = read(list[index], rules)
    if (!Array.isArray(item)) items.push(item)
    else errors.push(...(isList ? item.map((error) => inItem(index, error)) : item))
  }
  if (errors.length > 0) throw invalidBody(errors)
  return items
}

/** Prefixes the name of a field with the index of its item. */
export function inItem(index: number, { field, message }: FieldError): FieldError {
  return { field: trimDot(`${index}.${field}`), message }
}

import { type FieldError, RequestError, toRequestError } from "../errors.ts"
import type { JsonBody } from "../http/body.ts"
import { countRejectedBytes } from "../http/rejected-bytes.ts"
import { quoted } from "../json-text.ts"
import { runToEnd } from "../steps.ts"
import type { EventRow } from "../store/events.ts"
import { invalidBody } from "./event.ts"
import { type IngestDeps, type IngestRequest, type IngestRoute, recordRejected } from "./handle.ts"
import {
  customEvents,
  engagementSpans,
  errors,
  type ItemRules,
  type ItemType,
  inItem,
  type PageItem,
  type PageItemType,
  pageItemTypeOf,
  pageItemTypes,
  readItems,
  unknownTypeErrors,
  vitals,
} from "./page-items.ts"
import { authorizePage, mapItems, maxPageBodyBytes, pageRows, readPageBody } from "./page-request.ts"
import { cut } from "./page-text.ts"
import { jsonResponse } from "./responses.ts"

/** A route that accepts a list of items of one type. Either all of them are stored, or none. */
export interface ListRoute {
  path: string
  /** Value of `type` in the response. */
  type: string
  items: ItemType
  /** Maximum number of items in a request. */
  maxItems: number
  /** Maximum size of a body after decompression, in bytes. */
  maxBytes: number
}

export const listRoutes = {
  vitals: { path: "/vitals", type: "web_vitals", items: vitals, maxItems: 20, maxBytes: maxPageBodyBytes },
  errors: { path: "/errors", type: "error", items: errors, maxItems: 50, maxBytes: 131_072 },
  engagement: {
    path: "/engagement",
    type: "engagement",
    items: engagementSpans,
    maxItems: 20,
    maxBytes: maxPageBodyBytes,
  },
  events: {
    path: "/events",
    type: "custom_event",
    items: customEvents,
    maxItems: 100,
    maxBytes: maxPageBodyBytes,
  },
} as const satisfies Record<string, ListRoute>

/** Maximum number of items in a request to POST /batch. */
export const maxBatchItems = 100

/** `POST /`, `POST /batch` and the list routes. */
export const pageEventRoutes: IngestRoute[] = [
  { method: "POST", path: "/", hasEvents: true, handle: receiveOne },
  { method: "POST", path: "/batch", hasEvents: true, handle: receiveBatch },
  ...Object.values(listRoutes).map(
    (list: ListRoute): IngestRoute => ({
      method: "POST",
      path: list.path,
      hasEvents: true,
      handle: (deps, request) => receiveList(deps, request, list),
    }),
  ),
]

async function receiveList(deps: IngestDeps, request: IngestRequest, route: ListRoute): Promise<Response> {
  const body = await readPageBody(deps, request, route.maxBytes)
  const rules = itemRules(deps, request, body)
  const steps = readItems(body.value, route.items, route.maxItems, rules)
  const items = body.isLarge ? await deps.largeBodies.run(steps, true) : runToEnd(steps)
  await store(deps, request, items, body)
  return success(request, { status: "success", type: route.type, count: items.length })
}

async function receiveOne(deps: IngestDeps, request: IngestRequest): Promise<Response> {
  const body = await readPageBody(deps, request)
  const { type, item } = readPageItem(body.value, itemRules(deps, request, body))
  if (type === undefined || Array.isArray(item)) throw invalidBody(Array.isArray(item) ? item : [])
  await store(deps, request, [item], body)
  return success(request, { status: "success", type })
}

function itemRules({ pageAddresses }: IngestDeps, { now }: IngestRequest, { isPlain }: JsonBody): ItemRules {
  return { now, isPlain, pageAddresses }
}

/** Validates an item of `POST /` or `POST /batch` by its `type`. */
function readPageItem(value: unknown, rules: ItemRules): ReadItem {
  const type = pageItemTypeOf(value)
  return { value, type, item: type ? pageItemTypes[type].read(value, rules) : unknownTypeErrors }
}

/** Authorizes a request and stores its items. Resolves when they are on disk. */
export async function store(
  deps: IngestDeps,
  request: IngestRequest,
  items: readonly PageItem[],
  body: Pick<JsonBody, "size" | "isLarge">,
): Promise<void> {
  const { size } = body
  const website = authorizePage(deps, request, { events: items.length, bytes: size })
  if (items.length === 0) return
  const rows = await pageRows(deps, request, website, items, body)
  await deps.batcher.submit({ rows, size })
}

/**
 * Accepts or rejects each item individually. The response has a result for each item, in order. Its status is 200 even
 * if every item is invalid.
 */
async function receiveBatch(deps: IngestDeps, request: IngestRequest): Promise<Response> {
  const body = await readPageBody(deps, request)
  if (!Array.isArray(body.value)) throw invalidBody([])
  if (body.value.length > maxBatchItems) throw new RequestError("batch_too_long")
  const rules = itemRules(deps, request, body)
  const read = await mapItems(deps, body, body.value, (value) => readPageItem(value, rules))
  const website = authorizePage(deps, request, { events: read.length, bytes: body.size })
  const items: PageItem[] = []
  for (const { item } of read) if (!Array.isArray(item)) items.push(item)
  const rows = await pageRows(deps, request, website, items, body)
  const rejected = await storeBatch(deps, items, rows, body.size)
  if (items.length < read.length) recordInvalidItems(deps, request, read)
  recordNewNames(deps, request, read, rejected)
  return jsonResponse(batchText(read, rejected), request.headers)
}

/** Returns the body of the response to a batch. Concatenating it takes a third of the time of `JSON.stringify`. */
function batchText(read: readonly ReadItem[], rejected: ReadonlySet<PageItem>): string {
  const stored: Record<PageItemType, number> = { track: 0, outgoing_link: 0 }
  let results = ""
  for (const one of read) {
    const { type, item } = one
    if (results !== "") results += ","
    if (type === undefined || Array.isArray(item) || rejected.has(item)) {
      results += JSON.stringify(rejectedResultOf(one))
      continue
    }
    stored[type]++
    results += `{"status":"success","type":"${type}","eventId":${quoted(item.common.eventId ?? "")}}`
  }
  const accepted = stored.track + stored.outgoing_link
  const status = accepted === read.length ? "success" : accepted > 0 ? "partial" : "error"
  const batched = `{"track":${stored.track},"outgoing_link":${stored.outgoing_link}}`
  return `{"status":"${status}","batch":true,"processed":${read.length},"batched":${batched},"results":[${results}]}`
}

/**
 * Stores the items of a batch. If they exceed the quota for new names, stores only the items with known names, so that
 * page views are not lost, and returns the others.
 */
async function storeBatch(
  { batcher, isKnownName }: IngestDeps,
  items: readonly PageItem[],
  rows: readonly EventRow[],
  size: number,
): Promise<ReadonlySet<PageItem>> {
  const rejected = new Set<PageItem>()
  try {
    if (rows.length > 0) await batcher.submit({ rows, size })
  } catch (error) {
    if (toRequestError(error).reason !== "too_many_new_names") throw error
    const known = rows.filter((row, index) => {
      const isKnown = isKnownName(row)
      if (!isKnown) rejected.add(items[index] as PageItem)
      return isKnown
    })
    if (known.length > 0) await batcher.submit({ rows: known, size })
  }
  return rejected
}

interface ReadItem {
  value: unknown
  type: PageItemType | undefined
  item: PageItem | FieldError[]
}

/** The result of a rejected item in the response. */
interface RejectedResult {
  status: "error"
  message: ItemError
  code: (typeof itemErrors)[ItemError]
  errors: FieldError[]
  eventType: string
  eventId: string | null
}

/** Messages and codes of rejected items. */
export const itemErrors = {
  "Invalid event schema": "INVALID_EVENT_SCHEMA",
  "Unknown event type": "INVALID_EVENT_SCHEMA",
  "Too many new event names": "TOO_MANY_NEW_NAMES",
} as const
type ItemError = keyof typeof itemErrors

/** Maximum number of UTF-16 code units of an unknown type or of an eventId to repeat in the response. */
const maxEcho = 512

function rejectedResultOf({ value, type, item }: ReadItem): RejectedResult {
  const { type: sentType, eventId } = fieldsOf(value)
  const message =
    type === undefined
      ? "Unknown event type"
      : Array.isArray(item)
        ? "Invalid event schema"
        : "Too many new event names"
  return {
    status: "error",
    message,
    code: itemErrors[message],
    errors: Array.isArray(item) ? item : [],
    eventType: type ?? (typeof sentType === "string" ? cut(sentType, maxEcho) : "unknown"),
    eventId: typeof eventId === "string" ? cut(eventId, maxEcho) : null,
  }
}

function fieldsOf(value: unknown): { type?: unknown; eventId?: unknown } {
  return typeof value === "object" && value !== null ? value : {}
}

/**
 * Records the invalid items of an accepted batch as one rejected request. If all items are invalid, also counts the
 * body as rejected bytes.
 */
function recordInvalidItems(
  deps: IngestDeps,
  { context, route, headers }: IngestRequest,
  read: readonly ReadItem[],
): void {
  const invalid = read.flatMap(({ item }, index) => (Array.isArray(item) ? [{ index, errors: item }] : []))
  const error = invalidBody(
    invalid.flatMap(({ index, errors }) => errors.map((error) => inItem(index, error))),
  )
  const body = invalid.map(({ index }) => read[index]?.value)
  recordRejected(deps, { ...context, body }, route, error, headers)
  if (invalid.length === read.length) countRejectedBytes(deps, context, error)
}

/** Records the items whose names exceed the quota as one rejected request. */
function recordNewNames(
  deps: IngestDeps,
  { context, route, headers }: IngestRequest,
  read: readonly ReadItem[],
  rejected: ReadonlySet<PageItem>,
): void {
  if (rejected.size === 0) return
  const body = read.filter(({ item }) => !Array.isArray(item) && rejected.has(item)).map(({ value }) => value)
  recordRejected(deps, { ...context, body }, route, new RequestError("too_many_new_names"), headers)
}

function success({ headers }: IngestRequest, body: object): Response {
  return jsonResponse(JSON.stringify(body), headers)
}

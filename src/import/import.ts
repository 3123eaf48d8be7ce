import { parseNewWebsite, retainText } from "../admin-api/input.ts"
import { type FieldError, RequestError, UserError } from "../errors.ts"
import { type Counts, formatVersion } from "../export/lines.ts"
import { fieldErrors } from "../http/validation.ts"
import { isAcceptedTime, isPlainText, plainTextError, serializeProperties } from "../ingest/event.ts"
import { columnTraitErrors } from "../ingest/identify.ts"
import { type ContextField, contextFields } from "../store/contexts.ts"
import type { DailyHash } from "../store/daily-hash.ts"
import type { Db } from "../store/db/driver.ts"
import { EventImporter, type ImportOutcome } from "../store/event-importer.ts"
import type { StoredEvent } from "../store/event-reader.ts"
import type { EventRow } from "../store/events.ts"
import { maxTraitBytes, maxTraits, restoreLink, restoreProfile, type Traits } from "../store/profiles.ts"
import { registrySource } from "../store/registry-copy.ts"
import { canonicalWebsiteId, createWebsite, listWebsites, pauseWebsite } from "../store/websites.ts"
import type { TextLine } from "./lines.ts"
import {
  badTime,
  checks,
  type EventLine,
  type Line,
  type LinkLine,
  type ProfileLine,
  texts,
  times,
  type WebsiteLine,
} from "./schema.ts"

/** Why a line was rejected. */
export type LineError =
  | "not_json"
  | "unknown_type"
  | "invalid"
  | "website_unknown"
  | "event_id_taken"
  | "day_removed"

interface LineProblem {
  reason: LineError
  message: string
}

export interface RejectedLine extends LineProblem {
  /** Line number, from 1. */
  line: number
}

export interface ImportCounts {
  added: number
  /** Number of records that were already in the database. */
  present: number
}

export interface Report {
  lines: number
  websites: ImportCounts
  profiles: ImportCounts
  links: ImportCounts
  events: ImportCounts & {
    /** Number of added events that got a new id, because their own id was not higher than all ids in the database. */
    renumbered: number
  }
  refused: { total: number; reasons: Partial<Record<LineError, number>>; first: RejectedLine[] }
  /** Why the file is incomplete. Null if it is complete, or has lines but no header. */
  incomplete: string | null
}

/** Maximum number of rejected lines to list. Each takes about 200 bytes. Further lines are only counted. */
const maxListed = 1_000

/** Imports the lines of an export. The caller must wrap every call of `add` in a transaction. */
export class Importer {
  readonly #eventImporter: EventImporter
  readonly #rids = new Map<string | null, number>([[null, 0]])
  readonly #report: Report = {
    lines: 0,
    websites: { added: 0, present: 0 },
    profiles: { added: 0, present: 0 },
    links: { added: 0, present: 0 },
    events: { added: 0, present: 0, renumbered: 0 },
    refused: { total: 0, reasons: {}, first: [] },
    incomplete: null,
  }
  /** Number of lines of each kind in the current export, including rejected lines. */
  readonly #fileCounts: Counts = { websites: 0, profiles: 0, links: 0, events: 0 }
  #hasHeader = false
  #hasEnd = false

  /** `now`: returns the current time in Unix ms. */
  constructor(
    private readonly db: Db,
    dailyHash: DailyHash,
    private readonly now: () => number,
  ) {
    this.#eventImporter = new EventImporter(db, dailyHash)
    for (const { id, rid } of listWebsites(db)) this.#rids.set(id, rid)
  }

  /**
   * Imports lines. Throws a UserError if a later version created the file, or if the file has a new website and the
   * database copies its websites from another server.
   */
  add(lines: readonly TextLine[]): void {
    this.#eventImporter.begin()
    for (const line of lines) {
      this.#report.lines++
      const problem = this.#importLine(line)
      if (problem) this.#reject({ line: line.number, ...problem })
    }
    this.#eventImporter.flush()
  }

  report(): Report {
    return { ...this.#report, incomplete: this.#report.incomplete ?? this.#incompleteEnd() }
  }

  #incompleteEnd(): string | null {
    // An export that fails immediately, for example because the disk is full, leaves an empty file.
    if (this.#report.lines === 0) return "it is empty"
    return this.#hasHeader && !this.#hasEnd ? 'it has no "end" line, so its end is missing' : null
  }

  #importLine({ number, text }: TextLine): LineProblem | undefined {
    const value = text === undefined ? undefined : parseObject(text)
    if (value === undefined)
      return { reason: "not_json", message: "is not a JSON object of at most 1 MiB in UTF-8" }
    const type = "type" in value ? value.type : undefined
    const check = typeof type === "string" ? checks.get(type) : undefined
    if (!check) {
      return {
        reason: "unknown_type",
        message: `has the unknown type ${JSON.stringify(type)?.slice(0, 40) ?? "(none)"}`,
      }
    }
    if (!check.accepts(value)) return invalid(fieldErrors(check, value))
    // The type assertion is safe because the value matches the schema of its `type`.
    const record = value as Line
    const errors = limitErrors(record, this.now())
    if (errors.length > 0) return invalid(errors)
    try {
      return this.#importRecord(record, number)
    } catch (error) {
      if (!(error instanceof RequestError)) throw error
      return { reason: "invalid", message: error.message }
    }
  }

  #importRecord(line: Line, number: number): LineProblem | undefined {
    switch (line.type) {
      case "databuddy-export":
        this.#readHeader(line.version, number)
        return undefined
      case "end":
        this.#readEnd(line)
        return undefined
      case "website":
        this.#fileCounts.websites++
        return this.#count("websites", this.#importWebsite(line, number))
      case "profile":
        this.#fileCounts.profiles++
        return this.#withWebsite(line, (rid) => this.#importProfile(line, rid))
      case "link":
        this.#fileCounts.links++
        return this.#withWebsite(line, (rid) => this.#importLink(line, rid))
      case "event":
        this.#fileCounts.events++
        return this.#withWebsite(line, (rid) => this.#importEvent(line, rid))
    }
  }

  /** Begins the next export in the file. Exports can be concatenated, because each has a header and an end. */
  #readHeader(version: number, number: number): void {
    if (version > formatVersion) {
      throw new UserError(
        `line ${number}: the export has version ${version}, but this version of databuddy supports at most version ${formatVersion}`,
        "import it with the version of databuddy that created it, or a later one",
      )
    }
    if (this.#hasHeader && !this.#hasEnd)
      this.#report.incomplete = `the export that ends at line ${number - 1} has no "end" line`
    this.#hasHeader = true
    this.#hasEnd = false
    Object.assign(this.#fileCounts, { websites: 0, profiles: 0, links: 0, events: 0 })
  }

  #readEnd(counts: Counts): void {
    this.#hasEnd = true
    for (const [kind, count] of Object.entries(this.#fileCounts) as [keyof Counts, number][]) {
      if (count === counts[kind]) continue
      this.#report.incomplete = `it should have ${counts[kind]} ${kind}, but has ${count}`
    }
  }

  #importWebsite(line: WebsiteLine, number: number): boolean {
    if (this.#rids.has(canonicalWebsiteId(line.id))) return false
    const source = registrySource(this.db)
    if (source) {
      throw new UserError(
        `line ${number}: the website ${line.id} is new, and ${this.db.name} copies its websites from ${source.url}`,
        "import the file on that server, or create the website there, wait for the copy, and import the file again",
      )
    }
    const { settings } = parseNewWebsite({
      domain: line.domain,
      name: line.name,
      allowedOrigins: line.allowed_origins,
      anonymize: line.anonymize,
      retain: retainText(line.retain_ms),
      pageIdentify: line.page_identify,
      lowerIsBetter: line.lower_is_better,
    })
    const website = createWebsite(this.db, line.id, settings, line.created_at)
    if (line.paused_at !== null) pauseWebsite(this.db, website.id, true, line.paused_at)
    this.#rids.set(website.id, website.rid)
    return true
  }

  #importProfile(
    { profile_id, traits, claimed = [], created_at, updated_at }: ProfileLine,
    websiteRid: number,
  ) {
    const times = { createdAt: created_at, updatedAt: updated_at }
    const profile = { websiteRid, profileId: profile_id, traits, claimed, ...times }
    return this.#count("profiles", restoreProfile(this.db, profile))
  }

  #importLink(
    { anonymous_id, profile_id, linked_at, claimed: isClaim = false }: LinkLine,
    websiteRid: number,
  ) {
    const link = {
      websiteRid,
      anonymousId: anonymous_id,
      profileId: profile_id,
      linkedAt: linked_at,
      isClaim,
    }
    return this.#count("links", restoreLink(this.db, link))
  }

  #importEvent(line: EventLine, websiteRid: number): LineProblem | undefined {
    const serialized = serializeProperties(line.properties ?? undefined)
    if (typeof serialized === "string") return { reason: "invalid", message: `properties ${serialized}` }
    const event: StoredEvent = {
      // An event without an id gets a new one.
      id: line.id ?? 0,
      website_id: line.website_id,
      name: line.name,
      namespace: line.namespace || null,
      source: line.source || null,
      timestamp: line.timestamp,
      received_at: line.received_at ?? line.timestamp,
      anonymous_id: line.anonymous_id || null,
      session_id: line.session_id || null,
      profile_id: line.profile_id || null,
      path: line.path || null,
      event_id: line.event_id || null,
      credential: line.credential ?? "key",
      crawler: line.crawler ?? false,
      properties: line.properties ? JSON.stringify(line.properties) : null,
      kind: line.kind ?? "custom",
      ...contextsOf((field) => line[field] || null),
    }
    const outcome = this.#eventImporter.add(event, rowOf(event, websiteRid, serialized))
    if (outcome === "event_id_taken") {
      return { reason: outcome, message: `another event has the event_id ${JSON.stringify(event.event_id)}` }
    }
    if (outcome === "day_removed") {
      return {
        reason: outcome,
        message:
          "is from a day whose events are only in the ClickHouse cluster, so duplicates cannot be found; run `databuddy clickhouse fetch` first",
      }
    }
    if (outcome === "renumbered" && line.id) this.#report.events.renumbered++
    return this.#count("events", outcome !== ("present" satisfies ImportOutcome))
  }

  #withWebsite(
    { website_id: id }: { website_id: string | null },
    importInto: (rid: number) => LineProblem | undefined,
  ): LineProblem | undefined {
    const rid = this.#rids.get(id === null ? null : canonicalWebsiteId(id))
    if (rid !== undefined) return importInto(rid)
    return {
      reason: "website_unknown",
      message: `the website ${JSON.stringify(id)} is neither in the database nor in the file`,
    }
  }

  #count(kind: keyof Counts, added: boolean): undefined {
    this.#report[kind][added ? "added" : "present"]++
    return undefined
  }

  #reject(line: RejectedLine): void {
    const { refused } = this.#report
    refused.total++
    refused.reasons[line.reason] = (refused.reasons[line.reason] ?? 0) + 1
    if (refused.first.length < maxListed) refused.first.push(line)
  }
}

function invalid(errors: readonly FieldError[]): LineProblem {
  return { reason: "invalid", message: errors.map(({ field, message }) => `${field} ${message}`).join("; ") }
}

/** Returns errors for limits of /track and /identify that the schemas cannot express. */
function limitErrors(line: Line, now: number): FieldError[] {
  const fields: Record<string, unknown> = line
  const errors: FieldError[] = []
  for (const field of texts[line.type] ?? []) {
    const text = fields[field]
    if (typeof text === "string" && !isPlainText(text)) errors.push({ field, message: plainTextError })
  }
  for (const field of times[line.type] ?? []) {
    const time = fields[field]
    if (typeof time === "number" && !isAcceptedTime(time, now)) errors.push({ field, message: badTime })
  }
  if (line.type === "profile") errors.push(...traitErrors(line.traits))
  if (line.type === "event" && errors.length === 0) {
    const { timestamp, received_at: receivedAt } = line
    if (!isAcceptedTime(timestamp, receivedAt ?? timestamp)) {
      errors.push({ field: "timestamp", message: "must be at most an hour after received_at" })
    }
  }
  return errors
}

function traitErrors(traits: Traits): FieldError[] {
  const errors = columnTraitErrors(traits)
  const isTooMany =
    Object.keys(traits).length > maxTraits || Buffer.byteLength(JSON.stringify(traits)) > maxTraitBytes
  if (!isTooMany) return errors
  const message = `must have at most ${maxTraits} entries and ${maxTraitBytes} bytes of JSON`
  return [...errors, { field: "traits", message }]
}

/** Returns the row that stores an event. Throws an Error if its properties exceed the limits of /track. */
export function eventRowOf(event: StoredEvent, websiteRid: number): EventRow {
  const serialized = serializeProperties(event.properties === null ? undefined : JSON.parse(event.properties))
  if (typeof serialized === "string") throw new Error(`properties ${serialized}`)
  return { ...rowOf(event, websiteRid, serialized), id: event.id }
}

function rowOf(
  event: StoredEvent,
  websiteRid: number,
  stored: Pick<EventRow, "keys" | "properties">,
): EventRow {
  return {
    websiteRid,
    name: event.name,
    namespace: event.namespace ?? "",
    source: event.source ?? "",
    ...stored,
    ts: event.timestamp,
    receivedAt: event.received_at,
    anonymousId: event.anonymous_id,
    hashVisitor: false,
    sessionId: event.session_id,
    profileId: event.profile_id,
    path: event.path,
    viaKey: event.credential === "key" ? 1 : 0,
    crawler: event.crawler ? 1 : 0,
    eventId: event.event_id,
    kind: event.kind,
    client: contextsOf((field) => event[field] ?? ""),
    acquisition: contextsOf((field) => event[field] ?? ""),
  }
}

/** Returns an object with the result of `read` for each field of both contexts. */
function contextsOf<Value>(read: (field: ContextField) => Value): Record<ContextField, Value> {
  // The type assertion is needed because Object.fromEntries loses the types of the keys.
  return Object.fromEntries(contextFields.map((field) => [field, read(field)])) as Record<ContextField, Value>
}

/** Parses a JSON object or array. Returns undefined for any other text. */
function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

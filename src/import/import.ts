import { readNewWebsite, retainText } from "../admin-api/input.ts"
import { type FieldError, RequestError, UserError } from "../errors.ts"
import { type Counts, formatVersion } from "../export/lines.ts"
import { fieldErrors } from "../http/validation.ts"
import { badText, isPlainText, isTime, serialiseProperties } from "../ingest/event.ts"
import { columnTraitErrors } from "../ingest/identify.ts"
import type { Db } from "../store/db/driver.ts"
import { EventImporter, type ImportOutcome } from "../store/event-importer.ts"
import type { StoredEvent } from "../store/event-reader.ts"
import type { EventRow } from "../store/events.ts"
import { keptTraitBytes, keptTraits, restoreLink, restoreProfile, type Traits } from "../store/profiles.ts"
import type { DailyHash } from "../store/salts.ts"
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

/** Why a line was left out. */
export type RefusedWhy = "not_json" | "unknown_type" | "invalid" | "website_unknown" | "event_id_taken"

export interface Refused {
  /** Counted from 1. */
  line: number
  reason: RefusedWhy
  message: string
}

export interface Tally {
  added: number
  /** Was here already. */
  present: number
}

export interface Report {
  lines: number
  websites: Tally
  profiles: Tally
  links: Tally
  events: Tally & {
    /** Of the added ones those that got another id, because theirs was not above all that are here. */
    renumbered: number
  }
  refused: { total: number; reasons: Partial<Record<RefusedWhy, number>>; first: Refused[] }
  /** Why the file is not all that was exported; null: it is, or it does not say. */
  incomplete: string | null
}

/** Refused lines that are listed, some 200 bytes each; the rest is counted. */
const shownRefusals = 1_000

/** Brings the lines of an export into a database. Every call of `take` works inside a transaction of the caller's. */
export class Importer {
  readonly #bringer: EventImporter
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
  /** As many of each as the file holds, refused ones included. */
  readonly #held: Counts = { websites: 0, profiles: 0, links: 0, events: 0 }
  #headed = false
  #ended = false

  /** `now`: Unix ms. */
  constructor(
    private readonly db: Db,
    dailyHash: DailyHash,
    private readonly now: () => number,
  ) {
    this.#bringer = new EventImporter(db, dailyHash)
    for (const { id, rid } of listWebsites(db)) this.#rids.set(id, rid)
  }

  /** Throws a Complaint where the file is one of a later version. */
  take(lines: readonly TextLine[]): void {
    this.#bringer.begin()
    for (const line of lines) {
      this.#report.lines++
      const problem = this.#takeLine(line)
      if (problem) this.#refuse({ line: line.number, ...problem })
    }
    this.#bringer.flush()
  }

  report(): Report {
    const incomplete =
      this.#headed && !this.#ended
        ? "it ends before its last line: what was to come after that is missing"
        : null
    return { ...this.#report, incomplete: this.#report.incomplete ?? incomplete }
  }

  #takeLine({ number, text }: TextLine): Omit<Refused, "line"> | undefined {
    const value = text === undefined ? undefined : parsed(text)
    if (value === undefined)
      return { reason: "not_json", message: "is no JSON object in UTF-8 of at most 1 MiB" }
    const type = (value as { type?: unknown }).type
    const check = typeof type === "string" ? checks.get(type) : undefined
    if (!check) {
      return {
        reason: "unknown_type",
        message: `has the type ${JSON.stringify(type)?.slice(0, 40) ?? "of none"}`,
      }
    }
    const errors = check.Check(value) ? moreErrors(value as Line, this.now()) : fieldErrors(check, value)
    if (errors.length > 0) {
      const message = errors.map((error) => `${error.field} ${error.message}`).join("; ")
      return { reason: "invalid", message }
    }
    try {
      return this.#takeRecord(value as Line, number)
    } catch (error) {
      if (!(error instanceof RequestError)) throw error
      return { reason: "invalid", message: error.message }
    }
  }

  #takeRecord(line: Line, number: number): Omit<Refused, "line"> | undefined {
    switch (line.type) {
      case "databuddy-export":
        this.#takeFirst(line.version, number)
        return undefined
      case "end":
        this.#takeEnd(line)
        return undefined
      case "website":
        this.#held.websites++
        return this.#count("websites", this.#takeWebsite(line))
      case "profile":
        this.#held.profiles++
        return this.#ofWebsite(line, (rid) => this.#takeProfile(line, rid))
      case "link":
        this.#held.links++
        return this.#ofWebsite(line, (rid) => this.#takeLink(line, rid))
      case "event":
        this.#held.events++
        return this.#ofWebsite(line, (rid) => this.#takeEvent(line, rid))
    }
  }

  /** Files can stand one after the other in one: each begins and ends for itself. */
  #takeFirst(version: number, number: number): void {
    if (version > formatVersion) {
      throw new UserError(
        `line ${number}: the export is of version ${version}, and this databuddy reads up to ${formatVersion}`,
        "import it with the databuddy that made it, or a later one",
      )
    }
    if (this.#headed && !this.#ended)
      this.#report.incomplete = `the export that ends at line ${number - 1} has no last line`
    this.#headed = true
    this.#ended = false
    Object.assign(this.#held, { websites: 0, profiles: 0, links: 0, events: 0 })
  }

  #takeEnd(counts: Counts): void {
    this.#ended = true
    for (const [kind, held] of Object.entries(this.#held) as [keyof Counts, number][]) {
      if (held === counts[kind]) continue
      this.#report.incomplete = `it says that it has ${counts[kind]} ${kind}, but has ${held}`
    }
  }

  #takeWebsite(line: WebsiteLine): boolean {
    if (this.#rids.has(canonicalWebsiteId(line.id))) return false
    const { domain, name, allowed_origins: allowedOrigins, anonymize } = line
    const retain = retainText(line.retain_ms)
    const { settings } = readNewWebsite({ id: line.id, domain, name, allowedOrigins, anonymize, retain })
    const website = createWebsite(this.db, line.id, settings, line.created_at)
    if (line.paused_at !== null) pauseWebsite(this.db, website.id, true, line.paused_at)
    this.#rids.set(website.id, website.rid)
    return true
  }

  #takeProfile({ profile_id, traits, created_at, updated_at }: ProfileLine, websiteRid: number) {
    const times = { createdAt: created_at, updatedAt: updated_at }
    const told = { websiteRid, profileId: profile_id, traits: traits as Traits, ...times }
    return this.#count("profiles", restoreProfile(this.db, told))
  }

  #takeLink({ anonymous_id, profile_id, linked_at }: LinkLine, websiteRid: number) {
    const told = { websiteRid, anonymousId: anonymous_id, profileId: profile_id, linkedAt: linked_at }
    return this.#count("links", restoreLink(this.db, told))
  }

  #takeEvent(line: EventLine, websiteRid: number): Omit<Refused, "line"> | undefined {
    const serialised = serialiseProperties(line.properties ?? undefined)
    if (typeof serialised === "string") return { reason: "invalid", message: `properties ${serialised}` }
    const event: StoredEvent = {
      // One of 0 is never kept.
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
    }
    const fate = this.#bringer.bring(event, rowOf(event, websiteRid, serialised))
    if (fate === "event_id_taken") {
      return { reason: fate, message: `another event has the event_id ${JSON.stringify(event.event_id)}` }
    }
    if (fate === "renumbered") this.#report.events.renumbered++
    return this.#count("events", fate !== ("present" satisfies ImportOutcome))
  }

  #ofWebsite(
    { website_id: id }: { website_id: string | null },
    take: (rid: number) => Omit<Refused, "line"> | undefined,
  ): Omit<Refused, "line"> | undefined {
    const rid = this.#rids.get(id === null ? null : canonicalWebsiteId(id))
    if (rid !== undefined) return take(rid)
    return {
      reason: "website_unknown",
      message: `there is no website ${JSON.stringify(id)} here, and none in the file`,
    }
  }

  #count(kind: keyof Counts, added: boolean): undefined {
    this.#report[kind][added ? "added" : "present"]++
    return undefined
  }

  #refuse(refused: Refused): void {
    const { refused: all } = this.#report
    all.total++
    all.reasons[refused.reason] = (all.reasons[refused.reason] ?? 0) + 1
    if (all.first.length < shownRefusals) all.first.push(refused)
  }
}

/** What breaks the limits of /track and /identify beyond what the schemas of lines say. */
function moreErrors(line: Line, now: number): FieldError[] {
  const fields = line as unknown as Record<string, unknown>
  const errors: FieldError[] = []
  for (const field of texts[line.type] ?? []) {
    const text = fields[field]
    if (typeof text === "string" && !isPlainText(text)) errors.push({ field, message: badText })
  }
  for (const field of times[line.type] ?? []) {
    const time = fields[field]
    if (typeof time === "number" && !isTime(time, now)) errors.push({ field, message: badTime })
  }
  if (line.type === "profile") errors.push(...traitErrors(line.traits as Traits))
  if (line.type === "event" && errors.length === 0) {
    const { timestamp, received_at: receivedAt } = line
    if (!isTime(timestamp, receivedAt ?? timestamp)) {
      errors.push({ field: "timestamp", message: "must be at most an hour after received_at" })
    }
  }
  return errors
}

function traitErrors(traits: Traits): FieldError[] {
  const errors = columnTraitErrors(traits)
  const isTooMany =
    Object.keys(traits).length > keptTraits || Buffer.byteLength(JSON.stringify(traits)) > keptTraitBytes
  if (!isTooMany) return errors
  const message = `must come to at most ${keptTraits} and ${keptTraitBytes} bytes of JSON`
  return [...errors, { field: "traits", message }]
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
  }
}

/** Undefined where it is no JSON object. */
function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

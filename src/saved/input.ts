import type { FieldError } from "../errors.ts"
import { parseExpiry } from "../http/dates.ts"
import { invalidShape, SchemaCheck, unicodeErrors, validate } from "../http/validation.ts"
import { iso, isoOrNull } from "../iso.ts"
import { boardPage } from "../sections.ts"
import type { Note } from "../store/notes.ts"
import type { Share, ShareSettings } from "../store/shares.ts"
import type { View } from "../store/views.ts"
import { withoutWebsite } from "../store/websites.ts"
import { parseEmbedHost } from "./embed-hosts.ts"
import { pageOf, staysBelow } from "./path.ts"
import {
  type NoteJson,
  newNoteSchema,
  newShareFilterSchema,
  newShareSchema,
  newViewSchema,
  noteChangesSchema,
  noteFilterSchema,
  type ShareJson,
  shareChangesSchema,
  shareFilterSchema,
  type ViewJson,
  viewChangesSchema,
  viewFilterSchema,
} from "./schema.ts"

// Validates input for notes, saved views and share links. Each function accepts any value, and throws `invalid_shape`
// with a list of all invalid fields.

const checkNewNote = new SchemaCheck(newNoteSchema)
const checkNoteChanges = new SchemaCheck(noteChangesSchema)
const checkNoteFilter = new SchemaCheck(noteFilterSchema)
const checkNewView = new SchemaCheck(newViewSchema)
const checkViewChanges = new SchemaCheck(viewChangesSchema)
const checkViewFilter = new SchemaCheck(viewFilterSchema)
const checkNewShare = new SchemaCheck(newShareSchema)
const checkShareChanges = new SchemaCheck(shareChangesSchema)
const checkNewShareFilter = new SchemaCheck(newShareFilterSchema)
const checkShareFilter = new SchemaCheck(shareFilterSchema)

/** Accepted years, the same as in query ranges. */
const [firstYear, lastYear] = [1970, 2199]

export function parseNewNote(value: unknown): Pick<Note, "date" | "text"> {
  const { date, text } = validate(checkNewNote, value)
  throwIfInvalid([...dateErrors(date), ...textErrors(text)])
  return { date, text }
}

export function parseNoteChanges(value: unknown): Partial<Pick<Note, "date" | "text">> {
  const changes = validate(checkNoteChanges, value)
  throwIfInvalid([...dateErrors(changes.date), ...textErrors(changes.text)])
  return changes
}

/** Returns the website that the request selects: an ID, `none` or `all`. */
export function parseNoteFilter(query: URLSearchParams): string {
  return validate(checkNoteFilter, Object.fromEntries(query)).website_id
}

export function parseNewView(value: unknown): Pick<View, "kind" | "name" | "path"> {
  const view = validate(checkNewView, value)
  throwIfInvalid([...nameErrors(view.name), ...pathErrors(view.path)])
  return view
}

export function parseViewChanges(value: unknown): Partial<Pick<View, "name" | "path">> {
  const changes = validate(checkViewChanges, value)
  throwIfInvalid([...nameErrors(changes.name), ...pathErrors(changes.path)])
  return changes
}

/** `websiteId` is an ID, `none` or `all`. */
export function parseViewFilter(query: URLSearchParams): {
  websiteId: string
  kind: View["kind"] | undefined
} {
  const { website_id: websiteId, kind } = validate(checkViewFilter, Object.fromEntries(query))
  return { websiteId, kind }
}

export function parseNewShare(value: unknown, now: number): ShareSettings & { boardId: string | undefined } {
  const { name, path, boardId, embedHosts = [], ...rest } = validate(checkNewShare, value)
  const page = boardId === undefined ? (rest.page ?? null) : boardPage
  const expiresAt = parseExpiry(rest.expiresAt, now)
  const expiryError = { field: "expiresAt", message: newShareSchema.properties.expiresAt.expected }
  throwIfInvalid([
    ...nameErrors(name),
    ...pathErrors(path),
    ...pageErrors(page, path, boardId),
    ...(boardId === undefined || rest.page == null
      ? []
      : [{ field: "page", message: "must be null or absent if boardId is set" }]),
    ...embedHostErrors(embedHosts),
    ...(expiresAt === undefined ? [expiryError] : []),
  ])
  return { name, path, page, boardId, embedHosts: parsedHosts(embedHosts), expiresAt: expiresAt ?? null }
}

export function parseShareChanges(value: unknown): Partial<Pick<Share, "name" | "embedHosts">> {
  const { name, embedHosts } = validate(checkShareChanges, value)
  throwIfInvalid([...nameErrors(name), ...embedHostErrors(embedHosts)])
  return {
    ...(name === undefined ? {} : { name }),
    ...(embedHosts === undefined ? {} : { embedHosts: parsedHosts(embedHosts) }),
  }
}

export function parseNewShareFilter(query: URLSearchParams): string {
  return validate(checkNewShareFilter, Object.fromEntries(query)).website_id
}

export function parseShareFilter(query: URLSearchParams): string | undefined {
  return validate(checkShareFilter, Object.fromEntries(query)).website_id
}

export function noteJson({ id, place, websiteId, date, text, createdAt }: Note): NoteJson {
  return {
    id,
    websiteId: place === withoutWebsite ? "none" : websiteId,
    date,
    text,
    createdAt: iso(createdAt),
  }
}

export function viewJson({ id, place, websiteId, kind, name, path, createdAt }: View): ViewJson {
  return {
    id,
    websiteId: place === withoutWebsite ? "none" : websiteId,
    kind,
    name,
    path,
    createdAt: iso(createdAt),
  }
}

export function shareJson({
  place: _place,
  createdAt,
  expiresAt,
  lastUsedAt,
  previousExpiresAt,
  ...rest
}: Share): ShareJson {
  return {
    ...rest,
    createdAt: iso(createdAt),
    expiresAt: isoOrNull(expiresAt),
    lastUsedAt: isoOrNull(lastUsedAt),
    previousExpiresAt: isoOrNull(previousExpiresAt),
  }
}

function throwIfInvalid(errors: FieldError[]): void {
  if (errors.length > 0) throw invalidShape(errors)
}

/** Rejects dates such as February 30, which JavaScript accepts as March 2. */
function dateErrors(date: string | undefined): FieldError[] {
  if (date === undefined) return []
  const day = new Date(`${date}T00:00:00Z`)
  const year = Number(date.slice(0, 4))
  const isDay = !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date)
  if (isDay && year >= firstYear && year <= lastYear) return []
  return [{ field: "date", message: newNoteSchema.properties.date.expected }]
}

function textErrors(text: string | undefined): FieldError[] {
  return unicodeErrors("text", text, newNoteSchema.properties.text.expected)
}

function pathErrors(path: string | undefined): FieldError[] {
  if (path === undefined || staysBelow(path)) return []
  return [{ field: "path", message: newViewSchema.properties.path.expected }]
}

/** Checks that `path` starts with `page`, the page that a link is limited to. */
function pageErrors(page: string | null, path: string, boardId: string | undefined): FieldError[] {
  if (page === null || pageOf(path) === page) return []
  if (boardId === undefined) return [{ field: "page", message: "must be the first segment of path" }]
  return [{ field: "path", message: `must be on the page ${boardPage} if boardId is set` }]
}

function embedHostErrors(hosts: readonly string[] = []): FieldError[] {
  return hosts.flatMap((host, index) =>
    parseEmbedHost(host) === undefined
      ? [{ field: `embedHosts.${index}`, message: newShareSchema.properties.embedHosts.items.expected }]
      : [],
  )
}

/** Returns the valid hosts without duplicates. */
function parsedHosts(hosts: readonly string[]): string[] {
  return [...new Set(hosts.flatMap((host) => parseEmbedHost(host) ?? []))]
}

function nameErrors(name: string | undefined): FieldError[] {
  return unicodeErrors("name", name, newViewSchema.properties.name.expected)
}

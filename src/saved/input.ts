import { TypeCompiler } from "@sinclair/typebox/compiler"
import type { FieldError } from "../errors.ts"
import { readExpiry } from "../http/dates.ts"
import { checked, invalid, malformed } from "../http/validation.ts"
import { iso, isoOrNull } from "../iso.ts"
import type { Note } from "../store/notes.ts"
import type { Share } from "../store/shares.ts"
import type { View } from "../store/views.ts"
import { staysBelow } from "./path.ts"
import {
  type NoteJson,
  newNoteSchema,
  newShareFilterSchema,
  newShareSchema,
  newViewSchema,
  noteChangesSchema,
  noteFilterSchema,
  type ShareJson,
  shareFilterSchema,
  type ViewJson,
  viewChangesSchema,
  viewFilterSchema,
} from "./schema.ts"

// What is asked of notes, saved views and share links is checked here and nowhere else. Every reader takes a value that may
// be anything, and throws `invalid_shape` with each bad field named.

const checkNewNote = TypeCompiler.Compile(newNoteSchema)
const checkNoteChanges = TypeCompiler.Compile(noteChangesSchema)
const checkNoteFilter = TypeCompiler.Compile(noteFilterSchema)
const checkNewView = TypeCompiler.Compile(newViewSchema)
const checkViewChanges = TypeCompiler.Compile(viewChangesSchema)
const checkViewFilter = TypeCompiler.Compile(viewFilterSchema)
const checkNewShare = TypeCompiler.Compile(newShareSchema)
const checkNewShareFilter = TypeCompiler.Compile(newShareFilterSchema)
const checkShareFilter = TypeCompiler.Compile(shareFilterSchema)

/** Years, as in the ranges of queries. */
const [firstYear, lastYear] = [1970, 2199]

export function readNewNote(value: unknown): Pick<Note, "date" | "text"> {
  const { date, text } = checked(checkNewNote, value)
  refuseBad([...badDate(date), ...badText(text)])
  return { date, text }
}

export function readNoteChanges(value: unknown): Partial<Pick<Note, "date" | "text">> {
  const changes = checked(checkNoteChanges, value)
  refuseBad([...badDate(changes.date), ...badText(changes.text)])
  return changes
}

/** The website that notes are asked for: its id, `none` or `all`. */
export function readNoteFilter(query: URLSearchParams): string {
  return checked(checkNoteFilter, Object.fromEntries(query)).website_id
}

export function readNewView(value: unknown): Pick<View, "kind" | "name" | "path"> {
  const view = checked(checkNewView, value)
  refuseBad([...badName(view.name), ...badPath(view.path)])
  return view
}

export function readViewChanges(value: unknown): Partial<Pick<View, "name" | "path">> {
  const changes = checked(checkViewChanges, value)
  refuseBad([...badName(changes.name), ...badPath(changes.path)])
  return changes
}

/** `websiteId`: as of notes. */
export function readViewFilter(query: URLSearchParams): {
  websiteId: string
  kind: View["kind"] | undefined
} {
  const { website_id: websiteId, kind } = checked(checkViewFilter, Object.fromEntries(query))
  return { websiteId, kind }
}

export function readNewShare(value: unknown, now: number): Pick<Share, "name" | "path" | "expiresAt"> {
  const { name, path, ...sent } = checked(checkNewShare, value)
  const expiresAt = readExpiry(sent.expiresAt, now)
  const badExpiry = { field: "expiresAt", message: newShareSchema.properties.expiresAt.expected }
  refuseBad([...badName(name), ...badPath(path), ...(expiresAt === undefined ? [badExpiry] : [])])
  return { name, path, expiresAt: expiresAt ?? null }
}

export function readNewShareFilter(query: URLSearchParams): string {
  return checked(checkNewShareFilter, Object.fromEntries(query)).website_id
}

export function readShareFilter(query: URLSearchParams): string | undefined {
  return checked(checkShareFilter, Object.fromEntries(query)).website_id
}

export function noteJson({ id, place, websiteId, date, text, createdAt }: Note): NoteJson {
  return { id, websiteId: place === 0 ? "none" : websiteId, date, text, createdAt: iso(createdAt) }
}

export function viewJson({ id, place, websiteId, kind, name, path, createdAt }: View): ViewJson {
  return { id, websiteId: place === 0 ? "none" : websiteId, kind, name, path, createdAt: iso(createdAt) }
}

export function shareJson({ createdAt, expiresAt, lastUsedAt, ...rest }: Share): ShareJson {
  return {
    ...rest,
    createdAt: iso(createdAt),
    expiresAt: isoOrNull(expiresAt),
    lastUsedAt: isoOrNull(lastUsedAt),
  }
}

function refuseBad(errors: FieldError[]): void {
  if (errors.length > 0) throw invalid(errors)
}

/** The 30th of February is no day; JavaScript makes the 2nd of March of it. */
function badDate(date: string | undefined): FieldError[] {
  if (date === undefined) return []
  const day = new Date(`${date}T00:00:00Z`)
  const year = Number(date.slice(0, 4))
  const isDay = !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date)
  if (isDay && year >= firstYear && year <= lastYear) return []
  return [{ field: "date", message: newNoteSchema.properties.date.expected }]
}

function badText(text: string | undefined): FieldError[] {
  return malformed("text", text, newNoteSchema.properties.text.expected)
}

function badPath(path: string | undefined): FieldError[] {
  if (path === undefined || staysBelow(path)) return []
  return [{ field: "path", message: newViewSchema.properties.path.expected }]
}

function badName(name: string | undefined): FieldError[] {
  return malformed("name", name, newViewSchema.properties.name.expected)
}

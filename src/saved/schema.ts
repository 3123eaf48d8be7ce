import { type Static, Type } from "@sinclair/typebox"
import {
  expiresAt,
  name,
  noControls,
  sharedBoard,
  sharedPage,
  sharedWebsite,
  strict,
  time,
  timeOrNull,
} from "../http/schema.ts"
import { reportPages } from "../sections.ts"
import { viewKinds } from "../store/views.ts"
import { embedHostFormat } from "./embed-hosts.ts"

// `expected` is a schema's error message.

/** Maximum number of UTF-16 code units in a note. Notes are short, because they are shown next to a chart. */
const maxNote = 500
/** Maximum number of UTF-16 code units in a path. Every browser and proxy accepts URLs of this length. */
const maxPath = 4_096

const date = Type.String({
  pattern: "^\\d{4}-\\d\\d-\\d\\d$",
  description: "Day in the time zone of the chart",
  expected: "must be a date between 1970 and 2199, such as 2026-11-24",
})

const text = Type.String({
  minLength: 1,
  maxLength: maxNote,
  pattern: noControls,
  description: "Text of the note, such as the name of a release",
  expected: `must be a string of 1 to ${maxNote} characters without control characters`,
})

/** An escaped path segment other than `.` or `..`. */
const segment = "(?!\\.{1,2}(?:[/?]|$))[!$-.0-;=@-\\[\\]^_a-z|~]+"

const path = Type.String({
  maxLength: maxPath,
  pattern: `^(?:${segment}(?:/${segment})*)?(?:\\?[!$-~]*)?$`,
  description:
    "Dashboard page and query string, without the website's prefix, such as funnels?step=signed_up",
  expected: `must be a dashboard page and query string, without the website's prefix, such as funnels?step=signed_up, of at most ${maxPath} characters`,
})

const kind = Type.Union(
  viewKinds.map((kind) => Type.Literal(kind)),
  {
    description: "Kind of view. `view` is any page with its range and filters",
    expected: `must be one of ${viewKinds.join(", ")}`,
  },
)

export const newNoteSchema = Type.Object({ date, text }, strict)

export const noteChangesSchema = Type.Object({ date: Type.Optional(date), text: Type.Optional(text) }, strict)

export const newViewSchema = Type.Object({ kind, name, path }, strict)

export const viewChangesSchema = Type.Object({ name: Type.Optional(name), path: Type.Optional(path) }, strict)

const page = Type.Union([Type.Null(), ...reportPages.map((name) => Type.Literal(name))], {
  description:
    "The only page that the link opens, which is the first segment of `path`. Only query types of this page can be used. null: all reports of the website",
  expected: `must be null or one of ${reportPages.join(", ")}`,
})

const boardId = Type.String({
  minLength: 1,
  maxLength: 255,
  description:
    "The only board that the link opens. `path` must be on the page `boards`. Only the queries of its tiles can be run",
  expected: "must be the ID of a board of the website",
})

/** Maximum number of origins that can embed a link. A response header lists all of them. */
const maxEmbedHosts = 50

const embedHosts = Type.Array(Type.String({ maxLength: 300, expected: embedHostFormat }), {
  maxItems: maxEmbedHosts,
  description:
    "Origins of pages that can embed the link in a frame, such as https://example.com or https://*.example.com. If empty, no page can embed the link",
  expected: `must be a list of at most ${maxEmbedHosts} origins`,
})

export const newShareSchema = Type.Object(
  {
    name,
    path,
    page: Type.Optional(page),
    boardId: Type.Optional(boardId),
    embedHosts: Type.Optional(embedHosts),
    expiresAt,
  },
  strict,
)

export const shareChangesSchema = Type.Object(
  { name: Type.Optional(name), embedHosts: Type.Optional(embedHosts) },
  strict,
)

const id = Type.String({ description: "ID" })
const placeId = Type.Union([Type.Null(), Type.String()], {
  description: "ID of the website; none: events without a website; null: all websites",
})
export const noteSchema = Type.Object({
  id,
  websiteId: placeId,
  date,
  text,
  createdAt: time("Creation time"),
})

export const viewSchema = Type.Object({
  id,
  websiteId: placeId,
  kind,
  name,
  path,
  createdAt: time("Creation time"),
})

export const shareSchema = Type.Object({
  id,
  websiteId: sharedWebsite,
  name,
  path,
  page: sharedPage,
  boardId: sharedBoard,
  boardName: Type.Union([Type.Null(), Type.String()], { description: "Name of the board" }),
  isActive: Type.Boolean({
    description:
      "false: the link to a board does not work, because its creator has lost the permission to read the board or to manage share links",
  }),
  embedHosts,
  createdAt: time("Creation time"),
  expiresAt: timeOrNull("Expiry time; null: never"),
  lastUsedAt: timeOrNull("Time of the last use, updated every minute; null: never"),
  previousExpiresAt: timeOrNull(
    "Time until which the previous link still works; null: there is no previous link",
  ),
})

const place = Type.String({
  minLength: 1,
  maxLength: 255,
  description: "Website ID; none: events without a website; all: all websites",
  expected: 'must be a website ID, "none" or "all"',
})

/** Query string for listing and creating notes. */
export const noteFilterSchema = Type.Object({ website_id: place }, strict)

/** Query string for listing views. */
export const viewFilterSchema = Type.Object({ website_id: place, kind: Type.Optional(kind) }, strict)

const website = Type.String({
  minLength: 1,
  maxLength: 255,
  description: "Website ID",
  expected: "must be the ID of a website",
})

/** Query strings for creating and listing share links. */
export const newShareFilterSchema = Type.Object(
  { website_id: { ...website, description: 'Website ID; "all" for a board that covers all websites' } },
  strict,
)
export const shareFilterSchema = Type.Object({ website_id: Type.Optional(website) }, strict)

export type NoteJson = Static<typeof noteSchema>
export type ViewJson = Static<typeof viewSchema>
export type ShareJson = Static<typeof shareSchema>

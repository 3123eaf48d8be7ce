import { type Static, Type } from "@sinclair/typebox"
import { expiresAt, name, noControls, strict, time, timeOrNull } from "../http/schema.ts"
import { viewKinds } from "../store/views.ts"

// In each schema, `expected` is what the error says the field must be.

/** UTF-16 units; what stands beside a chart is short. */
const maxNote = 500
/** UTF-16 units: as much as every browser and proxy takes for an address. */
const maxPath = 4_096

const date = Type.String({
  pattern: "^\\d{4}-\\d\\d-\\d\\d$",
  description: "The day, of whatever zone a chart is in",
  expected: "must be a day such as 2026-11-24, from 1970 to 2199",
})

const text = Type.String({
  minLength: 1,
  maxLength: maxNote,
  pattern: noControls,
  description: "What happened, such as a release",
  expected: `must be a string of 1 to ${maxNote} characters, none of them a control character`,
})

/** A part of an address between two slashes, escaped; not the dots that lead to the folder above. */
const segment = "(?!\\.{1,2}(?:[/?]|$))[!$-.0-;=@-\\[\\]^_a-z|~]+"

const path = Type.String({
  maxLength: maxPath,
  pattern: `^(?:${segment}(?:/${segment})*)?(?:\\?[!$-~]*)?$`,
  description:
    "Page and query as they stand in the address bar behind the website, such as funnels?step=signed_up",
  expected: `must be a page and its query as the address bar shows them behind the website, such as funnels?step=signed_up, of at most ${maxPath} characters`,
})

const kind = Type.Union(
  viewKinds.map((one) => Type.Literal(one)),
  {
    description: "What it shows; view: any page with its range and filters",
    expected: `must be one of ${viewKinds.join(", ")}`,
  },
)

export const newNoteSchema = Type.Object({ date, text }, strict)

export const noteChangesSchema = Type.Object({ date: Type.Optional(date), text: Type.Optional(text) }, strict)

export const newViewSchema = Type.Object({ kind, name, path }, strict)

export const viewChangesSchema = Type.Object({ name: Type.Optional(name), path: Type.Optional(path) }, strict)

export const newShareSchema = Type.Object({ name, path, expiresAt }, strict)

const id = Type.String({ description: "Names it" })
const placeId = Type.Union([Type.Null(), Type.String()], {
  description: "The website; none: the owner's own events; null: whatever there is, together",
})
export const noteSchema = Type.Object({
  id,
  websiteId: placeId,
  date,
  text,
  createdAt: time("When it was made"),
})

export const viewSchema = Type.Object({
  id,
  websiteId: placeId,
  kind,
  name,
  path,
  createdAt: time("When it was saved"),
})

export const shareSchema = Type.Object({
  id,
  websiteId: Type.String({ description: "The website that it shows" }),
  name,
  path,
  createdAt: time("When it was made"),
  expiresAt: timeOrNull("When it stops working; null: never"),
  lastUsedAt: timeOrNull("When it was last used, a minute late at most; null: never"),
})

const place = Type.String({
  minLength: 1,
  maxLength: 255,
  description: "A website's id; none: the owner's own events; all: whatever there is, together",
  expected: "must be the id of a website, none or all",
})

/** The query of what is about notes. */
export const noteFilterSchema = Type.Object({ website_id: place }, strict)

/** The query of what is about saved views. */
export const viewFilterSchema = Type.Object({ website_id: place, kind: Type.Optional(kind) }, strict)

const website = Type.String({
  minLength: 1,
  maxLength: 255,
  description: "The website",
  expected: "must be the id of a website",
})

/** The query of what makes a share link, and of what lists them. */
export const newShareFilterSchema = Type.Object({ website_id: website }, strict)
export const shareFilterSchema = Type.Object({ website_id: Type.Optional(website) }, strict)

export type NoteJson = Static<typeof noteSchema>
export type ViewJson = Static<typeof viewSchema>
export type ShareJson = Static<typeof shareSchema>

import {
  type NoteJson,
  newNoteSchema,
  newShareFilterSchema,
  newShareSchema,
  newViewSchema,
  noteChangesSchema,
  noteFilterSchema,
  noteSchema,
  type ShareJson,
  shareFilterSchema,
  shareSchema,
  type ViewJson,
  viewChangesSchema,
  viewFilterSchema,
  viewSchema,
} from "../saved/schema.ts"
import { type Json, ref } from "./json.ts"
import { component, listOf, type Operations, paths, takesBody, wording, writes } from "./operations.ts"

const websiteId = "550e8400-e29b-41d4-a716-446655440000"
const queryExample = { website_id: websiteId }

const note = { date: "2026-01-05", text: "Release 2" }
const exampleNote: NoteJson = {
  id: "0a5f6c1e-7d52-4c39-9d6c-2a5f3f4e9c11",
  websiteId,
  ...note,
  createdAt: "2026-01-05T09:30:00.000Z",
}
const view = { kind: "funnel" as const, name: "Sign-up", path: "funnels?step=signed_up&step=bought" }
const exampleView: ViewJson = {
  id: "1a5f6c1e-7d52-4c39-9d6c-2a5f3f4e9c11",
  websiteId,
  ...view,
  createdAt: "2026-01-05T09:30:00.000Z",
}
const share = {
  name: "For the board",
  path: "overview?range=last_30d",
  expiresAt: "2099-01-01T00:00:00.000Z",
}
const exampleShare: ShareJson = {
  id: "2a5f6c1e-7d52-4c39-9d6c-2a5f3f4e9c11",
  websiteId,
  ...share,
  createdAt: "2026-01-05T09:30:00.000Z",
  lastUsedAt: null,
}

export const savedSchemas = {
  Note: component(noteSchema, exampleNote),
  NewNote: component(newNoteSchema, note),
  NoteChanges: component(noteChangesSchema, { text: "Release 2.1" }),
  View: component(viewSchema, exampleView),
  NewView: component(newViewSchema, view),
  ViewChanges: component(viewChangesSchema, { name: "Sign-up and purchase" }),
  Share: component(shareSchema, exampleShare),
  NewShare: component(newShareSchema, share),
}

const ofPlace = ["key_website_mismatch", "website_unknown"] as const

const notes: Operations = {
  "/v1/notes": {
    get: {
      id: "listNotes",
      scope: "read:reports",
      summary: "List notes",
      description: "Those of the website and those of all, the latest day first.",
      query: noteFilterSchema,
      gives: listOf("notes", "Note"),
      reasons: ["invalid_shape", ...ofPlace],
    },
    post: {
      id: "createNote",
      summary: "Write a note on a day",
      description: "Charts show it.",
      query: noteFilterSchema,
      queryExample,
      takes: ref("schemas/NewNote"),
      gives: { note: ref("schemas/Note") },
      status: 201,
      reasons: [...takesBody, ...ofPlace, "conflict", ...writes],
    },
  },
  "/v1/notes/{id}": {
    patch: {
      id: "changeNote",
      summary: "Change a note",
      description: "What is left out stays as it is.",
      takes: ref("schemas/NoteChanges"),
      gives: { note: ref("schemas/Note") },
      reasons: [...takesBody, "key_website_mismatch", "note_unknown", ...writes],
    },
    delete: {
      id: "deleteNote",
      summary: "Delete a note",
      gives: {},
      reasons: ["key_website_mismatch", "note_unknown", ...writes],
    },
  },
}

const views: Operations = {
  "/v1/views": {
    get: {
      id: "listViews",
      scope: "read:data",
      summary: "List saved views",
      description: "In the order of their names.",
      query: viewFilterSchema,
      gives: listOf("views", "View"),
      reasons: ["invalid_shape", ...ofPlace],
    },
    post: {
      id: "createView",
      summary: "Save a view",
      description: "A page of the dashboard under a name.",
      query: noteFilterSchema,
      queryExample,
      takes: ref("schemas/NewView"),
      gives: { view: ref("schemas/View") },
      status: 201,
      reasons: [...takesBody, ...ofPlace, "conflict", ...writes],
    },
  },
  "/v1/views/{id}": {
    patch: {
      id: "changeView",
      summary: "Change a saved view",
      description: "What is left out stays as it is.",
      takes: ref("schemas/ViewChanges"),
      gives: { view: ref("schemas/View") },
      reasons: [...takesBody, "key_website_mismatch", "view_unknown", ...writes],
    },
    delete: {
      id: "deleteView",
      summary: "Delete a saved view",
      gives: {},
      reasons: ["key_website_mismatch", "view_unknown", ...writes],
    },
  },
}

const shares: Operations = {
  "/v1/shares": {
    get: {
      id: "listShares",
      summary: "List share links",
      description:
        "Those that have expired too, until they are deleted. The links themselves are kept nowhere.",
      query: shareFilterSchema,
      gives: listOf("shares", "Share"),
      reasons: ["invalid_shape", "key_website_mismatch"],
    },
    post: {
      id: "createShare",
      summary: "Make a share link",
      description:
        "Whoever has it may look at the reports of one website, but at no single events or people, and change nothing. The link is in this answer alone.",
      query: newShareFilterSchema,
      queryExample,
      takes: ref("schemas/NewShare"),
      gives: {
        share: ref("schemas/Share"),
        link: { type: "string", description: "Behind this server's address: /share/ and the token" },
      },
      status: 201,
      reasons: [...takesBody, ...ofPlace, "grant_too_wide", "conflict", ...writes],
    },
  },
  "/v1/shares/{id}": {
    delete: {
      id: "deleteShare",
      summary: "End a share link",
      description: "It stops working at once.",
      gives: {},
      reasons: ["key_website_mismatch", "share_unknown", ...writes],
    },
  },
}

export async function savedPaths(): Promise<Json> {
  return {
    ...(await paths(notes, { tag: "Notes and views", scope: "manage:websites", wording: noteWording })),
    ...(await paths(views, { tag: "Notes and views", scope: "manage:websites", wording: viewWording })),
    ...(await paths(shares, { tag: "Share links", scope: "manage:users", wording: shareWording })),
  }
}

const noteWording = wording({ field: "date", message: newNoteSchema.properties.date.expected })
const viewWording = wording({ field: "name", message: newViewSchema.properties.name.expected })
const shareWording = wording({ field: "expiresAt", message: newShareSchema.properties.expiresAt.expected })

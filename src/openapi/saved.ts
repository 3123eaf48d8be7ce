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
  shareChangesSchema,
  shareFilterSchema,
  shareSchema,
  type ViewJson,
  viewChangesSchema,
  viewFilterSchema,
  viewSchema,
} from "../saved/schema.ts"
import { type Json, ref } from "./json-schema.ts"
import {
  component,
  errorFormat,
  listOf,
  type Operations,
  paths,
  rotation,
  rotationText,
  takesBody,
  writes,
} from "./operations.ts"

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
  page: "overview" as const,
  embedHosts: ["https://intranet.example.com"],
  expiresAt: "2099-01-01T00:00:00.000Z",
}
const exampleShare: ShareJson = {
  id: "2a5f6c1e-7d52-4c39-9d6c-2a5f3f4e9c11",
  websiteId,
  ...share,
  boardId: null,
  boardName: null,
  isActive: true,
  createdAt: "2026-01-05T09:30:00.000Z",
  lastUsedAt: null,
  previousExpiresAt: null,
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
  ShareChanges: component(shareChangesSchema, { embedHosts: [] }),
}

const websiteReasons = ["key_website_mismatch", "website_unknown"] as const

const notes: Operations = {
  "/v1/notes": {
    get: {
      id: "listNotes",
      scope: "read:reports",
      summary: "List notes",
      description: "Lists notes of the website and notes that apply to all websites, latest day first.",
      query: noteFilterSchema,
      gives: listOf("notes", "Note"),
      reasons: ["invalid_shape", ...websiteReasons],
    },
    post: {
      id: "createNote",
      summary: "Create a note",
      description: "Charts show the note on its day.",
      query: noteFilterSchema,
      queryExample,
      takes: ref("schemas/NewNote"),
      gives: { note: ref("schemas/Note") },
      status: 201,
      reasons: [...takesBody, ...websiteReasons, "conflict", ...writes],
    },
  },
  "/v1/notes/{id}": {
    patch: {
      id: "changeNote",
      summary: "Change a note",
      description: "Omitted fields stay unchanged.",
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
      description: "Sorted by name.",
      query: viewFilterSchema,
      gives: listOf("views", "View"),
      reasons: ["invalid_shape", ...websiteReasons],
    },
    post: {
      id: "createView",
      summary: "Save a view",
      description: "Saves a dashboard page under a name.",
      query: noteFilterSchema,
      queryExample,
      takes: ref("schemas/NewView"),
      gives: { view: ref("schemas/View") },
      status: 201,
      reasons: [...takesBody, ...websiteReasons, "conflict", ...writes],
    },
  },
  "/v1/views/{id}": {
    patch: {
      id: "changeView",
      summary: "Change a saved view",
      description: "Omitted fields stay unchanged.",
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

const link = {
  type: "string",
  description: "Path of the link, relative to the server's URL: /share/ and the token",
}

const shares: Operations = {
  "/v1/shares": {
    get: {
      id: "listShares",
      summary: "List share links",
      description: "Includes expired links until they are deleted. The tokens are not stored.",
      query: shareFilterSchema,
      gives: listOf("shares", "Share"),
      reasons: ["invalid_shape", "key_website_mismatch"],
    },
    post: {
      id: "createShare",
      summary: "Create a share link",
      description:
        "Anyone with the link has read-only access to all reports of one website, to one page of reports, or to one board, but not to single events or people. A link to a board works as long as its creator can read the board and manage share links. The link is returned only once. With /embed/ instead of /share/, it shows the page without navigation, in frames on the hosts in `embedHosts`.",
      query: newShareFilterSchema,
      queryExample,
      takes: ref("schemas/NewShare"),
      gives: {
        share: ref("schemas/Share"),
        link,
      },
      status: 201,
      reasons: [...takesBody, ...websiteReasons, "board_unknown", "grant_too_wide", "conflict", ...writes],
    },
  },
  "/v1/shares/{id}": {
    patch: {
      id: "changeShare",
      summary: "Change a share link's name or who can embed it",
      description: "Omitted fields stay unchanged.",
      takes: ref("schemas/ShareChanges"),
      gives: { share: ref("schemas/Share") },
      reasons: [...takesBody, "key_website_mismatch", "share_unknown", ...writes],
    },
    delete: {
      id: "deleteShare",
      summary: "Revoke a share link",
      description: "The link stops working immediately.",
      gives: {},
      reasons: ["key_website_mismatch", "share_unknown", ...writes],
    },
  },
  "/v1/shares/{id}/rotate": {
    post: {
      id: "rotateShare",
      summary: "Rotate a share link",
      description: `The link gets a new token, which is returned only once. ${rotationText}`,
      takes: rotation,
      gives: { share: ref("schemas/Share"), link },
      reasons: [
        ...takesBody,
        "key_website_mismatch",
        "grant_too_wide",
        "share_unknown",
        "conflict",
        ...writes,
      ],
    },
  },
  "/v1/shares/{id}/overlap": {
    delete: {
      id: "endShareOverlap",
      summary: "Expire the previous URL of a rotated link",
      description: "The previous link stops working immediately.",
      gives: { share: ref("schemas/Share") },
      reasons: ["key_website_mismatch", "share_unknown", ...writes],
    },
  },
}

export async function savedPaths(): Promise<Json> {
  return {
    ...(await paths(notes, { tag: "Notes and views", scope: "manage:websites", errorFormat: noteErrors })),
    ...(await paths(views, { tag: "Notes and views", scope: "manage:websites", errorFormat: viewErrors })),
    ...(await paths(shares, { tag: "Share links", scope: "manage:users", errorFormat: shareErrors })),
  }
}

const noteErrors = errorFormat({ field: "date", message: newNoteSchema.properties.date.expected })
const viewErrors = errorFormat({ field: "name", message: newViewSchema.properties.name.expected })
const shareErrors = errorFormat({ field: "expiresAt", message: newShareSchema.properties.expiresAt.expected })

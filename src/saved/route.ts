import { Elysia } from "elysia"
import { RequestError } from "../errors.ts"
import {
  type AuthenticatedRequest,
  authenticatedRoute,
  commitChange,
  type RouteDeps,
  type RouteResult,
} from "../http/authenticated-request.ts"
import type { Caller } from "../http/caller.ts"
import { canAccess, requireWebsiteAccess, requireWithin } from "../http/permissions.ts"
import { invalidShape } from "../http/validation.ts"
import { createNote, deleteNote, findNote, listNotes, updateNote } from "../store/notes.ts"
import { createShare, deleteShare, findShare, listShares } from "../store/shares.ts"
import { createView, deleteView, findView, listViews, updateView } from "../store/views.ts"
import { canonicalWebsiteId, findWebsite, type WebsitePlace, withoutWebsite } from "../store/websites.ts"
import {
  noteJson,
  readNewNote,
  readNewShare,
  readNewShareFilter,
  readNewView,
  readNoteChanges,
  readNoteFilter,
  readShareFilter,
  readViewChanges,
  readViewFilter,
  shareJson,
  viewJson,
} from "./input.ts"

/** Routes for notes on a day, saved views, and share links. */
export function savedRoutes(saved: RouteDeps) {
  const on = authenticatedRoute(saved)
  const raw = { parse: "none" } as const
  return (
    new Elysia({ prefix: "/v1" })
      .get("/notes", on("read:reports", showNotes))
      .post("/notes", on("manage:websites", addNote), raw)
      .patch("/notes/:id", on("manage:websites", editNote), raw)
      .delete("/notes/:id", on("manage:websites", removeNote), raw)
      // `read:reports` is not enough: the path of a view can name a person.
      .get("/views", on("read:data", showViews))
      .post("/views", on("manage:websites", addView), raw)
      .patch("/views/:id", on("manage:websites", editView), raw)
      .delete("/views/:id", on("manage:websites", removeView), raw)
      .get("/shares", on("manage:users", showShares))
      .post("/shares", on("manage:users", addShare), raw)
      .delete("/shares/:id", on("manage:users", endShare), raw)
  )
}

const oneWebsite = "must be the id of a website: a share link shows one, not all or none"

function showNotes(saved: RouteDeps, { caller, searchParams: query }: AuthenticatedRequest): RouteResult {
  const notes = listNotes(saved.db, placeOf(saved, caller, readNoteFilter(query()))).map(noteJson)
  return { body: { notes, total: notes.length } }
}

async function addNote(
  saved: RouteDeps,
  { caller, now, searchParams: query, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const websiteId = readNoteFilter(query())
  const note = readNewNote(await body())
  const made = await commitChange(saved, () => {
    const place = placeOf(saved, caller, websiteId)
    requirePlace(caller, place)
    return createNote(saved.db, saved.newId(), { ...note, place }, now)
  })
  return { status: 201, body: { note: noteJson(made) } }
}

async function editNote(saved: RouteDeps, { caller, id, body }: AuthenticatedRequest): Promise<RouteResult> {
  const changes = readNoteChanges(await body())
  const changed = await commitChange(saved, () => {
    requireOwn(caller, findNote(saved.db, id))
    return updateNote(saved.db, id, changes)
  })
  return { body: { note: noteJson(changed) } }
}

async function removeNote(saved: RouteDeps, { caller, id }: AuthenticatedRequest): Promise<RouteResult> {
  await commitChange(saved, () => {
    requireOwn(caller, findNote(saved.db, id))
    deleteNote(saved.db, id)
  })
  return {}
}

function showViews(saved: RouteDeps, { caller, searchParams: query }: AuthenticatedRequest): RouteResult {
  const { websiteId, kind } = readViewFilter(query())
  const views = listViews(saved.db, placeOf(saved, caller, websiteId), kind).map(viewJson)
  return { body: { views, total: views.length } }
}

async function addView(
  saved: RouteDeps,
  { caller, now, searchParams: query, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const websiteId = readNoteFilter(query())
  const view = readNewView(await body())
  const made = await commitChange(saved, () => {
    const place = placeOf(saved, caller, websiteId)
    requirePlace(caller, place)
    return createView(saved.db, saved.newId(), { ...view, place }, now)
  })
  return { status: 201, body: { view: viewJson(made) } }
}

async function editView(saved: RouteDeps, { caller, id, body }: AuthenticatedRequest): Promise<RouteResult> {
  const changes = readViewChanges(await body())
  const changed = await commitChange(saved, () => {
    requireOwn(caller, findView(saved.db, id))
    return updateView(saved.db, id, changes)
  })
  return { body: { view: viewJson(changed) } }
}

async function removeView(saved: RouteDeps, { caller, id }: AuthenticatedRequest): Promise<RouteResult> {
  await commitChange(saved, () => {
    requireOwn(caller, findView(saved.db, id))
    deleteView(saved.db, id)
  })
  return {}
}

function showShares({ db }: RouteDeps, { caller, searchParams: query }: AuthenticatedRequest): RouteResult {
  const websiteId = readShareFilter(query())
  if (websiteId !== undefined) requireWebsiteAccess(caller, websiteId)
  const shares = listShares(db)
    .filter((share) => canAccess(caller, share.websiteId))
    .filter((share) => websiteId === undefined || share.websiteId === canonicalWebsiteId(websiteId))
    .map(shareJson)
  return { body: { shares, total: shares.length } }
}

/** Only this response contains the token. */
async function addShare(
  saved: RouteDeps,
  { caller, now, searchParams: query, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const websiteId = readNewShareFilter(query())
  if (isWord(saved, websiteId)) throw invalidShape([{ field: "website_id", message: oneWebsite }])
  requireWebsiteAccess(caller, websiteId)
  const share = readNewShare(await body(), now)
  const { rateLimit } = caller
  const { db, random } = saved
  const made = await commitChange(saved, () => {
    const { rid, id } = findWebsite(db, websiteId)
    const grant = { scopes: ["read:reports" as const], websites: [id], rateLimit, expiresAt: share.expiresAt }
    requireWithin(grant, caller)
    return createShare(db, saved.newId(), rid, share, random, now)
  })
  return { status: 201, body: { share: shareJson(made.share), link: `/share/${made.token}` } }
}

async function endShare(saved: RouteDeps, { caller, id }: AuthenticatedRequest): Promise<RouteResult> {
  const { db } = saved
  await commitChange(saved, () => {
    requireWebsiteAccess(caller, findShare(db, id).websiteId)
    deleteShare(db, id)
  })
  return {}
}

/** The place that an id names. Throws `key_website_mismatch`, and `website_unknown`. */
function placeOf(saved: RouteDeps, caller: Caller, id: string): WebsitePlace {
  if (isWord(saved, id)) {
    const place = id === "all" ? null : withoutWebsite
    if (place === withoutWebsite) requirePlace(caller, place)
    return place
  }
  requireWebsiteAccess(caller, id)
  return findWebsite(saved.db, id).rid
}

/** True for `none` and `all`, unless a website has that id. */
function isWord({ registry }: RouteDeps, id: string): boolean {
  return (id === "all" || id === "none") && !registry.website(id)
}

/** Only callers that are not limited to some websites may change items of no website or of all. Throws `key_website_mismatch`. */
function requirePlace(caller: Caller, place: WebsitePlace): void {
  if (place !== null && place !== withoutWebsite) return
  if (caller.websites === null) return
  throw new RequestError("key_website_mismatch", {
    detail: `your ${caller.kind} is limited to some websites`,
  })
}

function requireOwn(
  caller: Caller,
  { place, websiteId }: { place: WebsitePlace; websiteId: string | null },
): void {
  requirePlace(caller, place)
  if (websiteId !== null) requireWebsiteAccess(caller, websiteId)
}

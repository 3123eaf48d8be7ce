import { Elysia } from "elysia"
import {
  type AuthenticatedRequest,
  authenticatedRoute,
  commitChange,
  type RouteDeps,
  type RouteResult,
} from "../http/authenticated-request.ts"
import type { Caller } from "../http/caller.ts"
import { canAccess, requireCoveredBy, requireWebsiteAccess } from "../http/permissions.ts"
import { parseRotation } from "../http/rotation.ts"
import { invalidShape } from "../http/validation.ts"
import { findBoard } from "../store/boards.ts"
import type { Grant } from "../store/keys.ts"
import { createNote, deleteNote, findNote, listNotes, updateNote } from "../store/notes.ts"
import {
  createShare,
  deleteShare,
  endShareOverlap,
  findShare,
  listShares,
  rotateShare,
  type Share,
  updateShare,
} from "../store/shares.ts"
import { createView, deleteView, findView, listViews, updateView } from "../store/views.ts"
import { canonicalWebsiteId, findWebsite } from "../store/websites.ts"
import {
  noteJson,
  parseNewNote,
  parseNewShare,
  parseNewShareFilter,
  parseNewView,
  parseNoteChanges,
  parseNoteFilter,
  parseShareChanges,
  parseShareFilter,
  parseViewChanges,
  parseViewFilter,
  shareJson,
  viewJson,
} from "./input.ts"
import { isKeyword, placeOf, requireOwn, requirePlace } from "./place.ts"
import { newShareSchema } from "./schema.ts"

/** Routes for notes, saved views and share links. */
export function savedRoutes(deps: RouteDeps) {
  const route = authenticatedRoute(deps)
  const raw = { parse: "none" } as const
  return (
    new Elysia({ prefix: "/v1" })
      .get("/notes", route("read:reports", showNotes))
      .post("/notes", route("manage:websites", addNote), raw)
      .patch("/notes/:id", route("manage:websites", editNote), raw)
      .delete("/notes/:id", route("manage:websites", removeNote), raw)
      // `read:reports` does not suffice, because a view's path can contain a person's ID.
      .get("/views", route("read:data", showViews))
      .post("/views", route("manage:websites", addView), raw)
      .patch("/views/:id", route("manage:websites", editView), raw)
      .delete("/views/:id", route("manage:websites", removeView), raw)
      .get("/shares", route("manage:users", showShares))
      .post("/shares", route("manage:users", addShare), raw)
      .patch("/shares/:id", route("manage:users", editShare), raw)
      .delete("/shares/:id", route("manage:users", revokeShareLink), raw)
      .post("/shares/:id/rotate", route("manage:users", rotateShareLink), raw)
      .delete("/shares/:id/overlap", route("manage:users", endOverlap), raw)
  )
}

const oneWebsite =
  'must be a website ID, or "all" for a board that covers all websites, because a share link shows one website or one board'

function showNotes(deps: RouteDeps, { caller, searchParams: query }: AuthenticatedRequest): RouteResult {
  const notes = listNotes(deps.db, placeOf(deps, caller, parseNoteFilter(query()))).map(noteJson)
  return { body: { notes, total: notes.length } }
}

async function addNote(
  deps: RouteDeps,
  { caller, now, searchParams: query, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const websiteId = parseNoteFilter(query())
  const note = parseNewNote(await body())
  const created = await commitChange(deps, () => {
    const place = placeOf(deps, caller, websiteId)
    requirePlace(caller, place)
    return createNote(deps.db, deps.newId(), { ...note, place }, now)
  })
  return { status: 201, body: { note: noteJson(created) } }
}

async function editNote(deps: RouteDeps, { caller, id, body }: AuthenticatedRequest): Promise<RouteResult> {
  const changes = parseNoteChanges(await body())
  const changed = await commitChange(deps, () => {
    requireOwn(caller, findNote(deps.db, id))
    return updateNote(deps.db, id, changes)
  })
  return { body: { note: noteJson(changed) } }
}

async function removeNote(deps: RouteDeps, { caller, id }: AuthenticatedRequest): Promise<RouteResult> {
  await commitChange(deps, () => {
    requireOwn(caller, findNote(deps.db, id))
    deleteNote(deps.db, id)
  })
  return {}
}

function showViews(deps: RouteDeps, { caller, searchParams: query }: AuthenticatedRequest): RouteResult {
  const { websiteId, kind } = parseViewFilter(query())
  const views = listViews(deps.db, placeOf(deps, caller, websiteId), kind).map(viewJson)
  return { body: { views, total: views.length } }
}

async function addView(
  deps: RouteDeps,
  { caller, now, searchParams: query, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const websiteId = parseNoteFilter(query())
  const view = parseNewView(await body())
  const created = await commitChange(deps, () => {
    const place = placeOf(deps, caller, websiteId)
    requirePlace(caller, place)
    return createView(deps.db, deps.newId(), { ...view, place }, now)
  })
  return { status: 201, body: { view: viewJson(created) } }
}

async function editView(deps: RouteDeps, { caller, id, body }: AuthenticatedRequest): Promise<RouteResult> {
  const changes = parseViewChanges(await body())
  const changed = await commitChange(deps, () => {
    requireOwn(caller, findView(deps.db, id))
    return updateView(deps.db, id, changes)
  })
  return { body: { view: viewJson(changed) } }
}

async function removeView(deps: RouteDeps, { caller, id }: AuthenticatedRequest): Promise<RouteResult> {
  await commitChange(deps, () => {
    requireOwn(caller, findView(deps.db, id))
    deleteView(deps.db, id)
  })
  return {}
}

function showShares({ db }: RouteDeps, { caller, searchParams: query }: AuthenticatedRequest): RouteResult {
  const websiteId = parseShareFilter(query())
  if (websiteId !== undefined) requireWebsiteAccess(caller, websiteId)
  const shares = listShares(db)
    .filter((share) =>
      share.websiteId === null ? caller.websites === null : canAccess(caller, share.websiteId),
    )
    .filter((share) => websiteId === undefined || share.websiteId === canonicalWebsiteId(websiteId))
    .map(shareJson)
  return { body: { shares, total: shares.length } }
}

/** Creates a share link. Only this response contains its token. */
async function addShare(
  deps: RouteDeps,
  { caller, now, searchParams: query, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const id = parseNewShareFilter(query())
  const { boardId, ...share } = parseNewShare(await body(), now)
  const { db, random } = deps
  const created = await commitChange(deps, () => {
    const { place, websiteId } = targetOf(deps, caller, id, boardId)
    const { expiresAt } = share
    requireCoveredBy(grantOf({ websiteId, boardId: boardId ?? null, expiresAt }, caller), caller)
    const board = boardId === undefined ? undefined : { id: boardId, createdBy: caller.id }
    return createShare(db, deps.newId(), place, { ...share, board }, random, now)
  })
  return { status: 201, body: { share: shareJson(created.share), link: `/share/${created.token}` } }
}

async function editShare(deps: RouteDeps, { caller, id, body }: AuthenticatedRequest): Promise<RouteResult> {
  const { db } = deps
  const changes = parseShareChanges(await body())
  const changed = await commitChange(deps, () => {
    requireOwn(caller, findShare(db, id))
    return updateShare(db, id, changes)
  })
  return { body: { share: shareJson(changed) } }
}

/**
 * Rotates a share link. The response contains the new token, so callers cannot rotate a link that has more permissions
 * than they have.
 */
async function rotateShareLink(
  deps: RouteDeps,
  { caller, context, now, id, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const { db, random } = deps
  const overlap = parseRotation(context.request.body === null ? {} : await body())
  const rotated = await commitChange(deps, () => {
    const share = findShare(db, id)
    requireOwn(caller, share)
    requireCoveredBy(grantOf(share, caller), caller)
    return rotateShare(db, id, overlap, random, now)
  })
  return { body: { share: shareJson(rotated.share), link: `/share/${rotated.token}` } }
}

async function endOverlap(deps: RouteDeps, { caller, id }: AuthenticatedRequest): Promise<RouteResult> {
  const { db } = deps
  const share = await commitChange(deps, () => {
    requireOwn(caller, findShare(db, id))
    return endShareOverlap(db, id)
  })
  return { body: { share: shareJson(share) } }
}

/**
 * Returns the website or board that a new link shows. Throws `invalid_shape`, `key_website_mismatch`, `website_unknown`
 * or `board_unknown`.
 */
function targetOf(
  deps: RouteDeps,
  caller: Caller,
  id: string,
  boardId: string | undefined,
): Pick<Share, "place" | "websiteId"> {
  const isAll = isKeyword(deps, id)
  if (isAll && (boardId === undefined || id !== "all"))
    throw invalidShape([{ field: "website_id", message: oneWebsite }])
  const place = placeOf(deps, caller, id)
  requirePlace(caller, place)
  if (boardId !== undefined && findBoard(deps.db, boardId).place !== place)
    throw invalidShape([{ field: "boardId", message: newShareSchema.properties.boardId.expected }])
  return { place, websiteId: isAll ? null : findWebsite(deps.db, id).id }
}

/**
 * Returns the permissions that a caller needs to create or rotate a link. A link to a board requires read:data,
 * although it grants less. Requests that use a link are rate-limited by address, so the creator's rate limit does not
 * apply.
 */
function grantOf(
  { websiteId, boardId, expiresAt }: Pick<Share, "websiteId" | "boardId" | "expiresAt">,
  caller: Caller,
): Grant {
  return {
    scopes: [boardId === null ? "read:reports" : "read:data"],
    websites: websiteId === null ? null : [websiteId],
    rateLimit: caller.rateLimit,
    expiresAt,
  }
}

async function revokeShareLink(deps: RouteDeps, { caller, id }: AuthenticatedRequest): Promise<RouteResult> {
  const { db } = deps
  await commitChange(deps, () => {
    requireOwn(caller, findShare(db, id))
    deleteShare(db, id)
  })
  return {}
}

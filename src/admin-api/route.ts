import { Elysia } from "elysia"
import { RequestError } from "../errors.ts"
import { handleAuthenticated } from "../http/api-handler.ts"
import {
  type AuthenticatedRequest,
  authenticatedRoute,
  commitChange,
  endpointOf,
  type RouteContext,
  type RouteDeps,
  type RouteResult,
} from "../http/authenticated-request.ts"
import type { Caller } from "../http/caller.ts"
import {
  canAccess,
  isCoveredBy,
  requireCoveredBy,
  requireExistingWebsites,
  requireUnlimitedWebsites,
  requireWebsiteAccess,
} from "../http/permissions.ts"
import type { RejectedRequests } from "../http/rejected-requests.ts"
import { requestContextOf } from "../http/request-context.ts"
import { parseRotation } from "../http/rotation.ts"
import { Semaphore } from "../http/semaphore.ts"
import type { QueryEngine } from "../query/engine/engine.ts"
import type { Db } from "../store/db/driver.ts"
import type { DatabaseFiles } from "../store/db/unallocated-space.ts"
import { forgetPerson, type Person } from "../store/forget.ts"
import { createKey, endKeyOverlap, findKey, type Key, listKeys, revokeKey, rotateKey } from "../store/keys.ts"
import { findProfile, findProfiles, profilesById } from "../store/profile-search.ts"
import type { RemovedEvent } from "../store/removed-days.ts"
import { createWebsite, deleteWebsite, findWebsite, listWebsites } from "../store/websites.ts"
import { Downloads, downloadResponse } from "./download.ts"
import { type ExportDeps, exportDownload, exportTimeout } from "./export.ts"
import {
  changeKey,
  changeWebsite,
  forgetNote,
  keyJson,
  parseKeyChanges,
  parseNewKey,
  parseNewWebsite,
  parsePerson,
  parseProfileFilter,
  parseProfileSearch,
  parseRejectedRequestFilter,
  parseWebsiteChanges,
  profileJson,
  rejectedRequestJson,
  websiteJson,
} from "./input.ts"
import { abortableSleep, sleep } from "./sleep.ts"
import { type ServerState, statusOf } from "./status.ts"

export interface AdminApiDeps extends RouteDeps, ExportDeps {
  rejectedRequests: RejectedRequests
  /** Opens the database file, so that the data of a forgotten person can be overwritten in it. */
  databaseFiles: DatabaseFiles
  queryEngine: QueryEngine<never>
  serverState: ServerState
  /**
   * Returns the person's events that were removed from the file and are only in the ClickHouse cluster. Rejects with a
   * RequestError if the cluster does not respond.
   */
  removedEventsOf: (person: Person, now: number) => Promise<RemovedEvent[]>
}

/** Creates the routes of the management API. */
export function adminRoutes(deps: AdminApiDeps) {
  const route = authenticatedRoute(deps)
  const downloads = new Downloads()
  const searches = new Semaphore(profileSearches)
  // The routes read the bodies themselves, because Elysia's parsers would reject an invalid body before the key is
  // checked.
  const raw = { parse: "none" } as const
  return new Elysia({ prefix: "/v1" })
    .get("/websites", route("manage:websites", showWebsites))
    .post("/websites", route("manage:websites", addWebsite), raw)
    .get("/websites/:id", route("manage:websites", showWebsite))
    .patch("/websites/:id", route("manage:websites", editWebsite), raw)
    .delete("/websites/:id", route("manage:websites", removeWebsite), raw)
    .post("/websites/:id/forget", route("manage:websites", forget), raw)
    .get("/keys", route("manage:keys", showKeys))
    .post("/keys", route("manage:keys", addKey), raw)
    .get("/keys/:id", route("manage:keys", showKey))
    .patch("/keys/:id", route("manage:keys", editKey), raw)
    .delete("/keys/:id", route("manage:keys", revokeCoveredKey), raw)
    .post("/keys/:id/rotate", route("manage:keys", rotateSecret), raw)
    .delete("/keys/:id/overlap", route("manage:keys", endOverlap), raw)
    .get(
      "/profiles",
      route("read:data", (_, call) => showProfiles(deps, call, searches)),
    )
    .get("/profiles/:id", route("read:data", showProfile))
    .get("/refusals", route("read:data", showRejectedRequests))
    .get("/status", route("manage:websites", showStatus))
    .get("/export", ({ request, server, route: path }: RouteContext) => {
      // If the client reads slowly, or while the export searches for a person's events, the pauses between bytes can
      // exceed the server's idle timeout.
      server?.timeout?.(request, exportTimeout(request))
      return handleAuthenticated(
        deps,
        requestContextOf(request, server),
        { scope: "read:data", endpoint: endpointOf({ request, route: path }) },
        async (authenticated) => {
          const { headers } = authenticated
          return downloadResponse(
            await exportDownload(deps, request, authenticated, downloads),
            headers,
            (error) => deps.logError(error, { request_id: headers["x-request-id"], path }),
          )
        },
      )
    })
}

function showWebsites({ db }: AdminApiDeps, { caller }: AuthenticatedRequest): RouteResult {
  const websites = listWebsites(db)
    .filter((website) => canAccess(caller, website.id))
    .map(websiteJson)
  return { body: { websites, total: websites.length } }
}

async function addWebsite(
  deps: AdminApiDeps,
  { caller, now, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  requireUnlimitedWebsites(caller)
  const { id = deps.newId(), settings } = parseNewWebsite(await body())
  const website = await commitChange(deps, () => createWebsite(deps.db, id, settings, now))
  return { status: 201, body: { website: websiteJson(website) } }
}

function showWebsite({ db }: AdminApiDeps, { caller, id }: AuthenticatedRequest): RouteResult {
  requireWebsiteAccess(caller, id)
  return { body: { website: websiteJson(findWebsite(db, id)) } }
}

async function editWebsite(
  deps: AdminApiDeps,
  { caller, now, id, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  requireWebsiteAccess(caller, id)
  const changes = parseWebsiteChanges(await body())
  const website = await commitChange(deps, () => changeWebsite(deps.db, id, changes, now))
  return { body: { website: websiteJson(website) } }
}

async function removeWebsite(
  deps: AdminApiDeps,
  { caller, now, id }: AuthenticatedRequest,
): Promise<RouteResult> {
  requireWebsiteAccess(caller, id)
  await commitChange(deps, () => deleteWebsite(deps.db, id, now))
  return {}
}

/** Responds when the deletion is done. The deletion takes a few seconds if millions of events have to be searched. */
async function forget(
  { db, databaseFiles, batcher, removedEventsOf }: AdminApiDeps,
  { caller, now, id, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  requireWebsiteAccess(caller, id)
  const personId = parsePerson(await body())
  const website = findWebsite(db, id)
  const person = { websiteRid: website.rid, id: personId }
  const schedule = {
    write: <Result>(work: () => Result) => batcher.run(work),
    sleep,
  }
  const forgotten = await forgetPerson(db, databaseFiles, person, now, schedule, () =>
    removedEventsOf(person, now),
  )
  return { body: { ...forgotten, note: forgetNote(website, personId) } }
}

function showKeys({ db }: AdminApiDeps, { caller }: AuthenticatedRequest): RouteResult {
  const keys = listKeys(db)
    .filter((key) => isCoveredBy(key, caller))
    .map(keyJson)
  return { body: { keys, total: keys.length } }
}

async function addKey(deps: AdminApiDeps, { caller, now, body }: AuthenticatedRequest): Promise<RouteResult> {
  const { db, random } = deps
  const grant = parseNewKey(await body(), now)
  requireCoveredBy(grant, caller)
  const created = await commitChange(deps, () => {
    requireExistingWebsites(db, grant.websites)
    return createKey(db, deps.newId(), grant, random, now)
  })
  return { status: 201, body: { key: { ...keyJson(created.key), key: created.secret } } }
}

function showKey({ db }: AdminApiDeps, { caller, id }: AuthenticatedRequest): RouteResult {
  return { body: { key: keyJson(findCoveredKey(db, id, caller)) } }
}

async function editKey(
  deps: AdminApiDeps,
  { caller, now, id, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const { db } = deps
  const changes = parseKeyChanges(await body(), now)
  const changed = await commitChange(deps, () => {
    requireCoveredBy({ ...findCoveredKey(db, id, caller), ...changes }, caller)
    requireExistingWebsites(db, changes.websites)
    return changeKey(db, id, changes, now)
  })
  return { body: { key: keyJson(changed) } }
}

async function revokeCoveredKey(
  deps: AdminApiDeps,
  { caller, now, id }: AuthenticatedRequest,
): Promise<RouteResult> {
  await commitChange(deps, () => revokeKey(deps.db, findCoveredKey(deps.db, id, caller).id, now))
  return {}
}

/**
 * Rotates a key's secret. The response contains the new secret, so callers must not rotate keys that have more
 * permissions than they have themselves.
 */
async function rotateSecret(
  deps: AdminApiDeps,
  { caller, context, now, id, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const { db, random } = deps
  const overlap = parseRotation(context.request.body === null ? {} : await body())
  const rotated = await commitChange(deps, () =>
    rotateKey(db, findCoveredKey(db, id, caller).id, overlap, random, now),
  )
  return { body: { key: { ...keyJson(rotated.key), key: rotated.secret } } }
}

async function endOverlap(deps: AdminApiDeps, { caller, id }: AuthenticatedRequest): Promise<RouteResult> {
  const { db } = deps
  const key = await commitChange(deps, () => endKeyOverlap(db, findCoveredKey(db, id, caller).id))
  return { body: { key: keyJson(key) } }
}

async function showProfiles(
  { db }: AdminApiDeps,
  { caller, context, searchParams }: AuthenticatedRequest,
  searches: Semaphore,
): Promise<RouteResult> {
  const { websiteId, ids, ...search } = parseProfileSearch(searchParams())
  requireWebsiteAccess(caller, websiteId)
  const { rid } = findWebsite(db, websiteId)
  if (ids.length > 0) {
    const profiles = profilesById(db, rid, ids)
    return { body: { profiles: profiles.map(profileJson), total: profiles.length } }
  }
  const pause = abortableSleep(context.request.signal)
  const find = () => findProfiles(db, { websiteRid: rid, ...search }, () => pause(searchPause))
  const found = await (search.search === "" ? find() : searches.run(find))
  return { body: { profiles: found.profiles.map(profileJson), total: found.total } }
}

function showProfile({ db }: AdminApiDeps, { caller, id, searchParams }: AuthenticatedRequest): RouteResult {
  const websiteId = parseProfileFilter(searchParams())
  requireWebsiteAccess(caller, websiteId)
  return { body: { profile: profileJson(findProfile(db, findWebsite(db, websiteId).rid, id)) } }
}

/**
 * Lists rejected requests. A caller that is limited to some websites sees a request only if it names exactly one
 * website and the caller can access that website.
 */
function showRejectedRequests(
  deps: AdminApiDeps,
  { caller, searchParams }: AuthenticatedRequest,
): RouteResult {
  const { websiteId, reason, limit } = parseRejectedRequestFilter(searchParams())
  if (websiteId !== undefined) requireWebsiteAccess(caller, websiteId)
  const found = deps.rejectedRequests
    .list()
    .filter(
      (request) =>
        caller.websites === null || (request.websiteId !== null && canAccess(caller, request.websiteId)),
    )
    .filter((request) => websiteId === undefined || request.websiteId === websiteId)
    .filter((request) => reason === undefined || request.reason === reason)
  return { body: { refusals: found.slice(0, limit).map(rejectedRequestJson), total: found.length } }
}

/**
 * Returns the server's status. The status describes the whole server, so callers that are limited to some websites
 * cannot read it.
 */
async function showStatus(
  deps: AdminApiDeps,
  { caller, context }: AuthenticatedRequest,
): Promise<RouteResult> {
  if (caller.websites !== null) {
    throw new RequestError("key_website_mismatch", {
      detail: `the status describes the whole server, and your ${caller.kind} is limited to some websites; use a key or login that has access to all websites`,
    })
  }
  return { body: await statusOf(deps, `${caller.kind} ${caller.id}`, context.request.signal) }
}

/**
 * Limits for profile searches. Ingestion waits for at most one step of each running search. With 300,000 profiles, a
 * full queue of searches takes a few seconds.
 */
const profileSearches = {
  running: 2,
  waiting: 8,
  full: "too many profile searches are running; retry after the time in Retry-After",
}
/** Pause in ms between steps of a profile search, so that other requests can be handled. */
const searchPause = 1

/** Returns a key. Throws `key_not_found`, or `grant_too_wide` if the key has more permissions than `caller`. */
function findCoveredKey(db: Db, id: string, caller: Caller): Key {
  const key = findKey(db, id)
  requireCoveredBy(key, caller)
  return key
}

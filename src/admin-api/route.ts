import { Elysia } from "elysia"
import { RequestError } from "../errors.ts"
import type { RemovedEvents } from "../export/complete-events.ts"
import { type ExportSelection, exportEvents, exportPerson, gzipped } from "../export/export.ts"
import { type AuthenticatedContext, handleAuthenticated, searchParamsOf } from "../http/api-handler.ts"
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
import { forgetPerson, type Person } from "../store/forget.ts"
import { createKey, endKeyOverlap, findKey, type Key, listKeys, revokeKey, rotateKey } from "../store/keys.ts"
import { findProfile, findProfiles, profilesById } from "../store/profile-search.ts"
import type { RemovedEvent } from "../store/removed-days.ts"
import { createWebsite, deleteWebsite, findWebsite, listWebsites, type Website } from "../store/websites.ts"
import { type Download, Downloads, downloadResponse } from "./download.ts"
import {
  changeKey,
  changeWebsite,
  forgetNote,
  keyJson,
  parseExportFilter,
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
import { type ServerState, statusOf } from "./status.ts"

export interface AdminApiDeps extends RouteDeps {
  rejectedRequests: RejectedRequests
  queryEngine: QueryEngine<never>
  serverState: ServerState
  /**
   * Returns the person's events that were removed from the file and are only in the ClickHouse cluster. Rejects with a
   * RequestError if the cluster does not respond.
   */
  removedEventsOf: (person: Person, now: number) => Promise<RemovedEvent[]>
  /** The cluster that stores the events removed from the file. Undefined if none is configured. */
  removedEvents: RemovedEvents | undefined
}

/** Creates the routes of the management API, for scripts that do not run on the server's machine. */
export function adminRoutes(deps: AdminApiDeps) {
  const route = authenticatedRoute(deps)
  const downloads = new Downloads()
  const searches = new Semaphore(profileSearches)
  // The routes read the bodies themselves, because Elysia's parsers would respond before the key is checked.
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
      // With a slow client, or while a person's events are being searched for, the pauses between bytes can exceed the
      // server's idle timeout.
      server?.timeout?.(request, isPersonExport(request) ? searchTimeout : readerTimeout)
      return handleAuthenticated(
        deps,
        requestContextOf(request, server),
        { scope: "read:data", endpoint: endpointOf({ request, route: path }) },
        async (authenticated) => {
          const { headers } = authenticated
          return downloadResponse(await download(deps, request, authenticated, downloads), headers, (error) =>
            deps.logError(error, { request_id: headers["x-request-id"], path }),
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
  { db, batcher, removedEventsOf }: AdminApiDeps,
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
  const forgotten = await forgetPerson(db, person, now, schedule, () => removedEventsOf(person, now))
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

/** Callers limited to some websites see only requests that name exactly one website, to which they have access. */
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
/** Number of events read in one step of an export. A step blocks other requests for about 1 ms. */
const exportRows = 200
/**
 * Maximum number of events in a row group of a Parquet file. Encoding a group blocks other requests for about 10 ms.
 */
const exportGroupRows = 1_000
/**
 * Maximum total length of the properties in a row group, in characters. Encoding this many characters also takes about
 * 10 ms.
 */
const exportGroupCharacters = 524_288
/** Pause in ms between steps of an export, so that other requests can be handled. */
const exportPause = 1
/** zlib's fastest level, because compression competes with ingestion for CPU time. */
const exportGzipLevel = 1
/** A client that reads nothing is disconnected after this many seconds. */
const readerTimeout = 60
/**
 * Idle timeout of an export that searches for a person's events, in seconds. The export sends nothing until it finds an
 * event. 255 is Bun's maximum, and long enough to search about 80 million events.
 */
const searchTimeout = 255

const mediaTypes = {
  ndjson: "application/x-ndjson",
  csv: "text/csv; charset=utf-8",
  parquet: "application/vnd.apache.parquet",
}

/**
 * Exports the stored data that matches the filter and that the caller can access. Reads the data in steps, as the
 * client consumes it.
 */
async function download(
  { db, removedEvents }: AdminApiDeps,
  request: Request,
  { caller, now }: AuthenticatedContext,
  downloads: Downloads,
): Promise<Download> {
  const filter = parseExportFilter(Object.fromEntries(searchParamsOf(request)))
  const { websiteId, person, format } = filter
  if (websiteId !== undefined) requireWebsiteAccess(caller, websiteId)
  const website = websiteId === undefined ? undefined : findWebsite(db, websiteId)
  const steps = {
    rows: exportRows,
    groupRows: exportGroupRows,
    groupCharacters: exportGroupCharacters,
    pause: () => sleep(exportPause),
  }
  const { signal } = request
  const source = { db, cluster: removedEvents, signal }
  const bytes = await downloads.limit(
    `${caller.kind} ${caller.login ? caller.login.hash.toString("hex") : caller.id}`,
    () =>
      website && person
        ? exportPerson(source, { website, id: person, now, sleep: abortableSleep(signal) }, format, steps)
        : exportEvents(source, { ...filter, ...exportSelection(db, caller, website) }, format, steps),
    signal,
  )
  const headers: Record<string, string> = {
    "Content-Type": mediaTypes[format],
    "Content-Disposition": `attachment; filename="databuddy.${format}"`,
    Vary: "Accept-Encoding",
  }
  // Parquet files are already compressed internally.
  const zipped = format !== "parquet" && /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "")
  if (zipped) headers["Content-Encoding"] = "gzip"
  return { bytes: zipped ? gzipped(bytes, exportGzipLevel) : bytes, headers }
}

function exportSelection(
  db: Db,
  caller: Caller,
  website: Website | undefined,
): Pick<ExportSelection, "websites" | "includeWithoutWebsite"> {
  if (website) return { websites: [website], includeWithoutWebsite: false }
  const websites = listWebsites(db).filter(({ id }) => canAccess(caller, id))
  return { websites, includeWithoutWebsite: caller.websites === null }
}

function isPersonExport(request: Request): boolean {
  const query = searchParamsOf(request)
  return query.has("profile_id") || query.has("anonymous_id")
}

/** Returns a key. Throws `key_not_found`, or `grant_too_wide` if the key has more permissions than `caller`. */
function findCoveredKey(db: Db, id: string, caller: Caller): Key {
  const key = findKey(db, id)
  requireCoveredBy(key, caller)
  return key
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Returns a `sleep` that rejects once the client has disconnected, so that a search stops early. */
function abortableSleep(signal: AbortSignal): typeof sleep {
  return async (ms) => {
    signal.throwIfAborted()
    await sleep(ms)
  }
}

import { Elysia } from "elysia"
import { Refusal } from "../errors.ts"
import { exportPerson, exportWanted, gzipped, type Wanted } from "../export/export.ts"
import { arrivalOf, type ServerOf } from "../http/arrival.ts"
import { readJson, type Uploads } from "../http/body.ts"
import type { Refusals } from "../http/refusals.ts"
import { type Admission, type Admitted, answered, queryOf, reaches } from "../http/v1.ts"
import type { Asker } from "../query/engine.ts"
import type { Batcher } from "../store/batcher.ts"
import { forgetPerson } from "../store/forget.ts"
import {
  createKey,
  findKey,
  type Key,
  listKeys,
  type Random,
  revokeKey,
  rotateKey,
  type Scope,
} from "../store/keys.ts"
import type { Db } from "../store/native.ts"
import { createWebsite, deleteWebsite, findWebsite, listWebsites, type Website } from "../store/websites.ts"
import { type Download, Downloads, fileAnswer } from "./download.ts"
import { isWithin, requireAllWebsites, requireWebsite, requireWithin } from "./grant.ts"
import {
  changeKey,
  changeWebsite,
  forgetNote,
  keyJson,
  readExportFilter,
  readKeyChanges,
  readNewKey,
  readNewWebsite,
  readPerson,
  readRefusalFilter,
  readWebsiteChanges,
  refusalJson,
  requireWebsites,
  websiteJson,
} from "./rules.ts"
import { type Running, statusOf } from "./status.ts"

/** What the management routes work with. */
export interface Manage extends Admission {
  db: Db
  batcher: Pick<Batcher, "run">
  uploads: Uploads
  refusals: Refusals
  random: Random
  asker: Asker
  running: Running
  settings: Admission["settings"] & {
    /** Bytes of a body, after decompression. */
    maxBodyBytes: number
  }
}

/** The parts of Elysia's context that the routes look at. */
interface RouteContext {
  request: Request
  server: ServerOf
  /** Undefined for a route without parameters, whatever its type says. */
  params?: { id?: string }
}

/** A request whose key may make it. */
interface Call {
  key: Key
  request: Request
  /** Unix ms */
  now: number
  /** The id in the path; '' where it has none. */
  id: string
  query: () => URLSearchParams
  body: () => Promise<unknown>
}

interface Answer {
  status?: number
  /** Beside `"success":true`. */
  body?: object
  /** In the place of that, bytes of another kind. */
  file?: Download
}

type Work = (manage: Manage, call: Call) => Answer | Promise<Answer>

/** The management API: websites and keys, for scripts that have no shell on the server. */
export function manageRoutes(manage: Manage) {
  const on =
    (scope: Scope, work: Work) =>
    ({ request, server, params }: RouteContext) =>
      answered(manage, arrivalOf(request, server), scope, (admitted) =>
        reply(manage, request, params?.id ?? "", work, admitted),
      )
  const downloads = new Downloads()
  const download: Work = (deps, call) => showExport(deps, call, downloads)
  // The bodies are read by the routes: Elysia's parsers would answer before the key is looked at.
  const raw = { parse: "none" } as const
  return new Elysia({ prefix: "/v1" })
    .get("/websites", on("manage:websites", showWebsites))
    .post("/websites", on("manage:websites", addWebsite), raw)
    .get("/websites/:id", on("manage:websites", showWebsite))
    .patch("/websites/:id", on("manage:websites", editWebsite), raw)
    .delete("/websites/:id", on("manage:websites", removeWebsite), raw)
    .post("/websites/:id/forget", on("manage:websites", forget), raw)
    .get("/keys", on("manage:keys", showKeys))
    .post("/keys", on("manage:keys", addKey), raw)
    .get("/keys/:id", on("manage:keys", showKey))
    .patch("/keys/:id", on("manage:keys", editKey), raw)
    .delete("/keys/:id", on("manage:keys", endKey), raw)
    .post("/keys/:id/rotate", on("manage:keys", renewKey), raw)
    .get("/refusals", on("read:data", showRefusals))
    .get("/status", on("manage:websites", showStatus))
    .get("/export", ({ request, server }) => {
      // A reader may stand still for longer than a client may over its request, and so may a search for a person's events.
      server?.timeout?.(request, isOfPerson(request) ? searchTimeout : readerTimeout)
      return answered(manage, arrivalOf(request, server), "read:data", (admitted) =>
        reply(manage, request, "", download, admitted),
      )
    })
}

function showWebsites({ db }: Manage, { key }: Call): Answer {
  const websites = listWebsites(db)
    .filter((website) => reaches(key, website.id))
    .map(websiteJson)
  return { body: { websites, total: websites.length } }
}

async function addWebsite(manage: Manage, { key, now, body }: Call): Promise<Answer> {
  requireAllWebsites(key)
  const { id = manage.newId(), settings } = readNewWebsite(await body())
  const website = await change(manage, () => createWebsite(manage.db, id, settings, now))
  return { status: 201, body: { website: websiteJson(website) } }
}

function showWebsite({ db }: Manage, { key, id }: Call): Answer {
  requireWebsite(key, id)
  return { body: { website: websiteJson(findWebsite(db, id)) } }
}

async function editWebsite(manage: Manage, { key, now, id, body }: Call): Promise<Answer> {
  requireWebsite(key, id)
  const changes = readWebsiteChanges(await body())
  const website = await change(manage, () => changeWebsite(manage.db, id, changes, now))
  return { body: { website: websiteJson(website) } }
}

async function removeWebsite(manage: Manage, { key, now, id }: Call): Promise<Answer> {
  requireWebsite(key, id)
  await change(manage, () => deleteWebsite(manage.db, id, now))
  return {}
}

/** Answered when it is done: with millions of events to look through, after some seconds. */
async function forget({ db, batcher }: Manage, { key, now, id, body }: Call): Promise<Answer> {
  requireWebsite(key, id)
  const who = readPerson(await body())
  const website = findWebsite(db, id)
  const pace = {
    write: <Result>(work: () => Result) => batcher.run(work),
    sleep,
  }
  const forgotten = await forgetPerson(db, { websiteRid: website.rid, id: who }, now, pace)
  return { body: { ...forgotten, note: forgetNote(website, who) } }
}

function showKeys({ db }: Manage, { key }: Call): Answer {
  const keys = listKeys(db)
    .filter((one) => isWithin(one, key))
    .map(keyJson)
  return { body: { keys, total: keys.length } }
}

async function addKey(manage: Manage, { key, now, body }: Call): Promise<Answer> {
  const { db, random } = manage
  const grant = readNewKey(await body(), now)
  requireWithin(grant, key)
  const made = await change(manage, () => {
    requireWebsites(db, grant.websites)
    return createKey(db, manage.newId(), grant, random, now)
  })
  return { status: 201, body: { key: { ...keyJson(made.key), key: made.secret } } }
}

function showKey({ db }: Manage, { key, id }: Call): Answer {
  return { body: { key: keyJson(withinGrant(db, id, key)) } }
}

async function editKey(manage: Manage, { key, now, id, body }: Call): Promise<Answer> {
  const { db } = manage
  const changes = readKeyChanges(await body(), now)
  const changed = await change(manage, () => {
    requireWithin({ ...withinGrant(db, id, key), ...changes }, key)
    requireWebsites(db, changes.websites)
    return changeKey(db, id, changes, now)
  })
  return { body: { key: keyJson(changed) } }
}

async function endKey(manage: Manage, { key, now, id }: Call): Promise<Answer> {
  await change(manage, () => revokeKey(manage.db, withinGrant(manage.db, id, key).id, now))
  return {}
}

/** The answer holds the secret: whoever could rotate a key wider than their own would get hold of it. */
async function renewKey(manage: Manage, { key, id }: Call): Promise<Answer> {
  const { db, random } = manage
  const made = await change(manage, () => rotateKey(db, withinGrant(db, id, key).id, random))
  return { body: { key: { ...keyJson(made.key), key: made.secret } } }
}

/** What was for no website, or for several, is not shown to a key that is limited to some. */
function showRefusals(manage: Manage, { key, query }: Call): Answer {
  const { websiteId, reason, limit } = readRefusalFilter(query())
  if (websiteId !== undefined) requireWebsite(key, websiteId)
  const found = manage.refusals
    .list()
    .filter((one) => key.websites === null || (one.websiteId !== null && reaches(key, one.websiteId)))
    .filter((one) => websiteId === undefined || one.websiteId === websiteId)
    .filter((one) => reason === undefined || one.reason === reason)
  return { body: { refusals: found.slice(0, limit).map(refusalJson), total: found.length } }
}

/** Of the whole server, which is no business of a key for some websites. */
async function showStatus(manage: Manage, { key, request }: Call): Promise<Answer> {
  const { db, asker, registry, running } = manage
  if (key.websites !== null) {
    throw new Refusal("key_website_mismatch", {
      detail: "the status is of the whole server, and your key is limited to some websites",
    })
  }
  const rids = registry.websites().map(({ rid }) => rid)
  return { body: await statusOf(db, running, asker, rids, request.signal) }
}

/** Events that are read between two looks at other requests: about a millisecond. */
const exportRows = 200
/** Events in a row group of a Parquet file, encoded in one go: about 10 ms. */
const exportGroupRows = 1_000
/** ms between two such steps: what came meanwhile is answered first. */
const exportPause = 1
/** Of zlib's levels the fastest: it takes the processor that ingestion may need. */
const exportGzipLevel = 1
/** Seconds after which a reader that takes nothing is cut off. */
const readerTimeout = 60
/** The same where nothing is sent until some event is found: the most that Bun takes, enough for some 80 million events. */
const searchTimeout = 255

const mediaTypes = {
  ndjson: "application/x-ndjson",
  csv: "text/csv; charset=utf-8",
  parquet: "application/vnd.apache.parquet",
}

/** All that the key reaches, as it is stored. Read while the client takes it, in steps. */
function showExport({ db }: Manage, { key, now, request, query }: Call, downloads: Downloads): Answer {
  const filter = readExportFilter(Object.fromEntries(query()))
  const { websiteId, person, format } = filter
  if (websiteId !== undefined) requireWebsite(key, websiteId)
  const website = websiteId === undefined ? undefined : findWebsite(db, websiteId)
  const steps = { rows: exportRows, groupRows: exportGroupRows, rest: () => sleep(exportPause) }
  const bytes = downloads.counted(
    website && person
      ? exportPerson(db, { website, id: person, now, sleep: whileWanted(request.signal) }, format, steps)
      : exportWanted(db, { ...filter, ...exported(db, key, website) }, format, steps),
  )
  const headers: Record<string, string> = {
    "Content-Type": mediaTypes[format],
    "Content-Disposition": `attachment; filename="databuddy.${format}"`,
    Vary: "Accept-Encoding",
  }
  // A Parquet file is compressed inside.
  const zipped = format !== "parquet" && /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "")
  if (zipped) headers["Content-Encoding"] = "gzip"
  return { file: { bytes: zipped ? gzipped(bytes, exportGzipLevel) : bytes, headers } }
}

function exported(db: Db, key: Key, website: Website | undefined): Pick<Wanted, "websites" | "ownEvents"> {
  if (website) return { websites: [website], ownEvents: false }
  const websites = listWebsites(db).filter(({ id }) => reaches(key, id))
  return { websites, ownEvents: key.websites === null }
}

function isOfPerson(request: Request): boolean {
  const query = queryOf(request)
  return query.has("profile_id") || query.has("anonymous_id")
}

/** Throws `key_not_found`, and `grant_too_wide` where the key may do more than `own`. */
function withinGrant(db: Db, id: string, own: Key): Key {
  const key = findKey(db, id)
  requireWithin(key, own)
  return key
}

/** Does `work` in a transaction; when this settles it is on disk and counts for the next request. */
async function change<Result>({ batcher, registry }: Manage, work: () => Result): Promise<Result> {
  const result = await batcher.run(work)
  try {
    registry.refresh()
  } catch {
    // What is done must not be answered as if it were not. The store looks for changes every second, and logs if it cannot.
  }
  return result
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** A sleep that rejects once the client is gone: what looks for something to send would else go on to its end. */
function whileWanted(signal: AbortSignal): typeof sleep {
  return async (ms) => {
    signal.throwIfAborted()
    await sleep(ms)
  }
}

async function reply(
  manage: Manage,
  request: Request,
  id: string,
  work: Work,
  { key, now, headers }: Admitted,
): Promise<Response> {
  const body = async () => (await readJson(request, manage.settings.maxBodyBytes, manage.uploads)).value
  const answer = await work(manage, { key, now, id, request, query: () => queryOf(request), body })
  if (answer.file) return fileAnswer(answer.file, headers)
  const text = JSON.stringify({ success: true, ...answer.body })
  return new Response(text, { status: answer.status ?? 200, headers })
}

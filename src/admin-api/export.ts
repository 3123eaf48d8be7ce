import type { RemovedEvents } from "../export/complete-events.ts"
import { type ExportSelection, exportEvents, exportPerson, gzipped } from "../export/export.ts"
import { type AuthenticatedContext, searchParamsOf } from "../http/api-handler.ts"
import type { Caller } from "../http/caller.ts"
import { canAccess, requireWebsiteAccess } from "../http/permissions.ts"
import type { Db } from "../store/db/driver.ts"
import { findWebsite, listWebsites, type Website } from "../store/websites.ts"
import type { Download, Downloads } from "./download.ts"
import { parseExportFilter } from "./input.ts"
import { abortableSleep, sleep } from "./sleep.ts"

export interface ExportDeps {
  db: Db
  /** The cluster that stores the events removed from the file. Undefined if none is configured. */
  removedEvents: RemovedEvents | undefined
}

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
export async function exportDownload(
  { db, removedEvents }: ExportDeps,
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

/** Returns the idle timeout of an export, in seconds. */
export function exportTimeout(request: Request): number {
  const query = searchParamsOf(request)
  return query.has("profile_id") || query.has("anonymous_id") ? searchTimeout : readerTimeout
}

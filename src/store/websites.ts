import { codeOf, RequestError } from "../errors.ts"
import type { Db } from "./db/driver.ts"

export const anonymizeSettings = ["off", "daily"] as const

export interface Website {
  /** The row ID used in event rows. Always greater than 0. */
  rid: number
  id: string
  /** Host in lower case and ASCII, without `www.` or a port. */
  domain: string
  name: string
  /**
   * Allowed senders besides the domain and its subdomains. An entry is a host, or an origin with a scheme other than
   * http(s), such as the origin of an app.
   */
  allowedOrigins: string[]
  anonymize: (typeof anonymizeSettings)[number]
  /** Retention of events in ms. 0: forever. Null: the server's --retain. */
  retain: number | null
  /** True if pages can identify visitors. What they send is stored as a claim. */
  pageIdentify: boolean
  /** Names of events of which fewer are better, such as errors. Changes in all other events are neutral. */
  lowerIsBetter: string[]
  /** In Unix ms, like all `…At` fields. */
  createdAt: number
  pausedAt: number | null
}

export type WebsiteSettings = Pick<Website, "domain" | "name" | "allowedOrigins" | "anonymize"> &
  Partial<Pick<Website, "retain" | "pageIdentify" | "lowerIsBetter">>

/** The rid that stands for events without a website. */
export const withoutWebsite = 0

/**
 * The place of a view, note, board or share link: the rid of a website, `withoutWebsite` for events without a website,
 * or null for all websites.
 */
export type WebsitePlace = number | null

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export function isUuid(id: string): boolean {
  return uuid.test(id)
}

/** Returns the canonical form of a website ID. UUIDs are case-insensitive. Other IDs are case-sensitive. */
export function canonicalWebsiteId(id: string): string {
  return isUuid(id) ? id.toLowerCase() : id
}

/**
 * Converts an address such as `https://www.Example.com:8080/x` to a host such as `example.com`. Returns undefined if
 * there is no host. `www.com` keeps its `www.`, because the result would otherwise be all of .com.
 */
export function hostOf(address: string): string | undefined {
  const url = URL.parse(address.includes("://") ? address : `http://${address}`)
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password) return undefined
  return url.hostname.replace(/\.$/, "").replace(/^www\.(?=.*\.)/, "") || undefined
}

/**
 * Matches `scheme://host`, as sent by apps and extensions. The host can be empty, as in `file://`. Addresses with a
 * path or a user name do not match.
 */
const appOrigin = /^([a-z][a-z0-9+.-]{0,31}):\/\/([a-z0-9._~:[\]-]{0,255})\/?$/i

/**
 * Converts an origin such as `Capacitor://localhost/` to `capacitor://localhost`. Returns undefined if the address is
 * not an origin or has the scheme http(s).
 */
export function appOriginOf(address: string): string | undefined {
  const match = appOrigin.exec(address)
  if (!match || /^https?$/i.test(match[1] as string)) return undefined
  return `${match[1]}://${match[2]}`.toLowerCase()
}

/**
 * Returns the stored form of an allowed origin, which is a host or the origin of an app. Returns undefined if the
 * address is neither.
 */
export function allowedOriginOf(address: string): string | undefined {
  return appOriginOf(address) ?? hostOf(address)
}

/** Returns true for a loopback host. No page from another machine can have such a host in its Origin header. */
export function isLoopback(host: string): boolean {
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    host === "[::1]" ||
    /^127(?:\.\d{1,3}){3}$/.test(host)
  )
}

const columns = `rid, id, domain, name, allowed_origins, anonymize, retain_ms, page_identify, lower_is_better, created_at, paused_at`

const sql = {
  list: `select ${columns} from websites where deleted_at is null order by created_at, rid`,
  ids: "select rid, id from websites",
  find: `select ${columns} from websites where id = :id and deleted_at is null`,
  insert: `
    insert into websites (id, domain, name, allowed_origins, anonymize, retain_ms, page_identify, lower_is_better, created_at)
    values (:id, :domain, :name, :allowedOrigins, :anonymize, :retain, :pageIdentify, :lowerIsBetter, :now)`,
  update: `
    update websites
    set domain = :domain, name = :name, allowed_origins = :allowedOrigins, anonymize = :anonymize,
      retain_ms = :retain, page_identify = :pageIdentify, lower_is_better = :lowerIsBetter
    where id = :id and deleted_at is null`,
  pause: "update websites set paused_at = coalesce(paused_at, :now) where id = :id and deleted_at is null",
  resume: "update websites set paused_at = null where id = :id and deleted_at is null",
  remove: "update websites set deleted_at = :now where id = :id and deleted_at is null",
}

interface WebsiteRow {
  rid: number
  id: string
  domain: string
  name: string
  allowed_origins: string
  anonymize: Website["anonymize"]
  retain_ms: number | null
  page_identify: 0 | 1
  lower_is_better: string
  created_at: number
  paused_at: number | null
}

function fromRow(row: WebsiteRow): Website {
  return {
    rid: row.rid,
    id: row.id,
    domain: row.domain,
    name: row.name,
    allowedOrigins: JSON.parse(row.allowed_origins),
    anonymize: row.anonymize,
    retain: row.retain_ms,
    pageIdentify: row.page_identify === 1,
    lowerIsBetter: JSON.parse(row.lower_is_better),
    createdAt: row.created_at,
    pausedAt: row.paused_at,
  }
}

export function listWebsites(db: Db): Website[] {
  return (db.prepare(sql.list).all() as WebsiteRow[]).map(fromRow)
}

/**
 * Returns a map from rids to the IDs of all websites, including those whose events are being deleted. Also maps
 * `withoutWebsite` to ''.
 */
export function websiteIds(db: Db): Map<number, string> {
  return new Map([[withoutWebsite, ""], ...(db.prepare(sql.ids).raw().all() as [number, string][])])
}

/** Returns a website. Throws `website_unknown` if it does not exist. */
export function findWebsite(db: Db, id: string): Website {
  const row = db.prepare(sql.find).get({ id: canonicalWebsiteId(id) }) as WebsiteRow | undefined
  if (!row) throw unknownWebsite(id)
  return fromRow(row)
}

/** Creates a website. Throws `conflict` if the ID is in use. */
export function createWebsite(db: Db, id: string, settings: WebsiteSettings, now: number): Website {
  const canonical = canonicalWebsiteId(id)
  try {
    db.prepare(sql.insert).run({
      ...settings,
      id: canonical,
      retain: settings.retain ?? null,
      pageIdentify: (settings.pageIdentify ?? true) ? 1 : 0,
      allowedOrigins: JSON.stringify(settings.allowedOrigins),
      lowerIsBetter: JSON.stringify(settings.lowerIsBetter ?? []),
      now,
    })
  } catch (error) {
    if (codeOf(error) !== "SQLITE_CONSTRAINT_UNIQUE") throw error
    throw new RequestError("conflict", { detail: `a website with the ID ${canonical} already exists` })
  }
  return findWebsite(db, canonical)
}

/** Changes a website and returns it. Throws `website_unknown` if it does not exist. */
export function updateWebsite(db: Db, id: string, changes: Partial<WebsiteSettings>): Website {
  const settings = { ...findWebsite(db, id), ...changes }
  db.prepare(sql.update).run({
    id: settings.id,
    domain: settings.domain,
    name: settings.name,
    allowedOrigins: JSON.stringify(settings.allowedOrigins),
    anonymize: settings.anonymize,
    retain: settings.retain,
    pageIdentify: settings.pageIdentify ? 1 : 0,
    lowerIsBetter: JSON.stringify(settings.lowerIsBetter),
  })
  return findWebsite(db, id)
}

/**
 * Pauses or resumes a website. Events for a paused website are rejected as if the website did not exist, and stored
 * events are kept. Throws `website_unknown`.
 */
export function pauseWebsite(db: Db, id: string, paused: boolean, now: number): Website {
  if (paused) db.prepare(sql.pause).run({ id: canonicalWebsiteId(id), now })
  else db.prepare(sql.resume).run({ id: canonicalWebsiteId(id) })
  return findWebsite(db, id)
}

/**
 * Marks a website as deleted, so that nobody can use it any more. `sweepDeleted` deletes its events later. Throws
 * `website_unknown`.
 */
export function deleteWebsite(db: Db, id: string, now: number): void {
  const { changes } = db.prepare(sql.remove).run({ id: canonicalWebsiteId(id), now })
  if (changes === 0) throw unknownWebsite(id)
}

function unknownWebsite(id: string): RequestError {
  return new RequestError("website_unknown", { detail: `no website has the ID ${id}` })
}

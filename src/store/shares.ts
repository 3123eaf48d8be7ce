import type { Random } from "../environment.ts"
import { RequestError } from "../errors.ts"
import type { Db } from "./db/driver.ts"
import { type Overlap, overlapEnd } from "./rotation.ts"
import { hashToken, newToken } from "./tokens.ts"
import type { WebsitePlace } from "./websites.ts"

/** A share link, which gives anyone who has the link read-only access to one website or one board. */
export interface Share {
  id: string
  /** The website that the link shows. Null: all websites, which only a board can show. */
  place: WebsitePlace
  websiteId: string | null
  name: string
  /** Where the link leads: the part of the address after the website, including the query string. */
  path: string
  /** The only page that the link opens, such as `web`, or `boards` for a board. Null: all reports of the website. */
  page: string | null
  /** ID and name of the only board that the link opens. Null: not limited to a board. */
  boardId: string | null
  boardName: string | null
  /** False if the link shows a board that the creator of the link can no longer share. */
  isActive: boolean
  /** Origins whose pages can embed the link, as sources of `frame-ancestors`. */
  embedHosts: string[]
  /** In Unix ms, like all `…At` fields. */
  createdAt: number
  /** Null: never. */
  expiresAt: number | null
  lastUsedAt: number | null
  /** When the token before the last rotation stops working. Null if there is none. */
  previousExpiresAt: number | null
}

export type ShareSettings = Pick<Share, "name" | "path" | "page" | "embedHosts" | "expiresAt">

export interface NewShare extends ShareSettings {
  /** The board that the link is limited to, and the ID of the user or key that shares it. */
  board?: { id: string; createdBy: string } | undefined
}

/** Maximum number of share links per website. One response lists them all. */
export const maxShares = 1_000
/** Minimum time between updates of `lastUsedAt`, in ms. */
const useInterval = 60_000

/** Stored as `website_rid` for a link to a board that covers all websites, because the column cannot be null. */
const allWebsites = 0

/**
 * SQL condition that is false if the link shows a board that the creator of the link can no longer share. The board
 * might show more data than when it was shared, so the link must stop working when its creator loses the permissions
 * that are required to share the board.
 */
const isActive = `(
  s.board_id is null
  or exists (select 1 from users where id = s.created_by and role = 'owner')
  or exists (
    select 1 from keys
    where
      id = s.created_by and revoked_at is null and disabled_at is null
      and (expires_at is null or s.expires_at <= expires_at)
      and (select count(*) from json_each(scopes) where value in ('read:data', 'manage:users')) = 2
      and (websites is null or exists (select 1 from json_each(websites) where value = w.id))
  )
)`
const columns = `
  s.id, nullif(s.website_rid, ${allWebsites}) as place, w.id as websiteId, s.name, s.path, s.page, s.board_id as boardId,
  b.name as boardName, ${isActive} as isActive, s.embed_hosts as embedHosts, s.created_at as createdAt,
  s.expires_at as expiresAt, s.last_used_at as lastUsedAt, s.previous_expires_at as previousExpiresAt`
const from = `
  from shares as s
  left join websites as w on w.rid = s.website_rid
  left join boards as b on b.id = s.board_id`

const sql = {
  list: `select ${columns} ${from} order by s.created_at, s.id`,
  find: `select ${columns} ${from} where s.id = :id`,
  withHash: `
    select ${columns} ${from}
    where
      (s.hash = :hash or (s.previous_hash = :hash and s.previous_expires_at > :now))
      and (s.expires_at is null or s.expires_at > :now)
      and ((w.rid is not null and w.deleted_at is null) or (s.website_rid = ${allWebsites} and b.id is not null))
      and ${isActive}`,
  count: "select count(*) from shares where website_rid = :rid",
  insert: `
    insert into shares (
      id, website_rid, name, path, page, board_id, created_by, embed_hosts, hash, created_at, expires_at
    )
    values (:id, :rid, :name, :path, :page, :boardId, :createdBy, :embedHosts, :hash, :now, :expiresAt)`,
  update: "update shares set name = :name, embed_hosts = :embedHosts where id = :id",
  rotate: `
    update shares
    set hash = :hash, previous_hash = iif(:end is null, null, hash), previous_expires_at = :end
    where id = :id`,
  endOverlap: "update shares set previous_hash = null, previous_expires_at = null where id = :id",
  used: `
    update shares set last_used_at = :now
    where id = :id and (last_used_at is null or last_used_at <= :now - ${useInterval})`,
  remove: "delete from shares where id = :id",
}

type ShareRow = Omit<Share, "embedHosts" | "isActive"> & { embedHosts: string; isActive: number }

function fromRow(row: ShareRow): Share {
  return { ...row, embedHosts: JSON.parse(row.embedHosts), isActive: row.isActive === 1 }
}

/** Lists all links in order of creation, including expired ones. */
export function listShares(db: Db): Share[] {
  return (db.prepare(sql.list).all() as ShareRow[]).map(fromRow)
}

/** Returns a share link. Throws `share_unknown` if it does not exist. */
export function findShare(db: Db, id: string): Share {
  const row = db.prepare(sql.find).get({ id }) as ShareRow | undefined
  if (!row) throw new RequestError("share_unknown", { detail: `no share link has the ID ${id}` })
  return fromRow(row)
}

/**
 * Returns the link with this token. Returns undefined if the link has expired at `now` (Unix ms), was deleted, never
 * existed, or is not active.
 */
export function shareWithToken(db: Db, token: string, now: number): Share | undefined {
  const row = db.prepare(sql.withHash).get({ hash: hashToken(token), now }) as ShareRow | undefined
  return row && fromRow(row)
}

/**
 * Creates a link and returns its token, which is not stored. Throws `conflict` if its place (a website, events without
 * a website, or all websites) already has the maximum number of links.
 */
export function createShare(
  db: Db,
  id: string,
  place: WebsitePlace,
  { embedHosts, board, ...share }: NewShare,
  random: Random,
  now: number,
): { share: Share; token: string } {
  const rid = place ?? allWebsites
  if ((db.prepare(sql.count).pluck().get({ rid }) as number) >= maxShares) {
    const detail = `the website already has ${maxShares} share links: delete some first`
    throw new RequestError("conflict", { detail })
  }
  const token = newToken(random)
  db.prepare(sql.insert).run({
    ...share,
    embedHosts: JSON.stringify(embedHosts),
    id,
    rid,
    boardId: board?.id ?? null,
    createdBy: board?.createdBy ?? null,
    hash: hashToken(token),
    now,
  })
  return { share: findShare(db, id), token }
}

/** Changes a share link and returns it. Throws `share_unknown` if it does not exist. */
export function updateShare(db: Db, id: string, changes: Partial<Pick<Share, "name" | "embedHosts">>): Share {
  const { name, embedHosts } = { ...findShare(db, id), ...changes }
  db.prepare(sql.update).run({ id, name, embedHosts: JSON.stringify(embedHosts) })
  return findShare(db, id)
}

/**
 * Replaces the token of a link. The current token works until the end of the overlap, and any earlier token stops
 * working immediately. Throws `share_unknown`, or `conflict` for an expired link.
 */
export function rotateShare(
  db: Db,
  id: string,
  overlap: Overlap,
  random: Random,
  now: number,
): { share: Share; token: string } {
  const { expiresAt } = findShare(db, id)
  if (expiresAt !== null && expiresAt <= now) {
    throw new RequestError("conflict", { detail: `the share link ${id} has expired; create a new one` })
  }
  const token = newToken(random)
  db.prepare(sql.rotate).run({ id, hash: hashToken(token), end: overlapEnd(overlap, now) })
  return { share: findShare(db, id), token }
}

/** Expires the previous token of a rotated link immediately. Throws `share_unknown`. */
export function endShareOverlap(db: Db, id: string): Share {
  db.prepare(sql.endOverlap).run({ id })
  return findShare(db, id)
}

/** Returns true if `lastUsedAt` is so recent that it does not need an update. */
export function isUseRecorded({ lastUsedAt }: Share, now: number): boolean {
  return lastUsedAt !== null && now - lastUsedAt < useInterval
}

export function recordShareUse(db: Db, { id }: Share, now: number): void {
  db.prepare(sql.used).run({ id, now })
}

/** Revokes a link immediately. Throws `share_unknown`. */
export function deleteShare(db: Db, id: string): void {
  db.prepare(sql.remove).run({ id: findShare(db, id).id })
}

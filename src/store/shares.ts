import type { Random } from "../environment.ts"
import { RequestError } from "../errors.ts"
import type { Db } from "./db/driver.ts"
import { hashToken, newToken } from "./tokens.ts"

/** A share link: read-only access to one website for anyone with the link. */
export interface Share {
  id: string
  websiteId: string
  name: string
  /** The page it opens: the part of the address after the website, with its query. */
  path: string
  /** Unix ms, like every `…At`. */
  createdAt: number
  /** null: never. */
  expiresAt: number | null
  lastUsedAt: number | null
}

/** Share links per website: one response lists them all. */
export const maxShares = 1_000
/** Minimum ms between two updates of `lastUsedAt`. */
const useInterval = 60_000

const columns = `
  s.id, w.id as websiteId, s.name, s.path, s.created_at as createdAt, s.expires_at as expiresAt,
  s.last_used_at as lastUsedAt`
const from = "from shares as s join websites as w on w.rid = s.website_rid"

const sql = {
  list: `select ${columns} ${from} order by s.created_at, s.id`,
  find: `select ${columns} ${from} where s.id = :id`,
  withHash: `
    select ${columns} ${from}
    where s.hash = :hash and (s.expires_at is null or s.expires_at > :now) and w.deleted_at is null`,
  count: "select count(*) from shares where website_rid = :rid",
  insert: `
    insert into shares (id, website_rid, name, path, hash, created_at, expires_at)
    values (:id, :rid, :name, :path, :hash, :now, :expiresAt)`,
  used: `
    update shares set last_used_at = :now
    where id = :id and (last_used_at is null or last_used_at <= :now - ${useInterval})`,
  remove: "delete from shares where id = :id",
}

/** Lists all links in order of creation, expired ones included. */
export function listShares(db: Db): Share[] {
  return db.prepare(sql.list).all() as Share[]
}

/** Throws `share_unknown`. */
export function findShare(db: Db, id: string): Share {
  const share = db.prepare(sql.find).get({ id }) as Share | undefined
  if (!share) throw new RequestError("share_unknown", { detail: `no share link has the id ${id}` })
  return share
}

/** Finds a valid link. Undefined if it is expired at `now` (Unix ms), deleted or unknown. */
export function shareWithToken(db: Db, token: string, now: number): Share | undefined {
  return db.prepare(sql.withHash).get({ hash: hashToken(token), now }) as Share | undefined
}

/** Creates a link and returns its token, which is not stored. Throws `conflict` if the website has the maximum number of links. */
export function createShare(
  db: Db,
  id: string,
  rid: number,
  share: Pick<Share, "name" | "path" | "expiresAt">,
  random: Random,
  now: number,
): { share: Share; token: string } {
  if ((db.prepare(sql.count).pluck().get({ rid }) as number) >= maxShares) {
    const detail = `the website already has ${maxShares} share links: delete some first`
    throw new RequestError("conflict", { detail })
  }
  const token = newToken(random)
  db.prepare(sql.insert).run({ ...share, id, rid, hash: hashToken(token), now })
  return { share: findShare(db, id), token }
}

/** True if `lastUsedAt` is recent enough that no update is needed. */
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

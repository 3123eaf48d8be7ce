import type { Random } from "../environment.ts"
import type { Db } from "./db/driver.ts"
import { hashToken, newToken } from "./tokens.ts"
import { type User, type UserRow, userFromRow } from "./users.ts"

/** A login session expires after this many ms without a request (30 days). */
export const loginSessionLifetime = 2_592_000_000
/** Minimum time between updates of `seenAt`, in ms. */
const seenInterval = 3_600_000

/** A user's login in one browser. */
export interface LoginSession {
  user: User
  token: string
  /** SHA-256 of the token. */
  hash: Buffer
  /** In Unix ms. */
  seenAt: number
}

const sql = {
  find: `
    select u.id, u.email, u.role, u.websites, u.sections, u.created_at, u.last_login_at, s.seen_at
    from sessions as s
    join users as u on u.id = s.user_id
    where s.hash = :hash and s.expires_at > :now`,
  insert: `
    insert into sessions (hash, user_id, created_at, seen_at, expires_at)
    values (:hash, :userId, :now, :now, :expiresAt)`,
  seen: "update sessions set seen_at = :now, expires_at = :expiresAt where hash = :hash",
  end: "delete from sessions where hash = :hash",
  endAll: "delete from sessions where user_id = :userId",
  endOthers: "delete from sessions where user_id = :userId and hash <> :hash",
  sweep: "delete from sessions where expires_at <= :now",
}

/**
 * Returns the active login session with this token, including the current data of its user, or undefined if there is
 * none.
 */
export function findLoginSession(db: Db, token: string, now: number): LoginSession | undefined {
  const hash = hashToken(token)
  const row = db.prepare(sql.find).get({ hash, now }) as (UserRow & { seen_at: number }) | undefined
  return row && { user: userFromRow(row), token, hash, seenAt: row.seen_at }
}

/** Creates a login session and returns its token, which is not stored. */
export function createLoginSession(db: Db, userId: string, random: Random, now: number): string {
  const token = newToken(random)
  db.prepare(sql.insert).run({ hash: hashToken(token), userId, now, expiresAt: now + loginSessionLifetime })
  return token
}

/** Returns true if `seenAt` is due for an update. */
export function isRenewalDue({ seenAt }: LoginSession, now: number): boolean {
  return now - seenAt >= seenInterval
}

/** Extends a login session to its full lifetime, starting at `now` (Unix ms). */
export function renewLoginSession(db: Db, { hash }: LoginSession, now: number): void {
  db.prepare(sql.seen).run({ hash, now, expiresAt: now + loginSessionLifetime })
}

/** Ends the login session with this token, which logs out one browser. */
export function endLoginSession(db: Db, token: string): void {
  db.prepare(sql.end).run({ hash: hashToken(token) })
}

/** Ends all login sessions of a user except `keep`. */
export function endLoginSessions(db: Db, userId: string, keep?: LoginSession): void {
  if (keep) db.prepare(sql.endOthers).run({ userId, hash: keep.hash })
  else db.prepare(sql.endAll).run({ userId })
}

/** Deletes expired login sessions. `now` is in Unix ms. */
export function sweepLoginSessions(db: Db, now: number): void {
  db.prepare(sql.sweep).run({ now })
}

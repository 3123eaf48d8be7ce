import type { Random } from "../environment.ts"
import type { Db } from "./db/driver.ts"
import { hashToken, newToken } from "./tokens.ts"
import { type User, type UserRow, userFromRow } from "./users.ts"

/** ms without a request after which a login ends: 30 days. */
export const loginSessionLifetime = 2_592_000_000
/** ms between two notes that a login is in use. */
const seenInterval = 3_600_000

/** Somebody who is logged in, with one browser. */
export interface LoginSession {
  user: User
  token: string
  /** SHA-256 of the token. */
  hash: Buffer
  /** Unix ms */
  seenAt: number
}

const sql = {
  find: `
    select u.id, u.email, u.role, u.websites, u.created_at, u.last_login_at, s.seen_at
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

/** Undefined where the login has ended, or never was. The user is as the row is now. */
export function findLoginSession(db: Db, token: string, now: number): LoginSession | undefined {
  const hash = hashToken(token)
  const row = db.prepare(sql.find).get({ hash, now }) as (UserRow & { seen_at: number }) | undefined
  return row && { user: userFromRow(row), token, hash, seenAt: row.seen_at }
}

/** Gives the token, which is kept nowhere. */
export function createLoginSession(db: Db, userId: string, random: Random, now: number): string {
  const token = newToken(random)
  db.prepare(sql.insert).run({ hash: hashToken(token), userId, now, expiresAt: now + loginSessionLifetime })
  return token
}

/** True where it is time to note that a login is in use. */
export function isRenewalDue({ seenAt }: LoginSession, now: number): boolean {
  return now - seenAt >= seenInterval
}

/** It goes on for its whole lifetime from now on. */
export function renewLoginSession(db: Db, { hash }: LoginSession, now: number): void {
  db.prepare(sql.seen).run({ hash, now, expiresAt: now + loginSessionLifetime })
}

export function endLoginSession(db: Db, token: string): void {
  db.prepare(sql.end).run({ hash: hashToken(token) })
}

/** All of a user's, but for one that may stay. */
export function endLoginSessions(db: Db, userId: string, stays?: LoginSession): void {
  if (stays) db.prepare(sql.endOthers).run({ userId, hash: stays.hash })
  else db.prepare(sql.endAll).run({ userId })
}

export function sweepLoginSessions(db: Db, now: number): void {
  db.prepare(sql.sweep).run({ now })
}

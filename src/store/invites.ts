import type { Random } from "../environment.ts"
import { RequestError } from "../errors.ts"
import type { Db } from "./db/driver.ts"
import { hashToken, newToken } from "./tokens.ts"
import { hasOwner, type User, type UserRow, userFromRow } from "./users.ts"

/** Purposes of one-time links: creating the first owner, accepting an invitation, or resetting a password. */
export const purposes = ["setup", "invite", "reset"] as const
export type Purpose = (typeof purposes)[number]

const dayMs = 86_400_000
/** How long a link is valid, in ms. A reset link expires after only one day, because the user is waiting for it. */
const lifetimes: Record<Purpose, number> = { setup: 7 * dayMs, invite: 7 * dayMs, reset: dayMs }

export interface Invite {
  purpose: Purpose
  /** The user who will set a password. Null for the first owner, who does not exist yet. */
  user: User | null
  /** In Unix ms. */
  expiresAt: number
}

/** A new link and its token, which is not stored. */
export interface NewInvite extends Omit<Invite, "user"> {
  token: string
}

const sql = {
  find: `
    select u.id, u.email, u.role, u.websites, u.sections, u.created_at, u.last_login_at, i.purpose, i.expires_at
    from invites as i
    left join users as u on u.id = i.user_id
    where i.hash = :hash and i.expires_at > :now and (u.id is not null or i.purpose = 'setup')`,
  insert: `
    insert into invites (hash, purpose, user_id, created_at, expires_at)
    values (:hash, :purpose, :userId, :now, :expiresAt)`,
  remove: "delete from invites where user_id is :userId",
  sweep: "delete from invites where expires_at <= :now",
}

interface InviteRow extends UserRow {
  purpose: Purpose
  expires_at: number
}

/**
 * Creates a link for a user, or for the first owner if `userId` is null. Earlier links of the same user stop working.
 */
export function createInvite(
  db: Db,
  purpose: Purpose,
  userId: string | null,
  random: Random,
  now: number,
): NewInvite {
  const token = newToken(random)
  const expiresAt = now + lifetimes[purpose]
  removeInvites(db, userId)
  db.prepare(sql.insert).run({ hash: hashToken(token), purpose, userId, now, expiresAt })
  return { purpose, token, expiresAt }
}

/**
 * Returns the link with this token. Throws `invite_unknown` if it does not exist or has expired, or if it is a setup
 * link and there is already an owner.
 */
export function findInvite(db: Db, token: string, now: number): Invite {
  const row = db.prepare(sql.find).get({ hash: hashToken(token), now }) as InviteRow | undefined
  if (!row || (row.purpose === "setup" && hasOwner(db))) throw new RequestError("invite_unknown")
  const { purpose, expires_at: expiresAt } = row
  return { purpose, user: purpose === "setup" ? null : userFromRow(row), expiresAt }
}

/** Returns true if `findInvite` would find the link. */
export function isInviteValid(db: Db, token: string, now: number): boolean {
  try {
    return findInvite(db, token, now) !== undefined
  } catch (error) {
    if (error instanceof RequestError) return false
    throw error
  }
}

/** Deletes all links of a user, or the setup link if `userId` is null. */
export function removeInvites(db: Db, userId: string | null): void {
  db.prepare(sql.remove).run({ userId })
}

/** Deletes expired links. `now` is in Unix ms. */
export function sweepInvites(db: Db, now: number): void {
  db.prepare(sql.sweep).run({ now })
}

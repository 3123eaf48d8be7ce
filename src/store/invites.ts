import type { Random } from "../environment.ts"
import { RequestError } from "../errors.ts"
import type { Db } from "./db/driver.ts"
import { hashToken, newToken } from "./tokens.ts"
import { hasOwner, type User, type UserRow, userFromRow } from "./users.ts"

/** What a one-time link is for: the first owner, somebody who was invited, or somebody who forgot a password. */
export const purposes = ["setup", "invite", "reset"] as const
export type Purpose = (typeof purposes)[number]

const dayMs = 86_400_000
/** ms that a link works. A reset is asked for by somebody who waits for it. */
const lifetimes: Record<Purpose, number> = { setup: 7 * dayMs, invite: 7 * dayMs, reset: dayMs }

export interface Invite {
  purpose: Purpose
  /** Whose password it is that is chosen; null: of the first owner, who is yet to be made. */
  user: User | null
  /** Unix ms */
  expiresAt: number
}

/** A link at the one moment when its token is known. */
export interface NewInvite extends Omit<Invite, "user"> {
  token: string
}

const sql = {
  find: `
    select u.id, u.email, u.role, u.websites, u.created_at, u.last_login_at, i.purpose, i.expires_at
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

/** Of the first owner (`userId` null) or of a user. The one before stops working. */
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

/** Throws `invite_unknown`, also for a first owner where there is one by now. */
export function findInvite(db: Db, token: string, now: number): Invite {
  const row = db.prepare(sql.find).get({ hash: hashToken(token), now }) as InviteRow | undefined
  if (!row || (row.purpose === "setup" && hasOwner(db))) throw new RequestError("invite_unknown")
  const { purpose, expires_at: expiresAt } = row
  return { purpose, user: purpose === "setup" ? null : userFromRow(row), expiresAt }
}

/** None of a user's links works any more, or none for the first owner (null). */
export function removeInvites(db: Db, userId: string | null): void {
  db.prepare(sql.remove).run({ userId })
}

export function sweepInvites(db: Db, now: number): void {
  db.prepare(sql.sweep).run({ now })
}

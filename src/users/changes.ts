import { RequestError } from "../errors.ts"
import { requireExistingWebsites } from "../http/permissions.ts"
import type { Db } from "../store/db/driver.ts"
import { removeInvites } from "../store/invites.ts"
import { endLoginSessions, type LoginSession } from "../store/login-sessions.ts"
import {
  createUser,
  findUser,
  hasOwner,
  setPassword,
  type User,
  type UserSettings,
  updateUser,
} from "../store/users.ts"
import { rejectOwnerLimits, type UserChanges } from "./input.ts"

/** Creates a user inside the caller's transaction. `password` is a hash, or null until the user chooses a password. */
export function addUser(
  db: Db,
  id: string,
  settings: UserSettings,
  password: string | null,
  now: number,
): User {
  requireExistingWebsites(db, settings.websites)
  const user = createUser(db, id, settings, password, now)
  // Deletes the setup link, which must not work once there is an owner.
  if (user.role === "owner") removeInvites(db, null)
  return user
}

/**
 * Changes a user inside the caller's transaction. Also ends the user's login sessions, because open dashboard pages
 * still show the old permissions.
 */
export function changeUser(db: Db, id: string, changes: UserChanges): User {
  const next = { ...findUser(db, id), ...changes }
  rejectOwnerLimits({ ...changes, role: next.role })
  if (next.role !== "owner") requireOtherOwner(db, id)
  requireExistingWebsites(db, changes.websites)
  endLoginSessions(db, id)
  if (next.role === "owner") return updateUser(db, id, { role: "owner", websites: null, sections: null })
  return updateUser(db, id, { role: next.role, websites: next.websites, sections: next.sections })
}

/**
 * Sets the password hash inside the caller's transaction. Also removes the user's one-time links, and ends all login
 * sessions except `keep`.
 */
export function changePassword(db: Db, id: string, password: string, keep?: LoginSession): void {
  setPassword(db, id, password)
  removeInvites(db, id)
  endLoginSessions(db, id, keep)
}

/** Throws `conflict` if the user is the only owner who can log in, or `user_not_found` if the user does not exist. */
export function requireOtherOwner(db: Db, id: string): void {
  const { email, role } = findUser(db, id)
  if (role !== "owner" || hasOwner(db, id)) return
  throw new RequestError("conflict", {
    detail: `${email} is the last owner who can log in; make another user an owner first`,
  })
}

import { RequestError } from "../errors.ts"
import { requireExistingWebsites } from "../http/permissions.ts"
import { invalidShape, SchemaCheck, validate } from "../http/validation.ts"
import { iso, isoOrNull } from "../iso.ts"
import type { Db } from "../store/db/driver.ts"
import { type Invite, type NewInvite, removeInvites } from "../store/invites.ts"
import { endLoginSessions, type LoginSession } from "../store/login-sessions.ts"
import type { Share } from "../store/shares.ts"
import {
  createUser,
  findUser,
  hasOwner,
  setPassword,
  type User,
  type UserSettings,
  updateUser,
} from "../store/users.ts"
import { canonicalWebsiteId } from "../store/websites.ts"
import { isCommonPassword } from "./common-passwords.ts"
import {
  acceptanceSchema,
  type InviteJson,
  type LinkJson,
  loginSchema,
  type NewInviteJson,
  newUserSchema,
  passwordChangeSchema,
  passwordSchema,
  type UserJson,
  userChangesSchema,
} from "./schema.ts"

// Validates input about users from HTTP and the command line. Each function accepts any value, and throws
// `invalid_shape` with a list of all invalid fields.

export type UserChanges = Partial<Pick<User, "role" | "websites" | "sections">>

const checkLogin = new SchemaCheck(loginSchema)
const checkAcceptance = new SchemaCheck(acceptanceSchema)
const checkPasswordChange = new SchemaCheck(passwordChangeSchema)
const checkPassword = new SchemaCheck(passwordSchema)
const checkNewUser = new SchemaCheck(newUserSchema)
const checkUserChanges = new SchemaCheck(userChangesSchema)

export function parseLogin(value: unknown): { email: string; password: string } {
  const { email, password } = validate(checkLogin, value)
  return { email: email.toLowerCase(), password }
}

/** Returns the new password, and the email of the invited user or, for the first owner, the email in the request. */
export function parseAcceptance(value: unknown, { user }: Invite): { email: string; password: string } {
  const { email, password } = validate(checkAcceptance, value)
  rejectCommon(password)
  if (user && email !== undefined) {
    throw invalidShape([{ field: "email", message: `cannot be set: this link is for ${user.email}` }])
  }
  const known = user?.email ?? email?.toLowerCase()
  if (known !== undefined) return { email: known, password }
  throw invalidShape([{ field: "email", message: loginSchema.properties.email.expected }])
}

export function parsePasswordChange(value: unknown): { current: string; password: string } {
  const input = validate(checkPasswordChange, value)
  rejectCommon(input.password)
  return input
}

/** Validates a new password and returns it. */
export function parsePassword(password: unknown): string {
  const { password: valid } = validate(checkPassword, { password })
  rejectCommon(valid)
  return valid
}

/** Throws `invalid_shape` for a password that attackers would try first. */
function rejectCommon(password: string): void {
  if (!isCommonPassword(password)) return
  throw invalidShape([
    {
      field: "password",
      message: "is among the most common passwords: choose a different one, for example four random words",
    },
  ])
}

export function parseNewUser(value: unknown): UserSettings {
  const { email, role, websites = null, sections = null } = validate(checkNewUser, value)
  rejectOwnerLimits({ role, websites, sections })
  return {
    email: email.toLowerCase(),
    role,
    websites: canonicalIds(websites),
    sections: sections && [...new Set(sections)],
  }
}

export function parseUserChanges(value: unknown): UserChanges {
  const { role, websites, sections } = validate(checkUserChanges, value)
  rejectOwnerLimits({ role, websites, sections })
  return {
    ...(role && { role }),
    ...(websites !== undefined && { websites: canonicalIds(websites) }),
    ...(sections !== undefined && { sections: sections && [...new Set(sections)] }),
  }
}

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
  // Setup links stop working once there is an owner.
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

/** A share link as shown to its visitors. */
export function linkJson({ name, websiteId, path, page, boardId, expiresAt }: Share): LinkJson {
  return { name, websiteId, path, page, boardId, expiresAt: isoOrNull(expiresAt) }
}

export function userJson(user: User): UserJson {
  return { ...user, createdAt: iso(user.createdAt), lastLoginAt: isoOrNull(user.lastLoginAt) }
}

export function inviteJson({ purpose, user, expiresAt }: Invite): InviteJson {
  return { purpose, email: user?.email ?? null, role: user?.role ?? "owner", expiresAt: iso(expiresAt) }
}

export function newInviteJson({ token, expiresAt }: NewInvite): NewInviteJson {
  return { path: `/invite/${token}`, expiresAt: iso(expiresAt) }
}

function canonicalIds(websites: readonly string[] | null): string[] | null {
  return websites && [...new Set(websites.map(canonicalWebsiteId))]
}

/** Throws `invalid_shape` for an owner with limited access. */
function rejectOwnerLimits({
  role,
  websites,
  sections,
}: {
  [field in keyof UserChanges]: UserChanges[field] | undefined
}): void {
  if (role !== "owner") return
  const errors = [
    ...(websites
      ? [{ field: "websites", message: "must be null for an owner, who can see all websites" }]
      : []),
    ...(sections
      ? [{ field: "sections", message: "must be null for an owner, who can see all sections" }]
      : []),
  ]
  if (errors.length > 0) throw invalidShape(errors)
}

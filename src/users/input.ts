import { TypeCompiler } from "@sinclair/typebox/compiler"
import { RequestError } from "../errors.ts"
import { requireWebsites } from "../http/permissions.ts"
import { checked, invalid } from "../http/validation.ts"
import { iso, isoOrNull } from "../iso.ts"
import type { Db } from "../store/db/driver.ts"
import { type Invite, type NewInvite, removeInvites } from "../store/invites.ts"
import { endSessions, type Login } from "../store/login-sessions.ts"
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

// What HTTP and the command line ask of people is checked here and nowhere else. Every reader takes a value that may be
// anything, and throws `invalid_shape` with each bad field named.

export type UserChanges = Partial<Pick<User, "role" | "websites">>

const checkLogin = TypeCompiler.Compile(loginSchema)
const checkAcceptance = TypeCompiler.Compile(acceptanceSchema)
const checkPasswordChange = TypeCompiler.Compile(passwordChangeSchema)
const checkPassword = TypeCompiler.Compile(passwordSchema)
const checkNewUser = TypeCompiler.Compile(newUserSchema)
const checkUserChanges = TypeCompiler.Compile(userChangesSchema)

export function readLogin(value: unknown): { email: string; password: string } {
  const { email, password } = checked(checkLogin, value)
  return { email: email.toLowerCase(), password }
}

/** `email` is that of the user whom the link is for, or what the first owner gives. */
export function readAcceptance(value: unknown, { user }: Invite): { email: string; password: string } {
  const { email, password } = checked(checkAcceptance, value)
  if (user && email !== undefined) {
    throw invalid([{ field: "email", message: `is not taken: this link is for ${user.email}` }])
  }
  const known = user?.email ?? email?.toLowerCase()
  if (known !== undefined) return { email: known, password }
  throw invalid([{ field: "email", message: loginSchema.properties.email.expected }])
}

export function readPasswordChange(value: unknown): { current: string; password: string } {
  return checked(checkPasswordChange, value)
}

/** One that is chosen. */
export function readPassword(password: unknown): string {
  return checked(checkPassword, { password }).password
}

export function readNewUser(value: unknown): UserSettings {
  const { email, role, websites = null } = checked(checkNewUser, value)
  if (role === "owner" && websites !== null) throw limitedOwner()
  return { email: email.toLowerCase(), role, websites: canonical(websites) }
}

export function readUserChanges(value: unknown): UserChanges {
  const { role, websites } = checked(checkUserChanges, value)
  if (role === "owner" && websites) throw limitedOwner()
  return { ...(role && { role }), ...(websites !== undefined && { websites: canonical(websites) }) }
}

/** Works inside the caller's transaction. `password`: its hash; null: to be chosen. */
export function addUser(
  db: Db,
  id: string,
  settings: UserSettings,
  password: string | null,
  now: number,
): User {
  requireWebsites(db, settings.websites)
  const user = createUser(db, id, settings, password, now)
  // Nobody can make a first one any more.
  if (user.role === "owner") removeInvites(db, null)
  return user
}

/** Whoever is changed is logged out, for the page shows what they might. Works inside the caller's transaction. */
export function changeUser(db: Db, id: string, changes: UserChanges): User {
  const next = { ...findUser(db, id), ...changes }
  if (next.role === "owner" && changes.websites) throw limitedOwner()
  if (next.role !== "owner") requireOtherOwner(db, id)
  requireWebsites(db, changes.websites)
  endSessions(db, id)
  return updateUser(db, id, { role: next.role, websites: next.role === "owner" ? null : next.websites })
}

/** Works inside the caller's transaction. Links stop working, and all logins end but for `stays`. `password`: its hash. */
export function changePassword(db: Db, id: string, password: string, stays?: Login): void {
  setPassword(db, id, password)
  removeInvites(db, id)
  endSessions(db, id, stays)
}

/** Throws `user_not_found`, and `conflict` where nobody would be left to look after users. */
export function requireOtherOwner(db: Db, id: string): void {
  const { email, role } = findUser(db, id)
  if (role !== "owner" || hasOwner(db, id)) return
  throw new RequestError("conflict", {
    detail: `${email} is the last owner who can log in: make somebody else an owner first`,
  })
}

/** A share link as whoever has it is told. */
export function linkJson({ name, websiteId, path, expiresAt }: Share): LinkJson {
  return { name, websiteId, path, expiresAt: isoOrNull(expiresAt) }
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

function canonical(websites: readonly string[] | null): string[] | null {
  return websites && [...new Set(websites.map(canonicalWebsiteId))]
}

function limitedOwner(): RequestError {
  return invalid([{ field: "websites", message: "must be null for an owner, who may see all" }])
}

import { iso, isoOrNull } from "../iso.ts"
import type { Invite, NewInvite } from "../store/invites.ts"
import type { Share } from "../store/shares.ts"
import type { User } from "../store/users.ts"
import type { InviteJson, LinkJson, NewInviteJson, UserJson } from "./schema.ts"

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

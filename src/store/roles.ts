import { type Grant, type Scope, scopes } from "./keys.ts"

export const roles = ["owner", "viewer"] as const
export type Role = (typeof roles)[number]

/** What each role permits. */
const roleScopes: Record<Role, readonly Scope[]> = { owner: scopes, viewer: ["read:data"] }

/** The permissions of a logged-in user: those of the role, for the websites that the user is limited to. */
export function grantOf({ role, websites }: { role: Role; websites: string[] | null }): Grant {
  return { scopes: [...roleScopes[role]], websites, rateLimit: null, expiresAt: null }
}

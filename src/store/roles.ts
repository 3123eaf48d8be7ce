import type { Section } from "../sections.ts"
import { type Grant, type Scope, scopes } from "./keys.ts"

export const roles = ["owner", "viewer"] as const
export type Role = (typeof roles)[number]

/** The scopes of each role. */
const roleScopes: Record<Role, readonly Scope[]> = { owner: scopes, viewer: ["read:data"] }

interface Access {
  role: Role
  websites: string[] | null
  sections: readonly Section[] | null
}

/**
 * Returns the permissions of a logged-in user: the scopes of the role, for the websites that the user is limited to.
 * Without the section `people`, a viewer cannot read individual events or people.
 */
export function grantOf({ role, websites, sections }: Access): Grant {
  const isWithoutPeople = sections !== null && !sections.includes("people")
  const granted: readonly Scope[] = isWithoutPeople ? ["read:reports"] : roleScopes[role]
  return { scopes: [...granted], websites, rateLimit: null, expiresAt: null }
}

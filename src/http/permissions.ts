import { RequestError } from "../errors.ts"
import { iso } from "../iso.ts"
import { allowsEndpoint } from "../sections.ts"
import type { Db } from "../store/db/driver.ts"
import { type Grant, hasScope } from "../store/keys.ts"
import { canonicalWebsiteId, listWebsites } from "../store/websites.ts"
import type { Caller } from "./caller.ts"
import { invalidShape } from "./validation.ts"

/** True if the grant covers the website. */
export function canAccess({ websites }: Pick<Grant, "websites">, websiteId: string): boolean {
  return websites === null || websites.includes(canonicalWebsiteId(websiteId))
}

/**
 * Describes a permission in `grant` that `held` lacks. The description completes the sentence "does not have …".
 * Returns undefined if `held` has all permissions.
 */
function excessPermission(grant: Grant, held: Grant): string | undefined {
  const scope = grant.scopes.find((candidate) => !hasScope(held.scopes, candidate))
  if (scope) return `the scope ${scope}`
  if (held.websites !== null) {
    if (grant.websites === null) return `access to all websites, only to ${held.websites.join(", ")}`
    const website = grant.websites.find((id) => !held.websites?.includes(id))
    if (website) return `access to the website ${website}`
  }
  if (held.expiresAt !== null && (grant.expiresAt === null || grant.expiresAt > held.expiresAt)) {
    return `access after ${iso(held.expiresAt)}`
  }
  if (held.rateLimit !== null && (grant.rateLimit === null || grant.rateLimit > held.rateLimit)) {
    return `a rate limit above ${held.rateLimit} requests per minute`
  }
  return undefined
}

/** True if `held` includes every permission in `grant`. */
export function isCoveredBy(grant: Grant, held: Grant): boolean {
  return excessPermission(grant, held) === undefined
}

/**
 * Prevents privilege escalation. A caller cannot grant, revoke or obtain permissions that it does not have. Throws
 * `grant_too_wide`.
 */
export function requireCoveredBy(grant: Grant, caller: Caller): void {
  const excess = excessPermission(grant, caller)
  if (excess)
    throw new RequestError("grant_too_wide", { detail: `your ${caller.kind} does not have ${excess}` })
}

/** Throws `key_website_mismatch` if the caller cannot access the website. */
export function requireWebsiteAccess(caller: Caller, websiteId: string): void {
  if (canAccess(caller, websiteId)) return
  throw new RequestError("key_website_mismatch", {
    detail: `your ${caller.kind} is not for the website ${websiteId}`,
  })
}

/**
 * Throws `section_missing` if the caller is limited to pages that do not use the endpoint. `endpoint`: for example `GET
 * /v1/notes`.
 */
export function requireEndpoint(caller: Caller, endpoint: string): void {
  if (caller.pages && !allowsEndpoint(caller.pages, endpoint)) throw sectionMissing(caller, endpoint)
}

/** Returns the error for a caller that is limited to some pages. `needed`: what the request requires. */
export function sectionMissing(
  { kind, pages = [] }: Pick<Caller, "kind" | "pages">,
  needed: string,
): RequestError {
  const list = pages.length === 1 ? `the page ${pages[0]}` : `the pages ${pages.join(", ")}`
  return new RequestError("section_missing", {
    detail: `this ${kind} is limited to ${list}, and ${needed} is not part of it`,
  })
}

/** Throws `grant_too_wide` if the caller is limited to some websites, because it could not access a new website. */
export function requireUnlimitedWebsites(caller: Caller): void {
  if (caller.websites === null) return
  throw new RequestError("grant_too_wide", {
    detail: `your ${caller.kind} is limited to some websites and cannot create others`,
  })
}

/** Throws `invalid_shape` if a grant names a website that does not exist. */
export function requireExistingWebsites(db: Db, websites: readonly string[] | null | undefined): void {
  if (!websites) return
  const known = new Set(listWebsites(db).map(({ id }) => id))
  const errors = websites.flatMap((id, index) =>
    known.has(canonicalWebsiteId(id))
      ? []
      : [{ field: `websites.${index}`, message: `${id} does not exist` }],
  )
  if (errors.length > 0) throw invalidShape(errors)
}

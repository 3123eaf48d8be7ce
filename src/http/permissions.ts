import { RequestError } from "../errors.ts"
import { iso } from "../iso.ts"
import type { Db } from "../store/db/driver.ts"
import { allows, type Grant } from "../store/keys.ts"
import { canonicalWebsiteId, listWebsites } from "../store/websites.ts"
import type { Caller } from "./caller.ts"
import { invalid } from "./validation.ts"

/** True where somebody may see the website with that id. */
export function canAccess({ websites }: Pick<Grant, "websites">, websiteId: string): boolean {
  return websites === null || websites.includes(canonicalWebsiteId(websiteId))
}

/** What `grant` has and `own` has not, in words; undefined where there is nothing. */
function excess(grant: Grant, own: Grant): string | undefined {
  const scope = grant.scopes.find((one) => !allows(own.scopes, one))
  if (scope) return `the scope ${scope}`
  if (own.websites !== null) {
    if (grant.websites === null) return `all websites, only ${own.websites.join(", ")}`
    const website = grant.websites.find((id) => !own.websites?.includes(id))
    if (website) return `the website ${website}`
  }
  if (own.expiresAt !== null && (grant.expiresAt === null || grant.expiresAt > own.expiresAt)) {
    return `access after ${iso(own.expiresAt)}`
  }
  if (own.rateLimit !== null && (grant.rateLimit === null || grant.rateLimit > own.rateLimit)) {
    return `more than ${own.rateLimit} requests a minute`
  }
  return undefined
}

/** True where the holder of `own` could have given `grant`. */
export function isWithin(grant: Grant, own: Grant): boolean {
  return excess(grant, own) === undefined
}

/** Nobody gives, takes or gets hold of more than they have. Throws `grant_too_wide`. */
export function requireWithin(grant: Grant, own: Caller): void {
  const more = excess(grant, own)
  if (more) throw new RequestError("grant_too_wide", { detail: `your ${own.kind} does not have ${more}` })
}

/** Throws `key_website_mismatch`. */
export function requireWebsite(own: Caller, websiteId: string): void {
  if (canAccess(own, websiteId)) return
  throw new RequestError("key_website_mismatch", {
    detail: `your ${own.kind} is not for the website ${websiteId}`,
  })
}

/** A website that comes into being is one that nobody has who is limited to some. Throws `grant_too_wide`. */
export function requireAllWebsites(own: Caller): void {
  if (own.websites === null) return
  throw new RequestError("grant_too_wide", {
    detail: `your ${own.kind} is limited to some websites and cannot make others`,
  })
}

/** Throws `invalid_shape` where something would be limited to a website that there is none of. */
export function requireWebsites(db: Db, websites: readonly string[] | null | undefined): void {
  if (!websites) return
  const known = new Set(listWebsites(db).map(({ id }) => id))
  const errors = websites.flatMap((id, index) =>
    known.has(canonicalWebsiteId(id))
      ? []
      : [{ field: `websites.${index}`, message: `${id} does not exist` }],
  )
  if (errors.length > 0) throw invalid(errors)
}

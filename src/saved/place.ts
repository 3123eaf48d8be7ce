import { RequestError } from "../errors.ts"
import type { RouteDeps } from "../http/authenticated-request.ts"
import type { Caller } from "../http/caller.ts"
import { requireWebsiteAccess } from "../http/permissions.ts"
import { findWebsite, type WebsitePlace, withoutWebsite } from "../store/websites.ts"

// Decides which callers can read and change notes, saved views, boards and share links. These belong to one website, to
// none, or to all.

/** A note, saved view or board. */
export interface PlacedItem {
  place: WebsitePlace
  /** Id of the website; null for an item of all websites or of none. */
  websiteId: string | null
}

/** Resolves the query parameter website_id. Throws `key_website_mismatch`, and `website_unknown`. */
export function placeOf(deps: RouteDeps, caller: Caller, id: string): WebsitePlace {
  if (isKeyword(deps, id)) {
    const place = id === "all" ? null : withoutWebsite
    if (place === withoutWebsite) requirePlace(caller, place)
    return place
  }
  requireWebsiteAccess(caller, id)
  return findWebsite(deps.db, id).rid
}

/** True for `none` and `all`, unless a website has that id. */
export function isKeyword({ registry }: RouteDeps, id: string): boolean {
  return (id === "all" || id === "none") && !registry.website(id)
}

/**
 * Only callers with access to all websites can change the items of all websites or of none. Throws
 * `key_website_mismatch`.
 */
export function requirePlace(caller: Caller, place: WebsitePlace): void {
  if (place !== null && place !== withoutWebsite) return
  if (caller.websites === null) return
  throw new RequestError("key_website_mismatch", {
    detail: `your ${caller.kind} is limited to some websites; notes, views, boards and share links of all websites, or of none, need a key or login for all websites`,
  })
}

/** Throws `key_website_mismatch` if the caller cannot change the item. */
export function requireOwn(caller: Caller, { place, websiteId }: PlacedItem): void {
  requirePlace(caller, place)
  if (websiteId !== null) requireWebsiteAccess(caller, websiteId)
}

/** Throws `key_website_mismatch` if the caller cannot read the item. All callers can read the items of all websites. */
export function requireReadable(caller: Caller, item: PlacedItem): void {
  if (item.place !== null) requireOwn(caller, item)
}

import { RequestError } from "../errors.ts"
import type { RouteDeps } from "../http/authenticated-request.ts"
import type { Caller } from "../http/caller.ts"
import { requireWebsiteAccess } from "../http/permissions.ts"
import { findWebsite, type WebsitePlace, withoutWebsite } from "../store/websites.ts"

// Decides which callers can read and change notes, saved views, boards and share links. Each of these items has a
// place: one website, events without a website, or all websites.

/** A note, saved view, board or share link. */
export interface PlacedItem {
  place: WebsitePlace
  /** ID of the website. Null if the item belongs to no website or to all websites. */
  websiteId: string | null
}

/** Returns the place that the parameter website_id selects. Throws `key_website_mismatch` or `website_unknown`. */
export function placeOf(deps: RouteDeps, caller: Caller, id: string): WebsitePlace {
  if (isKeyword(deps, id)) {
    const place = id === "all" ? null : withoutWebsite
    if (place === withoutWebsite) requirePlace(caller, place)
    return place
  }
  requireWebsiteAccess(caller, id)
  return findWebsite(deps.db, id).rid
}

/** Returns true for `none` and `all`, unless a website has that ID. */
export function isKeyword({ registry }: RouteDeps, id: string): boolean {
  return (id === "all" || id === "none") && !registry.website(id)
}

/**
 * If `place` is all websites or no website, throws `key_website_mismatch` unless the caller has access to all websites.
 * Accepts any single website.
 */
export function requirePlace(caller: Caller, place: WebsitePlace): void {
  if (place !== null && place !== withoutWebsite) return
  if (caller.websites === null) return
  throw new RequestError("key_website_mismatch", {
    detail: `your ${caller.kind} is limited to certain websites; notes, views, boards and share links that belong to all websites or to none require a key or login for all websites`,
  })
}

/** Throws `key_website_mismatch` if the caller cannot change the item. */
export function requireOwn(caller: Caller, { place, websiteId }: PlacedItem): void {
  requirePlace(caller, place)
  if (websiteId !== null) requireWebsiteAccess(caller, websiteId)
}

/**
 * Throws `key_website_mismatch` if the caller cannot read the item. Every caller can read items that belong to all
 * websites.
 */
export function requireReadable(caller: Caller, item: PlacedItem): void {
  if (item.place !== null) requireOwn(caller, item)
}

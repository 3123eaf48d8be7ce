import type { Preferences } from "../../state/preferences.ts"
import type { Session } from "../../state/session.ts"

/**
 * Returns the ID of the default website: the one viewed last if the user can still open it, and otherwise the first in
 * the list. Returns `all` if the list is empty.
 */
export function homeSite({ sites, canSeeAll }: Session, preferences: Preferences): string {
  const last = preferences.website.value
  const exists =
    sites.value.some(({ id }) => id === last) || (canSeeAll && (last === "all" || last === "none"))
  return exists && last !== undefined ? last : (sites.value[0]?.id ?? "all")
}

/** Returns the path of the default website. The path redirects to the website's start page. */
export function homePath(session: Session, preferences: Preferences): string {
  return `/w/${encodeURIComponent(homeSite(session, preferences))}`
}

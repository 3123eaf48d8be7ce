import type { Preferences } from "../../state/preferences.ts"
import type { Session } from "../../state/session.ts"

/**
 * The ID of the default website: the one viewed last if it still exists, otherwise the first in the list, or `all` if
 * the list is empty.
 */
export function homeSite({ sites, canSeeAll }: Session, preferences: Preferences): string {
  const last = preferences.website.value
  const exists =
    sites.value.some(({ id }) => id === last) || (canSeeAll && (last === "all" || last === "none"))
  return exists && last !== undefined ? last : (sites.value[0]?.id ?? "all")
}

/** Path of the default website, which redirects to its start page. */
export function homePath(session: Session, preferences: Preferences): string {
  return `/w/${encodeURIComponent(homeSite(session, preferences))}`
}

import type { Preferences } from "../../state/preferences.ts"
import type { Session } from "../../state/session.ts"

/** The website to begin with: the one looked at last, else the first. */
export function homeSite({ sites, seesAll }: Session, preferences: Preferences): string {
  const last = preferences.website.value
  const isThere =
    sites.value.some(({ id }) => id === last) || (seesAll && (last === "all" || last === "none"))
  return isThere && last !== undefined ? last : (sites.value[0]?.id ?? "all")
}

export function homeOf(session: Session, preferences: Preferences): string {
  return `/w/${encodeURIComponent(homeSite(session, preferences))}/overview`
}

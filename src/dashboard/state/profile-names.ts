import { useEffect, useState } from "preact/hooks"
import { useApp } from "./app.ts"
import { displayName, type Profile } from "./profiles.ts"
import { isSingleWebsite } from "./session.ts"

/** Maximum number of IDs per request, which is the API's limit. */
const maxIds = 50
/** Maximum total length of the percent-encoded IDs in a request, so that its URL is not too long. */
const maxCharacters = 4_000

/**
 * Loads the names of profiles. Returns a function that maps a profile ID to the name, or to undefined if the profile is
 * unknown or has not loaded. Nothing is loaded unless a single website is selected and the user can see people.
 */
export function useProfileNames(ids: readonly (string | null)[]): (id: string | null) => string | undefined {
  const { api, session, view } = useApp()
  const { website } = view.value
  const canLoadNames = isSingleWebsite(website) && session.canOpen("person")
  const [names, setNames] = useState<ReadonlyMap<string, string | undefined>>(new Map())
  const keyOf = (id: string) => `${website} ${id}`
  const missing = canLoadNames ? firstIds(ids.filter((id) => id !== null && !names.has(keyOf(id)))) : []
  const query = new URLSearchParams([["website_id", website], ...missing.map((id) => ["id", id])]).toString()
  useEffect(() => {
    if (missing.length === 0) return
    const add = (profiles: readonly Profile[]) => {
      const found = new Map(profiles.map((profile) => [profile.profileId, displayName(profile)]))
      setNames((before) => new Map([...before, ...missing.map((id) => [keyOf(id), found.get(id)] as const)]))
    }
    // If loading fails, pages show the IDs.
    api.get<{ profiles: Profile[] }>(`profiles?${query}`).then(
      ({ profiles }) => add(profiles),
      () => add([]),
    )
  }, [api, query])
  return (id) => (id === null ? undefined : names.get(keyOf(id)))
}

/** Returns the first distinct IDs that fit in one request. */
function firstIds(ids: readonly (string | null)[]): string[] {
  let characters = 0
  return [...new Set(ids)]
    .filter((id) => id !== null)
    .filter((id) => {
      characters += encodeURIComponent(id).length
      return characters <= maxCharacters
    })
    .slice(0, maxIds)
}

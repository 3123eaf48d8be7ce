import { useEffect, useState } from "preact/hooks"
import { useApp } from "./app.ts"
import { displayName, type Profile } from "./profiles.ts"
import { isSingleWebsite } from "./session.ts"

/** Maximum number of IDs per request, as in the API. */
const maxIds = 50
/** Maximum characters of all IDs in a request, so that the URL is accepted. */
const maxCharacters = 4_000

/**
 * Returns a function from the ID of a profile to its name. Names are loaded when they are first needed. Undefined: the
 * profile has no name, or its name is not loaded yet. Profiles belong to one website, and not everyone can see people.
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
    // Without names, the pages show IDs.
    api.get<{ profiles: Profile[] }>(`profiles?${query}`).then(
      ({ profiles }) => add(profiles),
      () => add([]),
    )
  }, [api, query])
  return (id) => (id === null ? undefined : names.get(keyOf(id)))
}

/** As many distinct IDs as fit in a request. */
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

import { Refusal } from "../errors.ts"
import { reaches } from "../http/v1.ts"
import type { Key } from "../store/keys.ts"
import type { Registry } from "../store/registry.ts"
import type { Website } from "../store/websites.ts"

/** rid of the owner's own events, which belong to no website. */
const ownEvents = 0

export function readableWebsites(registry: Registry, key: Key): Website[] {
  return registry.websites().filter(({ id }) => reaches(key, id))
}

/**
 * The rids that `website_id` means: of a website, of the owner's own events (`none`), or of whatever the key may read
 * (`all`). Throws `website_id_missing`, and `key_website_mismatch` for one that there is none of, too: whether there is one
 * is nobody else's business.
 */
export function websitesOf(registry: Registry, key: Key, id: string | null): number[] {
  if (id === null || id === "") throw new Refusal("website_id_missing")
  const website = registry.website(id)
  if (website && reaches(key, id)) return [website.rid]
  if (!website && id === "none" && key.websites === null) return [ownEvents]
  if (!website && id === "all") {
    const rids = readableWebsites(registry, key).map(({ rid }) => rid)
    return key.websites === null ? [ownEvents, ...rids] : rids
  }
  throw new Refusal("key_website_mismatch", { detail: `there is no website ${id} that this key may read` })
}

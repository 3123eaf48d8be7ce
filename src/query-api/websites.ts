import { RequestError } from "../errors.ts"
import type { Caller } from "../http/caller.ts"
import { canAccess } from "../http/permissions.ts"
import type { Registry } from "../store/ingest/registry.ts"
import type { Website } from "../store/websites.ts"

/** rid of the owner's own events, which belong to no website. */
const ownEvents = 0

export function readableWebsites(registry: Registry, caller: Caller): Website[] {
  return registry.websites().filter(({ id }) => canAccess(caller, id))
}

/**
 * The rids that `website_id` means: of a website, of the owner's own events (`none`), or of whatever the caller may read
 * (`all`). Throws `website_id_missing`, and `key_website_mismatch` for one that there is none of, too: whether there is one
 * is nobody else's business.
 */
export function websitesOf(registry: Registry, caller: Caller, id: string | null): number[] {
  if (id === null || id === "") throw new RequestError("website_id_missing")
  const website = registry.website(id)
  if (website && canAccess(caller, id)) return [website.rid]
  if (!website && id === "none" && caller.websites === null) return [ownEvents]
  if (!website && id === "all") {
    const rids = readableWebsites(registry, caller).map(({ rid }) => rid)
    return caller.websites === null ? [ownEvents, ...rids] : rids
  }
  throw new RequestError("key_website_mismatch", {
    detail: `there is no website ${id} that this ${caller.kind} may read`,
  })
}

import { RequestError } from "../errors.ts"
import type { Caller, CallerDeps } from "../http/caller.ts"
import { canAccess } from "../http/permissions.ts"
import { websitesNamedOn } from "../store/boards.ts"
import type { Registry } from "../store/ingest/registry.ts"
import { type Website, withoutWebsite } from "../store/websites.ts"

/**
 * Returns the websites whose names a caller can see. These are the websites that the caller can read and, for a share
 * link to a board, the websites that its tiles show.
 */
export function namedWebsites({ registry, db }: CallerDeps, caller: Caller): Website[] {
  const boardId = caller.share?.boardId ?? null
  const named = boardId === null ? [] : websitesNamedOn(db, boardId)
  return registry
    .websites()
    .filter(({ id }) => canAccess(caller, id) || named === "all" || named.includes(id))
}

function readableWebsites(registry: Registry, caller: Caller): Website[] {
  return registry.websites().filter(({ id }) => canAccess(caller, id))
}

/**
 * Resolves `website_id` to row IDs. The value is the ID of a website, `none` for events without a website, or `all` for
 * everything that the caller can read. Throws `website_id_missing`, or `key_website_mismatch` for a website that does
 * not exist or is not accessible. The error does not reveal which of the two applies.
 */
export function websitesOf(registry: Registry, caller: Caller, id: string | null): number[] {
  if (id === null || id === "") throw new RequestError("website_id_missing")
  const website = registry.website(id)
  if (website && canAccess(caller, id)) return [website.rid]
  if (!website && id === "none" && caller.websites === null) return [withoutWebsite]
  if (!website && id === "all") {
    const rids = readableWebsites(registry, caller).map(({ rid }) => rid)
    return caller.websites === null ? [withoutWebsite, ...rids] : rids
  }
  throw new RequestError("key_website_mismatch", {
    detail: `your ${caller.kind} cannot read website ${id}; GET /v1/query/websites lists the websites it can read`,
  })
}

import { type Reason, RequestError } from "../errors.ts"
import { requireScope } from "../http/key.ts"
import type { Registry } from "../store/ingest/registry.ts"
import type { Key } from "../store/keys.ts"
import { appOriginOf, canonicalWebsiteId, hostOf, isLoopback, type Website } from "../store/websites.ts"

export type Credential =
  | { kind: "key"; key: Key }
  /** `keyProblem`: a key was sent too, but could not be used. */
  | { kind: "website"; websiteId: string; keyProblem: Reason | undefined }

/** The website id that a request names in its query: `client_id` is what the browser script's unload beacon sends. */
export function queryWebsiteId(url: string): string | undefined {
  const start = url.indexOf("?")
  if (start < 0) return undefined
  const query = new URLSearchParams(url.slice(start))
  return query.get("website_id") || query.get("client_id") || undefined
}

/**
 * A key that works, else a website id: the query's, else the first event's. Throws a 401 with what is wrong with the key,
 * or a 403 for a key that may not send events.
 */
export function credentialOf(
  sent: { key?: Key; problem?: Reason },
  queryId: string | undefined,
  firstEventId: string | undefined,
): Credential {
  if (sent.key) {
    requireScope(sent.key, "track:events")
    return { kind: "key", key: sent.key }
  }
  const websiteId = queryId || firstEventId
  if (!websiteId) throw new RequestError(sent.problem ?? "credential_missing")
  return { kind: "website", websiteId: canonicalWebsiteId(websiteId), keyProblem: sent.problem }
}

/**
 * The website of each event, undefined for the owner's own. `ids`: what each event names, if it does.
 * Throws 403 where the credential may not write to one of them, and only then 404 where there is none.
 */
export function targetWebsites(
  ids: readonly (string | undefined)[],
  queryId: string | undefined,
  credential: Credential,
  origin: string | null,
  registry: Registry,
): (Website | undefined)[] {
  const targets = ids.map((id) => id || queryId)
  if (credential.kind === "website") {
    const same = targets.every((id) => id && canonicalWebsiteId(id) === credential.websiteId)
    if (!same) throw new RequestError("website_mismatch")
    const website = registry.website(credential.websiteId)
    if (website && !originAllowed(origin, website)) throw new RequestError("origin_not_allowed")
    const found = findActive(credential.websiteId, registry)
    return targets.map(() => found)
  }
  const allowed = credential.key.websites
  if (allowed && !targets.every((id) => id && allowed.includes(canonicalWebsiteId(id)))) {
    throw new RequestError("key_website_mismatch")
  }
  if (queryId) findActive(queryId, registry)
  return targets.map((id) => (id ? findActive(id, registry) : undefined))
}

function findActive(id: string, registry: Registry): Website {
  let website = registry.website(id)
  if (website?.pausedAt != null && registry.lookAgain()) website = registry.website(id)
  if (!website) throw new RequestError("website_unknown")
  if (website.pausedAt !== null) throw new RequestError("website_paused")
  return website
}

/** Pages of the website's domain, of its subdomains, of a developer's own machine, and what the website lists, may send. */
function originAllowed(origin: string | null, { domain, allowedOrigins }: Website): boolean {
  if (origin === null) return allowedOrigins.length === 0
  const app = appOriginOf(origin)
  if (app !== undefined) return allowedOrigins.includes(app)
  const host = hostOf(origin)
  if (!host || !origin.includes("://")) return false
  return isLoopback(host) || host === domain || host.endsWith(`.${domain}`) || allowedOrigins.includes(host)
}

import { RequestError } from "../errors.ts"
import { requireScope } from "../http/key.ts"
import type { RejectionReason } from "../rejection-reasons.ts"
import type { Registry } from "../store/ingest/registry.ts"
import type { Key } from "../store/keys.ts"
import { canonicalWebsiteId, type Website } from "../store/websites.ts"
import { originAllowed } from "./origin.ts"

/** What authorizes a request to send events. */
export type Credential =
  | { kind: "key"; key: Key }
  /** `keyProblem`: why the key is invalid, if an invalid key was also sent. */
  | { kind: "website"; websiteId: string; keyProblem: RejectionReason | undefined }

/** Matches a query that consists of one website id without escapes. Other queries are parsed, which takes 2 µs. */
const onlyWebsiteId = /^\?(?:website_id|client_id)=([\w.~-]+)$/

/** Returns the website id in the query string. The page script sends it as `client_id` in its unload beacon. */
export function queryWebsiteId(url: string): string | undefined {
  const start = url.indexOf("?")
  if (start < 0) return undefined
  const text = url.slice(start)
  const only = onlyWebsiteId.exec(text)?.[1]
  if (only !== undefined) return only
  const query = new URLSearchParams(text)
  return query.get("website_id") || query.get("client_id") || undefined
}

/**
 * Returns the website id that a page sends in the query, or in the header that the page script sets. Throws
 * `client_id_missing`. Ignores API keys, because anyone who can read the page could read them too.
 */
export function pageCredential(request: Request): Credential & { kind: "website" } {
  const id = pageWebsiteId(request)
  if (!id) throw new RequestError("client_id_missing")
  return { kind: "website", websiteId: canonicalWebsiteId(id), keyProblem: undefined }
}

/** Returns the website id in the query, or in the header that the page script sets. */
export function pageWebsiteId({ url, headers }: Request): string | undefined {
  return queryWebsiteId(url) || headers.get("databuddy-client-id") || undefined
}

/**
 * Returns the website that a page sends data to. Throws `origin_not_allowed`, `client_id_unknown` or
 * `client_id_paused`.
 */
export function pageWebsite(id: string, origin: string | null, registry: Registry): Website {
  const website = registry.website(id)
  if (website && !originAllowed(origin, website)) throw new RequestError("origin_not_allowed")
  return findActive(id, registry, { unknown: "client_id_unknown", paused: "client_id_paused" })
}

/**
 * Returns the credential: a valid key, otherwise the website id in the query, otherwise the website id of the first
 * event. Throws a 401 if there is neither a valid key nor a website id, or a 403 if the key cannot send events.
 */
export function credentialOf(
  keyLookup: { key?: Key; problem?: RejectionReason },
  queryId: string | undefined,
  firstEventId: string | undefined,
): Credential {
  if (keyLookup.key) {
    requireScope(keyLookup.key, "track:events")
    return { kind: "key", key: keyLookup.key }
  }
  const websiteId = queryId || firstEventId
  if (!websiteId) throw new RequestError(keyLookup.problem ?? "credential_missing")
  return { kind: "website", websiteId: canonicalWebsiteId(websiteId), keyProblem: keyLookup.problem }
}

/**
 * Returns the website of each event, or undefined for events without a website. `ids`: the website id of each event.
 * Throws a 403 if the credential cannot write to one of the websites, or a 404 if one of them does not exist or is
 * paused.
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
    const isSame = targets.every((id) => id && canonicalWebsiteId(id) === credential.websiteId)
    if (!isSame) throw new RequestError("website_mismatch")
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

function findActive(
  id: string,
  registry: Registry,
  reasons: Record<"unknown" | "paused", RejectionReason> = {
    unknown: "website_unknown",
    paused: "website_paused",
  },
): Website {
  let website = registry.website(id)
  if (website?.pausedAt != null && registry.recheck()) website = registry.website(id)
  if (!website) throw new RequestError(reasons.unknown)
  if (website.pausedAt !== null) throw new RequestError(reasons.paused)
  return website
}

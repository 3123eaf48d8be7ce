import { createHash } from "node:crypto"
import { Elysia, NotFoundError } from "elysia"
import type { AuthFailureDeps } from "../http/auth-failures.ts"
import { requireToken } from "../http/bearer-token.ts"
import { jsonHeaders, requestIdOf } from "../http/headers.ts"
import { requestContextOf } from "../http/request-context.ts"
import type { Db } from "../store/db/driver.ts"
import { type RegistryIdentity, readRegistry, registryIdentity } from "../store/registry-copy.ts"

export interface RegistryRouteDeps extends AuthFailureDeps {
  db: Db
  /** Undefined if the server does not share its registry. */
  registrySecret: string | undefined
  newId: () => string
}

/**
 * Creates the route GET /v1/registry, which returns websites, keys and users to the other nodes, with the hashes of
 * keys and passwords. It responds with 404 if no secret is configured, and with 304 if nothing has changed.
 */
export function registryRoutes(deps: RegistryRouteDeps) {
  const current = currentEtag(deps.db)
  return new Elysia().get("/v1/registry", ({ request, server }) => {
    const { db, registrySecret: secret, newId } = deps
    if (secret === undefined) throw new NotFoundError()
    requireToken(deps, requestContextOf(request, server), secret, "registry_secret_wrong")
    const headersWith = (etag: string) => ({
      ...jsonHeaders(requestIdOf(request.headers, newId)),
      ETag: etag,
      "Cache-Control": "no-store",
    })
    // A proxy that compresses responses makes their ETags weak.
    const known = request.headers.get("if-none-match")?.replace(/^W\//, "")
    const unchanged = (etag: string) => new Response(null, { status: 304, headers: headersWith(etag) })
    const cached = current.find()
    if (cached !== undefined && cached === known) return unchanged(cached)
    const registry = db.transaction(() => readRegistry(db))()
    const body = JSON.stringify(registry)
    const etag = `"${createHash("sha256").update(body).digest("hex")}"`
    current.set(registry, etag)
    return etag === known ? unchanged(etag) : new Response(body, { headers: headersWith(etag) })
  })
}

/**
 * Caches the ETag of a revision, because building the response takes about 5 ms for 1,000 websites and 1,000 keys, and
 * each other node requests it every 5 seconds. The ETag is not the revision itself, because a restored database can
 * reach the same revision with other changes. A database is only restored while the server is stopped, so the cache is
 * empty afterwards.
 */
function currentEtag(db: Db) {
  let cached: (RegistryIdentity & { etag: string }) | undefined
  return {
    /** Returns the cached ETag, or undefined if the registry has changed. */
    find: (): string | undefined => {
      const { registry, revision } = registryIdentity(db)
      return cached?.registry === registry && cached.revision === revision ? cached.etag : undefined
    },
    set: ({ registry, revision }: RegistryIdentity, etag: string): void => {
      cached = { registry, revision, etag }
    },
  }
}

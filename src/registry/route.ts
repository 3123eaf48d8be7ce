import { createHash } from "node:crypto"
import { Elysia, NotFoundError } from "elysia"
import type { AuthFailureDeps } from "../http/auth-failures.ts"
import { requireToken } from "../http/bearer-token.ts"
import { jsonHeaders, requestIdOf } from "../http/headers.ts"
import { requestContextOf } from "../http/request-context.ts"
import type { Db } from "../store/db/driver.ts"
import { readRegistry } from "../store/registry-copy.ts"

export interface RegistryRouteDeps extends AuthFailureDeps {
  db: Db
  /** Undefined if the server does not share its registry. */
  registrySecret: string | undefined
  newId: () => string
}

/**
 * GET /v1/registry: websites, keys and users for the other nodes, with the hashes of keys and passwords. Responds with
 * 404 if no secret is configured, and with 304 if nothing has changed.
 */
export function registryRoutes(deps: RegistryRouteDeps) {
  return new Elysia().get("/v1/registry", ({ request, server }) => {
    const { db, registrySecret: secret, newId } = deps
    if (secret === undefined) throw new NotFoundError()
    requireToken(deps, requestContextOf(request, server), secret, "registry_secret_wrong")
    const body = JSON.stringify(db.transaction(() => readRegistry(db))())
    const etag = `"${createHash("sha256").update(body).digest("hex")}"`
    const headers = {
      ...jsonHeaders(requestIdOf(request.headers, newId)),
      ETag: etag,
      "Cache-Control": "no-store",
    }
    // A proxy that compresses responses makes their ETags weak.
    return request.headers.get("if-none-match")?.replace(/^W\//, "") === etag
      ? new Response(null, { status: 304, headers })
      : new Response(body, { headers })
  })
}

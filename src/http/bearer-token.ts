import { createHash, timingSafeEqual } from "node:crypto"
import { RequestError } from "../errors.ts"
import { type AuthFailureDeps, limitAuthFailures } from "./auth-failures.ts"
import type { RequestContext } from "./request-context.ts"

/**
 * Requires that the request carries `token`, which is part of the server's configuration, as a bearer token. Throws
 * `reason`, or `too_many_failed_credentials` after too many wrong tokens from one address.
 */
export function requireToken(
  deps: AuthFailureDeps,
  context: RequestContext,
  token: string,
  reason: "metrics_token_wrong" | "registry_secret_wrong",
): void {
  const sent = /^bearer +(.+)$/i.exec(context.request.headers.get("authorization") ?? "")?.[1]
  if (sent !== undefined && timingSafeEqual(digest(sent.trim()), digest(token))) return
  const rejection = new RequestError(reason, { headers: { "WWW-Authenticate": "Bearer" } })
  throw sent === undefined ? rejection : limitAuthFailures(deps, context, rejection)
}

/** Returns a hash of the text, because the constant-time comparison requires values of the same length. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest()
}

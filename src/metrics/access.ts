import { NotFoundError } from "elysia"
import type { AuthFailureDeps } from "../http/auth-failures.ts"
import { requireToken } from "../http/bearer-token.ts"
import type { RequestContext } from "../http/request-context.ts"

/** Who can read the metrics. If neither field is set, the metrics are not served. */
export interface MetricsAccess {
  /** The bearer token that grants access. */
  token: string | undefined
  /** If true, clients on this machine have access, unless they come through a proxy. */
  local: boolean
}

export interface MetricsAccessDeps extends AuthFailureDeps {
  metricsAccess: MetricsAccess
}

/**
 * Checks that the request can read the metrics. Throws `metrics_token_wrong`, or NotFoundError if no token is
 * configured.
 */
export function requireMetricsAccess(deps: MetricsAccessDeps, context: RequestContext): void {
  const { token, local } = deps.metricsAccess
  if (local && isLocal(context)) return
  if (token === undefined) throw new NotFoundError()
  requireToken(deps, context, token, "metrics_token_wrong")
}

/** Headers that proxies add, such as X-Forwarded-…, X-Real-IP, Via, CF-Connecting-IP and True-Client-IP. */
const proxyHeaders =
  /^(?:forwarded|via|proxy-|x-(?:forwarded|original|real|client|cluster|proxy|proxyuser|envoy|amzn|amz-cf|azure|arr|appengine|vercel|remote|host)\b|true-client|cf-|cdn-|fly-|fastly-|akamai-|incap-|do-connecting)/

/**
 * True for a loopback connection, unless its headers indicate a proxy or a web page. A proxy on this machine also
 * connects from loopback, and a web page can reach the server through DNS rebinding.
 */
function isLocal({ request, peer }: RequestContext): boolean {
  const site = request.headers.get("sec-fetch-site")
  if (site !== null && site !== "none") return false
  for (const name of request.headers.keys()) if (proxyHeaders.test(name)) return false
  return /^(?:::ffff:)?127\.|^::1$/.test(peer())
}

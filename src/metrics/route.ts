import { createHash, timingSafeEqual } from "node:crypto"
import { Elysia, NotFoundError } from "elysia"
import { RequestError } from "../errors.ts"
import { type AuthFailures, limitGuesses } from "../http/auth-failures.ts"
import { jsonHeaders, requestIdOf } from "../http/headers.ts"
import { type RequestContext, requestContextOf } from "../http/request-context.ts"
import type { Metrics } from "./metrics.ts"

/** Who may read the metrics: nobody, where it is neither. */
export interface MetricsAccess {
  /** Whoever sends this. */
  token: string | undefined
  /** Whoever asks from this machine, not by way of a proxy on it. */
  local: boolean
}

export interface Watching extends AuthFailures {
  metrics: Pick<Metrics, "text" | "contentType">
  metricsAccess: MetricsAccess
  newId: () => string
}

/** GET /metrics, in Prometheus' text format. For those who may not know of it there is nothing at this path. */
export function metricsRoutes(watching: Watching) {
  return new Elysia().get("/metrics", async ({ request, server }) => {
    admit(watching, requestContextOf(request, server))
    return new Response(await watching.metrics.text(), {
      headers: {
        ...jsonHeaders(requestIdOf(request.headers, watching.newId)),
        "Content-Type": watching.metrics.contentType,
        "Cache-Control": "no-store",
      },
    })
  })
}

/** Throws what the app answers as it does every other path's errors. */
function admit(watching: Watching, arrival: RequestContext): void {
  const { token, local } = watching.metricsAccess
  if (local && isLocal(arrival)) return
  if (token === undefined) throw new NotFoundError()
  const sent = /^bearer +(.+)$/i.exec(arrival.request.headers.get("authorization") ?? "")?.[1]
  if (sent !== undefined && timingSafeEqual(digest(sent.trim()), digest(token))) return
  const refusal = new RequestError("metrics_token_wrong", { headers: { "WWW-Authenticate": "Bearer" } })
  throw sent === undefined ? refusal : limitGuesses(watching, arrival, refusal)
}

/**
 * Headers that proxies add, each of them some: X-Forwarded-…, X-Real-IP, Via, CF-Connecting-IP, True-Client-IP and the like of other
 * networks. And one that tells of a page, which could have this machine's address under a name of its own (DNS rebinding).
 */
const proxySigns =
  /^(?:forwarded|via|proxy-|x-(?:forwarded|original|real|client|cluster|proxy|proxyuser|envoy|amzn|amz-cf|azure|arr|appengine|vercel|remote|host)\b|true-client|cf-|cdn-|fly-|fastly-|akamai-|incap-|do-connecting)/

/** A proxy on this machine connects from loopback too. Any sign of one, or of a page of a browser, means that it is somebody else. */
function isLocal({ request, peer }: RequestContext): boolean {
  const site = request.headers.get("sec-fetch-site")
  if (site !== null && site !== "none") return false
  for (const name of request.headers.keys()) if (proxySigns.test(name)) return false
  return /^(?:::ffff:)?127\.|^::1$/.test(peer())
}

/** Of one length, whatever was sent: what is compared in constant time must be as long as the other. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest()
}

import { listenError } from "../server/listen.ts"

export interface HttpServerOptions {
  host: string
  port: number
  names: readonly string[]
  /** Returns the HTTPS origin for a name. */
  originOf: (name: string) => string
  /** False until the first certificate is in use. */
  hasCertificate: () => boolean
  /** Challenge responses by token. */
  challenges: ReadonlyMap<string, string>
}

const challengePath = "/.well-known/acme-challenge/"
/** A connection is closed after this many seconds without activity. */
const idleTimeout = 10
/** Retry-After while the first certificate is being requested, in seconds. An order usually takes less time. */
const retryAfter = 30

/**
 * Starts the server on the HTTP port. It answers challenges and redirects requests for one of the names to HTTPS. Until
 * there is a certificate, it also answers /health and /ready. Throws a UserError if it cannot listen on the port.
 */
export function startHttpServer(options: HttpServerOptions): Bun.Server<undefined> {
  const { host, port } = options
  try {
    return Bun.serve({
      hostname: host,
      port,
      idleTimeout,
      // The body of a redirected request is not read, so its size does not matter.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      development: false,
      fetch: (request) => respond(request, options),
    })
  } catch (error) {
    throw listenError(
      error,
      { host, port },
      {
        port: "--acme-http-port",
        unprivileged: "forward port 80 to an --acme-http-port of 1024 or above",
      },
    )
  }
}

function respond(
  request: Request,
  { names, originOf, hasCertificate, challenges }: HttpServerOptions,
): Response {
  const { pathname, search } = URL.parse(request.url) ?? { pathname: "/", search: "" }
  if (pathname.startsWith(challengePath)) {
    const answer = challenges.get(pathname.slice(challengePath.length))
    return answer === undefined ? text("no such challenge\n", 404) : text(answer, 200)
  }
  if (!hasCertificate()) {
    if (pathname === "/health") return Response.json({ status: "ok" }, { headers: noStore })
    if (pathname === "/ready")
      return notReady(JSON.stringify({ status: "no_certificate" }), "application/json")
  }
  const name = nameOf(request.headers.get("host") ?? "")
  if (!names.includes(name)) return text("this server does not have the name in the Host header\n", 421)
  if (!hasCertificate()) return notReady("this server's certificate is being requested\n", "text/plain")
  return new Response(null, { status: 308, headers: { Location: originOf(name) + pathname + search } })
}

/** Returns the name in a Host header in lower case, without the port or a trailing dot. */
function nameOf(host: string): string {
  return host.toLowerCase().replace(/\.?(?::\d*)?$/, "")
}

const noStore = { "Cache-Control": "no-store" }

function text(body: string, status: number): Response {
  return new Response(body, { status, headers: { "Content-Type": "text/plain", ...noStore } })
}

function notReady(body: string, type: string): Response {
  const headers = { "Content-Type": type, "Retry-After": String(retryAfter), ...noStore }
  return new Response(body, { status: 503, headers })
}

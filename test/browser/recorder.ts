import { bundleScripts } from "../../src/tracker/bundle.ts"

/** An item that the page script sent, at the path that it came to. Pixels are under `/px.jpg`. */
export interface Item {
  path: string
  /** The fields as sent. */
  fields: Record<string, unknown>
}

/** The endpoints of the page script, which remember what they accept. */
export interface Recorder extends AsyncDisposable {
  port: number
  /** Items that were accepted, each event ID once, in the order of their arrival. */
  items: Item[]
  /** Every event ID that was accepted, also before `reset`. */
  accepted: Set<unknown>
  /** Requests to the endpoints, whatever the response. */
  requests: number
  /** Responses other than 2xx that were not asked for. */
  unexpected: string[]
  /** Status of the next requests to the endpoints. */
  failures: number[]
  /** Forgets what was received. */
  reset: () => void
}

const paths = ["/", "/batch", "/track", "/vitals", "/errors", "/engagement", "/identify"]
const pixel = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64")

/**
 * Serves the scripts and records what pages send. With `upstream`, the URL of a real server, it forwards every request and accepts
 * what that accepts; without, it accepts everything.
 */
export async function openRecorder(upstream?: string): Promise<Recorder> {
  const scripts = await bundleScripts()
  const files = new Map(Object.entries(scripts).map(([name, source]) => [`/${name}.js`, source]))
  const answer = async (request: Request): Promise<Response> => {
    const { pathname, search, searchParams } = new URL(request.url)
    const script = files.get(pathname)
    if (script && request.method === "GET" && !upstream)
      return new Response(script, { headers: scriptHeaders })
    const isPixel = pathname === "/px.jpg"
    if (
      request.method === "OPTIONS" ||
      !(isPixel || (request.method === "POST" && paths.includes(pathname)))
    ) {
      return upstream
        ? forward(upstream, request, "")
        : new Response(null, { status: 204, headers: corsOf(request) })
    }
    recorder.requests++
    const failure = recorder.failures.shift()
    if (failure) return new Response(null, { status: failure, headers: corsOf(request) })
    const body = await request.text()
    const response = upstream
      ? await forward(upstream, request, body)
      : new Response(isPixel ? pixel : '{"status":"success"}', { headers: corsOf(request) })
    if (!response.ok)
      recorder.unexpected.push(`${pathname} ${response.status}: ${await response.clone().text()}`)
    else
      for (const fields of isPixel ? [Object.fromEntries(searchParams)] : listOf(body))
        record(pathname, fields)
    if (!search.includes("client_id=")) recorder.unexpected.push(`${pathname} without a client ID`)
    return response
  }
  const record = (path: string, fields: Record<string, unknown>): void => {
    const { eventId } = fields
    if (eventId !== undefined && recorder.accepted.has(eventId)) return
    if (eventId !== undefined) recorder.accepted.add(eventId)
    recorder.items.push({ path, fields })
  }
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer })
  const recorder: Recorder = {
    port: server.port ?? 0,
    items: [],
    accepted: new Set(),
    requests: 0,
    unexpected: [],
    failures: [],
    reset: () => {
      recorder.items = []
      recorder.requests = 0
      recorder.unexpected = []
      recorder.failures = []
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  }
  return recorder
}

const scriptHeaders = { "content-type": "text/javascript", "access-control-allow-origin": "*" }

function corsOf(request: Request): Record<string, string> {
  return {
    "access-control-allow-origin": request.headers.get("origin") ?? "*",
    "access-control-allow-credentials": "true",
    "access-control-allow-headers": "content-type",
    vary: "origin",
  }
}

function listOf(body: string): Record<string, unknown>[] {
  const value = JSON.parse(body)
  return Array.isArray(value) ? value : [value]
}

async function forward(upstream: string, request: Request, body: string): Promise<Response> {
  const { pathname, search } = new URL(request.url)
  const headers = new Headers(request.headers)
  headers.delete("host")
  const hasBody = request.method === "POST"
  const response = await fetch(`${upstream}${pathname}${search}`, {
    method: request.method,
    headers,
    ...(hasBody ? { body } : {}),
  })
  // The body is already unpacked.
  const copied = new Headers(response.headers)
  copied.delete("content-encoding")
  copied.delete("content-length")
  return new Response(response.status === 204 ? null : await response.arrayBuffer(), {
    status: response.status,
    headers: copied,
  })
}

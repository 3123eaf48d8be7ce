/** An item that the page script sent, and the path to which it was sent. The path of pixels is `/px.jpg`. */
export interface Item {
  path: string
  /** The fields as sent. */
  fields: Record<string, unknown>
}

/** A server in front of the real one that records the items that the real one accepts. */
export interface Recorder extends AsyncDisposable {
  port: number
  /** Accepted items in order of arrival, with each event ID only once. */
  items: Item[]
  /** All accepted event IDs, including those from before the last `reset`. */
  accepted: Set<unknown>
  /** Number of requests to the endpoints, regardless of the response. */
  requests: number
  /** Responses other than 2xx that were not caused by `failures`. */
  unexpected: string[]
  /** Statuses with which the next requests to the endpoints fail. */
  failures: number[]
  /** Clears everything except `accepted`. */
  reset: () => void
}

const paths = ["/", "/batch", "/track", "/vitals", "/errors", "/engagement", "/identify"]

/** Forwards everything to a server and records the items that the server accepts. */
export function openRecorder(upstream: string): Recorder {
  const answer = async (request: Request): Promise<Response> => {
    const { pathname, searchParams } = new URL(request.url)
    const isPixel = pathname === "/px.jpg"
    const hasItems = isPixel || (request.method === "POST" && paths.includes(pathname))
    if (!hasItems) return forward(upstream, request, "")
    recorder.requests++
    const failure = recorder.failures.shift()
    if (failure) return new Response(null, { status: failure, headers: corsOf(request) })
    const body = await request.text()
    const response = await forward(upstream, request, body)
    if (!response.ok)
      recorder.unexpected.push(`${pathname} ${response.status}: ${await response.clone().text()}`)
    else
      for (const fields of isPixel ? [Object.fromEntries(searchParams)] : listOf(body))
        record(pathname, fields)
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
  // `fetch` has already decompressed the body.
  const copied = new Headers(response.headers)
  copied.delete("content-encoding")
  copied.delete("content-length")
  return new Response(response.status === 204 ? null : await response.arrayBuffer(), {
    status: response.status,
    headers: copied,
  })
}

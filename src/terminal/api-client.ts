import { messageOf, UserError } from "../errors.ts"
import type { Context } from "./context.ts"

/** Maximum duration of a GET request, in ms. */
const timeout = 10_000
/** Maximum duration of a query, in ms. */
const queryTimeout = 600_000

const hints: Record<number, string> = {
  401: "set DATABUDDY_KEY to an active key; `databuddy key list` shows the state of each key",
  403: "use a key with the scope read:data for this website; create one with `databuddy key create --scope read:data`",
}

/**
 * Sends a GET request, or a POST request if there is a body, and returns the JSON response. Throws a UserError unless
 * the request succeeds.
 */
export async function callServer<Body extends object>(
  url: string,
  path: string,
  context: Context,
  body?: unknown,
): Promise<Body> {
  const signal = AbortSignal.timeout(body === undefined ? timeout : queryTimeout)
  const response = await request(url, path, context, signal, body)
  const json = parseObject(await response.text().catch((error) => throwUnreachable(url, error)))
  // The type assertion is safe because a successful response has the format defined by the server's API.
  if (response.status === 200 && json?.success === true) return json as Body
  throw statusError(url, response.status, json)
}

/**
 * Opens a streaming response that has no end, such as the event stream. Throws a UserError unless the request succeeds.
 */
export async function openStream(
  url: string,
  path: string,
  context: Context,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const response = await request(url, path, context, signal)
  if (response.status === 200 && response.body) return response.body
  throw statusError(url, response.status, parseObject(await response.text()))
}

async function request(
  address: string,
  path: string,
  { env }: Context,
  signal: AbortSignal,
  body?: unknown,
): Promise<Response> {
  const key = env.DATABUDDY_KEY ?? ""
  // The key is not a command-line argument, because any user on the machine can see the arguments of running processes.
  if (key === "") throw new UserError("DATABUDDY_KEY is not set", "set it to a key with the scope read:data")
  const url = URL.parse(address)
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new UserError(`--url ${address} is not a URL`, "use a URL such as http://127.0.0.1:4000")
  }
  try {
    return await fetch(`${url.href.replace(/\/$/, "")}${path}`, {
      headers: { Authorization: `Bearer ${key}` },
      // Redirects are not followed, because a redirect could send the key to a different server.
      redirect: "manual",
      signal,
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    })
  } catch (error) {
    return throwUnreachable(address, error)
  }
}

function throwUnreachable(address: string, error: unknown): never {
  throw new UserError(
    `no response from ${originOf(address)}: ${messageOf(error)}`,
    "start the server, or set its URL with --url",
  )
}

function statusError(address: string, status: number, body: Record<string, unknown> | undefined): UserError {
  return new UserError(
    `${originOf(address)} responded with ${status}${typeof body?.error === "string" ? `: ${body.error}` : ""}`,
    hints[status] ?? "check --url; --help lists the options",
  )
}

function originOf(address: string): string {
  return URL.parse(address)?.origin ?? address
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text)
    return typeof value === "object" && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

import { UserError } from "../errors.ts"
import type { Context } from "./context.ts"

/** ms that a server has to answer. */
const timeout = 10_000
/** ms that it has to answer a question. */
const queryTimeout = 600_000

const hints: Record<number, string> = {
  401: "DATABUDDY_KEY must hold a key that works: databuddy key list shows which do",
  403: "it takes a key with the scope read:data, for that website: databuddy key create --scope read:data",
}

/** What a running server answers to GET, or to POST where there is a body. Throws a Complaint where it is no success. */
export async function callServer(
  url: string,
  path: string,
  context: Context,
  body?: unknown,
): Promise<Record<string, unknown>> {
  const limit = AbortSignal.timeout(body === undefined ? timeout : queryTimeout)
  const response = await request(url, path, context, limit, body)
  const answer = parsed(await response.text().catch((error) => fail(url, error)))
  if (response.status === 200 && answer?.success === true) return answer
  throw refused(url, response.status, answer)
}

/** The body of an answer that has no end. */
export async function openStream(
  url: string,
  path: string,
  context: Context,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const response = await request(url, path, context, signal)
  if (response.status === 200 && response.body) return response.body
  throw refused(url, response.status, parsed(await response.text()))
}

async function request(
  address: string,
  path: string,
  { env }: Context,
  signal: AbortSignal,
  body?: unknown,
): Promise<Response> {
  const key = env.DATABUDDY_KEY ?? ""
  // An argument would be seen by everybody who lists processes.
  if (key === "") throw new UserError("DATABUDDY_KEY is not set", "put a key with the scope read:data there")
  const url = URL.parse(address)
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new UserError(`--url ${address} is no address`, "give it as http://127.0.0.1:4000")
  }
  try {
    return await fetch(`${url.href.replace(/\/$/, "")}${path}`, {
      headers: { Authorization: `Bearer ${key}` },
      // The key is for this server, not for one that it names.
      redirect: "manual",
      signal,
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    })
  } catch (error) {
    return fail(address, error)
  }
}

function fail(address: string, error: unknown): never {
  throw new UserError(
    `no answer from ${originOf(address)}: ${(error as Error).message}`,
    "start the server, or give its address with --url",
  )
}

function refused(address: string, status: number, body: Record<string, unknown> | undefined): UserError {
  return new UserError(
    `${originOf(address)} answered ${status}${typeof body?.error === "string" ? `: ${body.error}` : ""}`,
    hints[status] ?? "--url names the server, and --help shows what can be asked",
  )
}

function originOf(address: string): string {
  return URL.parse(address)?.origin ?? address
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text)
    return typeof value === "object" && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

import { codeOf } from "../errors.ts"
import { version } from "../version.ts"

/** A certificate to request. */
export interface CertificateOrder {
  names: readonly string[]
  /** URL of the authority's directory. */
  directory: string
  email: string | undefined
  /** The account key and the certificate key, in PEM. */
  accountKey: Buffer
  key: Buffer
  /**
   * Responses that the HTTP server gives to the authority's challenges, by token. Contains entries only while the
   * authority checks the names.
   */
  challenges: Map<string, string>
  /**
   * Delays in ms between polls of the authority. The first delay is `min`. Each further delay is twice as long, up to
   * `max`.
   */
  poll: { min: number; max: number }
}

/** Thrown when the authority does not issue a certificate. */
export class AcmeError extends Error {
  /**
   * An error type from RFC 8555, section 6.7, without its prefix, or one of two types that only this program uses:
   * `unreachable` and `unverified`. Empty if unknown.
   */
  readonly type: string
  /** Seconds to wait before a retry. Undefined if the authority did not specify a time. */
  readonly retryAfter: number | undefined

  constructor(message: string, type: string, retryAfter?: number) {
    super(message)
    this.type = type
    this.retryAfter = retryAfter
  }
}

/** Timeout in ms of one request, including reading the body of the response. */
const timeout = 30_000
/** An order counts as failed after this many polls. */
const polls = 12
/** Longer messages from the authority are truncated to this many characters. */
const maxDetail = 500

const typePrefix = "urn:ietf:params:acme:error:"

/**
 * Creates a private key in PEM. Uses P-256, because all clients support it, and a handshake takes a tenth as long as
 * with RSA.
 */
export async function createPrivateKey(): Promise<Buffer> {
  const { crypto } = await import("acme-client")
  return crypto.createPrivateEcdsaKey("P-256")
}

/**
 * Requests a certificate. Registers the account if the authority does not know it. Returns the certificate chain in
 * PEM, starting with the server's certificate. Throws an AcmeError. Its type is `unreachable` if the authority could
 * not be reached, `unverified` if the authority could not verify a name, or the type that the authority sent.
 */
export async function orderCertificate(order: CertificateOrder): Promise<string> {
  const { names, directory, email, accountKey, key, challenges, poll } = order
  // The library is loaded on demand, because most servers never need it.
  const { axios, Client, crypto } = await import("acme-client")
  axios.defaults.adapter = send
  const client = new Client({
    directoryUrl: directory,
    accountKey,
    backoffAttempts: polls,
    backoffMin: poll.min,
    backoffMax: poll.max,
  })
  const [, csr] = await crypto.createCsr({ altNames: [...names] }, key)
  const issued = client.auto({
    csr,
    ...(email === undefined ? {} : { email }),
    termsOfServiceAgreed: true,
    challengePriority: ["http-01"],
    // Skipped, because a machine behind a router often cannot reach its own public address.
    skipChallengeVerification: true,
    challengeCreateFn: async (_, { type, token }, keyAuthorization) => {
      if (type !== "http-01")
        throw new AcmeError(`the authority offers no challenge over HTTP, only ${type}`, "malformed")
      challenges.set(token, keyAuthorization)
    },
    challengeRemoveFn: async (_, { token }) => {
      challenges.delete(token)
    },
  })
  return issued.catch((error: Error) => {
    throw error instanceof AcmeError ? error : new AcmeError(error.message, "unverified")
  })
}

/** The parts of an axios request that `send` uses. */
interface Request {
  url?: string
  method?: string
  headers: object
  data?: unknown
}

/**
 * Sends a request for the ACME client. Replaces the client's own transport, which has no timeout, waits inside a
 * request for as long as the authority asks (which can be hours), and discards error types. Like all requests from
 * this program, these requests go through HTTPS_PROXY if it is set.
 */
async function send<Config extends Request>(config: Config) {
  const { url = "", method = "GET", headers, data } = config
  const { host } = new URL(url)
  let response: Response
  let text: string
  try {
    response = await fetch(url, {
      method: method.toUpperCase(),
      headers: { ...Object.fromEntries(Object.entries(headers)), "User-Agent": `databuddy/${version}` },
      ...(typeof data === "string" ? { body: data } : {}),
      redirect: "error",
      signal: AbortSignal.timeout(timeout),
    })
    text = await response.text()
  } catch (cause) {
    const { name, message } = cause as Error
    const reason =
      name === "TimeoutError" ? `no answer within ${timeout / 1_000} s` : codeOf(cause) || message
    throw new AcmeError(`${host} cannot be reached: ${reason}`, "unreachable")
  }
  const { status, statusText } = response
  const problem = status >= 400 ? problemOf(response, text, host) : undefined
  // After `badNonce`, the client itself repeats the request with a new nonce.
  if (problem && problem.type !== "badNonce") throw problem
  return { data: text, status, statusText, headers: Object.fromEntries(response.headers), config }
}

/** Returns the error for an error response, whose body may be a problem document (RFC 7807). */
function problemOf({ status, headers }: Response, text: string, host: string): AcmeError {
  let [type, detail] = ["", ""]
  try {
    const problem = JSON.parse(text) as { type?: unknown; detail?: unknown }
    type = String(problem.type ?? "").replace(typePrefix, "")
    detail = String(problem.detail ?? "").slice(0, maxDetail)
  } catch {
    // The body is empty or a proxy's error page.
  }
  const message = `${host} answered ${status}${type && ` ${type}`}${detail && `: ${detail}`}`
  // A 5xx response without an error type probably comes from a proxy in front of the authority.
  const isTemporary = type === "" && status >= 500
  return new AcmeError(
    message,
    isTemporary ? "unreachable" : type,
    retryAfterOf(headers, Date.parse(headers.get("date") ?? "")),
  )
}

/**
 * Returns the delay from the Retry-After header, in seconds, or undefined if the header is missing, invalid or in the
 * past. `now`: time of the response, in Unix ms.
 */
function retryAfterOf(headers: Headers, now: number): number | undefined {
  const text = headers.get("retry-after")
  if (text === null) return undefined
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : Math.ceil((Date.parse(text) - now) / 1_000)
  return seconds > 0 ? seconds : undefined
}

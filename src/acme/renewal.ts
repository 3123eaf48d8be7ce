import { messageOf, UserError } from "../errors.ts"
import type { Log, LogFields } from "../log.ts"
import type { CertificateState } from "../metrics/metrics.ts"
import type { ServeOptions } from "../serve-options.ts"
import { checkTls } from "../server/listen.ts"
import type { Tls } from "../server/tls.ts"
import type { Context } from "../terminal/context.ts"
import { AcmeError, createPrivateKey, orderCertificate } from "./client.ts"
import { AcmeFolder, parseCertificate } from "./folder.ts"
import { startHttpServer } from "./http-server.ts"

export type AcmeOptions = Pick<
  ServeOptions,
  "host" | "port" | "acmeDir" | "acmeEmail" | "acmeDirectory" | "acmeHttpPort"
> & { acme: readonly string[] }

type AcmeContext = Pick<Context, "environment" | "sleep">

/** A certificate is renewed when this fraction of its lifetime remains (for example, 30 of 90 days). */
const renewalShare = 1 / 3
/**
 * Maximum ms between checks of whether a renewal is due. A single long timer would fire late if the wall clock is set
 * forward or the machine sleeps in the meantime.
 */
const checkInterval = 6 * 3_600_000
/**
 * Minimum ms between putting a certificate into use and the next order. For a certificate with a very short lifetime,
 * the minimum is a tenth of the lifetime.
 */
const minPause = 3_600_000
/**
 * Delay in ms before the first retry. It doubles with each consecutive failure. The authority counts failed orders
 * (Let's Encrypt blocks a name after five in an hour), but cannot count requests that did not reach it (`unreachable`).
 */
const firstRetry = { counted: 300_000, unreachable: 30_000 }
const longestRetry = 3_600_000
/**
 * Each delay is extended by a random amount, up to this fraction of the delay, so that servers that failed at the same
 * time do not retry at the same time.
 */
const maxJitter = 0.25
/** A longer Retry-After is shortened to this many ms. */
const longestRetryAfter = 86_400_000
/** Delays in ms between polls of the authority. */
const standardPoll = { min: 1_000, max: 8_000 }

/** Obtains and renews a server's certificate, and runs the plain-HTTP server that answers challenges. */
export class AcmeCertificate {
  /** State for the metrics. */
  readonly state: CertificateState & { renewals: { failures: number; lastFailure: number } }
  readonly #folder: AcmeFolder
  readonly #challenges = new Map<string, string>()
  /** The certificate in use. */
  #tls: Tls | undefined
  /** A newer certificate that is not in use yet. */
  #obtained: Tls | undefined
  #httpServer: Bun.Server<undefined> | undefined
  #consecutiveFailures = 0
  /** No order is sent before this time on the monotonic clock, in ms. */
  #retryAt = Number.NEGATIVE_INFINITY
  #wakeUp = Promise.withResolvers<void>()
  #isStopping = false

  /**
   * Reads the stored certificate. `db`: path of the database. `poll`: delays in ms between polls of the authority.
   * Throws a UserError if the folder cannot be used.
   */
  constructor(
    private readonly options: AcmeOptions,
    db: string,
    private readonly context: AcmeContext,
    private readonly log: Log,
    private readonly poll = standardPoll,
  ) {
    this.#folder = new AcmeFolder(options, db)
    this.#folder.prepare()
    const stored = this.#folder.readCertificate()
    const problem = stored && ("problem" in stored ? stored.problem : rejectionOf(stored.tls, options.host))
    if (problem !== undefined) {
      log("warn", "the stored certificate cannot be used; requesting another", {
        file: this.#folder.certificateFile,
        error: problem,
      })
    } else if (stored && "tls" in stored) this.#tls = stored.tls
    this.state = { expiresAt: this.#tls?.expiresAt ?? 0, renewals: { failures: 0, lastFailure: 0 } }
    this.#logStored()
  }

  /** The certificate in use, if there is one. */
  get tls(): Tls | undefined {
    return this.#tls
  }

  /**
   * Returns the server's public origin for a name, which defaults to the first name. Certificate authorities validate
   * domain names on port 80. So if `--acme-http-port` is not 80, port 80 is forwarded to it, and port 443 is then
   * probably forwarded to the HTTPS port. `port`: the HTTPS port.
   */
  originOf(port: number, name = this.options.acme[0]): string {
    const isPublic = this.options.acmeHttpPort === 80
    return new URL(`https://${name}:${isPublic ? port : 443}`).origin
  }

  /**
   * Listens on the HTTP port and returns its number. `port`: the port of the HTTPS server. Throws a UserError if the
   * HTTP port cannot be used.
   */
  listen(port: number): number {
    const { host, acmeHttpPort, acme: names } = this.options
    const server = startHttpServer({
      host,
      port: acmeHttpPort,
      names,
      originOf: (name) => this.originOf(port, name),
      hasCertificate: () => this.#tls !== undefined,
      challenges: this.#challenges,
    })
    this.#httpServer = server
    return server.port ?? acmeHttpPort
  }

  /**
   * Requests certificates when they are due, until `stop` is called. `install` puts a certificate into use for new
   * connections. If `install` throws for the first certificate, the server cannot serve anything, and the promise
   * rejects with that error.
   */
  async run(install: (tls: Tls) => Promise<unknown>): Promise<void> {
    while (!this.#isStopping) {
      const pause = Math.min(this.#msUntilDue(), checkInterval)
      if (pause > 0) {
        await Promise.race([this.context.sleep(pause), this.#wakeUp.promise])
        continue
      }
      this.#obtained ??= await this.#request()
      if (this.#obtained && !this.#isStopping) await this.#install(this.#obtained, install)
    }
  }

  /** If the last order failed, retries it now instead of after the delay. Returns false if no retry is pending. */
  retryNow(): boolean {
    if (this.#consecutiveFailures === 0) return false
    this.#retryAt = Number.NEGATIVE_INFINITY
    this.#wake()
    return true
  }

  /** Closes the HTTP port and stops requesting certificates. Does not wait for an order in progress. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#wake()
    await this.#httpServer?.stop(true)
  }

  #wake(): void {
    this.#wakeUp.resolve()
    this.#wakeUp = Promise.withResolvers()
  }

  #msUntilDue(): number {
    const { now, elapsed } = this.context.environment
    return Math.max(this.#renewsAt - now(), this.#retryAt - elapsed())
  }

  /** When to request or install a certificate, in Unix ms. -Infinity means immediately. */
  get #renewsAt(): number {
    if (this.#tls === undefined || this.#obtained !== undefined) return Number.NEGATIVE_INFINITY
    return this.#renewalOf(this.#tls)
  }

  #renewalOf(tls: Tls): number {
    if (!this.options.acme.every((name) => tls.covers(name))) return Number.NEGATIVE_INFINITY
    return tls.expiresAt - (tls.expiresAt - tls.validFrom) * renewalShare
  }

  /** Requests a certificate and stores it. On failure, logs the error and returns undefined. */
  async #request(): Promise<Tls | undefined> {
    const { acme: names, acmeDirectory: directory, acmeEmail: email, host } = this.options
    this.log("info", "requesting a certificate", { names: names.join(","), directory })
    try {
      // Checks the folder before the order, because every issued certificate counts toward the authority's limit for
      // the name, even if it cannot be stored.
      this.#folder.prepare()
      const accountKey = await this.#folder.accountKey(createPrivateKey)
      const key = await createPrivateKey()
      const order = {
        names,
        directory,
        email,
        accountKey,
        key,
        challenges: this.#challenges,
        poll: this.poll,
      }
      const tls = parseCertificate(Buffer.from(await orderCertificate(order)), key)
      const missing = names.filter((name) => !tls.covers(name))
      if (missing.length > 0) throw new Error(`the certificate does not cover: ${missing.join(", ")}`)
      checkTls(tls, host, source)
      this.#store(tls)
      return tls
    } catch (error) {
      this.#fail(error as Error)
      return undefined
    }
  }

  #store(tls: Tls): void {
    const file = this.#folder.certificateFile
    this.log("info", "obtained a certificate", { ...this.#facts(tls), file })
    const problem = tls.validityProblem(this.context.environment.now())
    if (problem) this.log("warn", problem, { hint: "check the clock of this machine" })
    try {
      this.#folder.writeCertificate(tls)
    } catch (error) {
      this.log("error", "the certificate could not be stored; another will be requested at the next start", {
        file,
        error: messageOf(error),
      })
    }
  }

  async #install(tls: Tls, install: (tls: Tls) => Promise<unknown>): Promise<void> {
    try {
      await install(tls)
    } catch (error) {
      if (this.#tls === undefined || !(error instanceof UserError)) throw error
      this.#fail(error)
      return
    }
    this.#tls = tls
    this.#obtained = undefined
    this.#consecutiveFailures = 0
    // Pauses before the next order even if the new certificate is already due for renewal, which happens if the clock
    // is wrong.
    const pause = Math.min(minPause, (tls.expiresAt - tls.validFrom) / 10)
    this.#retryAt = this.context.environment.elapsed() + pause
    this.state.expiresAt = tls.expiresAt
  }

  #fail(error: Error): void {
    const { now, elapsed } = this.context.environment
    const wait = this.#waitAfter(error)
    this.#consecutiveFailures++
    this.#retryAt = elapsed() + wait
    this.state.renewals.failures++
    this.state.renewals.lastFailure = now()
    const isUsable = this.#tls !== undefined && this.#tls.validityProblem(now()) === undefined
    const message =
      this.#tls === undefined
        ? "no certificate yet; HTTPS starts once there is one"
        : "the certificate was not renewed; the previous one stays in use"
    this.log(isUsable ? "warn" : "error", message, {
      error: error.message,
      hint: hintFor(error, this.options),
      ...(this.#tls ? { valid_to: this.#tls.validTo } : {}),
      next_attempt: new Date(now() + wait).toISOString(),
    })
  }

  /** Returns the delay in ms from a failure to the next order. */
  #waitAfter(error: Error): number {
    const isUnreachable = error instanceof AcmeError && error.type === "unreachable"
    const first = isUnreachable ? firstRetry.unreachable : firstRetry.counted
    const wait = Math.min(first * 2 ** this.#consecutiveFailures, longestRetry)
    const retryAfter = error instanceof AcmeError ? (error.retryAfter ?? 0) * 1_000 : 0
    const [byte = 0] = this.context.environment.random(new Uint8Array(1))
    const longest = Math.max(wait, Math.min(retryAfter, longestRetryAfter))
    return Math.round(longest * (1 + (byte / 255) * maxJitter))
  }

  #logStored(): void {
    const tls = this.#tls
    if (tls === undefined) return
    this.log("info", "using the stored certificate", {
      ...this.#facts(tls),
      file: this.#folder.certificateFile,
    })
    const problem = tls.validityProblem(this.context.environment.now())
    if (problem) this.log("warn", problem, {})
  }

  #facts(tls: Tls): LogFields {
    const renewsAt = this.#renewalOf(tls)
    return {
      names: this.options.acme.join(","),
      valid_to: tls.validTo,
      renews_at: Number.isFinite(renewsAt) ? new Date(renewsAt).toISOString() : "now",
    }
  }
}

const source = { certificate: "the authority's certificate" }

/**
 * Returns why OpenSSL rejects the certificate or one of its issuers, or undefined if it accepts them. The server would
 * not start with a rejected certificate.
 */
function rejectionOf(tls: Tls, host: string): string | undefined {
  try {
    checkTls(tls, host, source)
    return undefined
  } catch (error) {
    if (error instanceof UserError) return error.message
    throw error
  }
}

const retries = "a reload (SIGHUP) retries immediately"

/** Hints for AcmeErrors, by error type. */
const hints: Record<string, string> = {
  unreachable: "check the network connection, this machine's clock and --acme-directory",
  rateLimited:
    "wait; use the staging directory (--acme-directory https://acme-staging-v02.api.letsencrypt.org/directory) until your setup works",
  invalidContact: "change --acme-email",
  unsupportedContact: "change --acme-email",
  rejectedIdentifier: "the authority does not issue certificates for this name; check --acme",
  caa: "allow this authority in the DNS CAA records",
}

function hintFor(error: Error, { acme, acmeHttpPort }: AcmeOptions): string {
  if (error instanceof UserError) return error.hint ?? retries
  const type = error instanceof AcmeError ? error.type : ""
  if (type === "unverified") {
    const forwarded = acmeHttpPort === 80 ? "" : `, forwarded to port ${acmeHttpPort} of this machine`
    return `the authority must be able to reach port 80 on ${acme.join(", ")}${forwarded}: check DNS (A and AAAA), firewalls and forwarding; ${retries}`
  }
  return hints[type] ?? `check --acme and --acme-directory; ${retries}`
}

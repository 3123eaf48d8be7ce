import { messageOf, UserError } from "../errors.ts"
import { jsonHeaders } from "../http/headers.ts"
import { errorResponse } from "../ingest/responses.ts"
import type { ServeOptions } from "../serve-options.ts"
import type { OpenServer } from "./open-server.ts"
import type { Tls } from "./tls.ts"

/** How long a connection can be idle, even while a request is being received, in seconds. */
const idleTimeout = 10

/** True if two listeners can share a port. In that case, the port stays open while one replaces the other. */
const sharesPort = process.platform === "linux"

type Address = Pick<ServeOptions, "host" | "port">
type BunServer = NonNullable<OpenServer["app"]["server"]>

/**
 * The protocol of the server. If `tls` is undefined, HTTPS starts once `replaceTls` receives the first certificate.
 */
export type Protocol = { https: false } | { https: true; tls?: Tls | undefined }

/** Accepts the connections of the server. */
export class Listener {
  readonly #server: OpenServer
  readonly #address: Address
  #tls: Tls | undefined
  /** Undefined while HTTPS waits for its first certificate. */
  #current: BunServer | undefined
  /**
   * Listeners with an earlier certificate that are still finishing requests. Each promise resolves when its listener
   * has stopped.
   */
  readonly #previous = new Map<BunServer, Promise<void>>()

  /**
   * Listens on the address of `--host` and `--port`. Throws a UserError if the system rejects the address or the
   * certificate.
   */
  constructor(server: OpenServer, address: Address, protocol: Protocol) {
    this.#server = server
    this.#tls = protocol.https ? protocol.tls : undefined
    // Tests the port first, because a listener that shares its port would not notice that another program uses the same
    // port, and because no certificate should be requested for an unusable port.
    const freePort = protocol.https ? tryOut(address, this.#tls) : address.port
    const isWaiting = protocol.https && this.#tls === undefined
    this.#current = isWaiting ? undefined : listen(server, address, this.#tls)
    this.#address = { host: address.host, port: this.#current?.port ?? freePort }
  }

  /** Undefined while HTTPS waits for its first certificate. */
  get url(): URL | undefined {
    return this.#current?.url
  }

  /** The port. If `--port` is 0, this is the port that the system chose. */
  get port(): number {
    return this.#address.port
  }

  get pendingRequests(): number {
    return this.#all.reduce((sum, { pendingRequests }) => sum + pendingRequests, 0)
  }

  /** Closes connections that have no request in progress, and returns how many there were. */
  closeIdleConnections(): number {
    return this.#all.reduce((sum, server) => sum + server.closeIdleConnections(), 0)
  }

  /**
   * Uses a different certificate for new connections. Requests in progress and event streams continue, and idle
   * connections are closed. Bun cannot replace the certificate of a listener (`reload` ignores it), so a new listener
   * replaces the old one. If this is the first certificate, starts the listener. Resolves to false if the certificate
   * is unchanged. If the certificate cannot be used, rejects with a UserError and changes nothing.
   */
  async replaceTls(tls: Tls): Promise<boolean> {
    if (this.#tls?.cert.equals(tls.cert) && this.#tls.key.equals(tls.key)) return false
    // Makes OpenSSL check the files first, because the listener must not be replaced if they are rejected.
    checkTls(tls, this.#address.host)
    const previous = this.#current
    if (previous === undefined) {
      tryOut(this.#address, tls)
      this.#current = listen(this.#server, this.#address, tls)
      this.#tls = tls
      return true
    }
    const forget = () => void this.#previous.delete(previous)
    if (sharesPort) {
      this.#current = listen(this.#server, this.#address, tls)
      // Lets the old listener accept connections that are already in its queue. Without this pause, four times as many
      // connections are reset.
      const accepted = Bun.sleep(0)
      this.#previous.set(previous, accepted.then(() => previous.stop()).then(forget))
      await accepted
    } else {
      this.#previous.set(previous, previous.stop().then(forget))
      this.#current = listenAgain(this.#server, this.#address, tls)
    }
    this.#tls = tls
    return true
  }

  /**
   * Closes the port, and resolves when all requests are finished. If `closeConnections` is true, ends the requests
   * instead of waiting for them.
   */
  async stop(closeConnections = false): Promise<void> {
    const previous = closeConnections
      ? [...this.#previous.keys()].map((server) => server.stop(true))
      : [...this.#previous.values()]
    await Promise.all([this.#current?.stop(closeConnections), ...previous])
  }

  get #all(): BunServer[] {
    return [...(this.#current ? [this.#current] : []), ...this.#previous.keys()]
  }
}

function listen({ app, deps }: OpenServer, options: Address, tls: Tls | undefined): BunServer {
  const before = process.listeners("beforeExit")
  try {
    app.listen({
      hostname: options.host,
      port: options.port,
      ...(tls ? { tls: tlsFiles(tls) } : {}),
      // With `reusePort`, a second server could silently share the port. `tryOut` prevents that.
      reusePort: tls !== undefined && sharesPort,
      idleTimeout,
      // Bun's own 413 response has no CORS headers, so the routes count bytes instead.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      // In development mode, Bun responds to an uncaught error with its stack and source code.
      development: false,
      error: (error) => {
        deps.logError(error, {})
        return errorResponse(error, jsonHeaders(deps.newId()))
      },
    })
  } catch (error) {
    throw listenError(error, options)
  }
  if (!app.server) throw new Error("the server did not start")
  // Removes the handler with which Elysia stops the listener on exit, because this process never exits that way.
  for (const listener of process.listeners("beforeExit")) {
    if (!before.includes(listener)) process.off("beforeExit", listener)
  }
  return app.server
}

/**
 * Listens again after the previous listener has closed the port. On failure, the server is no longer listening, so this
 * throws a plain Error, which ends the process. After a UserError, the process would continue.
 */
function listenAgain(server: OpenServer, address: Address, tls: Tls): BunServer {
  try {
    return listen(server, address, tls)
  } catch (error) {
    throw new Error(`the server is no longer listening: ${messageOf(error)}`, { cause: error })
  }
}

/** Throws a UserError if OpenSSL rejects the certificate or its key. */
export function checkTls(tls: Tls, host: string, flags?: Partial<AddressFlags>): void {
  tryOut({ host, port: 0 }, tls, flags)
}

/**
 * Briefly listens with the certificate and key in `tls`, without sharing the port, and returns the port. Throws a
 * UserError on failure.
 */
function tryOut(address: Address, tls: Tls | undefined, flags?: Partial<AddressFlags>): number {
  try {
    const server = Bun.serve({
      hostname: address.host,
      port: address.port,
      ...(tls ? { tls: tlsFiles(tls) } : {}),
      reusePort: false,
      fetch: () => new Response(),
    })
    void server.stop(true)
    return server.port ?? address.port
  } catch (error) {
    throw listenError(error, address, flags)
  }
}

const tlsFiles = ({ cert, key }: Tls) => ({ cert, key })

/**
 * Parts of error messages about an address: the flag that sets the port, the source of the certificate, and advice for
 * an unprivileged process.
 */
interface AddressFlags {
  port: string
  certificate: string
  unprivileged: string
}

const serverFlags: AddressFlags = {
  port: "--port",
  certificate: "--tls-cert and --tls-key",
  unprivileged: "use a --port of 1024 or above behind a proxy",
}

/** Converts an error from listen(2), the resolver or OpenSSL to a UserError. Returns other errors unchanged. */
export function listenError(
  error: unknown,
  { host, port }: Address,
  changes: Partial<AddressFlags> = {},
): unknown {
  const flags = { ...serverFlags, ...changes }
  const { code, syscall, message } = error as NodeJS.ErrnoException
  if (code?.startsWith("ERR_OSSL")) {
    return new UserError(
      `${flags.certificate} cannot be used: ${message}`,
      "put the server's certificate first in the file, then the certificates that signed it, all in PEM",
    )
  }
  if (code === "EADDRINUSE") {
    return new UserError(
      `port ${port} on ${host} is used by another process`,
      `stop that process, or choose another ${flags.port}`,
    )
  }
  if (code === "EACCES" || code === "EPERM") {
    return new UserError(
      `${flags.port} ${port}: this user is not allowed to listen on port ${port} of ${host} (${code})`,
      `${flags.unprivileged}, or grant the process CAP_NET_BIND_SERVICE`,
    )
  }
  if (syscall === "listen" || syscall === "getaddrinfo") {
    return new UserError(
      `cannot listen on --host ${host} ${flags.port} ${port} (${code})`,
      "set --host to an address of this machine: 127.0.0.1 for local connections only, or 0.0.0.0 for all network interfaces",
    )
  }
  return error
}

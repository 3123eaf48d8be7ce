import { UserError } from "../errors.ts"
import { jsonHeaders } from "../http/headers.ts"
import { errorResponse } from "../ingest/responses.ts"
import type { ServeOptions } from "../serve-options.ts"
import type { OpenServer } from "./open-server.ts"
import type { Tls } from "./tls.ts"

/** Seconds that a client can take to send a request, or keep an idle connection open. */
const idleTimeout = 10

/** Listens on the address of `--host` and `--port`. Throws a UserError if the system refuses the address or the certificate. */
export function listen(
  { app, deps }: OpenServer,
  options: Pick<ServeOptions, "host" | "port">,
  tls: Tls | undefined,
) {
  try {
    app.listen({
      hostname: options.host,
      port: options.port,
      ...(tls ? { tls: { cert: tls.cert, key: tls.key } } : {}),
      // With `reusePort` a second server would share the port silently.
      reusePort: false,
      idleTimeout,
      // Bun's own 413 has no CORS headers; the routes count the bytes themselves.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      // In development mode Bun answers an uncaught error with its stack and our source.
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
  return app.server
}

/** Converts an error of listen(2), the resolver or OpenSSL to a UserError. Returns any other error unchanged. */
function listenError(error: unknown, { host, port }: Pick<ServeOptions, "host" | "port">): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException
  if (code?.startsWith("ERR_OSSL")) {
    return new UserError(
      `--tls-cert and --tls-key cannot be used: ${message}`,
      "put the server's certificate first in the file, then the certificates that signed it, all in PEM",
    )
  }
  if (code === "EADDRINUSE") {
    return new UserError(
      `port ${port} on ${host} is used by another process`,
      "stop that process, or choose another --port",
    )
  }
  if (code === "EACCES" || code === "EPERM") {
    return new UserError(
      `--port ${port}: this user is not allowed to listen on port ${port} of ${host} (${code})`,
      "use a --port of 1024 or above behind a proxy, or grant the process CAP_NET_BIND_SERVICE",
    )
  }
  if (syscall === "listen" || syscall === "getaddrinfo") {
    return new UserError(
      `cannot listen on --host ${host} --port ${port} (${code})`,
      "set --host to an address of this machine: 127.0.0.1 accepts local connections only, 0.0.0.0 accepts all networks",
    )
  }
  return error
}

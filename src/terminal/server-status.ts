import { isIPv6 } from "node:net"
import { messageOf } from "../errors.ts"
import type { ServeOptions } from "../serve-options.ts"

/** The flags of `serve` that determine where it listens, for `addFlagsOfServe`. */
export const listenFlags = ["--host", "--port", "--tls-cert", "--acme", "--acme-http-port"] as const

export type ListenOptions = Pick<ServeOptions, "host" | "port" | "tlsCert" | "acme" | "acmeHttpPort">

export interface ServerStatus {
  /** Status code of the response. Undefined if there was no response. */
  code: number | undefined
  /** A status such as `ok`, `ready` or `disk_low`, or the reason why there was no response. */
  status: string
}

/** Maps wildcard addresses to the addresses at which this machine can reach a server that listens on them. */
const wildcards: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1" }

/** Returns the URL at which this machine can reach a server with these options. */
export function localUrl({ host, port, tlsCert, acme }: ListenOptions): string {
  const isHttps = tlsCert !== undefined || acme !== undefined
  return `${isHttps ? "https" : "http"}://${localName(host)}:${port}`
}

/**
 * Returns the URL at which a server responds while it waits for its first certificate. Returns undefined if the server
 * does not request certificates.
 */
export function urlWithoutCertificate({ host, acme, acmeHttpPort }: ListenOptions): string | undefined {
  return acme && `http://${localName(host)}:${acmeHttpPort}`
}

function localName(host: string): string {
  const address = wildcards[host] ?? host
  return isIPv6(address) ? `[${address}]` : address
}

/** Requests /health or /ready. `timeout` is in ms. Never throws. */
export async function fetchStatus(url: string, path: string, timeout: number): Promise<ServerStatus> {
  try {
    const response = await fetch(url.replace(/\/$/, "") + path, {
      signal: AbortSignal.timeout(timeout),
      redirect: "manual",
      // Skips verification, because the certificate is issued for the public host name, not for this address. This is
      // safe, because neither the request nor the response contains secrets.
      tls: { rejectUnauthorized: false },
    })
    const body = (await response.json().catch(() => ({}))) as { status?: unknown }
    const isOurs = typeof body.status === "string"
    if (response.status === 200 && !isOurs)
      return { code: undefined, status: "another program is responding at this address" }
    return { code: response.status, status: isOurs ? String(body.status) : `status ${response.status}` }
  } catch (error) {
    return { code: undefined, status: `no response: ${messageOf(error)}` }
  }
}

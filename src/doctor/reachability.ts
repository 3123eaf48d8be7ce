import { isIP } from "node:net"
import { isTrustedProxy } from "../http/address.ts"
import type { ServeOptions } from "../serve-options.ts"
import { isoTime, shortTime } from "../terminal/print.ts"

// Checks how clients reach the server.

/** The HTTPS certificate. Times are in Unix ms. */
export interface CertificateFacts {
  /** The file that contains the certificate. */
  file: string
  /** True if the server obtains and renews the certificate (--acme). */
  isRenewed: boolean
  /** Undefined if there is no certificate yet. */
  found: FoundCertificate | undefined
}

export type FoundCertificate =
  | { validFrom: number; expiresAt: number; missingNames: readonly string[] }
  | { failure: { message: string; hint: string | undefined } }

interface Finding {
  about: "proxy" | "https"
  message: string
  hint?: string
}

/**
 * Addresses reserved for documentation, which no proxy has. If one of them is trusted, public addresses are trusted,
 * too.
 */
const documentationAddresses = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"]
/** A certificate should be renewed when it has this many ms left, or a quarter of its lifetime if that is less. */
const lateRenewal = 14 * 86_400_000

/** Checks which clients can reach the server. `isHttps`: whether the server serves HTTPS itself. */
export function checkProxy(
  isHttps: boolean,
  { host, trustProxy, namesProxies }: Pick<ServeOptions, "host" | "trustProxy"> & { namesProxies: boolean },
): Finding[] {
  const about = "proxy"
  if (documentationAddresses.some((address) => isTrustedProxy(address, trustProxy))) {
    return [
      {
        about,
        message:
          "--trust-proxy trusts public internet addresses, so any client can forge its address with X-Forwarded-For and evade rate limits",
        hint: "list only the addresses of your proxies",
      },
    ]
  }
  if (isLoopback(host)) {
    return [{ about, message: `${host} is reachable only from this machine, for example by a proxy on it` }]
  }
  if (isHttps) return [{ about, message: `${host} serves HTTPS` }]
  if (namesProxies) {
    return [{ about, message: `${host} serves HTTP to a proxy in --trust-proxy` }]
  }
  return [
    {
      about,
      message: `${host} is reachable from other machines without TLS, and --trust-proxy lists no remote proxy; keys and visitor ids can be intercepted, or all visitors have the proxy's address`,
      hint: "listen on 127.0.0.1 behind a proxy on this machine, list the proxy in --trust-proxy, or serve HTTPS with --acme or --tls-cert",
    },
  ]
}

export function checkCertificate(certificate: CertificateFacts | undefined, now: number): Finding[] {
  if (certificate === undefined) return []
  const about = "https"
  const dateOf = (time: number) => shortTime(isoTime(time), "")
  const { file, isRenewed, found } = certificate
  if (found === undefined) {
    const message = `there is no certificate yet, so HTTPS is not available: ${file}`
    return [
      {
        about,
        message,
        hint: "start the server; if it is running, its log says why there is no certificate",
      },
    ]
  }
  if ("failure" in found) {
    const { message, hint = "see the server's log" } = found.failure
    return [{ about, message, hint }]
  }
  const { validFrom, expiresAt, missingNames } = found
  const hint = isRenewed
    ? "the server's log says why it was not renewed"
    : "renew it, then reload the server (SIGHUP)"
  const end = dateOf(expiresAt)
  if (now >= expiresAt) return [{ about, message: `the certificate expired on ${end}: ${file}`, hint }]
  if (now < validFrom) {
    const message = `the certificate is not valid before ${dateOf(validFrom)}: ${file}`
    return [{ about, message, hint: "check the clock of this machine" }]
  }
  if (missingNames.length > 0) {
    const message = `the certificate does not have the name ${missingNames.join(", ")}: ${file}`
    return [{ about, message, hint: "the server requests another one; its log says whether that failed" }]
  }
  if (expiresAt - now < Math.min(lateRenewal, (expiresAt - validFrom) / 4)) {
    return [{ about, message: `the certificate expires on ${end}: ${file}`, hint }]
  }
  return [
    {
      about,
      message: `the certificate is valid until ${end}${isRenewed ? ", and is renewed before then" : ""}`,
    },
  ]
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."))
}

import { isIPv6 } from "node:net"

/** The longest name that DNS knows, and a port. */
const maxLength = 259
const named = /^[a-z0-9_][a-z0-9._~-]*(?::(\d{0,5}))?$/i
const bracketed = /^\[([0-9a-f:.]+)\](?::(\d{0,5}))?$/i

const probe = /^\/(?:health|ready)(?:\?|$)/

/** True for a host as a Host header holds it: a name, an IPv4 address or an IPv6 address in brackets, and perhaps a port. */
export function isHost(text: string): boolean {
  if (text.length > maxLength) return false
  const name = named.exec(text)
  if (name) return isPort(name[1])
  const address = bracketed.exec(text)
  return address !== null && isIPv6(address[1] as string) && isPort(address[2])
}

function isPort(text: string | undefined): boolean {
  return text === undefined || Number(text) <= 65_535
}

/**
 * Tells requests whose Host header is none. Bun gives their URL without scheme and host, in which a router finds another path than the
 * one that was asked for. Nearly all requests have the same one, so that the last good one is remembered.
 */
export class HostCheck {
  #last = ""

  isValid({ headers, url }: Request): boolean {
    const host = headers.get("host")
    if (host !== null && host !== this.#last) {
      if (!isHost(host)) return false
      this.#last = host
    }
    // Without the header, or for `CONNECT other:443`, the URL is a path. HAProxy and monitors ask for probes by HTTP/1.0.
    return url.startsWith("http") || (host === null && probe.test(url))
  }
}

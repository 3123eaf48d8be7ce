import { isIPv6 } from "node:net"

/** Length of the longest DNS name with a port, in characters. */
const maxLength = 259
const namePattern = /^[a-z0-9_][a-z0-9._~-]*(?::(\d{0,5}))?$/i
const ipv6Pattern = /^\[([0-9a-f:.]+)\](?::(\d{0,5}))?$/i

/** Matches health checks, which HAProxy and monitors send over HTTP/1.0 without a Host header. */
const probePath = /^\/(?:health|ready)(?:\?|$)/

/** True for a valid Host header: a name, an IPv4 address or an IPv6 address in brackets, with an optional port. */
function isHost(text: string): boolean {
  if (text.length > maxLength) return false
  const name = namePattern.exec(text)
  if (name) return isPort(name[1])
  const address = ipv6Pattern.exec(text)
  return address !== null && isIPv6(address[1] as string) && isPort(address[2])
}

function isPort(text: string | undefined): boolean {
  return text === undefined || Number(text) <= 65_535
}

/**
 * Detects requests with an invalid Host header. Bun omits scheme and host from their URL, so the router would match
 * another path. Caches the last valid host, because nearly all requests have the same one.
 */
export class HostCheck {
  #lastValid = ""

  /** True if the Host header is valid. Only health checks can omit it. */
  isValid({ headers, url }: Request): boolean {
    const host = headers.get("host")
    if (host !== null && host !== this.#lastValid) {
      if (!isHost(host)) return false
      this.#lastValid = host
    }
    // Without a Host header, and for `CONNECT other:443`, the URL is only a path.
    return url.startsWith("http") || (host === null && probePath.test(url))
  }
}

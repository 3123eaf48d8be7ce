import { BlockList, isIP } from "node:net"

/** Proxies whose X-Forwarded-For is trusted. */
export type TrustedNetworks = BlockList

/** Parses a list such as `10.0.0.0/8,::1`. Returns undefined if an entry is neither an address nor a network. */
export function parseNetworks(text: string): TrustedNetworks | undefined {
  const networks = new BlockList()
  for (const part of text.split(",").map((entry) => entry.trim())) {
    if (part === "") continue
    const [address = "", bits] = part.split("/")
    const version = isIP(address)
    const maxBits = version === 6 ? 128 : 32
    const length = bits === undefined ? maxBits : /^\d{1,3}$/.test(bits) ? Number(bits) : -1
    if (version === 0 || length < 0 || length > maxBits) return undefined
    networks.addSubnet(address, length, version === 6 ? "ipv6" : "ipv4")
  }
  return networks
}

/**
 * Returns the address of the client. If the peer is a trusted proxy, this is the right-most entry of X-Forwarded-For
 * that is not a trusted proxy, because the client can forge every entry to the left of it.
 */
export function clientAddress(peer: string, forwardedFor: string | null, trusted: TrustedNetworks): string {
  let address = normalizeAddress(peer)
  const entries = forwardedFor?.split(",") ?? []
  while (isTrustedProxy(address, trusted)) {
    // Parses only as many entries as needed, because a header of 16 KB can hold thousands.
    const next = normalizeAddress(entries.pop()?.trim() ?? "")
    if (isIP(next) === 0) break
    address = next
  }
  return address
}

/**
 * Returns the prefix by which requests are counted for rate limits: an IPv4 address or an IPv6 /64, because one host
 * can use all addresses in its /64.
 */
export function rateLimitPrefix(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? []
  const left = head === "" ? [] : head.split(":")
  const right = tail ? tail.split(":") : []
  const groups = [...left, ...Array(Math.max(0, 8 - left.length - right.length)).fill("0"), ...right]
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`
}

/**
 * Removes the `::ffff:` prefix that dual-stack sockets add to IPv4 addresses, and the quotes, ports and IPv6 brackets
 * that some proxies add.
 */
export function normalizeAddress(address: string): string {
  return address
    .replace(/^"(.*)"$/, "$1")
    .replace(/^\[(.*)\](:\d+)?$/, "$1")
    .replace(/^::ffff:(?=\d+\.)/i, "")
    .replace(/^([\d.]+):\d+$/, "$1")
}

/** True if the address belongs to a trusted proxy. */
export function isTrustedProxy(address: string, trusted: TrustedNetworks): boolean {
  const version = isIP(address)
  return version !== 0 && trusted.check(address, version === 6 ? "ipv6" : "ipv4")
}

import { BlockList, isIP } from "node:net"

/** Networks whose word about the client's address is believed. */
export type TrustedNetworks = BlockList

/** `10.0.0.0/8,::1` → networks; undefined where one of them is none. */
export function parseNetworks(text: string): TrustedNetworks | undefined {
  const networks = new BlockList()
  for (const part of text.split(",").map((one) => one.trim())) {
    if (part === "") continue
    const [address = "", bits] = part.split("/")
    const version = isIP(address)
    const most = version === 6 ? 128 : 32
    const length = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : -1
    if (version === 0 || length < 0 || length > most) return undefined
    networks.addSubnet(address, length, version === 6 ? "ipv6" : "ipv4")
  }
  return networks
}

/**
 * The client's address: the right-most entry of X-Forwarded-For that is not a trusted proxy, if the peer is one.
 * What stands left of it was written by the client and proves nothing.
 */
export function clientAddress(peer: string, forwardedFor: string | null, trusted: TrustedNetworks): string {
  let address = plain(peer)
  const entries = forwardedFor?.split(",").map((entry) => plain(entry.trim())) ?? []
  while (isTrusted(address, trusted)) {
    const next = entries.pop()
    if (next === undefined || isIP(next) === 0) break
    address = next
  }
  return address
}

/** What limits count by: a person with IPv6 has a whole /64 to choose addresses from. */
export function limitedBy(address: string): string {
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
 * `::ffff:1.2.3.4` is IPv4 on a socket that speaks both; some proxies quote an address, or write the client's port behind
 * it, IPv6 then in brackets.
 */
export function plain(address: string): string {
  return address
    .replace(/^"(.*)"$/, "$1")
    .replace(/^\[(.*)\](:\d+)?$/, "$1")
    .replace(/^::ffff:(?=\d+\.)/i, "")
    .replace(/^([\d.]+):\d+$/, "$1")
}

export function isTrusted(address: string, trusted: TrustedNetworks): boolean {
  const version = isIP(address)
  return version !== 0 && trusted.check(address, version === 6 ? "ipv6" : "ipv4")
}

import { describe, expect, test } from "bun:test"
import {
  clientAddress,
  parseNetworks,
  rateLimitPrefix,
  type TrustedNetworks,
} from "../../src/http/address.ts"

function networks(text: string): TrustedNetworks {
  const parsed = parseNetworks(text)
  if (!parsed) throw new Error(`no networks: ${text}`)
  return parsed
}

describe("parseNetworks", () => {
  const good: [text: string, inside: string[], outside: string[]][] = [
    ["", [], ["127.0.0.1", "::1"]],
    ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0", "::a00:1"]],
    ["192.0.2.7", ["192.0.2.7"], ["192.0.2.6", "192.0.2.8"]],
    ["0.0.0.0/0", ["1.2.3.4", "255.255.255.255"], ["::1"]],
    ["192.0.2.7/32", ["192.0.2.7"], ["192.0.2.8"]],
    ["::1", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "127.0.0.1"]],
    ["2001:db8::/32", ["2001:db8::", "2001:db8:ffff::1"], ["2001:db9::"]],
    [" 127.0.0.0/8 , ::1 ,", ["127.9.9.9", "::1"], ["128.0.0.1"]],
  ]
  for (const [text, inside, outside] of good) {
    test(`accepts '${text}'`, () => {
      const trusted = networks(text)
      const isIn = (address: string) => trusted.check(address, address.includes(":") ? "ipv6" : "ipv4")
      expect(inside.filter((address) => !isIn(address))).toEqual([])
      expect(outside.filter(isIn)).toEqual([])
    })
  }
  for (const text of [
    "localhost",
    "10.0.0.0/33",
    "::1/129",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8.5",
    "10.0.0/8",
    "10.0.0.0-10.0.0.9",
    "127.0.0.1 ::1",
    "127.0.0.1,nonsense",
  ]) {
    test(`rejects '${text}'`, () => expect(parseNetworks(text)).toBeUndefined())
  }
})

describe("clientAddress", () => {
  const trusted = networks("127.0.0.0/8,::1,10.0.0.0/8")
  const cases: [what: string, peer: string, forwarded: string | null, address: string][] = [
    ["is the peer if nothing was forwarded", "127.0.0.1", null, "127.0.0.1"],
    ["is the peer if it is not a trusted proxy, despite a header", "203.0.113.5", "1.1.1.1", "203.0.113.5"],
    ["is the address that a trusted proxy saw", "127.0.0.1", "203.0.113.5", "203.0.113.5"],
    ["is not an address that the client sent", "127.0.0.1", "1.1.1.1, 203.0.113.5", "203.0.113.5"],
    [
      "is seen through several trusted proxies",
      "127.0.0.1",
      "203.0.113.5, 10.1.1.1, 10.2.2.2",
      "203.0.113.5",
    ],
    ["is the outermost proxy if all are trusted", "127.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"],
    ["is the peer if the last entry is not an address", "127.0.0.1", "203.0.113.5, unknown", "127.0.0.1"],
    ["is the proxy after an entry that is not an address", "127.0.0.1", "unknown, 10.1.1.1", "10.1.1.1"],
    ["is the peer if the header is empty", "127.0.0.1", "", "127.0.0.1"],
    ["can be IPv6", "::1", "2001:db8::7", "2001:db8::7"],
    ["can be IPv6 in brackets with a port", "::1", "[2001:db8::7]:4711", "2001:db8::7"],
    ["can be IPv6 in brackets", "::1", "[2001:db8::7]", "2001:db8::7"],
    ["can be IPv6 in quotes, brackets and with a port", "::1", '"[2001:db8::7]:4711"', "2001:db8::7"],
    ["can be IPv4 with a port", "127.0.0.1", "203.0.113.5:4711", "203.0.113.5"],
    ["can be IPv4 in quotes with a port", "127.0.0.1", '"203.0.113.5:4711"', "203.0.113.5"],
    ["can be IPv4 mapped to IPv6, with a port", "127.0.0.1", "[::ffff:203.0.113.5]:4711", "203.0.113.5"],
    ["is seen through proxies with ports", "127.0.0.1", "203.0.113.5:1, 10.1.1.1:2", "203.0.113.5"],
    [
      "keeps the end of an IPv6 address that looks like a port",
      "::1",
      "2001:db8::7:4711",
      "2001:db8::7:4711",
    ],
    ["is never a name with a port", "127.0.0.1", "localhost:4711", "127.0.0.1"],
    [
      "is IPv4 if a dual-stack socket reports it as IPv6",
      "::ffff:127.0.0.1",
      "::FFFF:203.0.113.5",
      "203.0.113.5",
    ],
    ["is empty if the connection is closed", "", "203.0.113.5", ""],
  ]
  for (const [what, peer, forwarded, address] of cases) {
    test(what, () => expect(clientAddress(peer, forwarded, trusted)).toBe(address))
  }
})

describe("rateLimitPrefix", () => {
  const cases: [address: string, name: string][] = [
    ["203.0.113.5", "203.0.113.5"],
    ["", ""],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::ffff", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002::1", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8::2:3:4:5:6", "2001:db8:0:2::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::2:3:4:5:6:7:8", "0:2:3:4::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ]
  for (const [address, name] of cases) {
    test(`'${address}' counts as '${name}'`, () => expect(rateLimitPrefix(address)).toBe(name))
  }
})

import { readFileSync } from "node:fs"
import { isIP } from "node:net"
import countryTable from "@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb" with {
  type: "file",
}
import { Reader, type Response } from "mmdb-lib"
import { UserError } from "../errors.ts"
import { readFlagFile } from "../flag-file.ts"
import { normalizeAddress } from "../http/address.ts"
import type { ClientContext } from "../store/contexts.ts"

export type GeoLocation = Pick<ClientContext, "country" | "region" | "city">

export const unknownLocation: GeoLocation = { country: "", region: "", city: "" }

/** The codes of ISO 3166-1 alpha-2, and XK for Kosovo, which has no ISO code. */
const countries: ReadonlySet<string> = new Set(
  (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH " +
    "CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN " +
    "GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI " +
    "LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM " +
    "PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD " +
    "TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW"
  ).split(" "),
)

/** IPv4 networks that belong to no country: private, shared, local, reserved, multicast and documentation networks. */
const specialNetworks = [
  ...[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
  ],
  ...["192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"],
].map((network) => {
  const [address = "", bits] = network.split("/")
  const shift = 32 - Number(bits)
  return { shift, prefix: numberOf(address) >>> shift }
})
/** Public IPv6 addresses are in 2000::/3, except for the documentation network 2001:db8::/32. */
const publicIpv6 = /^(?!2001:0?db8:)[23][\da-f]{3}:/i

/** Maximum number of UTF-16 code units in the name of a region or city. The longest names have 60. */
const maxNameLength = 128

/**
 * Returns the upper-case ISO code of a country, or '' for anything else, such as Cloudflare's XX (unknown) and T1
 * (Tor).
 */
export function countryOf(code: unknown): string {
  const country = typeof code === "string" ? code.trim().toUpperCase() : ""
  return countries.has(country) ? country : ""
}

/** Looks up the locations of addresses in an mmdb file. */
export class GeoTable {
  readonly #reader: Reader<Response>

  /** Throws if the bytes are not an mmdb file. */
  constructor(bytes: Buffer) {
    this.#reader = new Reader(bytes)
  }

  /** The day on which the file was built, such as 2026-06-17. */
  get builtOn(): string {
    return dayOf(this.#reader.metadata.buildEpoch)
  }

  /**
   * Returns the location of an address. The location is unknown for private addresses and for strings that are not an
   * address. Takes up to 3 µs.
   */
  find(text: string): GeoLocation {
    const address = isIP(text) === 4 ? text : ipv4Of(normalizeAddress(text).replace(/%.*$/, ""))
    if (!isPublic(address)) return unknownLocation
    try {
      return locationOf(this.#reader.get(address))
    } catch {
      return unknownLocation // This part of the file is damaged. The event is stored without a country.
    }
  }
}

function isPublic(address: string): boolean {
  const version = isIP(address)
  if (version === 6) return publicIpv6.test(address)
  if (version === 0) return false
  const number = numberOf(address)
  return specialNetworks.every(({ shift, prefix }) => number >>> shift !== prefix)
}

/** Returns the 32 bits of an IPv4 address as a number. */
function numberOf(address: string): number {
  return address.split(".").reduce((number, part) => (number << 8) | Number(part), 0)
}

/** Converts an IPv4-mapped IPv6 address (`::ffff:808:808`) to IPv4. Returns other strings unchanged. */
function ipv4Of(address: string): string {
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/i.exec(address) ?? []
  if (high === undefined || low === undefined) return address
  return [high, low]
    .map((group) => Number.parseInt(group, 16))
    .map((group) => `${group >> 8}.${group & 255}`)
    .join(".")
}

/**
 * Returns the location in a record. In files from MaxMind and DB-IP, names are in objects. In files from IPinfo and
 * ip-location-db, they are strings.
 */
function locationOf(found: unknown): GeoLocation {
  const record = objectOf(found)
  const [subdivision] = Array.isArray(record.subdivisions) ? record.subdivisions : []
  const country =
    countryOf(objectOf(record.country).iso_code) ||
    countryOf(objectOf(record.registered_country).iso_code) ||
    countryOf(record.country_code) ||
    countryOf(record.country)
  if (country === "") return unknownLocation
  return {
    country,
    region: nameOf(subdivision) || nameOf(record.region) || nameOf(record.state1),
    city: nameOf(record.city),
  }
}

function nameOf(value: unknown): string {
  const name = typeof value === "string" ? value : objectOf(objectOf(value).names).en
  return typeof name === "string" ? name.trim().slice(0, maxNameLength).toWellFormed() : ""
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {}
}

/** Opens the file that --geo-db names and holds it in memory. Throws a UserError if it cannot be used. */
export function openGeoFile(path: string): GeoTable {
  const hint =
    "set --geo-db to a file in MaxMind's mmdb format that the server's user can read, such as GeoLite2-City.mmdb"
  const bytes = readFlagFile("--geo-db", path, hint)
  try {
    const table = new GeoTable(bytes)
    table.builtOn // throws if the metadata has no date
    return table
  } catch {
    throw new UserError(`--geo-db ${path} is not an mmdb file, or is damaged`, hint)
  }
}

/**
 * Opens the built-in country table, which takes 8 MB of memory and 2 ms. Its data is geo-whois-asn-country from
 * ip-location-db (CC0).
 */
export function openCountryTable(): GeoTable {
  return new GeoTable(readFileSync(countryTable))
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10)
}

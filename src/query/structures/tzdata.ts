import packed from "moment-timezone/data/packed/latest.json" with { type: "json" }

// The IANA time zone database in the format of moment-timezone, with one string per zone:
// name|abbreviations|offsets|offset index of each period|length of each period except the last|population. A period is
// a span of time with one offset. The length of the first period is measured from the start of 1970. Offsets are in
// minutes behind UTC, lengths are in minutes, and all numbers are in base 60.

/** Version of the rules, such as 2026f. Bun's own rules come from its ICU library and can be older. */
export const rulesVersion: string = packed.version

/** The UTC offset of a zone in each period. A period ends when the next one starts. */
export interface ZoneRules {
  /** Start of each period in Unix ms. The first is -Infinity. */
  starts: Float64Array
  /** How far local time is ahead of UTC in each period, in ms. */
  offsets: Float64Array
}

/** Maps lower-case names to packed zones. Names are case-insensitive, as in Intl. */
const zones: ReadonlyMap<string, string> = new Map(
  packed.zones.map((zone) => [zone.slice(0, zone.indexOf("|")).toLowerCase(), zone]),
)
/** Maps aliases such as Asia/Calcutta to zone names, both in lower case. */
const links: ReadonlyMap<string, string> = new Map(
  packed.links.map((link) => {
    const [name = "", alias = ""] = link.toLowerCase().split("|")
    return [alias, name]
  }),
)

/**
 * Returns the rules of a zone, given an IANA name or an offset such as +05:30, or undefined if there is no such zone.
 */
export function rulesOf(name: string): ZoneRules | undefined {
  const fixed = fixedOffset(name)
  if (fixed !== undefined) return { starts: Float64Array.of(-Infinity), offsets: Float64Array.of(fixed) }
  const key = name.toLowerCase()
  const text = zones.get(links.get(key) ?? key)
  return text === undefined ? undefined : unpack(text)
}

/** Returns true for IANA names, their aliases, and offsets. */
export function isTimeZone(name: string): boolean {
  const key = name.toLowerCase()
  return zones.has(key) || links.has(key) || fixedOffset(name) !== undefined
}

/** Maps lower-case names and aliases to IANA's spelling. */
const spellings: ReadonlyMap<string, string> = new Map(
  [...packed.zones, ...packed.links.map((link) => link.slice(link.indexOf("|") + 1))].map((zone) => {
    const [name = ""] = zone.split("|", 1)
    return [name.toLowerCase(), name]
  }),
)
/**
 * Maps the old names of zones that IANA renamed to their new names, because Chrome still reports the old ones. Other
 * aliases, such as Europe/Oslo, are left out because they name different cities.
 */
const renamed: ReadonlyMap<string, string> = new Map([
  ["America/Buenos_Aires", "America/Argentina/Buenos_Aires"],
  ["America/Godthab", "America/Nuuk"],
  ["Asia/Calcutta", "Asia/Kolkata"],
  ["Asia/Katmandu", "Asia/Kathmandu"],
  ["Asia/Rangoon", "Asia/Yangon"],
  ["Asia/Saigon", "Asia/Ho_Chi_Minh"],
  ["Atlantic/Faeroe", "Atlantic/Faroe"],
  ["Europe/Kiev", "Europe/Kyiv"],
  ["Pacific/Ponape", "Pacific/Pohnpei"],
  ["Pacific/Truk", "Pacific/Chuuk"],
])

/** Returns the current IANA name of a zone, or undefined for an unknown name or an offset. */
export function zoneName(name: string): string | undefined {
  const spelled = spellings.get(name.toLowerCase())
  return spelled === undefined ? undefined : (renamed.get(spelled) ?? spelled)
}

/**
 * Parses an offset such as `+05:30`, `-0300` or `+01`, the forms that ECMAScript accepts as time zones. Returns the
 * offset in ms, or undefined if `name` is not an offset.
 */
function fixedOffset(name: string): number | undefined {
  const [, sign, hours, minutes = "00"] = /^([+-])([01]\d|2[0-3])(?::?([0-5]\d))?$/.exec(name) ?? []
  if (sign === undefined) return undefined
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * minute
}

const minute = 60_000
/**
 * Minutes from 1970 to the start of 2201. The rules extend to 2499, but the range of a query ends in 2199 at the
 * latest.
 */
const lastStart = Date.UTC(2201, 0, 1) / minute

function unpack(text: string): ZoneRules {
  const [, , differences = "", indices = "", lengths = ""] = text.split("|")
  // Minutes that local time is behind UTC, for each offset index.
  const behind = differences.split(" ").map(base60)
  const starts = [-Infinity]
  const offsets = [milliseconds(-(behind[base60(indices.charAt(0))] ?? 0))]
  let start = 0
  let at = 0
  for (let period = 1; period < indices.length && start < lastStart; period++) {
    const next = lengths.indexOf(" ", at)
    const end = next === -1 ? lengths.length : next
    start += base60(lengths.slice(at, end))
    at = end + 1
    starts.push(milliseconds(start))
    offsets.push(milliseconds(-(behind[base60(indices.charAt(period))] ?? 0)))
  }
  return { starts: Float64Array.from(starts), offsets: Float64Array.from(offsets) }
}

/** Converts minutes to ms. Rounds to seconds, because the data is not more precise. */
function milliseconds(minutes: number): number {
  return Math.round(minutes * 60) * 1_000
}

/** Parses a base-60 number with the digits 0 to 9, a to z, and A to X. Sixtieths follow a point. */
function base60(text: string): number {
  const isNegative = text.charCodeAt(0) === codes.minus
  let value = 0
  /**
   * The weight of the latest digit after the point, such as 1/60 for the first one. 0 while reading digits before the
   * point.
   */
  let unit = 0
  for (let index = isNegative ? 1 : 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === codes.point) {
      unit = 1
      continue
    }
    const digit =
      code >= codes.a ? code - codes.a + 10 : code >= codes.A ? code - codes.A + 36 : code - codes.zero
    if (unit === 0) value = value * 60 + digit
    else {
      unit /= 60
      value += digit * unit
    }
  }
  return isNegative ? -value : value
}

const codes = { minus: 45, point: 46, zero: 48, A: 65, a: 97 }

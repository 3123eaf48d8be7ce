import packed from "moment-timezone/data/packed/latest.json" with { type: "json" }

// The IANA time zone database as moment-timezone packs it, one text a zone:
// name|abbreviations|offsets|which of them when|ends of all periods but the last|population. Numbers have the base 60.

/** Version of the rules, such as 2026f. Bun's own are those of its ICU, which are older. */
export const rulesVersion: string = packed.version

/** A zone's clocks since ever: periods in order, each until the begin of the next. */
export interface ZoneRules {
  /** Unix ms from which each period counts; the first is -Infinity. */
  begins: Float64Array
  /** ms that the clocks of each period are ahead of UTC. */
  offsets: Float64Array
}

/** What is known of each name, in small letters, as names are compared: Intl does so too. */
const zones: ReadonlyMap<string, string> = new Map(
  packed.zones.map((zone) => [zone.slice(0, zone.indexOf("|")).toLowerCase(), zone]),
)
/** From other names, such as Asia/Calcutta, to theirs. */
const links: ReadonlyMap<string, string> = new Map(
  packed.links.map((link) => {
    const [name = "", alias = ""] = link.toLowerCase().split("|")
    return [alias, name]
  }),
)

/** Undefined where there is no such zone. An offset, such as +05:30, is one. */
export function rulesOf(name: string): ZoneRules | undefined {
  const fixed = fixedOffset(name)
  if (fixed !== undefined) return { begins: Float64Array.of(-Infinity), offsets: Float64Array.of(fixed) }
  const key = name.toLowerCase()
  const text = zones.get(links.get(key) ?? key)
  return text === undefined ? undefined : unpack(text)
}

/** Whether a name is a zone's. */
export function isZone(name: string): boolean {
  const key = name.toLowerCase()
  return zones.has(key) || links.has(key) || fixedOffset(name) !== undefined
}

/** `+05:30`, `-0300` or `+01` in ms, as ECMAScript takes offsets for zones. */
function fixedOffset(name: string): number | undefined {
  const [, sign, hours, minutes = "00"] = /^([+-])([01]\d|2[0-3])(?::?([0-5]\d))?$/.exec(name) ?? []
  if (sign === undefined) return undefined
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * minute
}

const minute = 60_000
/** Minutes since 1970 at the begin of 2201: no range goes beyond 2199, and the rules are spelt out until 2499. */
const last = Date.UTC(2201, 0, 1) / minute

function unpack(text: string): ZoneRules {
  const [, , differences = "", indices = "", lengths = ""] = text.split("|")
  // Minutes that UTC is ahead of the clocks.
  const behind = differences.split(" ").map(base60)
  const begins = [-Infinity]
  const offsets = [milliseconds(-(behind[base60(indices.charAt(0))] ?? 0))]
  let begin = 0
  let at = 0
  for (let period = 1; period < indices.length && begin < last; period++) {
    const next = lengths.indexOf(" ", at)
    const end = next === -1 ? lengths.length : next
    begin += base60(lengths.slice(at, end))
    at = end + 1
    begins.push(milliseconds(begin))
    offsets.push(milliseconds(-(behind[base60(indices.charAt(period))] ?? 0)))
  }
  return { begins: Float64Array.from(begins), offsets: Float64Array.from(offsets) }
}

/** Whole seconds: sixtieths are written with few digits. */
function milliseconds(minutes: number): number {
  return Math.round(minutes * 60) * 1_000
}

/** Digits are 0 to 9, a to z, A to X; behind a point stand sixtieths and so on. */
function base60(text: string): number {
  const isNegative = text.charCodeAt(0) === codes.minus
  let value = 0
  /** What a digit behind the point is worth; 0: there was no point yet. */
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

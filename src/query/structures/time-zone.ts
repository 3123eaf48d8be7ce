import type { Bucket, Granularity } from "../query.ts"
import { rulesOf } from "./tzdata.ts"

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** Starting at `from` (Unix ms), the local time of the zone is `offset` ms ahead of UTC. */
interface Transition {
  from: number
  offset: number
}

/** The UTC offsets of a time zone between two times in Unix ms. Throws a RangeError if the zone does not exist. */
export class TimeZone {
  readonly transitions: readonly Transition[]

  constructor(name: string, from: number, to: number) {
    const rules = rulesOf(name)
    if (!rules) throw new RangeError(`unknown time zone ${name}`)
    const { starts, offsets } = rules
    let period = starts.findLastIndex((start) => start <= from)
    const transitions = [{ from, offset: offsets[period] ?? 0 }]
    for (period++; period < starts.length; period++) {
      const start = starts[period] ?? Infinity
      const offset = offsets[period] ?? 0
      if (start > to) break
      // Consecutive periods can have the same offset and differ only in their abbreviation.
      if (offset !== transitions.at(-1)?.offset) transitions.push({ from: start, offset })
    }
    this.transitions = transitions
  }
}

/**
 * Splits a time range into buckets, one for each period of local time, such as a day. The range is in Unix ms, and `to`
 * is exclusive. The first and the last period are clipped to the range. If `granularity` is undefined, the whole range
 * is a single bucket.
 */
export function bucketsOf(
  from: number,
  to: number,
  zoneName: string,
  granularity: Granularity | undefined,
): Bucket[] {
  if (!granularity) return [{ from, to, label: "" }]
  const { transitions } = new TimeZone(zoneName, from, to)
  const buckets: Bucket[] = []
  transitions.forEach(({ from: start, offset }, index) => {
    const end = transitions[index + 1]?.from ?? to
    for (let at = start; at < end; ) {
      const [periodStart, next] = periodAround(at + offset, granularity)
      const until = Math.min(next - offset, end)
      const label = labelOf(periodStart, offset, granularity)
      const last = buckets.at(-1)
      if (last?.label === label) last.to = until
      else buckets.push({ from: at, to: until, label })
      at = until
    }
  })
  return buckets
}

/** Returns the index of the bucket that contains a time (Unix ms). */
export function bucketAt(buckets: readonly Bucket[], time: number): number {
  let [low, high] = [0, buckets.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((buckets[middle] as Bucket).from <= time) low = middle
    else high = middle - 1
  }
  return low
}

/**
 * Returns the start and end of the period that contains a local time. A local time is represented by the Unix time at
 * which a clock in UTC shows the same date and time.
 */
function periodAround(local: number, granularity: Granularity): [number, number] {
  const multiple = (length: number): [number, number] => {
    const start = Math.floor(local / length) * length
    return [start, start + length]
  }
  switch (granularity) {
    case "minute":
      return multiple(minute)
    case "hourly":
      return multiple(hour)
    case "daily":
      return multiple(day)
    case "weekly": {
      // 1970-01-01 was a Thursday, three days after a Monday.
      const monday = Math.floor((Math.floor(local / day) + 3) / 7) * 7 - 3
      return [monday * day, (monday + 7) * day]
    }
    case "monthly": {
      const date = new Date(local)
      const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()]
      return [Date.UTC(year, month, 1), Date.UTC(year, month + 1, 1)]
    }
  }
}

function labelOf(local: number, offset: number, granularity: Granularity): string {
  const text = new Date(local).toISOString()
  if (granularity !== "minute" && granularity !== "hourly") return text.slice(0, 10)
  const minutes = Math.abs(Math.round(offset / minute))
  const twoDigits = (number: number) => String(number).padStart(2, "0")
  const sign = offset < 0 ? "-" : "+"
  return `${text.slice(0, 19)}${sign}${twoDigits(Math.floor(minutes / 60))}:${twoDigits(minutes % 60)}`
}

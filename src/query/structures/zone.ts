import type { Bucket, Granularity } from "../query.ts"
import { rulesOf } from "./tzdata.ts"

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** A time from which a zone's clocks are `offset` ms ahead of UTC. */
interface Transition {
  from: number
  offset: number
}

/** A time zone's clocks between two times (Unix ms). Throws a RangeError where there is no such zone. */
export class Zone {
  readonly transitions: readonly Transition[]

  constructor(name: string, from: number, to: number) {
    const rules = rulesOf(name)
    if (!rules) throw new RangeError(`there is no time zone ${name}`)
    const { begins, offsets } = rules
    let period = begins.findLastIndex((begin) => begin <= from)
    const found = [{ from, offset: offsets[period] ?? 0 }]
    for (period++; period < begins.length; period++) {
      const begin = begins[period] ?? Infinity
      const offset = offsets[period] ?? 0
      if (begin > to) break
      // Some periods differ in their abbreviation alone.
      if (offset !== found.at(-1)?.offset) found.push({ from: begin, offset })
    }
    this.transitions = found
  }
}

/** The range (Unix ms, `to` exclusive) in pieces of the zone's clocks, the first and the last cut at the range. */
export function bucketsOf(from: number, to: number, zoneName: string, granularity: Granularity): Bucket[] {
  const { transitions } = new Zone(zoneName, from, to)
  const buckets: Bucket[] = []
  transitions.forEach(({ from: begin, offset }, index) => {
    const end = transitions[index + 1]?.from ?? to
    for (let at = begin; at < end; ) {
      const [start, next] = around(at + offset, granularity)
      const until = Math.min(next - offset, end)
      const label = labelOf(start, offset, granularity)
      const last = buckets.at(-1)
      if (last?.label === label) last.to = until
      else buckets.push({ from: at, to: until, label })
      at = until
    }
  })
  return buckets
}

/** The bucket that a time is in. */
export function bucketAt(buckets: readonly Bucket[], time: number): number {
  let [low, high] = [0, buckets.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((buckets[middle] as Bucket).from <= time) low = middle
    else high = middle - 1
  }
  return low
}

/** The begin of the piece that a local time is in, and of the next one. Local times are Unix ms of the same digits in UTC. */
function around(local: number, granularity: Granularity): [number, number] {
  const whole = (length: number): [number, number] => {
    const start = Math.floor(local / length) * length
    return [start, start + length]
  }
  switch (granularity) {
    case "minute":
      return whole(minute)
    case "hourly":
      return whole(hour)
    case "daily":
      return whole(day)
    case "weekly": {
      // 1970-01-01 was a Thursday, three days after a Monday.
      const monday = Math.floor((Math.floor(local / day) + 3) / 7) * 7 - 3
      return [monday * day, (monday + 7) * day]
    }
    case "monthly": {
      const at = new Date(local)
      const [year, month] = [at.getUTCFullYear(), at.getUTCMonth()]
      return [Date.UTC(year, month, 1), Date.UTC(year, month + 1, 1)]
    }
  }
}

function labelOf(local: number, offset: number, granularity: Granularity): string {
  const text = new Date(local).toISOString()
  if (granularity !== "minute" && granularity !== "hourly") return text.slice(0, 10)
  const minutes = Math.abs(Math.round(offset / minute))
  const two = (number: number) => String(number).padStart(2, "0")
  return `${text.slice(0, 19)}${offset < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

import type { Bucket, Granularity } from "../../src/query/query.ts"

// Local times from Intl, computed one by one. Since 2000, all time zones have changed their clocks at a multiple of 15
// minutes.

const minute = 60_000
const quarter = 15 * minute

/** The clock of a time zone. It caches local times by minute. */
class Clock {
  readonly #format: Intl.DateTimeFormat
  readonly #shown = new Map<number, string>()

  constructor(zone: string) {
    this.#format = new Intl.DateTimeFormat("sv-SE", {
      timeZone: zone,
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    })
  }

  /** The local time at a time in Unix ms, such as `2026-11-24T13:37`. */
  show(ts: number): string {
    const at = Math.floor(ts / minute) * minute
    let shown = this.#shown.get(at)
    if (shown === undefined) {
      shown = this.#format.format(at).replace(" ", "T")
      this.#shown.set(at, shown)
    }
    return shown
  }

  /** The label of the bucket that contains a time. */
  label(ts: number, granularity: Granularity): string {
    const shown = this.show(ts)
    const date = shown.slice(0, 10)
    switch (granularity) {
      case "minute":
        return `${shown}:00${this.#offset(ts)}`
      case "hourly":
        return `${shown.slice(0, 13)}:00:00${this.#offset(ts)}`
      case "daily":
        return date
      case "weekly":
        return mondayOf(date)
      case "monthly":
        return `${date.slice(0, 7)}-01`
    }
  }

  /** The UTC offset at a time, such as `+05:30`. */
  #offset(ts: number): string {
    const minutes = (Date.parse(`${this.show(ts)}Z`) - Math.floor(ts / minute) * minute) / minute
    const two = (number: number) => String(number).padStart(2, "0")
    const size = Math.abs(minutes)
    return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`
  }

  /** Goes through the range in small steps. A bucket starts where the label changes. */
  buckets(from: number, to: number, granularity: Granularity): Bucket[] {
    const buckets: Bucket[] = []
    const step = granularity === "minute" ? minute : quarter
    for (let at = from; at < to; at = (Math.floor(at / step) + 1) * step) {
      const label = this.label(at, granularity)
      const last = buckets.at(-1)
      if (last?.label === label) continue
      if (last) last.to = at
      buckets.push({ from: at, to, label })
    }
    return buckets
  }
}

/** Clocks by zone, shared by all queries. */
export class Clocks {
  readonly #clocks = new Map<string, Clock>()

  of(zone: string): Clock {
    const clock = this.#clocks.get(zone) ?? new Clock(zone)
    this.#clocks.set(zone, clock)
    return clock
  }
}

function mondayOf(date: string): string {
  const at = new Date(`${date}T00:00Z`)
  while (at.getUTCDay() !== 1) at.setUTCDate(at.getUTCDate() - 1)
  return at.toISOString().slice(0, 10)
}

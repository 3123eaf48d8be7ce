import { isoDays } from "./range.ts"

/** Numbers, times and dates as the person's locale writes them. */
export class Format {
  readonly #whole: Intl.NumberFormat
  readonly #short: Intl.NumberFormat
  readonly #fine: Intl.NumberFormat
  readonly #tenths: Intl.NumberFormat
  /** By their options: making one takes longer than a hundred uses. */
  readonly #dates = new Map<string, Intl.DateTimeFormat>()
  readonly #days: Intl.DateTimeFormat

  constructor(
    private readonly locale: string,
    private readonly zone: string,
  ) {
    this.#whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 })
    this.#short = new Intl.NumberFormat(locale, { notation: "compact", maximumSignificantDigits: 3 })
    this.#tenths = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 })
    this.#fine = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 })
    this.#days = isoDays(zone)
  }

  /** 1,204,311 */
  count(value: number): string {
    return this.#whole.format(value)
  }

  /** 1.2M; below ten thousand as it is. */
  short(value: number): string {
    return Math.abs(value) < 10_000 ? this.#fine.format(value) : this.#short.format(value)
  }

  /** 12.75 */
  number(value: number): string {
    return this.#fine.format(value)
  }

  /** 12.5 → 12.5% */
  percent(value: number): string {
    return `${this.#fine.format(value)}%`
  }

  /** 12.345 → 12.3, 12 → 12.0: those below each other line up. */
  tenths(value: number): string {
    return this.#tenths.format(value)
  }

  /** 12.345 → 12.3%. What is there is never 0. */
  rate(value: number): string {
    return value > 0 && value < 0.05 ? `<${this.tenths(0.1)}%` : `${this.tenths(value)}%`
  }

  /** 3 d 4 h */
  duration(ms: number): string {
    const units = [
      ["d", 86_400_000],
      ["h", 3_600_000],
      ["min", 60_000],
      ["s", 1_000],
    ] as const
    const first = units.findIndex(([, length]) => ms >= length)
    if (first < 0) return `${this.#whole.format(ms)} ms`
    const [unit, length] = units[first] as (typeof units)[number]
    const whole = Math.floor(ms / length)
    const next = units[first + 1]
    const rest = next ? Math.floor((ms - whole * length) / next[1]) : 0
    return next && rest > 0 ? `${whole} ${unit} ${rest} ${next[0]}` : `${whole} ${unit}`
  }

  /** `2026-11-24` → 24 Nov 2026. */
  day(day: string): string {
    return this.#date(Date.parse(`${day.slice(0, 10)}T00:00:00Z`), { dateStyle: "medium", timeZone: "UTC" })
  }

  /** 27 Oct – 24 Nov 2026, as short as the locale says a range; one day as such. */
  days(from: string, to: string): string {
    const [first, last] = [from, to].map((day) => Date.parse(`${day}T00:00:00Z`))
    return this.#range(first ?? 0, last ?? 0, { dateStyle: "medium", timeZone: "UTC" })
  }

  /** Of times as ISO 8601, `to` exclusive: 16–22 Nov 2026; where it ends within a day: 23 Nov 2026, until 10:15. */
  period({ from, to }: { from: string; to: string }): string {
    const [begin, end] = [Date.parse(from), Date.parse(to)]
    // Nothing of it has passed: where clocks jump over midnight there is such an hour.
    if (begin >= end)
      return this.#date(begin, { dateStyle: "medium", timeStyle: "short", timeZone: this.zone })
    const beginsDay = (ms: number) => this.#days.format(ms) !== this.#days.format(ms - 1)
    if (!beginsDay(begin)) {
      return this.#range(begin, end, { dateStyle: "medium", timeStyle: "short", timeZone: this.zone })
    }
    const days = this.days(this.#days.format(begin), this.#days.format(end - 1))
    return beginsDay(end)
      ? days
      : `${days}, until ${this.#date(end, { timeStyle: "short", timeZone: this.zone })}`
  }

  /** `2026-11-24` → 24 Nov. */
  shortDay(day: string): string {
    return this.#date(Date.parse(`${day.slice(0, 10)}T00:00:00Z`), {
      day: "numeric",
      month: "short",
      timeZone: "UTC",
    })
  }

  /** A time as ISO 8601 → 24 Nov 2026, 13:30:05. */
  time(iso: string): string {
    return this.#date(Date.parse(iso), { dateStyle: "medium", timeStyle: "medium", timeZone: this.zone })
  }

  /** A time as ISO 8601 → 13:30:05. */
  clock(iso: string): string {
    return this.#date(Date.parse(iso), { timeStyle: "medium", timeZone: this.zone })
  }

  /** The day of a time: 2026-11-24. */
  dayOf(iso: string): string {
    return this.#days.format(Date.parse(iso))
  }

  /** As short as it can be said now: 13:30:05 of today, else with the day, and the year where it is another one. */
  moment(iso: string, now: number): string {
    const ms = Date.parse(iso)
    const [day, today] = [this.dayOf(iso), this.#days.format(now)]
    if (day === today) return this.clock(iso)
    if (day.slice(0, 4) !== today.slice(0, 4)) return this.time(iso)
    return this.#date(ms, {
      day: "numeric",
      month: "short",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      timeZone: this.zone,
    })
  }

  /** How long ago: 5 minutes ago. */
  ago(iso: string, now: number): string {
    const ms = Date.parse(iso) - now
    const units = [
      ["year", 31_536_000_000],
      ["month", 2_592_000_000],
      ["day", 86_400_000],
      ["hour", 3_600_000],
      ["minute", 60_000],
      ["second", 1_000],
    ] as const
    const [unit, length] = units.find(([, one]) => Math.abs(ms) >= one) ?? ["second", 1_000]
    const format = new Intl.RelativeTimeFormat(this.locale, { numeric: "auto" })
    return isolated(format.format(Math.trunc(ms / length), unit))
  }

  /** 1.2 GB, in powers of ten as disks are sold. */
  bytes(value: number): string {
    const units = ["B", "kB", "MB", "GB", "TB"]
    const power = Math.min(units.length - 1, value < 1 ? 0 : Math.floor(Math.log10(value) / 3))
    const amount = new Intl.NumberFormat(this.locale, { maximumSignificantDigits: 3 }).format(
      value / 1_000 ** power,
    )
    return `${amount} ${units[power]}`
  }

  /** A date of a trend: `2026-11-24`, or with the time of day for hours. */
  bucket(label: string, granularity: string): string {
    if (label.length > 10) {
      const at = label.slice(0, 16)
      return this.#date(Date.parse(`${at}Z`), {
        day: "numeric",
        month: "short",
        hour: "numeric",
        minute: "2-digit",
        timeZone: "UTC",
      })
    }
    const at = Date.parse(`${label}T00:00:00Z`)
    if (granularity === "monthly") return this.#date(at, { month: "long", year: "numeric", timeZone: "UTC" })
    const day = this.#date(at, {
      weekday: "short",
      day: "numeric",
      month: "short",
      year: "numeric",
      timeZone: "UTC",
    })
    return granularity === "weekly" ? `Week of ${this.day(label)}` : day
  }

  /** The same as short as an axis needs it. */
  tick(label: string, granularity: string): string {
    if (label.length > 10) {
      const at = Date.parse(`${label.slice(0, 16)}Z`)
      return label.slice(11, 16) === "00:00"
        ? this.shortDay(label)
        : this.#date(at, { hour: "numeric", minute: "2-digit", timeZone: "UTC" })
    }
    if (granularity !== "monthly") return this.shortDay(label)
    return this.#date(Date.parse(`${label}T00:00:00Z`), { month: "short", year: "2-digit", timeZone: "UTC" })
  }

  #date(ms: number, options: Intl.DateTimeFormatOptions): string {
    return Number.isNaN(ms) ? "" : isolated(this.#dateFormat(options).format(ms))
  }

  #range(from: number, to: number, options: Intl.DateTimeFormatOptions): string {
    return isolated(this.#dateFormat(options).formatRange(from, to))
  }

  #dateFormat(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
    const key = JSON.stringify(options)
    const format = this.#dates.get(key) ?? new Intl.DateTimeFormat(this.locale, options)
    this.#dates.set(key, format)
    return format
  }
}

/** Letters that are written from right to left: Hebrew to Arabic, and their presentation forms. */
const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/

/**
 * A text in a right-to-left script gets a direction of its own (FIRST STRONG ISOLATE to POP DIRECTIONAL ISOLATE): in the page's English, a
 * range of dates would be shown with its numbers in another order.
 */
function isolated(text: string): string {
  return rightToLeft.test(text) ? `\u2068${text}\u2069` : text
}

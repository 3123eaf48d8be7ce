import { isoDays } from "./range.ts"

/** Formats numbers, times and dates for a locale and a time zone. */
export class Format {
  readonly #integer: Intl.NumberFormat
  readonly #short: Intl.NumberFormat
  readonly #decimal: Intl.NumberFormat
  readonly #tenths: Intl.NumberFormat
  /** Cached by options, because creating a formatter takes longer than using it a hundred times. */
  readonly #dates = new Map<string, Intl.DateTimeFormat>()
  readonly #days: Intl.DateTimeFormat
  /** Created on first use, because most pages show no country names. */
  #countries: Intl.DisplayNames | undefined

  constructor(
    private readonly locale: string,
    private readonly zone: string,
  ) {
    this.#integer = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 })
    this.#short = new Intl.NumberFormat(locale, { notation: "compact", maximumSignificantDigits: 3 })
    this.#tenths = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 })
    this.#decimal = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 })
    this.#days = isoDays(zone)
  }

  /** 1,204,311 */
  count(value: number): string {
    return this.#integer.format(value)
  }

  /** 1 visitor, 1,204 visitors. */
  countOf(value: number, noun: string): string {
    return `${this.count(value)} ${value === 1 ? noun : `${noun}s`}`
  }

  /** 1.2M, or the full number if it is below ten thousand. */
  short(value: number): string {
    return Math.abs(value) < 10_000 ? this.#decimal.format(value) : this.#short.format(value)
  }

  /** 12.75 */
  number(value: number): string {
    return this.#decimal.format(value)
  }

  /** 12.5 → 12.5% */
  percent(value: number): string {
    return `${this.#decimal.format(value)}%`
  }

  /** 12.345 → 12.3, 12 → 12.0. There is always one decimal place, so that columns align. */
  tenths(value: number): string {
    return this.#tenths.format(value)
  }

  /** 12.345 → 12.3%. A positive value below 0.05 is shown as <0.1%. */
  rate(value: number): string {
    return value > 0 && value < 0.05 ? `<${this.tenths(0.1)}%` : `${this.tenths(value)}%`
  }

  /** DE → Germany, in the dashboard's language. Returns unknown codes unchanged. */
  country(code: string): string {
    this.#countries ??= new Intl.DisplayNames("en", { type: "region", fallback: "code" })
    return /^[A-Z]{2}$/.test(code) ? (this.#countries.of(code) ?? code) : code
  }

  /** ms → 3d 4h or 1m 34s. */
  duration(ms: number): string {
    const units = [
      ["d", 86_400_000],
      ["h", 3_600_000],
      ["m", 60_000],
      ["s", 1_000],
    ] as const
    const first = units.find(([, length]) => ms >= length)
    if (!first) return `${this.#integer.format(ms)} ms`
    const [unit, length] = first
    const amount = Math.floor(ms / length)
    const next = units[units.indexOf(first) + 1]
    const rest = next ? Math.floor((ms - amount * length) / next[1]) : 0
    return next && rest > 0 ? `${amount}${unit} ${rest}${next[0]}` : `${amount}${unit}`
  }

  /** `2026-11-24` → 24 Nov 2026. */
  day(day: string): string {
    return this.#date(Date.parse(`${day.slice(0, 10)}T00:00:00Z`), { dateStyle: "medium", timeZone: "UTC" })
  }

  /** 27 Oct – 24 Nov 2026, in the locale's medium format. */
  days(from: string, to: string): string {
    const [first, last] = [from, to].map((day) => Date.parse(`${day}T00:00:00Z`))
    return this.#range(first ?? 0, last ?? 0, { dateStyle: "medium", timeZone: "UTC" })
  }

  /** The days of a range, or its hour: 24 Nov 2026, 13:00 – 14:00. */
  span({ from, to, hour }: { from: string; to: string; hour?: string | undefined }): string {
    if (hour === undefined) return this.days(from, to)
    const local = Date.parse(`${hour.slice(0, 19)}Z`)
    return this.#range(local, local + 3_600_000, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" })
  }

  /**
   * Formats a period, given in ISO 8601 with an exclusive end: 16–22 Nov 2026. If the period ends in the middle of a
   * day, adds the time: 23 Nov 2026 (to 10:15). If it starts in the middle of a day, shows the time of both ends.
   */
  period({ from, to }: { from: string; to: string }): string {
    const [start, end] = [Date.parse(from), Date.parse(to)]
    // The period can be empty, because the first hour of a day has no length if daylight saving time skips midnight.
    if (start >= end)
      return this.#date(start, { dateStyle: "medium", timeStyle: "short", timeZone: this.zone })
    const startsDay = (ms: number) => this.#days.format(ms) !== this.#days.format(ms - 1)
    if (!startsDay(start)) {
      return this.#range(start, end, { dateStyle: "medium", timeStyle: "short", timeZone: this.zone })
    }
    const days = this.days(this.#days.format(start), this.#days.format(end - 1))
    return startsDay(end)
      ? days
      : `${days} (to ${this.#date(end, { timeStyle: "short", timeZone: this.zone })})`
  }

  /** `2026-11-24` → 24 Nov. */
  shortDay(day: string): string {
    return this.#date(Date.parse(`${day.slice(0, 10)}T00:00:00Z`), {
      day: "numeric",
      month: "short",
      timeZone: "UTC",
    })
  }

  /** ISO 8601 → 24 Nov 2026, 13:30:05. */
  time(iso: string): string {
    return this.#date(Date.parse(iso), { dateStyle: "medium", timeStyle: "medium", timeZone: this.zone })
  }

  /** ISO 8601 → 13:30:05. */
  clock(iso: string): string {
    return this.#date(Date.parse(iso), { timeStyle: "medium", timeZone: this.zone })
  }

  /** The calendar day that contains a time, for example 2026-11-24. */
  dayOf(iso: string): string {
    return this.#days.format(Date.parse(iso))
  }

  /**
   * Formats a time on the same day as `now` as 13:30:05. Other times include the day and, if it is in a different year,
   * the year.
   */
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

  /** 5 minutes ago */
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
    const [unit, length] = units.find(([, unitMs]) => Math.abs(ms) >= unitMs) ?? ["second", 1_000]
    const format = new Intl.RelativeTimeFormat(this.locale, { numeric: "auto" })
    return isolate(format.format(Math.trunc(ms / length), unit))
  }

  /** 1.2 GB. Each unit is a thousand times the previous one. */
  bytes(value: number): string {
    const units = ["B", "kB", "MB", "GB", "TB"]
    const power = Math.min(units.length - 1, value < 1 ? 0 : Math.floor(Math.log10(value) / 3))
    const amount = new Intl.NumberFormat(this.locale, { maximumSignificantDigits: 3 }).format(
      value / 1_000 ** power,
    )
    return `${amount} ${units[power]}`
  }

  /** Formats the label of a chart bucket. `label`: a day or, for hourly buckets, a day and a time. */
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

  /** The short label of a bucket, for the axis. */
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
    return Number.isNaN(ms) ? "" : isolate(this.#dateFormat(options).format(ms))
  }

  #range(from: number, to: number, options: Intl.DateTimeFormatOptions): string {
    return isolate(this.#dateFormat(options).formatRange(from, to))
  }

  #dateFormat(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
    const key = JSON.stringify(options)
    const format = this.#dates.get(key) ?? new Intl.DateTimeFormat(this.locale, options)
    this.#dates.set(key, format)
    return format
  }
}

/**
 * Right-to-left characters: the blocks from Hebrew to Arabic, their presentation forms, later scripts such as Adlam,
 * and the invisible mark in Arabic dates with Western digits (27\u200f/10\u200f/2026).
 */
const rightToLeft = /[\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u

/**
 * Isolates right-to-left text by wrapping it in FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE. Otherwise, browsers
 * would reorder the numbers of a date range, because the page itself is left-to-right.
 */
function isolate(text: string): string {
  return rightToLeft.test(text) ? `\u2068${text}\u2069` : text
}

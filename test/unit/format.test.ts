import { describe, expect, test } from "bun:test"
import { Format } from "../../src/dashboard/state/format.ts"

const rightToLeft = /[\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u
const now = Date.parse("2026-11-28T12:00:00Z")

/** Texts from every formatter of dates and times. */
const texts: [what: string, text: (format: Format) => string][] = [
  ["a day", (format) => format.day("2026-11-24")],
  ["a short day", (format) => format.shortDay("2026-11-24")],
  ["days", (format) => format.days("2026-10-27", "2026-11-24")],
  ["one day as a range", (format) => format.days("2026-11-24", "2026-11-24")],
  ["a period of days", (format) => format.period({ from: "2026-11-16T00:00Z", to: "2026-11-23T00:00Z" })],
  ["a period to a time", (format) => format.period({ from: "2026-11-16T00:00Z", to: "2026-11-23T10:15Z" })],
  ["a period of hours", (format) => format.period({ from: "2026-11-22T09:30Z", to: "2026-11-23T10:15Z" })],
  ["an empty period", (format) => format.period({ from: "2026-11-22T09:30Z", to: "2026-11-22T09:30Z" })],
  ["a time", (format) => format.time("2026-11-24T13:30:05Z")],
  ["a time on another day", (format) => format.moment("2026-11-24T13:30:05Z", now)],
  ["an hour of a trend", (format) => format.bucket("2026-11-24T13:00:00+00:00", "hourly")],
  ["a week of a trend", (format) => format.bucket("2026-11-23", "weekly")],
  ["a month of an axis", (format) => format.tick("2026-11-01", "monthly")],
  ["how long ago", (format) => format.ago("2026-11-24T13:30:05Z", now)],
]

/** The text outside isolates. Expects that all isolates are closed. */
function outside(text: string): string {
  const rest = text.replace(/\u2068[^\u2068\u2069]*\u2069/g, "")
  expect(rest).not.toMatch(/[\u2068\u2069]/)
  return rest
}

describe.each(["ar", "ar-AE", "ar-EG", "ar-SA", "ckb-IQ", "fa-IR", "ff-Adlm", "he-IL", "ur-PK"])(
  "in the locale %s, which is written from right to left,",
  (locale) => {
    const format = new Format(locale, "UTC")
    test.each(texts)("%s is isolated from the English text around it", (_, text) => {
      expect(text(format)).toMatch(rightToLeft)
      expect(outside(text(format))).not.toMatch(rightToLeft)
    })
  },
)

test.each(["en-GB", "de-DE", "ja-JP"])("in the locale %s, dates contain no isolates", (locale) => {
  const format = new Format(locale, "UTC")
  for (const [, text] of texts) expect(text(format)).not.toMatch(/[\u2066-\u2069]/)
})

import { expect, test } from "bun:test"
import { bucketsOf } from "../../src/query/structures/time-zone.ts"
import { isTimeZone, rulesOf, type ZoneRules } from "../../src/query/structures/tzdata.ts"

const offsetAt = ({ starts: begins, offsets }: ZoneRules, time: number) =>
  offsets[begins.findLastIndex((begin) => begin <= time)]

function required(zone: string): ZoneRules {
  const rules = rulesOf(zone)
  if (!rules) throw new Error(`there is no ${zone}`)
  return rules
}

const dayLabels: [zone: string, time: string, day: string][] = [
  // Permanent daylight saving time since November 2026.
  ["America/Vancouver", "2026-11-26T07:30:00Z", "2026-11-26"],
  ["america/vancouver", "2027-01-01T06:59:59Z", "2026-12-31"],
  ["Europe/Berlin", "2026-11-25T23:00:00Z", "2026-11-26"],
  ["Asia/Calcutta", "2026-11-25T18:30:00Z", "2026-11-26"],
  ["US/Pacific", "2026-11-26T07:59:59Z", "2026-11-25"],
  ["+05:30", "2026-11-25T18:29:59Z", "2026-11-25"],
  ["-0930", "2026-11-26T09:29:59Z", "2026-11-25"],
]
test.each(dayLabels)("in %s, %s is on %s", (zone, time, day) => {
  const at = Date.parse(time)
  expect(bucketsOf(at, at + 1, zone, "daily").map(({ label }) => label)).toEqual([day])
})

const names: [name: string, isZone: boolean][] = [
  ["UTC", true],
  ["utc", true],
  ["Etc/GMT+5", true],
  ["EUROPE/BERLIN", true],
  ["US/Pacific", true],
  ["Asia/Calcutta", true],
  ["EST5EDT", true],
  ["+14:00", true],
  ["-03", true],
  ["", false],
  ["Europe", false],
  ["Europe/Berlin ", false],
  ["Mars/Olympus", false],
  ["__proto__", false],
  ["+24:00", false],
  ["+5", false],
  ["local", false],
]
test.each(names)("%p is a zone: %p", (name, expected) => {
  expect(isTimeZone(name)).toBe(expected)
  expect(rulesOf(name) !== undefined).toBe(expected)
})

// ICU has its own database in a different format, which has the same past. It resolves aliases and case itself.
test("all zones have the same local times as in Intl, at each change and between changes, from 2000 to 2025", () => {
  const [from, to] = [Date.UTC(2000, 0, 1), Date.UTC(2026, 0, 1)]
  const wrong: string[] = []
  for (const zone of [...Intl.supportedValuesOf("timeZone"), "US/Pacific", "asia/calcutta", "-03:30"]) {
    const rules = required(zone)
    const format = new Intl.DateTimeFormat("sv-SE", {
      timeZone: zone,
      hourCycle: "h23",
      dateStyle: "short",
      timeStyle: "medium",
    })
    const times = [...rules.starts]
      .filter((begin) => begin >= from && begin < to)
      .flatMap((begin) => [begin - 1_000, begin])
    // The number of days is prime, so that weekday, date and time of year vary.
    for (let time = from; time < to; time += 211 * 86_400_000) times.push(time)
    for (const time of times) {
      const clock = Date.parse(`${format.format(time).replace(" ", "T")}Z`) - time
      if (clock !== offsetAt(rules, time)) wrong.push(`${zone} ${new Date(time).toISOString()}`)
    }
  }
  expect(wrong).toEqual([])
}, 60_000)

import { describe, expect, test } from "bun:test"
import { App } from "../../src/demo/app.ts"
import { createDataset, type Dataset } from "../../src/demo/dataset.ts"
import { PeopleMaker } from "../../src/demo/people.ts"
import { SeededRandom } from "../../src/demo/random.ts"
import { dayMs, days, hourMs, Timeline } from "../../src/demo/timeline.ts"

const rids = { shop: 1, app: 2 }
const thursday = Date.UTC(2026, 10, 26, 15)

describe("the data of the demo", () => {
  const dataset = createDataset(1, thursday, rids)

  test("is the same for the same seed and clock", () => {
    expect(isSame(createDataset(1, thursday, rids), dataset)).toBe(true)
  })

  test("differs for another seed", () => {
    expect(isSame(createDataset(2, thursday, rids), dataset)).toBe(false)
  })

  test("only grows at its end during a day", () => {
    const earlier = thursday - 3 * hourMs
    const rows = dataset.rows.filter(({ ts }) => ts < earlier)
    expect(Bun.deepEquals(createDataset(1, earlier, rids).rows, rows, true)).toBe(true)
  })

  test("has fewer visits to the app on weekends, and to the shop at night", () => {
    const isWeekend = (ts: number) => [0, 6].includes(new Date(ts).getUTCDay())
    const ofApp = dataset.rows.filter(({ websiteRid, kind }) => websiteRid === rids.app && kind === "custom")
    const weekend = ofApp.filter(({ ts }) => isWeekend(ts)).length
    // With equal days, the ratio would be 2/5.
    expect(weekend / (ofApp.length - weekend)).toBeLessThan(0.2)
    const views = dataset.rows.filter(
      ({ websiteRid, kind }) => websiteRid === rids.shop && kind === "page_view",
    )
    const inHours = (from: number, to: number) =>
      views.filter(({ ts }) => {
        const hour = new Date(ts).getUTCHours()
        return hour >= from && hour < to
      }).length
    expect(inHours(1, 5) * 3).toBeLessThan(inHours(17, 21))
  })

  test("continues with live visits that do not start before the current time", () => {
    for (let visit = 0; visit < 20; visit++) {
      const rows = dataset.liveVisit(thursday + visit)
      expect(rows.length).toBeGreaterThan(0)
      expect(rows.filter(({ ts }) => ts < thursday + visit)).toEqual([])
    }
  })

  test("contains only email addresses in reserved domains", () => {
    const emails = dataset.profiles.map(({ traits }) => String(traits.email))
    expect(emails.filter((email) => !email.endsWith(".example"))).toEqual([])
    expect(new Set(emails).size).toBe(emails.length)
  })
})

describe("at any time,", () => {
  const clocks = {
    "at midnight": Date.UTC(2027, 0, 1),
    "before midnight on a leap day": Date.UTC(2028, 1, 29, 23, 59, 59, 999),
  }
  for (const [name, now] of Object.entries(clocks)) {
    test(`such as ${name}, each day before today has events, and no events are in the future`, () => {
      const { rows, timeline } = createDataset(7, now, rids)
      expect(rows.length).toBeGreaterThan(100_000)
      expect(rows.length).toBeLessThan(220_000)
      expect(
        rows.filter(({ ts, receivedAt }) => ts < timeline.start || ts >= now || receivedAt < ts),
      ).toEqual([])
      const seen = new Set(rows.map(({ ts, websiteRid }) => `${websiteRid} ${Math.floor(ts / dayMs)}`))
      const expected = Array.from({ length: days - 1 }, (_, day) =>
        Object.values(rids).map((rid) => `${rid} ${timeline.start / dayMs + day}`),
      ).flat()
      expect(expected.filter((day) => !seen.has(day))).toEqual([])
    })
  }
})

test("the app has no live visits before it has members", () => {
  const rows: unknown[] = []
  const random = new SeededRandom(1)
  const scene = { random, rid: 2, domain: "app.example", isStored: () => true, add: () => rows.push(1) }
  new App(scene, new PeopleMaker(random), new Timeline(thursday)).liveVisit(thursday)
  expect(rows).toEqual([])
})

/** Used instead of `toEqual`, which would print more than 100,000 rows if it failed. */
function isSame(one: Dataset, other: Dataset): boolean {
  return (["rows", "profiles", "links"] as const).every((part) =>
    Bun.deepEquals(one[part], other[part], true),
  )
}

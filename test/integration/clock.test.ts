import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { openDatabase } from "../../src/store/db/open.ts"
import { TrustedClock } from "../../src/store/db/trusted-clock.ts"
import { EventInserter } from "../../src/store/events.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { openApp } from "../support/app.ts"
import { eventRow } from "../support/event.ts"

// All times in the cases are in days since this one.
const start = Date.UTC(2026, 0, 1)
const day = 86_400_000
const hour = 1 / 24

let folder: TemporaryFolder
let db: Db

beforeEach(() => {
  folder = temporaryFolder()
  db = openDatabase({ path: folder.file("test.db"), durability: "os", busyTimeout: 0, now: start })
})
afterEach(() => {
  db.close()
  folder[Symbol.dispose]()
})

function receive(...days: number[]): void {
  const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
  const inserter = new EventInserter(db, new DailyHash(db, random))
  // Event times from the sender do not confirm the clock.
  inserter.insert(days.map((at) => eventRow({ ts: start - 400 * day, receivedAt: start + at * day })))
}

/** Returns the trusted time at each observation, in days. The first observation is at the start of the server. */
function looks(...readings: { now: number; elapsed: number }[]): number[] {
  const [first = { now: 0, elapsed: 0 }, ...more] = readings
  const time = new TrustedClock(db, start + first.now * day, first.elapsed * day)
  return [first, ...more].map(({ now, elapsed }) => {
    const found = (time.observe(start + now * day, elapsed * day) - start) / day
    return Math.round(found * 1_000) / 1_000
  })
}

describe("at the start, the clock is", () => {
  const hourly = (from: number, to: number) =>
    Array.from({ length: (to - from) * 24 }, (_, index) => from + index * hour)
  const cases = [
    { sentence: "trusted if the database is new", received: [], now: 0.5, taken: 0.5 },
    {
      sentence: "not trusted if the database is empty and was created long ago",
      received: [],
      now: 30,
      taken: 0,
    },
    { sentence: "trusted right after the last event", received: hourly(0, 40), now: 40, taken: 40 },
    { sentence: "trusted within a day of the last event", received: hourly(0, 40), now: 40.9, taken: 40.9 },
    {
      sentence: "replaced by the last event's time if the server was stopped for long or the clock is ahead",
      received: hourly(0, 40),
      now: 90,
      taken: 90,
      but: 39.958,
    },
    {
      sentence: "not trusted because of one event that was received after a jump",
      received: [...hourly(0, 40), 90],
      now: 90,
      taken: 90,
      but: 0,
    },
    {
      sentence: "not trusted because of half a day of events after a jump",
      received: [...hourly(0, 40), ...hourly(90, 91).slice(0, 12)],
      now: 90.5,
      taken: 90.5,
      but: 0,
    },
    {
      sentence: "trusted after more than a day of events after a jump",
      received: [...hourly(0, 40), ...hourly(90, 92)],
      now: 92,
      taken: 92,
    },
    { sentence: "trusted if events are a day and a half apart", received: [0, 30, 31.5], now: 32, taken: 32 },
    { sentence: "not trusted if events are a week apart", received: [0, 14, 21, 28], now: 28.5, taken: 0 },
    {
      sentence: "trusted if it was set back",
      received: hourly(0, 40),
      now: -5,
      taken: -5,
    },
    {
      sentence: "not trusted because of imported events with earlier times",
      received: [...hourly(0, 40), -100, -99, -98.5],
      now: 90,
      taken: 0,
    },
  ]
  for (const { sentence, received, now, taken, but } of cases) {
    test(sentence, () => {
      receive(...received)
      expect(looks({ now, elapsed: 7 })).toEqual([but ?? taken])
    })
  }

  test("ids and gaps between ids do not matter", () => {
    receive(...hourly(0, 40))
    db.exec("update event_rows set id = id * 1000003")
    expect(looks({ now: 40, elapsed: 0 })).toEqual([40])
    expect(looks({ now: 60, elapsed: 0 })).toEqual([39.958])
  })
})

describe("while the server runs", () => {
  const begin = { now: 0, elapsed: 0 }
  const cases = [
    {
      sentence: "a clock that runs normally is trusted for years",
      readings: [begin, { now: 700, elapsed: 700 }, { now: 1_400, elapsed: 1_400 }],
      taken: [0, 700, 1_400],
    },
    {
      sentence: "a correction or suspension of less than a day is trusted",
      readings: [begin, { now: 0.9, elapsed: 0 }, { now: 1.8, elapsed: 0.1 }, { now: 1, elapsed: 0.2 }],
      taken: [0, 0.9, 1.8, 1],
    },
    {
      sentence: "after a jump, time continues from before it",
      readings: [begin, { now: 500, elapsed: 0.1 }, { now: 500.5, elapsed: 0.6 }],
      taken: [0, 0.1, 0.6],
    },
    {
      sentence: "a jump is trusted once the clock has run for a day after it",
      readings: [begin, { now: 500, elapsed: 0 }, { now: 500.9, elapsed: 0.9 }, { now: 501, elapsed: 1 }],
      taken: [0, 0, 0.9, 501],
    },
    {
      sentence: "a second jump is trusted a day later",
      readings: [
        begin,
        { now: 500, elapsed: 0 },
        { now: 900, elapsed: 0.9 },
        { now: 900.2, elapsed: 1.1 },
        { now: 901, elapsed: 1.9 },
      ],
      taken: [0, 0, 0.9, 1.1, 901],
    },
    {
      sentence: "a clock that jumps back to the right time is trusted immediately",
      readings: [begin, { now: 500, elapsed: 0.5 }, { now: 0.6, elapsed: 0.6 }],
      taken: [0, 0.5, 0.6],
    },
    {
      sentence: "a clock that is set back is trusted, also when it returns",
      readings: [begin, { now: -700, elapsed: 0.1 }, { now: 0.2, elapsed: 0.2 }],
      taken: [0, -700, 0.2],
    },
    {
      sentence: "a clock that stands still is not trusted",
      readings: [begin, { now: 500, elapsed: 0 }, { now: 500, elapsed: 2 }, { now: 500, elapsed: 4 }],
      taken: [0, 0, 2, 4],
    },
  ]
  for (const { sentence, readings, taken } of cases) {
    test(sentence, () => expect(looks(...readings)).toEqual(taken))
  }
})

test("every event is accepted and stored in order of receipt if the clock is set forward and back by years", async () => {
  const app = openApp()
  try {
    createWebsite(
      app.store.db,
      "w",
      { domain: "w.example", name: "w", allowedOrigins: [], anonymize: "daily" },
      0,
    )
    app.store.registry.refresh()
    const send = async (event: object) => {
      const headers = { Origin: "https://w.example" }
      const body = JSON.stringify({ anonymousId: "ann", ...event })
      const request = new Request("http://localhost/track?website_id=w", { method: "POST", headers, body })
      return (await app.send(request)).status
    }
    const right = app.clock.now
    const leaps = [0, 3_000, -3_000, -20_000, 1_000_000, 0]
    for (const [index, leap] of leaps.entries()) {
      app.clock.ahead = leap * day
      expect({ leap, status: await send({ name: `${index}` }) }).toEqual({ leap, status: 200 })
    }
    const rows = app.store.db.prepare("select name, received_at as at from events order by id").all() as {
      name: string
      at: number
    }[]
    expect(rows).toEqual(leaps.map((leap, index) => ({ name: `${index}`, at: right + leap * day })))
    app.clock.ahead = -2 * 3_600_000
    expect(await send({ name: "right", timestamp: right })).toBe(400)
    app.clock.ahead = -0.5 * 3_600_000
    expect(await send({ name: "right", timestamp: right })).toBe(200)
    expect(app.logged.filter((line) => !line.includes('"refused"'))).toEqual([])
  } finally {
    await app.close()
  }
})

import { expect, test } from "bun:test"
import { matchesAll } from "../../src/dashboard/state/event-filter.ts"
import type { Filter } from "../../src/dashboard/state/filters.ts"
import { eventKinds } from "../../src/event-kinds.ts"
import { closeDatabase } from "../../src/store/db/open.ts"
import { EventFollower, followedEventJson, followedEventText } from "../../src/store/event-follower.ts"
import { openTestDatabase, temporaryFolder } from "../harness.ts"
import { insertRows, makeWorld, rawEvents, someRows } from "../reference/events.ts"
import { randomQuery } from "../reference/queries.ts"
import { referenceResult } from "../reference/reference.ts"
import { mulberry32, picker } from "../support/random.ts"

const firstSeed = Number(process.env.DATABUDDY_FUZZ_SEED ?? 1)
const questions = Number(process.env.DATABUDDY_FUZZ_QUESTIONS ?? 200)
const everything = { websites: [0, 1, 2], from: -(10 ** 15), to: 10 ** 15, crawlers: true, kinds: eventKinds }

test(`filters match the same events in the live stream as in queries (DATABUDDY_FUZZ_SEED=${firstSeed})`, () => {
  using folder = temporaryFolder()
  const db = openTestDatabase(folder.file("test.db"))
  try {
    const world = makeWorld(db, picker(mulberry32(firstSeed)))
    insertRows(db, someRows(world, 400))
    const follower = new EventFollower(db)
    const followed = follower.between(0, follower.newest()).map((event) => ({
      id: event.id,
      // The events as a browser receives them.
      shown: JSON.parse(JSON.stringify(followedEventJson(event))),
    }))
    const events = rawEvents(db)
    const properties = db.prepare("select properties from events where id = ?").pluck()
    for (const event of follower.between(0, follower.newest())) {
      expect(JSON.parse(followedEventText(event))).toEqual(
        JSON.parse(JSON.stringify(followedEventJson(event))),
      )
      const inView = properties.get(event.id) as string | null
      expect(event.properties && JSON.parse(event.properties)).toEqual(inView && JSON.parse(inView))
    }
    let selected = 0
    for (let asked = 0; asked < questions; asked++) {
      const { scope } = randomQuery(world, "events")
      // The profile of an event depends on all links, so no page filters live events by it.
      scope.filters = scope.filters.filter(({ field }) => field !== "profile")
      const { events: expected } = referenceResult(events, {
        kind: "events",
        scope: { ...scope, ...everything },
        limit: events.length,
        offset: 0,
        after: undefined,
      })
      const found = followed.filter(({ shown }) => matchesAll(shown, scope.filters as Filter[]))
      const ids = (all: readonly { id: number }[]) => all.map(({ id }) => id).sort((a, b) => a - b)
      expect({ filters: scope.filters, ids: ids(found) }).toEqual({
        filters: scope.filters,
        ids: ids(expected),
      })
      if (found.length < events.length) selected += found.length
    }
    expect(events.length).toBe(400)
    expect(selected).toBeGreaterThan(100)
  } finally {
    closeDatabase(db)
  }
})

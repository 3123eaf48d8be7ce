import { expect, test } from "bun:test"
import { sealAll } from "../../src/columns/seal.ts"
import { ask } from "../../src/query/answer.ts"
import type { Question } from "../../src/query/question.ts"
import type { Db } from "../../src/store/native.ts"
import { closeDatabase, openDatabase } from "../../src/store/open.ts"
import { temporaryFolder } from "../harness.ts"
import { Clocks } from "../reference/clock.ts"
import { difference } from "../reference/compare.ts"
import { insertRows, makeWorld, rawEvents, someRows, type World } from "../reference/events.ts"
import { type Kind, someQuestion } from "../reference/questions.ts"
import { type RawEvent, refer } from "../reference/reference.ts"
import { mulberry32, picker } from "../support/random.ts"

// Random events, random questions: the engine says what the reference says, however the events are kept. Repeat a run with
// DATABUDDY_FUZZ_SEED, make it longer with DATABUDDY_FUZZ_WORLDS.

const firstSeed = Number(process.env.DATABUDDY_FUZZ_SEED ?? 1)
const worlds = Number(process.env.DATABUDDY_FUZZ_WORLDS ?? 4)
const questionsPerState = Number(process.env.DATABUDDY_FUZZ_QUESTIONS ?? 25)
const kinds: Kind[] = [
  "groups",
  "groups",
  "groups",
  "values",
  "events",
  "funnel",
  "funnel",
  "retention",
  "paths",
  "sessions",
  "people",
]

/** Days since 1970: all days are over, so that their blocks are merged. */
const farDay = 30_000

/** What happens to a database, one after the other; after each the questions are asked. */
const states: [name: string, happens: (db: Db, world: World) => void][] = [
  ["all in rows", (db, world) => insertRows(db, someRows(world, world.random.of([0, 60, 700])))],
  ["sealed", (db) => sealAll(db, 0)],
  ["late events behind the blocks", (db, world) => insertRows(db, someRows(world, 150))],
  [
    "many small blocks",
    (db, world) => {
      for (let part = 0; part < 6; part++) {
        insertRows(db, someRows(world, 50))
        sealAll(db, 0)
      }
    },
  ],
  ["merged", (db) => sealAll(db, farDay)],
  ["stale after deletions", (db, world) => remove(db, world)],
  ["new events after deletions", (db, world) => insertRows(db, someRows(world, 100))],
  ["made anew", (db) => sealAll(db, farDay)],
]

/** Old events, a person's, some here and there, and the newest row. */
function remove(db: Db, { random, centre }: World): void {
  db.prepare("delete from event_rows where website_rid = :rid and ts < :before").run({
    rid: random.whole(0, 2),
    before: centre - 86_400_000,
  })
  db.prepare("delete from event_rows where anonymous_id = :id").run({ id: `visitor ${random.whole(1, 5)}` })
  db.prepare("delete from event_rows where website_rid >= 0 and id % 37 = :rest").run({
    rest: random.whole(0, 36),
  })
  db.prepare("delete from event_rows where id = (select max(id) from event_rows)").run()
}

function disagreement(db: Db, events: RawEvent[], question: Question, clocks: Clocks): string | undefined {
  try {
    return difference(question, ask(db, question).answer, refer(events, question, clocks))
  } catch (error) {
    return error instanceof Error ? `${error.stack}` : String(error)
  }
}

for (let seed = firstSeed; seed < firstSeed + worlds; seed++) {
  test(`the engine answers as the reference does (DATABUDDY_FUZZ_SEED=${seed})`, () => {
    using folder = temporaryFolder()
    const db = openDatabase({ path: folder.file("test.db"), durability: "os", busyTimeout: 0, now: 0 })
    try {
      const clocks = new Clocks()
      const world = makeWorld(db, picker(mulberry32(seed)))
      for (const [state, happens] of states) {
        happens(db, world)
        const events = rawEvents(db)
        for (let asked = 0; asked < questionsPerState; asked++) {
          const question = someQuestion(world, world.random.of(kinds))
          const found = disagreement(db, events, question, clocks)
          if (found) throw new Error(`${state}, seed ${seed}: ${found}\n${JSON.stringify(question)}`)
        }
      }
      expect(rawEvents(db).length).toBeGreaterThan(100)
    } finally {
      closeDatabase(db)
    }
  })
}

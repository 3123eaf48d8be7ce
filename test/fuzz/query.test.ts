import { expect, test } from "bun:test"
import { sealAll } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import { ask, executeQuery } from "../../src/query/engine/execute.ts"
import type { Query } from "../../src/query/query.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"
import { temporaryFolder } from "../harness.ts"
import { Clocks } from "../reference/clock.ts"
import { difference } from "../reference/compare.ts"
import { insertRows, linkSome, makeWorld, rawEvents, someRows, type World } from "../reference/events.ts"
import { type Kind, someQuestion } from "../reference/questions.ts"
import { type RawEvent, refer } from "../reference/reference.ts"
import { mulberry32, picker } from "../support/random.ts"

// Random events, random questions: the engine says what the reference says, however the events are kept, and whatever it
// keeps itself of earlier questions. Repeat a run with DATABUDDY_FUZZ_SEED, make it longer with DATABUDDY_FUZZ_WORLDS.

const firstSeed = Number(process.env.DATABUDDY_FUZZ_SEED ?? 1)
const worlds = Number(process.env.DATABUDDY_FUZZ_WORLDS ?? 4)
const questionsPerState = Number(process.env.DATABUDDY_FUZZ_QUESTIONS ?? 10)
/** Questions that are asked again in every state. */
const standingQuestions = 8
/** Bytes that are kept for the next question: for all of some, and for hardly any; and events of a block of which those that fit are kept. */
const memories = [
  [2 ** 26, 4],
  [2 ** 26, 20],
  [2 ** 16, 1],
] as const
/** So little memory that unsealed rows are read a part at a time. */
const tinyTail = { rows: 400_000, bytes: 20_000, partBytes: 10_000, idBytes: 134_217_728 }
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
  "reach",
  "sessions",
  "people",
]

/** Days since 1970: all days are over, so that their blocks are merged. */
const farDay = 30_000

/** What happens to a database, one after the other; after each the questions are asked. */
const states: [name: string, happens: (db: Db, world: World) => void][] = [
  ["all in rows", (db, world) => insertRows(db, someRows(world, world.random.of([0, 60, 700])))],
  ["sealed", (db) => sealAll(db, 0)],
  [
    "late events behind the blocks, and visitors linked to profiles",
    (db, world) => {
      insertRows(db, someRows(world, 150))
      linkSome(db, world, 15)
    },
  ],
  [
    "many small blocks",
    (db, world) => {
      for (let part = 0; part < 6; part++) {
        insertRows(db, someRows(world, 50))
        sealAll(db, 0)
      }
    },
  ],
  [
    "merged, and more visitors linked",
    (db, world) => {
      sealAll(db, farDay)
      linkSome(db, world, 10)
    },
  ],
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

type Answer = (question: Query) => unknown

/** With a reader that has answered others before. */
function answerOf(reader: SnapshotReader): Answer {
  return (question) => {
    const steps = executeQuery(reader, question)
    for (;;) {
      const step = steps.next()
      if (step.done) return step.value.answer
    }
  }
}

/** Where one of them, asked one after the other, says something else than the reference. */
function disagreement(
  answers: readonly Answer[],
  events: RawEvent[],
  question: Query,
  clocks: Clocks,
): string | undefined {
  try {
    const wanted = refer(events, question, clocks)
    for (const [place, answer] of answers.entries()) {
      const found = difference(question, answer(question), wanted)
      if (found) return `answer ${place}: ${found}`
    }
    return undefined
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
      const some = (count: number) =>
        Array.from({ length: count }, () => someQuestion(world, world.random.of(kinds)))
      const standing = some(standingQuestions)
      const keeping = memories.map((memory) => answerOf(new SnapshotReader(db, ...memory)))
      const inParts = answerOf(new SnapshotReader(db, 0, undefined, tinyTail))
      const fresh: Answer = (question) => ask(db, question).answer
      for (const [state, happens] of states) {
        happens(db, world)
        const events = rawEvents(db)
        for (const question of [...standing, ...some(questionsPerState)]) {
          const found = disagreement(
            [fresh, ...keeping, ...keeping.slice(0, 2), inParts],
            events,
            question,
            clocks,
          )
          if (found) throw new Error(`${state}, seed ${seed}: ${found}\n${JSON.stringify(question)}`)
        }
      }
      expect(rawEvents(db).length).toBeGreaterThan(100)
    } finally {
      closeDatabase(db)
    }
  })
}

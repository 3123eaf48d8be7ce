import { expect, test } from "bun:test"
import { applySealedBatch } from "../../src/columns/sealed-batch.ts"
import { nextWork, Sealer, sealAll } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import { executeQuery, executeQuerySync } from "../../src/query/engine/execute.ts"
import type { Query } from "../../src/query/query.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { closeDatabase } from "../../src/store/db/open.ts"
import { assignNode, maxNode } from "../../src/store/node-ids.ts"
import { openTestDatabase, temporaryFolder } from "../harness.ts"
import { Clocks } from "../reference/clock.ts"
import { difference } from "../reference/compare.ts"
import { insertRows, linkSome, makeWorld, rawEvents, someRows, type World } from "../reference/events.ts"
import { type Kind, randomQuery } from "../reference/queries.ts"
import { type RawEvent, referenceResult } from "../reference/reference.ts"
import { runToEnd } from "../support/batches.ts"
import { mulberry32, picker } from "../support/random.ts"

// Random events and random queries. The engine returns the same results as the reference, however events are stored and
// whatever it has cached. Set DATABUDDY_FUZZ_SEED to repeat a run, and DATABUDDY_FUZZ_WORLDS to make it longer.

const firstSeed = Number(process.env.DATABUDDY_FUZZ_SEED ?? 1)
const worlds = Number(process.env.DATABUDDY_FUZZ_WORLDS ?? 1)
const queriesPerState = Number(process.env.DATABUDDY_FUZZ_QUESTIONS ?? 10)
/** Number of queries that are repeated in every state. */
const repeatedCount = 8
/** Cache sizes in bytes, large and tiny, each with the number of events from which a block's selections are cached. */
const memories = [
  [2 ** 26, 4],
  [2 ** 26, 20],
  [2 ** 16, 1],
] as const
/** Limits so low that unsealed rows are read in parts. More than 80 are only read for the days that a query needs. */
const tinyLimits = { rows: 80, bytes: 20_000, partBytes: 10_000, idBytes: 134_217_728 }
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
  "traffic",
  "visitors",
]

/** In days since 1970. All events are from earlier days, so that the blocks of these days are merged. */
const farDay = 30_000

/** The states of a database, in order. The queries run in each of them. */
const states: [name: string, happens: (db: Db, world: World) => void][] = [
  ["all in rows", (db, world) => insertRows(db, someRows(world, world.random.of([0, 60, 700])))],
  ["sealed", (db) => sealAll(db, 0)],
  [
    "late events behind the blocks, visitors linked to profiles, and ids whose texts are not stored yet",
    (db, world) => {
      db.exec("update identities set texts = null")
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
  [
    "sealed again, and ids without events erased",
    (db) => {
      sealAll(db, farDay)
      const batch = runToEnd(nextWork(new Sealer(db), { minimum: 1, today: farDay, collect: true }))
      if (batch) applySealedBatch(db, batch)
    },
  ],
]

/** Deletes old events, the events of a visitor, scattered events, and the newest row. */
function remove(db: Db, { random, center }: World): void {
  db.prepare("delete from event_rows where website_rid = :rid and ts < :before").run({
    rid: random.whole(0, 2),
    before: center - 86_400_000,
  })
  db.prepare("delete from event_rows where anonymous_id = :id").run({ id: `visitor ${random.whole(1, 5)}` })
  db.prepare("delete from event_rows where website_rid >= 0 and id % 37 = :rest").run({
    rest: random.whole(0, 36),
  })
  db.prepare("delete from event_rows where id = (select max(id) from event_rows)").run()
}

type Executor = (query: Query) => unknown

/** Returns an executor that keeps its reader, and so the caches of earlier queries. */
function executorOf(reader: SnapshotReader): Executor {
  return (query) => runToEnd(executeQuery(reader, query)).result
}

/** Describes the first result that differs from the reference, if any. */
function disagreement(
  executors: readonly Executor[],
  events: RawEvent[],
  query: Query,
  clocks: Clocks,
): string | undefined {
  try {
    const expected = referenceResult(events, query, clocks)
    for (const [place, answer] of executors.entries()) {
      const found = difference(query, answer(query), expected)
      if (found) return `answer ${place}: ${found}`
    }
    return undefined
  } catch (error) {
    return error instanceof Error ? `${error.stack}` : String(error)
  }
}

for (let seed = firstSeed; seed < firstSeed + worlds; seed++) {
  test(`the engine agrees with the reference (DATABUDDY_FUZZ_SEED=${seed})`, () => {
    using folder = temporaryFolder()
    const db = openTestDatabase(folder.file("test.db"))
    try {
      // Every second database has the highest possible ids.
      assignNode(db, seed % 2 === 0 ? maxNode : undefined)
      const clocks = new Clocks()
      const world = makeWorld(db, picker(mulberry32(seed)))
      const randomQueries = (count: number) =>
        Array.from({ length: count }, () => randomQuery(world, world.random.of(kinds)))
      const repeated = randomQueries(repeatedCount)
      const caching = memories.map((memory) => executorOf(new SnapshotReader(db, ...memory)))
      const inParts = executorOf(new SnapshotReader(db, 0, undefined, tinyLimits))
      const fresh: Executor = (query) => executeQuerySync(db, query).result
      for (const [state, apply] of states) {
        apply(db, world)
        const events = rawEvents(db)
        for (const query of [...repeated, ...randomQueries(queriesPerState)]) {
          const found = disagreement(
            [fresh, ...caching, ...caching.slice(0, 2), inParts],
            events,
            query,
            clocks,
          )
          if (found) throw new Error(`${state}, seed ${seed}: ${found}\n${JSON.stringify(query)}`)
        }
      }
      expect(rawEvents(db).length).toBeGreaterThan(100)
    } finally {
      closeDatabase(db)
    }
  })
}

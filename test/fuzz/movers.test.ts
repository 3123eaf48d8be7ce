import { expect, test } from "bun:test"
import { sealAll } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import { eventKinds } from "../../src/event-kinds.ts"
import { executeQuery } from "../../src/query/engine/execute.ts"
import type { Measure, Scope } from "../../src/query/query.ts"
import { movers } from "../../src/query-api/movers.ts"
import type { QuerySpec, Row, RunQuery } from "../../src/query-api/query-spec.ts"
import { closeDatabase } from "../../src/store/db/open.ts"
import { openTestDatabase, temporaryFolder } from "../harness.ts"
import {
  insertRows,
  makeWorld,
  names,
  rawEvents,
  someRows,
  timeNear,
  type World,
} from "../reference/events.ts"
import { referenceMovers } from "../reference/movers.ts"
import { runToEnd } from "../support/batches.ts"
import { mulberry32, picker } from "../support/random.ts"

// Random events, measures, periods and limits. Movers are the same as those of a simple reference implementation. Set
// DATABUDDY_FUZZ_SEED to repeat a run.

const firstSeed = Number(process.env.DATABUDDY_FUZZ_SEED ?? 1)
const worlds = Number(process.env.DATABUDDY_FUZZ_WORLDS ?? 2)
const queriesPerState = 12
const dayMs = 86_400_000

/** Without sums, because rounding can rank equal sums differently. */
const measures: Measure[] = [
  "events",
  "events",
  "users",
  "sessions",
  "profiles",
  { what: "count", of: "property.total" },
]

function somePeriod(world: World): { from: number; to: number } {
  if (world.random.chance(0.5)) return { from: world.center - 20 * dayMs, to: world.center }
  const [from, to] = [timeNear(world), timeNear(world)].sort((one, other) => one - other) as [number, number]
  return { from, to: Math.max(to, from + 1) }
}

function someScope(world: World): Scope {
  const { random } = world
  return {
    websites: [0, 1, 2].filter((rid) => rid === 1 || random.chance(0.7)),
    ...somePeriod(world),
    zone: "UTC",
    filters: random.chance(0.7)
      ? [{ field: "event_name", op: "eq", value: random.of(names.slice(0, 3)) }]
      : [],
    crawlers: random.chance(0.3),
    kinds: random.of([["custom"], eventKinds]),
  }
}

const rounded = (share: number) => Math.round(share * 10_000) / 100

for (let seed = firstSeed; seed < firstSeed + worlds; seed++) {
  test(`movers agree with the reference (DATABUDDY_FUZZ_SEED=${seed})`, () => {
    using folder = temporaryFolder()
    const db = openTestDatabase(folder.file("test.db"))
    try {
      const world = makeWorld(db, picker(mulberry32(seed)))
      const { random } = world
      const reader = new SnapshotReader(db, 2 ** 26)
      const run: RunQuery = function* (query) {
        return (yield* executeQuery(reader, query)).result
      }
      let rankedCount = 0
      let offsetCount = 0
      for (const state of ["in rows", "in blocks and rows"]) {
        insertRows(db, someRows(world, 300))
        const events = rawEvents(db)
        for (let query = 0; query < queriesPerState; query++) {
          const scope = someScope(world)
          const previous =
            random.chance(0.5) && scope.to - scope.from > 1
              ? { from: 2 * scope.from - scope.to, to: scope.from }
              : somePeriod(world)
          const measure = random.of(measures)
          const limits = { keys: random.of([0, 3, 50]), values: random.of([2, 10, 1_000]) }
          const page = { limit: random.of([5, 10_000]), offset: random.of([0, 3]) }
          const spec: Partial<QuerySpec> = {
            scope,
            previous: { ...previous, days: undefined, shift: { ms: 0 } },
            measures: [{ name: "measured", measure }],
            ...page,
          }
          // `movers` reads only these fields.
          const actual = runToEnd(movers(spec as QuerySpec, run, limits))
          const expected = referenceMovers(events, scope, previous, measure, limits)
          const { summary } = expected
          const rows = expected.movers.map(
            ({ field, value, now, before, share, expected, isOffset }): Row => ({
              field,
              value,
              measured: now,
              difference: now - before,
              percentage: summary.total === summary.previous_total ? null : rounded(share),
              expected_percentage: rounded(expected),
              is_offset: isOffset,
              previous: { measured: before },
            }),
          )
          const context = `${state}, query ${query}: ${JSON.stringify({ scope, previous, measure, limits })}`
          const sorted = ({ checked, skipped, ...totals }: typeof summary) => ({
            ...totals,
            checked: checked.toSorted(),
            skipped: skipped.map(({ field, reason }) => `${field} ${reason}`).toSorted(),
          })
          expect({ context, ...sorted(actual.movers ?? summary) }).toEqual({ context, ...sorted(summary) })
          expect({ context, rows: actual.rows, total: actual.total }).toEqual({
            context,
            rows: rows.slice(page.offset, page.offset + page.limit),
            total: rows.length,
          })
          rankedCount += rows.length
          offsetCount += expected.movers.filter(({ isOffset }) => isOffset).length
        }
        sealAll(db, 0)
      }
      expect(rankedCount).toBeGreaterThan(100)
      expect(offsetCount).toBeGreaterThan(10)
    } finally {
      closeDatabase(db)
    }
  })
}

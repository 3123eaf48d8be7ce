import { Cluster } from "../../src/clickhouse/cluster.ts"
import { ClusterQueries } from "../../src/clickhouse/query/cluster-query.ts"
import { NotSupportedError } from "../../src/clickhouse/query/scan.ts"
import { migrateCluster } from "../../src/clickhouse/schema.ts"
import { Shipper } from "../../src/clickhouse/shipper.ts"
import { executeQuerySync } from "../../src/query/engine/execute.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { closeDatabase, openDatabase, openForReading } from "../../src/store/db/open.ts"
import { applyShippingChange } from "../../src/store/shipping.ts"
import { temporaryFolder } from "../harness.ts"
import { difference } from "../reference/compare.ts"
import { insertRows, linkSome, makeWorld, someRows, type World } from "../reference/events.ts"
import { type Kind, randomQuery } from "../reference/queries.ts"
import { mulberry32, picker } from "../support/random.ts"

// Random events and random queries, as in test/fuzz/query.test.ts. The cluster, together with the rows that are not
// shipped yet, returns the same results as SQLite.

const kinds: readonly Kind[] = [
  "groups",
  "groups",
  "groups",
  "values",
  "events",
  "funnel",
  "retention",
  "paths",
  "reach",
  "sessions",
  "traffic",
  "traffic",
  "visitors",
]
const limits = { seconds: 300, bytes: 2 ** 32, resultBytes: 2 ** 28 }

/** The states of a file and its cluster, in order. */
const states: [name: string, apply: (db: Db, world: World, cluster: Cluster) => Promise<void> | void][] = [
  [
    "everything is shipped",
    (db, world, cluster) => {
      insertRows(db, someRows(world, world.random.of([1, 60, 700])))
      return ship(db, cluster)
    },
  ],
  [
    "events are not shipped, and visitors are linked to profiles",
    (db, world) => {
      insertRows(db, someRows(world, 150))
      linkSome(db, world, 15)
    },
  ],
  [
    "deletions are not shipped",
    (db, { random }) => {
      db.prepare("delete from event_rows where anonymous_id = :id").run({
        id: `visitor ${random.whole(1, 5)}`,
      })
      db.prepare("delete from event_rows where website_rid >= 0 and id % 37 = :rest").run({
        rest: random.whole(0, 36),
      })
    },
  ],
  ["deletions are shipped", (db, _, cluster) => ship(db, cluster)],
  [
    "everything is sent twice, and new events are not shipped",
    async (db, world, cluster) => {
      db.exec("update shipping set shipped_id = 0")
      insertRows(db, someRows(world, 50))
      await ship(db, cluster)
      insertRows(db, someRows(world, 100))
    },
  ],
]

/** Compares `queries` random queries in each state. Returns how many results were equal, by kind. */
export async function compareEngines(
  url: string,
  seed: number,
  queries: number,
): Promise<Map<string, number>> {
  using folder = temporaryFolder()
  const path = folder.file("test.db")
  const db = openDatabase({ path, durability: "os", busyTimeout: 0, now: 0 })
  // As in the server, queries do not use the connection that writes.
  const reader = openForReading(path)
  const database = `random_${seed}`
  const cluster = new Cluster({ url, user: "default", database }, "")
  const counts = new Map<string, number>()
  try {
    const setup = new Cluster({ url, user: "default", database: "default" }, "")
    await setup.run(`drop database if exists ${database}`)
    await migrateCluster(cluster, (statement) => setup.run(statement), undefined)
    await setup.close()
    const world = makeWorld(db, picker(mulberry32(seed)))
    const engine = new ClusterQueries(reader, cluster, limits)
    for (const [state, apply] of states) {
      await apply(db, world, cluster)
      for (let index = 0; index < queries; index++) {
        const query = randomQuery(world, world.random.of(kinds))
        const count = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1)
        try {
          const result = await engine.run(query, engine.snapshot(), new AbortController().signal)
          const found = difference(query, result, executeQuerySync(db, query).result)
          if (found) throw new Error(`${state}, seed ${seed}: ${found}\n${JSON.stringify(query)}`)
          count(query.kind)
        } catch (error) {
          if (!(error instanceof NotSupportedError)) throw error
          count("not supported")
        }
      }
    }
    await cluster.run(`drop database ${database}`)
  } finally {
    await cluster.close()
    reader.close()
    closeDatabase(db)
  }
  return counts
}

/** Ships all events and all deletions. */
async function ship(db: Db, cluster: Cluster): Promise<void> {
  const shipper = new Shipper({
    db,
    cluster,
    write: async (change) => applyShippingChange(db, change),
    pause: async () => {},
    sleep: async () => {},
    random: (bytes) => crypto.getRandomValues(bytes),
    now: Date.now,
    elapsed: () => performance.now(),
    isShared: true,
    log: () => {},
  })
  while (!(await shipper.step()).isDone);
}

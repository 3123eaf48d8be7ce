import { Cluster } from "../../src/clickhouse/cluster.ts"
import { ClusterQueries } from "../../src/clickhouse/query/cluster-query.ts"
import { NotSupportedError } from "../../src/clickhouse/query/scan.ts"
import { migrateCluster } from "../../src/clickhouse/schema.ts"
import { Shipper } from "../../src/clickhouse/shipper.ts"
import { readWriters, splitWriters } from "../../src/clickhouse/writers.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { assignNode, nodeOf } from "../../src/store/node-ids.ts"
import { applyShippingChange, readShipping } from "../../src/store/shipping.ts"
import { eventually, type Server, startServer, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { Clocks } from "../reference/clock.ts"
import { difference } from "../reference/compare.ts"
import { linkSome, makeWorld, rawEvents, someRows, type World } from "../reference/events.ts"
import { type Kind, randomQuery } from "../reference/queries.ts"
import { type RawEvent, referenceResult } from "../reference/reference.ts"
import { mulberry32, picker } from "../support/random.ts"
import { ask, askAll, expectSame, type Tools } from "./clickhouse-query-server.ts"

// Two nodes ship random events to one cluster, and clients send some of the events to both. Random queries to each node
// return the same results as a single database that stores each event once.

const kinds: readonly Kind[] = [
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
  "visitors",
]
const limits = { seconds: 300, bytes: 2 ** 32, resultBytes: 2 ** 28 }

/** A server that ships to the cluster. */
interface Node {
  db: Db
  /** The events that this node has shipped. */
  shipped: RawEvent[]
}

interface Nodes {
  world: World
  cluster: Cluster
  first: Node
  second: Node
}

/** The states of the nodes, in order. */
const states: [name: string, apply: (nodes: Nodes) => Promise<void> | void][] = [
  [
    "everything is shipped, the first node first",
    async (nodes) => {
      const { world, cluster, first, second } = nodes
      const rows = eventsOf(world, world.random.of([60, 400]))
      insert(first, rows)
      await ship(first, cluster)
      insert(second, [...eventsOf(world, 100), ...rows.slice(0, 30)])
      await ship(second, cluster)
    },
  ],
  [
    "both have events that are not shipped, including some that the other node has, too",
    (nodes) => {
      const { world, first, second } = nodes
      const rows = eventsOf(world, 60)
      insert(first, [...rows, ...copies(second, world, 20)])
      insert(second, [...rows.slice(20), ...copies(first, world, 20)])
    },
  ],
  ["only the second node has shipped them", ({ cluster, second }) => ship(second, cluster)],
  ["both have shipped them", ({ cluster, first }) => ship(first, cluster)],
  [
    "both ship everything again",
    async ({ cluster, first, second }) => {
      for (const { db } of [first, second])
        db.prepare("update shipping set shipped_id = shipped_id / 8796093022208 * 8796093022208").run()
      await Promise.all([ship(first, cluster), ship(second, cluster)])
    },
  ],
  [
    "events of the second node are deleted",
    async ({ world, cluster, second }) => {
      const rest = world.random.whole(0, 6)
      second.db.prepare("delete from event_rows where website_rid >= 0 and id % 7 = :rest").run({ rest })
      await ship(second, cluster)
    },
  ],
]

/** Compares `queries` random queries on each node in each state. Returns how many results were equal. */
export async function compareNodes(url: string, seed: number, queries: number): Promise<number> {
  using folder = temporaryFolder()
  const open = (name: string) =>
    openDatabase({ path: folder.file(name), durability: "os", busyTimeout: 0, now: 0 })
  const [first, second] = ["first.db", "second.db"].map(
    (name): Node => ({ db: open(name), shipped: [] }),
  ) as [Node, Node]
  const database = `nodes_${seed}`
  const cluster = new Cluster({ url, user: "default", database }, "")
  try {
    const setup = new Cluster({ url, user: "default", database: "default" }, "")
    await setup.run(`drop database if exists ${database}`)
    // The first node ships events before the second one exists.
    await migrateCluster(cluster, (statement) => setup.run(statement), undefined)
    const world = makeWorld(first.db, picker(mulberry32(seed)))
    insert(first, eventsOf(world, 50))
    await ship(first, cluster)
    await migrateCluster(cluster, (statement) => setup.run(statement), undefined, true)
    await setup.close()
    makeWorld(second.db, picker(mulberry32(seed)))
    assignNode(second.db, 1)
    for (const { db } of [first, second]) linkSome(db, { ...world, random: picker(mulberry32(seed)) }, 15)
    const clocks = new Clocks()
    let equal = 0
    for (const [state, apply] of states) {
      await apply({ world, cluster, first, second })
      for (const [node, other] of [
        [first, second],
        [second, first],
      ] as const) {
        const engine = new ClusterQueries(node.db, cluster, limits, true)
        const events = visibleEvents(node, other)
        for (let index = 0; index < queries; index++) {
          const query = randomQuery(world, world.random.of(kinds))
          try {
            const result = await engine.run(query, await snapshotOf(engine, cluster), abort().signal)
            const found = difference(query, result, referenceResult(events, query, clocks))
            if (found) throw new Error(`${state}, seed ${seed}: ${found}\n${JSON.stringify(query)}`)
            equal++
          } catch (error) {
            if (!(error instanceof NotSupportedError)) throw error
          }
        }
      }
    }
    await cluster.run(`drop database ${database}`)
    return equal
  } finally {
    await cluster.close()
    for (const { db } of [first, second]) closeDatabase(db)
  }
}

const abort = () => new AbortController()

async function snapshotOf(engine: ClusterQueries, cluster: Cluster) {
  const file = engine.snapshot()
  const own = { writer: file.writer, shippedId: file.watermark, isShared: true }
  const { others } = splitWriters(await readWriters(cluster), own, cluster.name)
  const nodes = others.map(({ shippedId, shippedAt }) => ({
    node: nodeOf(shippedId),
    watermark: shippedId,
    shippedAt,
  }))
  return engine.withNodes(file, nodes, abort().signal)
}

/** Returns the events visible on a node: its own and those the other node has shipped, with each event ID once. */
function visibleEvents(node: Node, other: Node): RawEvent[] {
  const own = rawEvents(node.db)
  const watermark = readShipping(node.db)?.shippedId ?? 0
  const tail = own.filter(({ id }) => id > watermark)
  const ownKeys = new Set(tail.map(keyOf))
  const shipped = [
    ...own.filter(({ id }) => id <= watermark),
    ...other.shipped.filter((event) => event.eventId === null || !ownKeys.has(keyOf(event))),
  ].sort((one, another) => one.id - another.id)
  const seen = new Set<string>()
  const counting = shipped.filter((event) => {
    if (event.eventId === null) return true
    const isNew = !seen.has(keyOf(event))
    seen.add(keyOf(event))
    return isNew
  })
  return [...counting, ...tail]
}

const keyOf = ({ websiteRid, eventId }: Pick<RawEvent, "websiteRid" | "eventId">) =>
  `${websiteRid} ${eventId}`

/** Returns random events, half of them with event IDs. */
function eventsOf(world: World, count: number): EventRow[] {
  const { random } = world
  return someRows(world, count).map((row) => ({
    ...row,
    eventId: random.chance(0.5) ? `${random.whole(0, 1e12)}` : null,
  }))
}

/** Returns random events with event IDs that a node already has. Their times differ. */
function copies({ db }: Node, world: World, count: number): EventRow[] {
  const known = rawEvents(db).filter(({ eventId }) => eventId !== null)
  return someRows(world, count).map((row) => {
    const { websiteRid, eventId } = world.random.of(known)
    return { ...row, websiteRid, eventId }
  })
}

function insert({ db }: Node, rows: readonly EventRow[]): void {
  const dailyHash = new DailyHash(db, (bytes) => crypto.getRandomValues(bytes))
  db.transaction(() => new EventInserter(db, dailyHash).insert(rows)).immediate()
}

/** Ships all events and all deletions. */
async function ship(node: Node, cluster: Cluster): Promise<void> {
  const { db } = node
  const shipper = new Shipper({
    db,
    cluster,
    write: async (change) => applyShippingChange(db, change),
    pause: async () => {},
    sleep: async () => {},
    isShared: true,
    random: (bytes) => crypto.getRandomValues(bytes),
    now: Date.now,
    elapsed: () => performance.now(),
    log: () => {},
  })
  while (!(await shipper.step()).isDone);
  node.shipped = rawEvents(db)
}

const registrySecret = "0123456789abcdef".repeat(2)
const patient = { timeout: 180_000, pause: 50 }
/** Number of events that clients send. Every fifth is sent to both nodes. */
const sentEvents = 2_000

/** Two servers behind a load balancer return the same results as a single server that receives every event once. */
export async function testTwoServers(
  url: string,
  folder: TemporaryFolder,
  { databuddy, stopEngine, startEngine }: Pick<Tools, "databuddy" | "stopEngine" | "startEngine">,
): Promise<string> {
  const { exitCode, stderr } = databuddy(["clickhouse", "migrate", "--shared", "--clickhouse", url])
  if (exitCode !== 0) throw new Error(stderr)
  const unlimited = ["--rate-limit", "0", "--rate-limit-events", "0", "--rate-limit-bytes", "0"]
  const serve = (name: string, ...args: string[]) =>
    startServer({
      db: folder.file(`${name}.db`),
      args: [...unlimited, ...args],
      env: { DATABUDDY_REGISTRY_SECRET: registrySecret },
    })
  const shared = ["--clickhouse", url, "--metrics", "local"]
  const first = await serve("node-0", ...shared, "--node", "0")
  const second = await serve("node-1", ...shared, "--node", "1", "--registry", first.url)
  const single = await serve("single")
  const { key } = first
  const ts = Date.now() - sentEvents * 1_000
  const events = Array.from({ length: sentEvents }, (_, index) => ({
    name: index % 3 === 0 ? "page" : "tracked",
    anonymousId: `user-${index % 50}`,
    sessionId: `session-${index % 90}`,
    timestamp: ts + index * 1_000,
    eventId: `event ${index}`,
    properties: { index },
  }))
  const isOn = (node: number, index: number) => index % 2 === node || index % 5 === 0
  for (let from = 0; from < sentEvents; from += 100) {
    const part = events.slice(from, from + 100)
    await Promise.all([
      send(
        first,
        key,
        part.filter((_, index) => isOn(0, from + index)),
      ),
      send(
        second,
        key,
        part.filter((_, index) => isOn(1, from + index)),
      ),
      send(single, single.key, part),
    ])
  }
  const expected = await askAll(single, single.key)
  const nodes = [first, second]
  for (const node of nodes) await eventually(async () => (await backlog(node)) === 0, patient)
  for (const node of nodes) expectSame(await askAll(node, key), expected, /^clickhouse/)
  await first.kill()
  await send(second, key, [{ name: "tracked", eventId: "without the first node" }])
  await eventually(async () => (await backlog(second)) === 0, patient)
  const [summary] = await ask(second.url, key, [{ name: "custom_events_summary" }])
  if (summary?.data[0]?.total_events !== sentEvents + 1) throw new Error(JSON.stringify(summary))
  await stopEngine()
  const failure = await ask(second.url, key, [{ name: "custom_events_summary" }]).catch(String)
  if (!String(failure).includes("events from other nodes")) throw new Error(JSON.stringify(failure))
  await send(second, key, [{ name: "tracked", eventId: "without the cluster" }])
  await startEngine()
  await Promise.all([second.stop(), single.stop()])
  return `${sentEvents} events, ${expected.length} query types on each node`
}

async function send({ url }: Server, key: string, events: readonly object[]): Promise<void> {
  const response = await fetch(`${url}/track`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify(events),
  })
  if (response.status !== 200) throw new Error(await response.text())
}

async function backlog({ url }: Server): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^databuddy_clickhouse_backlog_events (.+)$/m.exec(text)?.[1] ?? Number.NaN)
}

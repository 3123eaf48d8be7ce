// Run with `bun run test:clickhouse`. Ships events to a real ClickHouse server: the library of the npm package chdb
// (570 MB), which is downloaded into the temporary folder. Needs Linux with glibc on x64. Prints rates and sizes.
import { cpSync, rmSync, statSync } from "node:fs"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { standardEvents } from "../bench/dataset.ts"
import {
  eventually,
  openReader,
  type Server,
  startServer,
  temporaryFolder,
  withDatabase,
} from "../harness.ts"
import { makeWorld, someRows, type World } from "../reference/events.ts"
import { binary } from "../support/binary.ts"
import { freePort, install, startEngine } from "../support/clickhouse-server.ts"
import { environment } from "../support/environment.ts"
import { eventRow, oddEvents } from "../support/event.ts"
import { mulberry32, picker } from "../support/random.ts"
import { testClusterFaults } from "./clickhouse-faults.ts"
import { measureIngestion } from "./clickhouse-ingestion.ts"
import { testMove } from "./clickhouse-move.ts"
import { compareNodes, testTwoServers } from "./clickhouse-nodes.ts"
import { queriesPerState, seeds, testQueries } from "./clickhouse-query-server.ts"
import { testRemoval } from "./clickhouse-removal.ts"

/** `--figures` skips the tests of queries, faults, nodes and removal. */
const onlyFigures = process.argv.includes("--figures")
/** `--events 10000000` runs only the test that moves a file with this many events to the cluster and back. */
const movedEvents = Number(process.argv[process.argv.indexOf("--events") + 1])
/** Each of these flags runs one part of the tests alone. `--faults` runs only the tests of clickhouse-faults.ts. */
const parts = ["--events", "--removal", "--nodes", "--faults"] as const
const onlyPart = parts.find((part) => process.argv.includes(part))
if (onlyPart === "--events" && !(movedEvents > 0)) throw new Error("--events needs a number")
const runs = (part: (typeof parts)[number]) => onlyPart === part || (onlyPart === undefined && !onlyFigures)
/** Number of standard events in the file that the other tests move. */
const count = Number(process.env.EVENTS ?? 200_000)
/** For `eventually`, in ms. */
const patient = { timeout: 180_000, pause: 20 }
const day = 86_400_000

install()
using folder = temporaryFolder()
const data = folder.file("engine")
const port = await freePort()
const url = `http://127.0.0.1:${port}/shop`
const db = folder.file("shop.db")
let engine = await startEngine(data, port)
const engineTools = {
  stopEngine: () => engine.kill(),
  startEngine: async () => {
    engine = await startEngine(data, port)
  },
}
try {
  if (onlyPart === "--events") {
    await testMove(`http://127.0.0.1:${port}/move`, folder, movedEvents, { databuddy, report })
  }
  if (onlyPart === undefined) await run()
  if (runs("--nodes")) {
    await report("random queries to two nodes return the results of a single database", async () => {
      let equal = 0
      for (let seed = 1; seed <= seeds; seed++) {
        equal += await compareNodes(`http://127.0.0.1:${port}`, seed, queriesPerState)
      }
      return `${equal} results`
    })
    await report("two servers behind a load balancer return the results of a single one", () =>
      testTwoServers(`http://127.0.0.1:${port}/two_servers`, folder, { databuddy, ...engineTools }),
    )
  }
  if (runs("--removal")) {
    const tools = { databuddy, report, ...engineTools }
    await testRemoval(`http://127.0.0.1:${port}/removal`, folder.file("removal.db"), tools)
  }
  if (runs("--faults"))
    await testClusterFaults(folder, { port, databuddy, report, drained, track, ...engineTools })
} finally {
  await engine.kill()
}

async function run(): Promise<void> {
  fill()
  await report("a file is not shipped if the cluster has no tables", async () => {
    const { exitCode, stderr } = clickhouse("load")
    expectTrue(exitCode === 1 && stderr.includes("databuddy clickhouse migrate"), stderr)
  })
  succeed("migrate")
  await report("a file is loaded into the cluster, and counts and hashes agree", async () => {
    const { events, ms, compared } = JSON.parse(succeed("load", "--json"))
    expectTrue(compared.differences.length === 0 && events === compared.events, JSON.stringify(compared))
    const bytes = `${perEvent(statSync(db).size, events)} bytes per event in SQLite with indexes, ${perEvent(await diskBytes(), events)} in the cluster`
    return `${events} events, ${Math.round((events * 1_000) / ms)} per second; ${bytes}`
  })
  if (!onlyFigures) {
    await testQueries({
      port,
      db,
      serve,
      drained,
      track,
      rows,
      databuddy,
      report,
      ...engineTools,
    })
    await testFaults()
  }
  await report("everything is fetched into an empty file, row for row", async () => {
    const restored = folder.file("restored.db")
    const { exitCode, stdout, stderr } = onFile("fetch", restored, "--json")
    expectTrue(exitCode === 0, stderr)
    const { fetched, ms } = JSON.parse(stdout)
    expectTrue(fetched.renumbered === 0, `${fetched.renumbered} events got a new ID`)
    const [here, there] = [db, restored].map(contents)
    expectTrue(here === there, "the exports differ")
    return `${fetched.added} events, ${Math.round((fetched.added * 1_000) / ms)} per second`
  })
  await report("ingestion works with and without shipping", () => measureIngestion(folder, port, drained))
}

async function testFaults(): Promise<void> {
  await report("events that are sent twice count once", async () => {
    withDatabase(db, (open) => open.exec("update shipping set shipped_id = 0"))
    const { events, compared } = JSON.parse(succeed("load", "--json"))
    const [all, distinct] = await rows("select count(), uniqExact(id) from events")
    expectTrue(compared.differences.length === 0 && events === compared.events, JSON.stringify(compared))
    expectTrue(distinct === events, `${distinct} of ${events}`)
    return `${all} rows before merges, ${distinct} ids`
  })
  await report("a load that is killed five times continues, and loses or duplicates nothing", async () => {
    withDatabase(db, (open) => insert(open, pastRows({ ...seeded(2), websites: [undefined] }, 20_000)))
    await query("truncate table events")
    await query("truncate table writers")
    for (let attempt = 0; attempt < 5; attempt++) {
      const child = Bun.spawn([binary, "clickhouse", "load", "--clickhouse", url, "--db", db], {
        env: environment(),
      })
      const before = shipped()
      await Promise.race([
        eventually(() => shipped() !== before || child.exitCode !== null, patient),
        child.exited,
      ])
      await Bun.sleep(attempt * 70)
      child.kill("SIGKILL")
      await child.exited
    }
    // After an insert with an unknown outcome, deletions wait longer, but there are none here.
    agree("load")
  })
  await report("a cluster that is killed during inserts loses no acknowledged event", async () => {
    await using server = stopping(await serve())
    let acknowledged = 0
    for (let kill = 0; kill < 3; kill++) {
      const before = readShippingRow().sending_id
      acknowledged += await track(server.value, 20_000)
      // The kill should hit an insert that is in flight or has just been acknowledged.
      await eventually(() => readShippingRow().sending_id > before, { ...patient, pause: 2 })
      await engine.kill()
      const ready = await fetch(`${server.value.url}/ready`)
      expectTrue(ready.status === 200, `/ready responded with ${ready.status}`)
      acknowledged += await track(server.value, 1_000)
      engine = await startEngine(data, port)
    }
    await drained(server.value)
    agree("compare")
    return `${acknowledged} events sent during three kills`
  })
  await report("a server that is killed while it ships loses and duplicates nothing", async () => {
    for (let kill = 0; kill < 3; kill++) {
      const server = await serve()
      await track(server, 20_000)
      await Bun.sleep(kill * 150)
      await server.kill()
    }
    await using server = stopping(await serve())
    await drained(server.value)
    agree("compare")
  })
  await report(
    "a cluster restored to an older state is sent the events it lost and the deletions since then",
    async () => {
      const backup = folder.file("engine-backup")
      await engine.kill()
      cpSync(data, backup, { recursive: true })
      engine = await startEngine(data, port)
      await using server = stopping(await serve())
      await track(server.value, 5_000)
      await drained(server.value)
      withDatabase(db, (open) => open.exec("delete from event_rows where id % 1000 = 7"))
      await drained(server.value)
      await engine.kill()
      rmSync(data, { recursive: true })
      cpSync(backup, data, { recursive: true })
      engine = await startEngine(data, port)
      await track(server.value, 10)
      await eventually(() => readShippingRow().must_compare === 1, patient)
      await eventually(() => readShippingRow().must_compare === 0, patient)
      await drained(server.value)
      agree("compare")
    },
  )
  await report("a forgotten person is removed from the cluster", async () => {
    await using server = stopping(await serve())
    const person = "user-17"
    const [before] = await rows(`select count() from events final where anonymous_id = '${person}'`)
    const { exitCode, stderr } = databuddy([
      "forget",
      "--website",
      "shop",
      "--anonymous-id",
      person,
      "--yes",
      "--db",
      db,
    ])
    expectTrue(exitCode === 0, stderr)
    await drained(server.value)
    const [after] = await rows(`select count() from events where anonymous_id = '${person}'`)
    expectTrue(Number(before) > 0 && after === 0, `${before} events before, ${after} after`)
    agree("compare")
    return `${before} events before, 0 after`
  })
  await report("events are not shipped to tables of another version", async () => {
    await query(
      "insert into migrations (name, checksum, cluster, applied_at) values ('0099_later', '', '', now64(3))",
    )
    withDatabase(db, (open) => insert(open, [eventRow({ ts: Date.now(), receivedAt: Date.now() })]))
    const { exitCode, stderr } = clickhouse("load")
    expectTrue(exitCode === 1 && stderr.includes("0099_later"), stderr)
    await query("delete from migrations where name = '0099_later'")
    agree("load")
    return stderr.split("\n")[0]
  })
}

/** Fills the file with events of all kinds, and with `count` events of the standard data set. */
function fill(): void {
  withDatabase(db, (open) => {
    const settings = { domain: "shop.example", name: "Shop", allowedOrigins: [], anonymize: "off" as const }
    const { rid } = createWebsite(open, "shop", settings, Date.now())
    insert(open, [
      ...oddEvents(),
      ...oddEvents({ websiteRid: rid }),
      ...pastRows(makeWorld(open, seeded(1).random), 20_000),
    ])
    const end = Math.floor(Date.now() / day) * day
    const batch = []
    for (const { name, timestamp, properties, anonymousId, sessionId } of standardEvents(count, end)) {
      const keys = JSON.stringify(Object.keys(properties))
      const values = JSON.stringify(Object.values(properties)).slice(1, -1)
      const times = { ts: timestamp, receivedAt: timestamp + 5 }
      batch.push(
        eventRow({ websiteRid: rid, name, ...times, anonymousId, sessionId, keys, properties: values }),
      )
      if (batch.length === 5_000) insert(open, batch.splice(0))
    }
    insert(open, batch)
  })
}

function insert(open: Db, rows: readonly EventRow[]): void {
  new EventInserter(open, new DailyHash(open, (bytes) => crypto.getRandomValues(bytes))).insert(rows)
}

/** Returns random rows without those in the future, because `fetch` rejects such events, as an import does. */
function pastRows(world: World, rows: number): EventRow[] {
  return someRows(world, rows).filter(({ ts, receivedAt }) => Math.max(ts, receivedAt) < Date.now())
}

function seeded(seed: number): Pick<World, "random" | "center"> {
  return { random: picker(mulberry32(seed)), center: Date.UTC(2026, 0) }
}

function serve(cluster = url, args: readonly string[] = []): Promise<Server> {
  return startServer({
    db,
    args: [
      ...args,
      "--clickhouse",
      cluster,
      "--metrics",
      "local",
      "--rate-limit",
      "0",
      "--rate-limit-events",
      "0",
      "--rate-limit-bytes",
      "0",
    ],
  })
}

function stopping(value: Server): AsyncDisposable & { value: Server } {
  return { value, [Symbol.asyncDispose]: async () => void (await value.stop()) }
}

/** Sends events to the file's website. Returns the number of acknowledged events. */
async function track(server: Server, events: number): Promise<number> {
  let acknowledged = 0
  for (let sent = 0; sent < events; sent += 1_000) {
    const batch = Array.from({ length: Math.min(1_000, events - sent) }, (_, index) => ({
      name: "tracked",
      anonymousId: `user-${index % 50}`,
      properties: { index },
    }))
    const response = await fetch(`${server.url}/track?website_id=shop`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Origin: "https://shop.example" },
      body: JSON.stringify(batch),
    })
    expectTrue(response.status === 200, await response.text())
    acknowledged += batch.length
  }
  return acknowledged
}

async function metric(server: Server, name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  return Number(new RegExp(`^databuddy_clickhouse_${name} (.+)$`, "m").exec(text)?.[1] ?? Number.NaN)
}

/** Waits until everything is shipped. */
async function drained(server: Server): Promise<void> {
  const names = ["backlog_events", "pending_deletions"]
  // After an insert with an unknown outcome, deletions wait for five minutes.
  await eventually(
    async () => (await Promise.all(names.map((name) => metric(server, name)))).join() === "0,0",
    {
      timeout: 600_000,
      pause: 100,
    },
  )
}

function shipped(): number {
  return readShippingRow().shipped_id
}

interface ShippingRow {
  sending_id: number
  shipped_id: number
  must_compare: number
}

function readShippingRow(): ShippingRow {
  const reader = openReader(db)
  try {
    // The table has these columns, and contains one row once events have been shipped.
    return reader.prepare("select * from shipping").get() as ShippingRow
  } finally {
    reader.close()
  }
}

/** Runs a command and expects its comparison to find no difference. */
function agree(command: "load" | "compare"): void {
  const { events, differences } = JSON.parse(succeed(command, "--json")).compared
  expectTrue(differences.length === 0 && events > 0, JSON.stringify(differences))
}

function contents(path: string): string {
  const { exitCode, stdout, stderr } = databuddy(["export", "--db", path])
  expectTrue(exitCode === 0, stderr)
  return String(Bun.hash(stdout))
}

function succeed(command: string, ...args: string[]): string {
  const { exitCode, stdout, stderr } = clickhouse(command, ...args)
  expectTrue(exitCode === 0, `${command}: ${stderr}${stdout}`)
  return stdout
}

function clickhouse(command: string, ...args: string[]) {
  return command === "migrate"
    ? databuddy(["clickhouse", command, "--clickhouse", url])
    : onFile(command, db, ...args)
}

function onFile(command: string, file: string, ...args: string[]) {
  return databuddy(["clickhouse", command, "--clickhouse", url, "--db", file, ...args])
}

function databuddy(args: string[]): { exitCode: number; stdout: string; stderr: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([binary, ...args], {
    env: environment(),
    maxBuffer: 2 ** 30,
  })
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() }
}

async function query(statement: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/?database=shop`, { method: "POST", body: statement })
  const text = await response.text()
  expectTrue(response.status === 200, text)
  return text
}

/** Returns the first row of a query's result as numbers. */
async function rows(statement: string): Promise<number[]> {
  return (await query(statement)).trim().split("\t").map(Number)
}

async function diskBytes(): Promise<number> {
  await query("optimize table events final")
  const [bytes = 0] = await rows(
    "select sum(bytes_on_disk) from system.parts where active and database = 'shop' and table = 'events'",
  )
  return bytes
}

function perEvent(bytes: number, events: number): number {
  return Math.round(bytes / events)
}

function expectTrue(condition: boolean, message: string): void {
  if (!condition) throw new Error(message)
}

async function report(what: string, work: () => Promise<string | undefined>): Promise<void> {
  const begin = performance.now()
  const detail = await work()
  const seconds = ((performance.now() - begin) / 1_000).toFixed(1)
  process.stdout.write(`ok  ${what} (${seconds} s)${detail ? `: ${detail}` : ""}\n`)
}

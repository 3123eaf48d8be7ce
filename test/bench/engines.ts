// The engines that `bench query` compares. Run directly, this file runs one query on one engine in a fresh process.
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { Database } from "../../src/store/db/driver.ts"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { createKey } from "../../src/store/keys.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { startServer } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { type BenchmarkQuery, benchmarkQueries, type Cell, numberOf, type Row } from "./benchmark-queries.ts"
import type { StandardEvent } from "./dataset.ts"

/** Unix ms, `to` exclusive. */
export interface Range {
  from: number
  to: number
}

export interface Data {
  /** Folder of the engines' files. */
  folder: string
  /** Folder in which DuckDB and ClickHouse are installed. */
  packages: string
  events: Iterable<StandardEvent>
  /** File with the same events as tab-separated columns. */
  file: string
}

interface Session {
  run(query: BenchmarkQuery, range: Range): Cell[][] | Promise<Cell[][]>
  close(): unknown
}

interface Engine {
  /** Names of the engine's files in the data folder. */
  files: string[]
  build(data: Data): void | Promise<void>
  open(folder: string, packages: string): Session | Promise<Session>
}

/**
 * Together, these packages take up 600 MB, five times as much as all other dependencies, so they are installed only for
 * this benchmark. Both work in Bun.
 */
const versions = { "@duckdb/node-api": "1.5.6-r.1", chdb: "3.4.0" }

/** The part of DuckDB's API that is used here. The package's own types are not available when this file is compiled. */
interface DuckDb {
  DuckDBInstance: {
    create(path: string, options?: Record<string, string>): Promise<{ connect(): Promise<DuckDbConnection> }>
  }
}
export interface DuckDbConnection {
  run(sql: string): Promise<unknown>
  runAndReadAll(sql: string): Promise<{ getRowsJson(): (string | number)[][] }>
  closeSync(): void
}
interface ChDb {
  Session: new (path: string) => { query(sql: string, format?: string): string; close(): void }
}

export async function install(packages: string): Promise<void> {
  mkdirSync(packages, { recursive: true })
  writeFileSync(join(packages, "package.json"), JSON.stringify({ private: true, dependencies: versions }))
  const command = [process.execPath, "install", "--silent"]
  const done = Bun.spawn(command, { cwd: packages, stdout: "ignore", stderr: "inherit" })
  if ((await done.exited) !== 0) throw new Error("DuckDB and ClickHouse could not be installed")
}

async function load<Module>(packages: string, name: keyof typeof versions): Promise<Module> {
  return (await import(Bun.resolveSync(name, packages))) as Module
}

/** One row of the file and of the tables created from it. */
export function columnsOf({ name, timestamp, anonymousId, sessionId, properties }: StandardEvent): string {
  const { button, page, plan, amount } = properties
  return `1\t${name}\t${timestamp}\t${anonymousId}\t${sessionId}\t${button}\t${page}\t${plan}\t${amount}\n`
}

const columns = {
  website: ["integer", "UInt32"],
  name: ["varchar", "LowCardinality(String)"],
  ts: ["bigint", "Int64"],
  visitor: ["varchar", "String"],
  session: ["varchar", "String"],
  button: ["varchar", "LowCardinality(String)"],
  page: ["varchar", "LowCardinality(String)"],
  plan: ["varchar", "LowCardinality(String)"],
  amount: ["integer", "Int32"],
} as const

/** Events per transaction when a database is filled. */
const perCommit = 10_000

export function* chunks<Item>(items: Iterable<Item>): Generator<Item[]> {
  let chunk: Item[] = []
  for (const item of items) {
    if (chunk.push(item) < perCommit) continue
    yield chunk
    chunk = []
  }
  if (chunk.length > 0) yield chunk
}

/** Replaces `:from` and `:to` with their values, which need no escaping because they are numbers. */
export function withRange(sql: string, { from, to }: Range): string {
  return sql.replaceAll(":from", String(from)).replaceAll(":to", String(to))
}

/**
 * Plain rows, stored in the best way for GROUP BY: names, visitors and sessions as numbers, and a covering index for
 * each kind of query.
 */
const sqlite: Engine = {
  files: ["rows.db"],
  build({ folder, events }) {
    const db = new Database(join(folder, "rows.db"))
    db.pragma("journal_mode = off")
    db.pragma("synchronous = off")
    db.exec(`
      create table events (
        website integer not null, name integer not null, ts integer not null, visitor integer not null,
        session integer not null, properties text not null
      ) strict`)
    const insert = db.prepare("insert into events values (1, ?, ?, ?, ?, ?)")
    const store = db.transaction((chunk: StandardEvent[]) => {
      for (const { name, timestamp, anonymousId, sessionId, properties } of chunk) {
        const numbers = [numberOf(name), timestamp, numberOf(anonymousId), numberOf(sessionId)]
        insert.run(...numbers, JSON.stringify(properties))
      }
    })
    for (const chunk of chunks(events)) store(chunk)
    db.exec("create index events_name on events (website, name, ts, visitor, session)")
    db.exec("create index events_time on events (website, ts, name, visitor, session)")
    db.exec("create index events_visitor on events (website, visitor, ts)")
    db.exec("analyze")
    db.close()
  },
  open(folder) {
    const db = new Database(join(folder, "rows.db"), { readonly: true })
    db.pragma("mmap_size = 2147483647")
    db.pragma("cache_size = -262144")
    db.pragma("temp_store = memory")
    return {
      run: (query, range) =>
        db
          .prepare(query.sqlite)
          .raw()
          .all({ ...range }) as Cell[][],
      close: () => db.close(),
    }
  },
}

/** Sorted by name and time, so that a query for one event skips the row groups of other events. */
const duckdb: Engine = {
  files: ["events.duckdb"],
  async build({ folder, packages, file }) {
    const connection = await duckDbAt(join(folder, "events.duckdb"), packages)
    const names = Object.keys(columns)
    const types = names.map((name) => `'${name}': '${columns[name as keyof typeof columns][0]}'`)
    await connection.run(`
      create table events as
      select * from read_csv('${file}', delim = '\t', header = false, columns = {${types}})
      order by name, ts`)
    await connection.run("checkpoint")
    connection.closeSync()
  },
  async open(folder, packages) {
    const connection = await duckDbAt(join(folder, "events.duckdb"), packages, { access_mode: "READ_ONLY" })
    return {
      run: async (query, range) => {
        const reader = await connection.runAndReadAll(withRange(query.duckdb, range))
        // 64-bit numbers are returned as text.
        return reader
          .getRowsJson()
          .map((row) => row.map((cell) => (/^\d+$/.test(String(cell)) ? Number(cell) : cell)))
      },
      close: () => connection.closeSync(),
    }
  },
}

export async function duckDbAt(path: string, packages: string, options = {}): Promise<DuckDbConnection> {
  const { DuckDBInstance } = await load<DuckDb>(packages, "@duckdb/node-api")
  return await (await DuckDBInstance.create(path, options)).connect()
}

/**
 * chDB (ClickHouse as a library): a MergeTree with the sort order of Databuddy's own server, and one part per month.
 */
const clickhouse: Engine = {
  files: ["clickhouse"],
  async build({ folder, packages, file }) {
    const { Session } = await load<ChDb>(packages, "chdb")
    const session = new Session(join(folder, "clickhouse"))
    const types = Object.entries(columns).map(([name, [, type]]) => `${name} ${type}`)
    session.query("create database bench")
    session.query(`
      create table bench.events (${types})
      engine = MergeTree partition by toYYYYMM(toDateTime(intDiv(ts, 1000), 'UTC')) order by (website, name, ts)`)
    session.query(`insert into bench.events select * from file('${file}', 'TSV', '${types}')`)
    session.query("optimize table bench.events final")
    session.close()
  },
  async open(folder, packages) {
    const { Session } = await load<ChDb>(packages, "chdb")
    const session = new Session(join(folder, "clickhouse"))
    session.query("use bench")
    return {
      run: (query, range) => {
        const lines = session.query(withRange(query.clickhouse, range), "JSONCompactEachRow").trim()
        return lines
          .split("\n")
          .map((line) =>
            (JSON.parse(line) as Cell[]).map((cell) => (/^\d+$/.test(String(cell)) ? Number(cell) : cell)),
          )
      },
      close: () => session.close(),
    }
  },
}

export const website = "550e8400-e29b-41d4-a716-446655440000"

/** The built binary, queried over HTTP. */
const databuddy: Engine = {
  files: ["databuddy.db", "key"],
  async build({ folder, events }) {
    const now = Date.now()
    const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
    const db = openDatabase({ path: join(folder, "databuddy.db"), durability: "os", busyTimeout: 0, now })
    const settings = { domain: "bench.example", name: "bench", allowedOrigins: [], anonymize: "off" } as const
    const { rid } = createWebsite(db, website, { ...settings, allowedOrigins: [] }, now)
    const grant = {
      name: "bench",
      scopes: ["track:events" as const, "read:data" as const],
      websites: null,
      rateLimit: null,
      expiresAt: null,
    }
    const { secret } = createKey(db, crypto.randomUUID(), grant, random, now)
    writeFileSync(join(folder, "key"), secret)
    const inserter = new EventInserter(db, new DailyHash(db, random))
    const store = db.transaction((chunk: StandardEvent[]) =>
      inserter.insert(chunk.map((event) => eventRow(event, rid))),
    )
    for (const chunk of chunks(events)) store.immediate(chunk)
    closeDatabase(db)
    makeBlocks(join(folder, "databuddy.db"))
  },
  async open(folder) {
    const server = await startServer({ db: join(folder, "databuddy.db") })
    const key = await Bun.file(join(folder, "key")).text()
    return {
      run: (query, range) => queryServer(server.url, key, query, range),
      close: () => server.stop(),
    }
  },
}

/** Builds all column blocks at once. A server builds them between commits and at the end of a day. */
export function makeBlocks(path: string): void {
  const { success, stderr } = Bun.spawnSync([binary, "rebuild", "--db", path])
  if (!success) throw new Error(`no blocks were built: ${stderr}`)
}

function eventRow(event: StandardEvent, websiteRid: number): EventRow {
  return {
    websiteRid,
    name: event.name,
    namespace: "",
    source: "",
    keys: JSON.stringify(Object.keys(event.properties)),
    ts: event.timestamp,
    receivedAt: event.timestamp,
    anonymousId: event.anonymousId,
    hashVisitor: false,
    sessionId: event.sessionId,
    profileId: null,
    path: null,
    viaKey: 1,
    crawler: 0,
    eventId: null,
    properties: JSON.stringify(Object.values(event.properties)).slice(1, -1),
  }
}

/** Queries databuddy for whole days in UTC. Returns its rows converted to the columns of the SQL. */
export async function queryServer(
  url: string,
  key: string,
  { request, row }: Pick<BenchmarkQuery, "request" | "row">,
  { from, to }: Range,
): Promise<Cell[][]> {
  const { parameter, ...whole } = request
  const date = (ms: number) => new Date(ms).toISOString().slice(0, 10)
  const answer = await fetch(`${url}/v1/query?website_id=${website}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ ...whole, parameters: [parameter], startDate: date(from), endDate: date(to - 1) }),
  })
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
  const { data } = (await answer.json()) as { data: { success: boolean; error?: string; data: Row[] }[] }
  if (!data[0]?.success) throw new Error(data[0]?.error ?? "no answer")
  return data[0].data.map(row).filter((cells) => cells !== undefined)
}

export const engines = { SQLite: sqlite, DuckDB: duckdb, ClickHouse: clickhouse, databuddy }
export type EngineName = keyof typeof engines

/** The result of one query on one engine, and its duration. */
export interface EngineResult {
  /** Durations in ms: of the first run after the start, and the median of the later runs. */
  cold: number
  warm: number
  rows: Cell[][]
}

export interface Task extends Range {
  engine: EngineName
  folder: string
  packages: string
  /** Index in `benchmarkQueries`. */
  query: number
  /** Number of runs after the first. */
  rounds: number
}

/** ms after which no further run starts, except the second run: plain rows take 15 s for some queries. */
const warmTime = 15_000

/** Evicts files from the page cache. Pages that are not on disk yet are written first. `paths` are files or folders. */
export async function evict(folder: string, paths: string[]): Promise<void> {
  for (const command of [
    ["sync", "-f", folder],
    ["find", ...paths, "-type", "f", "-exec", "dd", "if={}", "iflag=nocache", "count=0", "status=none", ";"],
  ]) {
    await Bun.spawn(command, { stdout: "ignore", stderr: "inherit" }).exited
  }
}

/** Runs the task in a separate process, after evicting the engine's files from the page cache. */
export async function runInFreshProcess(task: Task): Promise<EngineResult> {
  const paths = engines[task.engine].files.map((file) => join(task.folder, file)).filter(existsSync)
  await evict(task.folder, paths)
  const child = Bun.spawn([process.execPath, import.meta.path, JSON.stringify(task)], {
    stdout: "pipe",
    stderr: "pipe",
  })
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  if ((await child.exited) !== 0) {
    throw new Error(`${task.engine}, ${benchmarkQueries[task.query]?.name}: ${errors}`)
  }
  return JSON.parse(output.trim().split("\n").at(-1) ?? "") as EngineResult
}

if (import.meta.main) {
  const task = JSON.parse(process.argv[2] as string) as Task
  const session = await engines[task.engine].open(task.folder, task.packages)
  const query = benchmarkQueries[task.query] as BenchmarkQuery
  const times: number[] = []
  let rows: Cell[][] = []
  try {
    const patience = performance.now() + warmTime
    for (let round = 0; round <= task.rounds && (round < 2 || performance.now() < patience); round++) {
      const begin = performance.now()
      rows = await session.run(query, { from: task.from, to: task.to })
      times.push(performance.now() - begin)
    }
  } finally {
    await session.close()
  }
  const [cold, ...warm] = times
  warm.sort((one, other) => one - other)
  process.stdout.write(`${JSON.stringify({ cold, warm: warm[Math.floor(warm.length / 2)], rows })}\n`)
  process.exit(0)
}

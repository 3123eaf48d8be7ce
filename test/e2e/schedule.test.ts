import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { retryDelay } from "../../src/backups/schedule.ts"
import { Database } from "../../src/store/db/driver.ts"
import {
  eventually,
  type Server,
  startFailure,
  startServer,
  type TemporaryFolder,
  temporaryFolder,
} from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"
import { startS3Stub } from "../support/s3-stub.ts"

// Each test starts a server and one or two backup processes. On a busy machine, each can take seconds.
setDefaultTimeout(60_000)

const minute = 60_000
const day = 86_400_000
/** For `eventually`, in ms. */
const patient = { timeout: 30_000, pause: 50 }

let folder: TemporaryFolder
let backups = ""
const started: Server[] = []

beforeEach(() => {
  folder = temporaryFolder()
  backups = folder.file("backups")
  mkdirSync(backups)
})

afterEach(async () => {
  for (const server of started.splice(0)) await server.kill()
  folder[Symbol.dispose]()
})

async function serve(...args: string[]): Promise<Server> {
  const env = { DATABUDDY_BACKUP_DIR: backups, DATABUDDY_METRICS: "local" }
  const server = await startServer({ db: folder.file("databuddy.db"), args, env })
  started.push(server)
  return server
}

/** Returns the name of a scheduled backup from `age` ms ago. */
function nameOf(age: number, db = "databuddy"): string {
  const time = new Date(Date.now() - age).toISOString().slice(0, 19)
  return `${db}-${time.replace(/[-:]/g, "")}Z.db`
}

function seed(...names: string[]): void {
  for (const name of names) writeFileSync(join(backups, name), name)
}

const found = () => readdirSync(backups).sort()

function logged(server: Server, message: string): Record<string, unknown>[] {
  const lines = server
    .output()
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
  return lines.map((line) => JSON.parse(line)).filter((line) => line.message === message)
}

async function metric(server: Server, name: string, prefix = "databuddy_backup"): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  return Number(new RegExp(`^${prefix}_${name} (.+)$`, "m").exec(text)?.[1])
}

function grow(megabytes: number): void {
  const open = new Database(folder.file("databuddy.db"))
  open.pragma("synchronous = off")
  open.exec("create table filler (bytes blob)")
  const insert = open.prepare("insert into filler values (randomblob(1000000))")
  open.transaction(() => {
    for (let n = 0; n < megabytes; n++) insert.run()
  })()
  open.close()
}

test("serve creates the first backup immediately, complete and readable only by its owner, and reports it in log and metrics", async () => {
  const server = await serve()
  const [line] = (await eventually(async () => {
    const lines = logged(server, "backup created")
    return lines.length > 0 && lines
  }, patient)) as [Record<string, unknown>]
  const [name = "", ...others] = found()
  expect(others).toEqual([])
  expect(name).toMatch(/^databuddy-\d{8}T\d{6}Z\.db$/)
  const file = join(backups, name)
  expect(line).toMatchObject({ level: "info", file, bytes: statSync(file).size, events: 0 })
  expect((statSync(file).mode & 0o777).toString(8)).toBe("600")
  expect(
    Math.abs((await metric(server, "last_success_timestamp_seconds")) * 1_000 - Date.now()),
  ).toBeLessThan(minute)
  expect(await metric(server, "bytes")).toBe(statSync(file).size)
  expect(await metric(server, "failures_total")).toBe(0)
  const status = await fetch(`${server.url}/v1/status`, {
    headers: { Authorization: `Bearer ${server.key}` },
  })
  expect(await status.json()).toMatchObject({
    database: { events: 0 },
    backups: {
      everyMs: day,
      keep: 7,
      newestAt: expect.any(String),
      newestBytes: statSync(file).size,
      lastFailureAt: null,
    },
  })
  const check = Bun.spawnSync([binary, "check", "--db", file])
  expect([check.exitCode, check.stdout.toString()]).toEqual([0, expect.stringContaining("no problems")])
  // The backup process must not have released the server's locks.
  const headers = { Authorization: `Bearer ${server.key}` }
  expect((await fetch(`${server.url}/track`, { method: "POST", headers, body: '{"name":"a"}' })).status).toBe(
    200,
  )
  expect(await server.stop()).toBe(0)
})

test("with --backup-to, serve uploads to the bucket, and log, metrics, status and doctor report it", async () => {
  using s3 = startS3Stub()
  const bucket = {
    DATABUDDY_BACKUP_TO: "s3://bucket/shop",
    DATABUDDY_BACKUP_ENDPOINT: s3.endpoint,
    AWS_ACCESS_KEY_ID: "access",
    AWS_SECRET_ACCESS_KEY: "secret",
  }
  const db = folder.file("databuddy.db")
  const server = await startServer({ db, env: { ...bucket, DATABUDDY_METRICS: "local" } })
  started.push(server)
  const [line] = (await eventually(async () => {
    const lines = logged(server, "backup created")
    return lines.length > 0 && lines
  }, patient)) as [Record<string, unknown>]
  const [[key, { length: bytes }]] = s3.objects as Iterable<[string, Uint8Array]> as [[string, Uint8Array]] // one object
  expect(key).toMatch(/^shop\/databuddy-\d{8}T\d{6}Z\.db\.zst$/)
  const file = `s3://bucket/${key}`
  expect(line).toMatchObject({ level: "info", file, bytes, events: 0 })
  const prefix = "databuddy_offsite_backup"
  const age = Date.now() / 1_000 - (await metric(server, "last_success_timestamp_seconds", prefix))
  expect(age).toBeLessThan(60)
  expect(await metric(server, "bytes", prefix)).toBe(bytes)
  expect(await metric(server, "failures_total", prefix)).toBe(0)
  expect(await metric(server, "bytes")).toBeNaN()
  const headers = { Authorization: `Bearer ${server.key}` }
  expect(await (await fetch(`${server.url}/v1/status`, { headers })).json()).toMatchObject({
    backups: null,
    offsiteBackups: { everyMs: day, newestBytes: bytes, url: "s3://bucket/shop/", encrypted: false },
  })
  const doctor = Bun.spawn([binary, "doctor", "--db", db, "--json"], { env: environment(bucket) })
  const { findings, facts } = JSON.parse(await doctor.stdout.text())
  expect(findings).toContainEqual({
    about: "offsite",
    message: expect.stringContaining(`old: ${file}`),
    hint: null,
  })
  expect(facts.newestOffsiteBackup).toEqual(expect.any(String))
  expect(await server.stop()).toBe(0)
  expect(readdirSync(folder.path).sort()).toEqual(["backups", "databuddy.db"])
})

test("a missed backup is created at start, and only then the oldest ones are deleted", async () => {
  const [old, older, oldest] = [nameOf(2 * day), nameOf(3 * day), nameOf(4 * day)]
  const foreign = [
    "databuddy-notes.db",
    "databuddy-20261399T000000Z.db",
    nameOf(9 * day, "other"),
    `${oldest}.gz`,
  ]
  seed(old, older, oldest, ...foreign)
  const server = await serve("--backup-keep", "2")
  await eventually(() => logged(server, "old backup removed").length === 2, patient)
  const now = found()
  expect(now).toHaveLength(foreign.length + 2)
  expect(now).toEqual(expect.arrayContaining([old, ...foreign]))
  expect(now).not.toContain(older)
})

test("no backup is created before it is due", async () => {
  const recent = nameOf(5 * minute)
  seed(recent)
  const server = await serve("--backup-every", "1h")
  const age = await eventually(async () => {
    const seen = await metric(server, "last_success_timestamp_seconds")
    return seen > 0 && Date.now() / 1_000 - seen
  }, patient)
  expect(age).toBeGreaterThanOrEqual(300)
  expect(await server.stop()).toBe(0)
  expect(found()).toEqual([recent])
})

test("backups continue on schedule", async () => {
  const server = await serve("--backup-every", "1s", "--backup-keep", "2")
  await eventually(() => logged(server, "backup created").length >= 3, patient)
  await eventually(() => logged(server, "old backup removed").length >= 1, patient)
  expect(await server.stop()).toBe(0)
  expect(found()).toHaveLength(2)
})

test("a backup dated in the future neither delays nor replaces the next one", async () => {
  const ahead = nameOf(-900 * day)
  seed(ahead)
  const server = await serve("--backup-keep", "1")
  await eventually(() => logged(server, "old backup removed").length === 1, patient)
  expect(found()).toHaveLength(1)
  expect(found()).not.toContain(ahead)
})

const failures: [string, string[], () => void, string, string][] = [
  [
    "a missing folder",
    ["--backup-dir", "gone/none"],
    () => {},
    "/none does not exist",
    "create it, mount its disk, or",
  ],
  [
    "a file in place of the folder",
    ["--backup-dir", "file"],
    () => writeFileSync(folder.file("file"), ""),
    "/file is not a folder",
    "or choose another one with --backup-dir",
  ],
  [
    "too little free space on the database's disk",
    ["--min-free", "900000000000000"],
    () => {},
    "would leave less than the 900.0 TB that --min-free reserves",
    "free disk space",
  ],
]
test.each(failures)(
  "%s makes the backup fail with a hint, and no old backup is deleted",
  async (_, args, spoil, error, hint) => {
    const old = [nameOf(3 * day), nameOf(2 * day)].sort()
    seed(...old)
    spoil()
    const named = args.map((arg) => (arg === "gone/none" || arg === "file" ? folder.file(arg) : arg))
    const server = await serve("--backup-keep", "1", "--backup-every", "1h", ...named)
    await eventually(() => logged(server, "backup failed").length === 1, patient)
    expect(logged(server, "backup failed")).toEqual([
      expect.objectContaining({
        level: "error",
        error: expect.stringContaining(error),
        hint: expect.stringContaining(hint),
        retryInSeconds: 60,
      }),
    ])
    expect(await metric(server, "failures_total")).toBe(1)
    expect(await metric(server, "last_failure_timestamp_seconds")).toBeGreaterThan(Date.now() / 1_000 - 60)
    expect(found()).toEqual(old)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  },
)

test("a failed backup is retried, and works once the folder exists", async () => {
  // The mount point of an unmounted disk is an empty folder.
  mkdirSync(folder.file("disk"))
  const late = folder.file("disk/late")
  const server = await serve("--backup-dir", late, "--backup-every", "1s")
  await eventually(() => logged(server, "backup failed").length >= 2, patient)
  mkdirSync(late)
  await eventually(() => logged(server, "backup created").length > 0, patient)
})

test("a missing folder in an existing one is created at the start, readable only by its owner, but never later", async () => {
  const missing = folder.file("new")
  const server = await serve("--backup-dir", missing, "--backup-every", "1s")
  await eventually(() => logged(server, "backup created").length > 0, patient)
  expect((statSync(missing).mode & 0o777).toString(8)).toBe("700")
  rmSync(missing, { recursive: true })
  await eventually(() => logged(server, "backup failed").length > 0, patient)
  expect(existsSync(missing)).toBe(false)
})

test("the next backup removes what a killed one left behind", async () => {
  const gone = Bun.spawnSync(["true"]).pid
  const leftover = join(backups, `${nameOf(day)}.partial-${gone}`)
  const foreign = join(backups, `other.db.partial-${gone}`)
  const alive = join(backups, `${nameOf(day)}.partial-${process.pid}`)
  for (const path of [leftover, foreign, alive]) mkdirSync(path)
  const server = await serve()
  await eventually(() => logged(server, "backup created").length > 0, patient)
  expect([leftover, foreign, alive].map((path) => existsSync(path))).toEqual([false, true, true])
})

test("SIGTERM during a backup leaves no partial file, and is not a failure", async () => {
  const first = await startServer({ db: folder.file("databuddy.db") })
  await first.stop()
  grow(150)
  const server = await serve()
  await eventually(() => found().some((name) => name.includes(".partial-")), { ...patient, pause: 1 })
  expect(await server.stop()).toBe(0)
  expect(found()).toEqual([])
  expect(logged(server, "backup failed")).toEqual([])
  expect(readdirSync(folder.path).sort()).toEqual(["backups", "databuddy.db"])
  expect(readFileSync(folder.file("databuddy.db")).subarray(0, 15).toString()).toBe("SQLite format 3")
})

test("a failed backup is retried before the next one is due, with increasing delays", () => {
  expect([0, 1, 2, 6, 60].map((before) => retryDelay(before, day) / minute)).toEqual([1, 2, 4, 60, 60])
  expect(retryDelay(5, 10_000)).toBe(10_000)
})

const misuses: [string[], string][] = [
  [
    ["--backup-keep", "3"],
    "--backup-keep has no effect without --backup-dir or --backup-to: no backups are made",
  ],
  [["--backup-every", "1h"], "--backup-every has no effect"],
  [
    ["--backup-dir", "x", "--backup-every", "often"],
    "It must be a duration of at most 366d, such as 6h or 1d",
  ],
  [["--backup-dir", "x", "--backup-every", "0s"], "It must be a duration of at most 366d, such as 6h or 1d"],
  [["--backup-dir", "x", "--backup-keep", "0"], "It must be a whole number from 1 to 100000"],
  [["--backup-dir", " "], "It must be a folder"],
  [["--backup-ping", "https://a.b/c"], "--backup-ping has no effect without --backup-dir or --backup-to"],
  [["--backup-dir", "x", "--backup-key", "key"], "--backup-key has no effect without --backup-to"],
  [
    ["--backup-to", "s3://bucket", "--backup-endpoint", "ftp://a"],
    "It must be a URL that starts with https://",
  ],
]
const unusable: [string[], Record<string, string>, string][] = [
  [["--backup-to", "bucket"], {}, "bucket is not valid\nhint: give a bucket and an optional prefix"],
  [["--backup-to", "s3://bucket"], {}, "the access key for the S3 server is missing"],
  [
    ["--backup-to", "s3://bucket", "--backup-key", "/none"],
    { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" },
    "--backup-key /none cannot be read",
  ],
]
test.each(unusable)("serve %j does not start", async (args, env, message) => {
  expect(await startFailure({ db: folder.file("databuddy.db"), args, env })).toContain(message)
})

test.each(misuses)("serve %j is rejected as invalid usage", (args, message) => {
  const { exitCode, stderr } = Bun.spawnSync([binary, "serve", ...args], { cwd: folder.path, env: {} })
  expect([exitCode, stderr.toString()]).toEqual([2, expect.stringContaining(message)])
})

import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { bucketDestination, type Destination, folderDestination } from "../../src/backups/destinations.ts"
import { backupName } from "../../src/backups/files.ts"
import { openBucket } from "../../src/backups/off-site.ts"
import { BackupSchedule } from "../../src/backups/schedule.ts"
import type { LogFields } from "../../src/log.ts"
import { eventually, type TemporaryFolder, temporaryFolder, withDatabase } from "../harness.ts"
import { commandContext } from "../support/command-context.ts"
import { environment } from "../support/environment.ts"
import { type S3Stub, startS3Stub } from "../support/s3-stub.ts"

// Each backup runs in a new process.
setDefaultTimeout(60_000)
const patient = { timeout: 30_000, pause: 20 }

const day = 86_400_000

let folder: TemporaryFolder
let s3: S3Stub
let db = ""
let logged: ({ level: string; message: string } & LogFields)[] = []
const schedules: BackupSchedule[] = []

beforeEach(() => {
  folder = temporaryFolder()
  s3 = startS3Stub()
  db = folder.file("shop.db")
  logged = []
  withDatabase(db, () => {})
})

afterEach(async () => {
  for (const schedule of schedules.splice(0)) await schedule.stop()
  s3[Symbol.dispose]()
  folder[Symbol.dispose]()
})

interface Setup {
  /** Whether there is also a folder with local backups. */
  isLocal?: boolean
  every?: number
  keep?: number
  ping?: string
  now?: () => number
}

function start({ isLocal = false, every = day, keep = 7, ping, now = Date.now }: Setup): {
  schedule: BackupSchedule
  bucket: Destination
} {
  const env = environment({ AWS_ACCESS_KEY_ID: "access", AWS_SECRET_ACCESS_KEY: "secret" })
  const context = commandContext({ now, env, output: { out: "", err: "" } })
  const facts = { db, minFree: 0, pid: process.pid }
  const backupDir = isLocal ? folder.file("backups") : undefined
  const options = { backupEndpoint: s3.endpoint, backupDir, backupEvery: every }
  const bucket = bucketDestination(openBucket("s3://bucket/a", options, context), options, facts)
  const local = backupDir === undefined ? [] : [folderDestination(backupDir, facts)]
  const schedule = new BackupSchedule(
    [...local, bucket],
    { every, keep, ping },
    context,
    (level, message, fields) => logged.push({ level, message, ...fields }),
  )
  schedules.push(schedule)
  schedule.start()
  return { schedule, bucket }
}

const lines = (message: string) => logged.filter((line) => line.message === message)
const keyOf = (at: number) => `a/${backupName(db, at)}.zst`

/** Starts a monitor that counts requests and responds with `status`. */
function startMonitor(status: number) {
  let count = 0
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => {
      count++
      return new Response("", { status })
    },
  })
  return {
    url: `${server.url.origin}/secret-path`,
    count: () => count,
    [Symbol.dispose]: () => void server.stop(true),
  }
}

test("backups are written to the bucket on schedule, and the oldest are deleted, but no other objects", async () => {
  const old = [4, 3, 2].map((days) => keyOf(Date.now() - days * day))
  const foreign = ["a/notes.zst", "a/other-20200101T000000Z.db.zst", "b/shop-20200101T000000Z.db.zst"]
  for (const key of [...old, ...foreign]) s3.objects.set(key, new Uint8Array(9))
  const { schedule, bucket } = start({ keep: 2 })
  await eventually(() => lines("old backup removed").length === 2, patient)
  const kept = [...s3.objects.keys()]
  expect(kept).toEqual(expect.arrayContaining([old[2], ...foreign]))
  expect(kept).toHaveLength(foreign.length + 2)
  const [created] = lines("backup created")
  expect(created).toMatchObject({
    level: "info",
    file: expect.stringMatching(/^s3:\/\/bucket\/a\/shop-.+\.db\.zst$/),
  })
  expect(schedule.stateOf(bucket)).toMatchObject({ bytes: created?.bytes, failures: 0 })
})

test("no backup is made before it is due, and the newest existing one is found", async () => {
  const at = Math.floor(Date.now() / 1_000) * 1_000 - 3_600_000
  s3.objects.set(keyOf(at), new Uint8Array(9))
  const { schedule, bucket } = start({})
  await eventually(() => (schedule.stateOf(bucket)?.bytes ?? 0) > 0, patient)
  await schedule.stop()
  expect(schedule.stateOf(bucket)).toEqual({ lastSuccess: at, lastFailure: 0, bytes: 9, failures: 0 })
  expect(logged).toEqual([])
})

test("with a folder, the bucket gets the same backup as the folder", async () => {
  mkdirSync(folder.file("backups"))
  const { schedule } = start({ isLocal: true })
  await eventually(() => lines("backup created").length === 2, patient)
  await schedule.stop()
  const [local, remote] = lines("backup created").map(({ file }) => String(file))
  const name = local?.split("/").at(-1)
  expect(remote).toBe(`s3://bucket/a/${name}.zst`)
})

test("with a folder, the bucket also gets the backup of the folder in the second round", async () => {
  mkdirSync(folder.file("backups"))
  // Names do not contain fractions of a second, so the clock is set to the middle of a second.
  const offset = 500 - (Date.now() % 1_000)
  const { schedule } = start({ isLocal: true, every: 5_000, now: () => Date.now() + offset })
  await eventually(() => lines("backup created").length >= 4, patient)
  await schedule.stop()
  const names = lines("backup created").map(({ file }) => String(file).split("/").at(-1))
  expect(names.slice(0, 4)).toEqual([names[0], `${names[0]}.zst`, names[2], `${names[2]}.zst`])
})

test("an interrupted upload is retried until it succeeds, and leaves no parts behind", async () => {
  const bytes = Buffer.alloc(20_000_000)
  crypto.getRandomValues(bytes.subarray(0, 65_536))
  for (let at = 65_536; at < bytes.length; at += 65_536)
    crypto.getRandomValues(bytes.subarray(at, at + 65_536))
  mkdirSync(folder.file("backups"))
  // This file passes as a backup because only the name of a local backup is checked before it is uploaded.
  writeFileSync(join(folder.file("backups"), backupName(db, Date.now() - 1_000)), bytes)
  let parts = 0
  let isFailing = true
  // Only the first part is accepted.
  s3.fault = (operation) =>
    isFailing && operation === "part" && ++parts > 1 ? { status: 500, code: "InternalError" } : undefined
  start({ isLocal: true, every: 5_000 })
  await eventually(() => lines("backup failed").length > 0, patient)
  expect(lines("backup failed")[0]).toMatchObject({
    to: "s3://bucket/a/",
    error: expect.stringContaining("is overloaded or has failed"),
    hint: expect.stringContaining("scheduled backups are retried"),
    retryInSeconds: 5,
  })
  expect(s3.uploads.size).toBe(0)
  expect(s3.objects.size).toBe(0)
  isFailing = false
  await eventually(() => s3.objects.size > 0, patient)
})

test("the monitor is pinged after a successful backup", async () => {
  using monitor = startMonitor(200)
  start({ ping: monitor.url })
  await eventually(() => monitor.count() === 1, patient)
  expect(s3.objects.size).toBe(1)
  expect(logged.map(({ level }) => level)).toEqual(["info"])
})

test("the monitor is not pinged while one of two destinations fails", async () => {
  using monitor = startMonitor(200)
  mkdirSync(folder.file("backups"))
  s3.fault = () => ({ status: 403, code: "AccessDenied" })
  start({ isLocal: true, every: 2_000, ping: monitor.url })
  await eventually(() => lines("backup created").length >= 2, patient)
  expect(lines("backup failed").length).toBeGreaterThan(0)
  expect(monitor.count()).toBe(0)
  s3.fault = () => undefined
  await eventually(() => monitor.count() > 0, patient)
})

test("a failing monitor does not delay backups, and its secret path is not logged", async () => {
  using monitor = startMonitor(500)
  const { schedule } = start({ every: 2_000, ping: monitor.url })
  await eventually(() => lines("backup created").length >= 2, patient)
  const warning = () => logged.find(({ level }) => level === "warn")
  await eventually(warning, patient)
  await schedule.stop()
  expect(warning()).toMatchObject({ error: "the monitor answered 500", host: new URL(monitor.url).host })
  expect(JSON.stringify(logged)).not.toContain("secret-path")
  expect(lines("backup failed")).toEqual([])
})

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { dirname, join } from "node:path"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { Database } from "../../src/store/db/driver.ts"
import { EventInserter } from "../../src/store/events.ts"
import {
  eventually,
  type ServerOptions,
  startServer,
  type TemporaryFolder,
  temporaryFolder,
  withDatabase,
} from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"
import { eventRow } from "../support/event.ts"

// Each test starts several processes. On a busy machine, each can take a second to start.
setDefaultTimeout(30_000)

const day = 86_400_000

let folder: TemporaryFolder
let db = ""
let backups = ""
const cleanups: (() => unknown)[] = []

beforeEach(() => {
  folder = temporaryFolder()
  db = folder.file("databuddy.db")
  backups = folder.file("backups")
  mkdirSync(backups, { mode: 0o700 })
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  folder[Symbol.dispose]()
})

function run(args: readonly string[] = [], env: Record<string, string> = {}) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([binary, "doctor", "--db", db, ...args], {
    env: environment(env),
    timeout: 20_000,
  })
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() }
}

interface Finding {
  about: string
  message: string
  hint: string | null
}

interface Report {
  db: string
  server: number | null
  todo: number
  findings: Finding[]
  facts: Record<string, number | string | null>
}

/** Returns the output of `doctor --json`. Checks that the exit code and stderr agree with it. */
function report(args?: readonly string[], env?: Record<string, string>): Report {
  const { code, out, err } = run([...(args ?? []), "--json"], env)
  const found = JSON.parse(out) as Report
  expect(found.todo).toBe(found.findings.filter(({ hint }) => hint !== null).length)
  expect(code).toBe(found.todo === 0 ? 0 : 1)
  if (found.todo === 0) expect(err).toBe("")
  else expect(err).toMatch(/^error: (one check needs|\d+ checks need) attention\nhint: .+\n$/)
  return found
}

/** Stores an event for each age. An age is the time since the event was received, in ms. */
function store(ages: readonly number[]): void {
  withDatabase(db, (open) => {
    new EventInserter(open, new DailyHash(open, (bytes) => bytes)).insert(
      ages.map((age) => eventRow({ ts: Date.now() - age, receivedAt: Date.now() - age })),
    )
  })
}

/** Creates an empty file that has the name of a backup from `age` ms ago. */
function seedBackup(age: number): void {
  const stamp = new Date(Date.now() - age).toISOString().slice(0, 19).replace(/[-:]/g, "")
  writeFileSync(join(backups, `databuddy-${stamp}Z.db`), "", { mode: 0o600 })
}

async function serve(options: Partial<ServerOptions> = {}) {
  const server = await startServer({ db, ...options })
  cleanups.push(() => server.kill())
  return server
}

test("reports no problem while a healthy server is running, and shows the server's limits", async () => {
  const server = await serve()
  const headers = { Authorization: `Bearer ${server.key}` }
  const body = JSON.stringify({ name: "n" })
  expect((await fetch(`${server.url}/track`, { method: "POST", headers, body })).status).toBe(200)
  seedBackup(3_600_000)
  const env = { DATABUDDY_BACKUP_DIR: backups }
  const found = report([], env)
  expect(found.findings.filter(({ hint }) => hint !== null)).toEqual([])
  expect(found).toMatchObject({
    db,
    server: server.pid,
    facts: {
      events: 1,
      eventsPerDay: 1,
      walBytes: statSync(`${db}-wal`).size,
      newestEvent: expect.stringMatching(/^2.+Z$/),
      newestBackup: expect.stringMatching(/^2.+Z$/),
      openFiles: expect.any(Number),
    },
  })
  const limits = readFileSync(`/proc/${server.pid}/limits`, "utf8")
  expect(found.facts.openFilesLimit).toBe(Number(/Max open files +(\d+)/.exec(limits)?.[1]))
  const { code, out, err } = run([], env)
  expect({ code, err }).toEqual({ code: 0, err: "" })
  expect(out.trimEnd().split("\n").length).toBe(10)
  for (const line of out.trimEnd().split("\n")) expect(line).toStartWith("ok    ")
  expect(out).toContain(`process ${server.pid} serves it`)
})

describe("for a database without a server,", () => {
  interface Case {
    what: string
    spoil?: () => void
    args?: () => string[]
    env?: () => Record<string, string>
    about: string
    says: string | RegExp
    /** Files that a reader leaves behind, because a damaged database must not be changed, not even by a checkpoint. */
    leaves?: string[]
    skip?: boolean
  }

  const cases: Case[] = [
    {
      what: "a file that others can read",
      spoil: () => chmodSync(db, 0o644),
      about: "rights",
      says: "other users can open",
    },
    {
      what: "a backup that others can read",
      spoil: () => {
        seedBackup(0)
        for (const name of readdirSync(backups)) chmodSync(join(backups, name), 0o640)
      },
      args: () => ["--backup-dir", backups],
      about: "rights",
      says: "/backups/databuddy-",
    },
    {
      what: "a copy next to it that others can read",
      spoil: () => {
        copyFileSync(db, `${db}.before-restore-x`)
        chmodSync(`${db}.before-restore-x`, 0o644)
      },
      about: "rights",
      says: ".before-restore-x",
    },
    {
      what: "a folder in which others can replace it",
      spoil: () => chmodSync(folder.path, 0o777),
      about: "rights",
      says: "remove and replace",
    },
    {
      what: "a lock that a server of another user left",
      spoil: () => {
        writeFileSync(`${db}-lock`, "", { mode: 0o600 })
        chownSync(`${db}-lock`, 12_345, 12_345)
      },
      about: "rights",
      says: "-lock does not belong to the owner",
      skip: process.getuid?.() !== 0,
    },
    {
      what: "less free space than --min-free",
      args: () => ["--min-free", "1125899906842624"],
      about: "disk",
      says: "less than the 1125.9 TB that --min-free reserves",
    },
    {
      what: "no space for a copy",
      spoil: () => truncateSync(db, 2 ** 43), // 8.8 TB, none of it written
      about: "disk",
      says: "a copy of the database takes 8.8 TB",
    },
    {
      what: "an event from the future",
      spoil: () => store([-3 * day]),
      about: "clock",
      says: "these are from a later time: the newest event (received at",
    },
    {
      what: "a file from the future",
      spoil: () => utimesSync(db, new Date(), new Date(Date.now() + day)),
      about: "clock",
      says: "but these are from a later time: ",
    },
    {
      what: "a backup folder that does not exist",
      env: () => ({ DATABUDDY_BACKUP_DIR: folder.file("none") }),
      about: "backups",
      says: "/none does not exist",
    },
    {
      what: "a backup folder without backups",
      env: () => ({ DATABUDDY_BACKUP_DIR: backups }),
      about: "backups",
      says: "there are none in",
    },
    {
      what: "a newest backup from three days ago",
      spoil: () => seedBackup(3 * day),
      args: () => ["--backup-dir", backups],
      about: "backups",
      says: /^the newest is 3 days old: .+; expected one every 1d$/,
    },
    {
      what: "a newest backup from three hours ago that is due every hour",
      spoil: () => seedBackup(3 * 3_600_000),
      args: () => ["--backup-dir", backups],
      env: () => ({ DATABUDDY_BACKUP_EVERY: "1h" }),
      about: "backups",
      says: "3 hours old",
    },
    {
      what: "a public address without TLS",
      env: () => ({ DATABUDDY_HOST: "0.0.0.0" }),
      about: "proxy",
      says: "without TLS",
    },
    {
      what: "a proxy range that covers all addresses",
      args: () => ["--trust-proxy", "10.0.0.0/8,0.0.0.0/0"],
      about: "proxy",
      says: "evade rate limits",
    },
    {
      what: "a missing --geo-db file",
      args: () => ["--geo-db", "/nowhere/city.mmdb"],
      about: "country",
      says: "--geo-db /nowhere/city.mmdb cannot be read (ENOENT)",
    },
    {
      what: "a database from an older version",
      spoil: () => {
        const open = new Database(db)
        open.exec("delete from migrations where name = (select max(name) from migrations)")
        open.close()
      },
      about: "database",
      says: "its schema is from an older version",
    },
    {
      what: "a damaged page",
      spoil: () => {
        const open = new Database(db)
        const page = open
          .prepare("select rootpage from sqlite_schema where name = 'event_rows'")
          .pluck()
          .get() as number
        open.close()
        writeFileSync(db, readFileSync(db).fill("noise", (page - 1) * 4_096, page * 4_096))
      },
      about: "database",
      says: "is damaged",
      leaves: ["databuddy.db-shm", "databuddy.db-wal"],
    },
  ]

  for (const { what, spoil, args, env, about, says, leaves = [], skip = false } of cases) {
    test.skipIf(skip)(`${what} is reported as one thing to do${skip ? " (skipped: needs root)" : ""}`, () => {
      store([day, 0])
      spoil?.()
      const before = readdirSync(folder.path)
      const { findings } = report(args?.(), env?.())
      const todo = findings.filter(({ hint }) => hint !== null)
      const message = typeof says === "string" ? expect.stringContaining(says) : expect.stringMatching(says)
      expect(todo).toEqual([{ about, message, hint: expect.stringMatching(/\w/) }])
      expect(readdirSync(folder.path).sort()).toEqual([...before, ...leaves].sort())
    })
  }

  test("the rate of events is that of the last week, regardless of earlier weeks", () => {
    const old = Array.from({ length: 3_000 }, (_, index) => 40 * day - index)
    const recent = Array.from({ length: 700 }, (_, index) => 6 * day - index * 1_000)
    store([...old, ...recent])
    const { facts } = report()
    expect(facts).toMatchObject({ events: 3_700, eventsPerDay: 100 })
    expect(facts.bytesPerEvent).toBeGreaterThan(20)
    expect(facts.bytesPerEvent).toBeLessThan(statSync(db).size / 3_700 + 1)
    expect(Number(facts.daysUntilFull)).toBeGreaterThan(0)
    expect(report(["--retain", "41d"]).facts.daysUntilFull).toBe(null)
  })

  test("the tombstone of a deleted event does not count as the newest event", () => {
    store([2 * day, day])
    withDatabase(db, (open) => {
      open.exec("update sealed set id = 2; delete from event_rows where id = 2")
      expect(open.prepare("select website_rid from event_rows order by id").pluck().all()).toEqual([0, -1])
    })
    const { events, newestEvent } = report().facts
    expect(events).toBe(1)
    expect(Math.abs(Date.parse(String(newestEvent)) - (Date.now() - 2 * day))).toBeLessThan(60_000)
  })

  test("hints are printed below their results", () => {
    store([0])
    chmodSync(db, 0o644)
    const { code, out, err } = run()
    expect(out).toContain(`\ntodo  rights    other users can open ${db}`)
    expect(out).toContain("\n                → run `chmod 600`")
    expect({ code, err }).toEqual({
      code: 1,
      err: "error: one check needs attention\nhint: the lines marked todo say what to do\n",
    })
  })
})

test("the limit of open files is the server's, not the shell's", async () => {
  const server = await serve({ descriptors: 300 })
  const { server: pid, findings } = report()
  expect(pid).toBe(server.pid)
  expect(findings.filter(({ hint }) => hint !== null)).toEqual([
    {
      about: "limits",
      message: expect.stringContaining(`process ${server.pid} can open 300 files and has `),
      hint: expect.stringContaining("LimitNOFILE"),
    },
  ])
})

test("uses the variables of the running server, unless its own flags or variables differ", async () => {
  await serve({ env: { DATABUDDY_HOST: " 0.0.0.0 " } })
  const messages = (args?: string[], env?: Record<string, string>) =>
    report(args, env)
      .findings.filter(({ hint }) => hint !== null)
      .map(({ message }) => message)
  expect(messages()).toEqual([expect.stringContaining("without TLS")])
  expect(messages(["--host", "127.0.0.1"])).toEqual([])
  expect(messages([], { DATABUDDY_HOST: "127.0.0.1" })).toEqual([])
  expect(messages([], { DATABUDDY_TRUST_PROXY: "0.0.0.0/0" })).toEqual([
    expect.stringContaining("evade rate limits"),
  ])
})

// Like a user who has none of the server's capabilities. Without root, no process has capabilities that one could drop.
const dropped = ["setpriv", "--bounding-set=-sys_ptrace"]
const canDrop = Bun.which("setpriv") && Bun.spawnSync([...dropped, "true"]).exitCode === 0

test.skipIf(!canDrop)(
  "says that it cannot read the settings of a server with more capabilities",
  async () => {
    const server = await serve({ env: { DATABUDDY_HOST: "0.0.0.0" } })
    const { stdout } = Bun.spawnSync([...dropped, binary, "doctor", "--db", db], { env: environment() })
    const message = `process ${server.pid} serves it; run doctor as root to include its settings`
    expect(stdout.toString()).toContain(message)
  },
)

const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
// Other users cannot open the tests' temporary folder, but the server needs one.
const everyones = { TMPDIR: "/tmp" }
const canChangeUser =
  Bun.which("setpriv") &&
  Bun.spawnSync([...nobody, binary, "version"], { env: environment(everyones) }).exitCode === 0

test.skipIf(!canChangeUser)("as root, has no more permissions than the server", async () => {
  chmodSync(dirname(folder.path), 0o711)
  for (const path of [folder.path, backups]) chownSync(path, 65_534, 65_534)
  const env = { ...everyones, DATABUDDY_BACKUP_DIR: backups }
  await serve({ env, prefix: nobody })
  await eventually(() => readdirSync(backups).some((name) => name.endsWith("Z.db")))
  const result = () => report().findings.find(({ about }) => about === "backups")
  expect(result()).toMatchObject({ hint: null, message: expect.stringContaining(backups) })
  chownSync(backups, 0, 0)
  expect(result()).toMatchObject({ message: expect.stringContaining("EACCES") })
})

test("detects a -wal that grows although a server is running", async () => {
  const server = await serve()
  truncateSync(`${db}-wal`, 400e6) // none of it written
  const [finding] = report().findings.filter(({ hint }) => hint !== null)
  expect(finding).toMatchObject({ about: "wal", message: expect.stringContaining("400.0 MB") })
  expect(await server.stop()).toBe(0)
})

test("the lock file of a killed server does not count as a server", async () => {
  const server = await serve()
  await server.kill()
  expect(readdirSync(folder.path)).toContain("databuddy.db-lock")
  const { server: pid, findings } = report()
  expect(pid).toBe(null)
  expect(findings.find(({ about }) => about === "wal")?.message).toContain("the last server was killed")
})

test("a database of another program, or a missing one, is reported", () => {
  expect(run()).toMatchObject({ code: 1, out: "", err: expect.stringContaining(`${db} does not exist`) })
  writeFileSync(db, "hello".repeat(1_000), { mode: 0o600 })
  expect(run()).toMatchObject({ code: 1, out: "", err: expect.stringContaining("is not an SQLite database") })
})

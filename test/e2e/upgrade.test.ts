import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { Database } from "../../src/store/db/driver.ts"
import { migrations } from "../../src/store/db/migrate.ts"
import { eventually, openReader, startServer, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"

const fixtures = join(import.meta.dir, "../fixtures")
/** Secret of the key in the fixtures. */
const secret = `dbdy_${"f".repeat(32)}`
const versions = readdirSync(fixtures)
  .map((file) => /^schema-(\d{4})\.sql$/.exec(file)?.[1])
  .filter((version) => version !== undefined)
  .sort()
/** An older version, which has all current tables except the latest ones. */
const older = "0004"
const pendingThen = migrations.slice(Number(older)).map(({ name }) => name)

let folder: TemporaryFolder
let db = ""
beforeEach(() => {
  folder = temporaryFolder()
  db = folder.file("databuddy.db")
})
const mounts: string[] = []
afterEach(() => {
  for (const disk of mounts.splice(0)) Bun.spawnSync(["umount", "--lazy", disk])
  folder[Symbol.dispose]()
})
afterAll(() => folder[Symbol.dispose]())

/** Creates a database of the version whose last migration is `version`. Returns its bytes. */
function make(version: string, path = db): Buffer {
  const made = new Database(path)
  made.pragma("auto_vacuum = incremental")
  made.exec(readFileSync(join(fixtures, `schema-${version}.sql`), "utf8"))
  made.pragma("journal_mode = wal")
  made.close()
  return readFileSync(path)
}

function databuddy(...args: string[]): { code: number; out: string; err: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([binary, ...args, "--db", db], { timeout: 20_000 })
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() }
}

const backups = () => readdirSync(folder.path).filter((name) => name.includes(".before-migration-"))

/** The data that a user would look for after an upgrade. Tables that the version did not have are skipped. */
const looks = [
  {
    table: "websites",
    sql: "select rid, id, domain, name, allowed_origins, anonymize, created_at, paused_at from websites where deleted_at is null order by rid",
  },
  {
    table: "keys",
    sql: "select id, name, hex(hash), scopes, websites, rate_limit, expires_at, revoked_at from keys order by id",
  },
  {
    table: "event_rows",
    // The columns that every version has.
    sql: `select id, website_id, name, namespace, source, timestamp, time, received_at, anonymous_id, session_id, profile_id, path,
      event_id, credential, crawler, properties from events order by id`,
  },
  {
    table: "profiles",
    sql: "select website_rid, profile_id, email, name, username, traits, created_at, updated_at from profiles",
  },
  {
    table: "profile_links",
    sql: "select website_rid, anonymous_id, profile_id, linked_at from profile_links",
  },
  {
    table: "users",
    sql: "select id, email, role, websites, password, created_at, last_login_at from users order by id",
  },
]

function contents(path: string, tables?: readonly string[]): Record<string, unknown[]> {
  const reader = openReader(path)
  const there = tables ?? reader.prepare("select name from sqlite_schema where type = 'table'").pluck().all()
  const found: Record<string, unknown[]> = {}
  for (const { table, sql } of looks) {
    if (there.includes(table)) found[table] = reader.prepare(sql).all()
  }
  reader.close()
  return found
}

const integrity = (path: string) => {
  const reader = openReader(path)
  const result = reader.pragma("integrity_check", { simple: true })
  reader.close()
  return result
}

describe("a start with the database of every released version", () => {
  test("there is a fixture of each version except the newest", () => {
    const needed = migrations.slice(0, -1).map(({ name }) => name.slice(0, 4))
    expect(versions.slice(0, needed.length)).toEqual(needed)
  })

  for (const version of versions) {
    test(`${version}: the data is kept, new events are accepted, and the backup is valid`, async () => {
      make(version)
      const before = contents(db)
      expect(before.websites).toHaveLength(2)
      const server = await startServer({ db, args: ["--no-setup"] })
      try {
        expect(contents(db, Object.keys(before))).toEqual(before)
        const answer = await fetch(`${server.url}/track?website_id=550e8400-e29b-41d4-a716-446655440000`, {
          method: "POST",
          headers: { Origin: "https://example.com" },
          body: JSON.stringify({ name: "after" }),
        })
        expect(answer.status).toBe(200)
        if (before.keys) {
          const list = await fetch(`${server.url}/v1/websites`, { headers: { "x-api-key": secret } })
          expect(((await list.json()) as { websites: unknown[] }).websites).toHaveLength(2)
        }
      } finally {
        expect(await server.stop()).toBe(0)
      }
      expect(integrity(db)).toBe("ok")
      if (version === migrations.at(-1)?.name.slice(0, 4)) {
        expect(backups()).toEqual([])
        return
      }
      expect(server.output()).toContain("backing it up, then migrating")
      const [name = "", ...more] = backups()
      expect(more).toEqual([])
      expect(name).toMatch(new RegExp(`^databuddy\\.db\\.before-migration-${version}-\\d{8}T\\d{9}Z$`))
      const copy = folder.file(name)
      expect(statSync(copy).mode & 0o777).toBe(0o600)
      expect(contents(copy)).toEqual(before)
      const reader = openReader(copy)
      expect(reader.prepare("select substr(max(name), 1, 4) from migrations").pluck().get()).toBe(version)
      reader.close()
      expect(databuddy("restore", copy, "--dry-run").code).toBe(0)
    })
  }
})

describe("SIGTERM", () => {
  /** Starts the server and sends the signal once `moment` returns true. Returns the exit code and the output. */
  async function stopAt(moment: () => boolean): Promise<{ code: number; err: string }> {
    const child = Bun.spawn([binary, "serve", "--db", db, "--port", "0", "--no-setup"], {
      stdout: "ignore",
      stderr: "pipe",
    })
    const err = child.stderr.text()
    try {
      await eventually(moment, { pause: 1, timeout: 20_000 })
      child.kill("SIGTERM")
      return { code: await child.exited, err: await err }
    } finally {
      child.kill("SIGKILL")
    }
  }

  /** Creates a database whose backup takes a while. Returns its bytes. */
  function makeLarge(): Buffer {
    make(older)
    const large = new Database(db)
    large.pragma("synchronous = off")
    const traits = JSON.stringify({ text: "x".repeat(1_000) })
    const insert = large.prepare(
      "insert into profiles (website_rid, profile_id, traits, created_at, updated_at) values (1, ?, ?, 0, 0)",
    )
    large.transaction(() => {
      for (let n = 0; n < 30_000; n++) insert.run(`person ${n}`, traits)
    })()
    large.close()
    return readFileSync(db)
  }

  /** Lists the folder without the empty -wal that an interrupted copy leaves behind. */
  const files = () =>
    readdirSync(folder.path)
      .filter((name) => !/-(wal|shm)$/.test(name))
      .sort()

  test("during the backup before a migration ends the start, changes nothing and removes the copy", async () => {
    const before = makeLarge()
    const { code, err } = await stopAt(() => files().some((name) => name.includes(".partial-")))
    expect(err).toContain("stopped during the backup; the database is unchanged")
    expect(code).toBe(0)
    expect(files()).toEqual(["databuddy.db"])
    expect(readFileSync(db).equals(before)).toBe(true)
    expect(JSON.parse(databuddy("migrate", "--json").out).applied).toEqual(pendingThen)
  })

  test("during the migrations takes effect after them, so that the file is valid", async () => {
    makeLarge()
    const { code, err } = await stopAt(() => backups().some((name) => !name.includes(".partial-")))
    expect(err).toContain("stopped; the database is a single file")
    expect(code).toBe(0)
    expect(files()).toEqual(["databuddy.db", ...backups()])
    expect(JSON.parse(databuddy("migrate", "--status", "--json").out).pending).toEqual([])
  })
})

describe("databuddy migrate", () => {
  test("--status lists applied and pending migrations, and changes nothing", () => {
    const before = make(older)
    const { code, out } = databuddy("migrate", "--status", "--json")
    expect(code).toBe(0)
    const applied = migrations.slice(0, Number(older)).map(({ name }) => ({
      name,
      appliedAt: "2026-01-01T00:00:00.000Z",
    }))
    expect(JSON.parse(out)).toEqual({ db, applied, pending: pendingThen })
    const table = databuddy("migrate", "--status").out.split("\n")
    expect(table.some((line) => /^0001_websites +2026-01-01 00:00 UTC$/.test(line))).toBe(true)
    expect(table.some((line) => /^0005_retention +pending$/.test(line))).toBe(true)
    expect(readFileSync(db).equals(before)).toBe(true)
  })

  test("applies pending migrations, names the backup, and does nothing the next time", () => {
    make(older)
    const { code, out } = databuddy("migrate", "--json")
    expect(code).toBe(0)
    expect(JSON.parse(out)).toEqual({ db, applied: pendingThen, backup: folder.file(backups()[0] as string) })
    expect(JSON.parse(databuddy("migrate", "--json").out)).toEqual({ db, applied: [], backup: null })
    expect(databuddy("migrate").out).toBe("no pending migrations\n")
    expect(JSON.parse(databuddy("migrate", "--status", "--json").out).pending).toEqual([])
    expect(databuddy("check").code).toBe(0)
    expect(backups()).toHaveLength(1)
  })

  test("--no-backup creates no backup", () => {
    make(older)
    expect(JSON.parse(databuddy("migrate", "--no-backup", "--json").out)).toEqual({
      db,
      applied: pendingThen,
      backup: null,
    })
    expect(backups()).toEqual([])
  })

  test("fails while a server is running, and names its process", async () => {
    const server = await startServer({ db })
    try {
      const { code, err } = databuddy("migrate")
      expect(code).toBe(1)
      expect(err).toContain(`is in use by another databuddy, process ${server.pid}`)
    } finally {
      await server.stop()
    }
  })

  test("reports a file that does not exist", () => {
    const { code, err } = databuddy("migrate")
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining(`${db} does not exist`) })
    expect(existsSync(db)).toBe(false)
  })
})

describe("no other command migrates, because a server of the older version may be running:", () => {
  const commands = [
    ["website", "list"],
    ["website", "create", "new.example"],
    ["website", "update", "docs", "--name", "x"],
    ["website", "delete", "docs", "--yes"],
    ["key", "list"],
    ["key", "create", "--name", "k"],
    ["forget", "--website", "docs", "--profile-id", "p", "--yes"],
    ["export", "--website", "docs", "--profile-id", "p"],
  ]
  for (const args of commands) {
    test(args.join(" "), () => {
      const before = make(older)
      const { code, err } = databuddy(...args)
      expect(err).toContain(
        `error: ${db} has the schema of an older version of databuddy: the migration ${pendingThen[0]} has not been applied\n`,
      )
      expect(err).toContain("databuddy migrate")
      expect(code).toBe(1)
      expect(readFileSync(db).equals(before)).toBe(true)
      expect(backups()).toEqual([])
    })
  }
})

const mayMount =
  process.getuid?.() === 0 && Bun.spawnSync(["unshare", "--mount", "true"], { stderr: "ignore" }).success
const skipped = mayMount ? "" : " (skipped: needs root and permission to mount)"

test.skipIf(!mayMount)(
  `without space for the backup, neither serve nor migrate changes the file${skipped}`,
  () => {
    const disk = folder.file("disk")
    mkdirSync(disk)
    const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk])
    expect(mounted.success).toBe(true)
    mounts.push(disk)
    db = `${disk}/databuddy.db`
    const before = make(older)
    for (const args of [["serve", "--port", "0"], ["migrate"]]) {
      const { code, err } = databuddy(...args)
      expect(err).toContain(`${db} was not migrated, because there is no space for a backup`)
      expect(err).toContain("databuddy migrate --no-backup")
      expect(code).toBe(1)
      expect(readFileSync(db).equals(before)).toBe(true)
      expect(readdirSync(disk).filter((name) => !/-(wal|shm)$/.test(name))).toEqual(["databuddy.db"])
    }
    expect(databuddy("migrate", "--no-backup").code).toBe(0)
  },
)

test("a damaged database is not migrated", () => {
  make(older)
  const reader = openReader(db)
  const page = reader.prepare("select rootpage from sqlite_schema where name = 'profiles'").pluck().get()
  reader.close()
  const bytes = readFileSync(db).fill("noise", ((page as number) - 1) * 4_096, (page as number) * 4_096)
  Bun.write(db, bytes)
  for (const args of [["serve", "--port", "0"], ["migrate"]]) {
    const { code, err } = databuddy(...args)
    expect(err).toContain("is damaged")
    expect(code).toBe(1)
  }
  expect(readFileSync(db).equals(bytes)).toBe(true)
  expect(backups()).toEqual([])
})

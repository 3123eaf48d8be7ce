import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Database } from "../../src/store/db/driver.ts"
import { type Migration, migrate, migrations, pendingMigrations } from "../../src/store/db/migrate.ts"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "databuddy-test-"))
  path = join(folder, "test.db")
})
afterEach(() => rmSync(folder, { recursive: true }))

const now = Date.UTC(2026, 0, 1)
const open = () => openDatabase({ path, durability: "fsync", busyTimeout: 0, now })

/** Creates the database, changes it and closes it. Returns the file's contents. */
function prepared(change: string): Buffer {
  const db = open()
  db.exec(change)
  closeDatabase(db)
  return readFileSync(path)
}

test("a new database has the pragmas that cannot be set later, and all migrations are recorded", () => {
  const db = open()
  expect(db.pragma("page_size", { simple: true })).toBe(4096)
  expect(db.pragma("auto_vacuum", { simple: true })).toBe(2) // incremental
  expect(db.pragma("journal_mode", { simple: true })).toBe("wal")
  expect(db.pragma("synchronous", { simple: true })).toBe(2) // full
  const names = db.prepare("select name from migrations order by name").pluck().all()
  expect(names).toEqual(migrations.map((migration) => migration.name))
  db.close()
})

const shell = Bun.which("sqlite3")

test.skipIf(!shell)(
  `the sqlite3 shell can read the view events${shell ? "" : " (skipped: needs sqlite3)"}`,
  () => {
    closeDatabase(open())
    // Debian 12 has SQLite 3.40, which cannot read a file at all if it has a trigger or view in newer SQL.
    const { stderr, exitCode } = Bun.spawnSync([
      shell as string,
      path,
      "select time, name, properties from events",
    ])
    expect([stderr.toString(), exitCode]).toEqual(["", 0])
  },
)

test("synchronous is full when a database is reopened, and normal only on request", () => {
  closeDatabase(open())
  const again = open()
  expect(again.pragma("synchronous", { simple: true })).toBe(2)
  closeDatabase(again)
  const fast = openDatabase({ path, durability: "os", busyTimeout: 0, now })
  expect(fast.pragma("synchronous", { simple: true })).toBe(1)
  closeDatabase(fast)
})

const refused: { sentence: string; prepare: () => Buffer; message: string }[] = [
  {
    sentence: "a database from a newer version",
    prepare: () => prepared("insert into migrations values ('9999_future', 'x', 0)"),
    message: "was written by a newer version of databuddy: it contains the migration 9999_future",
  },
  {
    sentence: "a database with a migration that differs from the released one",
    prepare: () => prepared("update migrations set checksum = 'other' where name = '0003_events'"),
    message: "the migration 0003_events in",
  },
  {
    sentence: "a database of another program",
    prepare: () => {
      const db = new Database(path)
      db.exec("create table theirs (x)")
      db.close()
      return readFileSync(path)
    },
    message: "is an SQLite database, but not a databuddy database",
  },
  {
    sentence: "a file that is not a database",
    prepare: () => {
      writeFileSync(path, "hello ".repeat(1_000))
      return readFileSync(path)
    },
    message: "is not an SQLite database",
  },
]

for (const { sentence, prepare, message } of refused) {
  test(`${sentence} is rejected with a clear message and not changed`, () => {
    const before = prepare()
    expect(open).toThrow(message)
    expect(readFileSync(path).equals(before)).toBe(true)
  })
}

test("migrations run in one transaction, so all are rolled back if one fails", () => {
  const db = open()
  const broken: Migration[] = [
    ...migrations,
    { name: "0100_fine", sql: "create table fine (x)" },
    { name: "0101_broken", sql: "create table half (x); insert into nowhere values (1)" },
  ]
  expect(() => migrate(db, path, now, broken)).toThrow("nowhere")
  const tables = db.prepare("select name from sqlite_schema where name in ('fine', 'half')").pluck().all()
  expect(tables).toEqual([])
  expect(pendingMigrations(db, path, broken).map(({ name }) => name)).toEqual(["0100_fine", "0101_broken"])
  expect(migrate(db, path, now, broken.slice(0, -1))).toEqual(["0100_fine"])
  db.close()
})

test("a migration that edits the schema fails if it does not find the text to replace, and leaves the database unchanged", () => {
  const index = migrations.findIndex(({ name }) => name === "0015_texts")
  const db = new Database(path)
  migrate(db, path, now, migrations.slice(0, index))
  db.unsafeMode(true)
  db.exec(`
    pragma writable_schema = on;
    update sqlite_schema set sql = replace(sql, 'session_id text', 'session_id  text') where name = 'event_rows';
    pragma writable_schema = reset`)
  db.unsafeMode(false)
  const schema = () => db.prepare("select name, sql from sqlite_schema order by name").all()
  const before = schema()
  expect(() => migrate(db, path, now)).toThrow("the migration 0015_texts cannot be applied")
  expect(schema()).toEqual(before)
  expect(pendingMigrations(db, path)).toEqual(migrations.slice(index))
  db.close()
})

test("exactly the files in migrations/ are applied", async () => {
  const files = [...new Bun.Glob("*").scanSync(join(import.meta.dir, "../../migrations"))].sort()
  expect(files).toEqual(migrations.map((migration) => `${migration.name}.sql`))
})

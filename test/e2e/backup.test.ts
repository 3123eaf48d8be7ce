import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import { Database, type Db } from "../../src/store/db/driver.ts"
import { migrations } from "../../src/store/db/migrate.ts"
import { createKey, revokeKey, rotateKey } from "../../src/store/keys.ts"
import { createNote } from "../../src/store/notes.ts"
import { createShare, deleteShare, rotateShare } from "../../src/store/shares.ts"
import { createUser, deleteUser, setPassword, updateUser } from "../../src/store/users.ts"
import { createView } from "../../src/store/views.ts"
import { createWebsite } from "../../src/store/websites.ts"
import {
  eventually,
  openReader,
  type Server,
  startServer,
  type TemporaryFolder,
  temporaryFolder,
  withDatabase,
} from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"

// A test starts up to ten processes. Each can take a second to start on a busy machine with two cores.
setDefaultTimeout(30_000)

const newestMigration = migrations.at(-1)?.name

let folder: TemporaryFolder
let db = ""
let copy = ""
/** Options for `eventually`, in ms. */
const patient = { timeout: 20_000 }
const cleanups: (() => unknown)[] = []

beforeEach(() => {
  folder = temporaryFolder()
  db = folder.file("databuddy.db")
  copy = folder.file("copy.db")
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  folder[Symbol.dispose]()
})

/** Path of the process's staging folder. Before it is created, a path that does not exist. */
function partialOf(pid: number): string {
  return folder.file(
    readdirSync(folder.path).find((name) => name.startsWith(`copy.db.partial-${pid}-`)) ?? "none",
  )
}

function spawn(command: string[]) {
  return Bun.spawn(command, {
    cwd: folder.path,
    env: environment(),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
}

async function outcome(child: ReturnType<typeof spawn>) {
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { code, out, err }
}

function run(...args: string[]) {
  return outcome(spawn([binary, ...args]))
}

/** Runs a command with `--json`, which must succeed, and returns its parsed output. */
// biome-ignore lint/suspicious/noExplicitAny: output of a command is only compared
async function json(...args: string[]): Promise<any> {
  const { code, out, err } = await run(...args, "--json")
  expect({ code, err }).toEqual({ code: 0, err: "" })
  return JSON.parse(out)
}

async function refused(args: string[], message: string): Promise<void> {
  const { code, out, err } = await run(...args)
  expect({ code, out }).toEqual({ code: 1, out: "" })
  expect(err).toContain(message)
  expect(err).toMatch(/^error: .+\nhint: .+\n$/)
}

async function serve(): Promise<Server> {
  const server = await startServer({ db })
  cleanups.push(() => server.kill())
  return server
}

/** Sends one request and returns the number of acknowledged events; 0 if there were none. */
async function send(server: Server, count: number, query = ""): Promise<number> {
  const events = Array.from({ length: count }, (_, index) => ({
    name: "kept",
    anonymousId: "visitor",
    properties: { index, text: "x".repeat(50) },
  }))
  const headers = query === "" ? { Authorization: `Bearer ${server.key}` } : { Origin: "http://localhost" }
  const answer = await fetch(`${server.url}/track${query}`, {
    method: "POST",
    headers,
    body: JSON.stringify(events),
  })
  return answer.status === 200 ? count : 0
}

/** Creates the database of a stopped server with `count` events. */
async function makeDatabase(count: number): Promise<void> {
  const server = await serve()
  for (let sent = 0; sent < count; sent += 1_000) await send(server, Math.min(1_000, count - sent))
  expect(await server.stop()).toBe(0)
}

/** Makes the database so large that a copy takes a while. */
function grow(megabytes: number): void {
  const open = new Database(db)
  open.pragma("synchronous = off")
  open.exec("create table filler (bytes blob)")
  const insert = open.prepare("insert into filler values (randomblob(1000000))")
  open.transaction(() => {
    for (let n = 0; n < megabytes; n++) insert.run()
  })()
  open.close()
}

function change(work: (open: Db) => void): void {
  withDatabase(db, work)
}

function files(): string[] {
  return readdirSync(folder.path).sort()
}

/** Overwrites a part of a file with bytes that no SQLite page starts with. */
function damage(path: string, from: number, bytes: number): void {
  const file = openSync(path, "r+")
  writeSync(file, Buffer.alloc(bytes, 0xaa), 0, bytes, from)
  closeSync(file)
}

describe("databuddy backup", () => {
  test("under load is a consistent snapshot: it contains all events acknowledged before it, and no partial requests", async () => {
    const server = await serve()
    let answered = 0
    let stop = false
    const senders = Array.from({ length: 8 }, async () => {
      while (!stop) {
        const stored = await send(server, 10)
        answered += stored
      }
    })
    await eventually(() => answered > 500)
    const before = answered
    const said = await json("backup", copy)
    const during = answered - before
    stop = true
    await Promise.all(senders)
    expect(during).toBeGreaterThan(0)
    expect(said).toEqual({
      file: copy,
      bytes: statSync(copy).size,
      websites: 1,
      keys: 1,
      users: 0,
      events: expect.any(Number),
      removedEvents: 0,
      newestEvent: expect.stringMatching(/^\d{4}-.+Z$/),
      ms: expect.any(Number),
    })
    expect(said.events).toBeGreaterThanOrEqual(before)
    expect(said.events).toBeLessThanOrEqual(answered)
    expect(said.events % 10).toBe(0)
    expect((statSync(copy).mode & 0o777).toString(8)).toBe("600")
    expect(await json("check", "--db", copy)).toMatchObject({ ok: true, events: said.events })
    expect(await server.stop()).toBe(0)
    expect(files()).toEqual(["copy.db", "databuddy.db"])
    const reader = openReader(db)
    expect(reader.prepare("select count(*) from events").pluck().get()).toBe(answered)
    reader.close()
  })

  test("contains no byte of a privacy salt", async () => {
    const server = await serve()
    const [website] = await json("website", "list")
    await json("website", "update", website.id, "--anonymize", "daily")
    const salts = () => {
      const reader = openReader(db)
      const found = reader.prepare("select salt from salts").pluck().all() as Buffer[]
      reader.close()
      return found
    }
    await eventually(async () => {
      expect(await send(server, 1, `?website_id=${website.id}`)).toBe(1)
      return salts().length > 0
    })
    const [salt] = salts() as [Buffer]
    await json("backup", copy)
    await server.stop()
    expect(readFileSync(db).includes(salt)).toBe(true)
    // Checks every piece of the salt, because it is not enough to overwrite its start.
    for (let at = 0; at + 8 <= salt.length; at += 8) {
      expect(readFileSync(copy).includes(salt.subarray(at, at + 8))).toBe(false)
    }
    expect(await json("check", "--db", copy)).toMatchObject({ ok: true })
  })

  test("leaves no file next to the database of a stopped server, and reports what it did", async () => {
    await makeDatabase(10)
    const { code, out, err } = await run("backup", "copy.db")
    expect({ code, err }).toEqual({ code: 0, err: "" })
    expect(out).toMatch(
      /^backup +.*copy\.db\nsize +.*\nwebsites +1\nkeys +1\nusers +0\nevents +10\nnewest event +.* UTC\ntook +.* s\n$/,
    )
    expect(files()).toEqual(["copy.db", "databuddy.db"])
  })

  test("of a database whose server was killed contains the -wal", async () => {
    const server = await serve()
    await send(server, 100)
    await server.kill()
    expect(await json("backup", copy)).toMatchObject({ events: 100 })
  })

  test("refuses paths that it must not write to, and leaves them unchanged", async () => {
    await makeDatabase(1)
    writeFileSync(copy, "precious")
    const server = await serve()
    const other = folder.file("other.db")
    writeFileSync(other, "")
    writeFileSync(`${other}-wal`, "")
    await refused(["backup", copy], `${copy} already exists`)
    await refused(["backup", db, "--force"], `${db} is the database itself`)
    await refused(["backup", `${db}-wal`, "--force"], `${db}-wal is the database itself`)
    await refused(["backup", other, "--force"], `${other} is a database in use`)
    await refused(["backup", folder.path, "--force"], `${folder.path} is not a file`)
    await refused(["backup", folder.file("none/x.db")], "its folder does not exist")
    await refused(["backup", folder.file("x.db"), "--db", folder.file("none.db")], "none.db does not exist")
    expect(readFileSync(copy, "utf8")).toBe("precious")
    expect(await json("backup", copy, "--force")).toMatchObject({ events: 1 })
    await server.stop()
    expect(files()).toEqual(["copy.db", "databuddy.db", "other.db", "other.db-wal"])
  })

  test("refuses a disk without space for the copy, with numbers", async () => {
    await makeDatabase(1)
    truncateSync(db, 2 ** 43) // 8.8 TB, none of it written
    await refused(["backup", copy], `${folder.path} has `)
    expect((await run("backup", copy)).err).toMatch(
      /has [\d.]+ .B free, but the copy needs 8\.8 TB plus 33\.6 MB in reserve/,
    )
    expect(files()).toEqual(["databuddy.db"])
  })

  test("that cannot be written completely leaves nothing behind", async () => {
    await makeDatabase(1)
    grow(20)
    // A file size limit, in blocks of 512 bytes or 1 KiB, simulates a disk that fails half-way.
    const limited = "trap '' XFSZ; ulimit -f 10000; exec \"$0\" backup copy.db"
    const { code, err } = await outcome(spawn(["sh", "-c", limited, binary]))
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("the copy was removed") })
    expect(files()).toEqual(["databuddy.db"])
  })

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`stopped by ${signal} leaves nothing behind, at once`, async () => {
      await makeDatabase(1)
      grow(100)
      const child = spawn([binary, "backup", copy])
      await eventually(() => files().some((name) => name.startsWith("copy.db.partial-")), patient)
      await eventually(() => existsSync(`${partialOf(child.pid)}/copy.db`), patient)
      child.kill(signal)
      const { code, err } = await outcome(child)
      expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("stopped by a signal") })
      expect(files().filter((name) => name.startsWith("copy.db"))).toEqual([])
    })
  }

  test("killed leaves a folder that the next backup to the same path removes", async () => {
    await makeDatabase(1)
    grow(100)
    const child = spawn([binary, "backup", copy])
    await eventually(() => existsSync(`${partialOf(child.pid)}/copy.db`), patient)
    const partial = partialOf(child.pid)
    expect((statSync(partial).mode & 0o777).toString(8)).toBe("700")
    expect((statSync(`${partial}/copy.db`).mode & 0o777).toString(8)).toBe("600")
    child.kill("SIGKILL")
    await child.exited
    expect(existsSync(partial)).toBe(true)
    expect(existsSync(copy)).toBe(false)
    await json("backup", copy)
    expect(files().filter((name) => name.startsWith("copy.db"))).toEqual(["copy.db"])
  })

  test("of a damaged database is refused", async () => {
    await makeDatabase(3_000)
    damage(db, Math.floor(statSync(db).size / 2), 8_192)
    await refused(["backup", copy], "damaged")
    expect(files().filter((name) => name.startsWith("copy.db"))).toEqual([])
  })
})

describe("a plain copy of the file of a stopped server", () => {
  test("is a complete backup: valid, equal in every field, and usable by a server", async () => {
    const server = await serve()
    const [website] = await json("website", "list")
    expect(await send(server, 1_000)).toBe(1_000)
    expect(await send(server, 10, `?website_id=${website.id}`)).toBe(10)
    const headers = { Authorization: `Bearer ${server.key}` }
    const profile = {
      profileId: "user_1",
      websiteId: website.id,
      anonymousId: "visitor",
      traits: { plan: "pro" },
    }
    const identified = await fetch(`${server.url}/identify`, {
      method: "POST",
      headers,
      body: JSON.stringify(profile),
    })
    expect(identified.status).toBe(200)
    expect(await server.stop()).toBe(0)
    expect(files()).toEqual(["databuddy.db"])
    expect(await outcome(spawn(["cp", db, copy]))).toEqual({ code: 0, out: "", err: "" })
    expect(readFileSync(copy).equals(readFileSync(db))).toBe(true)
    const [original, copied] = await Promise.all([exported(db), exported(copy)])
    expect(copied).toEqual(original)
    expect(original.filter((line) => line.includes('"type":"event"'))).toHaveLength(1_010)
    rmSync(db)

    expect(await json("check", "--db", copy)).toMatchObject({ ok: true, websites: 1, keys: 1, events: 1_010 })
    db = copy
    const second = { ...(await serve()), key: server.key }
    expect(await send(second, 5)).toBe(5)
    expect(await second.stop()).toBe(0)
    expect(files()).toEqual(["copy.db"])
    expect((await exported(copy)).filter((line) => line.includes('"type":"event"'))).toHaveLength(1_015)
  })

  /** The lines of an export except the first, which contains the time of the export. */
  async function exported(path: string): Promise<string[]> {
    const { code, out, err } = await run("export", "--db", path)
    expect({ code, err }).toEqual({ code: 0, err: "" })
    return out.trimEnd().split("\n").slice(1)
  }
})

describe("databuddy restore", () => {
  test("restores the contents of the backup and keeps the old database", async () => {
    await makeDatabase(10)
    await json("backup", copy)
    const server = await serve()
    // The server is killed rather than stopped, because the kept database must include the -wal.
    const headers = { Authorization: `Bearer ${(await json("key", "create", "--name", "k")).key}` }
    const late = JSON.stringify({ name: "late" })
    await eventually(
      async () => (await fetch(`${server.url}/track`, { method: "POST", headers, body: late })).ok,
    )
    await server.kill()
    const said = await json("restore", copy)
    expect(said).toMatchObject({ file: copy, websites: 1, keys: 1, events: 10, restored: true, db })
    expect(said.before).toMatch(/databuddy\.db\.before-restore-\d{8}T\d{9}Z$/)
    expect(files().map((name) => folder.file(name))).toEqual([copy, db, said.before])
    expect((statSync(db).mode & 0o777).toString(8)).toBe("600")
    expect(await json("check")).toMatchObject({ ok: true, keys: 1, events: 10 })
    expect(await json("check", "--db", said.before)).toMatchObject({ ok: true, keys: 2, events: 11 })
    const again = await serve()
    expect(await again.stop()).toBe(0)
  })

  test("restores notes, views and users, and share links that work", async () => {
    await makeDatabase(1)
    const now = Date.now()
    let token = ""
    change((open) => {
      const settings = { domain: "a.com", name: "a", allowedOrigins: [], anonymize: "off" as const }
      const { rid } = createWebsite(open, "w", settings, now)
      createNote(open, "n", { place: rid, date: "2026-11-24", text: "Release" }, now)
      createView(open, "v", { place: null, kind: "goal", name: "Bought", path: "goals?step=bought" }, now)
      const share = { name: "Board", path: "overview", page: null, embedHosts: [], expiresAt: null }
      token = createShare(open, "s", rid, share, (bytes) => crypto.getRandomValues(bytes), now).token
    })
    await json("backup", copy)
    change((open) => open.exec("delete from notes; delete from views; delete from shares"))
    await json("restore", copy, "--revive-access")
    const server = await serve()
    const get = (path: string) =>
      fetch(`${server.url}/v1/${path}`, { headers: { "x-databuddy-share": token } }).then((one) => one.json())
    expect(await get("notes?website_id=w")).toMatchObject({ notes: [{ id: "n", websiteId: "w" }], total: 1 })
    const reader = openReader(db)
    expect(reader.prepare("select id from views").pluck().all()).toEqual(["v"])
    reader.close()
    expect(await get("me")).toMatchObject({ user: null, share: { name: "Board", websiteId: "w" } })
  })

  describe("of a backup from before access was revoked", () => {
    const secrets = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
    const grant = { scopes: ["manage:websites" as const], websites: null, rateLimit: null, expiresAt: null }
    const keys: Record<string, string> = {}
    let token = ""
    beforeEach(async () => {
      await makeDatabase(1)
      const now = Date.now()
      change((open) => {
        const settings = { domain: "a.com", name: "a", allowedOrigins: [], anonymize: "off" as const }
        const { rid } = createWebsite(open, "w", settings, now)
        for (const id of ["revoked", "disabled", "rotated", "same"]) {
          keys[id] = createKey(open, id, { ...grant, name: id }, secrets, now).secret
        }
        const view = { path: "", page: null, embedHosts: [], expiresAt: null }
        token = createShare(open, "s", rid, { ...view, name: "Board" }, secrets, now).token
        createShare(open, "t", rid, { ...view, name: "Rotated" }, secrets, now)
        createUser(
          open,
          "vic",
          { email: "vic@a.com", role: "viewer", websites: null, sections: null },
          "old",
          now,
        )
        for (const id of ["ada", "bob", "eve"]) {
          createUser(
            open,
            id,
            { email: `${id}@a.com`, role: "owner", websites: null, sections: null },
            "old",
            now,
          )
        }
      })
      await json("backup", copy)
      change((open) => {
        revokeKey(open, "revoked", now)
        open.exec("update keys set disabled_at = 1 where id = 'disabled'")
        rotateKey(open, "rotated", "none", secrets, now)
        deleteShare(open, "s")
        rotateShare(open, "t", "1d", secrets, now)
        updateUser(open, "vic", { sections: ["web"] })
        setPassword(open, "ada", "new")
        deleteUser(open, "bob")
      })
    })

    const ended = {
      keys: [
        { id: "disabled", name: "disabled", change: "disabled" },
        { id: "revoked", name: "revoked", change: "revoked" },
        { id: "rotated", name: "rotated", change: "rotated" },
      ],
      links: [
        { id: "s", name: "Board", change: "ended" },
        { id: "t", name: "Rotated", change: "rotated" },
      ],
      users: [
        { id: "ada", email: "ada@a.com", change: "password" },
        { id: "bob", email: "bob@a.com", change: "deleted" },
        { id: "vic", email: "vic@a.com", change: "changed" },
      ],
    }
    const sorted = <One extends { id: string }>(list: One[]) =>
      list.toSorted((one, other) => (one.id < other.id ? -1 : 1))

    async function works(): Promise<object> {
      const server = await serve()
      const status = async (headers: Record<string, string>, path: string) =>
        (await fetch(`${server.url}/v1/${path}`, { headers })).status
      const found = {
        ...Object.fromEntries(
          await Promise.all(
            Object.entries(keys).map(async ([id, key]) => [
              id,
              await status({ "x-api-key": key }, "websites"),
            ]),
          ),
        ),
        link: await status({ "x-databuddy-share": token }, "notes?website_id=w"),
      }
      await server.stop()
      const reader = openReader(db)
      const users = reader
        .prepare("select concat_ws(' ', id, password, sections) from users order by id")
        .pluck()
        .all()
      reader.close()
      return { ...found, users }
    }

    test("keeps it revoked, and lists the changes", async () => {
      const dry = await json("restore", copy, "--dry-run")
      expect(dry.access.asOf).toBe("database")
      const { access } = await json("restore", copy)
      for (const found of [dry.access.ended, access.ended]) {
        expect({ ...found, keys: sorted(found.keys) }).toEqual(ended)
      }
      expect(await works()).toEqual({
        revoked: 401,
        disabled: 401,
        rotated: 401,
        same: 200,
        link: 401,
        users: ["ada new", "eve old", 'vic old ["web"]'],
      })
    })

    test("--revive-access restores it, and lists the changes", async () => {
      const { out, code } = await run("restore", copy, "--revive-access")
      expect(code).toBe(0)
      expect(out).toContain("have changed since the backup and are restored")
      expect(out).toContain("key revoked (revoked): revoked")
      expect(out).toContain("user bob@a.com: deleted")
      const all = Object.fromEntries(Object.keys(keys).map((id) => [id, 200]))
      expect(await works()).toEqual({
        ...all,
        link: 200,
        users: ["ada old", "bob old", "eve old", "vic old"],
      })
    })

    test("warns that it is restored if there is no database to compare with", async () => {
      rmSync(db)
      const { out } = await run("restore", copy)
      expect(out).toContain("work as they did when the backup was created")
    })

    test("applies nothing from an unrelated database, or from an older state of the same one", async () => {
      renameSync(db, folder.file("newer.db"))
      await makeDatabase(2)
      expect((await json("restore", copy)).access.ended).toEqual({ keys: [], links: [], users: [] })
      // The current database is older than the newer state, in which a user and a link are missing.
      expect((await json("restore", folder.file("newer.db"))).access.ended).toEqual({
        keys: [],
        links: [],
        users: [],
      })
    })
  })

  test("without a database creates one that only its owner can read", async () => {
    await makeDatabase(10)
    renameSync(db, copy)
    chmodSync(copy, 0o644)
    expect(await json("restore", copy)).toMatchObject({ events: 10, before: null })
    expect((statSync(db).mode & 0o777).toString(8)).toBe("600")
    expect(files()).toEqual(["copy.db", "databuddy.db"])
  })

  test("--dry-run shows what it would restore, and changes nothing", async () => {
    await makeDatabase(10)
    await json("backup", copy)
    rmSync(db)
    const said = await json("restore", copy, "--dry-run")
    expect(said).toMatchObject({ websites: 1, keys: 1, events: 10, restored: false })
    expect(said.newestEvent).toMatch(/^\d{4}-.+Z$/)
    const { out } = await run("restore", copy, "--dry-run")
    expect(out).toEndWith("the backup is valid; nothing was changed\n")
    expect(files()).toEqual(["copy.db"])
  })

  test("is refused while a server has the database open, even an idle one, and the server keeps running", async () => {
    const server = await serve()
    await json("backup", copy)
    const inode = statSync(db).ino
    await refused(["restore", copy], `${db} is in use by another databuddy, process ${server.pid}`)
    let stop = false
    const sending = (async () => {
      while (!stop) expect(await send(server, 10)).toBe(10)
    })()
    await refused(["restore", copy], `${db} is in use by another databuddy`)
    stop = true
    await sending
    expect(await send(server, 1)).toBe(1)
    expect(statSync(db).ino).toBe(inode)
    expect(await server.stop()).toBe(0)
    expect(files()).toEqual(["copy.db", "databuddy.db"])
  })

  test("is refused while a reader has it open, or a server still has a removed file open", async () => {
    await makeDatabase(1)
    await json("backup", copy)
    const reader = openReader(db)
    reader.prepare("select count(*) from events").get()
    await refused(["restore", copy], `${db} is open in another program`)
    reader.close()
    const server = await serve()
    rmSync(db)
    await refused(["restore", copy], `${db} is in use by another databuddy, process ${server.pid}`)
    await server.kill()
    // SQLite must not apply the -wal of the killed server to the restored file.
    expect(await json("restore", copy)).toMatchObject({ events: 1 })
    expect(await json("check")).toMatchObject({ ok: true, events: 1, keys: 1 })
  })

  test("replaces a database that is damaged beyond reading", async () => {
    await makeDatabase(10)
    await json("backup", copy)
    damage(db, 0, 4_096)
    const { before } = await json("restore", copy)
    expect(readFileSync(before).subarray(0, 4)).toEqual(Buffer.alloc(4, 0xaa))
    expect(await json("check")).toMatchObject({ ok: true, events: 10 })
  })

  const untrusted: [string, () => unknown, string][] = [
    ["a damaged file", () => damage(copy, Math.floor(statSync(copy).size / 2), 8_192), "damaged"],
    ["a truncated file", () => truncateSync(copy, Math.floor(statSync(copy).size / 2)), "damaged"],
    ["an empty file", () => truncateSync(copy, 0), "is empty"],
    [
      "a file that is not a database",
      () => writeFileSync(copy, "x".repeat(10_000)),
      "is not an SQLite database",
    ],
    ["a database of another program", () => inCopy("pragma application_id = 7"), "not a databuddy database"],
    [
      "a database of a newer version",
      () => inCopy("insert into migrations values ('9999_later', 'x', 0)"),
      "newer version of databuddy",
    ],
    [
      "a file that is partly in a -wal",
      () => writeFileSync(`${copy}-wal`, "x"),
      "is not a backup, but a database",
    ],
  ]

  function inCopy(sql: string): void {
    const open = new Database(copy)
    open.exec(sql)
    open.close()
  }

  test.each(untrusted)("refuses %s, and leaves the database unchanged", async (_, spoil, message) => {
    await makeDatabase(3_000)
    copyFileSync(db, copy)
    spoil()
    const before = readFileSync(db)
    for (const args of [["--dry-run"], []]) {
      const { code, out, err } = await run("restore", copy, ...args)
      expect({ code, out }).toEqual({ code: 1, out: "" })
      expect(err).toContain(message)
      expect(err).toContain(copy)
    }
    expect(readFileSync(db).equals(before)).toBe(true)
    expect(files().filter((name) => !name.startsWith("copy.db"))).toEqual(["databuddy.db"])
  })

  test("refuses the database itself, and paths that are not files", async () => {
    await makeDatabase(1)
    await refused(["restore", db], `${db} is the database itself`)
    await refused(["restore", folder.path], `${folder.path} is not a file`)
    await refused(["restore", copy], `${copy} is not a file`)
  })
})

describe("databuddy check", () => {
  test("reports no problem while a server is under load, and blocks no writes", async () => {
    const server = await serve()
    let stop = false
    let sent = 0
    const sending = (async () => {
      while (!stop) sent += await send(server, 10)
    })()
    await eventually(() => sent > 100)
    expect(await json("check")).toMatchObject({
      db,
      ok: true,
      problems: [],
      schema: Number(migrations.at(-1)?.name.slice(0, 4)),
      websites: 1,
      keys: 1,
      users: 0,
    })
    stop = true
    await sending
    expect(await server.stop()).toBe(0)
    const { code, out } = await run("check")
    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^events +\d+$/m) })
    expect(out).toEndWith("no problems found\n")
    expect(files()).toEqual(["databuddy.db"])
  })

  const broken: [string, string, string][] = [
    ["a missing type", "delete from event_types", "2 events have a type that does not exist"],
    [
      "a missing website",
      "update event_rows set website_rid = 99 where id = 1",
      "1 events have a website that does not exist",
    ],
    [
      "keys that are not an array",
      `update event_types set keys = '{"a":1}'`,
      "1 event types have keys that are not a JSON array",
    ],
    [
      "properties that are not JSON",
      "update event_rows set properties = '1, oops' where id = 2",
      "1 events have properties that cannot be read",
    ],
    [
      "a missing property",
      "update event_rows set properties = '1' where id = 2",
      "1 events have properties that cannot be read",
    ],
    [
      "a user with an unknown role",
      "insert into users (id, email, role, created_at) values ('u', 'a@example.com', 'admin', 0)",
      "1 users have a role or websites that cannot be read",
    ],
    [
      "a migration that has not been applied",
      `delete from migrations where name = '${newestMigration}'`,
      `the migration ${newestMigration} has not been applied`,
    ],
  ]
  test.each(broken)("finds %s", async (_, sql, problem) => {
    await makeDatabase(2)
    change((open) => open.exec(sql))
    const { code, out, err } = await run("check", "--json")
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ ok: false })
    expect(JSON.parse(out).problems).toContain(problem)
    expect(err).toMatch(/^error: .* problems?\nhint: .+\n$/)
  })

  test("accepts events without properties, with an empty object and with keys beyond the dictionary", async () => {
    const server = await serve()
    const many = Array.from({ length: 300 }, (_, n) => ({ name: "shapes", properties: { [`key${n}`]: n } }))
    const body = JSON.stringify([{ name: "none" }, { name: "empty", properties: {} }, ...many])
    const headers = { Authorization: `Bearer ${server.key}` }
    expect((await fetch(`${server.url}/track`, { method: "POST", headers, body })).status).toBe(200)
    expect(await json("check")).toMatchObject({ ok: true, events: 302 })
  })

  test("detects damage, and leaves a damaged file and its -wal unchanged", async () => {
    const server = await serve()
    for (let n = 0; n < 3; n++) await send(server, 1_000)
    expect(await server.stop()).toBe(0)
    // Far from the first pages, which hold the schema: without it, nothing can be checked.
    damage(db, Math.floor((statSync(db).size * 3) / 4), 8_192)
    const before = readFileSync(db)
    const { code, out, err } = await run("check")
    expect(code).toBe(1)
    expect(out).not.toBe("")
    expect(err).toContain(`error: ${db} has `)
    expect(readFileSync(db).equals(before)).toBe(true)
  })

  test("reports a file that is not a databuddy database", async () => {
    await refused(["check"], `${db} does not exist`)
    writeFileSync(db, "x".repeat(10_000))
    await refused(["check"], `${db} is not an SQLite database`)
  })
})

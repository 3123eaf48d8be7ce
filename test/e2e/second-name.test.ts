import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test"
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { openReader, type Server, startServer, temporaryFolder, withDatabase } from "../harness.ts"
import { binary } from "../support/binary.ts"

// A database with two names is one database, so its server is found by the file and not by the name.

setDefaultTimeout(30_000)

function run(cwd: string, command: string) {
  const { PATH = "", TMPDIR = "/tmp" } = process.env
  const ended = Bun.spawnSync(["sh", "-c", command, binary], { cwd, env: { PATH, TMPDIR }, timeout: 20_000 })
  return { code: ended.exitCode, out: ended.stdout.toString(), err: ended.stderr.toString() }
}

describe("while a server is running", () => {
  let folder: ReturnType<typeof temporaryFolder>
  let server: Server
  beforeAll(async () => {
    folder = temporaryFolder()
    mkdirSync(folder.file("data"))
    server = await startServer({ db: folder.file("data/real.db") })
    symlinkSync("data/real.db", folder.file("link.db"))
    symlinkSync("link.db", folder.file("again.db"))
    symlinkSync("data", folder.file("other"))
  })
  afterAll(async () => {
    await server.stop()
    folder[Symbol.dispose]()
  })

  const names = ["link.db", "again.db", "other/real.db", "data/../data/real.db", "./data//real.db"]
  for (const name of names) {
    test(`${name} is recognized as the database of the server`, () => {
      const second = run(folder.path, `"$0" serve --port 0 --db ${name}`)
      expect([second.code, second.err]).toEqual([
        1,
        expect.stringContaining(`in use by another databuddy, process ${server.pid}`),
      ])
      expect(run(folder.path, `"$0" doctor --db ${name}`).out).toContain(`process ${server.pid} serves it`)
      expect(run(folder.path, `"$0" migrate --db ${name}`).err).toContain("in use by another databuddy")
      expect(run(folder.path, `"$0" website list --db ${name}`).code).toBe(0)
      expect(
        run(folder.path, `"$0" backup copy.db --db ${name} && "$0" restore copy.db --db ${name}; rm copy.db`)
          .err,
      ).toContain("in use by another databuddy")
      expect(existsSync(folder.file("link.db-wal")) || existsSync(folder.file("link.db-lock"))).toBe(false)
    })
  }

  test("an open descriptor of the database is recognized, too", () => {
    expect(run(folder.path, `"$0" doctor --db /proc/self/fd/9 9<data/real.db`).out).toContain("serves it")
  })
})

describe.skipIf(process.platform !== "linux")(
  "a database that gets another name while a server has it open",
  () => {
    let folder: ReturnType<typeof temporaryFolder>
    let server: Server | undefined
    beforeEach(async () => {
      folder = temporaryFolder()
      server = await startServer({ db: folder.file("real.db") })
    })
    afterEach(async () => {
      await server?.kill()
      folder[Symbol.dispose]()
    })

    const writers = [
      "serve --port 0",
      "migrate",
      "website create b.com",
      "website list",
      "key list",
      "user list",
      "check",
      "doctor",
      "export",
      "backup copy.db",
      "rebuild",
      "query custom_events",
      "events tail",
      "import x.ndjson",
      "forget --website w --anonymous-id a --yes",
    ]
    const renames: [string, (from: string, to: string) => void][] = [
      ["renamed", renameSync],
      ["hard-linked", linkSync],
    ]
    for (const [how, rename] of renames) {
      test(`is rejected by every command if it is ${how}, and gets no second -wal`, () => {
        rename(folder.file("real.db"), folder.file("moved.db"))
        writeFileSync(folder.file("x.ndjson"), "")
        for (const command of writers) {
          const { code, err } = run(folder.path, `"$0" ${command} --db moved.db`)
          expect([command, code, err]).toEqual([command, 1, expect.stringContaining("under another name")])
        }
        expect(readdirSync(folder.path).filter((name) => name.startsWith("moved.db-"))).toEqual([])
      })
    }

    test("is not replaced by a backup or an export", () => {
      renameSync(folder.file("real.db"), folder.file("moved.db"))
      run(folder.path, '"$0" website create a.com --db small.db')
      for (const command of ["backup moved.db", "export --out moved.db"]) {
        const { code, err } = run(folder.path, `"$0" ${command} --force --db small.db`)
        expect([code, err]).toEqual([1, expect.stringContaining("a database that a server is using")])
      }
    })
  },
)

describe("a database with hard links that is not open", () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = temporaryFolder()
    withDatabase(folder.file("real.db"), () => {})
    mkdirSync(folder.file("b"))
  })
  afterEach(() => folder[Symbol.dispose]())

  test("is rejected under each name, and is accepted once it has only one name", () => {
    linkSync(folder.file("real.db"), folder.file("b/second.db"))
    for (const name of ["real.db", "b/second.db"]) {
      for (const command of ["serve --port 0", "website create a.com", "website list"]) {
        const { code, err } = run(folder.path, `"$0" ${command} --db ${name}`)
        expect([code, err]).toEqual([1, expect.stringContaining("has 2 names")])
      }
    }
    rmSync(folder.file("real.db"))
    expect(run(folder.path, '"$0" website create a.com --db b/second.db').code).toBe(0)
  })

  test("can be read if it is a backup, because programs that keep versions of files use hard links", () => {
    expect(run(folder.path, '"$0" backup b/one.db --db real.db').code).toBe(0)
    linkSync(folder.file("b/one.db"), folder.file("b/two.db"))
    expect(run(folder.path, '"$0" check --db b/two.db').code).toBe(0)
    expect(run(folder.path, '"$0" restore b/two.db --db new.db').code).toBe(0)
    expect(run(folder.path, '"$0" website create a.com --db b/two.db').err).toContain("has 2 names")
  })

  test("can be served if a killed restore left the second name behind", async () => {
    linkSync(folder.file("real.db"), folder.file("real.db.before-restore-20260101T000000000Z"))
    const server = await startServer({ db: folder.file("real.db"), args: ["--no-setup"] })
    await server.stop()
    expect(readdirSync(folder.path).sort()).toEqual(["b", "real.db"])
  })
})

test("a link to a missing database creates the database at its target", async () => {
  using folder = temporaryFolder()
  mkdirSync(folder.file("data"))
  symlinkSync("data/new.db", folder.file("link.db"))
  const server = await startServer({ db: folder.file("link.db") })
  expect(run(folder.path, '"$0" serve --port 0 --db data/new.db').err).toContain("in use by another")
  await server.stop()
  expect(readdirSync(folder.file("data"))).toEqual(["new.db"])
  const reader = openReader(folder.file("data/new.db"))
  expect(reader.prepare("select count(*) from keys").pluck().get()).toBe(1)
  reader.close()
})

const mounts = process.platform === "linux" && process.getuid?.() === 0
test.skipIf(!mounts)(
  "a file that is a mount point is rejected, and a file in a mounted folder is accepted",
  async () => {
    using folder = temporaryFolder()
    for (const name of ["a", "b"]) mkdirSync(folder.file(name))
    withDatabase(folder.file("a/real.db"), () => {})
    writeFileSync(folder.file("b/file.db"), "")
    const bind = (from: string, to: string) =>
      Bun.spawnSync(["mount", "--bind", folder.file(from), folder.file(to)]).success
    if (!bind("a/real.db", "b/file.db")) return // a container without permission to mount
    try {
      const { code, err } = run(folder.path, '"$0" serve --port 0 --db b/file.db')
      expect([code, err]).toEqual([1, expect.stringContaining("is a mount point")])
    } finally {
      Bun.spawnSync(["umount", folder.file("b/file.db")])
    }
    expect(bind("a", "b")).toBe(true)
    const server = await startServer({ db: folder.file("a/real.db") })
    try {
      expect(run(folder.path, '"$0" doctor --db b/real.db').out).toContain(`process ${server.pid} serves it`)
      expect(run(folder.path, '"$0" serve --port 0 --db b/real.db').err).toContain("in use by another")
      expect(statSync(folder.file("b/real.db")).ino).toBe(statSync(folder.file("a/real.db")).ino)
    } finally {
      await server.stop()
      Bun.spawnSync(["umount", folder.file("b")])
    }
  },
)

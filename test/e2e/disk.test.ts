import { afterEach, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, truncateSync, writeFileSync } from "node:fs"
import { basename } from "node:path"
import { openReader, type Server, startServer, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function folder(): string {
  const made = temporaryFolder()
  cleanups.push(() => made[Symbol.dispose]())
  return made.path
}

/** Starts a server. Only the first start prints a key, so later starts are passed that key. */
async function start(db: string, key = ""): Promise<Server> {
  const server = await startServer({ db, args: ["--min-free", "0"] })
  cleanups.push(() => server.kill())
  return { ...server, key: server.key || key }
}

const verdict = async (answer: Promise<Response>) => {
  const { status, headers } = await answer
  return `${status} ${headers.get("x-databuddy-reason") ?? ""}`.trim()
}

function send(server: Server, name: string): Promise<string> {
  const headers = { Authorization: `Bearer ${server.key}` }
  const body = JSON.stringify([{ name }, { name }])
  return verdict(fetch(`${server.url}/track`, { method: "POST", headers, body }))
}

const ready = (server: Server) => verdict(fetch(`${server.url}/ready`))
const alive = (server: Server) => verdict(fetch(`${server.url}/health`))

/** Returns the number of stored events of each name. */
function stored(db: string): Record<string, number> {
  const reader = openReader(db)
  const rows = reader.prepare("select name, count(*) from events group by name order by name").raw().all()
  reader.close()
  return Object.fromEntries(rows as [string, number][])
}

const strace = Bun.which("strace")
const untraced = strace ? "" : " (skipped: needs strace)"

/** Makes system calls on a file fail with EIO, as on a broken disk. Returns a function that repairs the disk. */
async function breakDisk(server: Server, calls: string, file: string): Promise<() => Promise<void>> {
  const path = ["-P", file]
  const inject = ["-e", `trace=${calls}`, "-e", `inject=${calls}:error=EIO`]
  const tracer = Bun.spawn([strace as string, "-f", ...path, ...inject, "-p", String(server.pid)], {
    stdout: "ignore",
    stderr: "pipe",
  })
  const end = async () => {
    tracer.kill("SIGINT")
    await tracer.exited
  }
  cleanups.push(end)
  const errors = tracer.stderr.getReader()
  for (let said = ""; !said.includes("attached"); ) {
    const { value, done } = await errors.read()
    if (done) throw new Error(said)
    said += Buffer.from(value).toString()
  }
  // Reads the rest of the output, so that the pipe does not fill up.
  void (async () => {
    while (!(await errors.read()).done);
  })()
  return end
}

describe.skipIf(!strace)(`if a disk fails with EIO${untraced}`, () => {
  const cases = [
    { sentence: "writes to the -wal", calls: "pwrite64,pwritev,ftruncate" },
    { sentence: "syncs of the -wal", calls: "fsync,fdatasync" },
  ]
  for (const { sentence, calls } of cases) {
    test(`on ${sentence}, requests get 503, nothing is stored, and the server recovers`, async () => {
      const db = `${folder()}/test.db`
      const server = await start(db)
      expect(await send(server, "before")).toBe("200")
      const mend = await breakDisk(server, calls, `${db}-wal`)
      for (let n = 0; n < 5; n++) expect(await send(server, "during")).toBe("503 store_failed")
      expect(await ready(server)).toBe("503 store_failed")
      expect(await alive(server)).toBe("200")
      await server.prints("disk I/O error; see the kernel log (dmesg)")
      await mend()
      expect(await ready(server)).toBe("200")
      expect(await send(server, "after")).toBe("200")
      await server.kill()
      const next = await start(db)
      expect(stored(db)).toEqual({ before: 2, after: 2 })
      expect(await next.stop()).toBe(0)
      expect(existsSync(`${db}-wal`)).toBe(false)
    }, 30_000)

    test(`on ${sentence} before a kill, acknowledged events are kept and no request is stored in part`, async () => {
      const db = `${folder()}/test.db`
      const server = await start(db)
      expect(await send(server, "before")).toBe("200")
      await breakDisk(server, calls, `${db}-wal`)
      expect(await send(server, "during")).toBe("503 store_failed")
      await server.kill()
      const next = await start(db, server.key)
      expect(stored(db)).toMatchObject({ before: 2 })
      expect([undefined, 2]).toContain(stored(db).during)
      expect(await send(next, "after")).toBe("200")
      expect(await next.stop()).toBe(0)
    }, 30_000)
  }

  test("on all writes to the database file, events are stored in the -wal, which a stop keeps", async () => {
    const db = `${folder()}/test.db`
    const server = await start(db)
    await breakDisk(server, "pwrite64,fsync,fdatasync,ftruncate", db)
    expect(await send(server, "during")).toBe("200")
    expect(await server.stop()).toBe(0)
    await server.prints("the -wal file holds recent events, so copy both files")
    const next = await start(db)
    expect(stored(db)).toEqual({ during: 2 })
    expect(await next.stop()).toBe(0)
    expect(existsSync(`${db}-wal`)).toBe(false)
  }, 30_000)

  test("on reads, requests that need them get 503, and the server recovers", async () => {
    const db = `${folder()}/test.db`
    const first = await start(db)
    expect(await send(first, "before")).toBe("200")
    expect(await first.stop()).toBe(0)
    const server = await start(db, first.key)
    const mend = await breakDisk(server, "pread64", db)
    expect(await send(server, "during")).toBe("503 store_failed")
    const headers = { "x-api-key": server.key }
    const exporting = fetch(`${server.url}/v1/export`, { headers }).then((answer) => answer.text())
    // The status is sent before the first event is read, so the connection is closed to show that the export failed.
    await expect(exporting).rejects.toThrow("closed unexpectedly")
    await server.prints("malformed, or the disk failed to read it")
    expect(await alive(server)).toBe("200")
    await mend()
    expect(await send(server, "after")).toBe("200")
    expect(await server.stop()).toBe(0)
    expect(stored(db)).toEqual({ before: 2, after: 2 })
  }, 30_000)
})

const mayBreak =
  process.getuid?.() === 0 &&
  existsSync("/sys/fs/ext4") &&
  existsSync("/dev/loop-control") &&
  Bun.which("mkfs.ext4") !== null &&
  Bun.spawnSync(["unshare", "--mount", "true"], { stderr: "ignore" }).success
const unmounted = mayBreak ? "" : " (skipped: needs root, ext4 and loop devices)"

test.skipIf(!mayBreak)(
  `if the kernel makes the disk read-only, requests get 503, and no acknowledged event is missing after a repair${unmounted}`,
  async () => {
    const [image, disk] = [`${folder()}/image`, `${folder()}/disk`]
    const db = `${disk}/test.db`
    writeFileSync(image, "")
    truncateSync(image, 16 * 1_048_576)
    mkdirSync(disk)
    const run = (...command: string[]) => {
      const { exitCode, stdout, stderr } = Bun.spawnSync(command)
      return { code: exitCode, out: stdout.toString().trim(), err: stderr.toString() }
    }
    expect(run("mkfs.ext4", "-q", image)).toMatchObject({ code: 0 })
    const mount = () => {
      expect(run("mount", "-o", "loop,errors=remount-ro", image, disk)).toMatchObject({ code: 0, err: "" })
    }
    mount()
    cleanups.push(() => run("umount", "--lazy", disk))
    const server = await start(db)
    expect(await send(server, "before")).toBe("200")
    const device = basename(run("findmnt", "-no", "SOURCE", disk).out)
    writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, "test")
    for (let n = 0; n < 5; n++) expect(await send(server, "during")).toBe("503 store_failed")
    expect(await ready(server)).toBe("503 store_failed")
    expect(await alive(server)).toBe("200")
    await server.prints(/disk I\/O error; the system reports: EROFS: read-only file system/)
    expect(await server.stop()).toBe(0)
    const { code, err } = run(binary, "serve", "--db", db, "--port", "0")
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("not mounted read-only") })
    expect(run("umount", disk)).toMatchObject({ code: 0 })
    run("e2fsck", "-fy", image)
    mount()
    const next = await start(db, server.key)
    expect(stored(db)).toEqual({ before: 2 })
    expect(await send(next, "after")).toBe("200")
    expect(await next.stop()).toBe(0)
    expect(stored(db)).toEqual({ before: 2, after: 2 })
  },
  60_000,
)

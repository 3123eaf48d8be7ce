import { afterEach, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { Database } from "../../src/store/db/driver.ts"
import {
  eventually,
  openReader,
  type Server,
  startFailure,
  startServer,
  temporaryFolder,
  withDatabase,
} from "../harness.ts"
import { binary } from "../support/binary.ts"
import { memoryOf } from "../support/memory.ts"
import { mmdbFile } from "../support/mmdb.ts"

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function folder(): string {
  const made = temporaryFolder()
  cleanups.push(() => made[Symbol.dispose]())
  return made.path
}

async function start(db: string, args: string[] = []): Promise<Server> {
  const server = await startServer({ db, args })
  cleanups.push(() => server.kill())
  return server
}

function send(server: Server, events: unknown = { name: "sent" }): Promise<Response> {
  return fetch(`${server.url}/track`, {
    method: "POST",
    headers: { Authorization: `Bearer ${server.key}` },
    body: JSON.stringify(events),
  })
}

/** Returns the status and reason of a response. */
async function verdict(answer: Response | Promise<Response>): Promise<string> {
  const { status, headers } = await answer
  return `${status} ${headers.get("x-databuddy-reason") ?? ""}`.trim()
}

const ready = (server: Server) => verdict(fetch(`${server.url}/ready`))
const alive = (server: Server) => verdict(fetch(`${server.url}/health`))

function countEvents(db: string): number {
  const reader = openReader(db)
  try {
    return reader.prepare("select count(*) from events").pluck().get() as number
  } finally {
    reader.close()
  }
}

test("a healthy server is alive and ready", async () => {
  const server = await start(`${folder()}/test.db`)
  expect(await alive(server)).toBe("200")
  expect(await ready(server)).toBe("200")
})

describe("two servers on one file", () => {
  test("the second fails before it binds the port and names the process of the first", async () => {
    const db = `${folder()}/test.db`
    const first = await start(db)
    expect(await startFailure({ db })).toContain(`is in use by another databuddy, process ${first.pid}`)
    expect(await verdict(send(first))).toBe("200")
  })

  test("a killed server holds no lock, and a stopped one leaves no lock file", async () => {
    const db = `${folder()}/test.db`
    const first = await start(db)
    await first.kill()
    const second = await start(db)
    expect(await second.stop()).toBe(0)
    expect(existsSync(`${db}-lock`)).toBe(false)
  })
})

describe("a --geo-db file", () => {
  const cases = [
    { what: "that is missing", contents: undefined, says: "city.mmdb cannot be read (ENOENT)" },
    { what: "in another format", contents: "a,b\n", says: "city.mmdb is not an mmdb file, or is damaged" },
  ]
  for (const { what, contents, says } of cases) {
    test(`${what} makes the start fail with the reason, and no database is created`, async () => {
      const [db, file] = [`${folder()}/test.db`, `${folder()}/city.mmdb`]
      if (contents !== undefined) writeFileSync(file, contents)
      const failure = await startFailure({ db, args: ["--geo-db", file] })
      expect(failure).toContain(says)
      expect(failure).toContain("hint: set --geo-db to a file in MaxMind's mmdb format")
      expect(existsSync(db)).toBe(false)
    })
  }

  test("in MaxMind's format is accepted", async () => {
    const file = `${folder()}/city.mmdb`
    writeFileSync(file, mmdbFile({ "8.8.0.0/16": { country: { iso_code: "DE" } } }, Date.UTC(2026, 10, 1)))
    const server = await start(`${folder()}/test.db`, ["--geo-db", file, "--country-header", "CF-IPCountry"])
    expect(await ready(server)).toBe("200")
  })

  test("a --country-header that does not contain countries is rejected", async () => {
    const args = ["--country-header", "X-Forwarded-For"]
    expect(await startFailure({ db: `${folder()}/test.db`, args })).toContain("--country-header")
  })
})

describe("files that are removed while the server has them open", () => {
  const cases = [
    { sentence: "the database is removed", hit: (db: string) => rmSync(db) },
    {
      sentence: "the database is replaced",
      hit: (db: string) => {
        renameSync(db, `${db}.old`)
        writeFileSync(db, "")
      },
    },
    { sentence: "the -wal is removed", hit: (db: string) => rmSync(`${db}-wal`) },
  ]
  for (const { sentence, hit } of cases) {
    test(`if ${sentence}, no more events are acknowledged, and the log reports it`, async () => {
      const db = `${folder()}/test.db`
      const server = await start(db)
      expect(await verdict(send(server))).toBe("200")
      hit(db)
      // The commit that detects it fails with store_failed. It may be a maintenance commit before this request.
      expect(await verdict(send(server))).toMatch(/^503 (store_failed|file_replaced)$/)
      expect(await verdict(send(server))).toBe("503 file_replaced")
      expect(await ready(server)).toBe("503 file_replaced")
      expect(await alive(server)).toBe("200")
      await server.prints("was removed or replaced while the server had it open: restart the server")
    })
  }
})

const mayMount =
  process.getuid?.() === 0 && Bun.spawnSync(["unshare", "--mount", "true"], { stderr: "ignore" }).success
const skipped = mayMount ? "" : " (skipped: needs root and permission to mount)"

/** Mounts a new file system of `megabytes` MiB. Returns its path. */
function smallDisk(megabytes: number): string {
  const disk = `${folder()}/disk`
  mkdirSync(disk)
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", disk])
  if (!mounted.success) throw new Error(mounted.stderr.toString())
  cleanups.push(() => Bun.spawnSync(["umount", "--lazy", disk]))
  return disk
}

describe.skipIf(!mayMount)(`a disk that fills${skipped}`, () => {
  const batch = Array.from({ length: 200 }, () => ({
    name: "large",
    properties: { text: "x".repeat(2_000) },
  }))

  test("that is full at the start is reported, and no file is left behind", async () => {
    const disk = smallDisk(1)
    writeFileSync(`${disk}/ballast`, Buffer.alloc(1_048_576))
    for (const args of [
      ["serve", "--port", "0"],
      ["website", "create", "example.com"],
    ]) {
      const child = Bun.spawnSync([binary, ...args, "--db", `${disk}/test.db`])
      expect(child.stderr.toString()).toMatch(
        `error: ${disk}/test.db cannot be written: the disk is full (SQLITE_FULL)\nhint: free disk space, or choose another --db\n`,
      )
      expect(child.exitCode).toBe(1)
      expect(readdirSync(disk)).toEqual(["ballast"])
    }
  })

  test("below --min-free, events are rejected until there is space again, and deletion works", async () => {
    const disk = smallDisk(32)
    const server = await start(`${disk}/test.db`, ["--min-free", String(16 * 1_048_576)])
    expect(await verdict(send(server))).toBe("200")
    writeFileSync(`${disk}/ballast`, Buffer.alloc(20 * 1_048_576))
    await eventually(async () => (await verdict(send(server))) === "503 disk_low")
    expect((await send(server)).headers.get("retry-after")).toBe("30")
    expect(await ready(server)).toBe("503 disk_low")
    const headers = { Authorization: `Bearer ${server.key}`, "Content-Type": "application/json" }
    const list = await fetch(`${server.url}/v1/websites`, { headers })
    const { websites } = (await list.json()) as { websites: { id: string }[] }
    const deleted = await fetch(`${server.url}/v1/websites/${websites[0]?.id}`, { method: "DELETE", headers })
    expect(deleted.status).toBe(200)
    rmSync(`${disk}/ballast`)
    await eventually(async () => (await verdict(send(server))) === "200")
    await server.prints("events are accepted again: the disk has free space")
  })

  test("when it is full, requests get 503, nothing of them is stored, and the server recovers", async () => {
    const disk = smallDisk(24)
    const db = `${disk}/test.db`
    const server = await start(db, ["--min-free", "0"])
    writeFileSync(`${disk}/ballast`, Buffer.alloc(8 * 1_048_576))
    let stored = 0
    let last = ""
    for (let request = 0; request < 200 && last !== "503 store_failed"; request++) {
      last = await verdict(send(server, batch))
      if (last === "200") stored += batch.length
    }
    expect(last).toBe("503 store_failed")
    expect(stored).toBeGreaterThan(0)
    expect(await alive(server)).toBe("200")
    rmSync(`${disk}/ballast`)
    expect(await verdict(send(server, batch))).toBe("200")
    expect(await server.stop()).toBe(0)
    expect(countEvents(db)).toBe(stored + batch.length)
  })
})

test("a start waits for a lock", async () => {
  const db = `${folder()}/test.db`
  await (await start(db)).stop()
  const other = new Database(db)
  cleanups.push(() => other.close())
  other.exec("begin exclusive")
  const starting = start(db)
  await Bun.sleep(300)
  other.exec("rollback")
  expect(await alive(await starting)).toBe("200")
})

test("large unfinished bodies leave space for small ones, and are rejected beyond --queue-bytes", async () => {
  const large = 1_048_576
  const server = await start(`${folder()}/test.db`, [
    "--max-body",
    String(large),
    "--queue-bytes",
    String(2 * large),
    "--trust-proxy",
    "127.0.0.1",
  ])
  // Two addresses are needed, because one can use only part of the budget. They leave space for a small body, but not
  // for a large one.
  const stalled = ["192.0.2.1", "192.0.2.2"].map((address) => {
    const socket = connect(server.port, "127.0.0.1")
    cleanups.push(() => socket.destroy())
    const headers = `Host: x\r\nX-Forwarded-For: ${address}\r\nContent-Length: ${large - 32_768}`
    socket.write(`POST /track HTTP/1.1\r\n${headers}\r\n\r\n[`)
    return socket
  })
  const text = JSON.stringify({ name: "large", properties: {}, more: "x".repeat(100_000) })
  const sendLarge = () =>
    fetch(`${server.url}/track`, { method: "POST", headers: { "x-api-key": server.key }, body: text })
  await eventually(async () => (await verdict(sendLarge())) === "503 queue_full")
  expect(await verdict(send(server))).toBe("200")
  for (const socket of stalled) socket.destroy()
  await eventually(async () => (await verdict(sendLarge())) === "200")
})

test("unknown website ids share one rate limit, so inventing ids does not help", async () => {
  const server = await start(`${folder()}/test.db`, ["--rate-limit", "3"])
  const verdicts: string[] = []
  for (let index = 0; index < 5; index++) {
    const url = `${server.url}/track?website_id=invented-${index}`
    verdicts.push(await verdict(fetch(url, { method: "POST", body: '{"name":"x"}' })))
  }
  expect(verdicts).toEqual([...Array(3).fill("404 website_unknown"), ...Array(2).fill("429 rate_limited")])
})

test("shortly after the start, no byte of a past day's salt is left in the files", async () => {
  const db = `${folder()}/test.db`
  await (await start(db)).stop()
  const salt = Buffer.from("a salt that is easy to recognize")
  withDatabase(db, (writer) => writer.prepare("insert into salts (day, salt) values (1, ?)").run(salt))
  const server = await start(db)
  await send(server)
  const holdsSalt = () => [db, `${db}-wal`].some((file) => readFileSync(file).includes(salt))
  expect(holdsSalt()).toBe(true)
  await eventually(() => !holdsSalt(), { timeout: 25_000 })
}, 40_000)

test("while commits are blocked, the queue rejects further events, and memory is bounded", async () => {
  const db = `${folder()}/test.db`
  const server = await start(db, [
    "--max-body",
    "1048576",
    "--queue-bytes",
    "4194304",
    "--lock-wait",
    "60000",
  ])
  const other = new Database(db)
  cleanups.push(() => other.close())
  other.exec("begin immediate")
  const event = { name: "waits", properties: { text: "x".repeat(1_000) } }
  const batch = Array.from({ length: 40 }, () => event)
  const answers: Promise<string>[] = []
  let refused = 0
  const flood = async (requests: number) => {
    for (let sent = 0; sent < requests; sent++) {
      const answer = verdict(send(server, batch)).then((result) => {
        if (result === "503 queue_full") refused++
        return result
      })
      answers.push(answer)
      // Rejections are sent immediately; accepted requests are answered after the lock is released.
      await Promise.race([answer, Bun.sleep(refused > 0 ? 1_000 : 50)])
    }
  }
  await flood(700)
  const before = memoryOf(server).now
  await flood(3_000)
  // These 3,000 bodies are 120 MB, and would take more in memory.
  expect(memoryOf(server).now - before).toBeLessThan(60)
  expect(refused).toBeGreaterThan(3_000)
  expect(await alive(server)).toBe("200")
  other.exec("rollback")
  const results = await Promise.all(answers)
  expect(new Set(results)).toEqual(new Set(["200", "503 queue_full"]))
  const accepted = results.filter((result) => result === "200")
  expect(countEvents(db)).toBe(accepted.length * batch.length)
})

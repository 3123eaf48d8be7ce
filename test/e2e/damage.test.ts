import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import { rejectDamaged } from "../../src/store/db/damage.ts"
import { openReader, type Server, startServer, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"

const pageSize = 4_096
/** Enough events for each index to have dozens of pages. */
const events = 6_000

let folder: TemporaryFolder
/** The files of a stopped server and of a killed server. */
let stopped: Buffer
let killed: { file: Buffer; wal: Buffer }
let key: string
let pages: Map<string, number[]>

beforeAll(async () => {
  folder = temporaryFolder()
  const path = folder.file("template.db")
  const first = await startServer({ db: path })
  for (let sent = 0; sent < events; sent += 1_000) expect((await send(first, batch(1_000))).status).toBe(200)
  key = first.key
  await first.stop()
  stopped = readFileSync(path)
  pages = leaves(path)
  const second = await startServer({ db: path })
  expect((await send({ ...second, key }, batch(1))).status).toBe(200)
  await second.kill()
  killed = { file: readFileSync(path), wal: readFileSync(`${path}-wal`) }
}, 60_000)
afterAll(() => folder[Symbol.dispose]())

function batch(length: number): unknown[] {
  return Array.from({ length }, (_, index) => ({
    name: "bought",
    eventId: crypto.randomUUID(),
    anonymousId: `visitor-${index}`,
    properties: { plan: "pro", text: "x".repeat(60) },
  }))
}

function send(server: Pick<Server, "url" | "key">, body: unknown): Promise<Response> {
  return fetch(`${server.url}/track`, {
    method: "POST",
    headers: { Authorization: `Bearer ${server.key}` },
    body: JSON.stringify(body),
  })
}

/** Returns the numbers of the leaf pages of each tree. */
function leaves(path: string): Map<string, number[]> {
  const db = openReader(path)
  const rows = db.prepare("select name, pageno from dbstat where pagetype = 'leaf' order by pageno").all()
  db.close()
  const found = new Map<string, number[]>()
  for (const { name, pageno } of rows as { name: string; pageno: number }[]) {
    found.set(name, [...(found.get(name) ?? []), pageno])
  }
  return found
}

/** Overwrites part of a file in place. */
function overwrite(path: string, from: number, bytes: Buffer): void {
  const file = openSync(path, "r+")
  writeSync(file, bytes, 0, bytes.length, from)
  closeSync(file)
}

/** Overwrites one leaf page of a tree with zeros or noise. */
function damageLeaf(path: string, tree: string, fill: "zeros" | "noise"): void {
  const leaf = pages.get(tree)
  if (!leaf) throw new Error(`${tree} has no leaf`)
  const page = leaf[Math.floor(leaf.length / 2)] as number
  const bytes = fill === "zeros" ? Buffer.alloc(pageSize) : Buffer.alloc(pageSize, "noise")
  overwrite(path, (page - 1) * pageSize, bytes)
}

interface Case {
  sentence: string
  /** The files to damage: those of a stopped server, or those of a killed one, including its -wal. */
  of: "stopped" | "killed"
  hit: (path: string) => void
  says: RegExp
  hint: string
}

const aside = "move the file and its -wal aside and restore a backup"
const cases: Case[] = [
  {
    sentence: "a page of noise among the events",
    of: "stopped",
    hit: (path) => damageLeaf(path, "event_rows", "noise"),
    says: /is damaged: .*page \d+/,
    hint: aside,
  },
  {
    sentence: "a page of zeros among the events",
    of: "stopped",
    hit: (path) => damageLeaf(path, "event_rows", "zeros"),
    says: /is damaged: .*page \d+/,
    hint: aside,
  },
  {
    sentence: "a page of zeros in the index by time",
    of: "stopped",
    hit: (path) => damageLeaf(path, "event_times", "zeros"),
    says: /is damaged: .*page \d+/,
    hint: aside,
  },
  {
    sentence: "a page of noise in the index by eventId",
    of: "stopped",
    hit: (path) => damageLeaf(path, "event_rows_event_key", "noise"),
    says: /is damaged: .*page \d+/,
    hint: aside,
  },
  {
    sentence: "a damaged page and a -wal of a killed server",
    of: "killed",
    hit: (path) => damageLeaf(path, "event_rows", "zeros"),
    says: /is damaged: .*page \d+/,
    hint: aside,
  },
  {
    sentence: "zeros where the schema was",
    of: "stopped",
    hit: (path) => overwrite(path, 100, Buffer.alloc(pageSize - 100)),
    says: /is damaged: /,
    hint: aside,
  },
  {
    sentence: "noise where the header was",
    of: "stopped",
    hit: (path) => overwrite(path, 0, Buffer.alloc(100, "noise")),
    says: /is not an SQLite database/,
    hint: "restore a backup if this was a databuddy database",
  },
  {
    sentence: "a file without its last page",
    of: "stopped",
    hit: (path) => truncateSync(path, stopped.length - pageSize),
    says: /is damaged: it was truncated to \d+ of \d+ bytes/,
    hint: aside,
  },
  {
    sentence: "a file without its last byte",
    of: "stopped",
    hit: (path) => truncateSync(path, stopped.length - 1),
    says: /is damaged: it was truncated to \d+ of \d+ bytes/,
    hint: aside,
  },
  {
    sentence: "half of a file",
    of: "stopped",
    hit: (path) => truncateSync(path, Math.floor(stopped.length / 2)),
    says: /is damaged: it was truncated/,
    hint: aside,
  },
  {
    sentence: "half of a file next to the -wal of a killed server",
    of: "killed",
    hit: (path) => truncateSync(path, Math.floor(killed.file.length / 2)),
    says: /is damaged: it was truncated/,
    hint: aside,
  },
  {
    sentence: "a file truncated to fifty bytes",
    of: "stopped",
    hit: (path) => truncateSync(path, 50),
    says: /is damaged: /,
    hint: aside,
  },
  {
    sentence: "an empty file",
    of: "stopped",
    hit: (path) => truncateSync(path, 0),
    says: /is empty: it was truncated or created by another program/,
    hint: "delete the empty file",
  },
  {
    sentence: "an empty file next to a -wal with events",
    of: "killed",
    hit: (path) => truncateSync(path, 0),
    says: /is empty, but its -wal exists and holds recent events/,
    hint: "put the database file back next to the -wal",
  },
  {
    sentence: "a -wal with events but no file",
    of: "killed",
    hit: (path) => rmSync(path),
    says: /is missing, but its -wal exists and holds recent events/,
    hint: "put the database file back next to the -wal",
  },
  {
    sentence: "a text file",
    of: "stopped",
    hit: (path) => writeFileSync(path, "these are my notes\n".repeat(1_000)),
    says: /is not an SQLite database/,
    hint: "choose another file",
  },
]

/** Creates a copy of the template for a case to damage. Returns its path. */
function place(of: Case["of"]): string {
  const path = folder.file(`${crypto.randomUUID()}.db`)
  writeFileSync(path, of === "stopped" ? stopped : killed.file)
  if (of === "killed") writeFileSync(`${path}-wal`, killed.wal)
  return path
}

const bytesOf = (path: string) => (existsSync(path) ? readFileSync(path) : undefined)

function databuddy(...args: string[]): { code: number; said: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([binary, ...args], { timeout: 20_000 })
  return { code: exitCode, said: `${stdout}${stderr}` }
}

describe("a start fails with the cause and a hint, and changes neither the file nor its -wal:", () => {
  for (const { sentence, of, hit, says, hint } of cases) {
    test(sentence, () => {
      const path = place(of)
      hit(path)
      const before = [bytesOf(path), bytesOf(`${path}-wal`)]
      const { code, said } = databuddy("serve", "--port", "0", "--db", path)
      expect(said).toMatch(says)
      expect(said).toContain(`error: ${path} `)
      expect(said).toContain(hint)
      expect(code).toBe(1)
      // If there was no -wal, reading may leave an empty one.
      const wal = bytesOf(`${path}-wal`)
      expect([bytesOf(path), of === "killed" || wal?.length ? wal : undefined]).toEqual(before)
      expect(existsSync(`${path}-lock`)).toBe(false)
    })
  }
})

describe("an undamaged database is accepted:", () => {
  const whole = [
    { sentence: "the file of a stopped server", of: "stopped", events },
    { sentence: "the file and the -wal of a killed server", of: "killed", events: events + 1 },
  ] as const
  for (const { sentence, of, events } of whole) {
    test(sentence, async () => {
      const path = place(of)
      await (await startServer({ db: path })).stop()
      const db = openReader(path)
      expect(db.prepare("select count(*) from events").pluck().get()).toBe(events)
      db.close()
    })
  }

  test("an empty file of an interrupted first start", async () => {
    const path = folder.file("killed-at-first.db")
    writeFileSync(path, "")
    writeFileSync(`${path}-lock`, "")
    const server = await startServer({ db: path })
    expect(await server.stop()).toBe(0)
  })
})

describe("in a file that is too large for a full check at start", () => {
  const start = (path: string) => rejectDamaged(path, false, 0)

  test("an undamaged file is accepted, after a stop or a kill", () => {
    for (const of of ["stopped", "killed"] as const) start(place(of))
  })

  test("the sample detects a damaged range", () => {
    const path = place("stopped")
    const leaf = pages.get("event_rows") as number[]
    for (const page of leaf.slice(10, 20)) overwrite(path, (page - 1) * pageSize, Buffer.alloc(pageSize))
    expect(() => start(path)).toThrow("is damaged")
  })

  test("a truncated file is detected by its size, even next to a -wal", () => {
    for (const of of ["stopped", "killed"] as const) {
      const path = place(of)
      truncateSync(path, statSync(path).size / 2)
      expect(() => start(path)).toThrow("it was truncated")
    }
  })

  test("databuddy check detects a damaged index page that the sample misses", () => {
    const path = place("stopped")
    damageLeaf(path, "event_rows_event_key", "noise")
    start(path)
    const { code, said } = databuddy("check", "--db", path)
    expect(code).toBe(1)
    expect(said).toContain("has a problem")
  })
})

test("if a page is damaged at run time, requests that need it get 503, and others succeed", async () => {
  const path = place("stopped")
  const server = await startServer({ db: path })
  try {
    // The server has read only the ends of the index, so it has to read the pages in between from disk.
    for (const page of pages.get("event_rows_event_key") as number[]) {
      overwrite(path, (page - 1) * pageSize, Buffer.alloc(pageSize))
    }
    const client = { url: server.url, key }
    const refused = await send(client, { name: "needs the index", eventId: crypto.randomUUID() })
    expect(refused.status).toBe(503)
    expect(refused.headers.get("x-databuddy-reason")).toBe("store_failed")
    expect(refused.headers.get("retry-after")).toBe("1")
    await server.prints("database disk image is malformed")
    expect((await send(client, { name: "needs it not" })).status).toBe(200)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  } finally {
    expect(await server.stop()).toBe(0)
  }
  expect(databuddy("serve", "--port", "0", "--db", path).said).toContain("is damaged")
})

import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { gunzipSync } from "node:zlib"
import { parse as parseCsv } from "csv-parse/sync"
import { parquetReadObjects } from "hyparquet"
import { contextFields } from "../../src/store/contexts.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { createKey, type Scope } from "../../src/store/keys.ts"
import { Profiles } from "../../src/store/profiles.ts"
import { createWebsite, deleteWebsite } from "../../src/store/websites.ts"
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
import { eventRow, oddEvents } from "../support/event.ts"
import { memoryOf } from "../support/memory.ts"

const now = Date.UTC(2026, 0, 1)
const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
let folder: TemporaryFolder
let db = ""
beforeEach(() => {
  folder = temporaryFolder()
  db = folder.file("databuddy.db")
})
afterEach(() => folder[Symbol.dispose]())

/** Fills a database with the website `w`, its profile `ann`, and whatever `work` stores. */
function fill(work: (db: Db, rid: number, store: (...events: Partial<EventRow>[]) => void) => void): void {
  withDatabase(db, (db) => {
    const settings = { domain: "a.com", name: "a", allowedOrigins: ["b.com"], anonymize: "off" as const }
    const { rid } = createWebsite(db, "w", settings, now)
    const dailyHash = new DailyHash(db, random)
    const inserter = new EventInserter(db, dailyHash)
    const identity = { websiteRid: rid, profileId: "ann", hashVisitor: false, traits: { plan: "pro" } }
    new Profiles(db, dailyHash).identify({ ...identity, anonymousId: "laptop" }, now)
    work(db, rid, (...events) =>
      inserter.insert(
        events.map((changes) => eventRow({ websiteRid: rid, ts: now, receivedAt: now + 5, ...changes })),
      ),
    )
  })
}

function start(...args: string[]) {
  return Bun.spawn([binary, "export", ...args], {
    cwd: folder.path,
    env: environment(),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
}

/** Runs an export that must succeed. Returns its output. */
async function exported(...args: string[]): Promise<Buffer<ArrayBuffer>> {
  const child = start(...args)
  const [out, err, code] = await Promise.all([child.stdout.bytes(), child.stderr.text(), child.exited])
  expect({ code, err }).toEqual({ code: 0, err: "" })
  return Buffer.from(out)
}

type Line = Record<string, unknown>

function linesOf(text: string | Buffer): Line[] {
  return text
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line)
}

function eventsIn(text: string | Buffer): Line[] {
  return linesOf(text).filter(({ type }) => type === "event")
}

/** Returns the rows of the view `events`. */
function viewOf(path: string): Line[] {
  const reader = openReader(path)
  try {
    return reader.prepare("select * from events order by id").all() as Line[]
  } finally {
    reader.close()
  }
}

const website = {
  type: "website",
  id: "w",
  domain: "a.com",
  name: "a",
  allowed_origins: ["b.com"],
  anonymize: "off",
  retain_ms: null,
  page_identify: true,
  created_at: now,
  paused_at: null,
}
const profile = {
  type: "profile",
  website_id: "w",
  profile_id: "ann",
  created_at: now,
  updated_at: now,
  traits: { plan: "pro" },
}
const link = { type: "link", website_id: "w", anonymous_id: "laptop", profile_id: "ann", linked_at: now }
const event = {
  type: "event",
  website_id: "w",
  name: "bought",
  namespace: null,
  source: null,
  timestamp: now,
  received_at: now + 5,
  anonymous_id: null,
  session_id: null,
  profile_id: null,
  path: null,
  event_id: null,
  credential: "key",
  crawler: false,
  properties: { plan: "pro" },
}

describe("what is exported", () => {
  test("websites, profiles and links come before the events, and the last line counts them", async () => {
    fill((_, __, store) => store({}, { websiteRid: 0, crawler: 1, viaKey: 0, namespace: "n" }))
    expect(linesOf(await exported())).toEqual([
      { type: "databuddy-export", version: 1 },
      website,
      profile,
      link,
      { ...event, id: 1 },
      { ...event, id: 2, website_id: null, crawler: true, credential: "website_id", namespace: "n" },
      { type: "end", websites: 1, profiles: 1, links: 1, events: 2 },
    ])
  })

  test("every event has exactly the fields of the events view", async () => {
    fill((_, rid, store) => store(...oddEvents({ websiteRid: rid })))
    const view = viewOf(db)
    const lines = (await exported())
      .toString()
      .split("\n")
      .filter((line) => line.startsWith('{"type":"event"'))
    expect(lines.length).toBe(view.length)
    lines.forEach((line, index) => {
      const { type: _, properties, crawler, ...fields } = JSON.parse(line) as Line
      const { time: __, properties: text, ...columns } = view[index] as Line
      for (const field of contextFields) if (columns[field] === null) delete columns[field]
      if (columns.kind === "custom") delete columns.kind
      expect<Line>({ ...fields, crawler: crawler ? 1 : 0 }).toEqual(columns)
      expect(properties).toEqual(JSON.parse(String(text)))
      // This also checks the order of the keys.
      expect(line).toEndWith(`,"properties":${JSON.stringify(properties)}}`)
    })
  })

  test("CSV has no formulas, and its cells without apostrophes equal the stored values", async () => {
    fill((_, rid, store) => store(...oddEvents({ websiteRid: rid })))
    const out = await exported("--format", "csv")
    const rows = parseCsv(out, { columns: true }) as Record<string, string>[]
    const text = (value: unknown) => (value === null ? "" : String(value))
    const bare = (cell: string) => cell.replace(/^'/, "")
    const view = viewOf(db)
    expect(rows.length).toBe(view.length)
    rows.forEach((row, index) => {
      for (const cell of Object.values(row)) expect(cell).not.toMatch(/^[\s]*[=+\-@＝＋－＠]|^[\t\r\n]/)
      const { properties, ...columns } = view[index] as Line
      const expected: Line = { ...columns, crawler: columns.crawler === 1 }
      const { properties: cell = "", ...cells } = row
      expect(Object.entries(cells).map(([name, value]) => [name, bare(value)])).toEqual(
        Object.entries(expected).map(([name, value]) => [name, text(value)]),
      )
      expect(cell && JSON.parse(cell)).toEqual(properties === null ? "" : JSON.parse(String(properties)))
    })
  })

  test("a Parquet file of several row groups is read back with its types", async () => {
    const count = 20_500
    fill((_, rid, store) => {
      store(...oddEvents({ websiteRid: rid, receivedAt: now }))
      for (let n = 0; n < count; n++) store({ ts: now + n, anonymousId: `v${n % 7}` })
    })
    const bytes = await exported("--format", "parquet")
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
    const rows = await parquetReadObjects({ file })
    const view = viewOf(db)
    expect(rows.length).toBe(view.length)
    for (let index = 0; index < rows.length; index += index < 50 ? 1 : 997) {
      const { time: _, properties, ...columns } = view[index] as Line
      const { properties: text, ...row } = rows[index] as Line
      expect(row).toEqual({
        ...columns,
        id: BigInt(columns.id as number),
        timestamp: new Date(columns.timestamp as number),
        received_at: new Date(columns.received_at as number),
        crawler: columns.crawler === 1,
      })
      expect(text ? JSON.parse(String(text)) : null).toEqual(
        properties ? JSON.parse(String(properties)) : null,
      )
    }
  })

  test("an empty database can be exported in every format", async () => {
    withDatabase(db, () => {})
    const end = { type: "end", websites: 0, profiles: 0, links: 0, events: 0 }
    expect(linesOf(await exported()).at(-1)).toEqual(end)
    expect(parseCsv(await exported("--format", "csv"), { columns: true })).toEqual([])
    const { buffer } = new Uint8Array(await exported("--format", "parquet"))
    expect(await parquetReadObjects({ file: buffer })).toEqual([])
  })
})

describe("a selection", () => {
  const choices: [string, string[], string[]][] = [
    ["--from is included, --to is not", ["--from", "2026-01-02", "--to", "2026-01-03"], ["w2", "v2", "own"]],
    ["a time with an offset", ["--from", "2026-01-03T01:00:00+01:00"], ["w3"]],
    ["Unix ms", ["--to", String(now + 1)], ["w1"]],
    ["one website", ["--website", "v"], ["v2"]],
    ["one website and a range", ["--website", "w", "--from", "2026-01-02"], ["w2", "w3"]],
    ["no options", [], ["w1", "w2", "v2", "own", "w3"]],
  ]
  const day = 86_400_000
  const fillChoices = () =>
    fill((db, _, store) => {
      const settings = { domain: "v.com", name: "v", allowedOrigins: [], anonymize: "off" as const }
      const { rid } = createWebsite(db, "v", settings, now)
      const gone = createWebsite(db, "gone", settings, now)
      store({ name: "w1" }, { name: "w2", ts: now + day }, { name: "v2", ts: now + day, websiteRid: rid })
      store({ name: "own", ts: now + 2 * day - 1, websiteRid: 0 }, { name: "w3", ts: now + 2 * day })
      store({ name: "deleted", websiteRid: gone.rid })
      deleteWebsite(db, "gone", now)
    })

  test.each(choices)("%s", async (_, args, names) => {
    fillChoices()
    expect(eventsIn(await exported(...args)).map(({ name }) => name)).toEqual(names)
  })

  test("a range of many events, which are found in another way, is complete", async () => {
    fill((_, __, store) => {
      for (let n = 0; n < 1_020; n++) {
        const some = Array.from({ length: 100 }, (_, i) => ({
          ts: now + ((n * 100 + i) % 101_000),
          websiteRid: n % 2,
        }))
        store(...some.map((one) => ({ ...one, properties: null, keys: "" })))
      }
    })
    const ids = (lines: Line[]) => lines.map(({ id }) => id as number)
    const from = now + 500
    const expected = viewOf(db).filter((row) => (row.timestamp as number) >= from)
    expect(expected.length).toBeGreaterThan(100_000)
    const out = (await exported("--from", String(from))).toString()
    expect([...out.matchAll(/^{"type":"event","id":(\d+)/gm)].map(([, id]) => Number(id))).toEqual(
      ids(expected),
    )
  })
})

/** Stores events of the profile `ann`, of her laptop, and of others. */
const fillPerson = () =>
  fill((_, __, store) => {
    store(
      { profileId: "ann", ts: now + 1, path: "/x\n" },
      { anonymousId: "laptop", keys: "", properties: null },
      { anonymousId: "laptop", profileId: "bob" },
      { profileId: "ann", websiteRid: 0 },
    )
  })

test("a profile is exported with its links and its own events", async () => {
  fillPerson()
  expect(linesOf(await exported("--website", "w", "--profile-id", "ann"))).toEqual([
    { type: "databuddy-export", version: 1 },
    profile,
    link,
    { ...event, id: 1, timestamp: now + 1, profile_id: "ann", path: "/x\n" },
    { ...event, id: 2, anonymous_id: "laptop", properties: null },
    { type: "end", websites: 0, profiles: 1, links: 1, events: 2 },
  ])
})

test("a visitor is exported with its links and all its events, but without a profile", async () => {
  fillPerson()
  expect(linesOf(await exported("--website", "w", "--anonymous-id", "laptop"))).toEqual([
    { type: "databuddy-export", version: 1 },
    link,
    { ...event, id: 2, anonymous_id: "laptop", properties: null },
    { ...event, id: 3, anonymous_id: "laptop", profile_id: "bob" },
    { type: "end", websites: 0, profiles: 0, links: 1, events: 2 },
  ])
})

test("a visitor whose id is stored as a hash is found on the same day", async () => {
  const today = Date.now()
  fill((db, rid, store) => {
    const dailyHash = new DailyHash(db, random)
    new EventInserter(db, dailyHash).insert(
      [today, today - 86_400_000].map((receivedAt) =>
        eventRow({ websiteRid: rid, ts: now, receivedAt, anonymousId: "phone", hashVisitor: true }),
      ),
    )
    store({ anonymousId: "laptop" })
  })
  expect(eventsIn(await exported("--website", "w", "--anonymous-id", "phone")).map(({ id }) => id)).toEqual([
    1,
  ])
})

test("an export of a person has as many records as `forget` would delete", async () => {
  fillPerson()
  for (const person of [
    ["--profile-id", "ann"],
    ["--anonymous-id", "laptop"],
    ["--profile-id", "nobody"],
  ]) {
    const {
      type: _,
      websites: __,
      ...counts
    } = linesOf(await exported("--website", "w", ...person)).at(-1) as Line
    const forget = Bun.spawnSync([binary, "forget", "--website", "w", ...person, "--db", db], {
      env: environment(),
    })
    const [, ...found] =
      /delete (\d+) events?, (\d+) profiles? and (\d+) links?/.exec(forget.stderr.toString()) ?? []
    expect(found.map(Number)).toEqual([counts.events, counts.profiles, counts.links] as number[])
  }
})

describe("the destination", () => {
  test("--gzip compresses the export", async () => {
    fill((_, rid, store) => store(...oddEvents({ websiteRid: rid })))
    expect(gunzipSync(await exported("--gzip"))).toEqual(await exported())
  })

  test("--out writes a file that only its owner can read, and replaces one only with --force", async () => {
    fill((_, __, store) => store({}))
    const out = folder.file("e.ndjson")
    writeFileSync(out, "before")
    const refused = start("--out", "e.ndjson")
    expect([await refused.exited, await refused.stderr.text()]).toEqual([
      1,
      expect.stringContaining("exists"),
    ])
    expect(readFileSync(out, "utf8")).toBe("before")
    expect((await exported("--out", "e.ndjson", "--force")).length).toBe(0)
    expect(readFileSync(out, "utf8")).toBe((await exported()).toString())
    expect(readdirSync(folder.path).sort()).toEqual(["databuddy.db", "e.ndjson"])
  })

  test("the database is not overwritten", async () => {
    fill((_, __, store) => store({}))
    const child = start("--out", "databuddy.db", "--force")
    expect([await child.exited, await child.stderr.text()]).toEqual([1, expect.stringContaining("itself")])
    expect(viewOf(db).length).toBe(1)
  })
})

test("while the reader pauses, memory stays bounded, and nothing is lost", async () => {
  const count = 12_000
  const properties = JSON.stringify("x".repeat(20_000))
  fill((_, __, store) => {
    for (let n = 0; n < count; n++) store({ ts: now + n, properties })
  })
  // Uses a pipe of the shell, because Bun would read everything from its own pipe, even if nothing asked for it.
  const shell = Bun.spawn(
    ["sh", "-c", '"$0" export | { head -c 1000 > first; sleep 2; cat > rest; }', binary],
    { cwd: folder.path, env: environment() },
  )
  await eventually(() => existsSync(folder.file("first")))
  await Bun.sleep(1_500)
  expect(residentOf("export", shell.pid)).toBeLessThan(245)
  expect(await shell.exited).toBe(0)
  const read = readFileSync(folder.file("first"), "latin1") + readFileSync(folder.file("rest"), "latin1")
  expect(read.split("\n").length - 1).toBe(count + 5)
}, 60_000)

/** Returns the resident memory, in MiB, of the child of `parent` that has `word` in its command line. */
function residentOf(word: string, parent: number): number {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").trim().split(" ")
  const pid = children.find((one) => readFileSync(`/proc/${one}/cmdline`, "utf8").includes(`\0${word}\0`))
  return memoryOf({ pid: Number(pid) }).now
}

test("a reader that closes the pipe ends the export", async () => {
  fill((_, __, store) => {
    for (let n = 0; n < 2_000; n++) store({ properties: JSON.stringify("x".repeat(5_000)) })
  })
  const child = start()
  const reader = child.stdout.getReader()
  await reader.read()
  await reader.cancel()
  await eventually(() => child.exitCode !== null || child.signalCode !== null)
})

describe("errors are reported:", () => {
  const mistakes: [string, string[], number, string][] = [
    ["an unknown website", ["--website", "none"], 1, "no website has the ID none"],
    ["an invalid date", ["--from", "yesterday"], 1, "--from must be a date"],
    [
      "an empty range",
      ["--from", "2026-01-02", "--to", "2026-01-02"],
      1,
      "--to must be later than the start of the range",
    ],
    ["a profile without a website", ["--profile-id", "ann"], 2, "--profile-id requires --website"],
    ["a profile and a range", ["--website", "w", "--profile-id", "ann", "--to", "1"], 2, "--from and --to"],
    ["a visitor without a website", ["--anonymous-id", "a"], 2, "--anonymous-id requires --website"],
    [
      "a profile and a visitor",
      ["--website", "w", "--profile-id", "ann", "--anonymous-id", "a"],
      2,
      "either --profile-id or --anonymous-id",
    ],
    [
      "an id that is too long",
      ["--website", "w", "--profile-id", "x".repeat(257)],
      1,
      "--profile-id must be",
    ],
    ["an unknown format", ["--format", "xml"], 2, "ndjson, csv, parquet"],
    ["a missing folder", ["--out", "none/x"], 1, "cannot be written (ENOENT)"],
  ]
  test.each(mistakes)("%s", async (_, args, code, message) => {
    fill(() => {})
    const child = start(...args)
    const [out, err, ended] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
    expect([ended, out, err]).toEqual([code, "", expect.stringContaining(message)])
  })
})

describe("GET /v1/export", () => {
  const keys: Record<string, string> = {}
  let server: Server | undefined
  afterEach(async () => {
    await server?.stop()
    server = undefined
  })

  async function serve(): Promise<void> {
    withDatabase(db, (db) => {
      const add = (name: string, scopes: Scope[], websites: string[] | null) => {
        const grant = { name, scopes, websites, rateLimit: null, expiresAt: null }
        keys[name] = createKey(db, name, grant, random, Date.now()).secret
      }
      add("all", ["read:data"], null)
      add("limited", ["read:data"], ["w"])
      add("other", ["read:data"], null)
      add("sender", ["track:events"], null)
    })
    server = await startServer({ db })
  }

  function get(query = "", key = "all", init: RequestInit & { encoding?: string } = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${keys[key]}`, "accept-encoding": init.encoding ?? "identity" }
    return fetch(`${server?.url}/v1/export${query}`, { ...init, headers })
  }

  test("returns what the command line prints, in each format and compressed", async () => {
    fill((_, rid, store) => {
      store(...oddEvents({ websiteRid: rid }), { websiteRid: 0 })
      for (let n = 0; n < 1_500; n++) store({ ts: now + n })
    })
    await serve()
    const cases: [string, string[]][] = [
      ["", []],
      ["?website_id=w", ["--website", "w"]],
      [`?from=${now + 10}&to=2026-01-02`, ["--from", String(now + 10), "--to", "2026-01-02"]],
      ["?format=csv", ["--format", "csv"]],
    ]
    for (const [query, args] of cases) {
      const expected = (await exported(...args)).toString()
      expect(await (await get(query)).text()).toBe(expected)
      const zipped = await get(query, "all", { encoding: "gzip" })
      expect(zipped.headers.get("content-encoding")).toBe("gzip")
      expect(await zipped.text()).toBe(expected)
    }
    const parquet = await get("?format=parquet")
    expect(parquet.headers.get("content-type")).toBe("application/vnd.apache.parquet")
    expect((await parquetReadObjects({ file: await parquet.arrayBuffer() })).length).toBe(viewOf(db).length)
  })

  test("returns the data of one person", async () => {
    fillPerson()
    await serve()
    const cases: [string, string[]][] = [
      ["?website_id=w&profile_id=ann", ["--profile-id", "ann"]],
      ["?website_id=w&anonymous_id=laptop", ["--anonymous-id", "laptop"]],
      ["?website_id=w&anonymous_id=laptop&format=csv", ["--anonymous-id", "laptop", "--format", "csv"]],
      ["?website_id=w&profile_id=nobody", ["--profile-id", "nobody"]],
    ]
    for (const [query, args] of cases) {
      const expected = (await exported("--website", "w", ...args)).toString()
      expect(await (await get(query, "limited")).text()).toBe(expected)
    }
  })

  test("returns only a limited key's websites, without events that have no website", async () => {
    fill((db, _, store) => {
      const settings = { domain: "v.com", name: "v", allowedOrigins: [], anonymize: "off" as const }
      const { rid } = createWebsite(db, "v", settings, now)
      new Profiles(db, new DailyHash(db, random)).identify(
        { websiteRid: rid, profileId: "eve", anonymousId: "x", hashVisitor: false, traits: {} },
        now,
      )
      store({ name: "w1" }, { name: "v1", websiteRid: rid }, { name: "own", websiteRid: 0 })
    })
    await serve()
    const lines = linesOf(await (await get("", "limited")).text())
    expect(lines.filter(({ type }) => type === "event").map(({ name }) => name)).toEqual(["w1"])
    expect(JSON.stringify(lines)).not.toMatch(/"v"|"eve"/)
    expect(lines.at(-1)).toEqual({ type: "end", websites: 1, profiles: 1, links: 1, events: 1 })
  })

  test("never contains a key", async () => {
    fill((_, __, store) => store({}))
    await serve()
    expect(await (await get()).text()).not.toMatch(/dbdy_|hash|salt/)
  })

  const rejections: [string, string, string, number, string][] = [
    ["a key without the scope", "", "sender", 403, "scope_missing"],
    ["no key", "", "none", 401, "key_malformed"],
    ["a website that the key is not for", "?website_id=v", "limited", 403, "key_website_mismatch"],
    ["an unknown website", "?website_id=v", "all", 404, "website_unknown"],
    ["an unknown format", "?format=xml", "all", 400, "invalid_shape"],
    ["an invalid time", "?from=soon", "all", 400, "invalid_shape"],
    ["an unknown parameter", "?until=1", "all", 400, "invalid_shape"],
    ["a person without a website", "?profile_id=ann", "all", 400, "invalid_shape"],
    ["two persons", "?website_id=w&profile_id=ann&anonymous_id=a", "all", 400, "invalid_shape"],
    ["a person and a range", "?website_id=w&anonymous_id=a&from=1", "all", 400, "invalid_shape"],
    ["a person without an id", "?website_id=w&anonymous_id=", "all", 400, "invalid_shape"],
    ["a person of another website", "?website_id=v&profile_id=ann", "limited", 403, "key_website_mismatch"],
  ]
  test("rejects invalid requests", async () => {
    fill(() => {})
    await serve()
    for (const [_, query, key, status, reason] of rejections) {
      const answer = await get(query, key)
      expect([query, answer.status, answer.headers.get("x-databuddy-reason")]).toEqual([
        query,
        status,
        reason,
      ])
    }
  })

  describe("to clients that read nothing", () => {
    const properties = JSON.stringify("x".repeat(20_000))
    const count = 8_000
    /** Receives the start of an export and then stops reading. `fetch` would read ahead until the export ends. */
    async function stall(key: string): Promise<Socket> {
      const socket = connect((server as Server).port, "127.0.0.1")
      socket.write(`GET /v1/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${keys[key]}\r\n\r\n`)
      await new Promise((resolve) => socket.once("data", resolve))
      socket.pause()
      return socket
    }

    test("only a few are served at a time, and memory stays bounded", async () => {
      fill((_, __, store) => {
        for (let n = 0; n < count; n++) store({ ts: now + n, properties })
      })
      await serve()
      const clients = [await stall("all"), await stall("all")]
      // One key can use at most half of the slots.
      expect((await get()).status).toBe(429)
      clients.push(await stall("limited"), await stall("other"))
      // This is longer than the server needs for a complete export.
      await Bun.sleep(1_000)
      const refused = await get("", "other")
      expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "10"])
      expect(memoryOf(server as Server).peak).toBeLessThan(390)
      // The slots are free again once the clients have disconnected.
      for (const client of clients) client.destroy()
      const again = await eventually<Response | undefined>(async () => {
        const answer = await get("?website_id=w&to=2026-01-01T00:00:00.001Z")
        return answer.status === 200 ? answer : undefined
      })
      expect(eventsIn((await again?.text()) ?? "").length).toBe(1)
    }, 60_000)
  })
})

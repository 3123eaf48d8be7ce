import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { gzipSync } from "node:zlib"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { Profiles } from "../../src/store/profiles.ts"
import { createWebsite, pauseWebsite } from "../../src/store/websites.ts"
import {
  eventually,
  openReader,
  startServer,
  type TemporaryFolder,
  temporaryFolder,
  withDatabase,
} from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"
import { eventRow, oddEvents } from "../support/event.ts"

const now = Date.UTC(2026, 0, 1)
let folder: TemporaryFolder
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => folder[Symbol.dispose]())

function spawn(...args: string[]) {
  return Bun.spawn([binary, ...args], {
    cwd: folder.path,
    env: environment(),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
}

async function run(...args: string[]) {
  const child = spawn(...args)
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { out, err, code }
}

async function exported(db: string): Promise<string> {
  const { out, err, code } = await run("export", "--db", db)
  expect({ err, code }).toEqual({ err: "", code: 0 })
  return out
}

/** Imports a file. Returns the report. */
async function imported(file: string, db: string, expected = 0) {
  const { out, err, code } = await run("import", file, "--db", db, "--json")
  expect([code, err]).toEqual([expected, expected === 0 ? "" : expect.stringContaining("error: ")])
  return JSON.parse(out)
}

/** Opens a database for `work`, with a function that stores events in it. */
function fill(db: string, work: (db: Db, store: (events: Partial<EventRow>[]) => void) => void): void {
  withDatabase(folder.file(db), (db) => {
    const inserter = new EventInserter(db, dailyHash(db))
    work(db, (events) =>
      inserter.insert(events.map((changes) => eventRow({ ts: now, receivedAt: now, ...changes }))),
    )
  })
}

const dailyHash = (db: Db) => new DailyHash(db, (bytes) => crypto.getRandomValues(bytes))

/** Fills a database with everything that can be stored, both odd and ordinary. */
function fillWithAll(db: string, plain = 1_000): void {
  fill(db, (db, store) => {
    const settings = { domain: "a.com", name: "Ä 🎉", allowedOrigins: ["b.com"], anonymize: "daily" as const }
    const one = createWebsite(db, "w", { ...settings, retain: 90 * 86_400_000 }, now - 5)
    const two = createWebsite(db, "550e8400-e29b-41d4-a716-446655440000", { ...settings, retain: 0 }, now - 9)
    pauseWebsite(db, "w", true, now + 7)
    const profiles = new Profiles(db, dailyHash(db))
    for (const { rid } of [one, two]) {
      for (const id of ["ann", "bob ' \" \n", "=1"]) {
        const traits = { email: "A@b.c", name: id, n: 1.5, yes: true, 2: "two", 1: "one", "": "x" }
        const identity = { websiteRid: rid, profileId: id, hashVisitor: rid === 1, traits }
        profiles.identify({ ...identity, anonymousId: `${id}-1`, isClaim: id === "=1" }, now)
        profiles.identify({ ...identity, anonymousId: null, traits: { n: 2 } }, now + 50)
      }
    }
    for (const websiteRid of [one.rid, two.rid, 0]) store(oddEvents({ websiteRid }))
    store(
      Array.from({ length: plain }, (_, n) => ({
        websiteRid: n % 3,
        ts: now + (n % 700),
        anonymousId: `v${n % 9}`,
      })),
    )
    // Gaps, as retention leaves them.
    db.exec("delete from event_rows where id in (1, 5, 6, 77)")
  })
}

test("an export is restored with the same ids, and exporting it again returns the same bytes", async () => {
  fillWithAll("a.db")
  const first = await exported("a.db")
  writeFileSync(folder.file("a.ndjson"), first)
  const report = await imported("a.ndjson", "b.db")
  const lines = (type: string) =>
    first.split("\n").filter((line) => line.startsWith(`{"type":"${type}"`)).length
  expect(report).toMatchObject({
    websites: { added: 2, present: 0 },
    profiles: { added: 6, present: 0 },
    links: { added: 6, present: 0 },
    events: { added: lines("event"), present: 0, renumbered: 0 },
    refused: { total: 0, reasons: {}, first: [] },
    incomplete: null,
  })
  expect(await exported("b.db")).toBe(first)
  const view = (db: string) => {
    const reader = openReader(folder.file(db))
    const rows = reader.prepare("select * from events order by id").all()
    reader.close()
    return rows
  }
  expect(view("b.db")).toEqual(view("a.db"))
  expect((await run("check", "--db", "b.db")).code).toBe(0)
}, 30_000)

test("a second import adds nothing, whether the file is compressed or not", async () => {
  fillWithAll("a.db")
  const first = await exported("a.db")
  writeFileSync(folder.file("a.ndjson.gz"), gzipSync(first))
  writeFileSync(folder.file("a.ndjson"), first)
  const { events } = await imported("a.ndjson.gz", "b.db")
  for (const file of ["a.ndjson", "a.ndjson.gz"]) {
    for (const db of ["b.db", "a.db"]) {
      const report = await imported(file, db)
      for (const kind of ["websites", "profiles", "links", "events"]) expect(report[kind].added).toBe(0)
      expect(report.events.present).toBe(events.added)
    }
  }
  expect(await exported("b.db")).toBe(first)
}, 30_000)

test("if an import is killed halfway, the next run completes it with the same ids", async () => {
  fillWithAll("a.db", 60_000)
  const first = await exported("a.db")
  writeFileSync(folder.file("a.ndjson"), first)
  const child = spawn("import", "a.ndjson", "--db", "b.db")
  const stored = () => {
    try {
      const reader = openReader(folder.file("b.db"))
      const count = reader.prepare("select count(*) from event_rows").pluck().get() as number
      reader.close()
      return count
    } catch {
      return 0 // the table does not exist yet
    }
  }
  await eventually(() => existsSync(folder.file("b.db")) && stored() > 5_000)
  child.kill("SIGKILL")
  await child.exited
  const there = stored()
  expect(there).toBeLessThan(60_000)
  const report = await imported("a.ndjson", "b.db")
  expect(report.events).toMatchObject({ present: there, renumbered: 0 })
  expect(await exported("b.db")).toBe(first)
}, 60_000)

describe("into a database with other events", () => {
  const same = { keys: "", properties: null }
  const namesIn = async (db: string) => {
    const lines = (await exported(db))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
    return lines.filter(({ type }) => type === "event").map(({ id, name }) => [id, name])
  }

  test("ids above all existing ones are kept, and others get the next ones, in the same order", async () => {
    fill("a.db", (db, store) => {
      store([{ name: "a1" }, { name: "a2" }, { name: "a3" }, { name: "a4" }])
      db.exec("update event_rows set id = 9 where id = 4")
    })
    fill("b.db", (_, store) => store([{ name: "b1" }, { name: "b2" }]))
    writeFileSync(folder.file("a.ndjson"), await exported("a.db"))
    expect((await imported("a.ndjson", "b.db")).events).toEqual({ added: 4, present: 0, renumbered: 3 })
    const after = [
      [1, "b1"],
      [2, "b2"],
      [3, "a1"],
      [4, "a2"],
      [5, "a3"],
      [9, "a4"],
    ]
    expect(await namesIn("b.db")).toEqual(after)
    expect((await imported("a.ndjson", "b.db")).events).toEqual({ added: 0, present: 4, renumbered: 0 })
    expect(await namesIn("b.db")).toEqual(after)
  })

  const counts: [string, number, number, number][] = [
    ["twice in the file and not in the database is stored twice", 2, 0, 2],
    ["twice in the file and once in the database is stored twice", 2, 1, 2],
    ["once in the file and twice in the database is stored twice", 1, 2, 2],
    ["three times in both is stored three times", 3, 3, 3],
  ]
  test.each(counts)("an event that is %s", async (_, inFile, here, after) => {
    const times = (count: number) => Array.from({ length: count }, () => same)
    fill("a.db", (_, store) => store([...times(inFile), { name: "other" }]))
    fill("b.db", (_, store) =>
      store([{ name: "first", ts: now - 1 }, ...times(here), { name: "last", ts: now + 1 }]),
    )
    writeFileSync(folder.file("a.ndjson"), await exported("a.db"))
    for (const added of [after - here + 1, 0]) {
      expect((await imported("a.ndjson", "b.db")).events.added).toBe(added)
      expect((await namesIn("b.db")).filter(([, name]) => name === "bought").length).toBe(after)
    }
  })

  const differences: [string, Partial<EventRow>][] = [
    ["name", { name: "x" }],
    ["namespace", { namespace: "x" }],
    ["source", { source: "x" }],
    ["time of receipt", { receivedAt: now + 1 }],
    ["anonymous id", { anonymousId: "x" }],
    ["session", { sessionId: "x" }],
    ["profile", { profileId: "x" }],
    ["path", { path: "x" }],
    ["event id", { eventId: "x" }],
    ["credential", { viaKey: 0 }],
    ["crawler", { crawler: 1 }],
    ["a property", { properties: '"x"' }],
    ["the order of properties", { keys: '["b","a"]', properties: "1,2" }],
    ["no properties", { keys: "", properties: null }],
    ["empty properties", { keys: "[]", properties: "" }],
  ]
  test("events that differ in any field are different events", async () => {
    fill("a.db", (_, store) => store([{}, { keys: '["a","b"]', properties: "2,1" }]))
    fill("b.db", (_, store) => store(differences.map(([, changes]) => changes)))
    writeFileSync(folder.file("b.ndjson"), await exported("b.db"))
    expect((await imported("b.ndjson", "a.db")).events).toMatchObject({
      added: differences.length,
      present: 0,
    })
    expect((await imported("b.ndjson", "a.db")).events).toMatchObject({
      added: 0,
      present: differences.length,
    })
  })

  test("the newer version of a profile wins, and an existing website is unchanged", async () => {
    const tell = (db: string, name: string, at: number) =>
      fill(db, (db) => {
        const settings = { domain: `${name}.com`, name, allowedOrigins: [], anonymize: "off" as const }
        const { rid } = createWebsite(db, "w", settings, at)
        const identity = { websiteRid: rid, profileId: "p", anonymousId: null, hashVisitor: false }
        new Profiles(db, dailyHash(db)).identify({ ...identity, traits: { name } }, at)
      })
    tell("early.db", "early", now)
    tell("late.db", "late", now + 1)
    for (const [from, to] of [
      ["early", "late"],
      ["late", "early"],
    ] as const) {
      writeFileSync(folder.file("x.ndjson"), await exported(`${from}.db`))
      await imported("x.ndjson", `${to}.db`)
      const out = await exported(`${to}.db`)
      expect(out).toContain(`"domain":"${to}.com"`)
      expect(out).toContain('"traits":{"name":"late"}')
      const reader = openReader(folder.file(`${to}.db`))
      expect(reader.prepare("select name from profiles").pluck().all()).toEqual(["late"])
      reader.close()
    }
  })
})

test("a server stores events during an import, and sees the imported data immediately", async () => {
  fillWithAll("a.db", 3_000)
  const first = await exported("a.db")
  writeFileSync(folder.file("a.ndjson"), first)
  const server = await startServer({ db: folder.file("b.db") })
  try {
    const importing = imported("a.ndjson", "b.db")
    let done = false
    void importing.finally(() => (done = true))
    let sent = 0
    do {
      const answer = await fetch(`${server.url}/track`, {
        method: "POST",
        headers: { authorization: `Bearer ${server.key}`, "content-type": "application/json" },
        body: JSON.stringify({ name: "meanwhile" }),
      })
      expect(answer.status).toBe(200)
      sent++
      await Bun.sleep(5)
    } while (!done)
    const { events } = await importing
    const again = await imported("a.ndjson", "b.db")
    expect(again.events).toMatchObject({ added: 0, present: events.added })
    const reader = openReader(server.db)
    const count = (where: string) =>
      reader.prepare(`select count(*) from events where ${where}`).pluck().get()
    expect(count("name = 'meanwhile'")).toBe(sent)
    expect(count("name <> 'meanwhile'")).toBe(events.added)
    reader.close()
    const page = { name: "x", websiteId: "550e8400-e29b-41d4-a716-446655440000" }
    await eventually(async () => {
      const headers = { origin: "https://a.com" }
      return (await fetch(`${server.url}/track`, { method: "POST", headers, body: JSON.stringify(page) })).ok
    })
  } finally {
    await server.stop()
  }
}, 60_000)

test("a website keeps an id that only earlier versions allowed", async () => {
  const website = {
    type: "website",
    id: "..",
    domain: "a.com",
    name: "a",
    allowed_origins: [],
    anonymize: "off",
    retain_ms: null,
    created_at: now,
    paused_at: null,
  }
  const event = { type: "event", website_id: "..", name: "old", timestamp: Date.now() }
  writeFileSync(folder.file("x.ndjson"), `${JSON.stringify(website)}\n${JSON.stringify(event)}\n`)
  const report = await imported("x.ndjson", "b.db")
  expect([report.websites.added, report.events.added]).toEqual([1, 1])
})

test("a byte order mark is ignored at the start of a file and of a file appended to it", async () => {
  const line = (name: string) =>
    `\ufeff${JSON.stringify({ type: "event", website_id: null, name, timestamp: now })}\n`
  writeFileSync(folder.file("x.ndjson"), line("a") + line("b"))
  expect(await imported("x.ndjson", "a.db")).toMatchObject({ events: { added: 2 }, refused: { total: 0 } })
  // Ids have gaps where events were deleted, so a rebuild must not derive the number of events from the ids.
  withDatabase(folder.file("a.db"), (db) => db.exec("update event_rows set id = id + 100 where id = 2"))
  const { out } = await run("rebuild", "--db", "a.db", "--json")
  expect(JSON.parse(out).events).toBe(2)
})

test("blank lines of every kind are skipped, and an event without an id is not counted as renumbered", async () => {
  const line = JSON.stringify({ type: "event", website_id: null, name: "a", timestamp: now })
  const rejected = "{}"
  const text = `\n\r\n\ufeff\r\n${line}\r\n\r\n \t\n${rejected}\n\u00a0\n\r\n  `
  for (const [name, bytes] of [
    ["plain", Buffer.from(text)],
    ["gzip", gzipSync(text)],
  ] as const) {
    writeFileSync(folder.file("x.ndjson"), bytes)
    expect(await imported("x.ndjson", `${name}.db`, 1)).toMatchObject({
      lines: 2,
      events: { added: 1, renumbered: 0 },
      refused: { total: 1, first: [{ line: 7 }] },
    })
    expect((await run("rebuild", "--db", `${name}.db`)).out).toStartWith(
      "rebuilt the column blocks of 1 event in ",
    )
  }
})

describe("a line that cannot be imported", () => {
  const event = { type: "event", id: 1, website_id: null, name: "a", timestamp: now }
  const line = (changes: object = {}) => JSON.stringify({ ...event, ...changes })
  const profile = (changes: object) =>
    JSON.stringify({
      type: "profile",
      website_id: "w",
      profile_id: "p",
      created_at: now,
      updated_at: now,
      traits: {},
      ...changes,
    })
  const link = (changes: object) =>
    JSON.stringify({
      type: "link",
      website_id: "w",
      anonymous_id: "a",
      profile_id: "p",
      linked_at: now,
      ...changes,
    })
  const numbered = (count: number) => Array.from({ length: count }, (_, index) => [`t${index}`, index])
  const rejections: [string, string, string][] = [
    ["invalid JSON", "{", "not_json"],
    ["half a line", line().slice(0, 20), "not_json"],
    ["a JSON string", '"event"', "not_json"],
    ["an unknown type", '{"type":"key"}', "unknown_type"],
    ["no type", "{}", "unknown_type"],
    ["an unknown website", line({ website_id: "nobody" }), "website_unknown"],
    ["no name", line({ name: "" }), "invalid"],
    ["a name that is too long", line({ name: "x".repeat(257) }), "invalid"],
    ["no time", line({ timestamp: "yesterday" }), "invalid"],
    ["a time too far in the future", line({ timestamp: 1e15 }), "invalid"],
    ["a time in seconds", line({ timestamp: now / 1_000 }), "invalid"],
    ["a time before 2000", line({ timestamp: Date.UTC(2000, 0, 1) - 1 }), "invalid"],
    ["a time with a fraction", line({ timestamp: now + 0.5 }), "invalid"],
    ["a time of receipt in seconds", line({ received_at: now / 1_000 }), "invalid"],
    [
      "a time more than an hour after its receipt",
      line({ timestamp: now + 3_600_001, received_at: now }),
      "invalid",
    ],
    ["a key that is too long", line({ properties: { ["k".repeat(129)]: 1 } }), "invalid"],
    [
      "a number beyond a double",
      line({ properties: { a: "beyond" } }).replace('"beyond"', "1e400"),
      "invalid",
    ],
    ["65 levels", line({ properties: JSON.parse(`${'{"a":'.repeat(65)}1${"}".repeat(65)}`) }), "invalid"],
    ["a namespace that is too long", line({ namespace: "x".repeat(65) }), "invalid"],
    ["a session id that is too long", line({ session_id: "x".repeat(257) }), "invalid"],
    ["an event id that is too long", line({ event_id: "x".repeat(513) }), "invalid"],
    ["a path that is too long", line({ path: "x".repeat(2_049) }), "invalid"],
    ["a profile with a NUL", profile({ profile_id: "a\0" }), "invalid"],
    ["a profile with a NUL in a column", profile({ traits: { email: "a\0@b.c" } }), "invalid"],
    ["a profile with too many traits", profile({ traits: Object.fromEntries(numbered(201)) }), "invalid"],
    ["a profile with traits that are too long", profile({ traits: { a: "x".repeat(16_384) } }), "invalid"],
    ["a profile with a time in seconds", profile({ updated_at: now / 1_000 }), "invalid"],
    ["a profile updated tomorrow", profile({ updated_at: Date.now() + 90_000_000 }), "invalid"],
    ["a link with a NUL", link({ anonymous_id: "\0" }), "invalid"],
    ["a link with a time in seconds", link({ linked_at: now / 1_000 }), "invalid"],
    ["an invalid id", line({ id: -1 }), "invalid"],
    ["an unknown field", line({ color: "red" }), "invalid"],
    ["properties that are not an object", line({ properties: [] }), "invalid"],
    ["properties that are too large", line({ properties: { a: "x".repeat(33_000) } }), "invalid"],
    ["a NUL", line({ path: "\0" }), "invalid"],
    ["half a pair", '{"type":"event","website_id":null,"name":"\\ud800","timestamp":1}', "invalid"],
    ["a line that is too long", line({ properties: { a: "x".repeat(1_100_000) } }), "not_json"],
    ["a website without a domain", '{"type":"website","id":"x"}', "invalid"],
    [
      "a website with a space in its id",
      '{"type":"website","id":"a b","domain":"a.com","name":"a","allowed_origins":[],"anonymize":"off","retain_ms":null,"created_at":1,"paused_at":null}',
      "invalid",
    ],
    [
      "a profile with an array",
      `{"type":"profile","website_id":"w","profile_id":"p","created_at":1,"updated_at":1,"traits":{"a":[]}}`,
      "invalid",
    ],
  ]

  test("is reported with its number and reason, and the rest is imported", async () => {
    const lines = rejections.flatMap(([, text], index) => [text, line({ name: `good ${index}` })])
    writeFileSync(folder.file("x.ndjson"), `${lines.join("\n")}\n\xff{"type"\n`, "latin1")
    const report = await imported("x.ndjson", "b.db", 1)
    expect(report.events.added).toBe(rejections.length)
    expect(report.refused.total).toBe(rejections.length + 1)
    const shown = report.refused.first.map((one: { line: number; reason: string }) => [one.line, one.reason])
    const expected = rejections.map(([, , reason], index) => [2 * index + 1, reason])
    expect(shown).toEqual([...expected, [2 * rejections.length + 1, "not_json"]])
    const reasons: Record<string, number> = { not_json: 1 }
    for (const [, , reason] of rejections) reasons[reason] = (reasons[reason] ?? 0) + 1
    expect(report.refused.reasons).toEqual(reasons)
  })

  test("is listed if it is among the first thousand, and counted otherwise", async () => {
    writeFileSync(folder.file("x.ndjson"), `${line({ timestamp: 1 })}\n`.repeat(1_003))
    const { out } = await run("import", "x.ndjson")
    expect(
      out.match(/^line \d+: invalid: timestamp must be Unix milliseconds, from 2000-01-01/gm),
    ).toHaveLength(1_000)
    expect(out).toContain("and 3 more")
  })

  test("is described in the text output", async () => {
    writeFileSync(folder.file("x.ndjson"), `${line()}\n${line({ website_id: "nobody" })}\n`)
    const { out, err, code } = await run("import", "x.ndjson")
    expect(code).toBe(1)
    expect(out).toContain("events    1 added, 0 already present")
    expect(out).toContain("rejected  1: 1 website_unknown")
    expect(out).toContain('line 2: website_unknown: the website "nobody"')
    expect(err).toContain("1 of 2 lines")
  })

  test("can be a different event with an existing event_id", async () => {
    const twice = [line({ event_id: "e", name: "first" }), line({ event_id: "e", name: "second" })]
    writeFileSync(folder.file("x.ndjson"), twice.join("\n"))
    for (const added of [1, 0]) {
      const report = await imported("x.ndjson", "b.db", 1)
      expect(report.events.added).toBe(added)
      expect(report.refused).toMatchObject({ total: 1, reasons: { event_id_taken: 1 } })
    }
  })

  test("an id so large that later events could not get ids is replaced", async () => {
    writeFileSync(folder.file("x.ndjson"), [line({ id: 9e15 }), line({ name: "b" })].join("\n"))
    expect((await imported("x.ndjson", "b.db")).events).toEqual({ added: 2, present: 0, renumbered: 2 })
  })

  test("the complete lines of a truncated file are imported, and the truncation is reported", async () => {
    fillWithAll("a.db")
    const whole = await exported("a.db")
    const cuts: [string, string | Buffer, string][] = [
      ["line.ndjson", whole.slice(0, whole.lastIndexOf("\n", whole.length - 3) + 1), 'has no "end" line'],
      ["gzip.gz", gzipSync(whole).subarray(0, -9_000), "gzip data is truncated"],
      ["empty.ndjson", "", "it is empty"],
      ["empty.gz", gzipSync(""), "it is empty"],
      ["blank.ndjson", "\n\n", "it is empty"],
      ["count.ndjson", whole.replace(/^{"type":"link".*\n/m, ""), "it should have 6 links, but has 5"],
    ]
    for (const [file, content, why] of cuts) {
      writeFileSync(folder.file(file), content)
      expect((await imported(file, `${file}.db`, 1)).incomplete).toContain(why)
      writeFileSync(folder.file("whole.ndjson"), whole)
      await imported("whole.ndjson", `${file}.db`)
      expect((await exported(`${file}.db`)).length).toBe(whole.length)
    }
  }, 30_000)

  test("an export of a later version is rejected as a whole", async () => {
    writeFileSync(folder.file("x.ndjson"), `{"type":"databuddy-export","version":2}\n${line()}\n`)
    const { code, err } = await run("import", "x.ndjson", "--db", "b.db")
    expect([code, err]).toEqual([1, expect.stringContaining("version 2")])
    expect(await exported("b.db")).not.toContain('"type":"event"')
  })

  test("a missing file creates no database", async () => {
    const { code, err } = await run("import", "none.ndjson", "--db", "b.db")
    expect([code, err, existsSync(folder.file("b.db"))]).toEqual([
      1,
      expect.stringContaining("does not exist"),
      false,
    ])
  })
})

test("events from other programs need only a name and a time", async () => {
  const events = [1, 2].map((n) => ({ type: "event", website_id: null, name: `e${n}`, timestamp: now + n }))
  writeFileSync(folder.file("x.ndjson"), events.map((one) => JSON.stringify(one)).join("\n"))
  expect((await imported("x.ndjson", "b.db")).events.added).toBe(2)
  expect((await imported("x.ndjson", "b.db")).events.added).toBe(0)
  const first = (await exported("b.db")).split("\n").find((line) => line.includes('"e1"')) ?? ""
  expect(JSON.parse(first)).toMatchObject({ id: 1, received_at: now + 1, credential: "key", crawler: false })
})

test("on a terminal, the import shows its progress", async () => {
  fillWithAll("a.db", 20_000)
  writeFileSync(folder.file("a.ndjson"), await exported("a.db"))
  const command = [binary, "import", "a.ndjson", "--db", "b.db"].map((word) => `'${word}'`).join(" ")
  const child = Bun.spawn(["script", "-qec", command, "typescript"], {
    cwd: folder.path,
    env: environment(),
    stdin: "ignore",
    stdout: "ignore",
  })
  expect(await child.exited).toBe(0)
  expect(readFileSync(folder.file("typescript"), "utf8")).toMatch(/\r\d+ %, [\d,]+ lines/)
})

test("an import adds all rows to the column blocks if no server is running", async () => {
  const line = (index: number) =>
    JSON.stringify({ type: "event", website_id: null, name: `n${index % 3}`, timestamp: now + index })
  // More rows than are sealed at once during the import.
  const lines = Array.from({ length: 140_000 }, (_, index) => line(index))
  writeFileSync(folder.file("many.ndjson"), `${lines.join("\n")}\n`)
  await imported(folder.file("many.ndjson"), folder.file("many.db"))
  const db = openReader(folder.file("many.db"))
  const sql =
    "select (select max(id) from event_rows) - id as unsealed, (select count(*) from blocks where website_rid >= 0) as blocks from sealed"
  expect(db.prepare(sql).get()).toEqual({ unsealed: 0, blocks: 2 })
  db.close()
})

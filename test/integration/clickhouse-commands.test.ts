import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { run } from "../../src/cli.ts"
import { clusterLogin, parseClusterUrl } from "../../src/clickhouse/address.ts"
import { hashOf } from "../../src/clickhouse/event-row.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { ServerLock } from "../../src/store/db/server-lock.ts"
import type { StoredEvent } from "../../src/store/event-reader.ts"
import { EventInserter } from "../../src/store/events.ts"
import { applyShippingChange, readShipping } from "../../src/store/shipping.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { openReader, type TemporaryFolder, temporaryFolder, withDatabase } from "../harness.ts"
import { type ClickHouseStub, startClickHouseStub } from "../support/clickhouse-stub.ts"
import { commandContext } from "../support/command-context.ts"
import { eventRow, oddEvents } from "../support/event.ts"

const now = Date.UTC(2026, 7, 1, 12)

let folder: TemporaryFolder
let stub: ClickHouseStub
let db = ""
beforeEach(async () => {
  folder = temporaryFolder()
  db = folder.file("shop.db")
  stub = await startClickHouseStub()
  stub.hasTables = false
})
afterEach(async () => {
  await stub[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

async function databuddy(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const output = { out: "", err: "" }
  const env = { DATABUDDY_CLICKHOUSE_PASSWORD: "secret" }
  // Attempts follow each other without a pause.
  const sleep = () => Bun.sleep(0)
  const code = await run(args, { ...commandContext({ now: () => now, env, output }), sleep })
  return { code, ...output }
}

/** Runs a `databuddy clickhouse` command with the cluster and the file. */
const onFile = (command: string, ...args: string[]) =>
  databuddy("clickhouse", command, "--clickhouse", stub.url, "--db", db, ...args)
const migrate = (...args: string[]) => databuddy("clickhouse", "migrate", "--clickhouse", stub.url, ...args)

function fill(path = db): void {
  withDatabase(path, (open) => {
    const settings = { domain: "a.com", name: "ä", allowedOrigins: ["b.com"], anonymize: "daily" as const }
    const { rid } = createWebsite(open, "shop", settings, now)
    const inserter = new EventInserter(open, new DailyHash(open, (bytes) => bytes))
    inserter.insert([
      ...oddEvents(),
      ...oddEvents({ websiteRid: rid }),
      eventRow({ ts: now, receivedAt: now }),
    ])
  })
}

function addEvent(path: string, name: string): void {
  withDatabase(path, (open) =>
    new EventInserter(open, new DailyHash(open, (bytes) => bytes)).insert([
      eventRow({ name, ts: now, receivedAt: now }),
    ]),
  )
}

function eventsIn(path: string): unknown[] {
  const reader = openReader(path)
  try {
    return reader.prepare("select * from events order by id").all()
  } finally {
    reader.close()
  }
}

test("a file is copied to a cluster and back, and both sides agree", async () => {
  fill()
  expect((await migrate()).out).toBe("applied  0001_events\n")
  expect((await migrate()).out).toBe("no pending migrations\n")
  const loaded = await onFile("load")
  expect(loaded).toMatchObject({ code: 0, err: "" })
  expect(loaded.out).toMatch(
    /^shipped {3}\d+ events\ntook .*\ncompared {2}\d+ events in \d+ groups by website and day: counts and hashes agree\n$/,
  )
  expect(stub.websites).toHaveLength(1)
  const original = db
  db = folder.file("new.db")
  const fetched = await onFile("fetch")
  expect(fetched).toMatchObject({ code: 0, err: "" })
  expect(fetched.out).toContain("counts and hashes agree")
  expect(eventsIn(db)).toEqual(eventsIn(original))
  const again = JSON.parse((await onFile("fetch", "--json")).out)
  expect(again.fetched).toMatchObject({ added: 0, renumbered: 0 })
  // The new file continues where the old one stopped.
  const inserts = stub.inserts.length
  expect((await onFile("load")).code).toBe(0)
  expect(stub.inserts).toHaveLength(inserts)
})

test("compare exits with code 1 and lists the days that differ", async () => {
  fill()
  expect((await onFile("compare")).err).toContain("no events have been shipped from")
  await migrate()
  await onFile("load")
  stub.events.delete(1)
  const { code, out, err } = await onFile("compare")
  expect(code).toBe(1)
  expect(out).toMatch(
    /^compared .*counts and hashes differ\nWEBSITE {2}DAY .*\n\(none\) {3}2026-01-01 {2}\d+ +\d+\n$/,
  )
  expect(err).toContain("the file and the cluster differ in 1 group by website and day")
  expect((await onFile("load", "--replace")).code).toBe(0)
  expect((await onFile("compare")).code).toBe(0)
})

test("fetch adds the events that are only in the cluster to a file that was restored from a backup", async () => {
  fill()
  await migrate()
  await onFile("load")
  writeFileSync(folder.file("backup.db"), readFileSync(db))
  withDatabase(db, (open) =>
    new EventInserter(open, new DailyHash(open, (bytes) => bytes)).insert([
      eventRow({ ts: now, receivedAt: now, name: "later" }),
    ]),
  )
  await onFile("load")
  const newest = eventsIn(db)
  db = folder.file("backup.db")
  expect((await onFile("fetch")).out).toContain("1 added")
  expect(eventsIn(db)).toEqual(newest)
  expect((await onFile("load")).code).toBe(0)
})

test("fetch and load merge a restored file with the cluster if its new events have ids that are in use there", async () => {
  fill()
  await migrate()
  await onFile("load")
  writeFileSync(folder.file("backup.db"), readFileSync(db))
  const add = (path: string, name: string, ts: number) =>
    withDatabase(path, (open) =>
      new EventInserter(open, new DailyHash(open, (bytes) => bytes)).insert([
        eventRow({ name, ts, receivedAt: ts }),
      ]),
    )
  add(db, "only in the cluster", now - 86_400_000)
  await onFile("load")
  db = folder.file("backup.db")
  add(db, "only in the file", now)
  expect((await onFile("load")).err).toContain(
    "the file was restored from a backup, or a copy of it is also shipping events",
  )
  const fetched = await onFile("fetch")
  expect(fetched.code).toBe(1)
  expect(fetched.out).toContain("1 added")
  expect(fetched.out).toContain("1 got a new id")
  expect(await onFile("load")).toMatchObject({ code: 0 })
  const names = (events: { name: string }[]) =>
    events.map(({ name }) => name).filter((name) => /^only/.test(name))
  expect(names([...stub.events.values()]).sort()).toEqual(["only in the cluster", "only in the file"])
})

test("after a fetch into a new file, a new event does not get an id that was shipped, even if the newest event was deleted", async () => {
  fill()
  await migrate()
  await onFile("load")
  withDatabase(db, (open) => open.exec("delete from event_rows where id = (select max(id) from event_rows)"))
  await onFile("load")
  db = folder.file("new.db")
  expect((await onFile("fetch")).code).toBe(0)
  addEvent(db, "next")
  expect((await onFile("load")).code).toBe(0)
  expect([...stub.events.values()].map(({ name }) => name)).toContain("next")
})

test("fetch does not restore an event that has yet to be deleted in the cluster", async () => {
  fill()
  await migrate()
  await onFile("load")
  withDatabase(db, (open) => open.exec("delete from event_rows where id = 2"))
  const before = eventsIn(db)
  const fetched = await onFile("fetch")
  expect(fetched.out).toContain("0 added")
  expect(fetched.err).toContain("recently deleted events")
  expect(eventsIn(db)).toEqual(before)
  expect((await onFile("load")).code).toBe(0)
  expect(stub.events.has(2)).toBe(false)
})

test("fetch leaves a pending comparison to the next load", async () => {
  fill()
  await migrate()
  await onFile("load")
  withDatabase(db, (open) => open.exec("update shipping set must_compare = 1"))
  expect((await onFile("fetch")).code).toBe(0)
  expect(withDatabase(db, (open) => readShipping(open)?.mustCompare)).toBe(true)
})

test("after a restore, events that were deleted since the backup are shipped to the cluster again", async () => {
  fill()
  await migrate()
  await onFile("load")
  const backup = folder.file("backup.db")
  expect(await databuddy("backup", backup, "--db", db)).toMatchObject({ code: 0 })
  withDatabase(db, (open) => open.exec("delete from event_rows where id = 2"))
  await onFile("load")
  expect(stub.events.has(2)).toBe(false)
  expect(await databuddy("restore", backup, "--db", db)).toMatchObject({ code: 0 })
  expect((await onFile("load")).code).toBe(0)
  expect(stub.events.has(2)).toBe(true)
})

test("after a fetch, a file restored from a backup that predates its first shipment can be shipped", async () => {
  fill()
  await migrate()
  writeFileSync(folder.file("backup.db"), readFileSync(db))
  await onFile("load")
  db = folder.file("backup.db")
  expect((await onFile("load")).err).toContain(
    "that was created before its first shipment, run `databuddy clickhouse fetch`",
  )
  expect(await onFile("fetch")).toMatchObject({ code: 0 })
  addEvent(db, "next")
  expect(await onFile("load")).toMatchObject({ code: 0 })
  expect([...stub.events.values()].map(({ name }) => name)).toContain("next")
})

test("load fails without a retry if the cluster rejects its first request", async () => {
  fill()
  await migrate()
  const earlier = stub.statements.length
  stub.fault = () => ({ status: 403, number: 516 })
  const { code, err } = await onFile("load")
  expect(code).toBe(1)
  expect(err).toContain("the stub was told to")
  expect(err).toContain("check --clickhouse, the password, the grants of the user and the network")
  expect(stub.statements).toHaveLength(earlier + 1)
})

test("load repeats a later step that failed, and prints the error", async () => {
  fill()
  // The first step records the file in the cluster, the second one inserts its events.
  await migrate("--shared")
  let cuts = 0
  stub.fault = (operation) => (operation === "insert" && cuts++ < 2 ? "cut" : undefined)
  const { code, out, err } = await onFile("load")
  expect(code).toBe(0)
  expect(out).toContain("counts and hashes agree")
  expect(err).toMatch(/^(warn: http.* does not respond: .*; trying again in \d+ s\n){2}$/)
})

test("compare fails with advice if the tables are missing", async () => {
  fill()
  await migrate()
  await onFile("load")
  stub.hasTables = false
  const { code, err } = await onFile("compare")
  expect(code).toBe(1)
  expect(err).toContain("run `databuddy clickhouse migrate`")
})

test("load fails with an error while another process is shipping", async () => {
  fill()
  await migrate()
  const lock = new ServerLock(`${db}-shipping`, process.pid, () => new Error("locked"))
  const { code, err } = await onFile("load")
  lock.release()
  expect(code).toBe(1)
  expect(err).toContain("another process is already shipping events from")
})

describe("after events were removed from the file", () => {
  const day = 86_400_000
  const removed = "2 events before 2026-06-02 are only in the ClickHouse cluster"

  beforeEach(async () => {
    fill()
    await migrate()
    const ts = Date.UTC(2026, 5, 1)
    withDatabase(db, (open) =>
      new EventInserter(open, new DailyHash(open, (bytes) => bytes)).insert(
        ["ann", "bob"].map((anonymousId) => eventRow({ websiteRid: 1, anonymousId, ts, receivedAt: ts })),
      ),
    )
    await onFile("load")
    withDatabase(db, (open) => {
      const ids = open.prepare("select id from event_rows where ts = :ts").pluck().all({ ts }) as number[]
      const events = ids.map((id) => ({ id, hash: hashOf(stub.events.get(id) as StoredEvent) }))
      applyShippingChange(open, { type: "remove", rid: 1, day: ts / day, events })
    })
  })

  test("serve without --clickhouse refuses to start, and says how to restore them", async () => {
    const { code, err } = await databuddy("serve", "--db", db, "--port", "0", "--no-setup")
    expect(code).toBe(1)
    expect(err).toContain(`error: ${removed}, and --clickhouse is not set`)
    expect(err).toContain("databuddy clickhouse fetch --clickhouse")
  })

  const refused: { what: string; args: string[]; says: string[] }[] = [
    { what: "a query for them", args: ["query", "events", "--from", "2026-05-01"], says: [removed] },
    { what: "a complete export", args: ["export"], says: [removed, "set --clickhouse", "clickhouse fetch"] },
    {
      what: "the export of a person",
      args: ["export", "--website", "shop", "--anonymous-id", "ann"],
      says: [removed],
    },
    {
      what: "forget without a cluster",
      args: ["forget", "--website", "shop", "--anonymous-id", "ann", "--yes"],
      says: [removed, "set --clickhouse", "nothing was changed"],
    },
  ]
  test.each(refused)("$what is rejected", async ({ args, says }) => {
    const { code, err } = await databuddy(...args, "--db", db)
    expect(code).toBe(1)
    for (const text of says) expect(err).toContain(text)
  })

  test("queries and exports of later days and of other websites work", async () => {
    expect((await databuddy("query", "events", "--from", "2026-06-02", "--db", db)).code).toBe(0)
    expect(
      (await databuddy("query", "events", "--from", "2026-05-01", "--website", "none", "--db", db)).code,
    ).toBe(0)
    expect((await databuddy("export", "--from", "2026-06-02", "--db", db)).code).toBe(0)
  })

  test("an export with --clickhouse contains the removed events, and the file of --out only appears once it is complete", async () => {
    const out = folder.file("out.ndjson")
    const exportAll = (...args: string[]) =>
      databuddy("export", "--clickhouse", stub.url, "--db", db, "--website", "shop", ...args)
    expect(await exportAll("--out", out)).toMatchObject({ code: 0 })
    const lines = readFileSync(out, "utf8").trimEnd().split("\n")
    const events = [...stub.events.values()].filter(({ website_id }) => website_id === "shop")
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ type: "end", events: events.length })
    expect(lines.filter((line) => line.includes('"timestamp":1780272000000'))).toHaveLength(2)
    const person = await exportAll("--anonymous-id", "ann")
    expect(JSON.parse(person.out.split("\n").at(-2) ?? "")).toMatchObject({ type: "end", events: 1 })
    stub.fault = (operation) => (operation === "query" ? "cut" : undefined)
    const failed = await exportAll("--out", folder.file("failed.ndjson"))
    expect(failed).toMatchObject({ code: 1, err: expect.stringContaining("when the cluster responds") })
    expect(existsSync(folder.file("failed.ndjson"))).toBe(false)
  })

  test("forget reports the events in the cluster, and deletes them there", async () => {
    const id = [...stub.events.values()].find(({ anonymous_id }) => anonymous_id === "ann")?.id ?? 0
    const event = stub.events.get(id) as StoredEvent
    stub.queryRows = [[id, Date.UTC(2026, 5, 1) / day, String(hashOf(event)), "key", null]]
    const forget = (...args: string[]) =>
      databuddy(
        "forget",
        "--website",
        "shop",
        "--anonymous-id",
        "ann",
        "--clickhouse",
        stub.url,
        "--db",
        db,
        ...args,
      )
    expect((await forget()).err).toContain("0 events and 1 event that only the cluster has")
    const { code, out } = await forget("--yes")
    expect(code).toBe(0)
    expect(out).toContain("deleted 0 events and 1 event that only the cluster has")
    expect(out).toContain("the ClickHouse cluster deletes the events once")
    expect((await onFile("load")).code).toBe(0)
    expect(stub.events.has(id)).toBe(false)
  })

  test("website delete says that the server deletes them in the cluster", async () => {
    const { out } = await databuddy("website", "delete", "shop", "--yes", "--db", db)
    expect(out).toContain(`note: ${removed}; a server with --clickhouse also deletes them from the cluster`)
  })

  test("compare, load and load --replace find no differences, and keep the only copy", async () => {
    const { size } = stub.events
    for (const args of [["compare"], ["load"], ["load", "--replace"]]) {
      const { code, out } = await onFile(args[0] ?? "", ...args.slice(1))
      expect(code).toBe(0)
      expect(out).toContain("counts and hashes agree\nonly in cluster  2 events of them")
    }
    expect(stub.events.size).toBe(size)
  })

  test("fetch restores them, and everything works without the cluster again", async () => {
    const { code, out, err } = await onFile("fetch")
    expect({ code, err }).toEqual({ code: 0, err: "" })
    expect(out).toContain("removed   2 removed events stored again")
    expect((await databuddy("export", "--db", db)).code).toBe(0)
    expect((await databuddy("check", "--db", db)).out).toContain("no problems found")
    expect((await onFile("compare")).out).not.toContain("only in cluster")
  })

  test("fetch reports events that the cluster has lost, and load --replace accepts the loss", async () => {
    const lost = [...stub.events.values()].find(({ anonymous_id }) => anonymous_id === "bob")?.id ?? 0
    stub.events.delete(lost)
    const failed = await onFile("fetch")
    expect(failed.err).toContain("1 events that were removed")
    expect(failed.err).toContain("load --replace")
    expect((await onFile("load", "--replace")).code).toBe(0)
    expect((await onFile("fetch")).code).toBe(0)
  })

  test("fetch into another file restores everything", async () => {
    db = folder.file("new.db")
    expect((await onFile("fetch")).code).toBe(0)
    expect(eventsIn(db)).toHaveLength(stub.events.size)
  })

  test("an import of their days is rejected because duplicates could not be found", async () => {
    const line = { type: "event", website_id: "shop", name: "x", timestamp: Date.UTC(2026, 5, 1, 3) }
    const file = folder.file("events.ndjson")
    writeFileSync(file, `${JSON.stringify(line)}\n${JSON.stringify({ ...line, website_id: null })}\n`)
    const { code, out } = await databuddy("import", file, "--db", db, "--json")
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ events: { added: 1 }, refused: { reasons: { day_removed: 1 } } })
  })

  test("doctor and check report how many events are only in the cluster", async () => {
    const line = async (...args: string[]) =>
      (await databuddy("doctor", "--db", db, ...args)).out
        .split("\n")
        .find((text) => text.includes("  cluster "))
    expect(await line("--clickhouse", stub.url)).toMatch(new RegExp(`^ok .*${removed}$`))
    expect(await line()).toMatch(new RegExp(`^todo .*${removed}$`))
    const { code, out } = await databuddy("check", "--db", db)
    expect(code).toBe(0)
    expect(out).toContain("only in cluster  2 events before 2026-06-02")
  })

  test("a restored backup still knows what was removed", async () => {
    const backup = folder.file("backup.db")
    expect((await databuddy("backup", backup, "--db", db)).code).toBe(0)
    expect((await databuddy("restore", backup, "--db", db)).out).toContain("only in cluster")
    expect((await onFile("load")).code).toBe(0)
    expect((await onFile("compare")).out).toContain("only in cluster  2 events of them")
  })
})

const mistakes: { what: string; args: string[]; says: string }[] = [
  { what: "no cluster", args: ["clickhouse", "compare"], says: "set --clickhouse or DATABUDDY_CLICKHOUSE" },
  {
    what: "a password in the URL",
    args: ["clickhouse", "load", "--clickhouse", "https://a:hunter2@host"],
    says: "contains a password",
  },
  {
    what: "a URL with another scheme",
    args: ["serve", "--clickhouse", "clickhouse://host:9000"],
    says: "It must be a URL such as https://user@host:8443/database",
  },
  {
    what: "--keep-local without a cluster",
    args: ["serve", "--keep-local", "30d"],
    says: "--keep-local has no effect without --clickhouse",
  },
  {
    what: "--keep-local without queries in the cluster",
    args: ["serve", "--keep-local", "30d", "--clickhouse", "http://a", "--clickhouse-query-time", "0"],
    says: "only the cluster can answer queries about removed events",
  },
  {
    what: "--keep-local of less than a day",
    args: ["serve", "--keep-local", "12h", "--clickhouse", "http://a"],
    says: "It must be a duration from 1d to 36525d",
  },
  {
    what: "a password without a cluster",
    args: ["serve", "--clickhouse-password-file", "/x"],
    says: "--clickhouse-password-file has no effect without --clickhouse",
  },
]
test.each(mistakes)("$what is rejected", async ({ args, says }) => {
  const { code, err } = await databuddy(...args)
  expect(code).toBeGreaterThan(0)
  expect(err).toContain(says)
  expect(err).not.toContain("hunter2")
})

test("an unreachable cluster is reported", async () => {
  await stub[Symbol.asyncDispose]()
  const { code, err } = await migrate()
  expect(code).toBe(1)
  expect(err).toMatch(
    /^error: http:\/\/127\.0\.0\.1:\d+\/analytics does not respond: .*\nhint: check --clickhouse/,
  )
  stub = await startClickHouseStub()
})

test("doctor reports the cluster and the events that have not been shipped", async () => {
  fill()
  await migrate()
  const lines = async () => {
    const { out } = await databuddy("doctor", "--db", db, "--clickhouse", stub.url)
    return out.split("\n").find((line) => line.includes("  cluster ")) ?? ""
  }
  expect(await lines()).toMatch(/^ok .*answers; no events have been shipped yet$/)
  await onFile("load")
  expect(await lines()).toMatch(/^ok .*0 events and 0 deletions have not been shipped yet$/)
  stub.hasTables = false
  expect(await lines()).toMatch(/^todo .*the migration 0001_events has not been applied/)
})

test("migrate --print prints statements for one server", async () => {
  const { out } = await databuddy("clickhouse", "migrate", "--print", "--clickhouse", "https://host/shop")
  expect(out).toStartWith("create database if not exists `shop`;\n\nuse `shop`;\n")
  expect(out).toContain("engine = ReplacingMergeTree()\npartition by toYYYYMM(day)")
  expect(out).not.toContain("Replicated")
  expect(out).toContain(
    "insert into migrations (name, checksum, cluster, applied_at) values ('0001_events', ",
  )
})

test("migrate --print prints replicated and distributed tables for a cluster", async () => {
  const { out } = await databuddy("clickhouse", "migrate", "--print", "--clickhouse-cluster", "main'1")
  expect(out).toContain("create table if not exists events_local on cluster 'main\\'1' (")
  expect(out).toContain(
    "engine = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/events_local', '{replica}')",
  )
  expect(out).toContain(
    "engine = ReplicatedReplacingMergeTree('/clickhouse/tables/{database}/writers', '{shard}-{replica}', sequence)",
  )
  expect(out).toContain(
    "create table if not exists events on cluster 'main\\'1' as events_local\nengine = Distributed('main\\'1', currentDatabase(), events_local, cityHash64(website, ifNull(anonymous_id, toString(id))))",
  )
  expect(out).not.toMatch(/engine = ReplacingMergeTree/)
})

test("tables created for a cluster cannot be migrated for a single server", async () => {
  await migrate("--clickhouse-cluster", "main")
  expect((await migrate()).err).toContain("were created with --clickhouse-cluster main")
})

const addresses: [string, ReturnType<typeof parseClusterUrl>][] = [
  ["https://me@host:8443/shop", { url: "https://host:8443", user: "me", database: "shop" }],
  ["https://host", { url: "https://host", user: "default", database: "default" }],
  ["http://a%40b@host/", { url: "http://host", user: "a@b", database: "default" }],
  ["https://host/my-shop", { url: "https://host", user: "default", database: "my-shop" }],
  ["https://a%zz@host/shop", undefined],
  ["https://host/a/b", undefined],
  ["https://host/a?x=1", undefined],
  ["https://me:secret@host/a", undefined],
  ["host:8443", undefined],
]
test.each(addresses)("the address %s is accepted or rejected", (text, expected) => {
  expect(parseClusterUrl(text)).toEqual(expected)
})

test("the password is read from a file", () => {
  writeFileSync(folder.file("password"), "from file\n")
  writeFileSync(folder.file("empty"), "\n")
  const login = (name: string) =>
    clusterLogin({ clickhouse: stub.url, clickhousePasswordFile: folder.file(name) }, {}).password
  expect(login("password")).toBe("from file")
  expect(() => login("empty")).toThrow("is empty")
})

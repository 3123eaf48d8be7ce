import { afterEach, beforeEach, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import type { Db } from "../../src/store/native.ts"
import { Profiles } from "../../src/store/profiles.ts"
import { DailyHash } from "../../src/store/salts.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { eventually, temporaryFolder, withDatabase } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { eventRow } from "../support/event.ts"

const now = Date.UTC(2026, 0, 1)
let folder = temporaryFolder()
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => folder[Symbol.dispose]())

function fill(work: (db: Db, rid: number, store: (...events: Partial<EventRow>[]) => void) => void): void {
  withDatabase(folder.file("databuddy.db"), (db) => {
    const settings = { domain: "a.com", name: "a", allowedOrigins: [], anonymize: "off" as const }
    const { rid } = createWebsite(db, "w", settings, now)
    const dailyHash = new DailyHash(db, (bytes) => crypto.getRandomValues(bytes))
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
  const { PATH = "", TMPDIR = "/tmp" } = process.env
  return Bun.spawn([binary, "export", ...args], {
    cwd: folder.path,
    env: { PATH, TMPDIR },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
}

test("a profile comes as one JSON object a line, with its links and the events that are its own", async () => {
  fill((_, __, store) => {
    store(
      { profileId: "ann", ts: now + 1, path: "/x\n" },
      { anonymousId: "laptop", keys: "", properties: null },
      { anonymousId: "laptop", profileId: "bob" },
      { profileId: "ann", websiteRid: 0 },
    )
  })
  const child = start("--website", "w", "--profile-id", "ann")
  const [out, code] = await Promise.all([child.stdout.text(), child.exited])
  expect(code).toBe(0)
  const time = "2026-01-01T00:00:00.000Z"
  const event = {
    type: "event",
    name: "bought",
    namespace: null,
    source: null,
    time,
    receivedAt: "2026-01-01T00:00:00.005Z",
    anonymousId: null,
    sessionId: null,
    profileId: null,
    path: null,
    eventId: null,
    properties: null,
  }
  const lines = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))
  expect(lines).toEqual([
    { type: "profile", profileId: "ann", traits: { plan: "pro" }, createdAt: time, updatedAt: time },
    { type: "link", anonymousId: "laptop", linkedAt: time },
    { ...event, anonymousId: "laptop" },
    {
      ...event,
      time: "2026-01-01T00:00:00.001Z",
      profileId: "ann",
      path: "/x\n",
      properties: { plan: "pro" },
    },
  ])
})

test("of a reader that stands still, memory stays bounded, and nothing is lost", async () => {
  const count = 20_000
  const properties = JSON.stringify("x".repeat(20_000))
  fill((_, __, store) => {
    for (let n = 0; n < count; n++) store({ profileId: "ann", ts: now + n, properties })
  })
  // A shell's pipe: Bun's own takes all there is, whether it is asked for it or not.
  const shell = Bun.spawn(
    [
      "sh",
      "-c",
      '"$0" export --website w --profile-id ann | { head -c 1000 > first; sleep 2; cat > rest; }',
      binary,
    ],
    { cwd: folder.path, env: { PATH: process.env.PATH ?? "", TMPDIR: process.env.TMPDIR ?? "/tmp" } },
  )
  await eventually(() => existsSync(folder.file("first")))
  await Bun.sleep(1_500)
  expect(residentOf("export", shell.pid)).toBeLessThan(250_000)
  expect(await shell.exited).toBe(0)
  const read = readFileSync(folder.file("first"), "latin1") + readFileSync(folder.file("rest"), "latin1")
  expect(read.split("\n").length - 1).toBe(count + 2)
}, 60_000)

/** KiB in memory of the child of `parent` with `word` in its command line. */
function residentOf(word: string, parent: number): number {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").trim().split(" ")
  const pid = children.find((one) => readFileSync(`/proc/${one}/cmdline`, "utf8").includes(`\0${word}\0`))
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])
}

test("a reader that goes away ends it", async () => {
  fill((_, __, store) => {
    for (let n = 0; n < 2_000; n++) store({ profileId: "ann", properties: JSON.stringify("x".repeat(5_000)) })
  })
  const child = start("--website", "w", "--profile-id", "ann")
  const reader = child.stdout.getReader()
  await reader.read()
  await reader.cancel()
  await eventually(() => child.exitCode !== null || child.signalCode !== null)
})

test("what there is none of is said", async () => {
  fill(() => {})
  const child = start("--website", "none", "--profile-id", "ann")
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  expect([code, out, err]).toEqual([1, "", expect.stringContaining("no website has the id none")])
})

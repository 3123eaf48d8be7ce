import { afterEach, beforeEach, expect, test } from "bun:test"
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { createWebsite } from "../../src/store/websites.ts"
import { type Server, startServer, type TemporaryFolder, temporaryFolder, withDatabase } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"

let folder: TemporaryFolder
let server: Server

beforeEach(async () => {
  folder = temporaryFolder()
  const db = folder.file("databuddy.db")
  withDatabase(db, (open) => {
    for (const [id, anonymize] of [
      ["w", "off"],
      ["private", "daily"],
    ] as const) {
      createWebsite(open, id, { domain: "localhost", name: id, allowedOrigins: [], anonymize }, Date.now())
    }
  })
  await run("key", "create", "--name", "all", "--scope", "track:events", "--scope", "manage:websites").then(
    ({ out }) => {
      key = JSON.parse(out).key
    },
  )
  server = await startServer({ db, args: ["--rate-limit", "0"] })
})
afterEach(async () => {
  await server.kill()
  folder[Symbol.dispose]()
})

let key = ""

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const json = args[0] === "key" ? ["--json"] : []
  const child = Bun.spawn([binary, ...args, ...json], {
    cwd: folder.path,
    env: environment(),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { code, out, err }
}

async function post(path: string, body: unknown) {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" }
  const answer = await fetch(`${server.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

const secret = "ann-the-forgotten"

async function fill(websiteId = "w"): Promise<void> {
  const identity = {
    profileId: secret,
    websiteId,
    anonymousId: "laptop",
    traits: { email: `${secret}@example.com` },
  }
  expect((await post("/identify", identity)).status).toBe(200)
  const others = Array.from({ length: 900 }, (_, index) => ({
    name: "x",
    websiteId,
    anonymousId: `a${index}`,
  }))
  const theirs = Array.from({ length: 100 }, (_, index) => ({
    name: "x",
    websiteId,
    ...(index % 2 ? { anonymousId: "laptop" } : { profileId: secret }),
    properties: { says: `${secret} ${index}` },
  }))
  expect((await post("/track", [...others, ...theirs])).status).toBe(200)
}

const traces = () =>
  ["", "-wal"].filter((end) => {
    const path = server.db + end
    return existsSync(path) && readFileSync(path).includes(secret)
  })

test("forget shows what it would delete, and with --yes leaves no byte of it while a server runs", async () => {
  await fill()
  const what = `100 events, 1 profile and 1 link of the profile ${secret} on the website w`
  const asked = await run("forget", "--website", "w", "--profile-id", secret)
  expect(asked).toEqual({
    code: 1,
    out: "",
    err: `error: this would permanently delete ${what}\nhint: add --yes to confirm\n`,
  })
  expect(traces()).not.toEqual([])
  const done = await run("forget", "--website", "w", "--profile-id", secret, "--yes")
  expect(done).toEqual({
    code: 0,
    out: `deleted ${what}
note: copies created before now in other places still contain the data
`,
    err: "",
  })
  expect(traces()).toEqual([])
  const again = await run("forget", "--website", "w", "--profile-id", secret, "--yes", "--json")
  expect(JSON.parse(again.out)).toEqual({
    website: "w",
    profileId: secret,
    events: 0,
    profiles: 0,
    links: 0,
    removedEvents: 0,
    overwritten: true,
    note: null,
    backups: [],
  })
})

test("forget names exactly the copies that still contain the person", async () => {
  const backups = folder.file("backups")
  mkdirSync(backups)
  const copy = (name: string) => join(backups, name)
  const backUp = async (path: string) => expect((await run("backup", path)).code).toBe(0)
  const [before, holding, unreadable, other] = [
    copy("databuddy-20260101T000000Z.db"),
    copy("databuddy-20260102T000000Z.db"),
    copy("databuddy-20260103T000000Z.db"),
    copy("other-20260102T000000Z.db"),
  ]
  await backUp(before)
  await fill()
  await backUp(holding)
  copyFileSync(holding, other)
  writeFileSync(unreadable, "x".repeat(10_000))
  const aside = `${server.db}.before-restore-20260101T000000000Z`
  copyFileSync(holding, aside)
  const forget = ["forget", "--website", "w", "--yes", "--backup-dir", backups]
  const { code, out } = await run(...forget, "--profile-id", secret)
  expect(code).toBe(0)
  const named = out.split("\n").filter((line) => line.startsWith("still contains the data: "))
  expect(named).toEqual([aside, holding, unreadable].map((file) => `still contains the data: ${file}`))
  expect(out).toContain("note: delete these files")
  // The database has no trace of the person any more, so the events are found through the links in the backup.
  rmSync(unreadable)
  rmSync(aside)
  const again = JSON.parse((await run(...forget, "--anonymous-id", "laptop", "--json")).out)
  expect(again).toMatchObject({ events: 0, backups: [holding] })
  const nobody = JSON.parse((await run(...forget, "--profile-id", "nobody", "--json")).out)
  expect(nobody.backups).toEqual([])
})

test("with hashed ids, forget names a backup of the same day", async () => {
  const backup = folder.file("databuddy-20260101T000000Z.db")
  await fill("private")
  expect((await run("backup", backup)).code).toBe(0)
  const forget = ["forget", "--website", "private", "--anonymous-id", "laptop", "--yes", "--json"]
  expect(JSON.parse((await run(...forget, "--backup-dir", folder.path)).out).backups).toEqual([backup])
})

test("an unreadable backup folder is reported, after the deletion", async () => {
  await fill()
  const forget = ["forget", "--website", "w", "--profile-id", secret, "--yes", "--backup-dir", "none"]
  const { code, out, err } = await run(...forget)
  expect([code, out]).toEqual([1, expect.stringContaining("deleted 100 events")])
  expect(err).toMatch(/^error: the backup folder .*none does not exist\nhint: /)
  expect(traces()).toEqual([])
})

test("over HTTP, the deletion is the same, and the response is sent once it is done", async () => {
  await fill()
  const answer = await post("/v1/websites/w/forget", { profileId: secret })
  expect(answer).toEqual({
    status: 200,
    body: {
      success: true,
      events: 100,
      removedEvents: 0,
      profiles: 1,
      links: 1,
      overwritten: true,
      note: null,
    },
  })
  expect(traces()).toEqual([])
})

test("with hashed ids, forget reports that only today's events can be matched", async () => {
  await fill("private")
  const note = expect.stringContaining("only today's events (UTC) can be matched")
  const asked = await run("forget", "--website", "private", "--anonymous-id", "laptop")
  expect([asked.code, asked.err]).toEqual([1, note])
  expect(asked.err).toContain("50 events, 0 profiles and 1 link of the visitor laptop")
  const answer = await post("/v1/websites/private/forget", { anonymousId: "laptop" })
  expect(answer.body).toMatchObject({ events: 50, profiles: 0, links: 1, note })
  const rest = await post("/v1/websites/private/forget", { profileId: secret })
  expect(rest.body).toMatchObject({ events: 50, profiles: 1, links: 0, note: null })
})

test("events are accepted during a deletion", async () => {
  for (let round = 0; round < 20; round++) await fill()
  let done = false
  const forgetting = run("forget", "--website", "w", "--profile-id", secret, "--yes").finally(() => {
    done = true
  })
  let slowest = 0
  while (!done) {
    const sent = performance.now()
    expect((await post("/track", { name: "y" })).status).toBe(200)
    slowest = Math.max(slowest, performance.now() - sent)
  }
  expect((await forgetting).out).toStartWith("deleted 2000 events, 1 profile and 1 link")
  expect(slowest).toBeLessThan(2_000)
  expect(traces()).toEqual([])
})

const wrong: [string, string, unknown, number, string][] = [
  ["no person", "w", {}, 400, "must have a profileId or an anonymousId"],
  ["two", "w", { profileId: "a", anonymousId: "b" }, 400, "must have either a profileId or an anonymousId"],
  ["an empty id", "w", { profileId: "" }, 400, "must be a string of 1 to 256 characters"],
  ["a number", "w", { anonymousId: 1 }, 400, "must be a string of 1 to 256 characters"],
  ["another field", "w", { email: "a@b.c" }, 400, "is not a field of this request"],
  ["an unknown website", "none", { profileId: "a" }, 404, "no website has the ID none"],
]

test("invalid arguments delete nothing", async () => {
  await fill()
  for (const [, website, body, status, message] of wrong) {
    const answer = await post(`/v1/websites/${website}/forget`, body)
    expect([answer.status, answer.body.error]).toEqual([status, expect.stringContaining(message)])
  }
  for (const args of [[], ["--profile-id", "a", "--anonymous-id", "b"]]) {
    const { code, err } = await run("forget", "--website", "w", "--yes", ...args)
    expect([code, err]).toEqual([2, expect.stringContaining("give either --profile-id or --anonymous-id")])
  }
  expect((await run("forget", "--profile-id", "a")).code).toBe(2)
  expect((await run("forget", "--website", "none", "--profile-id", "a", "--yes")).code).toBe(1)
  const { body } = await post("/v1/websites/w/forget", { profileId: secret })
  expect(body).toMatchObject({ events: 100, profiles: 1 })
})

import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
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

interface Outcome {
  code: number
  out: string
  err: string
}

let folder: TemporaryFolder
let db = ""

beforeEach(() => {
  folder = temporaryFolder()
  db = folder.file("databuddy.db")
})

afterEach(() => folder[Symbol.dispose]())

/** Runs the binary in the test's folder, where `./databuddy.db` is the database. */
async function run(...args: string[]): Promise<Outcome> {
  return runWith({}, ...args)
}

async function runWith(env: Record<string, string>, ...args: string[]): Promise<Outcome> {
  const child = Bun.spawn([binary, ...args], {
    cwd: folder.path,
    env: environment(env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { code, out, err }
}

/** Runs a command that must succeed with `--json`, and returns its output. */
// biome-ignore lint/suspicious/noExplicitAny: the output of a command is only compared
async function json(...args: string[]): Promise<any> {
  const { code, out, err } = await run(...args, "--json")
  expect({ code, err }).toEqual({ code: 0, err: "" })
  expect(out.endsWith("\n") && out.indexOf("\n") === out.length - 1).toBe(true)
  return JSON.parse(out)
}

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

describe("--help", () => {
  const commands = [
    "website create",
    "website list",
    "website show",
    "website update",
    "website pause",
    "website resume",
    "website delete",
    "key create",
    "key list",
    "key show",
    "key revoke",
    "key rotate",
    "key end-overlap",
    "key disable",
    "key enable",
    "user create",
    "user list",
    "user reset",
    "user delete",
    "forget",
    "import",
    "backup",
    "restore",
    "check",
    "doctor",
  ]
  test.each(commands)("of %s shows its usage, its flags and an example", async (command) => {
    const { code, out, err } = await run(...command.split(" "), "--help")
    expect({ code, err }).toEqual({ code: 0, err: "" })
    expect(out).toStartWith(`Usage: databuddy ${command} `)
    expect(out).toContain("--json")
    expect(out).toContain("--db <file>")
    expect(out).toContain("DATABUDDY_DB")
    expect(out).toContain(`Example:\n  databuddy ${command}`)
  })

  test.each([[[]], [["serve"]], [["website"]], [["key"]], [["user"]], [["version"]], [["export"]]])(
    "of %p succeeds",
    async (command) => {
      const { code, out, err } = await run(...command, "--help")
      expect({ code, err }).toEqual({ code: 0, err: "" })
      expect(out).toStartWith(`Usage: ${["databuddy", ...command].join(" ")} `)
    },
  )

  test("of every command accepts secrets only in a file or on standard input, because arguments are visible to other users", async () => {
    const helps = await Promise.all(
      [...commands, "serve", "export", "refusals", "version"].map(async (command) => {
        const { out } = await run(...command.split(" "), "--help")
        return out.match(/--[\w-]*(?:key|token|secret|pass|credential)[\w-]*(?: <[^>]*>)?/g) ?? []
      }),
    )
    const flags = new Set(helps.flat())
    // A sentence can name a flag without its value.
    const defined = [...flags].filter((flag) => !flags.has(`${flag} <file>`))
    expect(defined.sort()).toEqual([
      "--backup-credentials <file>",
      "--backup-key <file>",
      "--clickhouse-password-file <file>",
      "--metrics-token-file <file>",
      "--password-stdin",
      "--registry-secret-file <file>",
      "--tls-key <file>",
    ])
  })

  test("needs no database and creates none", async () => {
    await run("website", "list", "--help")
    expect(readdirSync(folder.path)).toEqual([])
  })
})

test.each(["--version", "-V"])("%s prints the output of version on one line", async (flag) => {
  const { version, commit, bun, sqlite } = await json("version")
  const line = `databuddy ${version} (commit ${commit}, Bun ${bun}, SQLite ${sqlite})\n`
  expect(await run(flag)).toEqual({ code: 0, out: line, err: "" })
  expect(readdirSync(folder.path)).toEqual([])
})

describe("a usage error exits with 2:", () => {
  const misuses: [string, string[]][] = [
    ["an unknown command", ["websites"]],
    ["an unknown command of a group", ["key", "make"]],
    ["a group alone", ["website"]],
    ["an unknown flag", ["website", "list", "--jason"]],
    ["a missing argument", ["website", "create"]],
    ["an extra argument", ["website", "show", "a", "b"]],
    ["a flag without its value", ["website", "create", "a.com", "--name"]],
    ["an unknown way to anonymize", ["website", "create", "a.com", "--anonymize", "weekly"]],
    ["an update without changes", ["website", "update", "a"]],
    ["a key without a name", ["key", "create"]],
    ["an unknown scope", ["key", "create", "--name", "k", "--scope", "admin"]],
    ["an expiry that is not a time", ["key", "create", "--name", "k", "--expires", "soon"]],
    ["an expiry without a unit", ["key", "create", "--name", "k", "--expires", "90"]],
    ["a rate that is not a number", ["key", "create", "--name", "k", "--rate-limit", "many"]],
    ["a user without an email", ["user", "create"]],
    ["an unknown role", ["user", "create", "a@example.com", "--role", "admin"]],
    ["a link and a password", ["user", "reset", "a@example.com", "--link", "--password-stdin"]],
    ["a rate of 0", ["key", "create", "--name", "k", "--rate-limit", "0"]],
  ]
  test.each(misuses)("%s", async (_, args) => {
    const { code, out, err } = await run(...args)
    expect({ code, out }).toEqual({ code: 2, out: "" })
    expect(err).toMatch(/error: |Usage: /)
    expect(readdirSync(folder.path)).toEqual([])
  })
})

describe("an empty value is rejected by name:", () => {
  const values: [string, Record<string, string>, string[], string][] = [
    ["DATABUDDY_DB", { DATABUDDY_DB: "" }, ["serve"], "DATABUDDY_DB"],
    ["DATABUDDY_DB of a command", { DATABUDDY_DB: "" }, ["website", "list"], "DATABUDDY_DB"],
    ["--db", {}, ["serve", "--db", ""], "--db"],
    ["--db of a command", {}, ["website", "create", "a.com", "--db", " "], "--db"],
    ["DATABUDDY_HOST", { DATABUDDY_HOST: "" }, ["serve"], "DATABUDDY_HOST"],
    ["--host", {}, ["serve", "--host", ""], "--host"],
  ]
  test.each(values)("%s", async (_, env, args, name) => {
    const { code, out, err } = await runWith(env, ...args)
    expect({ code, out }).toEqual({ code: 2, out: "" })
    expect(err).toContain(name)
    expect(err).toMatch(/^error: .* It must be .*, such as /)
    expect(readdirSync(folder.path)).toEqual([])
  })
})

describe("DATABUDDY_NO_SETUP", () => {
  test.each(["0", "false", "No", "off", ""])("set to %p does not prevent the setup", async (value) => {
    const server = await startServer({ db, env: { DATABUDDY_NO_SETUP: value } })
    expect(server.key).toStartWith("dbdy_")
    expect(await server.stop()).toBe(0)
  })

  test.each(["1", "true", "YES", "on"])("set to %p prevents the setup", async (value) => {
    const server = await startServer({ db, env: { DATABUDDY_NO_SETUP: value } })
    expect(server.key).toBe("")
    expect(await server.stop()).toBe(0)
  })

  test("set to any other value is rejected by name", async () => {
    const { code, out, err } = await runWith({ DATABUDDY_NO_SETUP: "maybe" }, "serve")
    expect({ code, out, err }).toEqual({
      code: 2,
      out: "",
      err: "error: DATABUDDY_NO_SETUP must be 1 or 0\n",
    })
  })
})

describe("an address that cannot be listened on is reported with a hint:", () => {
  test.each(["300.1.1.1", "192.0.2.1", "no.such.invalid", "a b"])("--host %p", async (host) => {
    const { code, out, err } = await run("serve", "--host", host, "--port", "0")
    expect({ code, out }).toEqual({ code: 1, out: "" })
    expect(err).toContain(`error: cannot listen on --host ${host} --port 0 (E`)
    expect(err).toContain("\nhint: set --host to an address of this machine: 127.0.0.1")
  })

  const withoutRight = ["setpriv", "--bounding-set=-net_bind_service"]
  const mayDrop = Bun.which("setpriv") && Bun.spawnSync([...withoutRight, "true"]).exitCode === 0
  const firstFree = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
  const isKept = existsSync(firstFree) && Number(readFileSync(firstFree, "utf8")) > 80
  test.skipIf(!mayDrop || !isKept)("--port 80 without permission", () => {
    const child = Bun.spawnSync([...withoutRight, binary, "serve", "--port", "80"], { cwd: folder.path })
    expect(child.exitCode).toBe(1)
    expect(child.stderr.toString()).toContain(
      "error: --port 80: this user is not allowed to listen on port 80 of 127.0.0.1 (EACCES)\nhint: use a --port of 1024 or above",
    )
  })
})

test.each(["400", "12m", "0d", "36526d", "default", ""])("serve --retain %p is refused", async (time) => {
  const { code, out, err } = await run("serve", "--port", "0", "--retain", time)
  expect({ code, out }).toEqual({ code: 2, out: "" })
  expect(err).toContain('It must be "forever", or a duration from 1d to 36525d, such as 90d or 52w')
  expect(readdirSync(folder.path)).toEqual([])
})

describe("a queue that is smaller than the largest allowed request", () => {
  const refused: [string, Record<string, string>, string[], string, string][] = [
    ["events", {}, ["--queue-events", "9", "--max-batch", "10"], "--queue-events 9", "--max-batch 10"],
    ["bytes", {}, ["--queue-bytes", "2047", "--max-body", "2048"], "--queue-bytes 2047", "--max-body 2048"],
    [
      "events, from the environment",
      { DATABUDDY_QUEUE_EVENTS: "5", DATABUDDY_MAX_BATCH: "6" },
      [],
      "--queue-events 5",
      "--max-batch 6",
    ],
    [
      "events, with a flag that sets the default",
      { DATABUDDY_QUEUE_EVENTS: "5" },
      ["--max-batch", "1000"],
      "--queue-events 5",
      "--max-batch 1000",
    ],
  ]
  test.each(refused)("in %s is rejected with both flags named", async (_, env, args, queue, request) => {
    const { code, out, err } = await runWith(env, "serve", "--port", "0", ...args)
    expect({ code, out }).toEqual({ code: 2, out: "" })
    const [queueFlag, requestFlag] = [queue.split(" ")[0], request.split(" ")[0]]
    expect(err).toStartWith(`error: ${queue} is smaller than ${request}, `)
    expect(err).toContain(`Raise ${queueFlag} or lower ${requestFlag}.`)
    expect(readdirSync(folder.path)).toEqual([])
  })

  const batch = (events: number) => JSON.stringify(Array(events).fill({ name: "x" }))
  const body = (bytes: number) => `{"name":"x"}${" ".repeat(bytes - 12)}`
  const fits: [string, string[], string, string, number][] = [
    ["a small queue of events", ["--queue-events", "5"], batch(5), batch(6), 400],
    ["large batches", ["--max-batch", "50001"], batch(50_001), batch(50_002), 400],
    ["a small queue of bytes", ["--queue-bytes", "2048"], body(2_048), body(2_049), 413],
    ["large bodies", ["--max-body", "67108865"], body(67_108_865), body(67_108_866), 413],
  ]
  test.each(fits)("does not result from %s alone", async (_, args, largest, larger, status) => {
    const server = await startServer({ db, args })
    try {
      const send = (body: string) =>
        fetch(`${server.url}/track`, {
          method: "POST",
          headers: { "x-api-key": server.key },
          body,
        })
      expect((await send(largest)).status).toBe(200)
      expect((await send(larger)).status).toBe(status)
    } finally {
      await server.kill()
    }
  })
})

test("a queue that is smaller than a batch of the page script accepts such a batch", async () => {
  const server = await startServer({ db, args: ["--queue-events", "5"] })
  const items = Array.from({ length: 100 }, (_, index) => ({
    eventId: String(index),
    name: "screen_view",
    path: "https://localhost/",
  }))
  const [website] = await json("website", "list")
  const response = await fetch(`${server.url}/batch?client_id=${website.id}`, {
    method: "POST",
    body: JSON.stringify(items),
  })
  expect([response.status, ((await response.json()) as { status: string }).status]).toEqual([200, "success"])
  await server.kill()
})

describe("a failure exits with 1, an error and a hint on stderr:", () => {
  const failures: [string, string[], string][] = [
    ["an unknown website", ["website", "show", "none"], "no website has the ID none"],
    ["pausing an unknown website", ["website", "pause", "none"], "no website has the ID none"],
    ["deleting an unknown website", ["website", "delete", "none", "--yes"], "no website has the ID none"],
    [
      "an id that is taken",
      ["website", "create", "a.com", "--id", "taken"],
      "a website with the ID taken already exists",
    ],
    [
      "a domain without a host",
      ["website", "create", "https://"],
      "the domain must be a host or an origin without wildcards, such as example.com or https://example.com",
    ],
    [
      "a wildcard among the origins",
      ["website", "create", "a.com", "--allowed-origin", "*.a.com"],
      "--allowed-origin must be a host or an origin without wildcards, such as example.com, https://example.com or capacitor://localhost",
    ],
    [
      "an id with a slash",
      ["website", "create", "a.com", "--id", "a/b"],
      "--id must be 1 to 255 characters A-Z, a-z, 0-9, '.', '_' or '-', but not '.', '..', 'all' or 'none'",
    ],
    [
      "an id that a URL treats as a folder",
      ["website", "create", "a.com", "--id", ".."],
      "--id must be 1 to 255 characters A-Z, a-z, 0-9, '.', '_' or '-', but not '.', '..', 'all' or 'none'",
    ],
    [
      "a name with an escape sequence",
      ["key", "create", "--name", "\u001b[31m"],
      "--name must be a string of 1 to 256 characters without control characters",
    ],
    ["an unknown key", ["key", "revoke", "none"], "no key has the ID none"],
    ["rotating an unknown key", ["key", "rotate", "none"], "no key has the ID none"],
    [
      "a key for an unknown website",
      ["key", "create", "--name", "k", "--website", "none"],
      "--website none does not exist",
    ],
    [
      "an expiry in the past",
      ["key", "create", "--name", "k", "--expires", "2001-01-01"],
      "--expires must be a date in the future, as ISO 8601 or Unix milliseconds, or null",
    ],
    [
      "deleting without --yes",
      ["website", "delete", "taken"],
      "this would permanently delete the website taken (taken.com) and its 0 events",
    ],
  ]
  test.each(failures)("%s", async (_, args, message) => {
    await json("website", "create", "taken.com", "--id", "taken")
    const { code, out, err } = await run(...args)
    expect({ code, out }).toEqual({ code: 1, out: "" })
    const [error, hint, ...rest] = err.split("\n")
    expect(error).toBe(`error: ${message}`)
    expect(hint).toMatch(/^hint: .+/)
    expect(rest).toEqual([""])
    expect(await json("website", "list")).toHaveLength(1)
    expect(await json("key", "list")).toEqual([])
  })

  test.each([
    [["website", "list"]],
    [["key", "list"]],
    [["key", "revoke", "x"]],
    [["website", "delete", "x", "--yes"]],
  ])("%p without a database, which is not created", async (args) => {
    const { code, err } = await run(...args, "--db", "mistyped.db")
    expect(code).toBe(1)
    expect(err).toContain(`${folder.file("mistyped.db")} does not exist`)
    expect(err).toContain("hint: ")
    expect(readdirSync(folder.path)).toEqual([])
  })

  test("a path that is not a file, which is not opened", async () => {
    mkdirSync(folder.file("folder"))
    // Opening a named pipe waits for a writer. While it waits, no signal ends the command.
    execFileSync("mkfifo", [folder.file("pipe")])
    writeFileSync(folder.file("file"), "")
    const paths = {
      folder: "is a folder",
      pipe: "is not a file",
      "/dev/null": "is not a file",
      "file/x.db": "is below a file",
    }
    for (const [path, message] of Object.entries(paths)) {
      const commands = [
        ["serve"],
        ["website", "list"],
        ["key", "create", "--name", "x"],
        ["export"],
        ["check"],
      ]
      for (const args of [...commands, ["migrate"], ["rebuild"], ["restore", db]]) {
        const { code, err } = await run(...args, "--db", path)
        expect([args, code, err]).toEqual([args, 1, expect.stringContaining(`${path} ${message}`)])
        expect(err).toContain("hint: set --db or DATABUDDY_DB to a file")
      }
    }
  })

  test("a file that is not a database, which is left unchanged", async () => {
    writeFileSync(db, "a letter to a friend, longer than the header of a database".repeat(20))
    const before = readFileSync(db)
    const { code, err } = await run("website", "list")
    expect([code, err]).toEqual([1, expect.stringContaining("is not an SQLite database")])
    expect(readFileSync(db)).toEqual(before)
  })
})

describe("databuddy website", () => {
  test("create creates the database, and prints the website as one object", async () => {
    const website = await json("website", "create", "https://www.Example.com/")
    expect(website).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      domain: "example.com",
      name: "example.com",
      allowedOrigins: [],
      anonymize: "off",
      retain: "default",
      pageIdentify: true,
      lowerIsBetter: [],
      createdAt: expect.stringMatching(isoTime),
      pausedAt: null,
    })
    expect(readdirSync(folder.path)).toEqual(["databuddy.db"])
    expect(statSync(db).mode & 0o077).toBe(0)
  })

  test("create accepts every setting of a website", async () => {
    const flags = ["--name", "Mine", "--id", "my.site", "--anonymize", "daily", "--retain", "90d"]
    const origins = ["a.net", "https://b.net:8443", "Capacitor://localhost/"].flatMap((one) => [
      "--allowed-origin",
      one,
    ])
    expect(await json("website", "create", ...flags, ...origins, "example.com")).toMatchObject({
      id: "my.site",
      name: "Mine",
      anonymize: "daily",
      retain: "90d",
      allowedOrigins: ["a.net", "b.net", "capacitor://localhost"],
    })
  })

  test("update changes only the given settings", async () => {
    const website = await json("website", "create", "old.com", "--id", "w", "--allowed-origin", "a.net")
    expect(await json("website", "update", "w", "--name", "New")).toEqual({ ...website, name: "New" })
    expect(await json("website", "update", "w", "--domain", "new.com", "--anonymize", "daily")).toEqual({
      ...website,
      name: "New",
      domain: "new.com",
      anonymize: "daily",
    })
    const origins = ["--allowed-origin", "b.net", "--allowed-origin", "c.net"]
    expect((await json("website", "update", "w", ...origins)).allowedOrigins).toEqual(["b.net", "c.net"])
    expect((await json("website", "update", "w", "--no-allowed-origin")).allowedOrigins).toEqual([])
    expect((await json("website", "update", "w", "--retain", "forever")).retain).toBe("forever")
    expect((await json("website", "update", "w", "--retain", "default")).retain).toBe("default")
  })

  test("pause and resume work, even when repeated", async () => {
    const website = await json("website", "create", "a.com", "--id", "w")
    const paused = await json("website", "pause", "w")
    expect(paused).toEqual({ ...website, pausedAt: expect.stringMatching(isoTime) })
    expect(await json("website", "pause", "w")).toEqual(paused)
    expect(await json("website", "resume", "w")).toEqual(website)
    expect(await json("website", "resume", "w")).toEqual(website)
  })

  test("list and show print aligned text, and exact JSON for scripts", async () => {
    expect((await run("website", "create", "a.com", "--id", "first", "--name", "漢字")).code).toBe(0)
    const { out: created } = await run("website", "create", "longer.example.com", "--id", "w2")
    expect(created).toContain("\nallowed origins  only the domain\n")
    await json("website", "pause", "w2")
    const { out } = await run("website", "list")
    const lines = out.split("\n")
    expect(lines).toHaveLength(4)
    const columns = (lines[0] as string).match(/\S+\s*/g) ?? []
    expect(columns.map((name) => name.trim())).toEqual([
      "ID",
      "DOMAIN",
      "NAME",
      "ANONYMIZE",
      "RETAIN",
      "STATE",
      "CREATED",
    ])
    for (const line of lines.slice(1, 3)) {
      let start = 0
      for (const column of columns) {
        // 漢字 has two characters, but takes up four columns of a terminal.
        const shift = line.includes("漢字") && start > (lines[0] as string).indexOf("NAME") ? 2 : 0
        expect(line.slice(start - shift)).toMatch(/^\S/)
        start += column.length
      }
    }
    expect(await json("website", "list")).toEqual([
      expect.objectContaining({ id: "first", name: "漢字" }),
      expect.objectContaining({ id: "w2", pausedAt: expect.stringMatching(isoTime) }),
    ])
    expect(await json("website", "show", "first")).toMatchObject({ id: "first", events: 0 })
  })

  test("escapes names that a terminal would interpret, and leaves them exact in JSON", async () => {
    await json("website", "create", "a.com", "--id", "first")
    const name = "a\u001b[2J\r\nb\u202ec\u009b"
    withDatabase(db, (open) =>
      createWebsite(
        open,
        "evil",
        { domain: "b.com", name, allowedOrigins: [], anonymize: "off" },
        Date.now(),
      ),
    )
    for (const args of [["list"], ["show", "evil"]]) {
      const { out } = await run("website", ...args)
      expect(out).toContain("a\\u{1b}[2J\\u{d}\\u{a}b\\u{202e}c\\u{9b}")
    }
    expect((await json("website", "show", "evil")).name).toBe(name)
  })

  test("list prints a complete list that is larger than a pipe buffer", async () => {
    await json("website", "create", "a.com")
    withDatabase(db, (open) => {
      for (let n = 0; n < 3_000; n++) {
        const settings = {
          domain: "a.com",
          name: "x".repeat(100),
          allowedOrigins: [],
          anonymize: "off" as const,
        }
        createWebsite(open, `w${n}`, settings, Date.now())
      }
    })
    expect(await json("website", "list")).toHaveLength(3_001)
  })

  test("the value of an environment variable can end with a carriage return or a space", async () => {
    await json("website", "create", "a.com")
    const { code, out } = await runWith({ DATABUDDY_DB: "./databuddy.db \r" }, "website", "list", "--json")
    expect([code, JSON.parse(out).length]).toEqual([0, 1])
  })

  test("the database can be set in the environment, and the flag takes precedence", async () => {
    const env = { DATABUDDY_DB: folder.file("env.db") }
    expect((await runWith(env, "website", "create", "a.com")).code).toBe(0)
    expect((await runWith(env, "website", "create", "a.com", "--db", folder.file("flag.db"))).code).toBe(0)
    expect(readdirSync(folder.path).sort()).toEqual(["env.db", "flag.db"])
  })
})

describe("databuddy key", () => {
  test("create prints the key once, as one object", async () => {
    const { key, ...rest } = await json("key", "create", "--name", "backend")
    expect(key).toMatch(/^dbdy_[\w-]{32}$/)
    expect(rest).toEqual({
      previousStart: null,
      previousExpiresAt: null,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: "backend",
      start: key.slice(0, 12),
      scopes: ["track:events"],
      websites: null,
      rateLimit: null,
      createdAt: expect.stringMatching(isoTime),
      expiresAt: null,
      disabledAt: null,
      revokedAt: null,
      lastUsedAt: null,
    })
    expect(await json("key", "list")).toEqual([rest])
    expect(await json("key", "show", rest.id)).toEqual(rest)
    const shown = (await run("key", "list")).out + (await run("key", "show", rest.id)).out
    expect(shown).not.toContain(key)
    expect(shown).toContain(`${rest.start}…`)
    expect(readFileSync(db).includes(key)).toBe(false)
  })

  test("create accepts every setting of a key", async () => {
    await json("website", "create", "a.com", "--id", "a")
    await json("website", "create", "b.com", "--id", "b")
    const scopes = ["--scope", "read:data", "--scope", "manage:keys"]
    const websites = ["--website", "a", "--website", "b"]
    const flags = ["--rate-limit", "600", "--expires", "2999-12-31"]
    expect(await json("key", "create", "--name", "k", ...scopes, ...websites, ...flags)).toMatchObject({
      scopes: ["read:data", "manage:keys"],
      websites: ["a", "b"],
      rateLimit: 600,
      expiresAt: "2999-12-31T00:00:00.000Z",
    })
  })

  test.each([
    ["90s", 90_000],
    ["5m", 300_000],
    ["12h", 43_200_000],
    ["90d", 7_776_000_000],
    ["4w", 2_419_200_000],
  ])("create --expires %s counts from now", async (expires, ms) => {
    const { createdAt, expiresAt } = await json("key", "create", "--name", "k", "--expires", expires)
    expect(Math.abs(Date.parse(expiresAt) - Date.parse(createdAt) - ms)).toBeLessThan(1_000)
  })

  test("create without --json states that the key is shown once", async () => {
    const { code, out, err } = await run("key", "create", "--name", "k")
    expect({ code, err }).toEqual({ code: 0, err: "" })
    expect(out).toMatch(/^key +dbdy_[\w-]{32}$/m)
    expect(out).toContain("not shown again")
  })

  test("rotate, disable, enable and revoke work", async () => {
    const { id, key, ...rest } = await json("key", "create", "--name", "k")
    const overlapping = await json("key", "rotate", id, "--overlap", "1d")
    expect(overlapping).toMatchObject({
      previousStart: rest.start,
      previousExpiresAt: expect.stringMatching(isoTime),
    })
    expect((await run("key", "list")).out).toContain(`${rest.start}… until `)
    expect((await run("key", "show", id)).out).toMatch(/^previous key +dbdy_\S+…, accepted until /m)
    expect(await json("key", "end-overlap", id)).toEqual({ ...rest, id, start: overlapping.start })
    const rotated = await json("key", "rotate", id)
    expect(rotated).toMatchObject({ id, name: "k", key: expect.stringMatching(/^dbdy_[\w-]{32}$/) })
    expect(rotated.key).not.toBe(key)
    expect((await json("key", "disable", id)).disabledAt).toMatch(isoTime)
    expect(await json("key", "enable", id)).toEqual({ ...rest, id, start: rotated.start })
    const revoked = await json("key", "revoke", id)
    expect(revoked.revokedAt).toMatch(isoTime)
    expect((await json("key", "revoke", id)).revokedAt).toBe(revoked.revokedAt)
    for (const command of ["rotate", "enable", "disable"]) {
      const { code, err } = await run("key", command, id)
      expect([command, code, err]).toEqual([command, 1, expect.stringContaining("revoked")])
    }
    expect((await run("key", "list")).out).toContain("revoked")
  })
})

describe("while a server runs", () => {
  const servers: Server[] = []

  afterAll(async () => {
    await Promise.all(servers.map((server) => server.kill()))
  })

  async function serve(): Promise<Server> {
    const server = await startServer({ db })
    servers.push(server)
    return server
  }

  async function track(
    server: Server,
    query: string,
    key?: string,
    body: unknown = { name: "x" },
  ): Promise<number> {
    const headers: Record<string, string> = { "Content-Type": "application/json" }
    if (key) headers.Authorization = `Bearer ${key}`
    const answer = await fetch(`${server.url}/track${query}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    })
    return answer.status
  }

  /** Sends requests until the server responds with `status`; fails if that takes more than the promised second. */
  async function withinASecond(status: number, ask: () => Promise<number>): Promise<void> {
    await eventually(async () => (await ask()) === status, { timeout: 1_000, pause: 25 })
  }

  test("a key takes effect within a second of being created, disabled, enabled, rotated and revoked", async () => {
    const server = await serve()
    const { id, key } = await json("key", "create", "--name", "k")
    await withinASecond(200, () => track(server, "", key))
    await json("key", "disable", id)
    await withinASecond(401, () => track(server, "", key))
    await json("key", "enable", id)
    await withinASecond(200, () => track(server, "", key))
    const rotated = await json("key", "rotate", id)
    await withinASecond(401, () => track(server, "", key))
    await withinASecond(200, () => track(server, "", rotated.key))
    await json("key", "revoke", id)
    await withinASecond(401, () => track(server, "", rotated.key))
    expect(await server.stop()).toBe(0)
    expect((await json("key", "show", id)).lastUsedAt).toMatch(isoTime)
  })

  test("a website takes effect within a second of being created, paused, resumed, changed and deleted", async () => {
    const server = await serve()
    await json("website", "create", "a.com", "--id", "w")
    const send = () => track(server, "?website_id=w")
    await withinASecond(200, send)
    await json("website", "pause", "w")
    await withinASecond(404, send)
    await json("website", "resume", "w")
    await withinASecond(200, send)
    await json("website", "update", "w", "--allowed-origin", "b.net")
    await withinASecond(403, send)
    const deleting = json("website", "delete", "w", "--yes")
    await withinASecond(404, send)
    await deleting
    expect(await server.stop()).toBe(0)
  })

  test("delete shows what it would delete, deletes only that, and the server continues to work", async () => {
    const server = await serve()
    await json("website", "create", "a.com", "--id", "going")
    await json("website", "create", "b.com", "--id", "staying")
    await withinASecond(200, () => track(server, "?website_id=staying", server.key))
    const batch = (websiteId: string) => Array.from({ length: 1_000 }, () => ({ name: "x", websiteId }))
    for (let n = 0; n < 10; n++) expect(await track(server, "", server.key, batch("going"))).toBe(200)
    expect(await json("website", "show", "going")).toMatchObject({ events: 10_000 })

    const refused = await run("website", "delete", "going")
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("(a.com) and its 10000 events")])
    expect(await json("website", "show", "going")).toMatchObject({ events: 10_000 })

    let done = false
    const deleting = json("website", "delete", "going", "--yes").finally(() => {
      done = true
    })
    let sent = 0
    while (!done) {
      expect(await track(server, "?website_id=staying", server.key)).toBe(200)
      sent++
      await Bun.sleep(5)
    }
    expect(await deleting).toEqual({ id: "going", events: 10_000 })
    expect(sent).toBeGreaterThan(10)
    expect(await json("website", "show", "staying")).toMatchObject({ events: sent + 1 })
    expect(await server.stop()).toBe(0)
    expect(existsSync(`${db}-wal`)).toBe(false)
    const reader = openReader(db)
    expect(reader.prepare("select count(*) from events").pluck().get()).toBe(sent + 1)
    reader.close()
  })
})

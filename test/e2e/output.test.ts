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
import { copyFileSync } from "node:fs"
import { createWebsite } from "../../src/store/websites.ts"
import { openReader, temporaryFolder, withDatabase } from "../harness.ts"
import { binary } from "../support/binary.ts"

// A command whose output cannot be written reports it, and does not create or change a secret that it could not show.

setDefaultTimeout(30_000)

const originals = temporaryFolder()
beforeAll(() =>
  withDatabase(originals.file("websites.db"), (db) => {
    const settings = { domain: "a.com", name: "a", allowedOrigins: [], anonymize: "off" as const }
    for (let n = 0; n < 2_000; n++) createWebsite(db, `w${n}`, settings, 0)
  }),
)
afterAll(() => originals[Symbol.dispose]())

let folder: ReturnType<typeof temporaryFolder>
beforeEach(() => {
  folder = temporaryFolder()
  copyFileSync(originals.file("websites.db"), folder.file("databuddy.db"))
})
afterEach(() => folder[Symbol.dispose]())

function shell(line: string) {
  const { PATH = "", TMPDIR = "/tmp" } = process.env
  const run = Bun.spawnSync(["bash", "-c", line, binary], {
    cwd: folder.path,
    env: { PATH, TMPDIR },
    timeout: 20_000,
  })
  return { code: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() }
}

function count(table: string, db = "databuddy.db"): unknown {
  const reader = openReader(folder.file(db))
  try {
    return reader.prepare(`select count(*) from ${table}`).pluck().get()
  } finally {
    reader.close()
  }
}

const full = "cannot write to standard output (ENOSPC)"
const commands = [
  "--help",
  "website --help",
  "--version",
  "version",
  "version --json",
  "website list",
  "website list --json",
  "website show w1",
  "key list",
  "user list",
  "doctor --json",
  "check",
  "stats",
  "query custom_events",
  "query custom_events --json",
  "query custom_events --csv",
  "export",
  "export --gzip",
  "migrate --status",
  "backup copy.db",
]

describe.skipIf(process.platform !== "linux")("output to a full disk", () => {
  test.each(commands)("makes databuddy %s fail", (command) => {
    const { code, err } = shell(`"$0" ${command} > /dev/full`)
    expect([code, err]).toEqual([1, `error: ${full}\n`])
  })

  const secrets = [
    ["key create --name k", "keys"],
    ["key create --name k --json", "keys"],
    ["user create ada@example.com", "users"],
  ] as const
  test.each(secrets)(
    "makes databuddy %s create nothing, because the secret was not shown",
    (command, table) => {
      const { code, err } = shell(`"$0" ${command} > /dev/full`)
      expect([code, err]).toEqual([1, `error: ${full}\n`])
      expect(count(table)).toBe(0)
    },
  )

  test("leaves a key and a password unchanged", () => {
    const { id } = JSON.parse(shell('"$0" key create --name k --json').out)
    shell('"$0" user create ada@example.com')
    const state = () => {
      const reader = openReader(folder.file("databuddy.db"))
      const found = reader
        .prepare("select (select hex(hash) from keys), (select password from users)")
        .raw()
        .get()
      reader.close()
      return found
    }
    const before = state()
    for (const command of [
      `key rotate ${id}`,
      "user reset ada@example.com",
      "user reset ada@example.com --link",
    ]) {
      expect(shell(`"$0" ${command} > /dev/full`).code).toBe(1)
    }
    expect(state()).toEqual(before)
    expect(count("invites")).toBe(0)
  })

  test("makes the first start fail without creating a key, but not a later start", () => {
    const { code, err } = shell('timeout 10 "$0" serve --port 0 --db new.db > /dev/full')
    expect([code, err]).toEqual([1, expect.stringContaining("the first key cannot be shown")])
    expect([count("keys", "new.db"), count("websites", "new.db"), count("invites", "new.db")]).toEqual([
      0, 0, 0,
    ])
    const later = shell('timeout --preserve-status -s TERM 2 "$0" serve --port 0 > /dev/full')
    expect(later.code).toBe(0)
    expect(later.err).toContain('"started"')
    expect(count("invites")).toBe(0)
  })
})

describe.skipIf(process.platform !== "linux")("output that nobody sees", () => {
  const outputs = [
    ["the null device", "> /dev/null"],
    ["a closed descriptor", ">&-"],
  ] as const
  describe.each(outputs)("on %s", (_, redirect) => {
    test("changes no key, user or link whose secret would be shown", () => {
      const { id } = JSON.parse(shell('"$0" key create --name k --json').out)
      shell('"$0" user create ada@example.com')
      const state = () =>
        withDatabase(folder.file("databuddy.db"), (db) =>
          db
            .prepare(
              "select (select group_concat(hex(hash)) from keys), (select group_concat(password) from users), (select count(*) from invites)",
            )
            .raw()
            .get(),
        )
      const before = state()
      for (const command of [
        "key create --name l",
        "key create --name l --json",
        `key rotate ${id}`,
        "user create bob@example.com",
        "user reset ada@example.com",
        "user reset ada@example.com --link",
      ]) {
        const { code, err } = shell(`"$0" ${command} ${redirect}`)
        expect([command, code, err]).toEqual([command, 1, expect.stringContaining("output is discarded")])
      }
      expect(state()).toEqual(before)
    })

    test("is accepted if no secret would be shown", () => {
      for (const command of [
        "website list",
        "website create b.com",
        "echo a-long-password | $0 user create ada@example.com --password-stdin",
      ]) {
        const line = command.startsWith("echo") ? command : `"$0" ${command}`
        expect([command, shell(`${line} ${redirect}`).code]).toEqual([command, 0])
      }
      expect(count("users")).toBe(1)
    })

    test("lets a server start without creating a key, which nobody would see", () => {
      const { code, err } = shell(
        `timeout --preserve-status -s TERM 2 "$0" serve --port 0 --db new.db ${redirect}`,
      )
      expect([code, err]).toEqual([0, expect.stringContaining("did not create a first key or a setup link")])
      expect([count("keys", "new.db"), count("invites", "new.db")]).toEqual([0, 0])
    })
  })
})

describe("a reader that closes the pipe", () => {
  test.each(["export", "website list", "website list --json"])(
    "ends databuddy %s without a message",
    (command) => {
      const { code, out, err } = shell(
        `set -o pipefail; "$0" ${command} | head -n 1 | head -c 20; exit \${PIPESTATUS[0]}`,
      )
      expect([code, out.length, err]).toEqual([141, 20, ""])
    },
  )

  test("leaves no key that was not shown", () => {
    const made = shell('{ sleep 0.5; "$0" key create --name k; echo $? > code; } | true; cat code')
    expect(made.out).toBe("141\n")
    expect(count("keys")).toBe(0)
  })
})

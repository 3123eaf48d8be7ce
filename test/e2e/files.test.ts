import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { createWebsite } from "../../src/store/websites.ts"
import { startServer, type TemporaryFolder, temporaryFolder, withDatabase } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"

// Behavior in a folder where other users can also create files.

let folder: TemporaryFolder
let victim = ""
beforeEach(() => {
  folder = temporaryFolder()
  victim = folder.file("victim")
  writeFileSync(victim, "precious")
  withDatabase(folder.file("databuddy.db"), (db) => {
    const settings = { domain: "a.com", name: "a", allowedOrigins: [], anonymize: "off" as const }
    createWebsite(db, "w", settings, 0)
  })
})
afterEach(() => folder[Symbol.dispose]())

/** Runs a shell command in the folder. `"$0"` is the executable. */
function shell(line: string) {
  const run = Bun.spawnSync(["sh", "-c", line, binary], { cwd: folder.path, env: environment() })
  return { code: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() }
}

const gone = () => Bun.spawnSync(["true"]).pid

describe("a link that another user created with a temporary name of this process is not followed", () => {
  const commands = [
    ["export --out", "out", "export --out out"],
    ["backup", "out", "backup out"],
  ] as const
  test.each(commands)("by %s", (_, place, command) => {
    // The process keeps the pid of the shell.
    const { code } = shell(`ln -s victim ${place}.partial-$$; exec "$0" ${command}`)
    expect(code).toBe(0)
    expect(readFileSync(victim, "utf8")).toBe("precious")
    expect(lstatSync(folder.file(place)).isFile()).toBe(true)
    expect(statSync(folder.file(place)).mode & 0o777).toBe(0o600)
  })
})

describe("a link at the target path", () => {
  const commands = [
    ["export", "export --out out"],
    ["backup", "backup out"],
  ] as const
  test.each(commands)("that points nowhere is not followed by %s", (_, command) => {
    symlinkSync("elsewhere", folder.file("out"))
    const { code, err } = shell(`exec "$0" ${command}`)
    expect([code, err]).toEqual([1, expect.stringContaining("exists")])
    expect(existsSync(folder.file("elsewhere"))).toBe(false)
    expect(readdirSync(folder.path).filter((name) => name.includes("partial"))).toEqual([])
  })

  test.each(commands)("is replaced by %s --force, and its target is not changed", (_, command) => {
    symlinkSync("victim", folder.file("out"))
    expect(shell(`exec "$0" ${command} --force`).code).toBe(0)
    expect(readFileSync(victim, "utf8")).toBe("precious")
    expect(lstatSync(folder.file("out")).isFile()).toBe(true)
  })
})

test("export --force does not replace a folder", () => {
  mkdirSync(folder.file("out"))
  const { code, err } = shell('exec "$0" export --out out --force')
  expect([code, err]).toEqual([1, expect.stringContaining("is not a file")])
})

const migration = "databuddy.db.before-migration-0004-20260101T000000000Z"

test("a start removes exactly what killed restores and migrations left next to the database", async () => {
  const dead = gone()
  const random = "0123456789abcdef"
  const ours = [
    `${migration}.partial-${dead}`,
    `${migration}.partial-${dead}-${random}`,
    `databuddy.db.partial-${dead}-${random}`,
  ]
  const others = [
    `${migration}.partial-${process.pid}-${random}`, // from a running process
    `${migration}.partial-${dead}-notes`,
    `other.db.partial-${dead}-${random}`,
    `databuddy.db.before-lunch.partial-${dead}`,
    migration,
  ]
  for (const name of [...ours, ...others]) {
    mkdirSync(folder.file(name))
    writeFileSync(folder.file(`${name}/copy.db`), "x")
  }
  const server = await startServer({ db: folder.file("databuddy.db"), args: ["--no-setup"] })
  await server.stop()
  const left = readdirSync(folder.path).filter((name) => [...ours, ...others].includes(name))
  expect(left.sort()).toEqual(others.sort())
})

test("an export removes what a killed export to the same path left behind", () => {
  const partial = folder.file(`out.partial-${gone()}-0123456789abcdef`)
  writeFileSync(partial, "half")
  expect(shell('exec "$0" export --out out').code).toBe(0)
  expect(existsSync(partial)).toBe(false)
})

test.skipIf(process.getuid?.() !== 0)(
  "a file of another user is not removed as if a killed export had left it",
  () => {
    const partial = folder.file(`out.partial-${gone()}-0123456789abcdef`)
    writeFileSync(partial, "theirs")
    chownSync(partial, 65_534, 65_534)
    expect(shell('exec "$0" export --out out').code).toBe(0)
    expect(existsSync(partial)).toBe(true)
  },
)

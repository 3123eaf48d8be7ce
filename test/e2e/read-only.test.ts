import { afterEach, beforeEach, expect, test } from "bun:test"
import { copyFileSync, mkdirSync } from "node:fs"
import { type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"

// A backup on a disk that is mounted read-only. The test needs a mount, because root can write to every file.

const canMount = process.platform === "linux" && Bun.spawnSync(["unshare", "--mount", "true"]).exitCode === 0
const skipped = canMount ? "" : " (skipped: needs root)"

let folder: TemporaryFolder
let disk = ""

beforeEach(() => {
  folder = temporaryFolder()
  disk = folder.file("disk")
  mkdirSync(disk)
})
afterEach(() => folder[Symbol.dispose]())

function run(...args: string[]): { code: number; out: string; err: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(args, { env: environment() })
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() }
}

/** Runs a command in its own mount namespace, in which `disk` is read-only. */
const onReadOnlyDisk = (...args: string[]) =>
  run(
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"',
    disk,
    binary,
    ...args,
  )

const commands = [
  ["website", "list"],
  ["key", "list"],
  ["user", "list"],
  ["query", "custom_events"],
  ["stats"],
  ["doctor"],
  ["export"],
  ["check"],
]

test.skipIf(!canMount)(
  `commands that only read work on a read-only disk, for a backup and for a copied file${skipped}`,
  () => {
    const db = folder.file("a.db")
    expect(run(binary, "website", "create", "example.com", "--db", db)).toMatchObject({ code: 0 })
    expect(run(binary, "backup", `${disk}/backup.db`, "--db", db)).toMatchObject({ code: 0 })
    // The copy stays in WAL mode, and SQLite would create a -wal next to it in order to read it.
    copyFileSync(db, `${disk}/copy.db`)
    for (const name of ["backup.db", "copy.db"]) {
      for (const command of commands) {
        const { code, err } = onReadOnlyDisk(...command, "--db", `${disk}/${name}`)
        // doctor fails because it reports the rights of the test's folder.
        const isRead = code === 0 || command[0] === "doctor"
        expect({ name, command, isRead, err: /cannot be opened/.exec(err)?.[0] }).toEqual({
          name,
          command,
          isRead: true,
          err: undefined,
        })
      }
    }
    expect(onReadOnlyDisk("website", "list", "--db", `${disk}/copy.db`).out).toContain("example.com")
    expect(onReadOnlyDisk("website", "create", "b.com", "--db", `${disk}/copy.db`)).toMatchObject({
      code: 1,
      err: expect.stringContaining("cannot be opened for writing"),
    })
  },
  60_000,
)

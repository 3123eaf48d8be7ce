import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { hostAddon } from "../../src/build.ts"
import { loadFailureError } from "../../src/store/db/driver.ts"
import { startServer, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { addonsIn } from "../support/addons.ts"
import { binary } from "../support/binary.ts"
import { jailCommand, makeJail } from "../support/jail.ts"

let folder: TemporaryFolder
let temporary = ""
beforeEach(() => {
  folder = temporaryFolder()
  temporary = folder.file("tmp")
  mkdirSync(temporary)
})
afterEach(() => folder[Symbol.dispose]())

test("the binary contains the addon of this platform and no other", () => {
  expect(addonsIn(binary)).toEqual([hostAddon()])
})

test("an unusable temporary folder is reported with a hint", () => {
  const folder = `${tmpdir()}/does-not-exist`
  const run = Bun.spawnSync([binary, "version"], { env: { TMPDIR: folder } })
  const said = run.stderr.toString()
  expect(run.exitCode).toBe(1)
  expect(said).toContain(`temporary folder ${folder}`)
  expect(said).toContain("set TMPDIR to a writable folder")
  expect(said).not.toContain("    at ")
})

describe.skipIf(process.platform !== "linux")("on Linux, the unpacked addon has no file name", () => {
  /** Inodes of the files in the temporary folder that the process has mapped. */
  const mapped = (pid: number) => {
    const maps = readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")
    const files = maps.filter((line) => line.includes(temporary)).map((line) => line.split(/\s+/)[4])
    return [...new Set(files)]
  }

  test("so that no one can change it, and no file is left behind, even after a kill", async () => {
    const db = folder.file("databuddy.db")
    const server = await startServer({ db, env: { TMPDIR: temporary } })
    const answer = await fetch(`${server.url}/v1/query?website_id=all`, {
      method: "POST",
      headers: { Authorization: `Bearer ${server.key}` },
      body: JSON.stringify({ parameters: [{ name: "custom_events", preset: "today" }] }),
    })
    expect(answer.status).toBe(200)
    expect(readdirSync(temporary)).toEqual([])
    // SQLite is mapped only once, although the query thread has loaded it too. Two copies would drop each other's
    // locks.
    expect(mapped(server.pid)).toHaveLength(1)
    await server.kill()
    for (const args of [["version"], ["backup", folder.file("copy.db"), "--db", db]]) {
      const run = Bun.spawnSync([binary, ...args], { env: { TMPDIR: temporary } })
      expect([run.exitCode, run.stderr.toString()]).toEqual([0, ""])
    }
    expect(readdirSync(temporary)).toEqual([])
  })
})

describe("an error of the system's loader is reported with a hint:", () => {
  const mount = [
    "/proc/self/fd/9: failed to map segment from shared object",
    "Error loading shared library /proc/self/fd/9: Operation not permitted",
  ]
  test.each(mount)("another temporary folder for %s", (reason) => {
    expect(loadFailureError(reason).hint).toContain("set TMPDIR")
  })

  const library = [
    "libstdc++.so.6: cannot open shared object file: No such file or directory",
    "/lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.29' not found (required by /proc/self/fd/9)",
    "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by /proc/self/fd/9)",
    "Error loading shared library libstdc++.so.6: No such file or directory (needed by /proc/self/fd/9)",
    "Error relocating /proc/self/fd/9: _ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE15_M_replace_coldEPcmPKcmm: symbol not found",
  ]
  test.each(library)("libstdc++ for %s", (reason) => {
    const { message, hint } = loadFailureError(reason)
    expect(message).toContain(reason)
    expect(hint).toContain("libstdc++ from GCC 13")
    expect(hint).not.toContain("TMPDIR")
  })

  const command = jailCommand()
  test.skipIf(command === undefined)("a missing libstdc++", async () => {
    using jail = makeJail(command ?? [])
    for (const path of new Bun.Glob("**/libstdc++.so.6").scanSync({
      cwd: jail.root,
      followSymlinks: false,
    })) {
      if (!path.startsWith("proc/")) rmSync(join(jail.root, path))
    }
    const run = jail.start(["version"])
    const [err, code] = [await run.stderr.text(), await run.exited]
    expect([code, err]).toEqual([1, expect.stringContaining("libstdc++.so.6")])
    expect(err).not.toContain("TMPDIR")
  })
})

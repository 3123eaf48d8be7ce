import { afterEach, beforeEach, expect, test } from "bun:test"
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { repository } from "../support/repository.ts"

// Runs the scripts of the Debian package with the arguments that dpkg passes, in a folder instead of the root folder
// and with stubs for the commands that change the system.

const stubs = "adduser install deb-systemd-helper deb-systemd-invoke systemctl getent userdel groupdel".split(
  " ",
)

let root: TemporaryFolder

beforeEach(() => {
  root = temporaryFolder()
  for (const path of ["bin", "etc/databuddy", "run/systemd/system", "var/lib/databuddy"])
    mkdirSync(root.file(path), { recursive: true })
  for (const stub of stubs) {
    writeFileSync(root.file(`bin/${stub}`), `#!/bin/sh\necho "${stub} $*" >>"${root.file("calls")}"\n`)
    chmodSync(root.file(`bin/${stub}`), 0o755)
  }
})

afterEach(() => root[Symbol.dispose]())

type Step = [script: "postinst" | "prerm" | "postrm", ...args: string[]]

/** Runs scripts and returns the commands that they run for the service. */
function serviceCalls(...steps: Step[]): string[] {
  writeFileSync(root.file("calls"), "")
  for (const [script, ...args] of steps) {
    const text = readFileSync(join(repository, "src/release/linux", script), "utf8")
    const moved = text.replaceAll(/(?<![\w/.])\/(?=(?:etc|run|var)\/)/g, `${root.path}/`)
    const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", moved, script, ...args], {
      env: { PATH: `${root.file("bin")}:${process.env.PATH}` },
    })
    expect([stderr.toString(), exitCode]).toEqual(["", 0])
  }
  const calls = readFileSync(root.file("calls"), "utf8").split("\n")
  return calls.flatMap((call) => /^deb-systemd-invoke (\S+) databuddy\.service$/.exec(call)?.[1] ?? [])
}

const install: Step[] = [["postinst", "configure"]]
const upgrade: Step[] = [
  ["prerm", "upgrade", "2.0"],
  ["postrm", "upgrade", "2.0"],
  ["postinst", "configure", "1.0"],
]
const remove: Step[] = [
  ["prerm", "remove"],
  ["postrm", "remove"],
]
// dpkg passes the version whose configuration files were left behind.
const reinstall: Step[] = [["postinst", "configure", "1.0"]]

test.skipIf(process.platform === "win32")(
  "an installation starts the service, also after a removal, and an upgrade only restarts a running service",
  () => {
    expect(serviceCalls(...install)).toEqual(["start"])
    expect(serviceCalls(...upgrade)).toEqual(["try-restart"])
    expect(serviceCalls(...remove)).toEqual(["stop"])
    expect(serviceCalls(...reinstall)).toEqual(["start"])
    expect(serviceCalls(...upgrade)).toEqual(["try-restart"])
  },
)

test.skipIf(process.platform === "win32")("a purge removes the record of the removal", () => {
  serviceCalls(...install, ...remove)
  expect(existsSync(root.file("etc/databuddy/removed"))).toBe(true)
  serviceCalls(["postrm", "purge"])
  expect(existsSync(root.file("etc/databuddy/removed"))).toBe(false)
})

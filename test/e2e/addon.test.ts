import { expect, test } from "bun:test"
import { tmpdir } from "node:os"
import { hostAddon } from "../../src/build.ts"
import { addonsIn } from "../support/addons.ts"
import { binary } from "../support/binary.ts"

test("the binary holds the addon of this platform and no other", () => {
  expect(addonsIn(binary)).toEqual([hostAddon()])
})

test("a temporary folder that the addon cannot be unpacked to is named, with what to do", () => {
  const folder = `${tmpdir()}/does-not-exist`
  const run = Bun.spawnSync([binary, "version"], { env: { TMPDIR: folder } })
  const said = run.stderr.toString()
  expect(run.exitCode).toBe(1)
  expect(said).toContain(`temporary folder ${folder}`)
  expect(said).toContain("set TMPDIR to a folder")
  expect(said).not.toContain("    at ")
})

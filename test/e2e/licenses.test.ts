import { expect, test } from "bun:test"
import pkg from "../../package.json" with { type: "json" }
import { binary } from "../support/binary.ts"

test("licenses prints a text for every dependency and for the runtime", () => {
  const { stdout, exitCode } = Bun.spawnSync([binary, "licenses"])
  const text = stdout.toString()
  expect(exitCode).toBe(0)
  expect(Object.keys(pkg.dependencies).filter((name) => !text.includes(`\n${name} `))).toEqual([])
  expect(text).toContain("GNU LESSER GENERAL PUBLIC LICENSE")
  expect(text).toContain("SIL OPEN FONT LICENSE Version 1.1")
  expect(text).not.toContain("undefined")
})

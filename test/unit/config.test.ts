import { expect, test } from "bun:test"
import { Command } from "commander"
import { addServeOptions } from "../../src/config.ts"

test("every flag of serve is an environment variable too, of the same name", () => {
  const { options } = addServeOptions(new Command("serve"))
  expect(options.length).toBeGreaterThan(10)
  for (const { long, envVar } of options) {
    expect(envVar).toBe(`DATABUDDY_${long?.slice(2).replaceAll("-", "_").toUpperCase()}`)
  }
})

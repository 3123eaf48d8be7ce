import { describe, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { basename, join } from "node:path"
import { targets } from "../../src/build.ts"
import { addonsIn } from "../support/addons.ts"
import { repository } from "../support/repository.ts"

// Run with `bun run test:targets`. Not part of `npm test`, because it downloads the Bun executables of all platforms.

/** Returns the format and the processor of an ELF, Mach-O or PE file, as the command `file` does. */
async function machine(file: string): Promise<string> {
  const head = Buffer.from(await Bun.file(file).slice(0, 4096).arrayBuffer())
  if (head.toString("latin1", 1, 4) === "ELF") return `ELF ${name(head.readUInt16LE(18), 0x3e, 0xb7)}`
  if (head.readUInt32LE(0) === 0xfeedfacf)
    return `Mach-O ${name(head.readUInt32LE(4), 0x01000007, 0x0100000c)}`
  if (head.toString("latin1", 0, 2) === "MZ") {
    return `PE ${name(head.readUInt16LE(head.readUInt32LE(0x3c) + 4), 0x8664, 0xaa64)}`
  }
  return "unknown"
}

function name(code: number, x64: number, arm64: number): string {
  return code === x64 ? "x64" : code === arm64 ? "arm64" : `machine ${code}`
}

const formats = { linux: "ELF", darwin: "Mach-O", windows: "PE" }

describe.each(targets.map((target) => [basename(target.outfile), target] as const))("%s", (_, target) => {
  const file = join(repository, target.outfile)
  const missing = !existsSync(file)

  test.skipIf(missing && !target.required)("is an executable of its platform", async () => {
    const [, system, processor] = /databuddy-(linux|darwin|windows)-(x64|arm64)/.exec(target.outfile) ?? []
    expect(await machine(file)).toBe(`${formats[system as keyof typeof formats]} ${processor}`)
  })

  test.skipIf(missing && !target.required)("contains the addon of its platform and no other", () => {
    expect(addonsIn(file)).toEqual([target.addon])
  })
})

import { describe, expect, test } from "bun:test"
import { Command } from "commander"
import { addServeOptions, standardQueryMemory } from "../../src/serve-options.ts"

test("every flag of serve is an environment variable too, of the same name", () => {
  const { options } = addServeOptions(new Command("serve"))
  expect(options.length).toBeGreaterThan(10)
  for (const { long, envVar } of options) {
    expect(envVar).toBe(`DATABUDDY_${long?.slice(2).replaceAll("-", "_").toUpperCase()}`)
  }
})

describe("a flag of serve that takes a whole number takes the least and the most that its error message names, and no more:", () => {
  const { options } = addServeOptions(new Command("serve"))
  const flags = options.flatMap((option) => {
    const parse = (text: string) => option.parseArg?.(text, undefined)
    const [, least, most] = /a whole number from (\d+) to (\d+)\./.exec(usageErrorOf(parse, "x")) ?? []
    return least && most ? [{ flag: option.long as string, least, most, parse }] : []
  })

  test("there are some", () => expect(flags.length).toBeGreaterThan(6))

  test.each(flags)("$flag, $least to $most", ({ least, most, parse }) => {
    expect([parse(least), parse(most)] as unknown[]).toEqual([Number(least), Number(most)])
    for (const text of [String(BigInt(most) + 1n), `-${most}`, `${most}.5`, `${most}0`, ""]) {
      expect(usageErrorOf(parse, text)).toContain(`from ${least} to ${most}`)
    }
  })
})

describe("--ingest-path", () => {
  const { options } = addServeOptions(new Command("serve"))
  const parse = (text: string) =>
    options.find(({ long }) => long === "--ingest-path")?.parseArg?.(text, undefined) as unknown
  test.each([
    ["", ""],
    ["/", ""],
    ["/e", "/e"],
    ["/e/", "/e"],
    ["/a-b/c_d", "/a-b/c_d"],
    ["/tracks", "/tracks"],
  ])("can be %s", (text, path) => expect(parse(text)).toBe(path))
  for (const text of [
    "e",
    "//",
    "/e//f",
    "/a b",
    "/:id",
    "/*",
    "/e?x",
    "/é",
    "/a/b/c/d/e",
    `/${"x".repeat(65)}`,
  ]) {
    test(`cannot be ${text.slice(0, 12)}, which is no path`, () =>
      expect(usageErrorOf(parse, text)).toContain("such as /e"))
  }
  for (const text of ["/v1", "/docs/x", "/track", "/batch", "/w", "/health", "/public", "/settings/e"]) {
    test(`cannot be ${text}, which is in use`, () =>
      expect(usageErrorOf(parse, text)).toContain("such as /e"))
  }
})

describe("--base-path", () => {
  const { options } = addServeOptions(new Command("serve"))
  const parse = (text: string) =>
    options.find(({ long }) => long === "--base-path")?.parseArg?.(text, undefined) as unknown
  test.each(["", "/stats", "/tools/my-stats_2", "/tracks"])("can be '%s'", (text) =>
    expect(parse(text)).toBe(text),
  )
  for (const text of ["stats", "/", "/stats/", "//", "/a//b", "/a b", "/é", "/a.b", "/:id", "/a/b/c/d/e"]) {
    test(`cannot be ${text}, which is no path that every proxy passes on unchanged`, () =>
      expect(usageErrorOf(parse, text)).toContain("one to four parts"))
  }
  for (const text of ["/v1", "/docs/x", "/track", "/w", "/health", "/public", "/settings/e", "/login"]) {
    test(`cannot be ${text}, which is in use`, () =>
      expect(usageErrorOf(parse, text)).toContain("must not begin with a path of the server: ai-traffic, "))
  }

  test.each([
    ["/stats", "/stats/e"],
    ["/stats", "/stats"],
    ["/tools/stats", "/tools/stats/e"],
  ])("%s cannot be part of --ingest-path %s, which is below it anyway", async (base, ingest) => {
    expect(await errorOfServe("--base-path", base, "--ingest-path", ingest)).toContain(
      `Leave ${base} out of --ingest-path.`,
    )
  })
  test.each([
    ["/stats", "/e"],
    ["/stats", "/stats2"],
    ["/tools/stats", "/tools"],
  ])("%s can be combined with --ingest-path %s", async (base, ingest) => {
    expect(await errorOfServe("--base-path", base, "--ingest-path", ingest)).toBe("")
  })
})

/** What `serve` prints about its flags; '' if it accepts them. */
async function errorOfServe(...args: string[]): Promise<string> {
  let printed = ""
  const command = new Command("serve")
    .exitOverride()
    .configureOutput({ writeErr: (text) => (printed += text) })
  await addServeOptions(command)
    .action(() => {})
    .parseAsync(args, { from: "user" })
    .catch(() => {})
  return printed
}

const mib = 2 ** 20
test.each([
  { machine: 512, memory: 128 },
  { machine: 1_024, memory: 128 },
  { machine: 2_048, memory: 256 },
  { machine: 4_096, memory: 512 },
  { machine: 65_536, memory: 512 },
])("of $machine MiB, queries get $memory by default", ({ machine, memory }) => {
  expect(standardQueryMemory(machine * mib)).toBe(memory * mib)
})

/** Why `text` is rejected; '' if it is accepted. */
function usageErrorOf(parse: (text: string) => unknown, text: string): string {
  try {
    parse(text)
    return ""
  } catch (error) {
    return (error as Error).message
  }
}

import { describe, expect, test } from "bun:test"
import { Command } from "commander"
import { addServeOptions } from "../../src/serve-options.ts"
import { standardQueryMemory } from "../../src/server/memory-plan.ts"

test("every flag of serve has an environment variable of the same name", () => {
  const { options } = addServeOptions(new Command("serve"))
  expect(options.length).toBeGreaterThan(10)
  for (const { long, envVar } of options) {
    expect(envVar).toBe(`DATABUDDY_${long?.slice(2).replaceAll("-", "_").toUpperCase()}`)
  }
})

describe("a numeric flag of serve accepts exactly the range in its error message:", () => {
  const { options } = addServeOptions(new Command("serve"))
  const flags = options.flatMap((option) => {
    const parse = (text: string) => option.parseArg?.(text, undefined)
    const [, least, most] = /a whole number from (\d+) to (\d+)\./.exec(usageErrorOf(parse, "x")) ?? []
    return least && most ? [{ flag: option.long as string, least, most, parse }] : []
  })

  test("there are several such flags", () => expect(flags.length).toBeGreaterThan(6))

  test.each(flags)("$flag, from $least to $most", ({ least, most, parse }) => {
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
    test(`cannot be ${text.slice(0, 12)}, which is not a valid path`, () =>
      expect(usageErrorOf(parse, text)).toContain("such as /e"))
  }
  for (const text of [
    "/v1",
    "/docs/x",
    "/track",
    "/batch",
    "/w",
    "/embed",
    "/health",
    "/public",
    "/settings/e",
  ]) {
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
    test(`cannot be ${text}, which is not a valid base path`, () =>
      expect(usageErrorOf(parse, text)).toContain("one to four segments"))
  }
  for (const text of ["/v1", "/docs/x", "/track", "/w", "/health", "/public", "/settings/e", "/login"]) {
    test(`cannot be ${text}, which is in use`, () =>
      expect(usageErrorOf(parse, text)).toContain(
        "must not begin with a path that the server uses: ai-traffic, ",
      ))
  }

  test.each([
    ["/stats", "/stats/e"],
    ["/stats", "/stats"],
    ["/tools/stats", "/tools/stats/e"],
  ])("%s cannot be part of --ingest-path %s, which is always below it", async (base, ingest) => {
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

/** The error that `serve` prints about its flags; '' if it accepts them. */
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

describe("--acme", () => {
  /** Parses the flags of `serve` without running it. */
  const optionsOf = (...args: string[]) =>
    addServeOptions(new Command("serve"))
      .action(() => {})
      .parse(args, { from: "user" })
      .opts()

  test.each([
    [["events.example.com"], ["events.example.com"]],
    [["a.example.com, B.Example.com"], ["a.example.com", "b.example.com"]],
    [
      ["a.example.com", "--acme", "b.example.com,a.example.com"],
      ["a.example.com", "b.example.com"],
    ],
    [["bücher.example"], ["xn--bcher-kva.example"]],
  ])("%j sets the names %j", (args, acme) => {
    expect(optionsOf("--acme", ...args)).toMatchObject({ acme, host: "::", port: 443, acmeHttpPort: 80 })
  })

  for (const text of [
    "",
    "localhost",
    "*.example.com",
    "1.2.3.4",
    "[::1]",
    "a.example.com,",
    "a b.example.com",
    "https://a.example.com",
    "a.example.com:443",
    `${"x".repeat(64)}.example.com`,
    Array.from({ length: 101 }, (_, index) => `${index}.example.com`).join(","),
  ]) {
    test(`${text.slice(0, 24) || "nothing"} is rejected`, async () =>
      expect(await errorOfServe("--acme", text)).toContain("such as events.example.com"))
  }

  test("keeps --host and --port if they are set", () => {
    const options = optionsOf("--acme", "a.example.com", "--host", "127.0.0.1", "--port", "8443")
    expect(options).toMatchObject({ host: "127.0.0.1", port: 8443 })
  })

  const acme = ["--acme", "a.example.com"]
  test.each([
    [["--acme-email", "a@example.com"], "--acme-email has no effect without --acme"],
    [["--acme-http-port", "8080"], "--acme-http-port has no effect without --acme"],
    [["--acme-dir", "x"], "--acme-dir has no effect without --acme"],
    [["--acme-directory", "https://a.example/"], "--acme-directory has no effect without --acme"],
    [[...acme, "--tls-cert", "x"], "--acme and --tls-cert cannot be combined"],
    [[...acme, "--tls-key", "x"], "--acme and --tls-key cannot be combined"],
    [[...acme, "--acme-email", "a@x, b@x"], "It must be one email address"],
    [[...acme, "--acme-directory", "http://a.example/dir"], "It must be a URL that starts with https://"],
    [[...acme, "--acme-directory", "a.example"], "It must be a URL that starts with https://"],
  ])("%j is an error", async (args, error) => expect(await errorOfServe(...args)).toContain(error))
})

const mib = 2 ** 20
test.each([
  { machine: 512, memory: 128 },
  { machine: 1_024, memory: 128 },
  { machine: 2_048, memory: 256 },
  { machine: 4_096, memory: 512 },
  { machine: 65_536, memory: 512 },
])("of $machine MiB, queries get $memory MiB by default", ({ machine, memory }) => {
  expect(standardQueryMemory(machine * mib)).toBe(memory * mib)
})

/** The reason why `text` is rejected; '' if it is accepted. */
function usageErrorOf(parse: (text: string) => unknown, text: string): string {
  try {
    parse(text)
    return ""
  } catch (error) {
    return (error as Error).message
  }
}

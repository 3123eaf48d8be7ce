import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Server, startServer, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"

const folder = temporaryFolder()
let server: Server

beforeAll(async () => {
  server = await startServer({ db: folder.file("databuddy.db") })
  const names = ["plain", "\u001b[31mred\u202e"]
  for (const name of names) {
    await fetch(`${server.url}/track`, {
      method: "POST",
      body: JSON.stringify({ name, properties: { plan: "s3cr3t" } }),
    })
  }
})

afterAll(async () => {
  await server.stop()
  folder[Symbol.dispose]()
})

async function runRefusals(env: Record<string, string>, ...args: string[]) {
  const child = Bun.spawn([binary, "refusals", ...args], {
    cwd: folder.path,
    env: environment(env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { code, out, err }
}

const withKey = (...args: string[]) =>
  runRefusals({ DATABUDDY_KEY: server.key }, "--url", server.url, ...args)

test("rejected requests are printed as a table without control characters", async () => {
  const { code, out, err } = await withKey()
  expect({ code, err }).toEqual({ code: 0, err: "" })
  const [heading, newest, oldest, ...more] = out.trimEnd().split("\n")
  expect(heading).toMatch(/^TIME +PATH +STATUS +REASON +WEBSITE +EVENTS +NAMES +KEYS$/)
  expect(newest).toMatch(
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC +\/track +401 +credential_missing +- +1 +\\u\{1b\}\[31mred\\u\{202e\} +plan$/,
  )
  expect(oldest).toMatch(/ plain +plan$/)
  expect(more).toEqual([])
  expect(newest?.indexOf("credential")).toBe(heading?.indexOf("REASON") as number)
})

test("rejected requests are printed as a JSON array with --json", async () => {
  const { code, out } = await withKey("--json", "--limit", "1")
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject([
    {
      reason: "credential_missing",
      keys: ["plan"],
      advice: expect.stringContaining("Authorization: Bearer"),
    },
  ])
  expect(out).not.toContain("s3cr3t")
})

test("rejected requests are filtered by website and reason", async () => {
  expect(JSON.parse((await withKey("--json", "--website", "w")).out)).toEqual([])
  expect(JSON.parse((await withKey("--json", "--reason", "credential_missing")).out)).toHaveLength(2)
})

test("the key is only read from the environment", async () => {
  expect(await runRefusals({}, "--url", server.url)).toEqual({
    code: 1,
    out: "",
    err: "error: DATABUDDY_KEY is not set\nhint: set it to a key with the scope read:data\n",
  })
  expect((await runRefusals({}, "--url", server.url, "--key", server.key)).code).toBe(2)
})

const invalidUses: [string, () => ReturnType<typeof runRefusals>, RegExp][] = [
  [
    "a wrong key",
    () => runRefusals({ DATABUDDY_KEY: "x" }, "--url", server.url),
    /^error: http:\S+ responded with 401: .+\nhint: set DATABUDDY_KEY/,
  ],
  [
    "an unknown reason",
    () => withKey("--reason", "no"),
    /^error: http:\S+ responded with 400: reason must be a reason/,
  ],
  [
    "no server",
    () => runRefusals({ DATABUDDY_KEY: "x" }, "--url", "http://127.0.0.1:1"),
    /^error: no response from http:\/\/127\.0\.0\.1:1: .+\nhint: start/,
  ],
  [
    "an invalid address",
    () => runRefusals({ DATABUDDY_KEY: "x" }, "--url", "nonsense"),
    /^error: --url nonsense is not a URL\n/,
  ],
  [
    "an address with another path",
    () => runRefusals({ DATABUDDY_KEY: server.key }, "--url", `${server.url}/docs`),
    /^error: http:\S+ responded with 404/,
  ],
]
test.each(invalidUses)("%s is reported as an error", async (_, ask, message) => {
  const { code, out, err } = await ask()
  expect({ code, out }).toEqual({ code: 1, out: "" })
  expect(err).toMatch(message)
})

test("rejected requests are logged by reason, without values", async () => {
  await server.prints('"message":"refused","reason":"credential_missing","status":401,"path":"/track"')
  expect(server.output()).not.toContain("plain")
})

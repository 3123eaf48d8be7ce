import { afterAll, beforeAll, expect, test } from "bun:test"
import { createKey } from "../../src/store/keys.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { type Server, startServer, temporaryFolder, withDatabase } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"

// Names that would have an effect where they are shown. Names that the validation rejects are written directly to the
// database, as an older version or another program could have done.

const odd: Record<string, string> = {
  HTML: "<script>alert(1)</script>",
  quotes: `"'\`; drop table websites; --`,
  "a path": "../../etc/passwd",
  "shell commands": "$(reboot) `reboot` | reboot",
  "format strings": "%s%n{{name}}",
  "a newline": "two\nlines\r\nerror: forged",
  NUL: "before\0after",
  "escapes for a color and a cleared screen": "\u001b[31mred\u001b[2J",
  "a terminal's title": "\u001b]0;owned\u0007",
  "the one-byte escape": "\u009b31mred",
  "backspaces and delete": "safe\b\b\b\b\u007f",
  "right to left": "\u202egnp.exe\u2066",
  "line separators": "one\u2028two\u2029three",
  "an emoji and Chinese": "👩‍👩‍👧 名前",
}
/** Matches characters that a terminal interprets, except a newline. */
const acts = /[^\P{Cc}\n]|[\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u

const folder = temporaryFolder()
let server: Server

beforeAll(async () => {
  server = await startServer({ db: folder.file("names.db") })
})
afterAll(async () => {
  await server?.stop()
  folder[Symbol.dispose]()
})

async function run(...args: string[]) {
  const env = environment({ DATABUDDY_KEY: server.key })
  const child = Bun.spawn([binary, ...args], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" })
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()])
  expect(out + err).not.toMatch(acts)
  return { out, err, lines: (out + err).trimEnd().split("\n").length, code: await child.exited }
}

/** Creates a website and a key with this name. Returns their ids. */
function make(name: string): { website: string; key: string } {
  const settings = { domain: "localhost", name, allowedOrigins: [], anonymize: "off" as const }
  const grant = { name, scopes: ["track:events" as const], websites: null, rateLimit: null, expiresAt: null }
  const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
  return withDatabase(server.db, (db) => ({
    website: createWebsite(db, crypto.randomUUID(), settings, Date.now()).id,
    key: createKey(db, crypto.randomUUID(), grant, random, Date.now()).key.id,
  }))
}

const names = Object.values(odd)

test("names of websites and keys are stored exactly, and listed on one line each without control characters", async () => {
  const made = names.map(make)
  for (const kind of ["website", "key"] as const) {
    const ids = made.map((one) => one[kind])
    const { out } = await run(kind, "list", "--db", server.db)
    const lines = out.trimEnd().split("\n")
    // The heading, the website or key of the first start, and these.
    expect(lines).toHaveLength(2 + names.length)
    for (const id of ids) expect(lines.filter((line) => line.startsWith(id))).toHaveLength(1)
    const json = await run(kind, "list", "--json", "--db", server.db)
    expect(json.lines).toBe(1)
    const listed: { id: string; name: string }[] = JSON.parse(json.out)
    expect(ids.map((id) => listed.find((one) => one.id === id)?.name)).toEqual(names)
    const headers = { Authorization: `Bearer ${server.key}` }
    const answer = await fetch(`${server.url}/v1/${kind}s`, { headers })
    const { [`${kind}s`]: all = [] } = (await answer.json()) as Record<string, { id: string; name: string }[]>
    expect(ids.map((id) => all.find((one) => one.id === id)?.name)).toEqual(names)
  }
  const shown = await Promise.all(
    made.map(({ website }) => run("website", "show", website, "--db", server.db)),
  )
  for (const { out } of shown) {
    expect(out.split("\n").filter((line) => line.startsWith("name "))).toHaveLength(1)
    expect(out).not.toMatch(/^error/m)
  }
})

test("rejected events are listed on one line each, whatever their names and property keys", async () => {
  for (const name of names) {
    const body = JSON.stringify({ name, properties: { [name]: name } })
    const { status } = await fetch(`${server.url}/track`, { method: "POST", body })
    expect([400, 401]).toContain(status)
  }
  const { out, lines } = await run("refusals", "--url", server.url)
  expect(out).toStartWith("TIME ")
  expect(lines).toBe(1 + names.length)
  const json = await run("refusals", "--url", server.url, "--json")
  const listed: { names: string[] }[] = JSON.parse(json.out)
  expect(listed.map((one) => one.names).reverse()).toEqual(names.map((name) => [name]))
})

test("an error that quotes its input has one line and a hint", async () => {
  // A NUL cannot be in an argument.
  const given = names.filter((name) => !name.includes("\0"))
  await Promise.all(
    given.map(async (name) => {
      const { err, code } = await run("website", "show", name, "--db", server.db)
      expect(code).toBe(1)
      expect(err).toMatch(/^error: [^\n]*\nhint: [^\n]*\n$/)
    }),
  )
})

import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { openReader, type Server, startServer, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"

const password = "correct horse battery"
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

let folder: TemporaryFolder
let db = ""
let server: Server | undefined
beforeEach(() => {
  folder = temporaryFolder()
  db = folder.file("databuddy.db")
})
afterEach(async () => {
  await server?.stop()
  server = undefined
  folder[Symbol.dispose]()
})

function run(args: string[], input = ""): { code: number; out: string; err: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([binary, ...args, "--db", db], {
    stdin: Buffer.from(input),
    timeout: 20_000,
  })
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() }
}

/** Runs a command with `--json`, which must succeed. Returns its output. */
// biome-ignore lint/suspicious/noExplicitAny: the output of a command is only compared
function json(args: string[], input = ""): any {
  const { code, out, err } = run([...args, "--json"], input)
  expect({ code, err }).toEqual({ code: 0, err: "" })
  return JSON.parse(out)
}

/** Sends a request as the dashboard does. */
async function call(method: string, path: string, body?: unknown, cookie = "") {
  const response = await fetch(`${server?.url}${path}`, {
    method,
    headers: { "x-databuddy-page": "1", cookie },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  // biome-ignore lint/suspicious/noExplicitAny: bodies are only compared
  return { status: response.status, headers: response.headers, body: (await response.json()) as any }
}

const logIn = (email: string, sent: string) => call("POST", "/v1/login", { email, password: sent })
const linkOf = ({ output }: Server) => /^ {2}http\S+(\/invite\/\S+)$/m.exec(output())?.[1]
/** Returns the API's path for a one-time link. */
const apiOf = (link = "") => link.replace("/invite/", "/v1/invites/")

describe("a start without an owner", () => {
  test("prints a new link each time, until one has been used", async () => {
    server = await startServer({ db })
    const first = linkOf(server)
    expect(server.output()).toContain(`  ${server.url}${first}\n`)
    expect((await call("GET", apiOf(first))).body.invite).toMatchObject({ purpose: "setup", email: null })
    await server.stop()

    server = await startServer({ db })
    const second = linkOf(server)
    expect((await call("GET", apiOf(first))).status).toBe(404)
    const used = await call("POST", apiOf(second), { email: "ada@example.com", password })
    expect([used.status, used.body.user.role]).toEqual([200, "owner"])
    const cookie = used.headers.get("set-cookie")?.split(";")[0]
    expect((await call("GET", "/v1/websites", undefined, cookie)).body.total).toBe(1)
    expect((await call("POST", apiOf(second), { email: "eve@example.com", password })).status).toBe(404)
    await server.stop()

    server = await startServer({ db })
    expect(linkOf(server)).toBeUndefined()
    // A login session outlives the server.
    expect((await call("GET", "/v1/me", undefined, cookie)).body.user.email).toBe("ada@example.com")
  })

  test("prints no link with --no-setup", async () => {
    server = await startServer({ db, args: ["--no-setup"] })
    expect(server.output()).not.toContain("/invite/")
    expect((await call("GET", "/v1/me")).body).toMatchObject({ user: null, hasUsers: false })
  })

  test.skipIf(Bun.which("curl") === null)(
    "prints a curl command that sends an event to the first website",
    async () => {
      server = await startServer({ db })
      const line = /^ {2}(curl .*)$/m.exec(server.output())?.[1] ?? ""
      const curl = Bun.spawnSync(["sh", "-c", `${line} --silent --show-error --noproxy '*'`])
      expect(String(curl.stderr)).toBe("")
      expect(String(curl.stdout)).toBe('{"status":"success","type":"custom_event","count":1}')
      const reader = openReader(db)
      const [event] = reader
        .prepare("select w.domain, e.name from events as e join websites as w on w.id = e.website_id")
        .all()
      reader.close()
      expect(event).toEqual({ domain: "localhost", name: "hello" })
    },
  )
})

test("wrong passwords from elsewhere do not keep the owner of an email from logging in", async () => {
  json(["user", "create", "ada@example.com", "--password-stdin"], password)
  server = await startServer({ db, args: ["--no-setup"] })
  const status = async (address: string, sent: string) => {
    const response = await fetch(`${server?.url}/v1/login`, {
      method: "POST",
      headers: { "x-databuddy-page": "1", "x-forwarded-for": address },
      body: JSON.stringify({ email: "ada@example.com", password: sent }),
    })
    return response.status
  }
  for (const address of ["192.0.2.1", "192.0.2.2"]) {
    for (let n = 0; n < 10; n++) expect(await status(address, "a wrong password")).toBe(401)
    expect(await status(address, "a wrong password")).toBe(429)
    // From this address, even the right password is rejected.
    expect(await status(address, password)).toBe(429)
  }
  expect(await status("192.0.2.3", password)).toBe(200)
})

test("behind a trusted proxy that was reached over HTTPS, the cookie is only sent over HTTPS", async () => {
  json(["user", "create", "ada@example.com", "--password-stdin"], password)
  const cookie = async (args: string[], headers: Record<string, string>) => {
    server = await startServer({ db, args: ["--no-setup", ...args] })
    const response = await fetch(`${server.url}/v1/login`, {
      method: "POST",
      headers: { "x-databuddy-page": "1", ...headers },
      body: JSON.stringify({ email: "ada@example.com", password }),
    })
    await server.stop()
    return response.headers.get("set-cookie")
  }
  const https = { "x-forwarded-proto": "https" }
  expect(await cookie([], https)).toEndWith("; SameSite=Lax; Secure")
  expect(await cookie([], {})).toEndWith("; SameSite=Lax")
  expect(await cookie(["--trust-proxy", "10.0.0.0/8"], https)).toEndWith("; SameSite=Lax")
})

describe("databuddy user", () => {
  test("create creates an owner first, then viewers, and shows a password once", () => {
    const { password: made, ...ada } = json(["user", "create", "Ada@Example.com"])
    expect(made).toMatch(/^[\w-]{20}$/)
    expect(ada).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      email: "ada@example.com",
      role: "owner",
      sections: null,
      websites: null,
      createdAt: expect.stringMatching(isoTime),
      lastLoginAt: null,
    })
    json(["website", "create", "docs.example", "--id", "docs"])
    const eve = json(["user", "create", "eve@example.com", "--website", "docs", "--password-stdin"], password)
    expect(eve).toMatchObject({ role: "viewer", websites: ["docs"] })
    expect(eve.password).toBeUndefined()
    expect(json(["user", "list"])).toEqual([ada, eve])
    const file = readFileSync(db)
    expect([file.includes(made), file.includes(password)]).toEqual([false, false])
  })

  test("create without --json says that the password is shown once", () => {
    const { code, out, err } = run(["user", "create", "ada@example.com", "--role", "viewer"])
    expect({ code, err }).toEqual({ code: 0, err: "" })
    expect(out).toMatch(/^password +[\w-]{20}$/m)
    expect(out).toMatch(/^role +viewer$/m)
    expect(out).toContain("not shown again")
    expect(run(["user", "list"]).out).toMatch(/^ada@example\.com +viewer +all /m)
  })

  const refused: [string, string[], string, string][] = [
    ["an invalid email", ["user", "create", "ada"], "", "the email must be an email address"],
    [
      "an email that is taken",
      ["user", "create", "eve@example.com"],
      "",
      "a user with the email eve@example.com already exists",
    ],
    [
      "a short password",
      ["user", "create", "ada@example.com", "--password-stdin"],
      "short\n",
      "the password must be a string of 10 to 200 characters",
    ],
    [
      "a missing password",
      ["user", "reset", "eve@example.com", "--password-stdin"],
      "",
      "the password must be a string of 10 to 200 characters",
    ],
    [
      "an unknown website",
      ["user", "create", "ada@example.com", "--website", "nope"],
      "",
      "--website nope does not exist",
    ],
    [
      "an owner limited to some websites",
      ["user", "create", "ada@example.com", "--role", "owner", "--website", "docs"],
      "",
      "--website must be null for an owner",
    ],
    [
      "a reset of an unknown user",
      ["user", "reset", "ada@example.com"],
      "",
      "no user has the email ada@example.com",
    ],
    [
      "a link for an unknown user",
      ["user", "reset", "ada@example.com", "--link"],
      "",
      "no user has the email ada@example.com",
    ],
    [
      "a deletion of an unknown user",
      ["user", "delete", "ada@example.com", "--yes"],
      "",
      "no user has the email ada@example.com",
    ],
  ]
  test.each(refused)("rejects %s", (_, args, input, message) => {
    json(["user", "create", "eve@example.com"])
    const before = run(["user", "list", "--json"]).out
    const { code, out, err } = run(args, input)
    expect({ code, out }).toEqual({ code: 1, out: "" })
    expect(err).toContain(message)
    expect(run(["user", "list", "--json"]).out).toBe(before)
  })

  test("reset and delete take effect immediately in a running server", async () => {
    json(["user", "create", "ada@example.com", "--password-stdin"], `${password}\n`)
    server = await startServer({ db, args: ["--no-setup"] })
    const cookie = (await logIn("ada@example.com", password)).headers.get("set-cookie")?.split(";")[0] ?? ""
    const me = async () => (await call("GET", "/v1/me", undefined, cookie)).body.user
    expect((await me()).email).toBe("ada@example.com")

    const { path, expiresAt } = json(["user", "reset", "ada@example.com", "--link"])
    expect(expiresAt).toMatch(isoTime)
    expect((await me()).email).toBe("ada@example.com")
    const another = "another password"
    expect((await call("POST", apiOf(path), { password: another })).status).toBe(200)
    expect(await me()).toBe(null)
    expect((await logIn("ada@example.com", another)).status).toBe(200)

    const { password: made } = json(["user", "reset", "Ada@example.com"])
    expect((await logIn("ada@example.com", another)).status).toBe(401)
    expect((await logIn("ada@example.com", made)).status).toBe(200)

    const kept = run(["user", "delete", "ada@example.com"])
    expect([kept.code, kept.err]).toEqual([
      1,
      "error: this would delete ada@example.com, owner; no owner would be left\nhint: add --yes to confirm\n",
    ])
    expect(json(["user", "delete", "ada@example.com", "--yes"])).toMatchObject({ email: "ada@example.com" })
    expect((await logIn("ada@example.com", made)).status).toBe(401)
    await server.stop()
    // There is no owner left, so the next start prints a setup link.
    server = await startServer({ db })
    expect(linkOf(server)).toBeString()
  })
})

test("a backup contains users, but no login sessions and no links", async () => {
  json(["user", "create", "ada@example.com", "--password-stdin"], password)
  server = await startServer({ db })
  const cookie = (await logIn("ada@example.com", password)).headers.get("set-cookie")?.split(";")[0]
  const { path } = json(["user", "reset", "ada@example.com", "--link"])
  const copy = folder.file("copy.db")
  expect(run(["backup", copy]).code).toBe(0)
  await server.stop()
  server = await startServer({ db: copy })
  expect((await call("GET", "/v1/me", undefined, cookie)).body).toMatchObject({ user: null, hasUsers: true })
  expect((await call("GET", apiOf(path))).status).toBe(404)
  expect((await logIn("ada@example.com", password)).status).toBe(200)
})

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { type Server, startServer, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"

const folder = temporaryFolder()
let server: Server
/** Responds to every request with 200, as a router's login page does. */
let other: ReturnType<typeof Bun.serve>

beforeAll(async () => {
  server = await startServer({ db: folder.file("databuddy.db"), args: ["--host", "0.0.0.0"] })
  other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("<h1>Log in</h1>") })
})
afterAll(async () => {
  await server.stop()
  await other.stop(true)
  folder[Symbol.dispose]()
})

/** Asynchronous, because a server in this process must be able to respond. */
async function health(args: string[], env: Record<string, string> = {}) {
  const run = Bun.spawn([binary, "health", ...args], {
    env: environment(env),
    stdout: "pipe",
    stderr: "pipe",
  })
  const [out, err, code] = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
    run.exited,
  ])
  return { out, err, code }
}

describe("health", () => {
  test.each([
    ["by --port", () => ["--port", String(server.port)], () => ({}), "ok\n"],
    ["by the variables of serve", () => [], () => variables(), "ok\n"],
    ["by --url", () => ["--url", `http://127.0.0.1:${server.port}/`], () => ({}), "ok\n"],
    ["with --ready", () => ["--ready", "--port", String(server.port)], () => ({}), "ready\n"],
  ] as const)("finds a running server %s", async (_, args, env, out) => {
    expect(await health([...args()], env())).toEqual({ out, err: "", code: 0 })
  })

  const openssl = Bun.which("openssl")
  test.skipIf(!openssl)(
    `finds a server with TLS, whatever name its certificate has${openssl ? "" : " (skipped: needs openssl)"}`,
    async () => {
      const [cert, key] = [folder.file("server.crt"), folder.file("server.key")]
      const subject = ["-subj", "/CN=events.example.com", "-keyout", key, "-out", cert]
      Bun.spawnSync(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", ...subject])
      const args = ["--tls-cert", cert, "--tls-key", key]
      const secure = await startServer({ db: folder.file("secure.db"), args })
      try {
        const location = ["--port", String(secure.port), "--tls-cert", cert]
        expect(await health(location)).toEqual({ out: "ok\n", err: "", code: 0 })
      } finally {
        await secure.stop()
      }
    },
  )

  test.each([
    ["nothing listens", () => ["--port", "1"], "no response"],
    ["another program responds", () => ["--port", String(other.port)], "another program is responding"],
    ["the server does not use TLS", () => ["--port", String(server.port), "--tls-cert", "x"], "no response"],
  ] as const)("fails if %s", async (_, args, message) => {
    const { out, err, code } = await health([...args()])
    expect(err).toContain(message)
    expect(err).toContain("hint: ")
    expect({ out, code }).toEqual({ out: "", code: 1 })
  })
})

const variables = () => ({ DATABUDDY_HOST: "0.0.0.0", DATABUDDY_PORT: String(server.port) })

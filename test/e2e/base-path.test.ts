import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { type Server, startServer, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"
import { Line } from "../support/line.ts"

// Tests what test/integration/base-path.test.ts cannot: the dashboard's files, which the build embeds, raw requests,
// and commands.

const folder = temporaryFolder()
let server: Server
let plain: Server
let origin: string

beforeAll(async () => {
  server = await startServer({ db: folder.file("below.db"), args: ["--base-path", "/stats"] })
  plain = await startServer({ db: folder.file("plain.db"), args: ["--no-setup"] })
  origin = `http://127.0.0.1:${server.port}`
})
afterAll(async () => {
  await server.stop()
  await plain.stop()
  folder[Symbol.dispose]()
})

const filesOf = (html: string) => [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => path)

describe.each(["", "/stats"])("requests below '%s'", (prefix) => {
  test("return the page with references below the path, and files that do not depend on the path", async () => {
    const expected = await (await fetch(`${plain.url}/`)).text()
    for (const path of ["", "/login", "/invite/a", "/w/all/overview", "/share/a/funnels", "/settings/keys"]) {
      const html = await (await fetch(origin + prefix + path)).text()
      expect(filesOf(html)).toEqual(filesOf(expected).map((file) => `/stats${file}`))
      expect(html.replaceAll("/stats", "")).toBe(expected)
    }
    for (const file of filesOf(expected)) {
      const [below, other] = await Promise.all([
        fetch(origin + prefix + file).then((response) => response.text()),
        fetch(plain.url + file).then((response) => response.text()),
      ])
      expect(below).toBe(other)
    }
  })

  test("reach /health without a Host header, but not with an invalid one", async () => {
    const statuses = async (request: string) => {
      using line = new Line(server.port)
      line.send(request)
      return await line.answers()
    }
    expect(await statuses(`GET ${prefix}/health HTTP/1.0\r\n\r\n`)).toEqual([200])
    expect(await statuses(`GET ${prefix}/ready HTTP/1.0\r\n\r\n`)).toEqual([200])
    expect(await statuses(`GET ${prefix}/v1/me HTTP/1.0\r\n\r\n`)).toEqual([400])
    expect(await statuses(`GET ${prefix}/health HTTP/1.1\r\nHost: a b\r\n\r\n`)).toEqual([400])
  })

  test("of commands with --url get a response", () => {
    const url = origin + prefix
    for (const [args, expected] of [
      [["health", "--url", url], "ok\n"],
      [["health", "--ready", "--url", `${url}/`], "ready\n"],
      [["refusals", "--json", "--url", url], "[]\n"],
      [["stats", "--json", "--url", url], '"today"'],
    ] as const) {
      const { stdout, stderr } = Bun.spawnSync([binary, ...args], {
        env: environment({ DATABUDDY_KEY: server.key }),
      })
      expect(`${stdout}${stderr}`).toContain(expected)
    }
  })
})

test("the start message names the path", () => {
  expect(server.output()).toContain(` listens on ${origin}/stats and stores data in`)
  expect(server.output()).toContain(`\n  ${origin}/stats/invite/`)
  expect(server.output()).toContain(`curl -X POST "${origin}/stats/track?website_id=`)
})

test("commands on the server's machine work with the server's environment variables", () => {
  const env = environment({
    DATABUDDY_PORT: String(server.port),
    DATABUDDY_BASE_PATH: "/stats",
    DATABUDDY_DB: server.db,
  })
  const run = (...args: string[]) => Bun.spawnSync([binary, ...args], { env }).stdout.toString()
  expect(run("health")).toBe("ok\n")
  run("user", "create", "ann@example.com")
  expect(run("user", "reset", "ann@example.com", "--link")).toMatch(
    /^\/invite\/[\w-]+\n\nAppend it to the URL of the server, which ends with \/stats\. The link works once/,
  )
})

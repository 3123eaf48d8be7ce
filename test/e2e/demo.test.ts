import { expect, test } from "bun:test"
import { existsSync, readdirSync } from "node:fs"
import { eventually, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { startDemo } from "../support/demo.ts"
import { environment } from "../support/environment.ts"

test("the demo logs in, receives events, and removes its folder when it stops", async () => {
  using folder = temporaryFolder()
  const demo = await startDemo(["--seed", "3"], { TMPDIR: folder.path })
  expect(existsSync(demo.folder)).toBe(true)
  const headers = { cookie: demo.cookie }
  const page = await fetch(`${demo.url}/`, { headers })
  expect(page.status).toBe(200)
  const latest = async () => {
    const response = await fetch(`${demo.url}/v1/query?website_id=${demo.websites.shop}`, {
      method: "POST",
      headers: { ...headers, "x-databuddy-page": "1" },
      body: JSON.stringify({ preset: "last_hour", parameters: [{ name: "events", kinds: ["page_view"] }] }),
    })
    // The type is that of the query type `events`.
    const { data } = (await response.json()) as { data: { data: { events: number }[] }[] }
    return data[0]?.data[0]?.events ?? 0
  }
  const first = await latest()
  await eventually(async () => (await latest()) > first, { timeout: 60_000, pause: 500 })
  expect(demo.output()).toContain("nora.lindqvist@bluebird-films.example")
  expect(await demo.end("SIGINT")).toBe(0)
  expect(readdirSync(folder.path)).toEqual([])
})

for (const signal of ["SIGTERM", "SIGHUP"] as const) {
  test(`a demo that gets ${signal} while it creates its data removes its folder`, async () => {
    using folder = temporaryFolder()
    const child = Bun.spawn([binary, "demo", "--port", "0"], {
      env: environment({ TMPDIR: folder.path }),
      stdio: ["ignore", "pipe", "inherit"],
    })
    await eventually(() => readdirSync(folder.path).some((name) => name.startsWith("databuddy-demo-")), {
      timeout: 60_000,
    })
    child.kill(signal)
    expect(await child.exited).toBe(0)
    expect(readdirSync(folder.path)).toEqual([])
  })
}

test("a demo whose port is in use reports it and leaves nothing behind", async () => {
  using folder = temporaryFolder()
  await using other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() })
  const child = Bun.spawn([binary, "demo", "--port", String(other.port)], {
    env: environment({ TMPDIR: folder.path }),
    stdio: ["ignore", "pipe", "pipe"],
  })
  const message = await new Response(child.stderr).text()
  expect(await child.exited).toBe(1)
  expect(message).toContain(`port ${other.port} on 127.0.0.1 is used by another process`)
  expect(readdirSync(folder.path)).toEqual([])
})

test.each([
  {
    fault: "a full disk",
    // A file can have at most 10,000 blocks of 512 bytes (dash) or 1 KiB (bash).
    limit: "trap '' XFSZ; ulimit -f 10000; ",
    subfolder: "",
    message: "the demo cannot be stored in FOLDER, because the disk is full or has failed",
  },
  {
    fault: "a folder that does not exist",
    limit: "",
    subfolder: "/none",
    message: "no folder can be created in FOLDER (ENOENT)",
  },
])(
  "a demo on $fault reports it, mentions TMPDIR, and leaves nothing behind",
  async ({ limit, subfolder, message }) => {
    using folder = temporaryFolder()
    const place = folder.path + subfolder
    const child = Bun.spawn(["sh", "-c", `${limit}exec "$0" demo --port 0`, binary], {
      env: environment({ TMPDIR: place }),
      stdio: ["ignore", "pipe", "pipe"],
    })
    const errors = await new Response(child.stderr).text()
    expect(await child.exited).toBe(1)
    expect(errors).toContain(message.replace("FOLDER", place))
    expect(errors).toContain("TMPDIR")
    expect(readdirSync(folder.path)).toEqual([])
  },
)

test("the demo does not accept a database", async () => {
  using folder = temporaryFolder()
  const child = Bun.spawn([binary, "demo", "--db", "mine.db"], {
    cwd: folder.path,
    env: environment({ DATABUDDY_DB: "other.db" }),
    stdio: ["ignore", "pipe", "pipe"],
  })
  const message = await new Response(child.stderr).text()
  expect(await child.exited).toBe(2)
  expect(message).toContain("demo does not take --db")
  expect(readdirSync(folder.path)).toEqual([])
})

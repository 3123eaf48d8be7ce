import { afterEach, expect, test } from "bun:test"
import { copyFileSync, existsSync, statSync } from "node:fs"
import { connect } from "node:net"
import { Database } from "../../src/store/db/driver.ts"
import {
  eventually,
  openReader,
  type Server,
  startFailure,
  startServer,
  temporaryFolder,
} from "../harness.ts"

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function fresh(args: string[] = []): Promise<Server> {
  const folder = temporaryFolder()
  cleanups.push(() => folder[Symbol.dispose]())
  const server = await startServer({ db: folder.file("test.db"), args })
  cleanups.push(() => server.kill())
  return server
}

function send(server: Server, events: unknown): Promise<Response> {
  return fetch(`${server.url}/track`, {
    method: "POST",
    headers: { Authorization: `Bearer ${server.key}` },
    body: JSON.stringify(events),
  })
}

function countEvents(path: string): number {
  const db = openReader(path)
  try {
    return db.prepare("select count(*) from events").pluck().get() as number
  } finally {
    db.close()
  }
}

/** Possible outcomes of a request during the stop: statuses, and error codes of `fetch` for a closed connection. */
const expected: ReadonlySet<number | string> = new Set([
  200,
  503,
  "ECONNREFUSED",
  "ConnectionRefused",
  "ConnectionClosed",
  "ECONNRESET",
])

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`on ${signal} during a thousand requests, each ends properly, and acknowledged events are in a single file`, async () => {
    const server = await fresh()
    const outcomes = new Map<number | string, number>()
    let answered = 0
    const requests = Array.from({ length: 1_000 }, async (_, index) => {
      const outcome = await send(server, Array(10).fill({ name: "late", properties: { index } })).then(
        async (answer) => {
          const { count = 0 } = (await answer.json()) as { count?: number }
          answered += count
          return answer.status
        },
        (error: { code?: string }) => error.code ?? String(error),
      )
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    })
    await eventually(() => answered > 0)
    process.kill(server.pid, signal)
    await Promise.all(requests)
    expect(await server.exited).toBe(0)
    expect([...outcomes.keys()].filter((outcome) => !expected.has(outcome))).toEqual([])
    expect([...outcomes.values()].reduce((sum, count) => sum + count, 0)).toBe(1_000)
    expect(answered).toBe((outcomes.get(200) ?? 0) * 10)
    expect(existsSync(`${server.db}-wal`)).toBe(false)
    expect(existsSync(`${server.db}-shm`)).toBe(false)
    const copy = `${server.db}.copy`
    copyFileSync(server.db, copy)
    // A request that the stop cuts off may be stored as a whole without a response, but no acknowledged request may be
    // missing.
    const stored = countEvents(copy)
    expect(stored).toBeGreaterThanOrEqual(answered)
    expect(stored % 10).toBe(0)
  })
}

test("an upload that is too slow for the stop is cut off, which is not logged as an error", async () => {
  const server = await fresh(["--log-level", "debug"])
  const socket = connect({ port: server.port, host: "127.0.0.1" })
  cleanups.push(() => socket.destroy())
  socket.on("error", () => {})
  socket.write("POST /track HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
  const trickle = setInterval(() => socket.write(" "), 500)
  cleanups.push(() => clearInterval(trickle))
  await send(server, { name: "kept" })
  expect(await server.stop()).toBe(0)
  expect(server.output()).toContain("client disconnected before the response")
  expect(server.output()).not.toContain('"error"')
}, 20_000)

test("a signal that arrives twice at once, as from a terminal and npm, counts once", async () => {
  const server = await fresh()
  await send(server, { name: "kept" })
  process.kill(server.pid, "SIGINT")
  process.kill(server.pid, "SIGINT")
  expect(await server.exited).toBe(0)
  expect(existsSync(`${server.db}-wal`)).toBe(false)
  expect(countEvents(server.db)).toBe(1)
})

test("a second signal ends the server immediately, and no acknowledged event is lost", async () => {
  const server = await fresh(["--lock-wait", "60000"])
  await send(server, { name: "kept" })
  const other = new Database(server.db)
  cleanups.push(() => other.close())
  other.exec("begin immediate")
  const waiting = send(server, { name: "waits for the lock" }).catch(() => undefined)
  await Bun.sleep(100)
  process.kill(server.pid, "SIGTERM")
  await Bun.sleep(1_200)
  process.kill(server.pid, "SIGTERM")
  expect(await server.exited).toBe(1)
  await waiting
  other.exec("rollback")
  expect(countEvents(server.db)).toBe(1)
})

test("while another process has the database open, the -wal stays and nothing is lost", async () => {
  const server = await fresh()
  await send(server, { name: "kept" })
  const reader = openReader(server.db)
  cleanups.push(() => reader.close())
  expect(reader.prepare("select count(*) from events").pluck().get()).toBe(1)
  expect(await server.stop()).toBe(0)
  expect(existsSync(`${server.db}-wal`)).toBe(true)
  expect(reader.prepare("select count(*) from events").pluck().get()).toBe(1)
})

test("only the owner can read the database", async () => {
  const server = await fresh()
  await send(server, { name: "private" })
  for (const suffix of ["", "-wal", "-shm"]) {
    expect((statSync(server.db + suffix).mode & 0o777).toString(8)).toBe("600")
  }
})

test("a second server on the same port reports it and exits", async () => {
  const server = await fresh()
  const failure = await startFailure({ db: `${server.db}.other`, args: ["--port", String(server.port)] })
  expect(failure).toContain(`port ${server.port} on 127.0.0.1 is used by another process`)
})

test("during --shutdown-delay, requests are accepted, /ready returns 503, and /health?wait is closed without a response", async () => {
  const server = await fresh(["--shutdown-delay", "2500"])
  expect(await (await fetch(`${server.url}/health?wait`)).json()).toEqual({ status: "ok" })
  process.kill(server.pid, "SIGTERM")
  await eventually(async () => (await fetch(`${server.url}/ready`)).status === 503)
  const ready = await fetch(`${server.url}/ready`)
  expect(await ready.json()).toEqual({ status: "stopping" })
  expect(ready.headers.get("retry-after")).toBe("1")
  expect(await (await fetch(`${server.url}/health`)).json()).toEqual({ status: "stopping" })
  // HAProxy sends no Host header, so that the URL of the request is only a path.
  expect(await answerTo(server, "GET /health HTTP/1.0\r\n\r\n")).toEndWith('{"status":"stopping"}')
  const waitingToo = answerTo(server, "GET /health?wait=1 HTTP/1.0\r\n\r\n")
  const begun = performance.now()
  const waiting = fetch(`${server.url}/health?wait`).then(
    ({ status }) => status,
    () => "closed",
  )
  expect((await send(server, { name: "accepted while stopping" })).status).toBe(200)
  expect(await waiting).toBe("closed")
  expect(await waitingToo).toBe("")
  expect(await server.exited).toBe(0)
  // Waiting /health?wait requests do not delay the stop, which otherwise gives requests eight seconds.
  expect(performance.now() - begun).toBeLessThan(8_000)
  expect(existsSync(`${server.db}-wal`)).toBe(false)
  expect(countEvents(server.db)).toBe(1)
})

/** Sends a request on a new connection. Returns everything received until the connection is closed. */
function answerTo(server: Server, request: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port: server.port, host: "127.0.0.1" })
    cleanups.push(() => socket.destroy())
    let answer = ""
    socket.on("data", (chunk) => {
      answer += chunk
    })
    socket.on("error", () => {}).on("close", () => resolve(answer))
    socket.write(request)
  })
}

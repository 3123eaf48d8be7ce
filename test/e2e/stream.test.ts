import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { connect } from "node:net"
import { eventually, type Server, startServer, temporaryFolder } from "../harness.ts"

const folder = temporaryFolder()
let server: Server

beforeAll(async () => {
  server = await startServer({ db: folder.file("stream.db") })
})
afterAll(async () => {
  await server.stop()
  folder[Symbol.dispose]()
})

async function send(events: unknown): Promise<void> {
  const response = await fetch(`${server.url}/track`, {
    method: "POST",
    headers: { authorization: `Bearer ${server.key}` },
    body: JSON.stringify(events),
  })
  expect(response.status).toBe(200)
}

interface Message {
  id?: string
  event?: string
  // biome-ignore lint/suspicious/noExplicitAny: a test may look at any part of an event
  data?: any
}

/** Follows the stream. `messages` returns the messages received so far. */
async function follow(query: string, headers: Record<string, string> = {}) {
  const stop = new AbortController()
  const response = await fetch(`${server.url}/v1/events/stream?${query}`, {
    headers: { authorization: `Bearer ${server.key}`, ...headers },
    signal: stop.signal,
  })
  expect(response.headers.get("content-type")).toBe("text/event-stream")
  let text = ""
  const ended = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true })
  })().catch(() => {})
  const messages = (): Message[] =>
    text
      .split("\n\n")
      .slice(0, -1)
      .map((message) => {
        const fields = message.split("\n").map((line) => /^(\w*): ?(.*)$/.exec(line) ?? [])
        return Object.fromEntries(
          fields.map(([, name, value = ""]) => [name, name === "data" ? JSON.parse(value) : value]),
        )
      })
      .filter(({ data }) => data !== undefined)
  return { messages, ended, text: () => text, stop: () => stop.abort() }
}

test("streams matching events as they are stored, and resumes from an event id", async () => {
  await send({ name: "before" })
  const all = await follow("website_id=none")
  const some = await follow("website_id=none&name=bought&name=sold")
  await send([
    { name: "seen", anonymousId: "ann", properties: { a: [1, "ü\n"] } },
    { name: "bought", namespace: "shop" },
  ])
  await eventually(() => all.messages().length === 2 && some.messages().length === 1)
  const [first, second] = all.messages()
  expect(first?.data).toMatchObject({
    event_name: "seen",
    website_id: null,
    anonymous_id: "ann",
    properties: { a: [1, "ü\n"] },
    crawler: false,
  })
  expect(some.messages()).toEqual([second as Message])
  all.stop()
  some.stop()
  await send({ name: "sold" })
  const resumed = await follow("website_id=none", { "last-event-id": first?.id ?? "" })
  await eventually(() => resumed.messages().length === 2)
  expect(resumed.messages().map(({ data }) => data.event_name)).toEqual(["bought", "sold"])
  resumed.stop()
})

test("a batch that is larger than the buffer of a stream arrives in parts", async () => {
  const stream = await follow("website_id=none&name=large-batch")
  const properties = { text: "x".repeat(1_900) }
  await send(Array.from({ length: 1_000 }, () => ({ name: "large-batch", properties })))
  await eventually(() => stream.messages().length === 1_000)
  expect(stream.messages().every(({ event }) => event === undefined)).toBe(true)
  stream.stop()
})

test("a silent stream is kept alive", async () => {
  const silent = await follow("website_id=none&name=never")
  // The server closes connections that are idle for 10 s.
  await Bun.sleep(13_000)
  expect(silent.text()).toContain(": heartbeat\n\n")
  await send({ name: "never" })
  await eventually(() => silent.messages().length === 1)
  silent.stop()
}, 30_000)

test("a client that does not read its events is disconnected", async () => {
  const socket = connect(server.port, "127.0.0.1")
  socket.write(
    `GET /v1/events/stream?website_id=none HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.key}\r\n\r\n`,
  )
  await new Promise((resolve) => socket.once("data", resolve))
  socket.pause()
  const events = Array.from({ length: 60 }, () => ({
    name: "large",
    properties: { text: "x".repeat(30_000) },
  }))
  // 36 MB: more than the buffers of the system and of the stream together.
  for (let batch = 0; batch < 20; batch++) await send(events)
  let last = ""
  socket.on("data", (chunk) => {
    last = (last + chunk.toString("latin1")).slice(-400)
  })
  await Bun.sleep(2_000)
  socket.resume()
  await eventually(() => last.includes("the client reads too slowly"), { timeout: 20_000 })
  socket.destroy()
}, 40_000)

describe("the number of streams is limited", () => {
  const path = () => `${server.url}/v1/events/stream?website_id=none`
  const open = (key: string, address: string, method = "GET", signal?: AbortSignal) =>
    fetch(path(), {
      method,
      headers: { authorization: `Bearer ${key}`, "x-forwarded-for": address },
      ...(signal && { signal }),
    })
  async function newKey(): Promise<string> {
    const response = await fetch(`${server.url}/v1/keys`, {
      method: "POST",
      headers: { authorization: `Bearer ${server.key}` },
      body: JSON.stringify({ name: "reader", scopes: ["read:data"] }),
    })
    return ((await response.json()) as { key: { key: string } }).key.key
  }

  test("a HEAD request opens no stream", async () => {
    for (let count = 0; count < 70; count++) {
      const response = await open(server.key, "192.0.2.1", "HEAD")
      expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"])
    }
    const stop = new AbortController()
    expect((await open(server.key, "192.0.2.1", "GET", stop.signal)).status).toBe(200)
    stop.abort()
  })

  test("to 16 per key and 32 per address, so that others still get some", async () => {
    const keys = [await newKey(), await newKey(), await newKey()] as const
    const stop = new AbortController()
    const statuses = async (key: string, address: string, count: number) => {
      const answers = await Promise.all(
        Array.from({ length: count }, () => open(key, address, "GET", stop.signal)),
      )
      return answers.map(({ status }) => status).filter((status) => status === 200).length
    }
    expect(await statuses(keys[0], "192.0.2.2", 20)).toBe(16)
    expect(await statuses(keys[0], "192.0.2.3", 1)).toBe(0)
    expect(await statuses(keys[1], "192.0.2.2", 16)).toBe(16)
    expect(await statuses(keys[2], "192.0.2.2", 1)).toBe(0)
    expect(await statuses(keys[2], "192.0.2.4", 1)).toBe(1)
    stop.abort()
    // Closing streams frees slots.
    await eventually(async () => {
      const again = new AbortController()
      const { status } = await open(keys[0], "192.0.2.2", "GET", again.signal)
      again.abort()
      return status === 200
    })
  })
})

test("a stream ends when the server stops, and does not delay the stop", async () => {
  const other = await startServer({ db: folder.file("stop.db") })
  const response = await fetch(`${other.url}/v1/events/stream?website_id=none`, {
    headers: { authorization: `Bearer ${other.key}` },
  })
  const text = response.text()
  const before = performance.now()
  expect(await other.stop()).toBe(0)
  expect(await text).toContain("the server is stopping")
  // The server would wait 8 s for an open stream.
  expect(performance.now() - before).toBeLessThan(7_000)
})

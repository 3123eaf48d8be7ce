import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { eventually } from "../harness.ts"
import { Line } from "../support/line.ts"
import { bodyOf } from "./contract/bodies.ts"
import { accepted, plainEvent } from "./contract/cases.ts"
import { secrets } from "./contract/seed.ts"
import { ContractServer, successOf } from "./contract/server.ts"

// Requests with broken framing, over raw sockets. A request that does not succeed is not stored, and other clients are
// not affected.

let world: ContractServer

beforeAll(async () => {
  world = await ContractServer.start()
})
afterAll(() => world[Symbol.asyncDispose]())

const json = JSON.stringify(plainEvent)
const maxBytes = 2 * 1024 * 1024

function head(lines: Record<string, string | number>, first = "POST /track HTTP/1.1"): string {
  const all = {
    Host: "x",
    Authorization: `Bearer ${secrets.full}`,
    "Content-Type": "application/json",
    ...lines,
  }
  return `${first}\r\n${Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`
}

const good = head({ "Content-Length": json.length }) + json

function line(): Line {
  return new Line(world.server.port)
}

async function expectUnharmed(): Promise<void> {
  await world.accepts({ body: plainEvent }, accepted([{}]))
}

const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
const chunked = { "Transfer-Encoding": "chunked" }

describe("complete requests over a raw socket", () => {
  const cases: Record<string, { bytes: string; answers: number[]; stored: number }> = {
    one: { bytes: good, answers: [200], stored: 1 },
    "one in chunks": {
      bytes: head(chunked) + chunk('{"na') + chunk('me":"e') + chunk('"}') + chunk(""),
      answers: [200],
      stored: 1,
    },
    "an empty one": { bytes: head({ "Content-Length": 0 }), answers: [400], stored: 0 },
    "an empty one in chunks": { bytes: head(chunked) + chunk(""), answers: [400], stored: 0 },
    "one without a length": { bytes: head({}), answers: [400], stored: 0 },
    "bad JSON in chunks": { bytes: head(chunked) + chunk("{") + chunk(""), answers: [400], stored: 0 },
    "one with Expect: 100-continue": {
      bytes: head({ "Content-Length": json.length, Expect: "100-continue" }) + json,
      answers: [100, 200],
      stored: 1,
    },
    "one whose header names are in capitals": {
      bytes: `POST /track HTTP/1.1\r\nHOST: x\r\nX-API-KEY: ${secrets.full}\r\nCONTENT-LENGTH: ${json.length}\r\n\r\n${json}`,
      answers: [200],
      stored: 1,
    },
  }
  for (const [what, { bytes, answers, stored }] of Object.entries(cases)) {
    test(`${what} gets ${answers}`, async () => {
      using one = line()
      const last = world.lastId()
      one.send(bytes)
      expect(await one.answers(answers.length)).toEqual(answers)
      expect(world.rowsAfter(last)).toHaveLength(stored)
    })
  }
})

describe("an invalid Host header gets 400 on every path", () => {
  const hosts: Record<string, string | null> = {
    "two words": "a b",
    "an empty value": "",
    "an unclosed bracket": "[",
    "brackets without an address": "[x]",
    "300 characters of garbage": '%<">\\'.repeat(60),
    "a name that is too long": "a".repeat(260),
    "a path": "a/b?c#d",
    "a port that is too large": "x:99999",
    "a port that is not a number": "x:http",
    "a user": "user@x",
    "a user and a password": "user:word@x",
    "an escaped name": "a%2Fb",
    "two hosts": "x, y",
    "two headers": "x\r\nHost: y",
    "letters outside ASCII": "m\u00fcnchen.de",
    "a backslash": "a\\b",
  }
  const requests = [
    "GET /health",
    "GET /nothing?x",
    "GET /",
    "POST /track",
    "GET /track?a=/v1/me",
    "POST /v1/nothing",
    "GET /w/a/b",
    "GET http://other.example/health",
  ]
  for (const [what, Host] of Object.entries(hosts)) {
    test(what, async () => {
      const last = world.lastId()
      for (const first of requests) {
        using one = line()
        one.send(head({ Host: Host ?? "", "Content-Length": json.length }, `${first} HTTP/1.1`) + json)
        expect([first, ...(await one.answers())]).toEqual([first, 400])
        await eventually(() => one.received.endsWith("}"))
        expect(one.received).toContain("\r\nContent-Type: application/json\r\n")
        expect(one.received).toContain(
          first.includes(" /v1/") ? "the Host header is missing or is not a host" : "Invalid Host header",
        )
        expect(one.received.toLowerCase()).toContain("x-databuddy-reason: invalid_host")
      }
      expect(world.rowsAfter(last)).toEqual([])
    })
  }

  test("a missing Host header gets 400, except for probes over HTTP/1.0", async () => {
    const expected: [string, number][] = [
      ["GET /health HTTP/1.0", 200],
      ["GET /ready HTTP/1.0", 200],
      ["GET /health HTTP/1.1", 400],
      ["GET /healthy HTTP/1.0", 400],
      ["GET /track?a=/v1/me HTTP/1.0", 400],
    ]
    for (const [first, status] of expected) {
      using one = line()
      one.send(`${first}\r\nAccept: */*\r\n\r\n`)
      expect([first, ...(await one.answers())]).toEqual([first, status])
    }
  })
})

describe("the host does not affect the path", () => {
  const answers: Record<string, { first: string; status: number; body: string }> = {
    "a fixed path": { first: "GET /health", status: 200, body: '{"status":"ok"}' },
    "the dashboard": { first: "GET /", status: 200, body: "<title>Databuddy</title>" },
    "a page of the dashboard": {
      first: "GET /w/x/events?from=/v1/me",
      status: 200,
      body: "<title>Databuddy</title>",
    },
    "a path with a parameter": {
      first: "GET /v1/invites/none?a=/health",
      status: 404,
      body: '"code":"NOT_FOUND"',
    },
    "a path in the query": {
      first: "GET /track?a=/v1/me",
      status: 404,
      body: '{"status":"error","message":"Not found"}',
    },
    nothing: { first: "GET /nothing/v1/me", status: 404, body: '{"status":"error","message":"Not found"}' },
    "a URL in the query": {
      first: "GET /track?u=http://x/v1/me",
      status: 404,
      body: '"message":"Not found"',
    },
    "a path with two slashes": { first: "GET //v1/me", status: 404, body: '"message":"Not found"' },
    "two slashes and a host": {
      first: "GET //other.example/v1/me",
      status: 404,
      body: '"message":"Not found"',
    },
    "a backslash": { first: "GET /\\other.example/v1/me", status: 404, body: '"message":"Not found"' },
    "an absolute URL": { first: "GET http://other.example/health", status: 200, body: '{"status":"ok"}' },
    "an absolute URL with a short host": {
      first: "GET http://o/track?a=/v1/me",
      status: 404,
      body: '"message":"Not found"',
    },
    "an absolute URL with a path in its query": {
      first: "GET http://o/v1/invites/none?b=/health",
      status: 404,
      body: '"code":"NOT_FOUND"',
    },
  }
  for (const Host of [
    "x",
    "pi",
    "nas",
    "nas:4000",
    "[::1]",
    "[::1]:4000",
    "[::ffff:127.0.0.1]",
    "localhost",
    "under_score.example.com",
    "192.168.1.7:80",
    "a.very.long.name.example.com.",
    "x:",
  ]) {
    test(Host, async () => {
      for (const { first, status, body } of Object.values(answers)) {
        using one = line()
        one.send(head({ Host }, `${first} HTTP/1.1`))
        expect([first, ...(await one.answers())]).toEqual([first, status])
        await eventually(() => one.received.includes(body))
      }
    })
  }

  test("events are accepted with every kind of host", async () => {
    for (const Host of ["x", "nas", "[::1]:4000"]) {
      using one = line()
      one.send(head({ Host, "Content-Length": json.length }) + json)
      expect(await one.answers()).toEqual([200])
    }
  })
})

describe("several requests on one connection", () => {
  test("are answered in order, including an invalid one", async () => {
    using one = line()
    const last = world.lastId()
    const inChunks = head(chunked) + chunk(json) + chunk("")
    const bad = `${head({ "Content-Length": 1 })}{`
    for (const [index, bytes] of [good, bad, inChunks, bad, good].entries()) {
      one.send(bytes)
      await one.answers(index + 1)
    }
    expect(one.statuses).toEqual([200, 400, 200, 400, 200])
    expect(world.rowsAfter(last)).toHaveLength(3)
  })

  // Bun closes a connection if the next request arrives before the last response is ready. No real client pipelines
  // requests like this, and no client gets a success response for events that were not stored.
  test("get no responses if they do not wait for them, and only the first is stored", async () => {
    using one = line()
    const last = world.lastId()
    one.send(good.repeat(5))
    await eventually(() => one.closed)
    expect(one.statuses).toEqual([])
    await eventually(() => world.rowsAfter(last).length > 0)
    // Requests sent earlier would be stored with this one or before it.
    await expectUnharmed()
    expect(world.rowsAfter(last)).toHaveLength(1 + 1)
  })
})

describe("requests that arrive slowly", () => {
  test("byte by byte are answered like others", async () => {
    using one = line()
    const last = world.lastId()
    for (const byte of good) {
      one.send(byte)
      await Bun.sleep(1)
    }
    expect(await one.answers()).toEqual([200])
    expect(world.rowsAfter(last)).toHaveLength(1)
  })

  test("in chunks of one byte are answered like others", async () => {
    using one = line()
    const last = world.lastId()
    one.send(head(chunked))
    for (const byte of json) {
      one.send(chunk(byte))
      await Bun.sleep(1)
    }
    one.send(chunk(""))
    expect(await one.answers()).toEqual([200])
    expect(world.rowsAfter(last)).toHaveLength(1)
  })
})

describe("bodies that are too large", () => {
  test("are rejected by Content-Length before they are sent, with the contract's body and CORS headers", async () => {
    using one = line()
    const before = world.stored()
    one.send(head({ "Content-Length": 3_000_000, Origin: "https://example.com" }))
    one.send("x".repeat(1_000))
    expect(await one.answers()).toEqual([413])
    await eventually(() => one.received.endsWith("}"))
    expect(one.received).toContain('\r\n\r\n{"status":"error","message":"Payload too large"}')
    expect(one.received.toLowerCase()).toContain("access-control-allow-origin: https://example.com")
    expect(one.received.toLowerCase()).toContain("x-databuddy-reason: payload_too_large")
    expect(world.stored()).toEqual(before)
    await expectUnharmed()
  })

  test("leave the connection usable, so that the next request is answered after the whole body", async () => {
    using one = line()
    const last = world.lastId()
    one.send(head({ "Content-Length": maxBytes + 1 }))
    one.send(bodyOf(maxBytes + 1))
    one.send(good)
    const statuses = await one.answers(2)
    expect(statuses[0]).toBe(413)
    // The server may also close the connection here, but must not parse the rest of the body as a request.
    expect(one.closed ? [413] : [413, 200]).toEqual(statuses)
    expect(world.rowsAfter(last)).toHaveLength(statuses.length - 1)
    await expectUnharmed()
  })

  test("in chunks are rejected as soon as they exceed the limit", async () => {
    using one = line()
    const before = world.stored()
    one.send(head(chunked))
    const part = chunk("x".repeat(65_536))
    for (let sent = 0; sent <= maxBytes; sent += 65_536) one.send(part)
    expect(await one.answers()).toEqual([413])
    expect(world.stored()).toEqual(before)
    await expectUnharmed()
  })

  test("in chunks are accepted up to the limit", async () => {
    using one = line()
    const last = world.lastId()
    const body = bodyOf(maxBytes).toString()
    one.send(head(chunked))
    for (let at = 0; at < body.length; at += 65_536) one.send(chunk(body.slice(at, at + 65_536)))
    one.send(chunk(""))
    expect(await one.answers()).toEqual([200])
    expect(world.rowsAfter(last)).toHaveLength(1)
  })
})

describe("broken framing gets no success, stores nothing and does not affect other clients", () => {
  const cases: Record<string, string | Buffer> = {
    "both Content-Length and Transfer-Encoding":
      head({ "Content-Length": json.length, ...chunked }) + chunk(json) + chunk(""),
    "two different Content-Lengths": head({ "Content-Length": json.length }).replace(
      "\r\n\r\n",
      `\r\nContent-Length: ${json.length + 1}\r\n\r\n${json}`,
    ),
    "a negative Content-Length": head({ "Content-Length": -1 }) + json,
    "a Content-Length that is not a number": head({ "Content-Length": "twelve" }) + json,
    "a Content-Length beyond 64 bits": head({ "Content-Length": "9".repeat(30) }) + json,
    "a chunk size that is not a number": `${head(chunked)}zz\r\n${json}\r\n0\r\n\r\n`,
    "a chunk that is longer than its size": `${head(chunked)}2\r\n${json}\r\n0\r\n\r\n`,
    "a chunk size beyond 64 bits": `${head(chunked)}${"f".repeat(40)}\r\n${json}\r\n0\r\n\r\n`,
    "text that is not HTTP": "hello, is anybody there?\r\n\r\n",
    TLS: Buffer.from("16030100c8010000c40303", "hex"),
    "bytes of every value": Buffer.from(Array.from({ length: 256 }, (_, index) => 255 - index)),
    "a request line without a path": good.replace("/track ", ""),
    "another version of HTTP": good.replace("HTTP/1.1", "HTTP/9.9"),
    "20 KB of headers": head({ "Content-Length": json.length, "X-Long": "x".repeat(20_000) }) + json,
    "a NUL in a header": good.replace("Host: x", "Host: x\0y"),
    "a header line without a colon": good.replace("Host: x", "Host x"),
    "a body that ends before its Content-Length": head({ "Content-Length": 1_000 }) + json,
    "headers that do not end": head({ "Content-Length": json.length }).trimEnd(),
    "chunks that do not end": head(chunked) + chunk(json),
    "a truncated chunk": `${head(chunked)}ff\r\n${json}`,
  }
  for (const [what, bytes] of Object.entries(cases)) {
    test(`${what}, then the end of the connection`, async () => {
      using one = line()
      const before = world.stored()
      one.send(bytes)
      one.end()
      await eventually(() => one.closed)
      expect(one.statuses.filter((status) => status < 400 || (status >= 500 && status !== 505))).toEqual([])
      expect(world.stored()).toEqual(before)
      await expectUnharmed()
    })
  }

  test("bytes beyond the Content-Length of a body are rejected", async () => {
    using one = line()
    const last = world.lastId()
    one.send(`${good}${json}\r\n\r\n`)
    await eventually(() => one.closed)
    expect(one.statuses.at(-1)).toBe(400)
    await expectUnharmed()
    // The request before them was complete. It is stored at most once, and its response may be lost.
    expect(world.rowsAfter(last).length - 1).toBeLessThanOrEqual(1)
    expect(world.rowsAfter(last).length - 1).toBeGreaterThanOrEqual(one.statuses.length - 1)
  })

  test("JSON with trailing bytes is rejected", async () => {
    using one = line()
    const before = world.stored()
    one.send(`${head({ "Content-Length": json.length - 1 })}${json}`)
    expect((await one.answers())[0]).toBe(400)
    expect(world.stored()).toEqual(before)
  })

  test("connections that are reset in the middle of a body store nothing and log no error", async () => {
    const before = world.stored()
    for (let index = 0; index < 50; index++) {
      using one = line()
      one.send(head({ "Content-Length": 1_000 }) + json)
      await Bun.sleep(1)
    }
    expect(world.stored()).toEqual(before)
    await expectUnharmed()
    expect(world.server.output()).not.toContain("request failed")
  })

  test("200 stalled connections are closed within 20 s, while others are served", async () => {
    const before = world.stored()
    const starts = [
      "",
      "POST /tra",
      head({ "Content-Length": 1_000 }).trimEnd(),
      head({ "Content-Length": 1_000 }) + json,
      head(chunked) + chunk(json),
    ]
    const lines = Array.from({ length: 200 }, line)
    try {
      for (const [index, one] of lines.entries()) one.send(starts[index % starts.length] as string)
      await Bun.sleep(500)
      expect(world.stored()).toEqual(before)
      const last = world.lastId()
      for (let index = 0; index < 20; index++)
        expect((await world.send({ body: plainEvent })).body).toBe(successOf(1))
      expect(world.rowsAfter(last)).toHaveLength(20)
      await eventually(() => lines.every((one) => one.closed), { timeout: 20_000, pause: 250 })
      expect(lines.flatMap((one) => one.statuses).filter((status) => status < 400)).toEqual([])
      expect(world.rowsAfter(last)).toHaveLength(20)
    } finally {
      for (const one of lines) one[Symbol.dispose]()
    }
  }, 30_000)
})

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { gzipSync } from "node:zlib"
import { eventually } from "../harness.ts"
import { Line } from "../support/line.ts"
import { plainEvent } from "./contract/cases.ts"
import { secrets, websiteIds } from "./contract/seed.ts"
import { ContractServer, successOf } from "./contract/server.ts"

// The checks before a request is read or trusted: clients that send garbage cost little, and do not affect others.

/** In bytes. Small, so that a few bodies exceed the limit on an address's rejected bytes. */
const maxBody = 65_536
let world: ContractServer

beforeAll(async () => {
  world = await ContractServer.start({ args: ["--max-body", String(maxBody), "--queue-bytes", "4194304"] })
})
afterAll(() => world[Symbol.asyncDispose]())

const from = (address: string, more: Record<string, string | null> = {}) => ({
  "x-forwarded-for": address,
  ...more,
})
const fromPage = { path: `/track?website_id=${websiteIds.example}`, key: null } as const
const gzip = { "content-encoding": "gzip" }

/** Useless bodies of about the maximum size, most of which compress to a few hundred bytes. */
const rubbish: Record<string, string | Buffer> = {
  "an array of empty arrays": `{"name":"e","properties":{"a":[${Array(20_000).fill("[]").join(",")}]}}`,
  "a batch of numbers": `[${Array(30_000).fill("1").join(",")}]`,
  blanks: " ".repeat(65_000),
  "a number of 60,000 digits": `{"name":"e","properties":{"a":${"9".repeat(60_000)}}}`,
  "brackets in brackets": "[".repeat(32_000) + "]".repeat(32_000),
  // It decompresses to nothing, so the received bytes count.
  "a gzip of 3,000 empty parts": Buffer.concat(Array(3_000).fill(gzipSync(""))),
}

describe("an address with too many rejected bytes is rejected before its body is read", () => {
  const bodies = Object.entries(rubbish)
  for (const [index, [what, body]] of bodies.entries()) {
    test(`${what}`, async () => {
      const address = `192.0.2.${index}`
      const sent = {
        ...fromPage,
        headers: from(address, gzip),
        body: typeof body === "string" ? gzipSync(body) : body,
      }
      const reasons: (string | null)[] = []
      for (let count = 0; count < 8; count++) {
        reasons.push((await world.send(sent)).headers.get("x-databuddy-reason"))
      }
      expect(reasons.slice(0, 4)).not.toContain("too_many_rejected_bytes")
      expect(reasons.at(-1)).toBe("too_many_rejected_bytes")
      const good = { ...fromPage, body: plainEvent }
      const refused = await world.send({ ...good, headers: from(address) })
      expect(refused.status).toBe(429)
      expect(refused.body).toBe('{"status":"error","message":"Rate limit exceeded"}')
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0)
      expect(refused.headers.get("ratelimit-remaining")).toBe("0")
      // Other addresses, and clients with a valid key, are not affected.
      expect((await world.send({ ...good, headers: from("198.51.100.1") })).body).toBe(successOf(1))
      expect((await world.send({ body: plainEvent, headers: from(address) })).body).toBe(successOf(1))
      const query = { path: "/v1/query/websites", method: "GET", headers: from(address) }
      expect(
        (
          await fetch(world.server.url + query.path, {
            headers: { ...query.headers, authorization: `Bearer ${secrets.all}` },
          })
        ).status,
      ).toBe(200)
    })
  }

  test("the owner sees it among the rejected requests, with advice", async () => {
    const response = await fetch(`${world.server.url}/v1/refusals?reason=too_many_rejected_bytes`, {
      headers: { authorization: `Bearer ${secrets.all}` },
    })
    const { refusals } = (await response.json()) as { refusals: { websiteId: string; advice: string }[] }
    expect(refusals[0]).toMatchObject({
      websiteId: websiteIds.example,
      advice: expect.stringContaining("Fix the requests from this address"),
    })
  })

  test("all addresses of an IPv6 network count together", async () => {
    const sent = (host: number) => ({
      ...fromPage,
      headers: from(`2001:db8:7:7::${host}`, gzip),
      body: gzipSync(rubbish.blanks ?? ""),
    })
    for (let host = 1; host <= 8; host++) await world.send(sent(host))
    expect((await world.send(sent(99))).headers.get("x-databuddy-reason")).toBe("too_many_rejected_bytes")
  })

  test("rejections that are not its fault do not count, such as small events for a paused website", async () => {
    for (let count = 0; count < 50; count++) {
      const answer = await world.send({
        path: `/track?website_id=${websiteIds.paused}`,
        key: null,
        headers: from("203.0.113.1"),
        body: plainEvent,
      })
      expect(answer.status).toBe(404)
    }
  })
})

test("a login accepts only a small body, so that rejected bodies cannot prevent logins", async () => {
  for (const path of ["/v1/login", "/v1/me/password", "/v1/invites/x"]) {
    const body = gzipSync(`{"email":${"[".repeat(20_000)}`)
    const response = await fetch(world.server.url + path, {
      method: "POST",
      body,
      headers: { ...gzip, "content-type": "application/json", "x-databuddy-page": "1" },
    })
    expect([path, response.status]).toEqual([
      path,
      { "/v1/login": 413, "/v1/me/password": 401, "/v1/invites/x": 404 }[path] ?? 0,
    ])
  }
})

describe("bodies that arrive slowly", () => {
  const head = (address: string, bytes: number) =>
    `POST /track?website_id=${websiteIds.example} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${address}\r\nContent-Length: ${bytes}\r\n\r\n{`

  test("take at most a quarter of the budget per address, and others can continue to send", async () => {
    // The budget is 4 MiB, so an address can use 1 MiB: sixteen bodies of 64 KiB.
    const lines = Array.from({ length: 24 }, () => new Line(world.server.port))
    try {
      for (const line of lines) line.send(head("192.0.2.100", maxBody))
      await eventually(() => lines.filter((line) => line.statuses.includes(503)).length === 8)
      expect(lines.filter((line) => line.statuses.length > 0)).toHaveLength(8)
      expect((await world.send({ ...fromPage, headers: from("192.0.2.101"), body: plainEvent })).body).toBe(
        successOf(1),
      )
    } finally {
      for (const line of lines) line[Symbol.dispose]()
    }
    // Once these clients have disconnected, there is room again.
    await eventually(
      async () =>
        (await world.send({ ...fromPage, headers: from("192.0.2.100"), body: plainEvent })).status === 200,
    )
  })

  test("count even if they are small", async () => {
    const lines = Array.from({ length: 270 }, () => new Line(world.server.port))
    try {
      for (const line of lines) line.send(head("192.0.2.102", 20))
      await eventually(() => lines.filter((line) => line.statuses.includes(503)).length === 270 - 256)
      expect((await world.send({ ...fromPage, headers: from("192.0.2.103"), body: plainEvent })).body).toBe(
        successOf(1),
      )
    } finally {
      for (const line of lines) line[Symbol.dispose]()
    }
  })
})

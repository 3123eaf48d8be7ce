import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { LargeBodies } from "../../src/http/large-body.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { openApp, type TestApp } from "../support/app.ts"

// Large bodies from the page script must not block other requests, so their items are validated and prepared in steps.

const id = "6a1f8f2e-0000-4000-8000-00000000000b"
let app: TestApp
/** Advances by 10 ms each time it is read, so that each step of a large body ends a turn of the event loop. */
let clock = 0
/** Number of rows that have been prepared for a commit. */
let prepared = 0

beforeAll(() => {
  app = openApp(({ prepareRow }) => ({
    largeBodies: new LargeBodies(() => (clock += 10)),
    prepareRow: (row) => {
      prepared++
      return prepareRow(row)
    },
  }))
  const settings = { domain: "example.com", name: "x", allowedOrigins: [], anonymize: "off" as const }
  createWebsite(app.store.db, id, settings, app.clock.now)
  app.store.registry.refresh()
})
afterAll(() => app.close())

/** Sends a body and counts the turns of the event loop until the response. */
async function turnsOf(path: string, body: unknown): Promise<{ turns: number; answer: unknown }> {
  let isDone = false
  let turns = 0
  const turn = () => {
    turns++
    if (!isDone) setImmediate(turn)
  }
  setImmediate(turn)
  const request = new Request(`http://x${path}?client_id=${id}`, {
    method: "POST",
    headers: { host: "x" },
    body: JSON.stringify(body),
  })
  const response = await app.send(request)
  isDone = true
  return { turns, answer: await response.json() }
}

const count = 40
/** With these properties, 40 items are larger than 64 KiB. */
const properties = () =>
  Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`${prepared} ${crypto.randomUUID()}`, index]))
const pageEvent = (name: string) => () => ({
  eventId: crypto.randomUUID(),
  name,
  path: "https://example.com/a",
  properties: properties(),
})
const bodies: Record<string, [path: string, item: () => object]> = {
  "page views": ["/batch", pageEvent("screen_view")],
  "custom events in a batch": ["/batch", pageEvent("bought")],
  "custom events": ["/events", () => ({ eventName: "bought", properties: properties() })],
  errors: ["/errors", () => ({ message: "m", path: "/a", stack: "x".repeat(2_000) })],
}

describe("other requests are served while a large body is processed:", () => {
  for (const [what, [path, item]] of Object.entries(bodies)) {
    test(what, async () => {
      const before = prepared
      const { turns, answer } = await turnsOf(path, Array.from({ length: count }, item))
      expect(answer).toMatchObject({ status: "success" })
      expect(turns).toBeGreaterThan(2 * (count - 1))
      expect(prepared - before).toBe(count)
    })
  }

  test("invalid items", async () => {
    const { turns, answer } = await turnsOf(
      "/batch",
      Array.from({ length: count }, () => ({ ...pageEvent("bought")(), path: "none" })),
    )
    expect(answer).toMatchObject({ status: "error" })
    expect(turns).toBeGreaterThan(count - 1)
  })
})

test("a small body is handled in one turn of the event loop", async () => {
  const { turns } = await turnsOf("/batch", [pageEvent("bought")()])
  expect(turns).toBeLessThan(10)
})

import { afterAll, beforeAll, expect, test } from "bun:test"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { timeEventLoop } from "../support/event-loop.ts"

// An export shares its thread with ingestion, so it works in steps of a few ms, however large the properties are.

const events = 600
const characters = 30_000

let app: TestApp
let key = ""

beforeAll(async () => {
  app = openApp()
  key = giveKey(app).secret
  for (let at = 0; at < events; at += 60) {
    const some = Array.from({ length: 60 }, (_, index) => ({
      name: "large",
      properties: { text: `"${at + index}" ${"x".repeat(characters)}` },
    }))
    expect((await call("/track", { method: "POST", body: JSON.stringify(some) })).status).toBe(200)
  }
})
afterAll(() => app.close())

function call(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" }
  return app.send(new Request(`http://localhost${path}`, { ...init, headers }))
}

test.each(["ndjson", "csv", "parquet"])("an export as %s does not block the event loop", async (format) => {
  const shares: number[] = []
  // The best of several runs counts, because the machine may be busy with something else.
  for (let round = 0; round < 3; round++) {
    const { longest, total } = await timeEventLoop(async () => {
      const response = await call(`/v1/export?format=${format}`)
      expect((await response.bytes()).length).toBeGreaterThan(1_000)
    })
    shares.push(longest / total)
  }
  expect(Math.min(...shares)).toBeLessThan(0.25)
})

import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Server, startServer, temporaryFolder } from "../harness.ts"
import { memoryOf } from "../support/memory.ts"

// Concurrent queries together stay within the memory limit. Only Linux provides a process's memory in a file.

/** Limit for the memory of all queries, in MiB. */
const queryMemory = 64
/** Memory that the process needs besides queries, including garbage that is not collected yet, in MiB. */
const beside = 220
/** With this many values, each breakdown needs about 12 MB for its groups. */
const distinctValues = 40_000

let folder: ReturnType<typeof temporaryFolder>
let server: Server

beforeAll(async () => {
  folder = temporaryFolder()
  server = await startServer({
    db: folder.file("a.db"),
    args: ["--query-memory", String(queryMemory * 1_048_576), "--durability", "os"],
  })
  const site = siteOf(server)
  for (let at = 0; at < distinctValues; at += 1_000) {
    const events = Array.from({ length: 1_000 }, (_, index) => ({
      name: "viewed",
      websiteId: site,
      anonymousId: `visitor ${(at + index) % 9_973}`,
      sessionId: `session ${at + index}`,
      properties: { item: `item number ${at + index}` },
    }))
    expect((await post(`/track`, events)).status).toBe(200)
  }
})
afterAll(async () => {
  await server.kill()
  folder[Symbol.dispose]()
})

function siteOf({ output }: Server): string {
  return /website_id=([0-9a-f-]+)/.exec(output())?.[1] ?? ""
}

function post(path: string, body: unknown): Promise<Response> {
  return fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${server.key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  })
}

interface Answer {
  data: { success: boolean; data: unknown[]; meta: { total: number } }[]
}

test.skipIf(process.platform !== "linux")(
  "twelve concurrent breakdowns by a property with many values stay within the query memory",
  async () => {
    let most = 0
    const timer = setInterval(() => {
      most = Math.max(most, memoryOf(server).now)
    }, 10)
    const answers = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const breakdown = { name: "events", by: ["property.item"], measures: ["events", "users", "sessions"] }
        // The filters differ, so that no query can use the cached result of another.
        const filters = [{ field: "anonymous_id", op: "ne", value: `nobody ${index}` }]
        const response = await post(`/v1/query?website_id=${siteOf(server)}`, {
          parameters: [breakdown],
          filters,
          limit: 10_000,
          preset: "last_7d",
        })
        return (await response.json()) as Answer
      }),
    )
    clearInterval(timer)
    for (const { data } of answers) {
      expect([data[0]?.success, data[0]?.data.length, data[0]?.meta.total]).toEqual([
        true,
        10_000,
        distinctValues,
      ])
    }
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThan(queryMemory + beside)
  },
)

test("the log shows the memory plan at the start", () => {
  const line =
    server
      .output()
      .split("\n")
      .find((text) => text.includes('"memory plan"')) ?? "{}"
  expect(JSON.parse(line)).toMatchObject({
    query_memory_mib: queryMemory,
    query_memory_from: "--query-memory",
    one_query_mib: queryMemory / 2,
  })
})

import { expect, test } from "bun:test"
import { createKey, scopes } from "../../src/store/keys.ts"
import { maxNewKeysPerDay } from "../../src/store/property-key-quota.ts"
import { createWebsite } from "../../src/store/websites.ts"
import {
  eventually,
  openReader,
  type Server,
  startServer,
  temporaryFolder,
  withDatabase,
} from "../harness.ts"
import { memoryOf } from "../support/memory.ts"
import { mulberry32, picker } from "../support/random.ts"

// Keys, names, values and IDs that senders make up use memory in proportion to the data sent. In an earlier version, a
// dense array for each key of a block took up 6.9 GB for the first of these shapes.

/** Maximum growth of the process, in MiB. By the server's own estimate, a sealing pass can use 32 and a query 64. */
const maxGrowth = 320
const queryMemory = 134_217_728
const seed = Number(process.env.DATABUDDY_FUZZ_SEED ?? 1)
const random = picker(mulberry32(seed))

const many = <Item>(count: number, make: (index: number) => Item) =>
  Array.from({ length: count }, (_, index) => make(index))
const word = (length: number) =>
  many(Math.ceil(length / 8), () => random.whole(1e7, 1e8 - 1))
    .join("")
    .slice(0, length)

/** Requests, each a list of events. The first requests start a pass of sealing. */
const shapes: Record<string, () => object[][]> = {
  "many keys per event": () => [
    ...many(9, () => many(1_000, () => ({ name: "n" }))),
    many(60, (event) => ({
      name: "n",
      properties: Object.fromEntries(many(2_500, (key) => [`${event}_${key}`, 0])),
    })),
  ],
  "a new key in each event": () =>
    many(9, (part) =>
      many(1_000, (index) => ({ name: "own", properties: { [`item_${part}_${index}`]: 1 } })),
    ),
  "long texts": () => many(12, () => many(50, () => ({ name: "text", properties: { text: word(30_000) } }))),
  "names and days": () =>
    many(9, () =>
      many(1_000, () => ({
        name: `n${random.whole(0, 999)}`,
        timestamp: Date.now() - random.whole(0, 59) * 86_400_000,
      })),
    ),
  "nested values": () =>
    many(4, () =>
      many(25, () => ({
        name: "nested",
        properties: { list: many(500, (index) => [[{ [word(8)]: [index, {}] }]]) },
      })),
    ),
  "long ids": () =>
    many(9, () =>
      many(1_000, () => ({
        name: "ids",
        anonymousId: word(128),
        sessionId: word(128),
        profileId: word(128),
      })),
    ),
}

/** Adds the website that the queries read. The API key that sends the events has no rate limit. */
const withWebsite = (events: object[]) => events.map((event) => ({ ...event, websiteId: "a" }))

async function post(server: Server, path: string, body: unknown): Promise<Response> {
  const headers = { authorization: `Bearer ${server.key}`, "content-type": "application/json" }
  return fetch(`${server.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) })
}

test.if(process.platform === "linux")(
  `memory stays bounded for any data that senders make up, even after a restart (DATABUDDY_FUZZ_SEED=${seed})`,
  async () => {
    using folder = temporaryFolder()
    const db = folder.file("a.db")
    const args = ["--query-memory", String(queryMemory)]
    const settings = { domain: "a.example", name: "a", allowedOrigins: [], anonymize: "off" as const }
    const keySettings = { name: "k", scopes: [...scopes], websites: null, rateLimit: null, expiresAt: null }
    const key = withDatabase(db, (connection) => {
      createWebsite(connection, "a", settings, Date.now())
      return createKey(connection, "k", keySettings, (bytes) => crypto.getRandomValues(bytes), Date.now())
        .secret
    })
    let server = await startServer({ db, args })
    try {
      const maxMemory = memoryOf(server).now + maxGrowth
      let sent = 0
      for (const [shape, requests] of Object.entries(shapes)) {
        for (const events of requests()) {
          expect((await post({ ...server, key }, "/track", withWebsite(events))).status).toBe(200)
          sent += events.length
        }
        expect({ shape, fits: memoryOf(server).peak < maxMemory }).toEqual({ shape, fits: true })
      }
      const reader = openReader(db)
      const sealed = reader.prepare("select id from sealed").pluck()
      // If there are fewer rows than a pass needs, they are sealed only after a minute.
      await eventually(() => (sealed.get() as number) > sent - 9_000, { timeout: 60_000, pause: 100 })
      const keys = "select count(distinct value) from event_types, json_each(nullif(keys, ''))"
      expect(reader.prepare(keys).pluck().get()).toBeLessThanOrEqual(maxNewKeysPerDay)
      reader.close()
      expect(memoryOf(server).peak).toBeLessThan(maxMemory)
      await server.kill()
      server = await startServer({ db, args })
      const types = ["custom_events_discovery", "custom_events_property_classification", "custom_events"]
      for (const parameters of types) {
        const body = { parameters: [parameters], preset: "last_90d", limit: 100 }
        const response = await post({ ...server, key }, "/v1/query?website_id=a", body)
        expect(await response.json()).toMatchObject({ success: true })
        expect({ parameters, fits: memoryOf(server).peak < maxMemory }).toEqual({ parameters, fits: true })
      }
    } finally {
      await server.kill()
    }
  },
  180_000,
)

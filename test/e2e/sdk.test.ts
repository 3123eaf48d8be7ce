import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Databuddy, type DatabuddyConfig } from "@databuddy/sdk/node"
import { row as contractRow, notFromPage, type StoredEvent } from "./contract/cases.ts"
import { secrets, websiteIds } from "./contract/seed.ts"
import { ContractServer } from "./contract/server.ts"

// The official Node SDK. Only its apiUrl is changed.

let world: ContractServer

beforeAll(async () => {
  world = await ContractServer.start()
})
afterAll(() => world[Symbol.asyncDispose]())

function sdk(config: Partial<DatabuddyConfig> = {}): Databuddy {
  return new Databuddy({ apiKey: secrets.full, apiUrl: world.server.url, ...config })
}

/** Returns the events that `work` stores, without ids and times. The SDK always sends properties and a timestamp. */
async function storedBy(work: () => Promise<unknown>): Promise<unknown[]> {
  const last = world.lastId()
  await work()
  return world.rowsAfter(last).map(({ id: _, received_at: __, time: ___, timestamp: ____, ...rest }) => rest)
}

const sent = { properties: {} }

function row(changes: Partial<StoredEvent>): object {
  return { ...contractRow(changes), ...notFromPage }
}

describe("the official SDK", () => {
  test("sends a single event with every field that the SDK supports", async () => {
    const timestamp = Date.UTC(2024, 10, 23, 10)
    const last = world.lastId()
    const answer = await sdk({ enableBatching: false }).track({
      name: "order_paid",
      namespace: "shop",
      source: "backend",
      timestamp: timestamp + 0.4,
      properties: { amount: 12.5, items: ["a", "b"], nested: { ok: true } },
      anonymousId: "anon-1",
      sessionId: "session-1",
      profileId: "user-1",
      websiteId: websiteIds.example,
    })
    expect(answer).toEqual({ success: true })
    const stored: unknown[] = world
      .rowsAfter(last)
      .map(({ id: _, received_at: __, time: ___, ...rest }) => rest)
    expect(stored).toEqual([
      row({
        website_id: websiteIds.example,
        name: "order_paid",
        namespace: "shop",
        source: "backend",
        timestamp,
        anonymous_id: "anon-1",
        session_id: "session-1",
        profile_id: "user-1",
        properties: { amount: 12.5, items: ["a", "b"], nested: { ok: true } },
      }),
    ])
  })

  test("sends a single event with only a name", async () => {
    const stored = await storedBy(() => sdk({ enableBatching: false }).track({ name: "bare" }))
    expect(stored).toEqual([row({ ...sent, name: "bare" })])
  })

  test("sends nulls as absent fields, and adds its defaults", async () => {
    const client = sdk({
      enableBatching: false,
      websiteId: websiteIds.example,
      namespace: "jobs",
      source: "worker",
      anonymizeVisitorIds: "auto",
    })
    client.setGlobalProperties({ region: "eu" })
    const stored = await storedBy(() =>
      client.track({ name: "run", anonymousId: null, sessionId: null, profileId: null, properties: null }),
    )
    const expected = { website_id: websiteIds.example, namespace: "jobs", source: "worker" }
    expect(stored).toEqual([row({ ...expected, name: "run", properties: { region: "eu" } })])
  })

  test("sends a batch after ten events, and the rest on flush", async () => {
    const client = sdk()
    const names = Array.from({ length: 23 }, (_, index) => `batched-${index}`)
    const stored = await storedBy(async () => {
      for (const name of names) expect((await client.track({ name })).success).toBe(true)
      expect(await client.flush()).toMatchObject({ success: true, processed: 3 })
    })
    expect(stored).toEqual(names.map((name) => row({ ...sent, name })))
  })

  test("sends its largest batch of a hundred", async () => {
    const client = sdk({ batchSize: 100 })
    const names = Array.from({ length: 100 }, (_, index) => `hundred-${index}`)
    const stored = await storedBy(() => Promise.all(names.map((name) => client.track({ name }))))
    expect(stored).toEqual(names.map((name) => row({ ...sent, name })))
  })

  test("flushes by itself after its timeout", async () => {
    const client = sdk({ batchTimeout: 20 })
    const last = world.lastId()
    await client.track({ name: "left alone" })
    expect(world.rowsAfter(last)).toEqual([])
    while (world.rowsAfter(last).length === 0) await Bun.sleep(10)
    expect(world.rowsAfter(last)).toMatchObject([{ name: "left alone" }])
  })

  test("flushes nothing if nothing was sent", async () => {
    expect(await storedBy(() => sdk().flush())).toEqual([])
  })

  test("sends events for several websites in one batch", async () => {
    const client = sdk()
    const stored = await storedBy(async () => {
      await client.track({ name: "one", websiteId: websiteIds.example })
      await client.track({ name: "two", websiteId: websiteIds.legacy })
      await client.track({ name: "three" })
      await client.flush()
    })
    expect(stored).toEqual([
      row({ ...sent, name: "one", website_id: websiteIds.example }),
      row({ ...sent, name: "two", website_id: websiteIds.legacy }),
      row({ ...sent, name: "three" }),
    ])
  })

  test("requests a hash of the visitor's id", async () => {
    const client = sdk({ enableBatching: false, anonymizeVisitorIds: true })
    const stored = await storedBy(() => client.track({ name: "hashed", anonymousId: "anna" }))
    expect(stored).toEqual([
      row({ ...sent, name: "hashed", anonymous_id: expect.stringMatching(/^[\w-]{22}$/) }),
    ])
  })

  test("identifies a user, and again with more traits", async () => {
    const client = sdk({ websiteId: websiteIds.example })
    const first = { profileId: " user-7 ", anonymousId: "anon-7", traits: { email: "Seven@Example.com" } }
    expect(await client.identify(first)).toEqual({ success: true })
    expect(await client.identify({ profileId: "user-7", traits: { name: "Seven", plan: null } })).toEqual({
      success: true,
    })
    expect(world.profile(websiteIds.example, "user-7")).toEqual({
      website_id: websiteIds.example,
      profile_id: "user-7",
      email: "seven@example.com",
      name: "Seven",
      username: null,
      traits: { email: "seven@example.com", name: "Seven" },
      anonymous_ids: ["anon-7"],
    })
  })

  test("reports a rejection, and stores nothing", async () => {
    const forbidden = { success: false, error: "HTTP 403: Forbidden" }
    const unauthorized = { success: false, error: "HTTP 401: Unauthorized" }
    const badRequest = { success: false, error: "HTTP 400: Bad Request" }
    const single = { enableBatching: false }
    const stored = await storedBy(async () => {
      expect(await sdk({ ...single, apiKey: secrets.reader }).track({ name: "e" })).toEqual(forbidden)
      expect(await sdk({ ...single, apiKey: secrets.revoked }).track({ name: "e" })).toEqual(unauthorized)
      expect(await sdk(single).track({ name: "x".repeat(257) })).toEqual(badRequest)
      const client = sdk()
      await client.track({ name: "good" })
      await client.track({ name: "bad", namespace: "n".repeat(65) })
      expect(await client.flush()).toEqual(badRequest)
      const identity = { profileId: "u", websiteId: websiteIds.example }
      expect(await sdk({ apiKey: secrets.elsewhere }).identify(identity)).toEqual(forbidden)
    })
    expect(stored).toEqual([])
    expect(world.profile(websiteIds.example, "u")).toBeUndefined()
  })
})

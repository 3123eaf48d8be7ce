import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { createKey, updateKey } from "../../src/store/keys.ts"
import { createWebsite, pauseWebsite } from "../../src/store/websites.ts"
import { withDatabase } from "../harness.ts"
import { environment } from "../support/environment.ts"
import { bodyOf } from "./contract/bodies.ts"
import {
  accepted,
  type ContractRequest,
  eventWith,
  notFromPage,
  plainEvent,
  rejected,
  row,
} from "./contract/cases.ts"
import { type KeyName, secrets, websiteIds } from "./contract/seed.ts"
import {
  ContractServer,
  expectRejection,
  expectSuccess,
  type ReceivedResponse,
  successOf,
} from "./contract/server.ts"

// The contract for several requests: repeated events, concurrent requests, limits, and a locked or failing database.

const ok = { count: 1, reason: null }

function onWebsite(id: string, body: unknown = plainEvent): ContractRequest {
  return { key: null, path: `/track?website_id=${id}`, body }
}

/** Returns the website, the kind of credential and the name of each event with this event id. */
function withEventId(world: ContractServer, eventId: string): unknown[] {
  return world.reader
    .prepare("select website_id, credential, name from events where event_id = ? order by id")
    .raw()
    .all(eventId)
}

describe("one server", () => {
  let world: ContractServer

  beforeAll(async () => {
    world = await ContractServer.start({
      prepare: (db) => {
        db.exec(`
          create trigger poison before insert on event_rows
          when (select name from event_types where id = new.type_id) = 'poison'
          begin select raise(abort, 'this row is refused'); end`)
      },
    })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  describe("the documented examples work exactly as published", () => {
    const curl = Bun.which("curl")
    const type = '-H "Content-Type: application/json"'
    const examples: { script: string; answer: string; stored: ReturnType<typeof row>[] }[] = [
      {
        script: `curl -X POST $URL/track -H "Authorization: Bearer $KEY" ${type} \\
  -d '{"name":"button_clicked","namespace":"ui","properties":{"button_id":"signup","page":"/pricing"},"anonymousId":"user-123","sessionId":"session-456"}'`,
        answer: '{"status":"success","type":"custom_event","count":1}',
        stored: [
          row({
            name: "button_clicked",
            namespace: "ui",
            anonymous_id: "user-123",
            session_id: "session-456",
            properties: { button_id: "signup", page: "/pricing" },
          }),
        ],
      },
      {
        script: `curl -X POST $URL/track -H "Authorization: Bearer $KEY" ${type} \\
  -d '[{"name":"page_viewed","properties":{"path":"/dashboard"}},{"name":"feature_used","namespace":"product","properties":{"feature":"export","format":"csv"}}]'`,
        answer: '{"status":"success","type":"custom_event","count":2}',
        stored: [
          row({ name: "page_viewed", properties: { path: "/dashboard" } }),
          row({
            name: "feature_used",
            namespace: "product",
            properties: { feature: "export", format: "csv" },
          }),
        ],
      },
      {
        script: `curl -X POST "$URL/track?website_id=550e8400-e29b-41d4-a716-446655440000" ${type} \\
  -d '{"name":"video_played","properties":{"video_id":"intro-2024","duration":120}}'`,
        answer: '{"status":"success","type":"custom_event","count":1}',
        stored: [
          row({
            website_id: "550e8400-e29b-41d4-a716-446655440000",
            credential: "website_id",
            name: "video_played",
            properties: { video_id: "intro-2024", duration: 120 },
          }),
        ],
      },
      {
        script: `curl -X POST $URL/track -H "Authorization: Bearer $KEY" -d '{"name":"no type said"}'`,
        answer: '{"status":"success","type":"custom_event","count":1}',
        stored: [row({ name: "no type said" })],
      },
    ]
    for (const { script, answer, stored } of examples) {
      test(`${stored.map(({ name }) => name).join(" and ")}${curl ? "" : " (without curl)"}`, async () => {
        const last = world.lastId()
        const env = { URL: world.server.url, KEY: secrets.full }
        expect(await (curl ? shell(script, env) : fetched(script, env))).toBe(answer)
        const rows = world.rowsAfter(last)
        expect(rows.map(({ id: _, time: __, received_at, ...rest }) => rest)).toEqual(
          stored.map((one, index) => ({ ...one, ...notFromPage, timestamp: rows[index]?.received_at })),
        )
      })
    }
  })

  describe("a known eventId is not stored again, but still counts", () => {
    const once = (eventId: string, name = "first") => ({ name, eventId })

    test("in one request, where the first event wins", async () => {
      const answer = await world.send({ body: [once("in-one"), once("in-one", "second"), plainEvent] })
      expectSuccess(answer, { ...ok, count: 3 })
      expect(withEventId(world, "in-one")).toEqual([[null, "key", "first"]])
    })

    test("across requests, so that a retry gets the same response", async () => {
      for (const name of ["first", "second", "third"]) {
        expectSuccess(await world.send({ body: once("across", name) }), ok)
      }
      expect(withEventId(world, "across")).toEqual([[null, "key", "first"]])
    })

    test("a repeated batch with one more event stores only that event", async () => {
      const batch = [once("batch-1"), once("batch-2")]
      expectSuccess(await world.send({ body: batch }), { ...ok, count: 2 })
      const last = world.lastId()
      expectSuccess(await world.send({ body: [...batch, once("batch-3")] }), { ...ok, count: 3 })
      expect(world.rowsAfter(last).map((one) => one.event_id)).toEqual(["batch-3"])
    })

    test("in forty concurrent requests of ten events", async () => {
      const batch = Array.from({ length: 10 }, (_, index) => once(`concurrent-${index}`))
      const answers = await Promise.all(Array.from({ length: 40 }, () => world.send({ body: batch })))
      for (const answer of answers) expectSuccess(answer, { ...ok, count: 10 })
      for (const { eventId } of batch) expect(withEventId(world, eventId)).toHaveLength(1)
    })

    test("per website, and for events without a website", async () => {
      const ids = [
        undefined,
        websiteIds.example,
        websiteIds.legacy,
        undefined,
        websiteIds.example,
        websiteIds.legacy,
      ]
      for (const websiteId of ids) {
        expectSuccess(await world.send({ body: { ...once("per-website"), websiteId } }), ok)
      }
      expect(withEventId(world, "per-website")).toEqual([
        [null, "key", "first"],
        [websiteIds.example, "key", "first"],
        [websiteIds.legacy, "key", "first"],
      ])
    })

    test("per kind of credential, so that a page cannot suppress an event from the backend", async () => {
      expectSuccess(await world.send(onWebsite(websiteIds.example, once("order-42", "page"))), ok)
      for (const key of ["full", "limited", "all"] as const) {
        const body = { ...once("order-42", key), websiteId: websiteIds.example }
        expectSuccess(await world.send({ key, body }), ok)
      }
      expectSuccess(await world.send(onWebsite(websiteIds.example, once("order-42", "page again"))), ok)
      expect(withEventId(world, "order-42")).toEqual([
        [websiteIds.example, "website_id", "page"],
        [websiteIds.example, "key", "full"],
      ])
    })

    test("by its exact text", async () => {
      for (const eventId of ["exact", "EXACT", "exact ", "e\u0301xact", "éxact"]) {
        expectSuccess(await world.send({ body: once(eventId) }), ok)
        expect(withEventId(world, eventId)).toHaveLength(1)
      }
    })

    test("and a rejected request leaves no eventId behind", async () => {
      const batch = [once("of-refused"), { name: "" }]
      expect((await world.send({ body: batch })).status).toBe(400)
      expectSuccess(await world.send({ body: once("of-refused", "later") }), ok)
      expect(withEventId(world, "of-refused")).toEqual([[null, "key", "later"]])
    })

    test("after a restart", async () => {
      expectSuccess(await world.send({ body: once("restart") }), ok)
      expectSuccess(await world.send(onWebsite(websiteIds.example, once("restart"))), ok)
      await world.restart()
      expectSuccess(await world.send({ body: once("restart", "after") }), ok)
      expectSuccess(await world.send(onWebsite(websiteIds.example, once("restart", "after"))), ok)
      expect(withEventId(world, "restart")).toEqual([
        [null, "key", "first"],
        [websiteIds.example, "website_id", "first"],
      ])
    })
  })

  describe("a row that SQLite rejects", () => {
    const poisoned = rejected("row_refused")

    test("gets an error without internal details, and nothing of its request is stored", async () => {
      await world.refuses({ body: eventWith("name", "poison") }, poisoned)
      await world.refuses({ body: [plainEvent, eventWith("name", "poison"), plainEvent] }, poisoned)
    })

    test("does not fail the requests in the same commit", async () => {
      const requests = Array.from({ length: 30 }, (_, index) => [
        { name: "beside", eventId: `beside-${index}-a` },
        { name: index % 10 === 5 ? "poison" : "beside", eventId: `beside-${index}-b` },
      ])
      const last = world.lastId()
      const lock = world.lock()
      const answers = requests.map((body) => world.send({ body }))
      // Long enough for all of them to wait for the lock together. If it is not, the test checks less but passes.
      await Bun.sleep(150)
      lock[Symbol.dispose]()
      for (const [index, answer] of (await Promise.all(answers)).entries()) {
        if (index % 10 === 5) expectRejection(answer, poisoned)
        else expectSuccess(answer, { ...ok, count: 2 })
      }
      const stored = world.rowsAfter(last).map((one) => String(one.event_id))
      expect(stored.sort()).toEqual(
        requests
          .flatMap((events, index) => (index % 10 === 5 ? [] : events.map(({ eventId }) => eventId)))
          .sort(),
      )
    })

    test("leaves the event names of its request usable", async () => {
      const fresh = { name: "first seen beside poison", properties: { new: 1 } }
      await world.refuses({ body: [fresh, eventWith("name", "poison")] }, poisoned)
      await world.accepts({ body: fresh }, accepted([fresh]))
    })
  })

  describe("a visitor's id is stored as a hash", () => {
    const hash = /^[\w-]{22}$/
    const hashOf = async (sent: ContractRequest): Promise<string> => {
      const last = world.lastId()
      expectSuccess(await world.send(sent), ok)
      const [stored] = world.rowsAfter(last)
      expect(JSON.stringify(stored)).not.toContain("anna")
      expect(stored?.anonymous_id).toMatch(hash)
      return String(stored?.anonymous_id)
    }
    const anna = { name: "e", anonymousId: "anna" }

    test("if the event requests it, with one hash per visitor and website", async () => {
      const asked = { ...anna, anonymizeVisitorIds: true }
      const first = await hashOf(onWebsite(websiteIds.example, asked))
      expect(await hashOf(onWebsite(websiteIds.example, asked))).toBe(first)
      expect(await hashOf({ body: { ...asked, websiteId: websiteIds.example } })).toBe(first)
      expect(await hashOf(onWebsite(websiteIds.example, { ...asked, anonymousId: "berta" }))).not.toBe(first)
      expect(await hashOf(onWebsite(websiteIds.legacy, asked))).not.toBe(first)
      expect(await hashOf({ body: asked })).not.toBe(first)
    })

    test("if the website requires it, whatever the event requests", async () => {
      const hashes = [
        await hashOf(onWebsite(websiteIds.daily, anna)),
        await hashOf(onWebsite(websiteIds.daily, { ...anna, anonymizeVisitorIds: "auto" })),
        await hashOf(onWebsite(websiteIds.daily, { ...anna, anonymizeVisitorIds: false })),
        await hashOf(onWebsite(websiteIds.daily, { ...anna, anonymizeVisitorIds: true })),
        await hashOf({ body: { ...anna, websiteId: websiteIds.daily } }),
      ]
      expect(new Set(hashes).size).toBe(1)
    })

    test("and identify links the profile to the same hash", async () => {
      const stored = await hashOf(onWebsite(websiteIds.daily, anna))
      const body = { profileId: "anna's", anonymousId: "anna", websiteId: websiteIds.daily }
      expect((await world.send({ path: "/identify", body })).status).toBe(200)
      expect(world.profile(websiteIds.daily, "anna's")?.anonymous_ids).toEqual([stored])
    })

    test("and is the same after a restart on the same day", async () => {
      const before = await hashOf(onWebsite(websiteIds.daily, anna))
      await world.restart()
      expect(await hashOf(onWebsite(websiteIds.daily, anna))).toBe(before)
    })
  })

  describe("the traits of a profile are limited", () => {
    const beyond = rejected("invalid_shape", {
      traits:
        "must be at most 200 traits and 16384 bytes of JSON, together with the stored traits of the profile: set some of them to null to remove them",
    })
    const identity = (
      profileId: string,
      traits: Record<string, unknown>,
      anonymousId = "",
    ): ContractRequest => ({
      path: "/identify",
      body: { profileId, anonymousId, websiteId: websiteIds.example, traits },
    })
    const fifty = (from: number, value: unknown = 1) =>
      Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`t${from + index}`, value]))
    const identify = async (...sent: Parameters<typeof identity>) =>
      expect((await world.send(identity(...sent))).body).toBe('{"status":"success","type":"identify"}')
    const traitsOf = (profileId: string) =>
      Object.keys(world.profile(websiteIds.example, profileId)?.traits ?? {})

    test("to 200, and a request that exceeds the limit is rejected completely", async () => {
      for (const from of [0, 50, 100, 150]) await identify("many", fifty(from))
      await world.refuses(identity("many", { t0: 2, one: "more" }, "linked"), beyond)
      expect(world.profile(websiteIds.example, "many")).toMatchObject({
        traits: { t0: 1 },
        anonymous_ids: [],
      })
      expect(traitsOf("many")).toHaveLength(200)
    })

    test("but a trait can be changed or replaced at the limit", async () => {
      await identify("many", { t0: 2 })
      await identify("many", { t0: null, one: "more" }, "linked")
      expect(traitsOf("many")).toHaveLength(200)
      expect(world.profile(websiteIds.example, "many")).toMatchObject({
        traits: { one: "more" },
        anonymous_ids: ["linked"],
      })
    })

    test("to 16,384 bytes", async () => {
      // Eight traits of 2,046 bytes, seven commas and two braces are 16,377 bytes; the last trait has seven.
      for (let n = 0; n < 8; n++) await identify("long", { [`t${n}`]: `${"語".repeat(679)}xx` })
      await identify("long", { k: "" })
      await world.refuses(identity("long", { k: "x" }), beyond)
      expect(world.profile(websiteIds.example, "long")?.traits).toMatchObject({ k: "" })
    })

    test("and a rejection does not fail the requests in the same commit", async () => {
      const last = world.lastId()
      const lock = world.lock()
      const beside = Array.from({ length: 10 }, () => world.send({ body: plainEvent }))
      const rejection = world.send(identity("many", fifty(1_000)))
      const other = world.send(identity("other", fifty(0)))
      await Bun.sleep(150)
      lock[Symbol.dispose]()
      for (const answer of await Promise.all(beside)) expectSuccess(answer, ok)
      expectRejection(await rejection, beyond)
      expect((await other).status).toBe(200)
      expect(world.rowsAfter(last)).toHaveLength(10)
      expect([traitsOf("many").length, traitsOf("other").length]).toEqual([200, 50])
    })
  })

  describe("keys that never existed", () => {
    const headers = { "x-forwarded-for": "203.0.113.9" }
    const tooMany = rejected("too_many_failed_credentials")

    test("are rejected with 429 after 60 a minute from one address, on every path", async () => {
      const wrong: KeyName[] = ["unknown", "malformed"]
      const start = performance.now()
      const answers: ReceivedResponse[] = []
      while (answers.length < 120 && answers.at(-1)?.status !== 429) {
        answers.push(await world.send({ key: wrong[answers.length % 2] ?? null, headers, body: plainEvent }))
      }
      expectRejection(answers[0] as ReceivedResponse, rejected("key_unknown"))
      expectRejection(answers.at(-1) as ReceivedResponse, tooMany)
      const seconds = (performance.now() - start) / 1_000
      expect(answers.length - 1).toBeGreaterThanOrEqual(60)
      expect(answers.length - 1).toBeLessThanOrEqual(61 + seconds)
      await world.refuses({ key: null, headers: { ...headers, "x-api-key": "x" }, body: plainEvent }, tooMany)
      const body = { profileId: "u", websiteId: websiteIds.example }
      await world.refuses({ path: "/identify", key: "unknown", headers, body }, tooMany)
    })

    test("do not affect valid keys and website ids from the same address, or other addresses", async () => {
      expectSuccess(await world.send({ headers, body: plainEvent }), ok)
      expectSuccess(await world.send({ ...onWebsite(websiteIds.example), headers }), ok)
      expectSuccess(await world.send({ ...onWebsite(websiteIds.example), key: "unknown", headers }), {
        count: 1,
        reason: "key_unknown",
      })
      const elsewhere = { "x-forwarded-for": "203.0.113.10" }
      expectSuccess(await world.send({ headers: elsewhere, body: plainEvent }), ok)
      await world.refuses({ key: "unknown", headers: elsewhere, body: plainEvent }, rejected("key_unknown"))
    })

    test("get the errors of checks that come before the key", async () => {
      const body = bodyOf(3_000_000)
      await world.refuses({ key: "unknown", headers, body }, rejected("payload_too_large"))
    })

    test("do not include revoked keys, which do not count as guesses", async () => {
      const from = { "x-forwarded-for": "203.0.113.11" }
      for (let index = 0; index < 65; index++) {
        expectRejection(
          await world.send({ key: "revoked", headers: from, body: plainEvent }),
          rejected("key_revoked"),
        )
      }
    })
  })

  test("changes by the CLI apply within a second, without a restart", async () => {
    const website = onWebsite(websiteIds.longest)
    expectSuccess(await world.send(website), ok)
    const paused = rejected("website_paused")
    await world.change(
      (db) => pauseWebsite(db, websiteIds.longest, true, Date.now()),
      async () => (await world.send(website)).status === paused.status,
    )
    await world.refuses(website, paused)
    await world.change(
      (db) => pauseWebsite(db, websiteIds.longest, false, Date.now()),
      async () => (await world.send(website)).status === 200,
    )
  })

  describe("a new or fixed key or website applies immediately", () => {
    const grant = {
      name: "new",
      scopes: ["track:events" as const],
      websites: null,
      rateLimit: null,
      expiresAt: null,
    }
    const settings = { domain: "new.test", name: "new", allowedOrigins: [], anonymize: "off" as const }
    const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
    const make = <Made>(work: Parameters<typeof withDatabase<Made>>[1]) => withDatabase(world.server.db, work)
    const withKey = (secret: string): ContractRequest => ({
      key: null,
      headers: { authorization: `Bearer ${secret}` },
      body: plainEvent,
    })

    test("a key, ten times", async () => {
      for (let n = 0; n < 10; n++) {
        // The server checks for changes at most every 10 ms. Starting the CLI takes longer than that.
        await Bun.sleep(15)
        const { secret } = make((db) => createKey(db, `new ${n}`, grant, random, Date.now()))
        expectSuccess(await world.send(withKey(secret)), ok)
      }
    })

    test("a key, while other clients keep sending wrong keys", async () => {
      let isOver = false
      const flood = Array.from({ length: 8 }, async () => {
        while (!isOver) await world.send({ key: "unknown", body: plainEvent })
      })
      const { secret } = make((db) => createKey(db, "new beside", grant, random, Date.now()))
      await Bun.sleep(15)
      const answer = await world.send(withKey(secret))
      isOver = true
      await Promise.all(flood)
      expectSuccess(answer, ok)
    })

    test("a website with a UUID or another id, in the query and in the event", async () => {
      const made: [id: string, inEventFirst: boolean][] = [
        [crypto.randomUUID(), false],
        ["new-site", false],
        [crypto.randomUUID(), true],
        ["newer-site", true],
      ]
      for (const [id, inEventFirst] of made) {
        await Bun.sleep(15)
        make((db) => createWebsite(db, id, settings, Date.now()))
        const inQuery = onWebsite(id)
        const inEvent = { key: null, body: eventWith("websiteId", id) }
        expectSuccess(await world.send(inEventFirst ? inEvent : inQuery), ok)
      }
    })

    test("a resumed website, and an enabled key", async () => {
      await Bun.sleep(15)
      const { secret } = make((db) => createKey(db, "disabled and enabled", grant, random, Date.now()))
      make((db) => updateKey(db, "disabled and enabled", { disabledAt: 1 }))
      await Bun.sleep(600)
      await world.refuses(withKey(secret), rejected("key_disabled"))
      await Bun.sleep(15)
      make((db) => updateKey(db, "disabled and enabled", { disabledAt: null }))
      expectSuccess(await world.send(withKey(secret)), ok)
      make((db) => pauseWebsite(db, "new-site", true, Date.now()))
      await Bun.sleep(600)
      await world.refuses(onWebsite("new-site"), rejected("website_paused"))
      await Bun.sleep(15)
      make((db) => pauseWebsite(db, "new-site", false, Date.now()))
      expectSuccess(await world.send(onWebsite("new-site")), ok)
    })
  })

  test("500 concurrent requests of every kind each get their own response", async () => {
    const last = world.lastId()
    const kinds: { sent: ContractRequest; status: number }[] = [
      { sent: { body: plainEvent }, status: 200 },
      { sent: onWebsite(websiteIds.example), status: 200 },
      { sent: { body: "{" }, status: 400 },
      { sent: { key: "revoked", body: plainEvent }, status: 401 },
      { sent: { key: "reader", body: plainEvent }, status: 403 },
      { sent: { body: eventWith("name", "poison") }, status: 500 },
      { sent: onWebsite(websiteIds.unknown), status: 404 },
    ]
    const sent = Array.from({ length: 500 }, (_, index) => kinds[index % kinds.length] as (typeof kinds)[0])
    const answers = await Promise.all(sent.map((one) => world.send(one.sent)))
    expect(answers.map(({ status }) => status)).toEqual(sent.map(({ status }) => status))
    expect(world.rowsAfter(last)).toHaveLength(sent.filter(({ status }) => status === 200).length)
  })
})

describe("a server with a limit of 100 events and 200,000 bytes a minute", () => {
  let world: ContractServer
  const limited = rejected("rate_limited")

  beforeAll(async () => {
    world = await ContractServer.start({
      args: ["--rate-limit-events", "100", "--rate-limit-bytes", "200000"],
    })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const events = (count: number, address: string, key: KeyName | null = null): ContractRequest => ({
    path: `/track?website_id=${websiteIds.example}`,
    key,
    headers: { "x-forwarded-for": address },
    body: Array.from({ length: count }, () => plainEvent),
  })
  const bytes = (size: number, address: string): ContractRequest => ({
    ...events(0, address),
    body: bodyOf(size),
  })

  test("accepts 100 events from an address, in any number of requests, and then rejects more", async () => {
    expectSuccess(await world.send(events(60, "198.51.100.1")), { count: 60, reason: null })
    const tooMany = events(60, "198.51.100.1")
    await world.refuses(tooMany, limited)
    const answer = await world.send(tooMany)
    const wait = Number(answer.headers.get("retry-after"))
    expect(wait).toBeGreaterThan(1)
    expect(wait).toBeLessThanOrEqual(12)
    expect(answer.headers.get("RateLimit-Limit")).toBe("600")
    expectSuccess(await world.send(events(30, "198.51.100.1")), { count: 30, reason: null })
    expectSuccess(await world.send(events(60, "198.51.100.2")), { count: 60, reason: null })
  })

  test("accepts 200,000 bytes", async () => {
    expectSuccess(await world.send(bytes(150_000, "198.51.100.3")), ok)
    await world.refuses(bytes(150_000, "198.51.100.3"), limited)
    expectSuccess(await world.send(bytes(20_000, "198.51.100.3")), ok)
  })

  test("accepts one request larger than the limit", async () => {
    expectSuccess(await world.send(events(150, "198.51.100.4")), { count: 150, reason: null })
    await world.refuses(events(1, "198.51.100.4"), limited)
  })

  test("does not count requests with a key", async () => {
    for (let count = 0; count < 3; count++) {
      expectSuccess(await world.send(events(90, "198.51.100.5", "full")), { count: 90, reason: null })
    }
  })

  test("lists the rejected requests with advice", async () => {
    const response = await fetch(
      `${world.server.url}/v1/refusals?reason=rate_limited&website_id=${websiteIds.example}`,
      {
        headers: { authorization: `Bearer ${secrets.all}` },
      },
    )
    const { refusals } = (await response.json()) as { refusals: { events: number; advice: string }[] }
    expect(refusals.map(({ events }) => events)).toContain(60)
    expect(refusals[0]?.advice).toContain("--rate-limit-events")
  })
})

describe("a server with a limit of 3 requests a minute", () => {
  let world: ContractServer
  const limited = rejected("rate_limited")

  beforeAll(async () => {
    world = await ContractServer.start({ args: ["--rate-limit", "3"] })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const from = (address: string, sent: ContractRequest): ContractRequest => ({
    ...sent,
    headers: { ...sent.headers, "x-forwarded-for": address },
  })
  const rateOf = ({ headers }: ReceivedResponse) =>
    ["Limit", "Remaining", "Reset"].map((name) => Number(headers.get(`RateLimit-${name}`)))

  test("counts down, and then rejects with Retry-After and stores nothing", async () => {
    const sent = from("198.51.100.1", onWebsite(websiteIds.example))
    for (const remaining of [2, 1, 0]) {
      const answer = await world.send(sent)
      expectSuccess(answer, ok)
      expect(rateOf(answer).slice(0, 2)).toEqual([3, remaining])
    }
    await world.refuses(sent, limited)
    const answer = await world.send(sent)
    const [limit, remaining, reset = 0] = rateOf(answer)
    expect([limit, remaining]).toEqual([3, 0])
    expect(reset).toBeGreaterThan(0)
    expect(reset).toBeLessThanOrEqual(20)
    expect(answer.headers.get("retry-after")).toBe(String(reset))
  })

  test("counts by address and by website", async () => {
    expectSuccess(await world.send(from("198.51.100.2", onWebsite(websiteIds.example))), ok)
    expectSuccess(await world.send(from("198.51.100.1", onWebsite(websiteIds.legacy))), ok)
  })

  test("counts the address reported by a trusted proxy, not by the client", async () => {
    await world.refuses(from("192.0.2.66, 198.51.100.1", onWebsite(websiteIds.example)), limited)
  })

  test("counts all of an IPv6 /64 as one address", async () => {
    for (const address of ["2001:db8:0:7::1", "2001:db8:0:7::2", "2001:db8:0:7:a:b:c:d"]) {
      expectSuccess(await world.send(from(address, onWebsite(websiteIds.example))), ok)
    }
    await world.refuses(from("2001:db8:0:7::4", onWebsite(websiteIds.example)), limited)
    expectSuccess(await world.send(from("2001:db8:0:8::1", onWebsite(websiteIds.example))), ok)
  })

  test("rejects a page's request with a body that the page can read", async () => {
    const page = onWebsite(websiteIds.example)
    const sent = from("198.51.100.1", { ...page, headers: { origin: "https://example.com" } })
    expectRejection(await world.send(sent), limited, sent)
  })

  test("checks the rate before the website", async () => {
    const sent = from("198.51.100.3", onWebsite(websiteIds.unknown))
    for (let index = 0; index < 3; index++) await world.refuses(sent, rejected("website_unknown"))
    await world.refuses(sent, limited)
  })

  test("does not count requests rejected by earlier checks", async () => {
    const bad = from("198.51.100.4", onWebsite(websiteIds.example, { name: "" }))
    for (let index = 0; index < 5; index++) expect((await world.send(bad)).status).toBe(400)
    expectSuccess(await world.send(from("198.51.100.4", onWebsite(websiteIds.example))), ok)
  })

  test("does not count requests with an unlimited key", async () => {
    for (let index = 0; index < 10; index++) {
      const answer = await world.send(from("198.51.100.1", { body: plainEvent }))
      expectSuccess(answer, ok)
      expect(answer.headers.get("ratelimit-limit")).toBeNull()
    }
  })

  test("counts requests with a key by the key's own limit, from any address", async () => {
    const hasty = { key: "hasty", body: plainEvent } as const
    for (const remaining of [1, 0]) {
      const answer = await world.send(hasty)
      expectSuccess(answer, ok)
      expect(rateOf(answer).slice(0, 2)).toEqual([2, remaining])
    }
    await world.refuses(hasty, limited)
    await world.refuses({ ...hasty, body: eventWith("websiteId", websiteIds.unknown) }, limited)
  })

  test("checks the credential before the rate", async () => {
    for (let index = 0; index < 3; index++) {
      await world.refuses({ key: "hastyReader", body: plainEvent }, rejected("scope_missing"))
    }
  })
})

describe("a database locked by another process", () => {
  let world: ContractServer

  beforeAll(async () => {
    world = await ContractServer.start({ args: ["--lock-wait", "500", "--queue-events", "5"] })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  test("makes a request wait and then fail, and a retry is accepted later", async () => {
    const sent: ContractRequest = { body: [eventWith("eventId", "while-locked"), plainEvent] }
    const lock = world.lock()
    const start = performance.now()
    await world.refuses(sent, rejected("store_locked"))
    expect(performance.now() - start).toBeGreaterThan(490)
    lock[Symbol.dispose]()
    await world.accepts(sent, accepted([{ event_id: "while-locked" }, {}]))
  })

  test("that is unlocked in time causes no rejection", async () => {
    const last = world.lastId()
    const lock = world.lock()
    const answer = world.send({ body: plainEvent })
    await Bun.sleep(50)
    expect(world.rowsAfter(last)).toEqual([])
    lock[Symbol.dispose]()
    expectSuccess(await answer, ok)
    expect(world.rowsAfter(last)).toHaveLength(1)
  })

  test("also makes requests to /identify fail", async () => {
    const body = { profileId: "locked", anonymousId: "a", websiteId: websiteIds.example, traits: { a: 1 } }
    const lock = world.lock()
    await world.refuses({ path: "/identify", body }, rejected("store_locked"))
    lock[Symbol.dispose]()
    expect((await world.send({ path: "/identify", body })).status).toBe(200)
    expect(world.profile(websiteIds.example, "locked")?.traits).toEqual({ a: 1 })
  })

  test("does not delay an empty batch or a rejection", async () => {
    using _lock = world.lock()
    await world.accepts({ body: [] }, accepted([]))
    await world.refuses({ body: "{" }, rejected("invalid_json"))
    await world.refuses({ key: "revoked", body: plainEvent }, rejected("key_revoked"))
  })

  test("is noticed last, so that an unknown website is still not found", async () => {
    using _lock = world.lock()
    await world.refuses(onWebsite(websiteIds.unknown), rejected("website_unknown"))
    await world.refuses(onWebsite(websiteIds.paused), rejected("website_paused"))
  })

  test("fills the queue, so that further requests are rejected immediately and accepted later", async () => {
    const three = { body: [plainEvent, plainEvent, plainEvent] }
    const before = world.stored()
    const lock = world.lock()
    const timed = async () => {
      const start = performance.now()
      return { answer: await world.send(three), took: performance.now() - start }
    }
    // A queue of five has space for one of two requests with three events each.
    const [beyond, waited] = (await Promise.all([timed(), timed()])).sort((a, b) => a.took - b.took)
    expectRejection(beyond?.answer as ReceivedResponse, rejected("queue_full"))
    expectRejection(waited?.answer as ReceivedResponse, rejected("store_locked"))
    expect(beyond?.took).toBeLessThan(490)
    expect(world.stored()).toEqual(before)
    lock[Symbol.dispose]()
    for (let index = 0; index < 2; index++) {
      await world.accepts(three, accepted([plainEvent, plainEvent, plainEvent]))
    }
  })

  test("makes a page's batch fail completely, whatever its items, and the pixel fail without an image", async () => {
    const view = { eventId: "locked view", name: "screen_view", path: "https://example.com/" }
    const pixel = new URLSearchParams({ ...view, eventId: "locked pixel", client_id: websiteIds.example })
    const batch = onWebsite(websiteIds.example, [view, 5])
    const before = world.stored()
    const lock = world.lock()
    const answer = await world.send({ ...batch, path: `/batch?client_id=${websiteIds.example}` })
    expectRejection(answer, rejected("store_locked"))
    const image = await fetch(`${world.server.url}/px.jpg?${pixel}`)
    expect([image.status, image.headers.get("retry-after")]).toEqual([503, "5"])
    expect(await image.json()).toEqual({ status: "error", message: "Temporarily unavailable" })
    expect(world.stored()).toEqual(before)
    lock[Symbol.dispose]()
    expect((await world.send({ ...batch, path: `/batch?client_id=${websiteIds.example}` })).status).toBe(200)
    expect((await fetch(`${world.server.url}/px.jpg?${pixel}`)).headers.get("content-type")).toBe("image/gif")
    expect(withEventId(world, "locked view")).toHaveLength(1)
    expect(withEventId(world, "locked pixel")).toHaveLength(1)
  })

  test("makes many requests fail without storing any, and all are stored when they are retried", async () => {
    const requests = Array.from({ length: 20 }, (_, index) => ({ name: "again", eventId: `again-${index}` }))
    const before = world.stored()
    const lock = world.lock()
    const rejections = await Promise.all(requests.map((body) => world.send({ body })))
    for (const { status, headers } of rejections) {
      expect(status).toBe(503)
      expect(headers.get("retry-after")).toBe("1")
    }
    expect(world.stored()).toEqual(before)
    lock[Symbol.dispose]()
    for (const body of requests) expect((await world.send({ body })).body).toBe(successOf(1))
    expect(world.reader.prepare("select count(*) from events where name = 'again'").pluck().get()).toBe(
      requests.length,
    )
  })
})

async function shell(script: string, env: Record<string, string>): Promise<string> {
  const run = Bun.spawn(["sh", "-c", script], {
    env: environment(env),
    stdout: "pipe",
    stderr: "ignore",
  })
  return await new Response(run.stdout).text()
}

/** Sends the same request without curl, but with the default content type of curl. */
async function fetched(script: string, env: Record<string, string>): Promise<string> {
  const filled = script.replace(/\$(URL|KEY)/g, (_, name: string) => env[name] ?? "")
  const url = /http:[^\s"]+/.exec(filled)?.[0] ?? ""
  const body = /-d '(.*)'/.exec(filled)?.[1] ?? ""
  const headers = new Headers({ "content-type": "application/x-www-form-urlencoded" })
  for (const [, name = "", value = ""] of filled.matchAll(/-H "([^:]+): ([^"]+)"/g)) headers.set(name, value)
  return (await fetch(url, { method: "POST", headers, body })).text()
}

import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { createWebsite, updateWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

// Anyone can send the public website id, so what a page says about people must not override what was sent with a key.

let app: TestApp
let secret: string

function open(rateLimit: number): void {
  app = openApp((deps) => ({ settings: { ...deps.settings, rateLimit } }))
  const settings = { domain: "a.example", name: "a", allowedOrigins: [], anonymize: "off" as const }
  createWebsite(app.store.db, "w", settings, app.clock.now)
  secret = giveKey(app).secret
}
beforeEach(() => open(600))
afterEach(() => app.close())

async function send(path: string, body: object, headers: Record<string, string> = {}) {
  const request = new Request(`http://localhost${path}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  })
  const response = await app.send(request)
  return {
    status: response.status,
    reason: response.headers.get("x-databuddy-reason"),
    headers: response.headers,
  }
}
const page = (body: object) => send("/identify?client_id=w", body)
const key = (body: object) => send("/identify?website_id=w", body, { authorization: `Bearer ${secret}` })

async function profile(id: string) {
  const headers = { authorization: `Bearer ${secret}` }
  const response = await app.send(new Request(`http://localhost/v1/profiles/${id}?website_id=w`, { headers }))
  const body = (await response.json()) as { profile?: Record<string, unknown> }
  const { traits, email, anonymousIds, claimedTraits, claimedAnonymousIds } = body.profile ?? {}
  return { traits, email, anonymousIds, claimedTraits, claimedAnonymousIds }
}

test("traits and links that a page sends are stored as claims", async () => {
  expect(
    await page({ profileId: "u", anonymousId: "a", traits: { email: "A@B.C", plan: "pro" } }),
  ).toMatchObject({
    status: 200,
  })
  expect(await profile("u")).toEqual({
    traits: { email: "a@b.c", plan: "pro" },
    email: "a@b.c",
    anonymousIds: ["a"],
    claimedTraits: ["email", "plan"],
    claimedAnonymousIds: ["a"],
  })
  await page({ profileId: "u", traits: { plan: "free", email: null } })
  expect(await profile("u")).toMatchObject({ traits: { plan: "free" }, email: null, claimedTraits: ["plan"] })
})

describe("a page", () => {
  test("cannot change or remove a trait that a key set, and adds others", async () => {
    await key({ profileId: "u", traits: { email: "owner@b.c", plan: "pro" } })
    await page({ profileId: "u", traits: { email: "thief@b.c", plan: null, city: "Graz" } })
    expect(await profile("u")).toMatchObject({
      traits: { email: "owner@b.c", plan: "pro", city: "Graz" },
      email: "owner@b.c",
      claimedTraits: ["city"],
    })
  })

  test("cannot link a visitor whom a key linked to another profile", async () => {
    await key({ profileId: "owner", anonymousId: "device" })
    expect((await page({ profileId: "thief", anonymousId: "device" })).status).toBe(200)
    expect(await profile("thief")).toMatchObject({ anonymousIds: [] })
    expect(await profile("owner")).toMatchObject({ anonymousIds: ["device"], claimedAnonymousIds: [] })
  })

  test("cannot cause a visitor's events to be deleted with a profile, but its claims are deleted", async () => {
    await send("/track?website_id=w", { name: "visit", anonymousId: "victim" })
    await key({ profileId: "u", anonymousId: "laptop" })
    await page({ profileId: "u", anonymousId: "victim", traits: { city: "Graz" } })
    const request = {
      method: "POST",
      headers: { authorization: `Bearer ${secret}` },
      body: '{"profileId":"u"}',
    }
    const forgotten = await app.send(new Request("http://localhost/v1/websites/w/forget", request))
    expect(await forgotten.json()).toMatchObject({ events: 0, profiles: 1, links: 2 })
    expect(app.store.db.prepare("select anonymous_id from events").pluck().all()).toEqual(["victim"])
    expect(app.store.db.prepare("select count(*) from profile_links").pluck().get()).toBe(0)
  })

  test("cannot make a device look shared by linking it to many profiles", async () => {
    await key({ profileId: "owner", anonymousId: "device" })
    for (let index = 0; index < 25; index++) await page({ profileId: `p${index}`, anonymousId: "device" })
    const links = app.store.db.prepare("select count(*) from profile_links where anonymous_id = 'device'")
    expect(links.pluck().get()).toBe(1)
  })

  test("cannot fill a profile so that a key's traits are rejected", async () => {
    const many = (prefix: string) =>
      Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`${prefix}${n}`, n]))
    for (const prefix of ["a", "b", "c", "d"])
      expect((await page({ profileId: "u", traits: many(prefix) })).status).toBe(200)
    expect((await page({ profileId: "u", traits: { more: 1 } })).reason).toBe("invalid_shape")
    expect((await key({ profileId: "u", traits: { plan: "pro" } })).status).toBe(200)
    expect(await profile("u")).toMatchObject({ traits: { plan: "pro" }, claimedTraits: [] })
  })

  test("can link at most 1,000 visitors to a profile, however many are linked with a key", async () => {
    const link = app.store.db.prepare(
      "insert into profile_links (website_rid, anonymous_id, profile_id, linked_at, claimed) values (1, ?, 'u', 0, ?)",
    )
    for (let index = 0; index < 999; index++) link.run(`a${index}`, 1)
    for (let index = 0; index < 1_000; index++) link.run(`k${index}`, 0)
    await page({ profileId: "u", anonymousId: "last" })
    await page({ profileId: "u", anonymousId: "beyond" })
    const linked = app.store.db.prepare("select count(*) from profile_links where profile_id = 'u'").pluck()
    expect(linked.get()).toBe(2_000)
    await key({ profileId: "u", anonymousId: "of a key" })
    expect(linked.get()).toBe(2_001)
  })

  test.each([0, 600])("can send 60 per minute from one address, with rate limit %d", async (rateLimit) => {
    await app.close()
    open(rateLimit)
    for (let index = 0; index < 60; index++) expect((await page({ profileId: "u" })).status).toBe(200)
    const { status, reason, headers } = await page({ profileId: "u" })
    expect([status, reason, headers.get("ratelimit-limit")]).toEqual([429, "rate_limited", "60"])
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0)
  })

  test("cannot identify people if the website's setting forbids it", async () => {
    updateWebsite(app.store.db, "w", { pageIdentify: false })
    app.store.registry.refresh()
    expect(await page({ profileId: "u" })).toMatchObject({ status: 403, reason: "page_identify_off" })
    expect(await key({ profileId: "u" })).toMatchObject({ status: 200 })
  })

  for (const [setting, profileId] of [
    [true, "u"],
    [false, null],
  ] as const) {
    test(`stores events with profile ${profileId} if the website's setting is ${setting}`, async () => {
      updateWebsite(app.store.db, "w", { pageIdentify: setting })
      app.store.registry.refresh()
      const item = { eventId: "e", name: "screen_view", path: "https://a.example/", profileId: "u" }
      for (const [path, body] of [
        ["/", item],
        ["/batch", [{ ...item, eventId: "f" }]],
        ["/events", [{ eventName: "x", profileId: "u" }]],
      ] as const) {
        expect((await send(`${path}?client_id=w`, body)).status).toBe(200)
      }
      const profiles = app.store.db.prepare("select profile_id from events").pluck().all()
      expect(profiles).toEqual([profileId, profileId, profileId])
    })
  }

  test("links the hash of a visitor if it requests a hash", async () => {
    await page({ profileId: "u", anonymousId: "a", anonymizeVisitorIds: true })
    expect(await profile("u")).toMatchObject({ anonymousIds: [expect.stringMatching(/^[\w-]{22}$/)] })
  })
})

describe("a key", () => {
  test("replaces a claimed trait, and can remove one", async () => {
    await page({ profileId: "u", traits: { plan: "pro", city: "Graz" } })
    await key({ profileId: "u", traits: { plan: "free", city: null } })
    expect(await profile("u")).toMatchObject({ traits: { plan: "free" }, claimedTraits: [] })
    await page({ profileId: "u", traits: { plan: "enterprise" } })
    expect(await profile("u")).toMatchObject({ traits: { plan: "free" }, claimedTraits: [] })
  })

  test("replaces the claims about a visitor", async () => {
    await page({ profileId: "thief", anonymousId: "device" })
    await page({ profileId: "owner", anonymousId: "device" })
    await key({ profileId: "owner", anonymousId: "device" })
    expect(await profile("thief")).toMatchObject({ anonymousIds: [] })
    expect(await profile("owner")).toMatchObject({ anonymousIds: ["device"], claimedAnonymousIds: [] })
  })
})

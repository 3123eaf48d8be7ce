import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import type { Key, Scope } from "../../src/store/keys.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

// biome-ignore lint/suspicious/noExplicitAny: bodies are only compared
type Json = any

let app: TestApp
let reader: string

beforeEach(async () => {
  app = openApp()
  for (const id of ["mine", "theirs"]) {
    const settings = { domain: `${id}.example`, name: id, allowedOrigins: [], anonymize: "off" as const }
    createWebsite(app.store.db, id, settings, app.clock.now)
  }
  reader = giveKey(app, { scopes: ["read:data"] }).secret
  await identify({ profileId: "user/1 ü", anonymousId: "laptop", traits: { email: "Ada@Example.com" } })
  await identify({ profileId: "user_2", traits: { name: "Émilie", plan: "pro" } })
  await identify({ profileId: "user_3", websiteId: "theirs", traits: { email: "ada@example.org" } })
})

afterEach(() => app.close())

/** Calls /identify one second after the last call. */
async function identify(identity: object): Promise<void> {
  app.clock.now += 1_000
  const response = await app.send(
    new Request("http://localhost/identify", {
      method: "POST",
      headers: { Authorization: `Bearer ${giveKey(app, { scopes: ["track:events"] }).secret}` },
      body: JSON.stringify({ websiteId: "mine", ...identity }),
    }),
  )
  expect(response.status).toBe(200)
}

async function get(
  path: string,
  key = reader,
): Promise<{ status: number; reason: string | null; body: Json }> {
  const response = await app.send(
    new Request(`http://localhost/v1/${path}`, { headers: { Authorization: `Bearer ${key}` } }),
  )
  const { status } = response
  return { status, reason: response.headers.get("x-databuddy-reason"), body: await response.json() }
}

const ada = {
  profileId: "user/1 ü",
  email: "ada@example.com",
  name: null,
  username: null,
  traits: { email: "ada@example.com" },
  createdAt: "2026-08-01T12:00:01.000Z",
  updatedAt: "2026-08-01T12:00:01.000Z",
  anonymousIds: ["laptop"],
  claimedTraits: [],
  claimedAnonymousIds: [],
}

/** Adds more profiles than are read in one step of a search. */
function addMany(): void {
  app.store.db.exec(`
    insert into profiles (website_rid, profile_id, traits, created_at, updated_at)
    with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000)
    select 1, 'p' || i, '{}', 0, 0 from n`)
}

test("profiles of a website are listed, most recently updated first", async () => {
  const { body } = await get("profiles?website_id=mine")
  expect(body.total).toBe(2)
  expect(body.profiles.map((one: Json) => one.profileId)).toEqual(["user_2", "user/1 ü"])
  expect(body.profiles[1]).toEqual(ada)
  await identify({ profileId: "user/1 ü" })
  expect((await get("profiles?website_id=mine&limit=1")).body.profiles[0].profileId).toBe("user/1 ü")
})

const searches: [string, string[]][] = [
  ["search=ADA@", ["user/1 ü"]],
  ["search=lap", ["user/1 ü"]],
  ["search=%C3%89MIL", ["user_2"]],
  ["search=pro", []],
  ["search=", ["user_2", "user/1 ü"]],
  ["limit=1&page=2", ["user/1 ü"]],
  ["search=user&limit=1", ["user_2"]],
  ["search=user&limit=1&page=2", ["user/1 ü"]],
  ["page=9999999", []],
  ["search=user&limit=200&page=50", []],
  ["id=user_2&id=nobody&id=user%2F1%20%C3%BC&id=user_2&id=user_3", ["user_2", "user/1 ü"]],
]
test.each(searches)("%s finds the matching profiles", async (query, ids) => {
  const { body } = await get(`profiles?website_id=mine&${query}`)
  expect(body.profiles.map((one: Json) => one.profileId)).toEqual(ids)
})

test("a profile is shown by its id, whatever characters it contains", async () => {
  const path = `profiles/${encodeURIComponent("user/1 ü")}?website_id=mine`
  expect((await get(path)).body).toEqual({ success: true, profile: ada })
})

describe("a request is rejected with", () => {
  const wrong: [string, string, number, string][] = [
    ["no website", "profiles", 400, "invalid_shape"],
    ["an empty website id", "profiles?website_id=", 400, "invalid_shape"],
    ["an unknown website", "profiles?website_id=nobody", 404, "website_unknown"],
    ["events without a website, which have no profiles", "profiles?website_id=none", 404, "website_unknown"],
    ["a limit of 0", "profiles?website_id=mine&limit=0", 400, "invalid_shape"],
    ["a limit of 201", "profiles?website_id=mine&limit=201", 400, "invalid_shape"],
    ["page 0", "profiles?website_id=mine&page=0", 400, "invalid_shape"],
    [
      "a search of 257 characters",
      `profiles?website_id=mine&search=${"x".repeat(257)}`,
      400,
      "invalid_shape",
    ],
    [
      "a page beyond the 10,000th profile of a search",
      "profiles?website_id=mine&search=u&limit=200&page=51",
      400,
      "invalid_shape",
    ],
    ["a search with a line feed", "profiles?website_id=mine&search=a%0Ab", 400, "invalid_shape"],
    ["both a search and ids", "profiles?website_id=mine&id=user_2&search=a", 400, "invalid_shape"],
    ["51 ids", `profiles?website_id=mine${"&id=a".repeat(51)}`, 400, "invalid_shape"],
    ["an unknown filter", "profiles?website_id=mine&plan=pro", 400, "invalid_shape"],
    ["a profile, but no website", "profiles/user_2", 400, "invalid_shape"],
    ["a profile of another website", "profiles/user_2?website_id=theirs", 404, "profile_unknown"],
    ["an unknown profile", "profiles/nobody?website_id=mine", 404, "profile_unknown"],
    ["an id that is not escaped correctly", "profiles/%E0%A4%A?website_id=mine", 404, "profile_unknown"],
  ]
  test.each(wrong)("%s", async (_, path, status, reason) => {
    const answer = await get(path)
    expect([answer.status, answer.reason]).toEqual([status, reason])
  })

  test("more concurrent searches than the queue holds are rejected, while events are accepted", async () => {
    addMany()
    const searches = Array.from({ length: 12 }, () => get("profiles?website_id=mine&search=nobody"))
    // A list without a search does not wait for the searches.
    expect((await get("profiles?website_id=mine")).status).toBe(200)
    const answers = await Promise.all(searches)
    expect(answers.map(({ reason }) => reason).sort()).toEqual([
      ...Array(10).fill(null),
      ...Array(2).fill("rate_limited"),
    ])
    expect((await get("profiles?website_id=mine&search=nobody")).status).toBe(200)
  })

  const refused: [string, Scope[], Key["websites"], string][] = [
    ["a key that sends events", ["track:events"], null, "scope_missing"],
    ["a key that only reads reports", ["read:reports"], null, "scope_missing"],
    ["a key that manages", ["manage:websites", "manage:keys", "manage:users"], null, "scope_missing"],
    ["a key for another website", ["read:data"], ["theirs"], "key_website_mismatch"],
  ]
  test.each(refused)("%s gets no profile", async (_, scopes, websites, reason) => {
    const key = giveKey(app, { scopes, websites }).secret
    for (const path of ["profiles?website_id=mine", "profiles/user_2?website_id=mine"]) {
      const answer = await get(path, key)
      expect([answer.status, answer.reason]).toEqual([403, reason])
    }
  })

  test("a search stops when the client disconnects", async () => {
    const client = new AbortController()
    addMany()
    const answer = app.send(
      new Request("http://localhost/v1/profiles?website_id=mine&search=nobody", {
        headers: { Authorization: `Bearer ${reader}` },
        signal: client.signal,
      }),
    )
    client.abort()
    expect((await answer).status).toBe(499)
    expect(app.logged.join()).not.toContain("request failed")
  })
})

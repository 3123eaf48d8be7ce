import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { findProfiles, type ProfileSearch } from "../../src/store/profile-search.ts"
import { Profiles, type Traits } from "../../src/store/profiles.ts"
import { openTestDatabase, type TemporaryFolder, temporaryFolder } from "../harness.ts"

const now = Date.UTC(2026, 0, 1, 12)
const rid = 7

let folder: TemporaryFolder
let db: Db
let profiles: Profiles

beforeEach(() => {
  folder = temporaryFolder()
  db = openTestDatabase(folder.file("test.db"))
  profiles = new Profiles(db, new DailyHash(db, (bytes) => crypto.getRandomValues(bytes)))
})
afterEach(() => {
  db.close()
  folder[Symbol.dispose]()
})

function identify(
  profileId: string,
  traits: Traits,
  at = now,
  anonymousId: string | null = null,
  websiteRid = rid,
): void {
  profiles.identify({ websiteRid, profileId, anonymousId, hashVisitor: false, traits }, at)
}

async function found(search: string, page: Partial<ProfileSearch> = {}): Promise<[string[], number]> {
  const { profiles, total } = await findProfiles(
    db,
    { websiteRid: rid, search, limit: 100, offset: 0, ...page },
    async () => {},
  )
  return [profiles.map(({ profileId }) => profileId), total]
}

test("without a search, the most recently updated profile comes first", async () => {
  identify("old", {}, now)
  identify("new", {}, now + 2)
  identify("b", {}, now + 1)
  identify("a", {}, now + 1)
  identify("elsewhere", {}, now + 3, null, 8)
  expect(await found("")).toEqual([["new", "a", "b", "old"], 4])
  expect(await found("", { limit: 2, offset: 1 })).toEqual([["a", "b"], 4])
  expect(await found("", { offset: 4 })).toEqual([[], 4])
  identify("old", { plan: "pro" }, now + 4)
  expect((await found(""))[0]).toEqual(["old", "new", "a", "b"])
})

describe("a search", () => {
  const searches: [string, string, string[]][] = [
    ["finds ids", "USER_1", ["user_1"]],
    ["finds emails", "ada@", ["user_1"]],
    ["finds names in upper and lower case", "lovelace", ["user_1"]],
    ["finds names with accents in upper and lower case", "ÉMILIE", ["user_2"]],
    ["finds user names", "chatelet", ["user_2"]],
    ["finds linked anonymous ids", "phone-2", ["user_2"]],
    ["finds several profiles", "user_", ["user_3", "user_2", "user_1"]],
    ["finds a literal percent sign", "%", ["user_3"]],
    ["matches an underscore literally", "x_y", []],
    ["ignores other traits", "pro", []],
    ["does not match across two fields", "user_1ada", []],
    ["finds nothing for text that does not occur", "nobody", []],
  ]
  test.each(searches)("%s", async (_, search, ids) => {
    identify("user_1", { email: "Ada@example.com", name: "Ada Lovelace", plan: "pro" }, now)
    identify("user_2", { name: "Émilie", username: "chatelet" }, now + 1, "phone-1")
    identify("user_2", {}, now + 1, "phone-2")
    identify("user_3", { name: "100 % xy" }, now + 2)
    identify("user_1", { name: "Ada Lovelace phone-2" }, now, null, 8)
    expect(await found(search)).toEqual([ids, ids.length])
  })

  test("looks at all profiles, and returns any page in order", async () => {
    const count = 3_210
    db.transaction(() => {
      for (let n = 0; n < count; n++)
        identify(`p${n}`, { name: n % 3 ? "x" : "match" }, now + ((n * 7_919) % count))
    })()
    const expected = Array.from({ length: count }, (_, n) => n)
      .filter((n) => n % 3 === 0)
      .sort((one, other) => ((other * 7_919) % count) - ((one * 7_919) % count))
      .map((n) => `p${n}`)
    for (const offset of [0, 10, 500, 1_060, 2_000]) {
      expect(await found("match", { limit: 20, offset })).toEqual([
        expected.slice(offset, offset + 20),
        expected.length,
      ])
    }
  })

  test("reads a thousand profiles at a time, with a pause after each step", async () => {
    db.transaction(() => {
      for (let n = 0; n < 2_500; n++) identify(`p${n}`, {})
    })()
    let rests = 0
    const search = { websiteRid: rid, search: "p", limit: 1, offset: 0 }
    const { total } = await findProfiles(db, search, async () => {
      rests++
      // A profile that is updated during the search does not hide others and does not appear twice.
      identify("p0", {}, now + rests)
    })
    expect([total, rests]).toEqual([2_500, 2])
  })
})

test("a profile contains its newest anonymous ids", async () => {
  db.transaction(() => {
    for (let n = 0; n < 120; n++) identify("many", { email: "A@B.c", seats: 3 }, now + n, `device-${n}`)
  })()
  const { profiles: list } = await findProfiles(
    db,
    { websiteRid: rid, search: "", limit: 1, offset: 0 },
    async () => {},
  )
  expect(list).toEqual([
    {
      profileId: "many",
      email: "a@b.c",
      name: null,
      username: null,
      traits: { email: "a@b.c", seats: 3 },
      createdAt: now,
      updatedAt: now + 119,
      anonymousIds: Array.from({ length: 100 }, (_, n) => `device-${119 - n}`),
      claimedTraits: [],
      claimedAnonymousIds: [],
    },
  ])
})

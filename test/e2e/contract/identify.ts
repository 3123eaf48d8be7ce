import { type Case, rejected } from "./cases.ts"
import { websiteIds } from "./seed.ts"

/** A stored profile, with its linked anonymous ids. */
export interface StoredProfile {
  website_id: string
  profile_id: string
  email: string | null
  name: string | null
  username: string | null
  traits: Record<string, unknown>
  anonymous_ids: unknown[]
}

export interface IdentifyCase {
  name: string
  sent: Case["sent"]
  stored: StoredProfile
}

const path = "/identify"
const scalar = "must be a string, number, boolean or null"
const manyTraits = "must be an object of at most 50 strings, numbers, booleans or nulls"
const badText = "must not contain NUL or half of a surrogate pair"
const profileText = "must be a string of 1 to 128 characters"

function input(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return { profileId: "user", websiteId: websiteIds.example, ...changes }
}

function profile(changes: Partial<StoredProfile> = {}): StoredProfile {
  return {
    website_id: websiteIds.example,
    profile_id: "user",
    email: null,
    name: null,
    username: null,
    traits: {},
    anonymous_ids: [],
    ...changes,
  }
}

/** Returns `{"t": …}`, which serializes to exactly `bytes`. */
function traitsOf(bytes: number, filler: string): Record<string, string> {
  const room = bytes - '{"t":""}'.length
  const size = Buffer.byteLength(filler)
  return { t: filler.repeat(Math.floor(room / size)) + "x".repeat(room % size) }
}

function manyOf(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`t${index}`, index]))
}

/** Run in order: later cases depend on profiles stored by earlier ones. */
export const storedProfileCases: IdentifyCase[] = [
  {
    name: "a profile id is enough",
    sent: { path, body: input() },
    stored: profile(),
  },
  {
    name: "traits are stored; email (in lower case), name and username are also stored in columns",
    sent: {
      path,
      body: input({
        traits: {
          email: "Anna@Example.COM",
          name: "Anna",
          username: "anna1",
          plan: "pro",
          seats: 3,
          beta: true,
        },
      }),
    },
    stored: profile({
      email: "anna@example.com",
      name: "Anna",
      username: "anna1",
      traits: {
        email: "anna@example.com",
        name: "Anna",
        username: "anna1",
        plan: "pro",
        seats: 3,
        beta: true,
      },
    }),
  },
  {
    name: "traits are merged, and a null removes one",
    sent: {
      path,
      body: input({ traits: { seats: 4, username: null, never: null, city: "Graz" } }),
    },
    stored: profile({
      email: "anna@example.com",
      name: "Anna",
      traits: { email: "anna@example.com", name: "Anna", plan: "pro", seats: 4, beta: true, city: "Graz" },
    }),
  },
  {
    name: "absent traits change nothing, and an anonymous id is linked",
    sent: { path, body: input({ anonymousId: "anon-1" }) },
    stored: profile({
      email: "anna@example.com",
      name: "Anna",
      traits: { email: "anna@example.com", name: "Anna", plan: "pro", seats: 4, beta: true, city: "Graz" },
      anonymous_ids: ["anon-1"],
    }),
  },
  {
    name: "the same link is stored once, and a second link is added",
    sent: { path, body: input({ anonymousId: "anon-2", traits: {} }) },
    stored: profile({
      email: "anna@example.com",
      name: "Anna",
      traits: { email: "anna@example.com", name: "Anna", plan: "pro", seats: 4, beta: true, city: "Graz" },
      anonymous_ids: ["anon-1", "anon-2"],
    }),
  },
  {
    name: "an empty anonymousId counts as absent",
    sent: { path, body: input({ profileId: "no link", anonymousId: "" }) },
    stored: profile({ profile_id: "no link" }),
  },
  {
    name: "one anonymous id can be linked to several profiles",
    sent: { path, body: input({ profileId: "second", anonymousId: "anon-1" }) },
    stored: profile({ profile_id: "second", anonymous_ids: ["anon-1"] }),
  },
  {
    name: "the same profile id on another website is another profile",
    sent: { path, body: input({ websiteId: websiteIds.legacy, traits: { plan: "free" } }) },
    stored: profile({ website_id: websiteIds.legacy, traits: { plan: "free" } }),
  },
  {
    name: "a profile id of 128 characters and an anonymous id of 256 are accepted",
    sent: { path, body: input({ profileId: "𝄞".repeat(64), anonymousId: "𝄞".repeat(128) }) },
    stored: profile({ profile_id: "𝄞".repeat(64), anonymous_ids: ["𝄞".repeat(128)] }),
  },
  {
    name: "50 traits are accepted",
    sent: { path, body: input({ profileId: "50", traits: manyOf(50) }) },
    stored: profile({ profile_id: "50", traits: manyOf(50) }),
  },
  {
    name: "2,048 bytes of traits are accepted",
    sent: { path, body: input({ profileId: "2048", traits: traitsOf(2_048, "語") }) },
    stored: profile({ profile_id: "2048", traits: traitsOf(2_048, "語") }),
  },
  {
    name: "a trait named __proto__ is stored like any other",
    sent: {
      path,
      body: `{"profileId":"proto","websiteId":"${websiteIds.example}","traits":{"__proto__":"x"}}`,
    },
    stored: profile({ profile_id: "proto", traits: JSON.parse('{"__proto__":"x"}') }),
  },
  {
    name: "a trait without a column can contain NUL and a lone surrogate",
    sent: { path, body: input({ profileId: "odd", traits: { note: "a\0b\ud834" } }) },
    stored: profile({ profile_id: "odd", traits: { note: "a\0b\ud834" } }),
  },
  {
    name: "a limited key can identify on its website",
    sent: { path, key: "limited", body: input({ profileId: "limited" }) },
    stored: profile({ profile_id: "limited" }),
  },
  {
    name: "a website id in capitals is the same UUID",
    sent: { path, body: input({ profileId: "capitals", websiteId: websiteIds.example.toUpperCase() }) },
    stored: profile({ profile_id: "capitals" }),
  },
  {
    name: "the origin is not checked with a key",
    sent: { path, headers: { origin: "https://evil.test" }, body: input({ profileId: "origin" }) },
    stored: profile({ profile_id: "origin" }),
  },
]

function rejectionCase(name: string, body: unknown, ...answer: Parameters<typeof rejected>): Case {
  return { name, sent: { path, body }, answer: rejected(...answer) }
}

const tooLong = (limit: number) => `must be a string of at most ${limit} characters`

export const identifyRejections: Case[] = [
  ...Object.entries({
    missing: undefined,
    empty: "",
    "a null": null,
    "a number": 7,
    "129 characters": "u".repeat(129),
    "an array": ["u"],
  }).map(([what, profileId]) =>
    rejectionCase(`a profileId that is ${what} is rejected`, input({ profileId }), "invalid_shape", {
      profileId: profileText,
    }),
  ),
  ...Object.entries({ NUL: "a\0", "half a surrogate pair": "\ud834" }).flatMap(([what, text]) => [
    ...["email", "name", "username"].map((trait) =>
      rejectionCase(
        `a trait ${trait} with ${what} is rejected`,
        input({ traits: { [trait]: text } }),
        "invalid_shape",
        {
          [`traits.${trait}`]: badText,
        },
      ),
    ),
    rejectionCase(`a profileId with ${what} is rejected`, input({ profileId: text }), "invalid_shape", {
      profileId: badText,
    }),
    rejectionCase(`an anonymousId with ${what} is rejected`, input({ anonymousId: text }), "invalid_shape", {
      anonymousId: badText,
    }),
  ]),
  ...Object.entries({ "257 characters": "a".repeat(257), "a null": null, "a number": 1 }).map(
    ([what, anonymousId]) =>
      rejectionCase(`an anonymousId that is ${what} is rejected`, input({ anonymousId }), "invalid_shape", {
        anonymousId: tooLong(256),
      }),
  ),
  ...Object.entries({ "a null": null, "an array": [], "a string": "x" }).map(([what, traits]) =>
    rejectionCase(`traits that are ${what} are rejected`, input({ traits }), "invalid_shape", {
      traits: manyTraits,
    }),
  ),
  rejectionCase("51 traits are rejected", input({ traits: manyOf(51) }), "invalid_shape", {
    traits: manyTraits,
  }),
  rejectionCase(
    "2,049 bytes of traits are rejected",
    input({ traits: traitsOf(2_049, "語") }),
    "invalid_shape",
    {
      traits: "must be at most 2048 bytes of JSON",
    },
  ),
  ...Object.entries({ "an object": { a: 1 }, "an array": [1] }).map(([what, value]) =>
    rejectionCase(
      `a trait that is ${what} is rejected`,
      input({ traits: { ok: 1, t: value } }),
      "invalid_shape",
      {
        "traits.t": scalar,
      },
    ),
  ),
  rejectionCase(
    "a trait beyond a double is rejected",
    `{"profileId":"u","websiteId":"${websiteIds.example}","traits":{"t":1e400}}`,
    "invalid_shape",
    { "traits.t": scalar },
  ),
  ...Object.entries({ "an array": [input()], "a string": '"u"', "a null": "null" }).map(([what, body]) =>
    rejectionCase(`a body that is ${what} is rejected`, body, "invalid_shape"),
  ),
  rejectionCase("a body that is not JSON is rejected", "{", "invalid_json"),
  rejectionCase("a missing websiteId is rejected", { profileId: "u" }, "website_id_missing"),
  rejectionCase("an empty websiteId counts as missing", input({ websiteId: "" }), "website_id_missing"),
  ...Object.entries({ "a null": null, "a number": 1, "256 characters": "w".repeat(256) }).map(
    ([what, websiteId]) =>
      rejectionCase(`a websiteId that is ${what} is rejected`, input({ websiteId }), "invalid_shape", {
        websiteId: tooLong(255),
      }),
  ),
  ...Object.entries({
    unknown: websiteIds.unknown,
    deleted: websiteIds.deleted,
    "not a UUID and not registered": websiteIds.unknownLegacy,
  }).map(([what, websiteId]) =>
    rejectionCase(`a website that is ${what} is not found`, input({ websiteId }), "website_unknown"),
  ),
  rejectionCase(
    "a website that is paused is not found",
    input({ websiteId: websiteIds.paused }),
    "website_paused",
  ),
  {
    name: "a public website id in the body is not a credential",
    sent: { path, key: null, body: input() },
    answer: rejected("credential_missing"),
  },
  {
    name: "a public website id in the query is not a credential",
    sent: { path: `${path}?website_id=${websiteIds.example}`, key: null, body: input() },
    answer: rejected("credential_missing"),
  },
  ...(["unknown", "malformed", "revoked", "disabled", "expired"] as const).map((key) => ({
    name: `a key that is ${key} is rejected`,
    sent: { path, key, body: input() },
    answer: rejected(`key_${key}`),
  })),
  {
    name: "a key without the scope track:events is rejected",
    sent: { path, key: "reader", body: input() },
    answer: rejected("scope_missing"),
  },
  {
    name: "a key that is limited to other websites is rejected",
    sent: { path, key: "elsewhere", body: input() },
    answer: rejected("key_website_mismatch"),
  },
  {
    name: "403 comes before 404",
    sent: { path, key: "elsewhere", body: input({ websiteId: websiteIds.unknown }) },
    answer: rejected("key_website_mismatch"),
  },
  {
    name: "the shape comes before the credential",
    sent: { path, key: null, body: input({ profileId: 1 }) },
    answer: rejected("invalid_shape", { profileId: profileText }),
  },
  {
    name: "a body of more than 2 MiB is rejected",
    sent: { path, body: Buffer.alloc(2 * 1024 * 1024 + 1, 32) },
    answer: rejected("payload_too_large"),
  },
]

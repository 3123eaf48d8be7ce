import { type Case, refused } from "./cases.ts"
import { sites } from "./fixture.ts"

/** What is stored of one identified user, and the ids that are linked to it. */
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
  return { profileId: "user", websiteId: sites.example, ...changes }
}

function profile(changes: Partial<StoredProfile> = {}): StoredProfile {
  return {
    website_id: sites.example,
    profile_id: "user",
    email: null,
    name: null,
    username: null,
    traits: {},
    anonymous_ids: [],
    ...changes,
  }
}

/** `{"t": …}` that serialises to exactly `bytes`. */
function traitsOf(bytes: number, filler: string): Record<string, string> {
  const room = bytes - '{"t":""}'.length
  const size = Buffer.byteLength(filler)
  return { t: filler.repeat(Math.floor(room / size)) + "x".repeat(room % size) }
}

function manyOf(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`t${index}`, index]))
}

/** Carried out one after the other: later ones build on what earlier ones stored. */
export const identified: IdentifyCase[] = [
  {
    name: "a profile id suffices",
    sent: { path, body: input() },
    stored: profile(),
  },
  {
    name: "traits are stored; email (in lower case), name and username as columns too",
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
    name: "the same link is kept once, another beside it",
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
    name: "one anonymous id can be several people",
    sent: { path, body: input({ profileId: "second", anonymousId: "anon-1" }) },
    stored: profile({ profile_id: "second", anonymous_ids: ["anon-1"] }),
  },
  {
    name: "the same profile id is another user on another website",
    sent: { path, body: input({ websiteId: sites.legacy, traits: { plan: "free" } }) },
    stored: profile({ website_id: sites.legacy, traits: { plan: "free" } }),
  },
  {
    name: "a profile id of 128 characters and an anonymous id of 256 are taken",
    sent: { path, body: input({ profileId: "𝄞".repeat(64), anonymousId: "𝄞".repeat(128) }) },
    stored: profile({ profile_id: "𝄞".repeat(64), anonymous_ids: ["𝄞".repeat(128)] }),
  },
  {
    name: "50 traits are taken",
    sent: { path, body: input({ profileId: "50", traits: manyOf(50) }) },
    stored: profile({ profile_id: "50", traits: manyOf(50) }),
  },
  {
    name: "2,048 bytes of traits are taken",
    sent: { path, body: input({ profileId: "2048", traits: traitsOf(2_048, "語") }) },
    stored: profile({ profile_id: "2048", traits: traitsOf(2_048, "語") }),
  },
  {
    name: "a trait __proto__ is one like any other",
    sent: { path, body: `{"profileId":"proto","websiteId":"${sites.example}","traits":{"__proto__":"x"}}` },
    stored: profile({ profile_id: "proto", traits: JSON.parse('{"__proto__":"x"}') }),
  },
  {
    name: "a trait that is no column may hold a NUL and half a surrogate pair",
    sent: { path, body: input({ profileId: "odd", traits: { note: "a\0b\ud834" } }) },
    stored: profile({ profile_id: "odd", traits: { note: "a\0b\ud834" } }),
  },
  {
    name: "a limited key may identify on its website",
    sent: { path, key: "limited", body: input({ profileId: "limited" }) },
    stored: profile({ profile_id: "limited" }),
  },
  {
    name: "a website id in capitals is the same UUID",
    sent: { path, body: input({ profileId: "capitals", websiteId: sites.example.toUpperCase() }) },
    stored: profile({ profile_id: "capitals" }),
  },
  {
    name: "the origin does not matter: there is a key",
    sent: { path, headers: { origin: "https://evil.test" }, body: input({ profileId: "origin" }) },
    stored: profile({ profile_id: "origin" }),
  },
]

function refusal(name: string, body: unknown, ...answer: Parameters<typeof refused>): Case {
  return { name, sent: { path, body }, answer: refused(...answer) }
}

const tooLong = (limit: number) => `must be a string of at most ${limit} characters`

export const identifyRefusals: Case[] = [
  ...Object.entries({
    missing: undefined,
    empty: "",
    "a null": null,
    "a number": 7,
    "129 characters": "u".repeat(129),
    "an array": ["u"],
  }).map(([what, profileId]) =>
    refusal(`a profileId that is ${what} is refused`, input({ profileId }), "invalid_shape", {
      profileId: profileText,
    }),
  ),
  ...Object.entries({ NUL: "a\0", "half a surrogate pair": "\ud834" }).flatMap(([what, text]) => [
    ...["email", "name", "username"].map((trait) =>
      refusal(
        `a trait ${trait} with ${what} is refused`,
        input({ traits: { [trait]: text } }),
        "invalid_shape",
        {
          [`traits.${trait}`]: badText,
        },
      ),
    ),
    refusal(`a profileId with ${what} is refused`, input({ profileId: text }), "invalid_shape", {
      profileId: badText,
    }),
    refusal(`an anonymousId with ${what} is refused`, input({ anonymousId: text }), "invalid_shape", {
      anonymousId: badText,
    }),
  ]),
  ...Object.entries({ "257 characters": "a".repeat(257), "a null": null, "a number": 1 }).map(
    ([what, anonymousId]) =>
      refusal(`an anonymousId that is ${what} is refused`, input({ anonymousId }), "invalid_shape", {
        anonymousId: tooLong(256),
      }),
  ),
  ...Object.entries({ "a null": null, "an array": [], "a string": "x" }).map(([what, traits]) =>
    refusal(`traits that are ${what} are refused`, input({ traits }), "invalid_shape", {
      traits: manyTraits,
    }),
  ),
  refusal("51 traits are refused", input({ traits: manyOf(51) }), "invalid_shape", { traits: manyTraits }),
  refusal("2,049 bytes of traits are refused", input({ traits: traitsOf(2_049, "語") }), "invalid_shape", {
    traits: "must be at most 2048 bytes of JSON",
  }),
  ...Object.entries({ "an object": { a: 1 }, "an array": [1] }).map(([what, value]) =>
    refusal(`a trait that is ${what} is refused`, input({ traits: { ok: 1, t: value } }), "invalid_shape", {
      "traits.t": scalar,
    }),
  ),
  refusal(
    "a trait beyond a double is refused",
    `{"profileId":"u","websiteId":"${sites.example}","traits":{"t":1e400}}`,
    "invalid_shape",
    { "traits.t": scalar },
  ),
  ...Object.entries({ "an array": [input()], "a string": '"u"', "a null": "null" }).map(([what, body]) =>
    refusal(`a body that is ${what} is refused`, body, "invalid_shape"),
  ),
  refusal("a body that is no JSON is refused", "{", "invalid_json"),
  refusal("a websiteId that is missing is refused", { profileId: "u" }, "website_id_missing"),
  refusal("a websiteId that is empty is missing", input({ websiteId: "" }), "website_id_missing"),
  ...Object.entries({ "a null": null, "a number": 1, "256 characters": "w".repeat(256) }).map(
    ([what, websiteId]) =>
      refusal(`a websiteId that is ${what} is refused`, input({ websiteId }), "invalid_shape", {
        websiteId: tooLong(255),
      }),
  ),
  ...Object.entries({
    unknown: sites.unknown,
    deleted: sites.deleted,
    "no UUID and not registered": sites.unknownLegacy,
  }).map(([what, websiteId]) =>
    refusal(`a website that is ${what} is not found`, input({ websiteId }), "website_unknown"),
  ),
  refusal("a website that is paused is not found", input({ websiteId: sites.paused }), "website_paused"),
  {
    name: "a public website id does not suffice, in the body",
    sent: { path, key: null, body: input() },
    answer: refused("credential_missing"),
  },
  {
    name: "a public website id does not suffice, in the query",
    sent: { path: `${path}?website_id=${sites.example}`, key: null, body: input() },
    answer: refused("credential_missing"),
  },
  ...(["unknown", "malformed", "revoked", "disabled", "expired"] as const).map((key) => ({
    name: `a key that is ${key} is refused`,
    sent: { path, key, body: input() },
    answer: refused(`key_${key}`),
  })),
  {
    name: "a key without the scope track:events is refused",
    sent: { path, key: "reader", body: input() },
    answer: refused("scope_missing"),
  },
  {
    name: "a key that is limited to other websites is refused",
    sent: { path, key: "elsewhere", body: input() },
    answer: refused("key_website_mismatch"),
  },
  {
    name: "403 comes before 404",
    sent: { path, key: "elsewhere", body: input({ websiteId: sites.unknown }) },
    answer: refused("key_website_mismatch"),
  },
  {
    name: "the shape comes before the credential",
    sent: { path, key: null, body: input({ profileId: 1 }) },
    answer: refused("invalid_shape", { profileId: profileText }),
  },
  {
    name: "a body of more than 2 MiB is refused",
    sent: { path, body: Buffer.alloc(2 * 1024 * 1024 + 1, 32) },
    answer: refused("payload_too_large"),
  },
]

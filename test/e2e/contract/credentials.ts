import { accepted, type Case, eventWith, plainEvent, rejected } from "./cases.ts"
import { type KeyName, secrets, websiteIds } from "./seed.ts"

const onExample = { website_id: websiteIds.example }
const viaWebsite = { credential: "website_id", ...onExample } as const

const deadKeys: KeyName[] = ["unknown", "malformed", "revoked", "disabled", "expired"]

function bearer(value: string): { authorization: string } {
  return { authorization: value }
}

const keyCases: Case[] = [
  ...["Bearer", "bearer", "BEARER", "bEaReR"].map((scheme) => ({
    name: `a key is accepted as ${scheme}`,
    sent: { headers: bearer(`${scheme} ${secrets.full}`), body: plainEvent },
    answer: accepted([{}]),
  })),
  {
    name: "a key is accepted in x-api-key",
    sent: { key: null, headers: { "x-api-key": secrets.full }, body: plainEvent },
    answer: accepted([{}]),
  },
  {
    name: "a valid key in x-api-key is accepted next to an invalid Bearer key",
    sent: { key: "revoked", headers: { "x-api-key": secrets.full }, body: plainEvent },
    answer: accepted([{}]),
  },
  {
    name: "a key with all scopes is accepted",
    sent: { key: "all", body: plainEvent },
    answer: accepted([{}]),
  },
  {
    name: "no credential is rejected",
    sent: { key: null, body: plainEvent },
    answer: rejected("credential_missing"),
  },
  ...deadKeys.map((key) => ({
    name: `a key that is ${key} is rejected with that reason`,
    sent: { key, body: plainEvent },
    answer: rejected(`key_${key}`),
  })),
  ...deadKeys.map((key) => ({
    name: `a key that is ${key} is rejected in x-api-key too`,
    sent: { key: null, headers: { "x-api-key": secrets[key] }, body: plainEvent },
    answer: rejected(`key_${key}`),
  })),
  ...deadKeys.map((key) => ({
    name: `a key that is ${key} counts as no key: the website id in the query is used, and the reason is reported`,
    sent: { key, path: `/track?website_id=${websiteIds.example}`, body: plainEvent },
    answer: accepted([viaWebsite], { reason: `key_${key}` }),
  })),
  {
    name: "a revoked key counts as no key: the website id of the first event is used",
    sent: { key: "revoked", body: eventWith("websiteId", websiteIds.example) },
    answer: accepted([viaWebsite], { reason: "key_revoked" }),
  },
  ...Object.entries({
    "another scheme": `Basic ${btoa(`${secrets.full}:`)}`,
    "a scheme without a key": "Bearer",
    "a key without a scheme": secrets.full,
    "a key of another product": "Bearer sk_live_51H8x",
    "a key with an extra character": `Bearer ${secrets.full}x`,
    "a key in capitals": `Bearer ${secrets.full.toUpperCase()}`,
  }).map(([what, authorization]) => ({
    name: `${what} in Authorization is a malformed key`,
    sent: { headers: bearer(authorization), body: plainEvent },
    answer: rejected("key_malformed"),
  })),
  {
    name: "a key without the scope track:events is rejected",
    sent: { key: "reader", body: plainEvent },
    answer: rejected("scope_missing"),
  },
  {
    name: "a key without the scope is rejected even with a website id, because the key is valid",
    sent: { key: "reader", path: `/track?website_id=${websiteIds.example}`, body: plainEvent },
    answer: rejected("scope_missing"),
  },
  {
    name: "an unlimited key can send events without a website",
    sent: { body: [plainEvent, plainEvent] },
    answer: accepted([{}, {}]),
  },
  {
    name: "an unlimited key can send to any website",
    sent: { body: [eventWith("websiteId", websiteIds.example), eventWith("websiteId", websiteIds.daily)] },
    answer: accepted([onExample, { website_id: websiteIds.daily }]),
  },
  {
    name: "a limited key can send to its websites, named in the event or the query",
    sent: {
      key: "limited",
      path: `/track?website_id=${websiteIds.example}`,
      body: [plainEvent, eventWith("websiteId", websiteIds.legacy)],
    },
    answer: accepted([onExample, { website_id: websiteIds.legacy }]),
  },
  {
    name: "a limited key can name its website in capitals",
    sent: { key: "limited", body: eventWith("websiteId", websiteIds.example.toUpperCase()) },
    answer: accepted([onExample]),
  },
  {
    name: "a limited key can send an empty batch",
    sent: { key: "limited", body: [] },
    answer: accepted([]),
  },
  ...Object.entries({
    "an event that names no website": [plainEvent],
    "an event that names no website, after one that does": [
      eventWith("websiteId", websiteIds.example),
      plainEvent,
    ],
    "an event for another website": [eventWith("websiteId", websiteIds.listed)],
    "an event for another website, after one of its own": [
      eventWith("websiteId", websiteIds.example),
      eventWith("websiteId", websiteIds.listed),
    ],
    "an event for an unknown website": [eventWith("websiteId", websiteIds.unknown)],
    "an event for a website that is deleted": [eventWith("websiteId", websiteIds.deleted)],
  }).map(([what, body]) => ({
    name: `a limited key cannot send ${what}`,
    sent: { key: "limited" as const, body },
    answer: rejected("key_website_mismatch"),
  })),
  {
    name: "a limited key cannot send to another website in the query",
    sent: { key: "limited", path: `/track?website_id=${websiteIds.listed}`, body: plainEvent },
    answer: rejected("key_website_mismatch"),
  },
  {
    name: "a limited key with an empty list cannot send to any website",
    sent: { key: "nowhere", body: eventWith("websiteId", websiteIds.example) },
    answer: rejected("key_website_mismatch"),
  },
  {
    name: "a limited key's own paused website is not found",
    sent: { key: "limited", body: eventWith("websiteId", websiteIds.paused) },
    answer: rejected("website_paused"),
  },
]

const websiteCases: Case[] = [
  ...["website_id", "client_id"].map((name) => ({
    name: `${name} in the query is a credential`,
    sent: { key: null, path: `/track?${name}=${websiteIds.example}`, body: plainEvent },
    answer: accepted([viaWebsite]),
  })),
  {
    name: "client_id is used if website_id is empty",
    sent: { key: null, path: `/track?website_id=&client_id=${websiteIds.example}`, body: plainEvent },
    answer: accepted([viaWebsite]),
  },
  {
    name: "website_id takes precedence over client_id",
    sent: {
      key: null,
      path: `/track?client_id=${websiteIds.listed}&website_id=${websiteIds.example}`,
      body: plainEvent,
    },
    answer: accepted([viaWebsite]),
  },
  {
    name: "an empty website_id counts as absent",
    sent: { key: null, path: "/track?website_id=", body: plainEvent },
    answer: rejected("credential_missing"),
  },
  {
    name: "a query can have other parameters and escapes",
    sent: { key: null, path: `/track?v=1&website_id=my%2Dpage.2019&x=%00`, body: plainEvent },
    answer: accepted([{ ...viaWebsite, website_id: websiteIds.legacy }]),
  },
  {
    name: "website_id in capitals is the same UUID",
    sent: { key: null, path: `/track?website_id=${websiteIds.example.toUpperCase()}`, body: plainEvent },
    answer: accepted([viaWebsite]),
  },
  {
    name: "a registered website_id that is not a UUID is a credential",
    sent: { key: null, path: `/track?website_id=${websiteIds.legacy}`, body: plainEvent },
    answer: accepted([{ ...viaWebsite, website_id: websiteIds.legacy }]),
  },
  {
    name: "the first event's websiteId is a credential",
    sent: {
      key: null,
      body: [eventWith("websiteId", websiteIds.example), eventWith("websiteId", websiteIds.example)],
    },
    answer: accepted([viaWebsite, viaWebsite]),
  },
  {
    name: "events without a website go to the website in the query",
    sent: {
      key: null,
      path: `/track?website_id=${websiteIds.example}`,
      body: [plainEvent, eventWith("websiteId", websiteIds.example)],
    },
    answer: accepted([viaWebsite, viaWebsite]),
  },
  {
    name: "an empty batch for a website is accepted with a count of 0",
    sent: { key: null, path: `/track?website_id=${websiteIds.example}`, body: [] },
    answer: accepted([]),
  },
  {
    name: "an empty batch without a website has no credential",
    sent: { key: null, body: [] },
    answer: rejected("credential_missing"),
  },
  {
    name: "a websiteId in only the second event is not a credential",
    sent: { key: null, body: [plainEvent, eventWith("websiteId", websiteIds.example)] },
    answer: rejected("credential_missing"),
  },
  ...Object.entries({
    "another website than the query": {
      path: `/track?website_id=${websiteIds.example}`,
      body: eventWith("websiteId", websiteIds.listed),
    },
    "another website than the first event": {
      body: [eventWith("websiteId", websiteIds.example), eventWith("websiteId", websiteIds.listed)],
    },
    "no website after a first event that does": {
      body: [eventWith("websiteId", websiteIds.example), plainEvent],
    },
    "an unknown website, and one in the query": {
      path: `/track?website_id=${websiteIds.example}`,
      body: eventWith("websiteId", websiteIds.unknown),
    },
    "its website, and an unknown one in the query": {
      path: `/track?website_id=${websiteIds.unknown}`,
      body: eventWith("websiteId", websiteIds.example),
    },
  }).map(([what, sent]) => ({
    name: `a website id as the credential does not allow an event that names ${what}`,
    sent: { key: null, ...sent },
    answer: rejected("website_mismatch"),
  })),
  {
    name: "a key can send to another website than the one in the query",
    sent: {
      path: `/track?website_id=${websiteIds.example}`,
      body: eventWith("websiteId", websiteIds.listed),
    },
    answer: accepted([{ website_id: websiteIds.listed }]),
  },
]

const absent: [what: string, id: string, reason: string][] = [
  ["unknown", websiteIds.unknown, "website_unknown"],
  ["deleted", websiteIds.deleted, "website_unknown"],
  ["paused", websiteIds.paused, "website_paused"],
]

const absentCases: Case[] = [
  ...absent.flatMap(([what, id, reason]): Case[] => [
    {
      name: `a website that is ${what} is not found, with its id as the credential`,
      sent: { key: null, path: `/track?website_id=${id}`, body: plainEvent },
      answer: rejected(reason),
    },
    {
      name: `a website that is ${what} is not found, with its id in the first event`,
      sent: { key: null, body: eventWith("websiteId", id) },
      answer: rejected(reason),
    },
    {
      name: `a website that is ${what} is not found, with an unlimited key and its id in the query`,
      sent: { path: `/track?website_id=${id}`, body: plainEvent },
      answer: rejected(reason),
    },
    {
      name: `a website that is ${what} is not found, with an unlimited key and its id in an event`,
      sent: { body: [plainEvent, eventWith("websiteId", id)] },
      answer: rejected(reason),
    },
    {
      name: `a website that is ${what} is not found in the query of an empty batch`,
      sent: { key: null, path: `/track?website_id=${id}`, body: [] },
      answer: rejected(reason),
    },
  ]),
  {
    name: "an unknown website in the query is not found even if events name another",
    sent: {
      path: `/track?website_id=${websiteIds.unknown}`,
      body: eventWith("websiteId", websiteIds.example),
    },
    answer: rejected("website_unknown"),
  },
  ...[null, "full" as const].map((key) => ({
    name: `an unregistered id in the query that is not a UUID is not found, ${key ? "with a key" : "without a key"}`,
    sent: { key, path: `/track?website_id=${websiteIds.unknownLegacy}`, body: plainEvent },
    answer: rejected("website_unknown"),
  })),
  {
    name: "a paused website is not found even if its id is not a UUID and is sent in the body",
    sent: { key: null, body: eventWith("websiteId", websiteIds.pausedLegacy) },
    answer: rejected("website_paused"),
  },
  {
    name: "an id of any length and content in the query is not found",
    sent: { key: null, path: `/track?website_id=${"%00%ff".repeat(500)}`, body: plainEvent },
    answer: rejected("website_unknown"),
  },
]

function fromOrigin(id: string, origin: string): Case["sent"] {
  return { key: null, path: `/track?website_id=${id}`, headers: { origin }, body: plainEvent }
}

const originCases: Case[] = [
  ...[
    "https://example.com",
    "http://example.com",
    "https://www.example.com",
    "https://example.com:8443",
    "https://EXAMPLE.com",
    "https://app.example.com",
    "https://a.b.example.com:3000",
    "https://www.app.example.com",
    "http://localhost",
    "http://localhost:5173",
    "https://localhost:8443",
    "http://127.0.0.1",
    "http://127.0.0.1:8080",
    "http://127.0.0.10",
    "http://app.localhost:3000",
    "http://[::1]:5173",
  ].map((origin) => ({
    name: `pages of ${origin} can send to example.com`,
    sent: fromOrigin(websiteIds.example, origin),
    answer: accepted([viaWebsite]),
  })),
  ...[
    "https://notexample.com",
    "https://example.com.evil.test",
    "https://example.co",
    "https://example.org",
    "https://com",
    "https://evil.test",
    "https://evil.test:443",
    "https://localhost.evil.test",
    "https://notlocalhost",
    "http://128.0.0.1",
    "http://[::2]",
    "http://127.0.0.1.evil.test",
    "null",
    "example.com",
    "https://",
    "file://example.com",
    "chrome-extension://example.com",
    "capacitor://localhost",
    "https://user@example.com",
    "https://evil.test/?x=https://example.com",
    "https://partner.test",
  ].map((origin) => ({
    name: `pages of ${origin} cannot send to example.com`,
    sent: fromOrigin(websiteIds.example, origin),
    answer: rejected("origin_not_allowed"),
  })),
  ...[
    "https://shop.test",
    "https://de.shop.test",
    "https://partner.test",
    "https://www.partner.test:444",
    "http://192.0.2.7",
    "http://localhost:3000",
  ].map((origin) => ({
    name: `pages of ${origin} can send to shop.test, which allows partner.test and 192.0.2.7`,
    sent: fromOrigin(websiteIds.listed, origin),
    answer: accepted([{ ...viaWebsite, website_id: websiteIds.listed }]),
  })),
  ...["https://notpartner.test", "https://example.com", "http://192.0.2.70", "null"].map((origin) => ({
    name: `pages of ${origin} cannot send to shop.test`,
    sent: fromOrigin(websiteIds.listed, origin),
    answer: rejected("origin_not_allowed"),
  })),
  {
    name: "without an Origin, anyone can send to a website without allowed origins",
    sent: { key: null, path: `/track?website_id=${websiteIds.example}`, body: plainEvent },
    answer: accepted([viaWebsite]),
  },
  {
    name: "without an Origin, clients cannot send to a website with allowed origins",
    sent: { key: null, path: `/track?website_id=${websiteIds.listed}`, body: plainEvent },
    answer: rejected("origin_not_allowed"),
  },
  {
    name: "without an Origin, a key can send to a website with allowed origins",
    sent: { body: eventWith("websiteId", websiteIds.listed) },
    answer: accepted([{ website_id: websiteIds.listed }]),
  },
  ...["https://evil.test", "null"].map((origin) => ({
    name: `the origin ${origin} is not checked if there is a valid key`,
    sent: { headers: { origin }, body: eventWith("websiteId", websiteIds.example) },
    answer: accepted([onExample]),
  })),
  {
    name: "the origin is checked for a website id next to an invalid key",
    sent: { ...fromOrigin(websiteIds.example, "https://evil.test"), key: "revoked" },
    answer: rejected("origin_not_allowed"),
  },
  {
    name: "the origin is also checked for the first event's website",
    sent: {
      key: null,
      headers: { origin: "https://evil.test" },
      body: eventWith("websiteId", websiteIds.example),
    },
    answer: rejected("origin_not_allowed"),
  },
]

const chrome =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"

const crawlers = [
  "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
  "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
  "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
  "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot",
  "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
  "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; PerplexityBot/1.0)",
]

const people = [
  chrome,
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
  "curl/8.14.1",
  "Wget/1.21.3",
  "python-requests/2.32.3",
  "PostmanRuntime/7.43.0",
  "node",
  "undici",
  "",
]

const userAgentCases: Case[] = [
  ...crawlers.map((agent) => ({
    name: `an event from a crawler with a website id is marked: ${agent}`,
    sent: {
      key: null,
      path: `/track?website_id=${websiteIds.example}`,
      headers: { "user-agent": agent },
      body: plainEvent,
    },
    answer: accepted([{ ...viaWebsite, crawler: 1 }]),
  })),
  ...people.map((agent) => ({
    name: `an event from another agent with a website id is not marked: '${agent}'`,
    sent: {
      key: null,
      path: `/track?website_id=${websiteIds.example}`,
      headers: { "user-agent": agent },
      body: plainEvent,
    },
    answer: accepted([{ ...viaWebsite, crawler: 0 as const }]),
  })),
  {
    name: "an event with a key is never marked",
    sent: { headers: { "user-agent": crawlers[0] as string }, body: plainEvent },
    answer: accepted([{}]),
  },
]

export const credentialCases: Case[] = [
  ...keyCases,
  ...websiteCases,
  ...absentCases,
  ...originCases,
  ...userAgentCases,
]

const tooLarge = Buffer.alloc(3_000_000, 32)
const badShape = eventWith("namespace", 1)
const shapeError = { namespace: "must be a string of at most 64 characters" }

/** Requests with two errors. The response reports the one that is checked first. */
export const orderCases: Case[] = [
  {
    name: "size comes before content type",
    sent: { headers: { "content-type": "text/html" }, body: tooLarge },
    answer: rejected("payload_too_large"),
  },
  {
    name: "size comes before JSON",
    sent: { body: tooLarge },
    answer: rejected("payload_too_large"),
  },
  {
    name: "size comes before the credential",
    sent: { key: null, body: tooLarge },
    answer: rejected("payload_too_large"),
  },
  {
    name: "JSON comes before the credential",
    sent: { key: "unknown", body: "{" },
    answer: rejected("invalid_json"),
  },
  {
    name: "the shape comes before the credential",
    sent: { key: null, body: badShape },
    answer: rejected("invalid_shape", shapeError),
  },
  {
    name: "the shape comes before the scope",
    sent: { key: "reader", body: badShape },
    answer: rejected("invalid_shape", shapeError),
  },
  {
    name: "the shape comes before the website",
    sent: { key: null, path: `/track?website_id=${websiteIds.unknown}`, body: badShape },
    answer: rejected("invalid_shape", shapeError),
  },
  {
    name: "the number of events comes before the shape of each",
    sent: { body: Array.from({ length: 1_001 }, () => badShape) },
    answer: rejected("batch_too_long"),
  },
  {
    name: "the shape comes before the origin",
    sent: { ...fromOrigin(websiteIds.example, "https://evil.test"), body: badShape },
    answer: rejected("invalid_shape", shapeError),
  },
  {
    name: "the scope comes before the website",
    sent: { key: "reader", path: `/track?website_id=${websiteIds.unknown}`, body: plainEvent },
    answer: rejected("scope_missing"),
  },
  {
    name: "403 comes before 404: a mismatch before an unknown website",
    sent: {
      key: null,
      path: `/track?website_id=${websiteIds.unknown}`,
      body: eventWith("websiteId", websiteIds.example),
    },
    answer: rejected("website_mismatch"),
  },
  {
    name: "403 comes before 404: a limited key before an unknown website",
    sent: { key: "elsewhere", path: `/track?website_id=${websiteIds.unknown}`, body: plainEvent },
    answer: rejected("key_website_mismatch"),
  },
  {
    name: "403 comes before 404: a mismatch in a later event before an unknown website in the first",
    sent: {
      key: "limited",
      body: [eventWith("websiteId", websiteIds.paused), eventWith("websiteId", websiteIds.listed)],
    },
    answer: rejected("key_website_mismatch"),
  },
  {
    name: "403 comes before 404: the origin before a paused website",
    sent: fromOrigin(websiteIds.paused, "https://evil.test"),
    answer: rejected("origin_not_allowed"),
  },
]

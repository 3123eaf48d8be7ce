import { accepted, type Case, eventWith, plainEvent, refused } from "./cases.ts"
import { type KeyName, secrets, sites } from "./fixture.ts"

const onExample = { website_id: sites.example }
const viaWebsite = { credential: "website_id", ...onExample } as const

const deadKeys: KeyName[] = ["unknown", "malformed", "revoked", "disabled", "expired"]

function bearer(value: string): { authorization: string } {
  return { authorization: value }
}

const keyCases: Case[] = [
  ...["Bearer", "bearer", "BEARER", "bEaReR"].map((scheme) => ({
    name: `a key is taken as ${scheme}`,
    sent: { headers: bearer(`${scheme} ${secrets.full}`), body: plainEvent },
    answer: accepted([{}]),
  })),
  {
    name: "a key is taken in x-api-key",
    sent: { key: null, headers: { "x-api-key": secrets.full }, body: plainEvent },
    answer: accepted([{}]),
  },
  {
    name: "a key that works in x-api-key is taken beside one that does not as Bearer",
    sent: { key: "revoked", headers: { "x-api-key": secrets.full }, body: plainEvent },
    answer: accepted([{}]),
  },
  {
    name: "a key with all scopes is taken",
    sent: { key: "all", body: plainEvent },
    answer: accepted([{}]),
  },
  {
    name: "no credential is refused",
    sent: { key: null, body: plainEvent },
    answer: refused("credential_missing"),
  },
  ...deadKeys.map((key) => ({
    name: `a key that is ${key} is refused, and the reason says so`,
    sent: { key, body: plainEvent },
    answer: refused(`key_${key}`),
  })),
  ...deadKeys.map((key) => ({
    name: `a key that is ${key} is refused in x-api-key too`,
    sent: { key: null, headers: { "x-api-key": secrets[key] }, body: plainEvent },
    answer: refused(`key_${key}`),
  })),
  ...deadKeys.map((key) => ({
    name: `a key that is ${key} counts as no key: the website id of the query lets in, and the reason shows`,
    sent: { key, path: `/track?website_id=${sites.example}`, body: plainEvent },
    answer: accepted([viaWebsite], { reason: `key_${key}` }),
  })),
  {
    name: "a key that is revoked counts as no key: the website id of the first event lets in",
    sent: { key: "revoked", body: eventWith("websiteId", sites.example) },
    answer: accepted([viaWebsite], { reason: "key_revoked" }),
  },
  ...Object.entries({
    "another scheme": `Basic ${btoa(`${secrets.full}:`)}`,
    "a scheme alone": "Bearer",
    "a key without a scheme": secrets.full,
    "a key of another product": "Bearer sk_live_51H8x",
    "a key with something behind it": `Bearer ${secrets.full}x`,
    "a key in other capitals": `Bearer ${secrets.full.toUpperCase()}`,
  }).map(([what, authorization]) => ({
    name: `${what} in Authorization is a malformed key`,
    sent: { headers: bearer(authorization), body: plainEvent },
    answer: refused("key_malformed"),
  })),
  {
    name: "a key without the scope track:events is refused",
    sent: { key: "reader", body: plainEvent },
    answer: refused("scope_missing"),
  },
  {
    name: "a key without the scope is refused beside a website id too: it is a key that works",
    sent: { key: "reader", path: `/track?website_id=${sites.example}`, body: plainEvent },
    answer: refused("scope_missing"),
  },
  {
    name: "an unlimited key may send events that name no website: the owner's own",
    sent: { body: [plainEvent, plainEvent] },
    answer: accepted([{}, {}]),
  },
  {
    name: "an unlimited key may send to any website",
    sent: { body: [eventWith("websiteId", sites.example), eventWith("websiteId", sites.daily)] },
    answer: accepted([onExample, { website_id: sites.daily }]),
  },
  {
    name: "a limited key may send to its websites, by the event or the query",
    sent: {
      key: "limited",
      path: `/track?website_id=${sites.example}`,
      body: [plainEvent, eventWith("websiteId", sites.legacy)],
    },
    answer: accepted([onExample, { website_id: sites.legacy }]),
  },
  {
    name: "a limited key may name its website in capitals",
    sent: { key: "limited", body: eventWith("websiteId", sites.example.toUpperCase()) },
    answer: accepted([onExample]),
  },
  {
    name: "a limited key may send nothing at all",
    sent: { key: "limited", body: [] },
    answer: accepted([]),
  },
  ...Object.entries({
    "an event that names no website": [plainEvent],
    "an event that names no website, after one that does": [
      eventWith("websiteId", sites.example),
      plainEvent,
    ],
    "an event for another website": [eventWith("websiteId", sites.listed)],
    "an event for another website, after one of its own": [
      eventWith("websiteId", sites.example),
      eventWith("websiteId", sites.listed),
    ],
    "an event for a website that there is none of": [eventWith("websiteId", sites.unknown)],
    "an event for a website that is deleted": [eventWith("websiteId", sites.deleted)],
  }).map(([what, body]) => ({
    name: `a limited key may not send ${what}`,
    sent: { key: "limited" as const, body },
    answer: refused("key_website_mismatch"),
  })),
  {
    name: "a limited key may not send to another website of the query",
    sent: { key: "limited", path: `/track?website_id=${sites.listed}`, body: plainEvent },
    answer: refused("key_website_mismatch"),
  },
  {
    name: "a limited key with an empty list may send to none",
    sent: { key: "nowhere", body: eventWith("websiteId", sites.example) },
    answer: refused("key_website_mismatch"),
  },
  {
    name: "a limited key's own website that is paused is not found",
    sent: { key: "limited", body: eventWith("websiteId", sites.paused) },
    answer: refused("website_paused"),
  },
]

const websiteCases: Case[] = [
  ...["website_id", "client_id"].map((name) => ({
    name: `${name} in the query lets in`,
    sent: { key: null, path: `/track?${name}=${sites.example}`, body: plainEvent },
    answer: accepted([viaWebsite]),
  })),
  {
    name: "client_id counts where website_id is empty",
    sent: { key: null, path: `/track?website_id=&client_id=${sites.example}`, body: plainEvent },
    answer: accepted([viaWebsite]),
  },
  {
    name: "website_id counts where client_id is there too",
    sent: {
      key: null,
      path: `/track?client_id=${sites.listed}&website_id=${sites.example}`,
      body: plainEvent,
    },
    answer: accepted([viaWebsite]),
  },
  {
    name: "an empty website_id is none",
    sent: { key: null, path: "/track?website_id=", body: plainEvent },
    answer: refused("credential_missing"),
  },
  {
    name: "a query may hold other things, and escapes",
    sent: { key: null, path: `/track?v=1&website_id=my%2Dpage.2019&x=%00`, body: plainEvent },
    answer: accepted([{ ...viaWebsite, website_id: sites.legacy }]),
  },
  {
    name: "website_id in capitals is the same UUID",
    sent: { key: null, path: `/track?website_id=${sites.example.toUpperCase()}`, body: plainEvent },
    answer: accepted([viaWebsite]),
  },
  {
    name: "website_id that is no UUID but registered lets in",
    sent: { key: null, path: `/track?website_id=${sites.legacy}`, body: plainEvent },
    answer: accepted([{ ...viaWebsite, website_id: sites.legacy }]),
  },
  {
    name: "the first event's websiteId lets in",
    sent: { key: null, body: [eventWith("websiteId", sites.example), eventWith("websiteId", sites.example)] },
    answer: accepted([viaWebsite, viaWebsite]),
  },
  {
    name: "the query's website is that of events that name none",
    sent: {
      key: null,
      path: `/track?website_id=${sites.example}`,
      body: [plainEvent, eventWith("websiteId", sites.example)],
    },
    answer: accepted([viaWebsite, viaWebsite]),
  },
  {
    name: "an empty batch for a website counts 0",
    sent: { key: null, path: `/track?website_id=${sites.example}`, body: [] },
    answer: accepted([]),
  },
  {
    name: "an empty batch names no website, and so has no credential",
    sent: { key: null, body: [] },
    answer: refused("credential_missing"),
  },
  {
    name: "a websiteId that only the second event names is no credential",
    sent: { key: null, body: [plainEvent, eventWith("websiteId", sites.example)] },
    answer: refused("credential_missing"),
  },
  ...Object.entries({
    "another website than the query": {
      path: `/track?website_id=${sites.example}`,
      body: eventWith("websiteId", sites.listed),
    },
    "another website than the first event": {
      body: [eventWith("websiteId", sites.example), eventWith("websiteId", sites.listed)],
    },
    "no website after a first event that does": {
      body: [eventWith("websiteId", sites.example), plainEvent],
    },
    "a website that there is none of, beside one of the query": {
      path: `/track?website_id=${sites.example}`,
      body: eventWith("websiteId", sites.unknown),
    },
    "its website where the query names one that there is none of": {
      path: `/track?website_id=${sites.unknown}`,
      body: eventWith("websiteId", sites.example),
    },
  }).map(([what, sent]) => ({
    name: `a website id as the credential does not let in an event that names ${what}`,
    sent: { key: null, ...sent },
    answer: refused("website_mismatch"),
  })),
  {
    name: "a key may send to another website than the query's",
    sent: { path: `/track?website_id=${sites.example}`, body: eventWith("websiteId", sites.listed) },
    answer: accepted([{ website_id: sites.listed }]),
  },
]

const absent: [what: string, id: string, reason: string][] = [
  ["unknown", sites.unknown, "website_unknown"],
  ["deleted", sites.deleted, "website_unknown"],
  ["paused", sites.paused, "website_paused"],
]

const absentCases: Case[] = [
  ...absent.flatMap(([what, id, reason]): Case[] => [
    {
      name: `a website that is ${what} is not found, with its id as the credential`,
      sent: { key: null, path: `/track?website_id=${id}`, body: plainEvent },
      answer: refused(reason),
    },
    {
      name: `a website that is ${what} is not found, with its id in the first event`,
      sent: { key: null, body: eventWith("websiteId", id) },
      answer: refused(reason),
    },
    {
      name: `a website that is ${what} is not found, with an unlimited key and the query`,
      sent: { path: `/track?website_id=${id}`, body: plainEvent },
      answer: refused(reason),
    },
    {
      name: `a website that is ${what} is not found, with an unlimited key and an event`,
      sent: { body: [plainEvent, eventWith("websiteId", id)] },
      answer: refused(reason),
    },
    {
      name: `a website that is ${what} is not found in the query of an empty batch`,
      sent: { key: null, path: `/track?website_id=${id}`, body: [] },
      answer: refused(reason),
    },
  ]),
  {
    name: "a website of the query is not found beside events that name another",
    sent: { path: `/track?website_id=${sites.unknown}`, body: eventWith("websiteId", sites.example) },
    answer: refused("website_unknown"),
  },
  ...[null, "full" as const].map((key) => ({
    name: `an id in the query that is no UUID and not registered is not found, ${key ? "with a key" : "without a key"}`,
    sent: { key, path: `/track?website_id=${sites.unknownLegacy}`, body: plainEvent },
    answer: refused("website_unknown"),
  })),
  {
    name: "an id that is no UUID and paused is registered all the same: not found, also in a body",
    sent: { key: null, body: eventWith("websiteId", sites.pausedLegacy) },
    answer: refused("website_paused"),
  },
  {
    name: "an id in the query of any length and content is not found",
    sent: { key: null, path: `/track?website_id=${"%00%ff".repeat(500)}`, body: plainEvent },
    answer: refused("website_unknown"),
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
    name: `pages of ${origin} may send to example.com`,
    sent: fromOrigin(sites.example, origin),
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
    name: `pages of ${origin} may not send to example.com`,
    sent: fromOrigin(sites.example, origin),
    answer: refused("origin_not_allowed"),
  })),
  ...[
    "https://shop.test",
    "https://de.shop.test",
    "https://partner.test",
    "https://www.partner.test:444",
    "http://192.0.2.7",
    "http://localhost:3000",
  ].map((origin) => ({
    name: `pages of ${origin} may send to shop.test, which allows partner.test and 192.0.2.7`,
    sent: fromOrigin(sites.listed, origin),
    answer: accepted([{ ...viaWebsite, website_id: sites.listed }]),
  })),
  ...["https://notpartner.test", "https://example.com", "http://192.0.2.70", "null"].map((origin) => ({
    name: `pages of ${origin} may not send to shop.test`,
    sent: fromOrigin(sites.listed, origin),
    answer: refused("origin_not_allowed"),
  })),
  {
    name: "without an Origin anybody may send to a website that lists no allowed origins",
    sent: { key: null, path: `/track?website_id=${sites.example}`, body: plainEvent },
    answer: accepted([viaWebsite]),
  },
  {
    name: "without an Origin nobody may send to a website that lists allowed origins",
    sent: { key: null, path: `/track?website_id=${sites.listed}`, body: plainEvent },
    answer: refused("origin_not_allowed"),
  },
  {
    name: "without an Origin a key may send to a website that lists allowed origins",
    sent: { body: eventWith("websiteId", sites.listed) },
    answer: accepted([{ website_id: sites.listed }]),
  },
  ...["https://evil.test", "null"].map((origin) => ({
    name: `with a key the origin ${origin} does not matter`,
    sent: { headers: { origin }, body: eventWith("websiteId", sites.example) },
    answer: accepted([onExample]),
  })),
  {
    name: "the origin matters with a website id that a key that works no more stands beside",
    sent: { ...fromOrigin(sites.example, "https://evil.test"), key: "revoked" },
    answer: refused("origin_not_allowed"),
  },
  {
    name: "the origin matters with the first event's website too",
    sent: {
      key: null,
      headers: { origin: "https://evil.test" },
      body: eventWith("websiteId", sites.example),
    },
    answer: refused("origin_not_allowed"),
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
    name: `an event under a website id is marked where its sender is a crawler: ${agent}`,
    sent: {
      key: null,
      path: `/track?website_id=${sites.example}`,
      headers: { "user-agent": agent },
      body: plainEvent,
    },
    answer: accepted([{ ...viaWebsite, crawler: 1 }]),
  })),
  ...people.map((agent) => ({
    name: `an event under a website id is not marked where its sender is no crawler: '${agent}'`,
    sent: {
      key: null,
      path: `/track?website_id=${sites.example}`,
      headers: { "user-agent": agent },
      body: plainEvent,
    },
    answer: accepted([{ ...viaWebsite, crawler: 0 as const }]),
  })),
  {
    name: "an event under a key is not marked, whoever sends it",
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

/** Two faults in one request: the one that is checked first is answered. */
export const orderCases: Case[] = [
  {
    name: "size comes before content type",
    sent: { headers: { "content-type": "text/html" }, body: tooLarge },
    answer: refused("payload_too_large"),
  },
  {
    name: "size comes before JSON",
    sent: { body: tooLarge },
    answer: refused("payload_too_large"),
  },
  {
    name: "size comes before the credential",
    sent: { key: null, body: tooLarge },
    answer: refused("payload_too_large"),
  },
  {
    name: "JSON comes before the credential",
    sent: { key: "unknown", body: "{" },
    answer: refused("invalid_json"),
  },
  {
    name: "the shape comes before the credential",
    sent: { key: null, body: badShape },
    answer: refused("invalid_shape", shapeError),
  },
  {
    name: "the shape comes before the scope",
    sent: { key: "reader", body: badShape },
    answer: refused("invalid_shape", shapeError),
  },
  {
    name: "the shape comes before the website",
    sent: { key: null, path: `/track?website_id=${sites.unknown}`, body: badShape },
    answer: refused("invalid_shape", shapeError),
  },
  {
    name: "the number of events comes before the shape of each",
    sent: { body: Array.from({ length: 1_001 }, () => badShape) },
    answer: refused("batch_too_long"),
  },
  {
    name: "the shape comes before the origin",
    sent: { ...fromOrigin(sites.example, "https://evil.test"), body: badShape },
    answer: refused("invalid_shape", shapeError),
  },
  {
    name: "the scope comes before the website",
    sent: { key: "reader", path: `/track?website_id=${sites.unknown}`, body: plainEvent },
    answer: refused("scope_missing"),
  },
  {
    name: "403 comes before 404: a mismatch before a website that is unknown",
    sent: {
      key: null,
      path: `/track?website_id=${sites.unknown}`,
      body: eventWith("websiteId", sites.example),
    },
    answer: refused("website_mismatch"),
  },
  {
    name: "403 comes before 404: a limited key before a website that is unknown",
    sent: { key: "elsewhere", path: `/track?website_id=${sites.unknown}`, body: plainEvent },
    answer: refused("key_website_mismatch"),
  },
  {
    name: "403 comes before 404: the mismatch of a later event before a first that is unknown",
    sent: {
      key: "limited",
      body: [eventWith("websiteId", sites.paused), eventWith("websiteId", sites.listed)],
    },
    answer: refused("key_website_mismatch"),
  },
  {
    name: "403 comes before 404: the origin before a website that is paused",
    sent: fromOrigin(sites.paused, "https://evil.test"),
    answer: refused("origin_not_allowed"),
  },
]

import { accepted, type Case, eventWith, plainEvent, rejected, type StoredEvent } from "./cases.ts"
import { websiteIds } from "./seed.ts"

const texts: { field: string; limit: number; column: keyof StoredEvent; required?: true }[] = [
  { field: "name", limit: 256, column: "name", required: true },
  { field: "namespace", limit: 64, column: "namespace" },
  { field: "anonymousId", limit: 256, column: "anonymous_id" },
  { field: "sessionId", limit: 256, column: "session_id" },
  { field: "source", limit: 64, column: "source" },
  { field: "eventId", limit: 512, column: "event_id" },
  { field: "profileId", limit: 128, column: "profile_id" },
  { field: "path", limit: 2048, column: "path" },
]

const badText = "must not contain NUL or half of a surrogate pair"
const badTimestamp = "must be Unix milliseconds or a date, from 2000-01-01 to an hour from now"
const badFlag = 'must be true, false or "auto"'
const notRegistered = "must be a UUID or the id of a registered website"
const noObject = "must be an object"
const mustBeName = "must be a string of 1 to 256 characters"

export const textCases: Case[] = texts.flatMap(({ field, limit, column, required }): Case[] => {
  const wrong = required ? mustBeName : `must be a string of at most ${limit} characters`
  const stored = (value: unknown): Case["answer"] => accepted([{ [column]: value }])
  // Each value starts with a different character, because an event with a known eventId would be skipped.
  const kept: Record<string, string> = {
    [`${limit} characters`]: "l".repeat(limit),
    [`${limit} UTF-16 units of characters beyond the basic plane`]: "𝄞".repeat(limit / 2),
    [`${limit} characters of three bytes each`]: "語".repeat(limit),
    "one character": "1",
    "quotes, backslashes, newlines and a DEL": 'q"\\\n\t\u007f\u2028',
    "spaces around it": " b ",
    "an SQL injection": "s'); drop table event_rows; --",
  }
  const bad: Record<string, unknown> = {
    [`${limit + 1} characters long`]: "x".repeat(limit + 1),
    [`${limit + 1} UTF-16 units long`]: `${"𝄞".repeat(limit / 2)}x`,
    "a null": null,
    "a number": 7,
    "a boolean": true,
    "an array": ["x"],
    "an object": { x: 1 },
  }
  const unstorable: Record<string, unknown> = {
    NUL: "a\0b",
    "a lone high surrogate": "a\ud834",
    "a lone low surrogate": "\udd1ea",
    "surrogates in the wrong order": "\udd1e\ud834",
  }
  return [
    ...Object.entries(kept).map(([what, value]) => ({
      name: `${field} with ${what} is stored as sent`,
      sent: { body: eventWith(field, value) },
      answer: stored(value),
    })),
    ...Object.entries(bad).map(([what, value]) => ({
      name: `${field} is rejected if it is ${what}`,
      sent: { body: eventWith(field, value) },
      answer: rejected("invalid_shape", { [field]: wrong }),
    })),
    ...Object.entries(unstorable).map(([what, value]) => ({
      name: `${field} with ${what} is rejected`,
      sent: { body: eventWith(field, value) },
      answer: rejected("invalid_shape", { [field]: badText }),
    })),
    required
      ? {
          name: `an empty ${field} is rejected`,
          sent: { body: eventWith(field, "") },
          answer: rejected("invalid_shape", { [field]: wrong }),
        }
      : {
          name: `an empty ${field} counts as absent`,
          sent: { body: eventWith(field, "") },
          answer: accepted([{}]),
        },
  ]
})

const hour = 3_600_000
const now = Date.now()
const ten = Date.UTC(2024, 10, 23, 10)

const times: Record<string, [sent: number | string, stored: number]> = {
  "Unix milliseconds": [ten, ten],
  "milliseconds with a fraction, which is rounded down": [ten + 0.9, ten],
  "the first millisecond of 2000-01-01": [946_684_800_000, 946_684_800_000],
  "2000-01-01 as a date": ["2000-01-01", 946_684_800_000],
  "an hour from now": [now + hour, now + hour],
  "ISO 8601 in UTC": ["2024-11-23T10:00:00.000Z", ten],
  "ISO 8601 with milliseconds": ["2024-11-23T10:00:00.123Z", ten + 123],
  "ISO 8601 with an offset": ["2024-11-23T12:30:00+02:30", ten],
  "ISO 8601 without a zone, which is UTC": ["2024-11-23T10:00:00", ten],
  "ISO 8601 to the minute without a zone, which is UTC": ["2024-11-23T10:00", ten],
  "a date alone, which is UTC": ["2024-11-23", ten - 10 * hour],
  "a date and a time separated by a space, which is UTC": ["2024-11-23 10:00:00", ten],
  "a time during New York's summer time without a zone, which is UTC": [
    "2024-07-01T10:00:00",
    Date.UTC(2024, 6, 1, 10),
  ],
  "a date as in HTTP headers": ["Sat, 23 Nov 2024 10:00:00 GMT", ten],
  "a date with the name of the month and no zone, which is UTC": ["Nov 23, 2024 10:00:00", ten],
  "a date with the name of the month and an offset": ["23 Nov 2024 05:00:00 -0500", ten],
  "the result of Date.toString": ["Sat Nov 23 2024 11:00:00 GMT+0100 (Central European Standard Time)", ten],
  "a date with slashes": ["2024/11/23 10:00", ten],
  "an American date": ["11/23/2024 10:00", ten],
  "the last day of a leap year's February": ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29)],
  "the end of a day": ["2024-11-22T24:00:00Z", ten - 10 * hour],
}

const noTimes: Record<string, unknown> = {
  "epoch seconds": 1_732_356_000,
  "0": 0,
  "a negative number": -1,
  "the millisecond before 2000-01-01": 946_684_799_999,
  "the last millisecond of 1999 plus a fraction": 946_684_799_999.9,
  "more than an hour from now": now + hour + 600_000,
  "the day after tomorrow": new Date(now + 48 * hour).toISOString(),
  "the year 1999": "1999-12-31T23:59:59.999Z",
  "epoch milliseconds in a string": "1732356000000",
  "epoch seconds in a string": "1732356000",
  "a word": "yesterday",
  "a date that does not exist": "2024-13-45",
  ...Object.fromEntries(
    [
      "2026-02-30",
      "2026-02-29",
      "2026-02-30T10:00:00Z",
      "2026-02-30T10:00:00.000+02:00",
      "2026-02-30 10:00:00",
      "2026-04-31",
      "2026-06-31T00:00",
      "2026/02/30",
      "02/30/2026",
      "Feb 30, 2026",
      "30 Feb 2026 10:00:00 GMT",
      "Mon Feb 30 2026 10:00:00 GMT+0100",
      "Feb 30 10:00:00 2026",
    ].map((day) => [`a day that does not exist: ${day}`, day]),
  ),
  ...Object.fromEntries(
    [
      "event 5",
      "version 2020",
      "Mar 5",
      "step 12 2024",
      "Monday 5",
      "1/2/24",
      "a 2024-01-01",
      `2024-01-01${" ".repeat(200)}x`,
    ].map((words) => [`words with a number: ${words.slice(0, 20)}`, words]),
  ),
  "the largest double": Number.MAX_VALUE,
  "a null": null,
  "a boolean": true,
  "an array": [ten],
  "an object": { $date: ten },
}

const timestampCases: Case[] = [
  ...Object.entries(times).map(([what, [sent, stored]]) => ({
    name: `timestamp can be ${what}`,
    sent: { body: eventWith("timestamp", sent) },
    answer: accepted([{ timestamp: stored }]),
  })),
  ...Object.entries(noTimes).map(([what, sent]) => ({
    name: `timestamp cannot be ${what}`,
    sent: { body: eventWith("timestamp", sent) },
    answer: rejected("invalid_shape", { timestamp: badTimestamp }),
  })),
  {
    name: "an event without a timestamp gets the time of receipt",
    sent: { body: plainEvent },
    answer: accepted([{}]),
  },
  {
    name: "an empty timestamp counts as absent",
    sent: { body: eventWith("timestamp", "") },
    answer: accepted([{}]),
  },
  {
    name: "a timestamp beyond a double is rejected",
    sent: { body: '{"name":"e","timestamp":1e400}' },
    answer: rejected("invalid_shape", { timestamp: badTimestamp }),
  },
]

/** Returns `{"p": …}`, which serializes to exactly `bytes`. */
function propertiesOf(bytes: number, filler: string): Record<string, string> {
  const room = bytes - '{"p":""}'.length
  const size = Buffer.byteLength(JSON.stringify(filler)) - 2
  return { p: filler.repeat(Math.floor(room / size)) + "x".repeat(room % size) }
}

/** Returns `levels` nested objects. */
function nested(levels: number): object {
  return levels === 1 ? {} : { a: nested(levels - 1) }
}

/** Returns an object with nested arrays, `levels` levels in total. The object itself is the first level. */
function arraysIn(levels: number): object {
  let value: unknown = 1
  for (let level = 1; level < levels; level++) value = [value]
  return { a: value }
}

const keptProperties: Record<string, unknown> = {
  "no keys": {},
  "values of every type": { s: "x", n: 1.5, t: true, f: false, z: null, a: [1, [2]], o: { p: { q: [] } } },
  "empty strings, keys and values": { "": "", a: [], b: {} },
  "keys that look like numbers": { 10: "ten", 9: "nine", "01": "text" },
  "keys with dots, quotes and spaces": { "a.b": 1, '"c"': 2, "d e": 3, "$[0]": 4, "\\": 5 },
  "keys that every object inherits": { constructor: 1, toString: "x", hasOwnProperty: null },
  "a key of 128 characters": { ["k".repeat(128)]: 1 },
  "a key of 128 UTF-16 units": { ["𝄞".repeat(64)]: 1 },
  "numbers at the ends of a double": { a: 1.7976931348623157e308, b: 5e-324, c: -1e21, d: 123456789.123456 },
  "text from several Unicode planes": {
    ключ: "значение",
    鍵: "値",
    "🔑": "🎉",
    n: "\u2028\u2029\ufeff\uffff",
  },
  "NUL and lone surrogates in their values": { a: "x\0y", b: "\ud834", c: ["\udd1e"] },
  "NUL and lone surrogates in their keys": { "x\0y": 1, "\ud834": 2 },
  "32,768 bytes": propertiesOf(32_768, "x"),
  "32,768 bytes of two-byte characters": propertiesOf(32_768, "é"),
  "32,768 bytes of three-byte characters": propertiesOf(32_768, "語"),
  "32,768 bytes of four-byte characters": propertiesOf(32_768, "🎉"),
  "32,768 bytes of escapes": propertiesOf(32_768, "\n"),
  "32,768 bytes of lone surrogates": propertiesOf(32_768, "\ud834"),
  "64 levels of objects": nested(64),
  "64 levels of arrays": arraysIn(64),
  "a thousand keys": Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`key ${index}`, index])),
}

const tooLarge = "must be at most 32768 bytes of JSON"
const tooDeep = "must be nested at most 64 deep"
const longKey = "must have keys of at most 128 characters"
const noDouble = "must hold numbers that fit a double"

const badProperties: Record<string, [sent: unknown, message: string]> = {
  "a null": [null, noObject],
  "an array": [[], noObject],
  "a string": ["{}", noObject],
  "a number": [1, noObject],
  "a boolean": [false, noObject],
  "a key of 129 characters": [{ ["k".repeat(129)]: 1 }, longKey],
  "a key of 129 UTF-16 units": [{ [`${"𝄞".repeat(64)}x`]: 1 }, longKey],
  "32,769 bytes": [propertiesOf(32_769, "x"), tooLarge],
  "32,769 bytes of two-byte characters": [propertiesOf(32_769, "é"), tooLarge],
  "32,769 bytes of three-byte characters": [propertiesOf(32_769, "語"), tooLarge],
  "32,769 bytes of four-byte characters": [propertiesOf(32_769, "🎉"), tooLarge],
  "32,769 bytes of escapes": [propertiesOf(32_769, "\n"), tooLarge],
  "65 levels of objects": [nested(65), tooDeep],
  "65 levels of arrays": [arraysIn(65), tooDeep],
}

/** Properties that are sent as raw JSON text, and how they are stored. */
const rawProperties: Record<string, [sent: string, stored: unknown]> = {
  "duplicate keys, of which the last wins": ['{"a":1,"b":2,"a":3}', { a: 3, b: 2 }],
  "an own key __proto__": ['{"__proto__":{"a":1},"b":2}', JSON.parse('{"__proto__":{"a":1},"b":2}')],
  "a nested own key __proto__": ['{"o":{"__proto__":7}}', JSON.parse('{"o":{"__proto__":7}}')],
  "an integer above 2^53, as JavaScript rounds it": ['{"a":9007199254740993}', { a: 9007199254740992 }],
  "an integer of forty digits": [`{"a":${"9".repeat(40)}}`, { a: 1e40 }],
  "a number too small for a double, which is 0": ['{"a":1e-400}', { a: 0 }],
  escapes: ['{"\\u0061":"\\u00e9\\/\\ud83c\\udf89"}', { a: "é/🎉" }],
  "white space": ['{ "a" :\r\n\t1 }', { a: 1 }],
}

const rawBadProperties: Record<string, [sent: string, message: string]> = {
  "a number beyond a double": ['{"a":1e400}', noDouble],
  "a negative number beyond a double": ['{"a":-1e400}', noDouble],
  "a number beyond a double in an array": ['{"a":[[1,-2e999]]}', noDouble],
  "a number beyond a double in an object": ['{"a":{"b":{"c":1e309}}}', noDouble],
  "65 levels, the innermost empty": [`{"a":${"[".repeat(64)}${"]".repeat(64)}}`, tooDeep],
}

const propertyCases: Case[] = [
  ...Object.entries(keptProperties).map(([what, properties]) => ({
    name: `properties can have ${what}`,
    sent: { body: eventWith("properties", properties) },
    answer: accepted([{ properties }]),
  })),
  ...Object.entries(rawProperties).map(([what, [sent, properties]]) => ({
    name: `properties can have ${what}`,
    sent: { body: `{"name":"e","properties":${sent}}` },
    answer: accepted([{ properties }]),
  })),
  ...Object.entries(badProperties).map(([what, [properties, message]]) => ({
    name: `properties cannot be, or have, ${what}`,
    sent: { body: eventWith("properties", properties) },
    answer: rejected("invalid_shape", { properties: message }),
  })),
  ...Object.entries(rawBadProperties).map(([what, [sent, message]]) => ({
    name: `properties cannot have ${what}`,
    sent: { body: `{"name":"e","properties":${sent}}` },
    answer: rejected("invalid_shape", { properties: message }),
  })),
  {
    name: "absent and empty properties differ",
    sent: { body: [plainEvent, eventWith("properties", {})] },
    answer: accepted([{ properties: null }, { properties: {} }]),
  },
  {
    name: "the size of properties is the size of their serialized JSON, not of the JSON sent",
    sent: { body: `{"name":"e","properties":{"a":${" ".repeat(40_000)}1}}` },
    answer: accepted([{ properties: { a: 1 } }]),
  },
]

const websiteIdCases: Case[] = [
  {
    name: "an event goes to the registered UUID in websiteId",
    sent: { body: eventWith("websiteId", websiteIds.example) },
    answer: accepted([{ website_id: websiteIds.example }]),
  },
  {
    name: "websiteId in capitals is the same UUID",
    sent: { body: eventWith("websiteId", websiteIds.example.toUpperCase()) },
    answer: accepted([{ website_id: websiteIds.example }]),
  },
  {
    name: "a registered websiteId that is not a UUID is accepted",
    sent: { body: eventWith("websiteId", websiteIds.legacy) },
    answer: accepted([{ website_id: websiteIds.legacy }]),
  },
  {
    name: "a registered websiteId of 255 characters is accepted",
    sent: { body: eventWith("websiteId", websiteIds.longest) },
    answer: accepted([{ website_id: websiteIds.longest }]),
  },
  {
    name: "an empty websiteId counts as absent",
    sent: { body: eventWith("websiteId", "") },
    answer: accepted([{}]),
  },
  ...Object.entries({
    "not a UUID and not registered": websiteIds.unknownLegacy,
    "not a UUID and differs in case from the registered one": websiteIds.legacy.toUpperCase(),
    "a UUID with braces": `{${websiteIds.example}}`,
    "a UUID without dashes": websiteIds.example.replaceAll("-", ""),
    "a UUID with a trailing space": `${websiteIds.example} `,
    "255 characters and not registered": "v".repeat(255),
  }).map(([what, id]) => ({
    name: `websiteId that is ${what} is rejected`,
    sent: { body: eventWith("websiteId", id) },
    answer: rejected("invalid_shape", { websiteId: notRegistered }),
  })),
  ...Object.entries({ "256 characters": "w".repeat(256), "a null": null, "a number": 5, "an array": [] }).map(
    ([what, id]) => ({
      name: `websiteId of ${what} is rejected`,
      sent: { body: eventWith("websiteId", id) },
      answer: rejected("invalid_shape", { websiteId: "must be a string of at most 255 characters" }),
    }),
  ),
]

const flagCases: Case[] = [
  ...[false, "auto"].map((flag) => ({
    name: `anonymizeVisitorIds ${flag} uses the website's setting`,
    sent: { body: { ...plainEvent, anonymousId: "anna", anonymizeVisitorIds: flag } },
    answer: accepted([{ anonymous_id: "anna" }]),
  })),
  {
    name: "anonymizeVisitorIds without an anonymousId stores no id",
    sent: { body: eventWith("anonymizeVisitorIds", true) },
    answer: accepted([{}]),
  },
  ...[null, 1, "true", "", "daily", {}].map((flag) => ({
    name: `anonymizeVisitorIds ${JSON.stringify(flag)} is rejected`,
    sent: { body: eventWith("anonymizeVisitorIds", flag) },
    answer: rejected("invalid_shape", { anonymizeVisitorIds: badFlag }),
  })),
]

const everything = {
  name: "purchase",
  namespace: "shop",
  timestamp: ten,
  properties: { amount: 12.5, items: [{ sku: "a" }] },
  anonymousId: "anon-1",
  sessionId: "session-1",
  websiteId: websiteIds.example,
  source: "backend",
  eventId: "every field",
  profileId: "user-1",
  path: "/checkout?step=2",
  anonymizeVisitorIds: false,
}

const shapeCases: Case[] = [
  {
    name: "an event with every field is stored completely",
    sent: { body: everything },
    answer: accepted([
      {
        website_id: websiteIds.example,
        name: "purchase",
        namespace: "shop",
        source: "backend",
        timestamp: ten,
        anonymous_id: "anon-1",
        session_id: "session-1",
        profile_id: "user-1",
        path: "/checkout?step=2",
        event_id: "every field",
        properties: { amount: 12.5, items: [{ sku: "a" }] },
      },
    ]),
  },
  {
    name: "unknown fields are ignored, whatever they contain",
    sent: { body: '{"name":"e","type":"custom","id":7,"_meta":{"a":[null]},"__proto__":{"namespace":"x"}}' },
    answer: accepted([{}]),
  },
  {
    name: "the last of two duplicate fields wins",
    sent: { body: '{"name":"first","name":"last"}' },
    answer: accepted([{ name: "last" }]),
  },
  {
    name: "a missing name is rejected",
    sent: { body: {} },
    answer: rejected("invalid_shape", { name: mustBeName }),
  },
  {
    name: "a name that exists only on the prototype is missing",
    sent: { body: '{"__proto__":{"name":"e"}}' },
    answer: rejected("invalid_shape", { name: mustBeName }),
  },
  ...Object.entries({ "a string": '"e"', "a number": "1", "a null": "null", "a boolean": "true" }).map(
    ([what, body]) => ({
      name: `a body that is ${what} is rejected without naming a field`,
      sent: { body },
      answer: rejected("invalid_shape"),
    }),
  ),
  {
    name: "an empty batch is valid and has a count of 0",
    sent: { body: [] },
    answer: accepted([]),
  },
  {
    name: "an error in a batch of one event has an index",
    sent: { body: [eventWith("name", "")] },
    answer: rejected("invalid_shape", { "0.name": mustBeName }),
  },
  {
    name: "a batch entry that is not an object is named by its index",
    sent: { body: [plainEvent, 1, null, [], "e", plainEvent] },
    answer: rejected("invalid_shape", { "1": noObject, "2": noObject, "3": noObject, "4": noObject }),
  },
  {
    name: "a batch with one invalid event is rejected completely",
    sent: { body: [plainEvent, eventWith("properties", []), plainEvent] },
    answer: rejected("invalid_shape", { "1.properties": noObject }),
  },
  {
    name: "every invalid field of every event is named",
    sent: {
      body: [
        { namespace: 1, timestamp: "never" },
        plainEvent,
        { name: "e\0", websiteId: "no", timestamp: 5, properties: { a: nested(65) } },
      ],
    },
    answer: rejected("invalid_shape", {
      "0.name": mustBeName,
      "0.namespace": "must be a string of at most 64 characters",
      "2.name": badText,
      "2.websiteId": notRegistered,
      "2.timestamp": badTimestamp,
      "2.properties": tooDeep,
    }),
  },
  {
    name: "1,000 events are stored in order",
    sent: { body: Array.from({ length: 1_000 }, (_, index) => ({ name: `n${index}` })) },
    answer: accepted(Array.from({ length: 1_000 }, (_, index) => ({ name: `n${index}` }))),
  },
  {
    name: "1,001 events are rejected",
    sent: { body: Array.from({ length: 1_001 }, () => plainEvent) },
    answer: rejected("batch_too_long"),
  },
  {
    name: "a batch can contain events for several websites and for none",
    sent: {
      body: [
        eventWith("websiteId", websiteIds.legacy),
        plainEvent,
        eventWith("websiteId", websiteIds.example),
      ],
    },
    answer: accepted([{ website_id: websiteIds.legacy }, {}, { website_id: websiteIds.example }]),
  },
]

export const fieldCases: Case[] = [
  ...textCases,
  ...timestampCases,
  ...propertyCases,
  ...websiteIdCases,
  ...flagCases,
  ...shapeCases,
]

import { describe, expect, test } from "bun:test"
import { RequestError } from "../../src/errors.ts"
import { readEvents, shouldHashVisitor } from "../../src/ingest/event.ts"

const now = Date.UTC(2026, 0, 31, 23, 30)
const hour = 3_600_000

function read(body: unknown, rules: Partial<Parameters<typeof readEvents>[1]> = {}) {
  return readEvents(body, { maxEvents: 10, now, isRegistered: () => false, ...rules })
}

function rejectionOf(work: () => unknown): RequestError {
  try {
    work()
  } catch (error) {
    if (error instanceof RequestError) return error
    throw error
  }
  throw new Error("not rejected")
}

// Tests limits to the millisecond. A test over HTTP could not, because the server's clock advances.
describe("a timestamp", () => {
  const taken: [sent: unknown, ts: number][] = [
    [undefined, now],
    ["", now],
    [now, now],
    [now + hour, now + hour],
    [now + hour + 0.999, now + hour],
    [new Date(now + hour).toISOString(), now + hour],
    [946_684_800_000, 946_684_800_000],
    [946_684_800_000.5, 946_684_800_000],
    ["2000-01-01T00:00:00.000Z", 946_684_800_000],
    ["2000-01-01T05:00:00+05:00", 946_684_800_000],
    ["1999-12-31T19:00:00-05:00", 946_684_800_000],
  ]
  for (const [sent, ts] of taken) {
    test(`${sent} is accepted`, () => {
      expect(read({ name: "e", timestamp: sent })).toMatchObject([{ ts }])
    })
  }
  const refused = [
    now + hour + 1,
    new Date(now + hour + 1).toISOString(),
    946_684_799_999.999,
    946_684_799_999,
    "1999-12-31T23:59:59.999Z",
    "2000-01-01T00:00:00+00:01",
    Math.floor(now / 1_000),
    -now,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    "soon",
  ]
  for (const sent of refused) {
    test(`${sent} is rejected`, () => {
      const rejection = rejectionOf(() => read({ name: "e", timestamp: sent }))
      expect(rejection.reason).toBe("invalid_shape")
      expect(rejection.fields?.map(({ field }) => field)).toEqual(["timestamp"])
    })
  }
})

describe("the errors of a batch", () => {
  test("are limited to 100", () => {
    const rejection = rejectionOf(() => read(Array(500).fill({}), { maxEvents: 500 }))
    expect(rejection.fields).toHaveLength(100)
    expect(rejection.fields?.[99]?.field).toBe("99.name")
  })

  test("are not collected for a batch that is too long", () => {
    expect(rejectionOf(() => read(Array(11).fill({})))).toMatchObject({
      reason: "batch_too_long",
      fields: undefined,
    })
  })
})

test("a website id that is not a UUID is looked up exactly as sent", () => {
  const asked: string[] = []
  const isRegistered = (id: string) => asked.push(id) > 0
  read(
    [
      { name: "e", websiteId: "My-Page" },
      { name: "e", websiteId: crypto.randomUUID() },
    ],
    { isRegistered },
  )
  expect(asked).toEqual(["My-Page"])
})

describe("the size of properties", () => {
  // The check counts bytes only if an estimate is too close, so both sides of each limit are tested.
  for (const filler of ["x", "é", "語", "🎉", "\n", "\ud834", '"']) {
    test(`is exact to the byte for ${JSON.stringify(filler)}`, () => {
      const size = Buffer.byteLength(JSON.stringify(filler)) - 2
      for (const keys of [1, 2, 7]) {
        const names = Array.from({ length: keys }, (_, index) => `key ${index}`)
        const empty = Object.fromEntries(names.map((name) => [name, ""]))
        const room = 32_768 - Buffer.byteLength(JSON.stringify(empty))
        const full = filler.repeat(Math.floor(room / size)) + "x".repeat(room % size)
        const exact = { ...empty, [names[0] as string]: full }
        expect(Buffer.byteLength(JSON.stringify(exact))).toBe(32_768)
        expect(read({ name: "e", properties: exact })).toHaveLength(1)
        const over = { ...exact, [names[0] as string]: `${full}x` }
        const rejection = rejectionOf(() => read({ name: "e", properties: over }))
        expect(rejection.fields).toEqual([
          { field: "properties", message: "must be at most 32768 bytes of JSON" },
        ])
      }
    })
  }
})

test("an event can request more privacy than the setting of its website, but never less", () => {
  const website = (anonymize: "off" | "daily") => ({
    rid: 1,
    id: "w",
    domain: "example.com",
    name: "",
    allowedOrigins: [],
    anonymize,
    retain: null,
    pageIdentify: true,
    lowerIsBetter: [],
    createdAt: 0,
    pausedAt: null,
  })
  for (const asked of [undefined, "auto", false, true] as const) {
    expect(shouldHashVisitor(asked, website("daily"))).toBe(true)
    expect(shouldHashVisitor(asked, website("off"))).toBe(asked === true)
    expect(shouldHashVisitor(asked, undefined)).toBe(asked === true)
  }
})

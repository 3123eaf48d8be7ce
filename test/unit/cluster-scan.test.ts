import { describe, expect, test } from "bun:test"
import { isUnencrypted, parseClusterUrl } from "../../src/clickhouse/address.ts"
import { NotSupportedError, Scan } from "../../src/clickhouse/query/scan.ts"
import {
  type Bindable,
  type BindType,
  Parameters,
  unmarkSurrogates,
} from "../../src/clickhouse/query/statement.ts"
import type { Scope } from "../../src/query/query.ts"
import { bucketsOf } from "../../src/query/structures/time-zone.ts"

describe("a value is sent as a parameter in ClickHouse's format", () => {
  const cases: [name: string, type: BindType, value: Bindable, text: string][] = [
    ["text", "String", "O'Brien", "O\\'Brien"],
    ["text with a backslash, a tab, line ends and NUL", "String", "\\\t\n\r\0", "\\\\\\t\\n\\r\\0"],
    ["texts", "Array(String)", ["a", "b'", "\\"], "['a','b\\'','\\\\']"],
    ["no texts", "Array(String)", [], "[]"],
    ["numbers", "Array(Int64)", [1, -2], "[1,-2]"],
    ["a fraction", "Float64", 1e21, "1e+21"],
    ["half of a surrogate pair", "String", "a\ud800🙂", "a\ufdd0d800🙂"],
  ]
  test.each(cases)("%s", (_, type, value, text) => {
    const parameters = new Parameters()
    expect(parameters.bind(type, value)).toBe(`{p0:${type}}`)
    expect(parameters.values).toEqual({ p0: text })
  })
})

test("equal values of one type share a parameter", () => {
  const parameters = new Parameters()
  const places = [parameters.bind("String", "1"), parameters.bind("Int64", 1), parameters.bind("String", "1")]
  expect(places).toEqual(["{p0:String}", "{p1:Int64}", "{p0:String}"])
})

test("a comparison that ignores case uses lower case", () => {
  const scan = new Scan(context)
  const filter = { field: "path", op: "contains_any_case", value: "ÄΣ" } as const
  expect(scan.condition(filter)).toBe("ifNull(position(lowerUTF8(toString(path)), {p0:String}) > 0, 0)")
  expect(scan.parameters.values).toEqual({ p0: "äς" })
})

test("half of a surrogate pair is restored in results", () => {
  expect(unmarkSurrogates("a\ufdd0d800🙂\ufdd0")).toBe("a\ud800🙂\ufdd0")
})

const context = {
  websites: new Map([
    [0, ""],
    [7, "shop"],
  ]),
  watermark: 42,
  otherWatermarks: [],
  linkedIds: (rid: number, profile: string) => (rid === 7 && profile === "ann" ? ["device"] : []),
}
const scope: Scope = {
  websites: [7, 99],
  from: Date.parse("2026-10-24T22:00Z"),
  to: Date.parse("2026-10-26T23:00Z"),
  zone: "Europe/Berlin",
  filters: [],
  crawlers: false,
  kinds: ["custom"],
}

test("the bounds of days are computed here, not in the cluster, even if clocks change", () => {
  const scan = new Scan(context)
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, "daily")
  expect(scan.bucketOf("at", buckets)).toBe("roundDown(at, {p0:Array(Int64)})")
  const hours = buckets.map(({ from, to }) => (to - from) / 3_600_000)
  expect(hours).toEqual([25, 24])
  expect(scan.parameters.values.p0).toBe(`[${buckets.map(({ from }) => from).join(",")}]`)
})

test("events up to the watermark come from the cluster, except deleted ones, and all others from the tail", () => {
  const scan = new Scan(context)
  const [cluster, tail] = scan.rows(scope).split(" union all ")
  expect(cluster).toContain(
    "from events final where id <= {p0:UInt64} and id not in (select id from deleted)",
  )
  expect(tail).toContain("from tail where website in")
  expect(scan.parameters.values).toMatchObject({ p0: "42", p1: "['shop']", p2: "['custom']" })
})

test("a profile has its own events and those of its linked visitors", () => {
  const scan = new Scan(context)
  const condition = scan.condition({ field: "profile", op: "eq", value: "ann" })
  expect(condition).toContain("isNull(profile_id)")
  expect(Object.values(scan.parameters.values)).toEqual(["shop", "['device']", "ann"])
  expect(new Scan(context).condition({ field: "profile", op: "eq", value: "bob" })).not.toContain("isNull")
})

test("in the pattern of a page, only * has a special meaning", () => {
  const scan = new Scan(context)
  scan.condition({ field: "page", op: "eq", value: "/100%_*\\" })
  expect(scan.parameters.values.p0).toBe("/100\\\\%\\\\_%\\\\\\\\")
})

test("a property with many dots is not read in the cluster", () => {
  expect(new Scan(context).text("property.a.b.c.d.e")).toStartWith("toNullable")
  expect(() => new Scan(context).text("property.a.b.c.d.e.f")).toThrow(NotSupportedError)
})

describe("only http to another host counts as unencrypted", () => {
  const cases: [url: string, isUnencrypted: boolean][] = [
    ["http://user@cluster.example:8123/shop", true],
    ["http://10.0.0.5:8123", true],
    ["https://user@cluster.example:8443/shop", false],
    ["http://127.0.0.1:8123/shop", false],
    ["http://[::1]:8123", false],
    ["http://localhost:8123", false],
  ]
  test.each(cases)("%s: %p", (url, expected) => {
    const address = parseClusterUrl(url)
    expect(address && isUnencrypted(address)).toBe(expected)
  })
})

test.each([
  ["contains", "\ude00"],
  ["not_contains", "a\ud83d"],
  ["contains_any_case", "\ude00"],
  ["starts_with", "\ud83d"],
  ["not_starts_with", "\ud83d"],
  ["ends_with", "\ude00"],
] as const)(
  "%s with half of a surrogate pair is not evaluated in the cluster, which stores UTF-8",
  (op, value) => {
    const filter = { field: "os_name", op, value } as const
    expect(() => new Scan(context).condition(filter)).toThrow(NotSupportedError)
    expect(new Scan(context).condition({ ...filter, value: "\ud83d\ude00" })).toContain("os_name")
  },
)

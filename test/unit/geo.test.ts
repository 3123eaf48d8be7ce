import { describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { UserError } from "../../src/errors.ts"
import { countryOf, GeoTable, openCountryTable, openGeoFile } from "../../src/ingest/geo.ts"
import { temporaryFolder } from "../harness.ts"
import { mmdbFile } from "../support/mmdb.ts"

const builtAt = Date.UTC(2026, 10, 1, 23, 59)

describe("the built-in country table", () => {
  const table = openCountryTable()
  const cases: [address: string, country: string][] = [
    ["8.8.8.8", "US"],
    ["193.0.6.139", "NL"],
    ["2001:4860:4860::8888", "US"],
    ["2a02:908::1", "DE"],
    ["::ffff:8.8.8.8", "US"],
    ["::ffff:808:808", "US"],
    ["[2a02:908::1]:443", "DE"],
    ["8.8.8.8:1234", "US"],
    ["10.1.2.3", ""],
    ["127.0.0.1", ""],
    // The table has a country for this address.
    ["192.168.1.1", ""],
    ["::ffff:192.168.1.1", ""],
    ["172.16.0.1", ""],
    ["100.64.0.1", ""],
    ["169.254.1.1", ""],
    ["203.0.113.7", ""],
    ["224.0.0.1", ""],
    ["255.255.255.255", ""],
    ["::1", ""],
    ["::", ""],
    ["fe80::1%eth0", ""],
    ["fd00::1", ""],
    ["2001:db8::1", ""],
    ["ff02::1", ""],
    ["", ""],
    ["unknown", ""],
    ["1.2.3", ""],
    ["1.2.3.4.5", ""],
  ]
  for (const [address, country] of cases) {
    test(`has ${country || "no country"} for '${address}'`, () => {
      expect(table.find(address)).toEqual({ country, region: "", city: "" })
    })
  }

  test("knows the day it was built", () => expect(table.builtOn).toMatch(/^20\d\d-\d\d-\d\d$/))
})

describe("a record of an mmdb file", () => {
  const place = (record: Parameters<typeof mmdbFile>[0][string]) =>
    new GeoTable(mmdbFile({ "8.8.0.0/16": record }, builtAt)).find("8.8.4.4")
  const berlin = { country: "DE", region: "Land Berlin", city: "Berlin" }
  const cases: [layout: string, record: Parameters<typeof place>[0], expected: typeof berlin][] = [
    [
      "MaxMind's",
      {
        country: { iso_code: "DE", names: { en: "Germany", de: "Deutschland" } },
        subdivisions: [{ iso_code: "BE", names: { en: "Land Berlin" } }, { names: { en: "District" } }],
        city: { names: { en: "Berlin" } },
      },
      berlin,
    ],
    ["IPinfo's", { country: "DE", region: "Land Berlin", city: "Berlin" }, berlin],
    ["ip-location-db's", { country_code: "de", state1: "Land Berlin", city: "Berlin" }, berlin],
    ["one with a country only", { country: { iso_code: "DE" } }, { country: "DE", region: "", city: "" }],
    [
      "one without names in English",
      { country: { iso_code: "DE" }, city: { names: { de: "Berlin" } } },
      { country: "DE", region: "", city: "" },
    ],
    [
      "one with a registered country",
      { registered_country: { iso_code: "DE" } },
      { country: "DE", region: "", city: "" },
    ],
    ["one without a country", { city: "Berlin" }, { country: "", region: "", city: "" }],
    ["one with an unknown country", { country: "ZZ", city: "Berlin" }, { country: "", region: "", city: "" }],
    ["one with wrong types", { country: 7, city: ["Berlin"] }, { country: "", region: "", city: "" }],
    ["a text", "DE", { country: "", region: "", city: "" }],
    [
      "one with a name of 500 characters",
      { country: "DE", city: "x".repeat(250) },
      { country: "DE", region: "", city: "x".repeat(128) },
    ],
  ]
  for (const [layout, record, expected] of cases) {
    test(`is read in the layout: ${layout}`, () => expect(place(record)).toEqual(expected))
  }

  test("is found only in its network", () => {
    const table = new GeoTable(
      mmdbFile({ "8.8.0.0/16": { country: "DE" }, "9.0.0.0/8": { country: "FR" } }, builtAt),
    )
    const found = ["8.7.255.255", "8.8.0.0", "8.8.255.255", "8.9.0.0", "9.1.1.1"].map(
      (address) => table.find(address).country,
    )
    expect(found).toEqual(["", "DE", "DE", "", "FR"])
    // The file has no IPv6 addresses.
    expect(table.find("2a02:908::1").country).toBe("")
    expect(table.builtOn).toBe("2026-11-01")
  })

  test("is empty if the file is damaged", () => {
    const bytes = mmdbFile({ "8.8.0.0/16": { country: "DE" } }, builtAt)
    // Changes the type of the record to an array that is longer than the file.
    bytes.fill(0xff, 16 * 6 + 16, 16 * 6 + 24)
    expect(new GeoTable(bytes).find("8.8.4.4")).toEqual({ country: "", region: "", city: "" })
  })
})

test("country codes are ISO 3166-1 codes in upper or lower case", () => {
  const codes = ["DE", "de", " fr ", "XK", "XX", "T1", "EU", "ZZ", "DEU", "D", "", "1", null, undefined, 7]
  expect(codes.map(countryOf)).toEqual(["DE", "DE", "FR", "XK", ...Array(11).fill("")])
})

describe("--geo-db is rejected with a reason if it is", () => {
  const cases: [what: string, contents: string | Buffer | undefined, message: RegExp][] = [
    ["a missing file", undefined, /--geo-db \S+x\.mmdb cannot be read \(ENOENT\)/],
    ["an empty file", "", /--geo-db \S+x\.mmdb is not an mmdb file, or is damaged/],
    ["another file", "country,code\n".repeat(1_000), /is not an mmdb file/],
    [
      "half of a file",
      mmdbFile({ "8.8.0.0/16": { country: "DE" } }, builtAt).subarray(0, 150),
      /is not an mmdb file/,
    ],
  ]
  for (const [what, contents, message] of cases) {
    test(what, () => {
      using folder = temporaryFolder()
      const path = folder.file("x.mmdb")
      if (contents !== undefined) writeFileSync(path, contents)
      expect(() => openGeoFile(path)).toThrow(message)
      expect(() => openGeoFile(path)).toThrow(UserError)
    })
  }
})

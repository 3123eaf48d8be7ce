import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { requestContextOf } from "../../src/http/request-context.ts"
import type { ClientContexts, ClientInput } from "../../src/ingest/client-context.ts"
import { GeoTable } from "../../src/ingest/geo.ts"
import { openApp } from "../support/app.ts"
import { mmdbFile } from "../support/mmdb.ts"

// Tests `ClientContexts` as `openServer` creates it from the flags of `serve`.

const closers: (() => Promise<void>)[] = []
let plain: ClientContexts
let withHeader: ClientContexts
let withFile: ClientContexts
let withBoth: ClientContexts

beforeAll(() => {
  const city = {
    country: { iso_code: "DE" },
    subdivisions: [{ names: { en: "Bavaria" } }],
    city: { names: { en: "Munich" } },
  }
  const geoFile = new GeoTable(
    mmdbFile({ "8.8.0.0/16": city, "192.168.0.0/16": city }, Date.UTC(2026, 10, 1)),
  )
  plain = open({})
  withHeader = open({ countryHeader: "CF-IPCountry" })
  withFile = open({ geoFile })
  withBoth = open({ countryHeader: "CF-IPCountry", geoFile })
})

afterAll(async () => {
  for (const close of closers) await close()
})

function open(options: Parameters<typeof openApp>[1]): ClientContexts {
  const opened: ClientContexts[] = []
  const app = openApp((deps) => {
    opened.push(deps.clients)
    return {}
  }, options)
  closers.push(app.close)
  const [clients] = opened
  if (!clients) throw new Error("the app has no dependencies")
  return clients
}

const proxy = "127.0.0.1"
const macSafari =
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15"

function senderOf(clients: ClientContexts, peer: string, headers: Record<string, string>) {
  const request = new Request("http://localhost/", { headers })
  return clients.sender(requestContextOf(request, { requestIP: () => ({ address: peer }) }))
}

describe("the country comes from", () => {
  const cases: [
    what: string,
    clients: () => ClientContexts,
    peer: string,
    headers: Record<string, string>,
    place: [country: string, region: string, city: string],
  ][] = [
    ["the built-in table", () => plain, "8.8.8.8", {}, ["US", "", ""]],
    [
      "the client address that a trusted proxy sends",
      () => plain,
      proxy,
      { "x-forwarded-for": "8.8.8.8" },
      ["US", "", ""],
    ],
    [
      "the peer address if it is not a proxy",
      () => plain,
      "8.8.8.8",
      { "x-forwarded-for": "193.0.6.139" },
      ["US", "", ""],
    ],
    ["nothing for a private address", () => plain, "192.168.1.1", {}, ["", "", ""]],
    ["no header without --country-header", () => plain, proxy, { "cf-ipcountry": "FR" }, ["", "", ""]],
    [
      "the header of a trusted proxy",
      () => withHeader,
      proxy,
      { "cf-ipcountry": "FR", "x-forwarded-for": "8.8.8.8" },
      ["FR", "", ""],
    ],
    [
      "the header of a trusted proxy in IPv6 notation",
      () => withHeader,
      "::ffff:127.0.0.1",
      { "cf-ipcountry": "FR" },
      ["FR", "", ""],
    ],
    [
      "the address if another peer sends the header",
      () => withHeader,
      "8.8.8.8",
      { "cf-ipcountry": "FR" },
      ["US", "", ""],
    ],
    [
      "the address if the proxy sends no header",
      () => withHeader,
      proxy,
      { "x-forwarded-for": "8.8.8.8" },
      ["US", "", ""],
    ],
    [
      "nothing if the header is XX",
      () => withHeader,
      proxy,
      { "cf-ipcountry": "XX", "x-forwarded-for": "8.8.8.8" },
      ["", "", ""],
    ],
    [
      "nothing if the header is T1",
      () => withHeader,
      proxy,
      { "cf-ipcountry": "T1", "x-forwarded-for": "8.8.8.8" },
      ["", "", ""],
    ],
    [
      "nothing if the header is malformed",
      () => withHeader,
      proxy,
      { "cf-ipcountry": "Germany" },
      ["", "", ""],
    ],
    [
      "the file of --geo-db, with region and city",
      () => withFile,
      "8.8.8.8",
      {},
      ["DE", "Bavaria", "Munich"],
    ],
    ["the file of --geo-db alone", () => withFile, "193.0.6.139", {}, ["", "", ""]],
    ["no file for a private address", () => withFile, "192.168.1.1", {}, ["", "", ""]],
    [
      "the header, with a region and city in the same country",
      () => withBoth,
      proxy,
      { "cf-ipcountry": "DE", "x-forwarded-for": "8.8.8.8" },
      ["DE", "Bavaria", "Munich"],
    ],
    [
      "the header, without a city in another country",
      () => withBoth,
      proxy,
      { "cf-ipcountry": "AT", "x-forwarded-for": "8.8.8.8" },
      ["AT", "", ""],
    ],
    [
      "the file if another peer sends the header",
      () => withBoth,
      "8.8.8.8",
      { "cf-ipcountry": "FR" },
      ["DE", "Bavaria", "Munich"],
    ],
  ]
  for (const [what, clients, peer, headers, [country, region, city]] of cases) {
    test(what, () => {
      // Twice: locations are cached.
      expect(senderOf(clients(), peer, headers)).toMatchObject({ country, region, city })
      expect(senderOf(clients(), peer, headers)).toMatchObject({ country, region, city })
    })
  }
})

describe("a client context contains", () => {
  const cases: [what: string, item: ClientInput, expected: Record<string, string>][] = [
    ["a language", { language: "de-DE" }, { language: "de-DE" }],
    ["a language in another case", { language: "DE-de" }, { language: "de-DE" }],
    ["a language in POSIX format", { language: "pt_BR" }, { language: "pt-BR" }],
    ["a language with a script", { language: "zh-hant-tw" }, { language: "zh-Hant-TW" }],
    ["a language without its extensions", { language: "de-DE-u-co-phonebk" }, { language: "de-DE" }],
    ["no language from other text", { language: "english please" }, { language: "" }],
    ["no language of 10,000 characters", { language: "x".repeat(10_000) }, { language: "" }],
    ["no language that is a number", { language: 7 }, { language: "" }],
    ["no language *", { language: "*" }, { language: "" }],
    ["a time zone", { timezone: "Europe/Berlin" }, { timezone: "Europe/Berlin" }],
    ["a time zone in another case", { timezone: "europe/berlin" }, { timezone: "Europe/Berlin" }],
    ["an alias of a time zone as it is", { timezone: "Europe/Oslo" }, { timezone: "Europe/Oslo" }],
    ["the new name of a time zone", { timezone: "Asia/Calcutta" }, { timezone: "Asia/Kolkata" }],
    ["UTC", { timezone: "UTC" }, { timezone: "UTC" }],
    ["no time zone that does not exist", { timezone: "Mars/Olympus" }, { timezone: "" }],
    ["no offset as a time zone", { timezone: "+01:00" }, { timezone: "" }],
    ["no time zone that is null", { timezone: null }, { timezone: "" }],
    ["a screen", { screen_resolution: "1920x1080" }, { screen_resolution: "1920x1080" }],
    ["no screen without a size", { screen_resolution: "0x0" }, { screen_resolution: "" }],
    ["no screen with 6 digits", { screen_resolution: "192000x1080" }, { screen_resolution: "" }],
    ["no screen with fractions", { screen_resolution: "1920.5x1080" }, { screen_resolution: "" }],
    ["no screen that is an object", { screen_resolution: { width: 1 } }, { screen_resolution: "" }],
    ["a Mac", { screen_resolution: "1440x900" }, { os_name: "macOS", device_type: "desktop" }],
    [
      "a Mac with a rotated screen",
      { screen_resolution: "1080x1920" },
      { os_name: "macOS", device_type: "desktop" },
    ],
    [
      "an iPad that calls itself a Mac",
      { screen_resolution: "1024x1366" },
      { os_name: "iOS", device_type: "tablet" },
    ],
    ["nothing from an empty item", {}, { language: "", timezone: "", screen_resolution: "" }],
  ]
  for (const [what, item, expected] of cases) {
    test(what, () => {
      const sender = senderOf(plain, proxy, { "user-agent": macSafari })
      // Twice: languages are cached.
      expect(plain.clientContext(sender, item)).toMatchObject(expected)
      expect(plain.clientContext(sender, item)).toMatchObject(expected)
    })
  }

  test("no other fields of the item, no address and no user agent", () => {
    const sender = senderOf(withFile, "8.8.8.8", { "user-agent": macSafari })
    const item = { language: "en", timezone: "UTC", screen_resolution: "1440x900", path: "/", ip: "8.8.8.8" }
    expect(withFile.clientContext(sender, item)).toEqual({
      browser_name: "Safari",
      browser_version: "18.1",
      os_name: "macOS",
      device_type: "desktop",
      country: "DE",
      region: "Bavaria",
      city: "Munich",
      language: "en",
      timezone: "UTC",
      screen_resolution: "1440x900",
    })
  })
})

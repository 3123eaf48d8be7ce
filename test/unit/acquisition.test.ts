import { describe, expect, test } from "bun:test"
import { AcquisitionContexts, type AcquisitionInput } from "../../src/ingest/acquisition.ts"

const page = "https://www.shop.example.com/pricing?ref=x"
const contexts = new AcquisitionContexts()
const contextOf = (item: AcquisitionInput, url = page, domain = "example.com") =>
  contexts.acquisitionContext(item, URL.parse(url) ?? undefined, domain)

describe("a referrer is stored as URL, domain and type", () => {
  const cases: [referrer: unknown, url: string, domain: string, type: string][] = [
    ["https://www.google.com/", "https://www.google.com/", "google.com", "search"],
    [
      "https://www.google.co.uk/search?q=secret#a",
      "https://www.google.co.uk/search",
      "google.co.uk",
      "search",
    ],
    ["https://google.de", "https://google.de/", "google.de", "search"],
    ["https://images.google.com/", "https://images.google.com/", "images.google.com", "search"],
    ["https://docs.google.com/document", "https://docs.google.com/document", "docs.google.com", "other"],
    ["https://mail.google.com/mail/u/0/", "https://mail.google.com/mail/u/0/", "mail.google.com", "mail"],
    ["https://gemini.google.com/app", "https://gemini.google.com/app", "gemini.google.com", "other"],
    [
      "https://google.com.evil.example/",
      "https://google.com.evil.example/",
      "google.com.evil.example",
      "other",
    ],
    ["https://notgoogle.com/", "https://notgoogle.com/", "notgoogle.com", "other"],
    ["https://www.bing.com/", "https://www.bing.com/", "bing.com", "search"],
    ["https://duckduckgo.com/", "https://duckduckgo.com/", "duckduckgo.com", "search"],
    ["https://yandex.ru/search/", "https://yandex.ru/search/", "yandex.ru", "search"],
    ["https://yandex.com.tr/", "https://yandex.com.tr/", "yandex.com.tr", "search"],
    ["https://mail.yandex.ru/", "https://mail.yandex.ru/", "mail.yandex.ru", "mail"],
    ["https://de.search.yahoo.com/", "https://de.search.yahoo.com/", "de.search.yahoo.com", "search"],
    ["https://mail.yahoo.com/", "https://mail.yahoo.com/", "mail.yahoo.com", "mail"],
    ["https://finance.yahoo.com/", "https://finance.yahoo.com/", "finance.yahoo.com", "other"],
    ["https://m.baidu.com/", "https://m.baidu.com/", "m.baidu.com", "search"],
    ["https://search.naver.com/", "https://search.naver.com/", "search.naver.com", "search"],
    ["https://search.brave.com/", "https://search.brave.com/", "search.brave.com", "search"],
    ["https://chatgpt.com/", "https://chatgpt.com/", "chatgpt.com", "other"],
    ["https://t.co/abc", "https://t.co/abc", "t.co", "social"],
    ["https://l.facebook.com/", "https://l.facebook.com/", "l.facebook.com", "social"],
    ["https://www.linkedin.com/", "https://www.linkedin.com/", "linkedin.com", "social"],
    ["https://out.reddit.com/", "https://out.reddit.com/", "out.reddit.com", "social"],
    [
      "https://news.ycombinator.com/item",
      "https://news.ycombinator.com/item",
      "news.ycombinator.com",
      "social",
    ],
    ["https://www.pinterest.co.uk/", "https://www.pinterest.co.uk/", "pinterest.co.uk", "social"],
    ["https://outlook.live.com/mail", "https://outlook.live.com/mail", "outlook.live.com", "mail"],
    ["https://netflix.com/", "https://netflix.com/", "netflix.com", "other"],
    [
      "android-app://com.google.android.gm/",
      "android-app://com.google.android.gm",
      "com.google.android.gm",
      "mail",
    ],
    [
      "android-app://com.google.android.googlequicksearchbox/https/www.google.com",
      "android-app://com.google.android.googlequicksearchbox",
      "com.google.android.googlequicksearchbox",
      "search",
    ],
    [
      "android-app://org.telegram.messenger",
      "android-app://org.telegram.messenger",
      "org.telegram.messenger",
      "social",
    ],
    ["android-app://com.example.reader", "android-app://com.example.reader", "com.example.reader", "other"],
    ["https://user:pass@blog.test/a?b#c", "https://blog.test/a", "blog.test", "other"],
    ["http://192.0.2.7:8080/a", "http://192.0.2.7:8080/a", "192.0.2.7", "other"],
    ["https://münchen.test/", "https://xn--mnchen-3ya.test/", "xn--mnchen-3ya.test", "other"],
    ["HTTPS://WWW.Blog.TEST/A", "https://www.blog.test/A", "blog.test", "other"],
    ["https://blog.test./", "https://blog.test./", "blog.test", "other"],
    ["  https://blog.test/  ", "https://blog.test/", "blog.test", "other"],
    [
      `https://blog.test/${"x".repeat(3_000)}`,
      `https://blog.test/${"x".repeat(2_030)}`,
      "blog.test",
      "other",
    ],
    ["https://shop.example.com/a", "https://shop.example.com/a", "shop.example.com", "internal"],
    ["https://example.com/", "https://example.com/", "example.com", "internal"],
    ["https://blog.example.com/", "https://blog.example.com/", "blog.example.com", "internal"],
    ["https://www.example.com/", "https://www.example.com/", "example.com", "internal"],
    ["https://badexample.com/", "https://badexample.com/", "badexample.com", "other"],
    ["direct", "", "", "direct"],
    ["", "", "", "direct"],
    [undefined, "", "", "direct"],
    [null, "", "", "direct"],
    [7, "", "", "direct"],
    [{}, "", "", "direct"],
    ["not a url", "", "", "direct"],
    ["https://", "", "", "direct"],
    ["http://[::1", "", "", "direct"],
    ["about:blank", "", "", "direct"],
    ["javascript:alert(1)", "", "", "direct"],
    ["data:text/html,x", "", "", "direct"],
    ["file:///etc/passwd", "", "", "direct"],
    ["mailto:a@b.test", "", "", "direct"],
  ]
  for (const [referrer, url, domain, type] of cases) {
    const name = typeof referrer === "string" ? referrer.slice(0, 80) : JSON.stringify(referrer)
    test(`${name}: ${type}`, () => {
      expect(contextOf({ referrer })).toMatchObject({
        referrer: url,
        referrer_domain: domain,
        referrer_type: type,
      })
    })
  }
})

describe("a referrer is internal to", () => {
  const cases: [what: string, referrer: string, page: string, domain: string, type: string][] = [
    [
      "the page's host, regardless of the website's domain",
      "https://a.test/x",
      "https://a.test/",
      "b.test",
      "internal",
    ],
    ["a page with www", "https://a.test/x", "https://www.a.test/", "b.test", "internal"],
    [
      "a local address, even on a different port",
      "http://localhost:3000/",
      "http://localhost:4000/",
      "b.test",
      "internal",
    ],
    [
      "not a parent of the page's host",
      "https://test.example/",
      "https://a.test.example/",
      "b.test",
      "other",
    ],
    ["the domain if the page is unknown", "https://b.test/", "", "b.test", "internal"],
    ["nothing if neither is known", "https://b.test/", "", "", "other"],
    [
      "a website on a search engine's domain",
      "https://www.bing.com/",
      "https://www.bing.com/a",
      "bing.com",
      "internal",
    ],
  ]
  for (const [what, referrer, url, domain, type] of cases) {
    test(what, () => expect(contextOf({ referrer }, url, domain).referrer_type).toBe(type as never))
  }
})

test("a referrer whose host is too long for a host name is ignored", () => {
  for (const scheme of ["https", "android-app"]) {
    const referrer = `${scheme}://${"a.".repeat(130)}com/`
    expect(contextOf({ referrer })).toMatchObject({ referrer: "", referrer_domain: "" })
  }
})

test("a click id of Meta does not make traffic paid, because unpaid posts have one too", () => {
  const item = { referrer: "https://www.facebook.com/", fbclid: "abc" }
  expect(contextOf(item, page, "shop.example").referrer_type).toBe("social")
})

describe("traffic is paid", () => {
  const google = "https://www.google.com/"
  const cases: [what: string, item: AcquisitionInput, url: string, type: string][] = [
    ...["gclid", "ttclid", "twclid", "li_fat_id", "msclkid"].flatMap(
      (name): [string, AcquisitionInput, string, string][] => [
        [`with ${name} in the item`, { referrer: google, [name]: "abc" }, page, "ad"],
        [`with ${name} in the page's query`, { referrer: google }, `${page}&${name}=abc`, "ad"],
        [`not with an empty ${name}`, { referrer: google, [name]: "" }, `${page}&${name}=`, "search"],
      ],
    ),
    ...[
      "cpc",
      "CPC",
      "ppc",
      "cpm",
      "paid",
      "paid_social",
      "paid-search",
      "paidsearch",
      "display",
      "banner",
    ].map((utm_medium): [string, AcquisitionInput, string, string] => [
      `with utm_medium ${utm_medium}`,
      { referrer: google, utm_medium },
      page,
      "ad",
    ]),
    ...["email", "social", "referral", "organic", "unpaid", "adobe", "cp"].map(
      (utm_medium): [string, AcquisitionInput, string, string] => [
        `not with utm_medium ${utm_medium}`,
        { referrer: google, utm_medium },
        page,
        "search",
      ],
    ),
    ["even without a referrer", { utm_medium: "cpc" }, page, "ad"],
    ["not with a click ID that is not a string", { referrer: google, gclid: 7 }, page, "search"],
  ]
  for (const [what, item, url, type] of cases) {
    test(what, () => expect(contextOf(item, url).referrer_type).toBe(type as never))
  }
})

describe("UTM values are", () => {
  const cases: [what: string, value: unknown, query: string, expected: string][] = [
    ["taken from the item", "news", "", "news"],
    ["trimmed", "  news ", "", "news"],
    ["cut at 128 characters", "x".repeat(200), "", "x".repeat(128)],
    ["not cut within a character", `${"x".repeat(127)}😀`, "", "x".repeat(127)],
    ["taken from the page's query if the item has none", undefined, "news", "news"],
    ["taken from the page's query if the item's is null", null, "news", "news"],
    ["taken from the item if both have one", "a", "b", "a"],
    ["decoded", undefined, "spring%20sale+2026", "spring sale 2026"],
    ["left out if they are not strings", 7, "", ""],
    ["stored without NUL", "a\0b", "", "ab"],
    ["well-formed", "a\ud800b", "", "a\ufffdb"],
  ]
  for (const [what, value, query, expected] of cases) {
    test(what, () => {
      const fields = ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"] as const
      for (const field of fields) {
        expect(contextOf({ [field]: value }, `https://a.test/?${field}=${query}`)[field]).toBe(expected)
      }
    })
  }
})

// Parsing a query of 1 MiB would take 30 ms.
test("only the first 8,192 characters of a page's query are parsed", () => {
  const at = (padding: number) =>
    contextOf({}, `https://a.test/?utm_source=first&${"x".repeat(padding)}&utm_medium=late`)
  expect(at(8_000)).toMatchObject({ utm_source: "first", utm_medium: "late" })
  expect(at(9_000)).toMatchObject({ utm_source: "first", utm_medium: "" })
})

test("items with alternating referrers have the same contexts as before", () => {
  const referrers = ["https://a.test/", "https://example.com/", "https://a.test/", "https://b.test/"]
  const byReferrer = new Map(referrers.map((referrer) => [referrer, contextOf({ referrer })]))
  for (const referrer of [...referrers, ...referrers.toReversed()]) {
    const context = contextOf({ referrer })
    expect(context.referrer).toBe(referrer)
    // The store looks IDs up by object.
    expect(context).toBe(byReferrer.get(referrer) as never)
  }
  const item = { referrer: "https://a.test/" }
  expect(contextOf(item, page, "a.test").referrer_type).toBe("internal")
  expect(contextOf(item, page, "example.com").referrer_type).toBe("other")
  expect(contextOf(item, "https://a.test/", "example.com").referrer_type).toBe("internal")
})

test.each([
  "utm_source",
  "utm_medium",
  "utm_campaign",
  "utm_term",
  "utm_content",
  "gclid",
  "ttclid",
  "twclid",
  "li_fat_id",
  "msclkid",
])("an item with %s does not have the context of the item before", (field) => {
  const referrer = "https://campaign.test/"
  const before = contextOf({ referrer })
  expect(contextOf({ referrer, [field]: "x" })).not.toEqual(before)
  expect(contextOf({ referrer })).toEqual(before)
})

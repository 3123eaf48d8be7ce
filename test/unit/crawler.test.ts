import { describe, expect, test } from "bun:test"
import { CrawlerCheck } from "../../src/ingest/crawler.ts"

const crawlers = [
  "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
  "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
  "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
  "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
  "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
  "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
  "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
  "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
  "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot",
  "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
  "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Claude-User/1.0; +Claude-User@anthropic.com)",
  "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)",
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36",
]

const httpTools = [
  "curl/8.14.1",
  "Wget/1.21.3",
  "HTTPie/3.2.4",
  "python-requests/2.32.3",
  "Python-urllib/3.12",
  "python-httpx/0.28.1",
  "PostmanRuntime/7.43.0",
  "insomnia/10.3.0",
  "axios/1.7.9",
  "node",
  "undici",
  "Bun/1.4.5",
  "Deno/2.1.4",
  "okhttp/4.12.0",
  "Go-http-client/2.0",
  "Java/21.0.5",
  "Apache-HttpClient/4.5.14 (Java/17.0.13)",
  "GuzzleHttp/7",
  "Ruby",
  "reqwest/0.12.9",
  "Dart/3.6 (dart:io)",
]

const browsers = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
  "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (Linux; Android 14; SM-S928B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
  "Mozilla/5.0 (Linux; Android 14; CUBOT X70) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
]

describe("a crawler is detected by its user agent", () => {
  const check = new CrawlerCheck()
  for (const agent of crawlers) test(agent, () => expect(check.isCrawler(agent)).toBe(true))
})

describe("this is not a crawler:", () => {
  const check = new CrawlerCheck()
  for (const agent of [...httpTools, ...browsers])
    test(agent, () => expect(check.isCrawler(agent)).toBe(false))

  test("a request without a user agent", () => {
    expect(check.isCrawler(null)).toBe(false)
    expect(check.isCrawler("")).toBe(false)
  })
})

test("results do not depend on how many user agents were checked before", () => {
  const check = new CrawlerCheck()
  for (let index = 0; index < 12_000; index++) {
    expect(check.isCrawler(`Mozilla/5.0 Firefox/${index}`)).toBe(false)
    expect(check.isCrawler(`SomeBot/${index}`)).toBe(true)
  }
  expect(crawlers.filter((agent) => !check.isCrawler(agent))).toEqual([])
})

test("long user agents are matched by their start, and are not cached", () => {
  const check = new CrawlerCheck()
  for (let index = 0; index < 100; index++) {
    expect(
      check.isCrawler(`Mozilla/5.0 (compatible; Googlebot/2.1; +http://x/${index}) ${"x".repeat(15_000)}`),
    ).toBe(true)
    expect(check.isCrawler(`Mozilla/5.0 (X11) ${index} ${"x".repeat(15_000)}`)).toBe(false)
  }
  expect(check.size).toBe(0)
  check.isCrawler("Mozilla/5.0")
  expect(check.size).toBe(1)
})

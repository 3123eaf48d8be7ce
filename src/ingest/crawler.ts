import { isbot } from "isbot"
import { LruCache } from "./lru-cache.ts"

/** HTTP tools with which people send their own events. isbot classifies them as bots, but they are not crawlers. */
const httpTools =
  /^(?:curl|wget|httpie|xh|python-requests|python-urllib|python-httpx|aiohttp|httpx|postmanruntime|insomnia|bruno|paw|axios|got|node|node-fetch|undici|bun|deno|okhttp|go-http-client|java|apache-httpclient|guzzlehttp|php|ruby|faraday|rest-client|reqwest|ureq|hyper|dart|libwww-perl|powershell|databuddy)\b/i
/** AI agents that fetch pages for a person. isbot does not detect all of them. */
const aiAgents =
  /chatgpt-user|oai-searchbot|gptbot|claude-user|claude-web|anthropic-ai|perplexity|cohere-ai|mistralai-user|google-extended|duckassist|meta-external/i

/** Maximum number of entries in the cache. They take at most 5 MB. A miss takes 10 µs. */
const maxCached = 5_000
/**
 * Maximum number of UTF-16 code units of a user agent to match. Browsers and crawlers send fewer, and matching a header
 * of the maximum size (16,000 code units) takes several ms.
 */
const maxInspectedLength = 512

/** Detects known crawlers and AI agents. Caches results by user agent, in memory only. */
export class CrawlerCheck {
  readonly #cache = new LruCache<boolean>(maxCached)

  isCrawler(userAgent: string | null): boolean {
    return userAgent ? this.#cache.get(userAgent, isCrawlerAgent) : false
  }

  get size(): number {
    return this.#cache.size
  }
}

function isCrawlerAgent(userAgent: string): boolean {
  const start = userAgent.slice(0, maxInspectedLength)
  return aiAgents.test(start) || (!httpTools.test(start) && isbot(start))
}

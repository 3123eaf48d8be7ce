import { isbot } from "isbot"

/** Tools that people send their own events with; isbot counts them among the bots. */
const tools =
  /^(?:curl|wget|httpie|xh|python-requests|python-urllib|python-httpx|aiohttp|httpx|postmanruntime|insomnia|bruno|paw|axios|got|node|node-fetch|undici|bun|deno|okhttp|go-http-client|java|apache-httpclient|guzzlehttp|php|ruby|faraday|rest-client|reqwest|ureq|hyper|dart|libwww-perl|powershell|databuddy)\b/i
/** AI agents that fetch pages on a person's behalf and that isbot's patterns do not all know. */
const agents =
  /chatgpt-user|oai-searchbot|gptbot|claude-user|claude-web|anthropic-ai|perplexity|cohere-ai|mistralai-user|google-extended|duckassist|meta-external/i

/** Distinct user agents that are remembered; the patterns cost some 10 µs. Full, the memory starts anew. */
const remembered = 5_000

/** True for a known crawler or AI agent. Keeps answers, not requests: a user agent is never stored. */
export class CrawlerCheck {
  readonly #known = new Map<string, boolean>()

  isCrawler(userAgent: string | null): boolean {
    if (!userAgent) return false
    const known = this.#known.get(userAgent)
    if (known !== undefined) return known
    const answer = agents.test(userAgent) || (!tools.test(userAgent) && isbot(userAgent))
    if (this.#known.size >= remembered) this.#known.clear()
    this.#known.set(userAgent, answer)
    return answer
  }
}

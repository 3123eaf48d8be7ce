import { isbot } from "isbot"

/** Tools that people send their own events with; isbot counts them among the bots. */
const tools =
  /^(?:curl|wget|httpie|xh|python-requests|python-urllib|python-httpx|aiohttp|httpx|postmanruntime|insomnia|bruno|paw|axios|got|node|node-fetch|undici|bun|deno|okhttp|go-http-client|java|apache-httpclient|guzzlehttp|php|ruby|faraday|rest-client|reqwest|ureq|hyper|dart|libwww-perl|powershell|databuddy)\b/i
/** AI agents that fetch pages on a person's behalf and that isbot's patterns do not all know. */
const agents =
  /chatgpt-user|oai-searchbot|gptbot|claude-user|claude-web|anthropic-ai|perplexity|cohere-ai|mistralai-user|google-extended|duckassist|meta-external/i

/** Distinct user agents that are remembered; the patterns cost some 10 µs. Full, the memory starts anew: it takes 5 MB at most. */
const remembered = 5_000
/** UTF-16 units of a user agent that are looked at: browsers and crawlers say less. A header can hold 16,000, of which the patterns take ms. */
const maxLength = 512

/** True for a known crawler or AI agent. Keeps answers, not requests: a user agent is never stored. */
export class CrawlerCheck {
  readonly #known = new Map<string, boolean>()

  isCrawler(userAgent: string | null): boolean {
    if (!userAgent) return false
    if (userAgent.length > maxLength) return check(userAgent.slice(0, maxLength))
    const known = this.#known.get(userAgent)
    if (known !== undefined) return known
    const answer = check(userAgent)
    if (this.#known.size >= remembered) this.#known.clear()
    this.#known.set(userAgent, answer)
    return answer
  }

  /** User agents that are remembered. */
  get size(): number {
    return this.#known.size
  }
}

function check(userAgent: string): boolean {
  return agents.test(userAgent) || (!tools.test(userAgent) && isbot(userAgent))
}

import { mulberry32 } from "../support/random.ts"

/** A request with web vitals, errors or engagement data, which the page script sends to separate endpoints. */
export interface QualityRequest {
  path: "/vitals" | "/errors" | "/engagement"
  headers: Record<string, string>
  items: object[]
}

const dayMs = 86_400_000
const hourMs = 3_600_000
const pages = ["/", "/pricing", "/docs", "/blog/launch", "/checkout"]

/** Devices of visitors: the user agent, and how many times slower than the first device it is. */
const devices = [
  {
    agent:
      "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    factor: 1,
  },
  {
    agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    factor: 1.2,
  },
  {
    agent:
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    factor: 1.9,
  },
]
const countries = ["DE", "FR", "BR", "IN"]

/** Medians in ms, on the first device; CLS is a ratio. */
const medians = { LCP: 1_700, INP: 140, CLS: 0.06, FCP: 1_100, TTFB: 420 }

const errors = [
  {
    message: "TypeError: cart.items is undefined",
    errorType: "TypeError",
    filename: "https://localhost/assets/cart.js",
    lineno: 214,
    colno: 17,
    stack:
      "TypeError: cart.items is undefined\n    at total (https://localhost/assets/cart.js:214:17)\n    at render (https://localhost/assets/cart.js:88:5)",
    path: "/checkout",
  },
  {
    message: "Failed to fetch",
    errorType: "TypeError",
    filename: "https://localhost/assets/api.js",
    lineno: 31,
    path: "/docs",
  },
  { message: "Failed to fetch", filename: "https://localhost/assets/search.js", lineno: 9, path: "/" },
  { message: "ResizeObserver loop completed with undelivered notifications.", path: "/pricing" },
]

/**
 * Returns web vitals, engagement data and errors of a shop's visitors in the `days` before `end` (Unix ms). The same
 * seed creates the same requests.
 */
export function qualityRequests(end: number, days: number, seed = 11): QualityRequest[] {
  const random = mulberry32(seed)
  // The type assertion is safe because no list is empty.
  const oneOf = <Value>(values: readonly Value[]) => values[Math.floor(random() * values.length)] as Value
  const requests: QualityRequest[] = []
  for (let day = days - 1; day >= 0; day--) {
    for (let visit = 0; visit < 6; visit++) {
      const { agent, factor } = oneOf(devices)
      const country = oneOf(countries)
      const timestamp = Math.floor(end - day * dayMs - random() * 20 * hourMs)
      const visitor = Math.floor(random() * 200)
      const ids = { anonymousId: `visitor-${visitor}`, sessionId: `q-${day}-${visit}`, timestamp }
      const headers = { origin: "http://localhost", "user-agent": agent, "cf-ipcountry": country }
      const vitals = pages.slice(0, 3 + Math.floor(random() * 3)).flatMap((path) =>
        Object.entries(medians).flatMap(([metricName, median]) => {
          const value = median * factor * (0.5 + 1.2 * random() ** 2)
          const metricValue = metricName === "CLS" ? Math.round(value * 1_000) / 1_000 : Math.round(value)
          // Firefox and Safari report some vitals for some pages only.
          return random() < 0.8 ? [{ metricName, metricValue, path, ...ids }] : []
        }),
      )
      requests.push({ path: "/vitals", headers, items: vitals.slice(0, 20) })
      requests.push({
        path: "/engagement",
        headers,
        items: pages.slice(0, 1 + Math.floor(random() * 5)).map((page, pageIndex) => {
          const timeOnPage = Math.round(5 + 200 * random() ** 3)
          const isForm = page === "/checkout" && random() < 0.8
          const isRage = random() < 0.1
          const isDead = random() < 0.15
          return {
            ...ids,
            path: page,
            pageIndex,
            exitType: "navigation",
            timeOnPage,
            activeTime: Math.round(timeOnPage * (0.2 + 0.6 * random())),
            timeToFirstInteraction: random() < 0.2 ? 0 : Math.round(500 + 4_000 * random()),
            maxScrollDepth: Math.round(100 * random()),
            interactionCount: Math.floor(12 * random()),
            errorCount: random() < 0.1 ? 1 : 0,
            ...(isRage ? { rageClickCount: 1, rageClickTarget: oneOf(["button#buy", "a.more"]) } : {}),
            ...(isDead ? { deadClickCount: 1, deadClickTarget: "div.card" } : {}),
            ...(isForm
              ? {
                  formFieldCount: 3,
                  formSubmitCount: random() < 0.6 ? 1 : 0,
                  lastFormField: oneOf(["email", "card"]),
                }
              : {}),
          }
        }),
      })
      if (random() < 0.5) {
        const count = 1 + Math.floor(3 * random() ** 2)
        const error = errors[Math.floor(errors.length * random() ** 1.5)]
        requests.push({
          path: "/errors",
          headers,
          items: Array.from({ length: count }, (_, index) => ({
            ...error,
            ...ids,
            timestamp: timestamp + index,
          })),
        })
      }
    }
  }
  return requests
}

/** Sends these requests to a website. The server must read the country from the cf-ipcountry header. */
export async function sendQuality(url: string, site: string, days: number): Promise<void> {
  for (const { path, headers, items } of qualityRequests(Date.now(), days)) {
    const response = await fetch(`${url}${path}?client_id=${site}`, {
      method: "POST",
      headers,
      body: JSON.stringify(items),
    })
    if (!response.ok) throw new Error(`${path} rejected the shop's items: ${await response.text()}`)
  }
}

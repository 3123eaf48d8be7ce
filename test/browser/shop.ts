import { mulberry32 } from "../support/random.ts"

/** An event in the form that POST /track accepts. */
export interface ShopEvent {
  name: string
  namespace?: string
  timestamp: number
  anonymousId: string
  sessionId: string
  profileId?: string
  path: string
  properties: Record<string, unknown>
}

const dayMs = 86_400_000
const minuteMs = 60_000
const visitors = 900
const plans = ["free", "free", "free", "pro", "pro", "team"]
const channels = ["newsletter", "search", "friend", "conference", "podcast"]
const pages = ["/", "/pricing", "/docs", "/blog/launch", "/blog/sqlite", "/changelog", "/about"]
const products = [
  "Desk lamp",
  "Notebook",
  "Fountain pen",
  "Backpack",
  "Mug",
  "Poster",
  "Sticker set",
  "Wool socks",
]
const queries = ["lamp", "pen refill", "blue notebook", "gift", "socks xl", "mug", "backpack 20l", "desk"]

/**
 * Returns the events of a small shop in the `days` before `end` (Unix ms), in chronological order: properties of every
 * kind, more events on weekdays, growth over time, and a funnel from the first visit to a purchase. The same seed
 * creates the same events.
 */
export function shopEvents(end: number, days: number, seed = 7): ShopEvent[] {
  const random = mulberry32(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  // The type assertion is safe because no list is empty.
  const oneOf = <Value>(values: readonly Value[]) => values[below(values.length)] as Value
  const events: ShopEvent[] = []
  let session = 0
  for (let day = days - 1; day >= 0; day--) {
    const midnight = Math.floor((end - day * dayMs) / dayMs) * dayMs
    const isWeekend = [0, 6].includes(new Date(midnight).getUTCDay())
    const visits = Math.round((isWeekend ? 45 : 80) * (1 + 0.6 * (1 - day / days)) * (0.85 + 0.3 * random()))
    for (let visit = 0; visit < visits; visit++) {
      const visitor = Math.floor(visitors * random() ** 1.6)
      // The remainder is always an index of the list.
      const plan = plans[visitor % plans.length] as string
      let at = midnight + Math.floor((7 + 15 * (random() * 0.6 + random() * 0.4)) * 3_600_000)
      const sessionId = `s-${++session}`
      const add = (
        name: string,
        properties: ShopEvent["properties"],
        path: string,
        more: Partial<ShopEvent> = {},
      ) => {
        at += Math.floor((0.2 + 3 * random() ** 2) * minuteMs)
        events.push({
          name,
          timestamp: at,
          anonymousId: `visitor-${visitor}`,
          sessionId,
          path,
          properties,
          ...more,
        })
      }
      const known: Partial<ShopEvent> = visitor % 3 === 0 ? { profileId: `customer-${visitor}` } : {}
      add("page_viewed", { title: "Shop", channel: oneOf(channels), first_visit: random() < 0.3 }, "/", known)
      for (let view = below(4); view > 0; view--) {
        const path = oneOf(pages)
        add(
          "page_viewed",
          { title: path === "/" ? "Shop" : path.slice(1), channel: "internal", first_visit: false },
          path,
          known,
        )
      }
      if (random() < 0.35) add("search_used", { query: oneOf(queries), results: below(40) }, "/search", known)
      if (random() < 0.25)
        add(
          "video_played",
          { video: oneOf(["intro", "how-it-is-made"]), seconds: 5 + below(180) },
          "/",
          known,
        )
      if (random() < 0.55) {
        const product = oneOf(products)
        add("product_viewed", { product, price: 5 + below(95) + 0.9 }, "/product", known)
        if (random() < 0.5) {
          add("cart_filled", { product, items: 1 + below(4), gift: random() < 0.2 }, "/cart", {
            ...known,
            namespace: "checkout",
          })
          if (random() < 0.6) {
            const total = Math.round((8 + 140 * random() ** 2) * 100) / 100
            const order = { plan, total, coupon: random() < 0.25, order_id: `o-${session}` }
            add("checkout_started", { plan, total }, "/checkout", { ...known, namespace: "checkout" })
            if (random() < 0.7) add("order_paid", order, "/thanks", { ...known, namespace: "checkout" })
          }
        }
      }
      if (random() < 0.08)
        add("signed_up", { plan, method: oneOf(["email", "email", "github"]) }, "/signup", known)
      if (random() < 0.04)
        add("error_shown", { code: oneOf([404, 404, 500]), message: "not found" }, oneOf(pages), known)
    }
  }
  return events
    .filter(({ timestamp }) => timestamp <= end)
    .sort((one, other) => one.timestamp - other.timestamp)
}

/** Headers and fields that a reader's browser sends with all items. */
interface Reader {
  userAgent: string
  country: string
  language: string
  screen_resolution: string
}

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
const chrome =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
const safari =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"

const desktop = { userAgent: chrome, screen_resolution: "1920x1080" }
const phone = { userAgent: safari, screen_resolution: "393x852" }
const readers: readonly Reader[] = [
  { ...desktop, country: "DE", language: "de-DE" },
  { ...desktop, country: "US", language: "en-US" },
  { ...phone, country: "US", language: "en-US" },
  { ...phone, country: "GB", language: "en-GB" },
  { ...desktop, country: "FR", language: "fr-FR" },
  { userAgent: firefox, screen_resolution: "2560x1440", country: "DE", language: "de-DE" },
  { ...phone, country: "BR", language: "pt-BR" },
  { ...desktop, country: "IN", language: "en-IN" },
]
const origin = "http://localhost"
const articles = [
  "/",
  "/",
  "/blog/launch",
  "/blog/sqlite",
  "/pricing",
  "/docs",
  "/docs/install",
  "/docs/api",
  "/docs/faq",
  "/changelog",
  "/about",
  "/contact",
  "/jobs",
]
/** The empty ones stand for visitors who typed the address. */
const referrers = [
  "",
  "",
  "https://www.google.com/",
  "https://www.google.com/",
  "https://duckduckgo.com/",
  "https://news.ycombinator.com/",
  "https://dev.example/article",
]
const campaigns = [
  "utm_source=newsletter&utm_medium=email&utm_campaign=spring",
  "utm_source=friend",
  "",
  "",
  "",
]

/** A POST /batch request from one browser. */
export interface PageBatch {
  headers: Record<string, string>
  items: object[]
}

/** Maximum number of items in a request. */
const batchSize = 100

/**
 * Returns what the page script sends for the shop's website in the `days` before `end` (Unix ms): page views, page
 * exits, and clicks on links to another website. The visitors and sessions differ from those of `shopEvents`.
 */
export function shopPages(end: number, days: number, seed = 11): PageBatch[] {
  const random = mulberry32(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  // The type assertion is safe because no list is empty.
  const oneOf = <Value>(values: readonly Value[]) => values[below(values.length)] as Value
  const itemsOf = readers.map((): object[] => [])
  let session = 0
  for (let visit = 0; visit < days * 30; visit++) {
    const visitor = 10_000 + Math.floor(700 * random() ** 1.4)
    const index = visitor % readers.length
    // The remainder is always an index of the list.
    const { language, screen_resolution } = readers[index] as Reader
    const sessionId = `p-${++session}`
    const about = { anonymousId: `visitor-${visitor}`, sessionId, language, screen_resolution }
    let at = end - Math.floor(random() * days * dayMs)
    let referrer = oneOf(referrers)
    let query = oneOf(campaigns)
    let count = 0
    const add = (item: object) => {
      count++
      if (at <= end)
        itemsOf[index]?.push({ ...about, eventId: `${sessionId}-${count}`, timestamp: at, ...item })
    }
    for (let view = below(5); view >= 0; view--) {
      const path = `${origin}${oneOf(articles)}${query === "" ? "" : `?${query}`}`
      const seconds = 2 + below(120)
      add({ name: "screen_view", path, referrer, title: "Shop" })
      at += seconds * 1_000
      if (random() < 0.1)
        add({ type: "outgoing_link", href: `https://partner.example/${below(3)}`, text: "Partner", path })
      if (random() < 0.8) add({ name: "page_exit", path, time_on_page: seconds })
      referrer = `${origin}/`
      query = ""
    }
  }
  return readers.flatMap(({ userAgent, country }, index) => {
    const items = itemsOf[index] ?? []
    const headers = { "user-agent": userAgent, "cf-ipcountry": country, origin }
    return Array.from({ length: Math.ceil(items.length / batchSize) }, (_, batch) => ({
      headers,
      items: items.slice(batch * batchSize, (batch + 1) * batchSize),
    }))
  })
}

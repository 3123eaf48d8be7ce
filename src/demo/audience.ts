import type { ClientContext } from "../store/contexts.ts"
import type { SeededRandom } from "./random.ts"
import { dayMs, hourMs, type Rhythm } from "./timeline.ts"

/**
 * The two websites of the demo. In the tables below, the column named after a website contains the weight of each row
 * for that website's visitors.
 */
export type Site = "shop" | "app"

/** Where visitors live. `ahead`: hours ahead of UTC. */
const places = [
  { country: "DE", language: "de-DE", timezone: "Europe/Berlin", ahead: 1, shop: 34, app: 16 },
  { country: "AT", language: "de-AT", timezone: "Europe/Vienna", ahead: 1, shop: 9, app: 4 },
  { country: "CH", language: "de-CH", timezone: "Europe/Zurich", ahead: 1, shop: 7, app: 4 },
  { country: "NL", language: "nl-NL", timezone: "Europe/Amsterdam", ahead: 1, shop: 8, app: 6 },
  { country: "FR", language: "fr-FR", timezone: "Europe/Paris", ahead: 1, shop: 8, app: 7 },
  { country: "GB", language: "en-GB", timezone: "Europe/London", ahead: 0, shop: 9, app: 12 },
  { country: "US", language: "en-US", timezone: "America/New_York", ahead: -5, shop: 7, app: 17 },
  { country: "US", language: "en-US", timezone: "America/Los_Angeles", ahead: -8, shop: 3, app: 9 },
  { country: "SE", language: "sv-SE", timezone: "Europe/Stockholm", ahead: 1, shop: 3, app: 5 },
  { country: "DK", language: "da-DK", timezone: "Europe/Copenhagen", ahead: 1, shop: 3, app: 3 },
  { country: "BE", language: "nl-BE", timezone: "Europe/Brussels", ahead: 1, shop: 3, app: 2 },
  { country: "IT", language: "it-IT", timezone: "Europe/Rome", ahead: 1, shop: 2, app: 2 },
  { country: "ES", language: "es-ES", timezone: "Europe/Madrid", ahead: 1, shop: 2, app: 3 },
  { country: "PL", language: "pl-PL", timezone: "Europe/Warsaw", ahead: 1, shop: 2, app: 3 },
  { country: "CA", language: "en-CA", timezone: "America/Toronto", ahead: -5, shop: 1, app: 4 },
  { country: "IN", language: "en-IN", timezone: "Asia/Kolkata", ahead: 5.5, shop: 0, app: 4 },
  { country: "BR", language: "pt-BR", timezone: "America/Sao_Paulo", ahead: -3, shop: 0, app: 2 },
  { country: "AU", language: "en-AU", timezone: "Australia/Sydney", ahead: 10, shop: 0, app: 2 },
  { country: "JP", language: "ja-JP", timezone: "Asia/Tokyo", ahead: 9, shop: 0, app: 1 },
] as const

/** Devices. `slow`: how many times slower pages are than on the first device. */
const devices = [
  { browser: "Chrome", version: "142", os: "Windows", type: "desktop", slow: 1, shop: 17, app: 25 },
  { browser: "Chrome", version: "141", os: "Windows", type: "desktop", slow: 1.1, shop: 4, app: 5 },
  { browser: "Chrome", version: "142", os: "macOS", type: "desktop", slow: 0.85, shop: 6, app: 16 },
  { browser: "Safari", version: "18.6", os: "macOS", type: "desktop", slow: 0.9, shop: 6, app: 26 },
  { browser: "Safari", version: "26.1", os: "macOS", type: "desktop", slow: 0.85, shop: 3, app: 15 },
  { browser: "Edge", version: "142", os: "Windows", type: "desktop", slow: 1, shop: 6, app: 8 },
  { browser: "Firefox", version: "145", os: "Windows", type: "desktop", slow: 1.1, shop: 3, app: 4 },
  { browser: "Firefox", version: "145", os: "Linux", type: "desktop", slow: 1.1, shop: 1, app: 4 },
  { browser: "Safari", version: "26.1", os: "iOS", type: "mobile", slow: 1.2, shop: 16, app: 2 },
  { browser: "Safari", version: "18.6", os: "iOS", type: "mobile", slow: 1.4, shop: 14, app: 2 },
  { browser: "Chrome", version: "142", os: "Android", type: "mobile", slow: 1.9, shop: 17, app: 3 },
  { browser: "Samsung Internet", version: "28", os: "Android", type: "mobile", slow: 1.9, shop: 5, app: 0 },
  { browser: "Safari", version: "18.6", os: "iOS", type: "tablet", slow: 1.3, shop: 4, app: 1 },
] as const

/** Screen sizes by device type. `bars`: height of the browser's toolbars in pixels. */
const screens = {
  desktop: { sizes: ["1920x1080", "1920x1080", "1536x864", "2560x1440", "1440x900"], bars: 140 },
  mobile: { sizes: ["393x852", "390x844", "412x915", "360x800"], bars: 130 },
  tablet: { sizes: ["820x1180", "834x1194"], bars: 90 },
} as const

/** A person in a browser. */
export interface Visitor {
  id: string
  client: ClientContext
  viewport: string
  /** Hours ahead of UTC. */
  ahead: number
  /** Factor for the load time of pages. */
  slow: number
}

export function newVisitor(random: SeededRandom, site: Site): Visitor {
  return visitorOf(random, place(random, site), device(random, site))
}

/** Draws a visitor who uses this browser. */
export function visitorWith(random: SeededRandom, site: Site, browser: string): Visitor {
  const named = devices.filter((one) => one.browser === browser)
  return visitorOf(random, place(random, site), random.weighted(withWeights(named, site)))
}

const withWeights = <Row extends Record<Site, number>>(rows: readonly Row[], site: Site) =>
  rows.map((row) => ({ ...row, weight: row[site] }))

const weightedPlaces = { shop: withWeights(places, "shop"), app: withWeights(places, "app") }
const weightedDevices = { shop: withWeights(devices, "shop"), app: withWeights(devices, "app") }
const place = (random: SeededRandom, site: Site) => random.weighted(weightedPlaces[site])
const device = (random: SeededRandom, site: Site) => random.weighted(weightedDevices[site])

function visitorOf(
  random: SeededRandom,
  { country, language, timezone, ahead }: (typeof places)[number],
  { browser, version, os, type, slow }: (typeof devices)[number],
): Visitor {
  const { sizes, bars } = screens[type]
  const screen = random.pick(sizes)
  const [width, height] = screen.split("x").map(Number) as [number, number]
  return {
    id: `anon_${random.uuid()}`,
    client: {
      browser_name: browser,
      browser_version: version,
      os_name: os,
      device_type: type,
      country,
      region: "",
      city: "",
      language,
      timezone,
      screen_resolution: screen,
    },
    viewport: `${width}x${height - bars}`,
    ahead,
    // Includes the speed of the network, which varies more than the device.
    slow: slow * random.around(1, 0.25),
  }
}

/** Draws a time for a visitor on a UTC day. Returns Unix ms. */
export function timeOfDay(random: SeededRandom, day: number, { hours }: Rhythm, ahead: number): number {
  const total = hours.reduce((sum, share) => sum + share, 0)
  let rest = random.fraction() * total
  let hour = 0
  for (; hour < hours.length - 1; hour++) {
    rest -= hours[hour] ?? 0
    if (rest < 0) break
  }
  const local = (hour + random.fraction() - ahead) * hourMs
  // Wraps around to the same UTC day, so that weekdays match.
  return day + Math.floor((local + dayMs) % dayMs)
}

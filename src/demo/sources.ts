import type { AcquisitionContext } from "../store/contexts.ts"
import type { Weighted } from "./random.ts"
import { sourceOf } from "./visit.ts"

/** Where visitors come from. */
export interface Source extends Weighted {
  acquisition: AcquisitionContext
  /** Factor for the share of visits that lead to a purchase or a sign-up. */
  intent: number
  /** Share of visits that end on the first page within seconds. */
  bounce: number
}

const source = (
  weight: number,
  intent: number,
  bounce: number,
  acquisition: Partial<AcquisitionContext>,
): Source => ({ weight, intent, bounce, acquisition: sourceOf(acquisition) })

const site = (domain: string, type: string, path = "/") => ({
  referrer: `https://${domain}${path}`,
  referrer_domain: domain.replace(/^www\./, ""),
  referrer_type: type,
})
const utm = (utm_source: string, utm_medium: string, utm_campaign: string) => ({
  utm_source,
  utm_medium,
  utm_campaign,
})

/** The visitor typed the address, or opened it from a bookmark or an app. */
export const direct = source(22, 1.2, 0.28, {})

export const shopSources: readonly Source[] = [
  direct,
  source(36, 1.1, 0.33, site("www.google.com", "search")),
  source(4, 1.2, 0.3, site("www.bing.com", "search")),
  source(4, 1.1, 0.3, site("duckduckgo.com", "search")),
  source(2, 1.2, 0.3, site("www.ecosia.org", "search")),
  source(10, 0.45, 0.55, site("www.instagram.com", "social")),
  source(8, 0.6, 0.48, site("www.pinterest.com", "social")),
  source(3, 0.5, 0.55, site("m.facebook.com", "social")),
  source(8, 1.3, 0.36, { ...site("www.google.com", "ad"), ...utm("google", "cpc", "lamps") }),
  source(5, 2, 0.2, utm("newsletter", "email", "weekly")),
  source(4, 0.9, 0.35, site("slowhome.example", "other", "/best-desk-lamps")),
  source(2, 1.3, 0.3, site("chatgpt.com", "other")),
]

/** Where the additional visitors during the sale come from. */
export const campaignSources: readonly Source[] = [
  source(55, 2.3, 0.24, utm("newsletter", "email", "anniversary-sale")),
  source(35, 0.6, 0.5, {
    ...site("www.instagram.com", "ad"),
    ...utm("instagram", "paid-social", "anniversary-sale"),
  }),
  source(10, 0.9, 0.4, {
    ...site("m.facebook.com", "ad"),
    ...utm("facebook", "paid-social", "anniversary-sale"),
  }),
]

export const appSources: readonly Source[] = [
  { ...direct, weight: 24 },
  source(34, 1, 0.38, site("www.google.com", "search")),
  source(4, 1, 0.36, site("duckduckgo.com", "search")),
  source(3, 0.9, 0.38, site("www.bing.com", "search")),
  source(8, 0.8, 0.46, site("www.linkedin.com", "social")),
  source(5, 0.5, 0.6, site("news.ycombinator.com", "social")),
  source(5, 0.6, 0.52, site("www.reddit.com", "social", "/r/editors/")),
  source(5, 1.7, 0.28, site("reviews.example", "other", "/video-review-tools")),
  source(4, 1.6, 0.3, site("chatgpt.com", "other")),
  source(6, 1.2, 0.4, { ...site("www.google.com", "ad"), ...utm("google", "cpc", "video-review") }),
  source(2, 1.4, 0.3, utm("partner", "referral", "camera-guild")),
]

import type { Db } from "../store/db/driver.ts"
import { createNote } from "../store/notes.ts"
import { createUser } from "../store/users.ts"
import { createView, type View } from "../store/views.ts"
import { createWebsite, type Website } from "../store/websites.ts"
import { failedPerson } from "./app.ts"
import { appWebsite } from "./app-data.ts"
import type { Site } from "./audience.ts"
import type { SeededRandom } from "./random.ts"
import { shopWebsite } from "./shop-data.ts"
import { dayMs, stories, type Timeline } from "./timeline.ts"

export const ownerEmail = "you@example.com"

const websites = [
  { site: "shop", ...shopWebsite, lowerIsBetter: ["payment_failed", "refund"] },
  {
    site: "app",
    ...appWebsite,
    lowerIsBetter: ["upload_failed", "trial_expired", "subscription_canceled", "support_contacted"],
  },
] as const

interface SavedPage {
  site: Site
  kind: View["kind"]
  name: string
  page: string
  params: [name: string, value: string][]
}

const steps = (...names: string[]) => names.map((name): [string, string] => ["step", name])

const views: readonly SavedPage[] = [
  {
    site: "shop",
    kind: "funnel",
    name: "Product to purchase",
    page: "funnels",
    params: steps("product_viewed", "add_to_cart", "checkout_started", "payment_submitted", "purchase"),
  },
  {
    site: "shop",
    kind: "funnel",
    name: "Checkout by device",
    page: "funnels",
    params: [
      ...steps("checkout_started", "shipping_selected", "purchase"),
      ["by", "device_type"],
      ["window", "1d"],
    ],
  },
  { site: "shop", kind: "goal", name: "Purchase", page: "goals", params: steps("purchase") },
  { site: "shop", kind: "goal", name: "Newsletter", page: "goals", params: steps("newsletter_subscribed") },
  {
    site: "shop",
    kind: "view",
    name: "Anniversary sale",
    page: "web",
    params: [["f", "eq:utm_campaign:anniversary-sale"]],
  },
  {
    site: "shop",
    kind: "view",
    name: "Purchases by category",
    page: "event",
    params: [
      ["name", "purchase"],
      ["split", "property.category"],
    ],
  },
  {
    site: "app",
    kind: "funnel",
    name: "Sign-up to first upload",
    page: "funnels",
    params: steps("signed_up", "email_verified", "project_created", "upload_done"),
  },
  {
    site: "app",
    kind: "funnel",
    name: "Trial to subscription by plan",
    page: "funnels",
    params: [...steps("trial_started", "subscription_started"), ["by", "property.plan"], ["window", "30d"]],
  },
  { site: "app", kind: "goal", name: "Sign-up", page: "goals", params: steps("signed_up") },
  { site: "app", kind: "goal", name: "Upload", page: "goals", params: steps("upload_done") },
  { site: "app", kind: "goal", name: "Subscription", page: "goals", params: steps("subscription_started") },
  {
    site: "app",
    kind: "retention",
    name: "Sign-ups who upload",
    page: "retention",
    params: steps("signed_up", "upload_done"),
  },
  { site: "app", kind: "paths", name: "After sign-up", page: "paths", params: steps("signed_up") },
  {
    site: "app",
    kind: "view",
    name: "Uploads by browser",
    page: "event",
    params: [
      ["name", "upload_done"],
      ["split", "browser_name"],
      ["period", "last_7d"],
    ],
  },
]

const notes: readonly { site: Site; story: { day: number }; text: string }[] = [
  { site: "shop", story: stories.campaign, text: "Anniversary sale starts" },
  {
    site: "shop",
    story: { day: stories.campaign.day - stories.campaign.days + 1 },
    text: "Anniversary sale ends",
  },
  { site: "shop", story: stories.outage, text: "Outage: the shop was down for 6 hours" },
  { site: "app", story: stories.pricing, text: "New prices: Team includes 5 seats" },
  { site: "app", story: stories.release, text: "Release 2.8: new timeline in the review player" },
  { site: "app", story: stories.rollout, text: "Uploads in chunks turned on for everyone" },
]

/** The websites of the demo. */
export type DemoWebsites = Record<Site, Website>

/**
 * Creates the owner, the websites, saved reports and annotations. IDs are drawn from `random`. Call it in a
 * transaction.
 */
export function createSaved(
  db: Db,
  random: SeededRandom,
  timeline: Timeline,
): { ownerId: string; websites: DemoWebsites } {
  const createdAt = timeline.start - dayMs
  const owner = { email: ownerEmail, role: "owner", websites: null, sections: null } as const
  const { id: ownerId } = createUser(db, random.uuid(), owner, null, createdAt)
  const create = ({ site: _, ...website }: (typeof websites)[number]) =>
    createWebsite(
      db,
      random.uuid(),
      { ...website, lowerIsBetter: [...website.lowerIsBetter], allowedOrigins: [], anonymize: "off" },
      createdAt,
    )
  const [shop, app] = websites
  const created = { shop: create(shop), app: create(app) }
  for (const { site, kind, name, page, params } of views) {
    const query = new URLSearchParams(params)
    createView(
      db,
      random.uuid(),
      { place: created[site].rid, kind, name, path: `${page}?${query}` },
      timeline.now,
    )
  }
  for (const { site, story, text } of notes) {
    const note = { place: created[site].rid, date: timeline.dateOf(story), text }
    createNote(db, random.uuid(), note, timeline.now)
  }
  return { ownerId, websites: created }
}

/** Returns questions that the data answers, each with the name of its website. */
export function questionsOf(timeline: Timeline, { shop, app }: DemoWebsites): string[] {
  const release = new Date(timeline.at(stories.release))
  const day = release.toLocaleDateString("en-GB", { day: "numeric", month: "long", timeZone: "UTC" })
  return [
    `What dropped in the last 7 days, and why? (${app.name})`,
    `Which plan is bought most often after a trial, and has that changed? (${app.name})`,
    `What did ${failedPerson.email} do before the error? (${app.name})`,
    `Is the release of ${day} better or worse? (${app.name})`,
    `Did the sale pay off, and when was the outage? (${shop.name})`,
  ]
}

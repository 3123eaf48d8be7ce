import type { EventRow } from "../store/events.ts"
import type { restoreLink, restoreProfile } from "../store/profiles.ts"
import { App } from "./app.ts"
import { appWebsite } from "./app-data.ts"
import { PeopleMaker } from "./people.ts"
import { SeededRandom } from "./random.ts"
import { Shop } from "./shop.ts"
import { shopWebsite } from "./shop-data.ts"
import { Timeline } from "./timeline.ts"
import type { Scene } from "./visit.ts"

/** Row ids of the two websites. */
export interface WebsiteRids {
  shop: number
  app: number
}

type Profile = Parameters<typeof restoreProfile>[1]
type ProfileLink = Parameters<typeof restoreLink>[1]

/** Events and people of both websites, and a function that simulates more visits. */
export interface Dataset {
  timeline: Timeline
  /** In order of arrival. */
  rows: EventRow[]
  profiles: Profile[]
  links: ProfileLink[]
  /** Simulates a visit that starts at `at` (Unix ms) and may last several minutes. Returns its rows. */
  liveVisit: (at: number) => EventRow[]
}

/** Bytes of memory per event in the batcher's queue. */
export const rowBytes = 500

/** Each website has its own seed, so that a change to one does not affect the other. */
const appSeed = 0x5f3759df

/**
 * Simulates the two websites until `now` (Unix ms). The same seed generates the same rows on the same UTC day. A later
 * call on that day generates additional rows at the end.
 */
export function createDataset(seed: number, now: number, rids: WebsiteRids): Dataset {
  const timeline = new Timeline(now)
  let rows: EventRow[] = []
  let isStored = (at: number) => at >= timeline.start && at < now
  const sceneOf = (rid: number, domain: string, sceneSeed: number): Scene => ({
    random: new SeededRandom(sceneSeed),
    rid,
    domain,
    isStored: (at) => isStored(at),
    add: (row) => rows.push(row),
  })
  const shopScene = sceneOf(rids.shop, shopWebsite.domain, seed)
  const appScene = sceneOf(rids.app, appWebsite.domain, seed ^ appSeed)
  const shop = new Shop(shopScene, new PeopleMaker(shopScene.random), timeline)
  const app = new App(appScene, new PeopleMaker(appScene.random), timeline)
  shop.run()
  app.run()
  const stored = rows.sort((one, other) => one.receivedAt - other.receivedAt)
  isStored = () => true
  return {
    timeline,
    rows: stored,
    ...profilesOf(shop, app, rids, now),
    liveVisit: (at) => {
      rows = []
      // Visits the app less often than the shop, because most visits to the app have more events.
      if (appScene.random.chance(0.4)) app.liveVisit(at)
      else shop.liveVisit(at)
      return rows
    },
  }
}

function profilesOf(shop: Shop, app: App, rids: WebsiteRids, now: number) {
  const customers = shop.customers.map(({ id, name, email, since, orders, visitorIds }) => ({
    websiteRid: rids.shop,
    profileId: id,
    traits: { email, name, orders },
    since,
    visitorIds,
  }))
  const members = app.members.map(({ id, name, email, company, plan, since, visitor }) => ({
    websiteRid: rids.app,
    profileId: id,
    traits: { email, name, company, plan: plan.name },
    since,
    visitorIds: [visitor.id],
  }))
  const people = [...customers, ...members].filter(({ since }) => since < now)
  return {
    profiles: people.map(({ since, visitorIds: _, ...profile }) => ({
      ...profile,
      claimed: [],
      createdAt: since,
      updatedAt: since,
    })),
    links: people.flatMap(({ websiteRid, profileId, since, visitorIds }) =>
      visitorIds.map((anonymousId) => ({
        websiteRid,
        anonymousId,
        profileId,
        linkedAt: since,
        isClaim: false,
      })),
    ),
  }
}

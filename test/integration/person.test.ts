import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { sealAll } from "../../src/columns/sealer.ts"
import { deleteOldSalts } from "../../src/store/daily-hash.ts"
import { countPerson } from "../../src/store/forget.ts"
import { createWebsite, type Website } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

// src/store/identity-resolution.ts defines which profiles an event belongs to. Each case lists the expected profiles,
// and every feature that shows, counts, exports or deletes a person's events must agree.

let app: TestApp
let key: string
let sites: Record<"plain" | "hashed", Website>

beforeEach(() => {
  app = openApp()
  const { db } = app.store
  const now = app.clock.now
  const settings = { domain: "a.example", name: "a", allowedOrigins: [] }
  sites = {
    plain: createWebsite(db, "plain", { ...settings, anonymize: "off" }, now),
    hashed: createWebsite(db, "hashed", { ...settings, anonymize: "daily" }, now),
  }
  key = giveKey(app).secret
})
afterEach(() => app.close())

async function call(path: string, body?: object): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" }
  const request = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers }
  const answer = await app.send(new Request(`http://localhost${path}`, request))
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return answer
}

type Site = keyof typeof sites

/** An hour passes after each step. */
const steps = {
  track: async (site: Site, name: string, event: object = {}) => {
    await call("/track", { websiteId: site, name, ...event })
    app.clock.now += 3_600_000
  },
  identify: async (site: Site, profileId: string, anonymousId: string) => {
    await call("/identify", { websiteId: site, profileId, anonymousId })
    app.clock.now += 3_600_000
  },
  /** Identifies a visitor from a page, without a key. */
  claim: async (site: Site, profileId: string, anonymousId: string) => {
    const body = JSON.stringify({ profileId, anonymousId })
    const request = new Request(`http://localhost/identify?client_id=${site}`, { method: "POST", body })
    expect((await app.send(request)).status).toBe(200)
    app.clock.now += 3_600_000
  },
  midnight: () => {
    app.clock.now = (Math.floor(app.clock.now / 86_400_000) + 1) * 86_400_000
    deleteOldSalts(app.store.db, app.clock.now)
  },
}

async function ask(site: Site, parameter: object): Promise<Record<string, unknown>[]> {
  const body = { startDate: "2026-07-01", endDate: "2026-08-31", parameters: [parameter] }
  const { data } = (await (await call(`/v1/query?website_id=${site}`, body)).json()) as {
    data: { success: boolean; error?: string; data: Record<string, unknown>[] }[]
  }
  if (!data[0]?.success) throw new Error(data[0]?.error)
  return data[0].data
}

/** Returns the names of a profile's events according to each feature. */
async function eventsOf(site: Site, profileId: string): Promise<Record<string, string[]>> {
  const sorted = (names: unknown[]) => names.map(String).sort()
  const exported = await (await call(`/v1/export?website_id=${site}&profile_id=${profileId}`)).text()
  const person = { websiteRid: sites[site].rid, id: { profileId } }
  const schedule = { write: <Result>(work: () => Result) => work(), sleep: async () => {} }
  const { events } = await countPerson(app.store.db, person, app.clock.now, schedule)
  const timeline = await ask(site, { name: "person", profileId })
  expect(events).toBe(timeline.length)
  for (const more of [{}, { by: ["event_name"] }, { granularity: "daily" }]) {
    const counted = await ask(site, { name: "events", measures: ["events"], profileId, ...more })
    expect(counted.reduce((sum, row) => sum + Number(row.events), 0)).toBe(timeline.length)
  }
  return {
    timeline: sorted(timeline.map((row) => row.event_name)),
    export: sorted(
      exported
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
        .filter(({ type }) => type === "event")
        .map(({ name }) => name),
    ),
  }
}

/** Returns the number of profiles with each event, and with both in order, according to goals, funnels and cohorts. */
async function counts(site: Site) {
  const pair = [{ name: "visit" }, { name: "buy" }]
  const goals = await ask(site, { name: "goals", unit: "profile", steps: pair })
  const funnel = await ask(site, { name: "funnel", unit: "profile", window: "60d", steps: pair })
  const daily = await ask(site, {
    name: "goals",
    unit: "profile",
    granularity: "monthly",
    steps: pair.slice(0, 1),
  })
  const retention = await ask(site, {
    name: "retention",
    unit: "profile",
    granularity: "monthly",
    steps: pair,
  })
  const cohort = retention
    .filter(({ period }) => period === 0)
    .reduce((sum, { people }) => sum + Number(people), 0)
  const [one, two] = goals.map(({ converted }) => converted)
  expect(funnel[0]?.people).toBe(one)
  expect(cohort).toBe(one as number)
  expect(daily.at(-1)?.converted).toBe(one)
  expect(goals.map(({ total }) => total)).toEqual([daily.at(-1)?.total, daily.at(-1)?.total])
  return { visit: Number(one), buy: Number(two), both: Number(funnel[1]?.people) }
}

interface Case {
  name: string
  site: Site
  happens: () => Promise<void>
  /** Names of events by profile. */
  events: Record<string, string[]>
  counts: { visit: number; buy: number; both: number }
}

const { track, identify, claim, midnight } = steps
const cases: Case[] = [
  {
    name: "events from before and after a visitor was identified belong to the profile",
    site: "plain",
    happens: async () => {
      await track("plain", "visit", { anonymousId: "laptop" })
      await identify("plain", "ann", "laptop")
      await track("plain", "buy", { anonymousId: "laptop" })
      await track("plain", "visit", { anonymousId: "phone" })
    },
    events: { ann: ["buy", "visit"] },
    counts: { visit: 1, buy: 1, both: 1 },
  },
  {
    name: "a profile that is not in any event has the events of its visitors, only on its own website",
    site: "plain",
    happens: async () => {
      await track("plain", "visit", { anonymousId: "laptop" })
      await track("hashed", "visit", { anonymousId: "laptop" })
      await identify("plain", "ann", "laptop")
      await identify("plain", "ann", "phone")
      await track("plain", "buy", { anonymousId: "phone" })
    },
    events: { ann: ["buy", "visit"] },
    counts: { visit: 1, buy: 1, both: 1 },
  },
  {
    name: "an event with a profile belongs to it, whatever device it comes from",
    site: "plain",
    happens: async () => {
      await identify("plain", "ann", "laptop")
      await track("plain", "visit", { anonymousId: "laptop" })
      await track("plain", "buy", { anonymousId: "laptop", profileId: "bob" })
      await track("plain", "buy", { profileId: "cat" })
    },
    events: { ann: ["visit"], bob: ["buy"], cat: ["buy"] },
    counts: { visit: 1, buy: 2, both: 0 },
  },
  {
    name: "an event without a profile on a device that two profiles share belongs to both",
    site: "plain",
    happens: async () => {
      await identify("plain", "ann", "laptop")
      await track("plain", "visit", { anonymousId: "laptop" })
      await identify("plain", "bob", "laptop")
      await track("plain", "buy", { anonymousId: "laptop", profileId: "bob" })
    },
    events: { ann: ["visit"], bob: ["buy", "visit"] },
    counts: { visit: 2, buy: 1, both: 1 },
  },
  {
    name: "events with an anonymous id that a program sends for all users belong to no profile",
    site: "plain",
    happens: async () => {
      for (let customer = 0; customer < 21; customer++) {
        await call("/identify", {
          websiteId: "plain",
          profileId: `customer-${customer}`,
          anonymousId: "server",
        })
      }
      await track("plain", "visit", { anonymousId: "server" })
      await track("plain", "buy", { anonymousId: "server", profileId: "customer-3" })
    },
    events: { "customer-3": ["buy"], "customer-4": [] },
    counts: { visit: 0, buy: 1, both: 0 },
  },
  {
    name: "an event of a visitor that was only linked by a page belongs to no profile",
    site: "plain",
    happens: async () => {
      await identify("plain", "ann", "laptop")
      await track("plain", "visit", { anonymousId: "laptop" })
      await track("plain", "visit", { anonymousId: "victim" })
      await claim("plain", "ann", "victim")
      await track("plain", "buy", { anonymousId: "victim" })
    },
    events: { ann: ["visit"] },
    counts: { visit: 1, buy: 0, both: 0 },
  },
  {
    name: "daily hashes can be linked on their day, and stay linked",
    site: "hashed",
    happens: async () => {
      await track("hashed", "visit", { anonymousId: "laptop" })
      await identify("hashed", "ann", "laptop")
      midnight()
      await track("hashed", "buy", { anonymousId: "laptop" })
    },
    events: { ann: ["visit"] },
    counts: { visit: 1, buy: 0, both: 0 },
  },
  {
    name: "an event that requests a hash belongs to the profile of the original id on its day",
    site: "plain",
    happens: async () => {
      await identify("plain", "ann", "laptop")
      await track("plain", "visit", { anonymousId: "laptop", anonymizeVisitorIds: true })
    },
    events: { ann: ["visit"] },
    counts: { visit: 1, buy: 0, both: 0 },
  },
  {
    name: "an event with a hashed id no longer belongs to a profile after its day",
    site: "plain",
    happens: async () => {
      await identify("plain", "ann", "laptop")
      await track("plain", "visit", { anonymousId: "laptop", anonymizeVisitorIds: true })
      midnight()
      await track("plain", "buy", { anonymousId: "laptop" })
    },
    events: { ann: ["buy"] },
    counts: { visit: 0, buy: 1, both: 0 },
  },
]

describe.each(["rows", "blocks"])("of events in %s", (where) => {
  test.each(cases)("$name", async ({ site, happens, events, counts: expected }) => {
    app.clock.now = Date.UTC(2026, 7, 1, 6)
    await happens()
    if (where === "blocks") sealAll(app.store.db, 0)
    for (const [profile, names] of Object.entries(events)) {
      expect([profile, await eventsOf(site, profile)]).toEqual([profile, { timeline: names, export: names }])
    }
    expect(await counts(site)).toEqual(expected)
  })
})

test("a list of people shows the profile that was linked last for a visitor whose events have none", async () => {
  await track("plain", "visit", { anonymousId: "laptop" })
  await track("plain", "visit", { anonymousId: "phone", profileId: "cat" })
  await track("plain", "visit", { anonymousId: "kiosk" })
  await identify("plain", "ann", "laptop")
  await identify("plain", "bob", "laptop")
  await identify("plain", "bob", "phone")
  await claim("plain", "eve", "kiosk")
  const people = await ask("plain", { name: "people" })
  const found = people.map((row) => [row.anonymous_id, row.profile_id])
  expect(found).toEqual([
    ["kiosk", null],
    ["phone", "cat"],
    ["laptop", "bob"],
  ])
})

test("a new link affects cached results", async () => {
  await track("plain", "visit", { anonymousId: "laptop" })
  sealAll(app.store.db, 0)
  const count = async () =>
    (await ask("plain", { name: "events", measures: ["events"], profileId: "ann" }))[0]?.events
  expect(await count()).toBe(0)
  await identify("plain", "ann", "laptop")
  expect(await count()).toBe(1)
})

test("forgetting a profile deletes its events and links, but no events with a shared anonymous id", async () => {
  await identify("plain", "ann", "laptop")
  for (let customer = 0; customer < 25; customer++) {
    await call("/identify", { websiteId: "plain", profileId: `customer-${customer}`, anonymousId: "server" })
  }
  await identify("plain", "ann", "server")
  await track("plain", "before", { anonymousId: "laptop" })
  await track("plain", "everybody's", { anonymousId: "server" })
  const answer = await call("/v1/websites/plain/forget", { profileId: "ann" })
  expect(await answer.json()).toMatchObject({ events: 1, profiles: 1, links: 2 })
  const left = app.store.db.prepare("select name from events").pluck().all()
  expect(left).toEqual(["everybody's"])
})

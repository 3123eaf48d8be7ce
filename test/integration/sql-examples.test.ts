import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { readPage } from "../support/documentation.ts"
import { eventRow } from "../support/event.ts"

/** SQL statements by the line above each. */
const queries = new Map(
  [...readPage("src/store/README.md").matchAll(/^([^\n]+):\n\n```sql\n([^`]+)```/gm)].map(
    ([, title = "", sql = ""]) => [title, sql],
  ),
)

const website = "11111111-1111-4111-8111-111111111111"
const dayMs = 86_400_000
/** Today at noon (UTC), because SQL's date('now') uses the machine's clock. */
const now = Math.floor(Date.now() / dayMs) * dayMs + dayMs / 2

type Row = Record<string, unknown>

describe("the SQL examples in src/store/README.md return the numbers of /v1/query:", () => {
  let app: TestApp
  let key: string

  beforeAll(() => {
    app = openApp()
    app.clock.now = now
    const { db } = app.store
    createWebsite(db, website, { domain: "example.com", name: "", allowedOrigins: [], anonymize: "off" }, 0)
    key = giveKey(app).secret
    // Some of these events must not count: those of crawlers, those without a visitor, amounts that are not numbers,
    // and old events.
    const event = (
      name: string,
      visitor: string | null,
      ago: number,
      keys: object = {},
      more = {},
    ): EventRow =>
      eventRow({
        name,
        anonymousId: visitor,
        sessionId: visitor,
        profileId: visitor === "a" ? "user_1" : null,
        ts: now - ago,
        receivedAt: now,
        keys: JSON.stringify(Object.keys(keys)),
        properties: JSON.stringify(Object.values(keys)).slice(1, -1),
        ...more,
      })
    const crawler = { crawler: 1 }
    const inserter = new EventInserter(db, new DailyHash(db, (bytes) => bytes))
    inserter.insert([
      event("signed_up", "a", 9, { plan: "pro" }, { websiteRid: 1 }),
      event("bought", "b", 8, { amount: 99 }),
      event("signed_up", "b", 7),
      event("signed_up", null, 6, { plan: "pro" }),
      event("signed_up", "bot", 6, { plan: "pro" }, { ...crawler, profileId: "user_1" }),
      event("bought", "bot", 5, { amount: 1_000 }, crawler),
      event("bought", null, 4, { amount: 7 }),
      event("bought", "a", 3, { amount: 5 }, { websiteRid: 1 }),
      event("bought", "a", 2, { amount: 2.5 }, { websiteRid: 1 }),
      event("bought", "a", 2, { amount: "none" }, { websiteRid: 1 }),
      event("signed_up", "c", 1),
      event("seen", "d", 3 * dayMs, { plan: "free" }),
      event("seen", "d", 20 * dayMs),
      event("seen", "e", 400 * dayMs),
    ])
  })
  afterAll(() => app.close())

  function sql(title: string): Row[] {
    return app.store.db.prepare(queries.get(title) ?? "").all() as Row[]
  }

  async function api(parameter: Row, range: Row): Promise<Row[]> {
    const answer = await app.send(
      new Request("http://localhost/v1/query?website_id=all", {
        method: "POST",
        headers: { authorization: `Bearer ${key}` },
        body: JSON.stringify({ parameters: [parameter], limit: 10_000, ...range }),
      }),
    )
    const { data } = (await answer.json()) as { data: { success: boolean; data: Row[] }[] }
    expect(data[0]).toMatchObject({ success: true })
    return data[0]?.data ?? []
  }

  const dayOf = (ago: number) => new Date(now - ago * dayMs).toISOString().slice(0, 10)
  const allTime = { startDate: "2000-01-01" }

  /** The results of `/v1/query` for each example, in the shape of the SQL rows. */
  const answers: Record<string, () => Promise<Row[]>> = {
    "Events and visitors by day in the last 30 days": async () => {
      const rows = await api({ name: "custom_events_trends", granularity: "daily" }, { startDate: dayOf(30) })
      return rows
        .filter(({ total_events }) => total_events !== 0)
        .map(({ date, total_events, unique_users }) => ({
          day: date,
          events: total_events,
          visitors: unique_users,
        }))
    },
    "Events of the last week by name and plan": async () => {
      const rows = await api({ name: "custom_events", by: ["property.plan"] }, { startDate: dayOf(7) })
      return rows.map((row) => ({
        name: row.name,
        plan: row["property.plan"],
        events: row.total_events,
        visitors: row.unique_users,
      }))
    },
    "Everything one person did": async () => {
      const rows = await api({ name: "person", profileId: "user_1" }, allTime)
      return rows.reverse().map(({ timestamp, event_name, path, properties }) => ({
        time: timestamp,
        name: event_name,
        path,
        properties: JSON.stringify(properties),
      }))
    },
    "Visitors who signed up, and how many of them bought something later": async () => {
      const steps = ["signed_up", "bought"]
      const rows = await api({ name: "funnel", steps, window: "366d" }, { startDate: dayOf(300) })
      const [signedUp, bought] = rows.map((row) => row.people)
      return [{ signed_up: signedUp, bought }]
    },
    "A numeric property by website and month": async () => {
      const measures = ["count", "avg", "max"].map((what) => `${what}:property.amount`)
      const filters = [{ field: "event_name", op: "eq", value: "bought" }]
      const parameter = { name: "events", by: ["website_id"], granularity: "monthly", measures, filters }
      const rows = await api(parameter, allTime)
      return rows
        .filter((row) => row["count:property.amount"] !== 0)
        .map((row) => ({
          website_id: row.website_id,
          month: String(row.date).slice(0, 7),
          orders: row["count:property.amount"],
          mean: Math.round(Number(row["avg:property.amount"]) * 100) / 100,
          highest: row["max:property.amount"],
        }))
    },
  }

  test("all of them are tested", () => {
    expect([...queries.keys()]).toEqual(Object.keys(answers))
  })

  const sorted = (rows: Row[]) => rows.map((row) => JSON.stringify(row)).sort()

  test.each(Object.keys(answers))("%s", async (title) => {
    const expected = (await answers[title]?.()) ?? []
    expect(expected.length).toBeGreaterThan(0)
    expect(sorted(sql(title))).toEqual(sorted(expected))
  })

  test("a visitor who bought only before signing up does not count as a later buyer", () => {
    expect(sql("Visitors who signed up, and how many of them bought something later")).toEqual([
      { signed_up: 3, bought: 1 },
    ])
  })
})

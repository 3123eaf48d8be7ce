import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { failedPerson } from "../../src/demo/app.ts"
import { type Demo, openDemo } from "../../src/demo/open-demo.ts"
import { stories } from "../../src/demo/timeline.ts"
import { defaultServeOptions } from "../../src/serve-options.ts"
import { type TemporaryFolder, temporaryFolder } from "../harness.ts"

// A Thursday. The demo's release is on the 12th.
const now = Date.UTC(2026, 10, 26, 15)

describe("the demo", () => {
  let folder: TemporaryFolder
  let demo: Demo
  let cookie: string
  const faults: string[] = []

  beforeAll(async () => {
    folder = temporaryFolder()
    const options = {
      ...defaultServeOptions(),
      path: folder.file("demo.db"),
      durability: "os",
      minFree: 0,
      https: false,
      metricsAccess: { token: undefined, local: false },
      backups: undefined,
      offsiteBackups: undefined,
    } as const
    const environment = {
      now: () => now,
      elapsed: () => performance.now(),
      random: (bytes: Uint8Array) => crypto.getRandomValues(bytes),
      pid: process.pid,
      newId: () => crypto.randomUUID(),
      memory: 1e9,
      log: (level: string, message: string) => faults.push(`${level} ${message}`),
    }
    const signal = new AbortController().signal
    const opened = await openDemo(options, environment, { seed: 1, signal, sleep: (ms) => Bun.sleep(ms) })
    if (!opened) throw new Error("the demo was stopped")
    demo = opened
    const login = await send(demo.loginPath)
    cookie = login.headers.get("set-cookie")?.split(";")[0] ?? ""
  })
  afterAll(async () => {
    await demo.server.close()
    folder[Symbol.dispose]()
  })

  const send = async (path: string, init: RequestInit = {}) =>
    demo.server.app.handle(new Request(`http://localhost${path}`, init))
  const get = async <Data>(path: string): Promise<Data> => {
    const response = await send(path, { headers: { cookie } })
    // The caller specifies the documented type of the response.
    return (await response.json()) as Data
  }
  const query = async <Row>(parameter: object, fields: object = {}, site: "shop" | "app" = "app") => {
    const response = await send(`/v1/query?website_id=${demo.websites[site].id}`, {
      method: "POST",
      headers: { cookie, "x-databuddy-page": "1" },
      body: JSON.stringify({ preset: "last_30d", ...fields, parameters: [parameter] }),
    })
    const body = (await response.json()) as { data?: { data: Row[] }[] }
    if (!body.data) throw new Error(JSON.stringify(body))
    return body.data[0]?.data ?? []
  }
  const is = (field: string, value: string) => ({ field, op: "eq", value })

  test("logs in with only its link", async () => {
    const login = await send(demo.loginPath)
    expect(login.status).toBe(303)
    expect(login.headers.get("location")).toBe("/")
    expect(await get("/v1/me")).toMatchObject({ user: { email: "you@example.com", role: "owner" } })
    expect((await send("/demo/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")).status).toBe(404)
  })

  test("shows what dropped last week, and why", async () => {
    const events = await query<Counted>(
      { name: "custom_events", compare: "previous_period" },
      { preset: "last_7d" },
    )
    const fallen = events
      .map(({ name, total_events, previous }) => ({
        name,
        change: total_events - (previous?.total_events ?? 0),
      }))
      .sort((one, other) => one.change - other.change)
    expect(fallen[0]?.name).toBe("upload_done")
    const [first] = await query<{ field: string; value: string; percentage: number }>(
      { name: "movers" },
      { preset: "last_7d", filters: [is("event_name", "upload_done")] },
    )
    expect(first).toMatchObject({ field: "browser_name", value: "Safari" })
    expect(first?.percentage).toBeGreaterThan(75)
  })

  test("shows which plan is bought most often after a trial, and that this has changed", async () => {
    const plans = await query<{
      "property.plan": string
      events: number
      previous: { events: number } | null
    }>({
      name: "events",
      by: ["property.plan"],
      filters: [is("event_name", "subscription_started")],
      compare: "previous_period",
    })
    const best = (count: (plan: (typeof plans)[number]) => number) =>
      plans.toSorted((one, other) => count(other) - count(one))[0]?.["property.plan"]
    expect(best(({ events }) => events)).toBe("Team")
    expect(best(({ previous }) => previous?.events ?? 0)).toBe("Starter")
    const funnel = await query<{ "property.plan": string; step: number; conversion_rate: number }>({
      name: "funnel",
      steps: [{ name: "trial_started" }, { name: "subscription_started" }],
      window: "30d",
      by: ["property.plan"],
    })
    const rateOf = (plan: string) =>
      funnel.find((row) => row["property.plan"] === plan && row.step === 2)?.conversion_rate ?? 0
    expect(rateOf("Team")).toBeGreaterThan(rateOf("Starter"))
  })

  test("shows what the person with an email address did before the error", async () => {
    const { profiles } = await get<{ profiles: { id: string; profileId?: string }[] }>(
      `/v1/profiles?website_id=${demo.websites.app.id}&search=${encodeURIComponent(failedPerson.email)}`,
    )
    expect(profiles).toHaveLength(1)
    const profileId = profiles[0]?.profileId ?? profiles[0]?.id
    const events = await query<{ event_name: string }>({ name: "person", profileId, limit: 100 })
    const names = events
      .map(({ event_name }) => event_name)
      .filter((name) => !/^(?:screen_view|page_exit|[A-Z]+)$/.test(name))
    expect(names.toReversed().filter((name) => name !== "engagement")).toEqual([
      "signed_up",
      "email_verified",
      "trial_started",
      "project_created",
      "upload_started",
      "error",
      "upload_failed",
      "upload_started",
      "error",
    ])
  })

  test("shows that the release on the 12th made things worse", async () => {
    const { notes } = await get<{ notes: { date: string; text: string }[] }>(
      `/v1/notes?website_id=${demo.websites.app.id}`,
    )
    expect(notes.find(({ text }) => text.startsWith("Release 2.8"))?.date).toBe("2026-11-12")
    const days = { before: ["2026-10-30", "2026-11-11"], after: ["2026-11-13", "2026-11-25"] }
    const measure = async ([startDate, endDate]: string[]) => {
      const range = { preset: undefined, startDate, endDate }
      const [responses] = await query<{ p75: number }>(
        {
          name: "events",
          kinds: ["web_vital"],
          measures: ["p75:property.value"],
          filters: [is("event_name", "INP")],
        },
        range,
      )
      const [errors] = await query<{ events: number }>(
        { name: "events", kinds: ["error"], filters: [is("property.error_type", "TypeError")] },
        range,
      )
      return { ms: Number(Object.values(responses ?? {})[0]), errors: errors?.events ?? 0 }
    }
    const [before, after] = [await measure(days.before), await measure(days.after)]
    expect(after.ms).toBeGreaterThan(1.3 * before.ms)
    expect(after.errors).toBeGreaterThan(20 + 2 * before.errors)
  })

  test("has a sale that led to orders, and an outage without visits", async () => {
    const orders = await query<{ "property.coupon": string | null; events: number }>(
      { name: "events", by: ["property.coupon"], filters: [is("event_name", "purchase")] },
      {},
      "shop",
    )
    expect(orders.find((row) => row["property.coupon"] === "ANNIVERSARY15")?.events).toBeGreaterThan(5)
    const start = demo.dataset.timeline.at(stories.outage)
    const during = demo.dataset.rows.filter(
      ({ ts, kind, websiteRid }) =>
        websiteRid === demo.websites.shop.rid &&
        kind === "page_view" &&
        ts > start + 30 * 60_000 &&
        ts < start + 6 * 3_600_000,
    )
    expect(during).toEqual([])
  })

  test("has plausible rates", async () => {
    const [traffic] = await query<Record<string, number>>({ name: "summary_metrics" }, {}, "shop")
    const sessions = Number(traffic?.sessions)
    const [orders] = await query<Counted>(
      { name: "custom_events", filters: [is("event_name", "purchase")] },
      {},
      "shop",
    )
    expect((orders?.total_events ?? 0) / sessions).toBeWithin(0.01, 0.06)
    expect(Number(traffic?.bounce_rate)).toBeWithin(20, 50)
    const retention = await query<{ period: number; people: number; returned: number }>(
      { name: "retention", steps: [{ name: "signed_up" }, { name: "upload_done" }] },
      { preset: "last_90d" },
    )
    const shareIn = (period: number) => {
      const rows = retention.filter((row) => row.period === period && row.people > 0)
      const sum = (of: (row: (typeof rows)[number]) => number) =>
        rows.reduce((total, row) => total + of(row), 0)
      return sum(({ returned }) => returned) / sum(({ people }) => people)
    }
    expect(shareIn(1)).toBeLessThan(shareIn(0))
    expect(shareIn(3)).toBeLessThan(shareIn(1))
    expect(shareIn(3)).toBeGreaterThan(0.05)
  })

  test("saves views that the dashboard can show", async () => {
    for (const site of ["shop", "app"] as const) {
      const { views } = await get<{ views: { kind: string }[] }>(
        `/v1/views?website_id=${demo.websites[site].id}`,
      )
      expect(views.map(({ kind }) => kind)).toContainValues(["funnel", "goal", "view"])
    }
  })

  test("reports no faults", () => {
    expect(faults).toEqual([])
  })
})

interface Counted {
  name: string
  total_events: number
  previous?: { total_events: number } | null
}

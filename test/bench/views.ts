import { qualityRequests } from "../browser/page-quality.ts"
import { type BusyOptions, startBusy } from "./busy.ts"
import { website } from "./engines.ts"

interface Options extends BusyOptions {
  rounds: number
}

type Body = { parameters: (object | string)[] } & Record<string, unknown>

interface Answers {
  data: { parameter: string; error?: string; data: Record<string, unknown>[] }[]
}

/** The queries that a page sends together. */
interface View {
  name: string
  /** Maximum ms until its last response. */
  atMost: number
  /** Returns the requests that are sent together. `round` counts from 0, for views whose requests differ each time. */
  requests: (round: number) => Body[]
  /** Path under /v1 that is read with GET, instead of running queries. */
  path?: string
  /** Default: the website of the data set. */
  site?: "all"
  /** Filters that all of its requests share. */
  filters?: object[]
  /** Kinds of the events that it reads. Default: custom events. */
  kinds?: readonly string[]
}

const unfiltered = 100
const filtered = 300
/** ms for which a visitor counts as active after an event. */
const activeFor = 300_000

const ofEvent = (op: string, value: unknown) => ({ field: "event_name", op, value })
const ofProperty = (key: string, value: string) => ({ field: `property.${key}`, op: "eq", value })
const steps = ["event_1", "event_2", "event_3"]
const person = "user-4242"
/** A range whose previous period is also within the 30 days of the data set. */
const twoWeeks = { preset: "last_14d" }
const compared = { compare: "previous_period" }

function overview(granularity: string, filters: object[] = [], more: object = {}): Body[] {
  const parameters = [
    { name: "custom_events_summary", compare: "previous_period" },
    { name: "custom_events_trends", granularity },
    { name: "custom_events_trends_by_event", granularity, limit: 8 },
    { name: "custom_events", limit: 10, compare: "previous_period" },
    { name: "custom_event_properties", limit: 10 },
    { name: "events", measures: ["users"], start_date: new Date(Date.now() - activeFor).toISOString() },
  ]
  return [{ parameters, filters, ...more }]
}

/** A page with a single query. */
function one(parameter: object, filters: object[] = [], more: object = {}): Body[] {
  return [{ parameters: [parameter], filters, ...more }]
}

/** The overview's panel of the events that changed most: two lists, then the explanations of the listed events. */
function movers(): Body[] {
  const lists = ["asc", "desc"].map((sortOrder) => ({
    name: "custom_events",
    sortBy: "weighted_change",
    sortOrder,
    limit: 3,
    ...compared,
  }))
  const explanations = [1, 2, 3, 4, 5, 6].map((number) => ({
    name: "movers",
    filters: [ofEvent("eq", `event_${number}`)],
    limit: 1,
    ...compared,
  }))
  return [
    { parameters: lists, ...twoWeeks },
    { parameters: explanations, ...twoWeeks },
  ]
}

/** The comparison of all websites: their numbers, with those of the previous period, and their visitors over time. */
function websites(): Body[] {
  const kinds = ["custom", "page_view"]
  const table = (measures: string[], kinds: string[]) => ({
    name: "events",
    by: ["website_id"],
    measures,
    kinds,
    limit: 1_000,
    ...compared,
  })
  const trend = {
    name: "events",
    by: ["website_id"],
    measures: ["users"],
    kinds,
    granularity: "daily",
    limit: 6,
  }
  const parameters = [
    table(["users", "sessions"], kinds),
    table(["events"], ["page_view"]),
    table(["events"], ["custom"]),
    trend,
  ]
  return [{ parameters, ...twoWeeks }]
}

/** A board with a tile of each kind. Each tile sends its own request. */
function board(): Body[] {
  const trend = { name: "custom_events_trends", granularity: "daily" }
  const tiles: object[][] = [
    [{ name: "custom_events_summary", ...compared }, trend],
    [{ ...trend, ...compared }],
    [trend, { name: "custom_events_trends_by_event", granularity: "daily", limit: 5 }],
    [{ name: "custom_events", limit: 10, ...compared }],
    [funnel],
    [retention],
  ]
  return tiles.map((parameters) => ({ parameters, ...twoWeeks }))
}

const errorGroup = ["property.message", "property.filename", "property.lineno"]

function errors(): Body[] {
  const counts = { name: "events", kinds: ["error"], measures: ["events", "users", "sessions"], ...compared }
  const groups = { ...counts, by: errorGroup, measures: [...counts.measures, "last"], limit: 50 }
  return [
    { parameters: [counts, { ...counts, granularity: "daily" }], ...twoWeeks },
    { parameters: [groups], ...twoWeeks },
    { parameters: [{ name: "errors_by_page", limit: 10 }], ...twoWeeks },
  ]
}

function vitals(): Body[] {
  const filters = [ofEvent("eq", "LCP")]
  const parameters = [
    { name: "vitals_overview", ...compared },
    { name: "vitals_time_series", granularity: "daily", filters, ...compared },
    ...["path", "device_type", "country", "browser_name"].map((field) => ({
      name: "events",
      kinds: ["web_vital"],
      by: [field],
      measures: ["events", "p75:property.value"],
      filters,
      limit: 10,
      ...compared,
    })),
  ]
  return [{ parameters, ...twoWeeks }]
}

const engagement = [
  "scroll_depth_distribution",
  "engagement_quality_by_page",
  "frustration_by_page",
  "form_abandonment_by_page",
]

const pro = [ofProperty("plan", "pro")]
const page = [ofProperty("page", "/page/7")]
const funnel = { name: "funnel", window: "1d", steps }
const retention = { name: "retention", granularity: "weekly" }

const views: View[] = [
  ...["daily", "hourly", "weekly", "monthly"].map((granularity) => ({
    name: `overview, ${granularity}`,
    atMost: unfiltered,
    requests: () => overview(granularity),
  })),
  {
    name: "overview in another time zone",
    atMost: unfiltered,
    requests: () => overview("daily", [], { timeZone: "America/New_York" }),
  },
  {
    name: "overview, two weeks, compared with the two before",
    atMost: unfiltered,
    requests: () => overview("daily", [], { preset: "last_14d" }),
  },
  { name: "overview, plan is pro", atMost: filtered, requests: () => overview("daily", pro), filters: pro },
  { name: "overview, one page", atMost: filtered, requests: () => overview("daily", page), filters: page },
  {
    name: "overview, a different page each time",
    atMost: filtered,
    requests: (round) => overview("daily", [ofProperty("page", `/page/${100 + round}`)]),
    filters: [ofProperty("page", "/page/100")],
  },
  {
    name: "event",
    atMost: filtered,
    requests: () => [
      {
        parameters: [
          { name: "custom_events_summary", compare: "previous_period" },
          { name: "custom_events_trends", granularity: "daily" },
          "custom_events_property_classification",
          { name: "custom_events_property_top_values", top: 10 },
          "custom_events_property_numbers",
          { name: "events", by: ["property.plan"], measures: ["events", "users"] },
        ],
        filters: [ofEvent("eq", "event_7")],
      },
    ],
    filters: [ofEvent("eq", "event_7")],
  },
  { name: "movers of the overview", atMost: filtered, requests: movers },
  {
    name: "movers of an event",
    atMost: filtered,
    requests: () => one({ name: "movers", limit: 6, ...compared }, [ofEvent("eq", "event_7")], twoWeeks),
    filters: [ofEvent("eq", "event_7")],
  },
  {
    name: "events",
    atMost: unfiltered,
    requests: () => [
      {
        parameters: [{ name: "custom_events", limit: 50, ...compared }, "custom_events_summary"],
        ...twoWeeks,
      },
    ],
  },
  { name: "all websites", atMost: filtered, requests: websites, site: "all" },
  { name: "board", atMost: filtered, requests: board },
  { name: "funnel", atMost: filtered, requests: () => one(funnel), filters: [ofEvent("in", steps)] },
  {
    name: "funnel, plan is pro",
    atMost: filtered,
    requests: () => one(funnel, pro),
    filters: [ofEvent("in", steps), ...pro],
  },
  { name: "retention", atMost: filtered, requests: () => one(retention) },
  {
    name: "retention, plan is pro",
    atMost: filtered,
    requests: () => one(retention, pro),
    filters: pro,
  },
  {
    name: "paths",
    atMost: filtered,
    requests: () => one({ name: "paths", steps: ["event_7"], before: 3, after: 3 }),
  },
  {
    name: "goals",
    atMost: filtered,
    requests: () => one({ name: "goals", steps: steps.slice(0, 2), granularity: "daily" }),
  },
  { name: "errors", atMost: filtered, requests: errors, kinds: ["error"] },
  { name: "vitals", atMost: filtered, requests: vitals, kinds: ["web_vital"] },
  {
    name: "engagement",
    atMost: filtered,
    requests: () => [{ parameters: engagement }],
    kinds: ["engagement"],
  },
  { name: "people", atMost: filtered, requests: () => one({ name: "people", limit: 50 }) },
  {
    name: "people, searched",
    atMost: filtered,
    requests: () => one({ name: "people", limit: 50, search: "4242" }),
    filters: [{ field: "anonymous_id", op: "contains", value: "4242" }],
  },
  {
    name: "people of a drop-off",
    atMost: filtered,
    requests: () => one({ name: "people", limit: 50, steps, window: "1d", droppedAfter: 1 }),
    filters: [ofEvent("in", steps)],
  },
  {
    name: "person",
    atMost: filtered,
    requests: () => one({ name: "person", anonymousId: person, limit: 50 }),
    filters: [{ field: "anonymous_id", op: "eq", value: person }],
  },
  { name: "sessions", atMost: filtered, requests: () => one({ name: "sessions", limit: 50 }) },
  {
    name: "newest events",
    atMost: filtered,
    requests: () => one({ name: "custom_events_recent", limit: 50 }),
  },
  {
    name: "live, before its stream",
    atMost: filtered,
    requests: () => one({ name: "custom_events_recent", limit: 100 }),
  },
  { name: "rejected requests", atMost: unfiltered, requests: () => [], path: "refusals" },
]

/** Prints how long each view takes while events arrive. The views alternate, so that they share the cache. */
export async function benchViews({ rounds, ...options }: Options): Promise<void> {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  await using busy = await startBusy(options)
  const { server, key } = busy
  const { events } = options
  await sendQualityEvents(server.url, key)
  const times = views.map((): number[] => [])
  for (let round = 0; round <= rounds; round++) {
    for (const [index, view] of views.entries()) {
      const bodies = view.requests(round)
      const begin = performance.now()
      try {
        if (view.path) await get(server.url, key, view.path)
        await Promise.all(bodies.map((body) => runQueries(server.url, key, body, view.site)))
        times[index]?.push(performance.now() - begin)
      } catch (error) {
        // The times of the other views are still useful.
        process.stderr.write(`${view.name}: ${error instanceof Error ? error.message : error}\n`)
      }
    }
  }
  out(
    `\n| ${events.toLocaleString("en")} events, ms | warm, p50 | max | first time | limit | events matched |`,
  )
  out("|---|---:|---:|---:|---:|---:|")
  for (const [index, { name, atMost, ...view }] of views.entries()) {
    const [first, ...warm] = times[index] ?? []
    warm.sort((a, b) => a - b)
    const shown = [warm[Math.floor(warm.length / 2)], warm.at(-1), first]
    const cells = shown.map((ms) => ms?.toFixed(0) ?? "failed")
    const matched = await matchedBy(server.url, key, view)
    out(`| ${[name, ...cells, atMost, matched.toLocaleString("en")].join(" | ")} |`)
  }
  const all = times.flatMap(([, ...warm]) => warm).sort((a, b) => a - b)
  const share = (part: number) => all[Math.ceil(part * all.length) - 1]?.toFixed(0)
  out(`\nall pages, warm: p50 ${share(0.5)}, p99 ${share(0.99)}`)
  out(`peak memory: ${busy.memory().toFixed(0)} MiB; events received meanwhile: ${busy.sent()}`)
}

/** Rounds of errors, web vitals and engagement data to send. A round has 180 visits within 30 days. */
const qualityRounds = 40
/** Number of requests sent at a time. */
const concurrency = 32

/** Sends the events that the page script reports besides page views. The standard data set has only custom events. */
async function sendQualityEvents(url: string, key: string): Promise<void> {
  const end = Date.now()
  for (let seed = 1; seed <= qualityRounds; seed++) {
    const pending = qualityRequests(end, 30, seed)
    const send = async () => {
      for (let request = pending.pop(); request; request = pending.pop()) {
        const answer = await fetch(`${url}${request.path}?client_id=${website}`, {
          method: "POST",
          headers: { ...request.headers, Authorization: `Bearer ${key}` },
          body: JSON.stringify(request.items),
        })
        if (!answer.ok) throw new Error(`${request.path}: ${answer.status} ${await answer.text()}`)
      }
    }
    await Promise.all(Array.from({ length: concurrency }, send))
  }
}

async function get(url: string, key: string, path: string): Promise<void> {
  const answer = await fetch(`${url}/v1/${path}`, { headers: { Authorization: `Bearer ${key}` } })
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
  await answer.arrayBuffer()
}

async function runQueries(url: string, key: string, body: Body, site = website): Promise<Answers["data"]> {
  const answer = await fetch(`${url}/v1/query?website_id=${site}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${answer.status} ${text}`)
  const { data } = JSON.parse(text) as Answers
  for (const { parameter, error } of data) if (error !== undefined) throw new Error(`${parameter}: ${error}`)
  return data
}

async function matchedBy(
  url: string,
  key: string,
  { filters = [], kinds = ["custom"] }: Pick<View, "filters" | "kinds">,
): Promise<number> {
  const parameters = [{ name: "events", kinds, measures: ["events"] }]
  const [totals] = await runQueries(url, key, { parameters, filters })
  return Number(totals?.data[0]?.events)
}

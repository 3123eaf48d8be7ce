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
  /** Requests sent together. `round`: from 0, for requests that query something else each time. */
  requests: (round: number) => Body[]
  /** Filters that all of its requests share. */
  filters?: object[]
}

const unfiltered = 100
const filtered = 300
/** ms for which a visitor counts as active after an event. */
const activeFor = 300_000

const ofEvent = (op: string, value: unknown) => ({ field: "event_name", op, value })
const ofProperty = (key: string, value: string) => ({ field: `property.${key}`, op: "eq", value })
const steps = ["event_1", "event_2", "event_3"]
const person = "user-4242"

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

/** A page with one kind of query. */
function one(parameter: object, filters: object[] = [], more: object = {}): Body[] {
  return [{ parameters: [parameter], filters, ...more }]
}

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
    name: "overview of another zone",
    atMost: unfiltered,
    requests: () => overview("daily", [], { timeZone: "America/New_York" }),
  },
  {
    name: "overview, two weeks, with those before",
    atMost: unfiltered,
    requests: () => overview("daily", [], { preset: "last_14d" }),
  },
  { name: "overview, plan is pro", atMost: filtered, requests: () => overview("daily", pro), filters: pro },
  { name: "overview, one page", atMost: filtered, requests: () => overview("daily", page), filters: page },
  {
    name: "overview, another page each time",
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
  { name: "people", atMost: filtered, requests: () => one({ name: "people", limit: 50 }) },
  {
    name: "people, searched",
    atMost: filtered,
    requests: () => one({ name: "people", limit: 50, search: "4242" }),
    filters: [{ field: "anonymous_id", op: "contains", value: "4242" }],
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
]

/** Prints how long each view takes while events arrive. The views alternate, so that they share the cache. */
export async function benchViews({ rounds, ...options }: Options): Promise<void> {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  await using busy = await startBusy(options)
  const { server, key } = busy
  const { events } = options
  const times = views.map((): number[] => [])
  for (let round = 0; round <= rounds; round++) {
    for (const [index, view] of views.entries()) {
      const bodies = view.requests(round)
      const begin = performance.now()
      try {
        await Promise.all(bodies.map((body) => runQueries(server.url, key, body)))
        times[index]?.push(performance.now() - begin)
      } catch (error) {
        // The times of the others are still useful.
        process.stderr.write(`${view.name}: ${error instanceof Error ? error.message : error}\n`)
      }
    }
  }
  out(
    `\n| ${events.toLocaleString("en")} events, ms | warm, p50 | max | first time | at most | events matched |`,
  )
  out("|---|---:|---:|---:|---:|---:|")
  for (const [index, { name, atMost, filters = [] }] of views.entries()) {
    const [first, ...warm] = times[index] ?? []
    warm.sort((a, b) => a - b)
    const shown = [warm[Math.floor(warm.length / 2)], warm.at(-1), first]
    const cells = shown.map((ms) => ms?.toFixed(0) ?? "failed")
    const matched = await matchedBy(server.url, key, filters)
    out(`| ${[name, ...cells, atMost, matched.toLocaleString("en")].join(" | ")} |`)
  }
  const all = times.flatMap(([, ...warm]) => warm).sort((a, b) => a - b)
  const share = (part: number) => all[Math.ceil(part * all.length) - 1]?.toFixed(0)
  out(`\nall pages, warm: p50 ${share(0.5)}, p99 ${share(0.99)}`)
  out(`most memory: ${busy.memory().toFixed(0)} MiB; events that came in meanwhile: ${busy.sent()}`)
}

async function runQueries(url: string, key: string, body: Body): Promise<Answers["data"]> {
  const answer = await fetch(`${url}/v1/query?website_id=${website}`, {
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

async function matchedBy(url: string, key: string, filters: object[]): Promise<number> {
  const [summary] = await runQueries(url, key, { parameters: ["custom_events_summary"], filters })
  return Number(summary?.data[0]?.total_events)
}

import { constants, copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Server, startServer } from "../harness.ts"
import { standardEvents } from "./dataset.ts"
import { website } from "./engines.ts"
import { prepare } from "./prepare.ts"

interface Options {
  events: number
  rounds: number
  dir?: string
}

type Body = { parameters: (object | string)[] } & Record<string, unknown>

interface Answers {
  data: { parameter: string; error?: string; data: Record<string, unknown>[] }[]
}

/** All that a page asks for at once. */
interface View {
  name: string
  /** ms that it may take, of all its answers. */
  atMost: number
  /** Sent together; `round`: from 0 on, for those that ask something else each time. */
  requests: (round: number) => Body[]
  /** What its events have in common. */
  filters?: object[]
}

const unfiltered = 100
const filtered = 300
/** A second; each comes in a request of its own. */
const eventsMeanwhile = 50
/** The events of some seconds, for the events that come in are sent over and over. */
const sentEvents = 1_000
/** ms back from now that somebody counts as active. */
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

/** A page of one kind of question. */
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

/** Prints how long each view takes while events come in, all of them by turns, so that they share what is kept in memory. */
export async function benchViews({ events, rounds, dir }: Options): Promise<void> {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  const parent = dir ?? mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  const { folder } = await prepare(parent, join(parent, "engines"), events, ["databuddy"])
  const key = readFileSync(join(folder, "key"), "utf8")
  // The events that come in are not to be in the data that a later run asks about.
  const copies = mkdtempSync(join(folder, "views-"))
  const db = join(copies, "databuddy.db")
  copyFileSync(join(folder, "databuddy.db"), db, constants.COPYFILE_FICLONE)
  await letGo(copies)
  const server = await startServer({ db })
  const sending = sendMeanwhile(server.url, key)
  try {
    const times = views.map((): number[] => [])
    for (let round = 0; round <= rounds; round++) {
      for (const [index, view] of views.entries()) {
        const bodies = view.requests(round)
        const begin = performance.now()
        try {
          await Promise.all(bodies.map((body) => ask(server.url, key, body)))
          times[index]?.push(performance.now() - begin)
        } catch (error) {
          // The others' times are worth having all the same.
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
    out(`\nmost memory: ${memoryOf(server).toFixed(0)} MiB; events that came in meanwhile: ${sending.sent()}`)
  } finally {
    await sending.stop()
    await server.stop()
    rmSync(dir === undefined ? parent : copies, { recursive: true })
  }
}

/** What the system has cached of the files, once they are on the disk. */
async function letGo(folder: string): Promise<void> {
  const drop = ["dd", "if={}", "iflag=nocache", "count=0", "status=none", ";"]
  for (const command of [
    ["sync", "-f", folder],
    ["find", folder, "-type", "f", "-exec", ...drop],
  ]) {
    await Bun.spawn(command, { stdout: "ignore", stderr: "inherit" }).exited
  }
}

async function ask(url: string, key: string, body: Body): Promise<Answers["data"]> {
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
  const [summary] = await ask(url, key, { parameters: ["custom_events_summary"], filters })
  return Number(summary?.data[0]?.total_events)
}

/** Events of now, of known visitors in new sessions. */
function sendMeanwhile(url: string, key: string): { sent: () => number; stop: () => Promise<void> } {
  const bodies = [...standardEvents(sentEvents, Date.now(), 2)].map(({ timestamp: _, ...event }) =>
    JSON.stringify({ ...event, sessionId: `now-${event.sessionId}`, websiteId: website }),
  )
  let count = 0
  let last = Promise.resolve()
  const send = async () => {
    const answer = await fetch(`${url}/track`, {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: bodies[count++ % bodies.length] as string,
    })
    if (!answer.ok) throw new Error(`/track: ${answer.status} ${await answer.text()}`)
  }
  const timer = setInterval(() => {
    last = send()
  }, 1_000 / eventsMeanwhile)
  return {
    sent: () => count,
    stop: async () => {
      clearInterval(timer)
      await last
    },
  }
}

function memoryOf({ pid }: Server): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024
}

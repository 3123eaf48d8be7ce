import type { Command } from "commander"
import { eventKinds } from "../event-kinds.ts"
import type { Row } from "../query-api/query-spec.ts"
import type { Context } from "../terminal/context.ts"
import { printJson, shown, sparkline } from "../terminal/print.ts"
import { addWhereOptions, runQueries, type Where } from "../terminal/query-client.ts"
import { printRows } from "./query.ts"

interface StatsOptions extends Where {
  zone?: string
  json?: boolean
}

const comparison = { compare: "previous_period" } as const

/** Parameters of the overview's query. */
const parameters = [
  { name: "custom_events_summary", id: "today", preset: "today", ...comparison },
  { name: "custom_events_summary", id: "last_7d", preset: "last_7d", ...comparison },
  { name: "custom_events_summary", id: "last_30d", preset: "last_30d", ...comparison },
  { name: "custom_events_trends", id: "days", preset: "last_30d" },
  { name: "custom_events", id: "names", preset: "last_7d", limit: 8, ...comparison },
  {
    name: "events",
    id: "kinds",
    preset: "last_7d",
    kinds: eventKinds,
    by: ["kind"],
    measures: ["events", "users"],
    ...comparison,
  },
]

export function addStatsCommand(root: Command, context: Context): void {
  const command = root
    .command("stats")
    .description("show an overview of the last 30 days")
    .option("--zone <zone>", "time zone of days, such as Europe/Berlin (default: UTC)")
    .option("--json", "print JSON")
  addWhereOptions(command).action((options: StatsOptions) => stats(options, context))
}

async function stats(options: StatsOptions, context: Context): Promise<void> {
  const body = { parameters, ...(options.zone === undefined ? {} : { timeZone: options.zone }) }
  const entries = await runQueries(body, options, context)
  if (options.json) {
    printJson(Object.fromEntries(entries.map(({ parameter, data }) => [parameter, data])), context)
    return
  }
  const dataOf = (id: string) => entries.find(({ parameter }) => parameter === id)?.data ?? []
  const counts = ["today", "last_7d", "last_30d"].map((id) => {
    const { total_events, unique_users, unique_sessions, previous } = (dataOf(id)[0] ?? {}) as Row
    return { period: id.replace("_", " "), total_events, unique_users, unique_sessions, previous }
  })
  context.out(`${shown(options.website ?? "all events")}\n\n`)
  printRows(counts, { ...context, outIsTerminal: false })
  const days = dataOf("days").map((row) => Number(row.total_events))
  context.out(
    `\nevents per day, last 30 days, maximum ${Math.max(...days).toLocaleString("en-US")}\n${sparkline(days)}\n`,
  )
  const names = dataOf("names").map(({ name, total_events, unique_users, previous }) => ({
    name,
    total_events,
    unique_users,
    previous,
  }))
  const compared = "last 7 days compared to the previous 7 days (to the same time of day)"
  if (names.length > 0) {
    context.out(`\ntop events, ${compared}\n\n`)
    printRows(names, context)
  }
  const kinds = dataOf("kinds")
  if (kinds.every(({ kind }) => kind === "custom")) return
  context.out(`\nevents by kind, ${compared}\n\n`)
  printRows(kinds, context)
}

import { type Command, Option } from "commander"
import type { RefusalJson } from "../admin-api/schema.ts"
import { whole } from "../config.ts"
import { keptRefusals } from "../http/rejected-requests.ts"
import { callServer } from "../terminal/api-client.ts"
import type { Context } from "../terminal/context.ts"
import { printJson, printTable } from "../terminal/print.ts"

interface RefusalsOptions {
  url: string
  website?: string
  reason?: string
  limit: number
  json?: boolean
}

export function addRefusalsCommand(root: Command, context: Context): void {
  root
    .command("refusals")
    .description("show the requests that a running server refused last, with a key in DATABUDDY_KEY")
    .addOption(
      new Option("--url <url>", "where the server is").env("DATABUDDY_URL").default("http://127.0.0.1:4000"),
    )
    .option("--website <id>", "of one website")
    .option("--reason <reason>", "of one reason, such as invalid_shape")
    .option("--limit <number>", "the newest so many", whole(1, keptRefusals), 50)
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  DATABUDDY_KEY=dbdy_… databuddy refusals --reason invalid_shape")
    .action((options: RefusalsOptions) => show(options, context))
}

async function show(options: RefusalsOptions, context: Context): Promise<void> {
  const query = new URLSearchParams({ limit: String(options.limit) })
  if (options.website !== undefined) query.set("website_id", options.website)
  if (options.reason !== undefined) query.set("reason", options.reason)
  const { refusals } = (await callServer(options.url, `/v1/refusals?${query}`, context)) as {
    refusals: RefusalJson[]
  }
  if (options.json) {
    printJson(refusals, context)
    return
  }
  const rows = refusals.map((one) => [
    `${one.time.slice(0, 10)} ${one.time.slice(11, 19)} UTC`,
    one.path,
    String(one.status),
    one.reason,
    one.websiteId ?? "-",
    String(one.events ?? "-"),
    one.names.join(", ") || "-",
    one.keys.join(", ") || "-",
  ])
  printTable(["TIME", "PATH", "STATUS", "REASON", "WEBSITE", "EVENTS", "NAMES", "KEYS"], rows, context)
}

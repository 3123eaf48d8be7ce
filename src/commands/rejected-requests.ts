import { type Command, Option } from "commander"
import type { RejectedRequestJson } from "../admin-api/rejected-request-schema.ts"
import { integer } from "../flag-values.ts"
import { maxRejectedRequests } from "../http/rejected-requests.ts"
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

export function addRejectedRequestsCommand(root: Command, context: Context): void {
  root
    .command("refusals")
    .description("list recent requests that a running server rejected (needs a key in DATABUDDY_KEY)")
    .addOption(
      new Option("--url <url>", "URL of the server").env("DATABUDDY_URL").default("http://127.0.0.1:4000"),
    )
    .option("--website <id>", "filter by website")
    .option("--reason <reason>", "filter by reason, such as invalid_shape")
    .option(
      "--limit <number>",
      "number of requests to list, newest first",
      integer(1, maxRejectedRequests),
      50,
    )
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  DATABUDDY_KEY=dbdy_… databuddy refusals --reason invalid_shape")
    .action((options: RefusalsOptions) => show(options, context))
}

async function show(options: RefusalsOptions, context: Context): Promise<void> {
  const query = new URLSearchParams({ limit: String(options.limit) })
  if (options.website !== undefined) query.set("website_id", options.website)
  if (options.reason !== undefined) query.set("reason", options.reason)
  const { refusals } = await callServer<{ refusals: RejectedRequestJson[] }>(
    options.url,
    `/v1/refusals?${query}`,
    context,
  )
  if (options.json) {
    printJson(refusals, context)
    return
  }
  const rows = refusals.map((request) => [
    `${request.time.slice(0, 10)} ${request.time.slice(11, 19)} UTC`,
    request.path,
    String(request.status),
    request.reason,
    request.websiteId ?? "-",
    String(request.events ?? "-"),
    request.names.join(", ") || "-",
    request.keys.join(", ") || "-",
  ])
  printTable(["TIME", "PATH", "STATUS", "REASON", "WEBSITE", "EVENTS", "NAMES", "KEYS"], rows, context)
}

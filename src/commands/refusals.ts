import { type Command, Option } from "commander"
import { whole } from "../config.ts"
import { Complaint } from "../errors.ts"
import { keptRefusals } from "../http/refusals.ts"
import type { RefusalJson } from "../manage/schema.ts"
import type { Context } from "./context.ts"
import { printJson, printTable } from "./print.ts"

interface RefusalsOptions {
  url: string
  website?: string
  reason?: string
  limit: number
  json?: boolean
}

/** ms that the server has to answer. */
const timeout = 10_000

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
  const { refusals } = await ask(options, context.env.DATABUDDY_KEY ?? "")
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

async function ask(options: RefusalsOptions, key: string): Promise<{ refusals: RefusalJson[] }> {
  // An argument would be seen by everybody who lists processes.
  if (key === "") throw new Complaint("DATABUDDY_KEY is not set", "put a key with the scope read:data there")
  const url = URL.parse(options.url)
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new Complaint(`--url ${options.url} is no address`, "give it as http://127.0.0.1:4000")
  }
  const query = new URLSearchParams({ limit: String(options.limit) })
  if (options.website !== undefined) query.set("website_id", options.website)
  if (options.reason !== undefined) query.set("reason", options.reason)
  const { status, text } = await get(`${url.href.replace(/\/$/, "")}/v1/refusals?${query}`, url.origin, key)
  const body = parsed(text)
  if (status === 200 && Array.isArray(body?.refusals)) return body as { refusals: RefusalJson[] }
  throw new Complaint(
    `${url.origin} answered ${status}${typeof body?.error === "string" ? `: ${body.error}` : ""}`,
    hints[status] ?? "--url names the server, and --help shows what can be asked",
  )
}

const hints: Record<number, string> = {
  401: "DATABUDDY_KEY must hold a key that works: databuddy key list shows which do",
  403: "it takes a key with the scope read:data, for that website: databuddy key create --scope read:data",
}

async function get(address: string, origin: string, key: string): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(address, {
      headers: { Authorization: `Bearer ${key}` },
      // The key is for this server, not for one that it names.
      redirect: "manual",
      signal: AbortSignal.timeout(timeout),
    })
    return { status: response.status, text: await response.text() }
  } catch (error) {
    throw new Complaint(
      `no answer from ${origin}: ${(error as Error).message}`,
      "start the server, or give its address with --url",
    )
  }
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text)
    return typeof value === "object" && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

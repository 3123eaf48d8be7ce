import type { Command } from "commander"
import { closeAfterReading, openForReading } from "../store/db/open.ts"
import { EventFollower, type FollowedEvent, followedEventJson } from "../store/event-follower.ts"
import { openStream } from "../terminal/api-client.ts"
import type { Context } from "../terminal/context.ts"
import { collect, requireDatabase } from "../terminal/database.ts"
import { printJson, shown } from "../terminal/print.ts"
import { addWhereOptions, ridsOf, type Where } from "../terminal/query-client.ts"

interface TailOptions extends Where {
  name?: string[]
  crawlers?: boolean
  json?: boolean
}

type ShownEvent = ReturnType<typeof followedEventJson>

/** Time between reads of the file, in ms. */
const pollInterval = 250
/** Maximum number of ids per read. */
const batchSize = 5_000

export function addEventsCommands(root: Command, context: Context): void {
  const events = root.command("events").description("watch individual events")
  const tail = events
    .command("tail")
    .description("print events as they are stored, until you press Ctrl-C")
    .option("--name <name>", "only events with this name; can be repeated", collect)
    .option("--crawlers", "include events from crawlers")
    .option("--json", "print one JSON object per line")
  addWhereOptions(tail).action((options: TailOptions) => follow(options, context))
}

async function follow(options: TailOptions, context: Context): Promise<void> {
  const stop = new AbortController()
  void context.stopSignal().then(() => stop.abort())
  const events =
    options.url === undefined
      ? eventsOfFile(options, context, stop.signal)
      : eventsOfServer(options.url, options, context, stop.signal)
  for await (const event of events) {
    if (options.json) printJson(event, context)
    else await context.outAndWait(`${lineOf(event)}\n`)
  }
}

function lineOf({ timestamp, event_name, ...event }: ShownEvent): string {
  const ids = [event.website_id, event.path, event.profile_id ?? event.anonymous_id].map((id) => id ?? "-")
  const properties = JSON.stringify(event.properties)
  return [timestamp.slice(0, 19).replace("T", " "), event_name, ...ids, properties].map(shown).join("  ")
}

async function* eventsOfFile(
  options: TailOptions,
  context: Context,
  signal: AbortSignal,
): AsyncGenerator<ShownEvent> {
  const { sleep } = context
  const db = openForReading(requireDatabase(options))
  try {
    const websites = new Set(ridsOf(db, options.website))
    const matches = ({ website_rid, event_name, crawler }: FollowedEvent) =>
      (options.website === undefined || options.website === "all" || websites.has(website_rid)) &&
      (options.name?.includes(event_name) ?? true) &&
      (options.crawlers || crawler === 0)
    const follower = new EventFollower(db)
    printWaiting(db.name, context)
    for (let after = follower.newest(); !signal.aborted; ) {
      const last = Math.min(follower.newest(), after + batchSize)
      if (last > after) {
        for (const event of follower.between(after, last).filter(matches)) yield followedEventJson(event)
        after = last
      } else await sleep(pollInterval)
    }
  } finally {
    closeAfterReading(db)
  }
}

/** Shows that the command is running, because it can take a while until the first event arrives. */
function printWaiting(source: string, { errIsTerminal, err }: Context): void {
  if (errIsTerminal) err(`waiting for events from ${shown(source)}; press Ctrl-C to stop\n`)
}

async function* eventsOfServer(
  url: string,
  options: TailOptions,
  context: Context,
  signal: AbortSignal,
): AsyncGenerator<ShownEvent> {
  const query = new URLSearchParams({ website_id: options.website ?? "all" })
  for (const name of options.name ?? []) query.append("name", name)
  if (options.crawlers) query.set("crawlers", "true")
  const decoder = new TextDecoder()
  let text = ""
  try {
    const stream = await openStream(url, `/v1/events/stream?${query}`, context, signal)
    printWaiting(url, context)
    for await (const chunk of stream) {
      const messages = (text + decoder.decode(chunk, { stream: true })).split("\n\n")
      text = messages.pop() ?? ""
      for (const message of messages) {
        const [, data] = /^data: (.*)$/m.exec(message) ?? []
        const [, kind] = /^event: (.*)$/m.exec(message) ?? []
        if (kind !== undefined) context.err(`message from the server: ${kind} ${shown(data ?? "")}\n`)
        // The type assertion is safe because the server sends what `followedEventJson` returns.
        else if (data !== undefined) yield JSON.parse(data) as ShownEvent
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

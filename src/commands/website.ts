import { type Command, Option } from "commander"
import { changeWebsite, parseNewWebsite, parseWebsiteChanges, websiteJson } from "../admin-api/input.ts"
import type { WebsiteJson } from "../admin-api/schema.ts"
import { UserError } from "../errors.ts"
import { releaseFreePages } from "../store/data-retention.ts"
import type { Db } from "../store/db/driver.ts"
import { sweepDeleted } from "../store/deleted-websites.ts"
import { countEvents, sweepPause, sweepRows } from "../store/events.ts"
import { removedText, removedTotals } from "../store/removed-days.ts"
import { deleteUnusedTypes, typeCheckPause } from "../store/unused-event-types.ts"
import {
  anonymizeSettings,
  createWebsite,
  deleteWebsite,
  findWebsite,
  listWebsites,
  type Website,
} from "../store/websites.ts"
import type { Context } from "../terminal/context.ts"
import {
  addDataOptions,
  collect,
  type DataOptions,
  inTransaction,
  readDatabase,
  withDatabase,
} from "../terminal/database.ts"
import { countText, printFields, printJson, printTable, shortTime, shown } from "../terminal/print.ts"
import { Progress } from "../terminal/progress.ts"

interface CreateOptions extends DataOptions {
  name?: string
  id?: string
  allowedOrigin?: string[]
  anonymize?: string
  retain?: string
  pageIdentify?: "on" | "off"
}

interface UpdateOptions extends DataOptions {
  domain?: string
  name?: string
  /** False for --no-allowed-origin. */
  allowedOrigin?: string[] | false
  anonymize?: string
  retain?: string
  pageIdentify?: "on" | "off"
  /** False for --no-lower-is-better. */
  lowerIsBetter?: string[] | false
}

interface DeleteOptions extends DataOptions {
  yes?: boolean
}

/** A running server notices within this many ms that a website was deleted. It then stores no more events for it. */
const registryDelay = 1_000
const exampleId = "550e8400-e29b-41d4-a716-446655440000"

export function addWebsiteCommands(root: Command, context: Context): void {
  const website = root.command("website").description("manage websites")

  const createCommand = website
    .command("create <domain>")
    .description("create a website; pages of the domain and its subdomains can send events to it")
    .option("--name <name>", "display name (default: the domain)")
    .option(
      "--id <id>",
      '1 to 255 of the characters A-Z a-z 0-9 . _ - but not ".", "..", "all" or "none" (default: a new UUID)',
    )
    .option(
      "--allowed-origin <origin>",
      "another host that can send events, or an app's origin such as capacitor://localhost; can be repeated",
      collect,
    )
    .addOption(anonymizeOption())
    .addOption(retainOption())
    .addOption(pageIdentifyOption())
  addDataOptions(createCommand, "website create example.com --allowed-origin shop.example.net").action(
    (domain: string, options: CreateOptions) => create(domain, options, context),
  )

  const listCommand = website.command("list").description("list all websites")
  addDataOptions(listCommand, "website list --json").action((options: DataOptions) => list(options, context))

  const showCommand = website.command("show <id>").description("show one website and its number of events")
  addDataOptions(showCommand, `website show ${exampleId}`).action((id: string, options: DataOptions) =>
    show(id, options, context),
  )

  const updateCommand = website
    .command("update <id>")
    .description("change a website")
    .option("--domain <host>", "new domain")
    .option("--name <name>", "new display name")
    .option(
      "--allowed-origin <origin>",
      "another host that can send events; replaces the current hosts; can be repeated",
      collect,
    )
    .option("--no-allowed-origin", "allow no other hosts")
    .addOption(anonymizeOption())
    .addOption(retainOption())
    .addOption(pageIdentifyOption())
    .option(
      "--lower-is-better <event>",
      "an event that should decrease, such as an error; replaces the current events; can be repeated",
      collect,
    )
    .option("--no-lower-is-better", "treat changes in all events as neutral")
  addDataOptions(updateCommand, `website update ${exampleId} --anonymize daily`).action(
    (id: string, options: UpdateOptions, command: Command) => update(id, options, context, command),
  )

  const pauseCommand = website
    .command("pause <id>")
    .description("reject a website's events until it is resumed; stored events are kept")
  addDataOptions(pauseCommand, `website pause ${exampleId}`).action((id: string, options: DataOptions) =>
    change(id, { paused: true }, options, context),
  )

  const resumeCommand = website.command("resume <id>").description("accept events of a paused website again")
  addDataOptions(resumeCommand, `website resume ${exampleId}`).action((id: string, options: DataOptions) =>
    change(id, { paused: false }, options, context),
  )

  const deleteCommand = website
    .command("delete <id>")
    .description("permanently delete a website and all its events")
    .option("--yes", "delete; without it, only show what would be deleted")
  addDataOptions(deleteCommand, `website delete ${exampleId} --yes`).action(
    (id: string, options: DeleteOptions) => remove(id, options, context),
  )
}

function anonymizeOption(): Option {
  return new Option(
    "--anonymize <how>",
    '"daily" stores the ids of visitors only as a hash that changes daily',
  ).choices(anonymizeSettings)
}

function retainOption(): Option {
  return new Option(
    "--retain <duration>",
    'how long to keep the website\'s events: a duration such as 90d, "forever", or "default" (the value of --retain on the server)',
  )
}

function pageIdentifyOption(): Option {
  return new Option(
    "--page-identify <on|off>",
    "let pages identify visitors; data from pages is stored as unverified claims and never overwrites data sent with a key (default: on)",
  ).choices(["on", "off"])
}

/** Returns true for `on` and false for `off`, or undefined if the option is not given. */
function switchOf(value: "on" | "off" | undefined): boolean | undefined {
  return value === undefined ? undefined : value === "on"
}

async function create(domain: string, options: CreateOptions, context: Context): Promise<void> {
  const { name, anonymize, retain, allowedOrigin: allowedOrigins, id: sentId } = options
  const pageIdentify = switchOf(options.pageIdentify)
  const input = { domain, name, anonymize, retain, allowedOrigins, pageIdentify, id: sentId }
  const { id = context.newId(), settings } = parseNewWebsite(input)
  const create = (db: Db) =>
    inTransaction(db, () => createWebsite(db, id, settings, context.environment.now()))
  print(await withDatabase(options, context, create, { createIfMissing: true }), options, context)
}

function list(options: DataOptions, context: Context): void {
  const websites = readDatabase(options, listWebsites).map(websiteJson)
  if (options.json) printJson(websites, context)
  else if (websites.length === 0)
    context.out("no websites yet; create one with `databuddy website create <domain>`\n")
  else {
    const rows = websites.map((website) => [
      website.id,
      website.domain,
      website.name,
      website.anonymize,
      website.retain,
      stateOf(website),
      shortTime(website.createdAt, ""),
    ])
    printTable(["ID", "DOMAIN", "NAME", "ANONYMIZE", "RETAIN", "STATE", "CREATED"], rows, context)
  }
}

function show(id: string, options: DataOptions, context: Context): void {
  readDatabase(options, (db) => {
    const website = findWebsite(db, id)
    print(website, options, context, { events: countEvents(db, website.rid) })
  })
}

async function update(id: string, options: UpdateOptions, context: Context, command: Command): Promise<void> {
  const { domain, name, anonymize, retain, allowedOrigin } = options
  const changes = {
    domain,
    name,
    anonymize,
    retain,
    allowedOrigins: allowedOrigin === false ? [] : allowedOrigin,
    pageIdentify: switchOf(options.pageIdentify),
    lowerIsBetter: options.lowerIsBetter === false ? [] : options.lowerIsBetter,
  }
  if (Object.values(changes).every((value) => value === undefined)) {
    command.error(
      "error: nothing to change: use --domain, --name, --allowed-origin, --anonymize, --retain, --page-identify or --lower-is-better",
    )
  }
  await change(id, changes, options, context)
}

/** Changes a website. `input` has the format of a PATCH body. */
async function change(id: string, input: object, options: DataOptions, context: Context): Promise<void> {
  const changes = parseWebsiteChanges(input)
  await withDatabase(options, context, (db) => {
    const website = inTransaction(db, () => changeWebsite(db, id, changes, context.environment.now()))
    print(website, options, context)
  })
}

async function remove(id: string, options: DeleteOptions, context: Context): Promise<void> {
  await withDatabase(options, context, async (db) => {
    const website = findWebsite(db, id)
    const events = countEvents(db, website.rid)
    const what = `the website ${website.id} (${shown(website.domain)}) and its ${countText(events, "event")}`
    if (!options.yes) {
      throw new UserError(`this would permanently delete ${what}`, "add --yes to confirm")
    }
    const removed = removedTotals(db, [website.rid])
    inTransaction(db, () => deleteWebsite(db, id, context.environment.now()))
    await context.sleep(registryDelay)
    await sweep(db, events, context)
    if (options.json) printJson({ id: website.id, events }, context)
    else context.out(`deleted ${what}\n`)
    if (removed && !options.json)
      context.out(
        `note: ${removedText(removed)}; a server with --clickhouse also deletes them from the cluster\n`,
      )
  })
}

/** Deletes the events of deleted websites. If this is interrupted, the next `serve` or `website delete` continues. */
async function sweep(db: Db, events: number, context: Context): Promise<void> {
  const progress = new Progress(context)
  let done = 0
  while (inTransaction(db, () => sweepDeleted(db, context.environment.now()))) {
    done = Math.min(done + sweepRows, events)
    progress.show(() => `deleted ${done} of ${countText(events, "event")}`)
    await context.sleep(sweepPause)
  }
  progress.end()
  await deleteUnusedTypes(db, {
    write: (work) => inTransaction(db, work),
    pause: async () => {
      await context.sleep(typeCheckPause)
      return true
    },
  })
  while (inTransaction(db, () => releaseFreePages(db))) await context.sleep(sweepPause)
}

function print(
  website: Website,
  options: DataOptions,
  context: Context,
  more: { events?: number } = {},
): void {
  const json = websiteJson(website)
  if (options.json) {
    printJson({ ...json, ...more }, context)
    return
  }
  const fields: Record<string, string> = {
    id: json.id,
    domain: json.domain,
    name: json.name,
    "allowed origins": json.allowedOrigins.join(", ") || "only the domain",
    anonymize: json.anonymize,
    retain: json.retain === "default" ? "server default (--retain)" : json.retain,
    "page identify": json.pageIdentify ? "on" : "off",
    "lower is better": json.lowerIsBetter.join(", ") || "no events",
    state: stateOf(json),
    created: shortTime(json.createdAt, ""),
  }
  if (more.events !== undefined) fields.events = String(more.events)
  printFields(fields, context)
}

function stateOf(website: WebsiteJson): string {
  return website.pausedAt === null ? "active" : `paused since ${shortTime(website.pausedAt, "")}`
}

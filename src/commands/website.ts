import { type Command, Option } from "commander"
import { changeWebsite, readNewWebsite, readWebsiteChanges, websiteJson } from "../admin-api/input.ts"
import type { WebsiteJson } from "../admin-api/schema.ts"
import { UserError } from "../errors.ts"
import type { Db } from "../store/db/driver.ts"
import { checkPause, deleteUnusedTypes } from "../store/event-types.ts"
import { countEvents, sweepDeleted, sweepPause, sweepRows } from "../store/events.ts"
import { giveBackRoom } from "../store/retention.ts"
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
  withDatabase,
} from "../terminal/database.ts"
import { printFields, printJson, printTable, shortTime, shown } from "../terminal/print.ts"

interface CreateOptions extends DataOptions {
  name?: string
  id?: string
  allowedOrigin?: string[]
  anonymize?: string
  retain?: string
}

interface UpdateOptions extends DataOptions {
  domain?: string
  name?: string
  /** false: --no-allowed-origin */
  allowedOrigin?: string[] | false
  anonymize?: string
  retain?: string
}

interface DeleteOptions extends DataOptions {
  yes?: boolean
}

/** ms until a running server has noticed that a website is gone, and stores no more events of it. */
const noticed = 1_000
const exampleId = "550e8400-e29b-41d4-a716-446655440000"

export function addWebsiteCommands(root: Command, context: Context): void {
  const website = root.command("website").description("look after the websites that events belong to")

  const creating = website
    .command("create <domain>")
    .description("make a website; pages of the domain and of its subdomains may send events to it")
    .option("--name <name>", "for people to tell websites apart (default: the domain)")
    .option("--id <id>", "1 to 255 of A-Z a-z 0-9 . _ -, not . .. all none (default: a new UUID)")
    .option(
      "--allowed-origin <origin>",
      "a further host whose pages may send, or an app's origin such as capacitor://localhost; can be repeated",
      collect,
    )
    .addOption(anonymizeOption())
    .addOption(retainOption())
  addDataOptions(creating, "website create example.com --allowed-origin shop.example.net").action(
    (domain: string, options: CreateOptions) => create(domain, options, context),
  )

  const listing = website.command("list").description("show all websites")
  addDataOptions(listing, "website list --json").action((options: DataOptions) => list(options, context))

  const showing = website.command("show <id>").description("show one website, and how many events it has")
  addDataOptions(showing, `website show ${exampleId}`).action((id: string, options: DataOptions) =>
    show(id, options, context),
  )

  const updating = website
    .command("update <id>")
    .description("change a website")
    .option("--domain <host>", "another host")
    .option("--name <name>", "another name")
    .option("--allowed-origin <origin>", "in place of those that may send so far; can be repeated", collect)
    .option("--no-allowed-origin", "no others may send")
    .addOption(anonymizeOption())
    .addOption(retainOption())
  addDataOptions(updating, `website update ${exampleId} --anonymize daily`).action(
    (id: string, options: UpdateOptions, command: Command) => update(id, options, context, command),
  )

  const pausing = website
    .command("pause <id>")
    .description("refuse a website's events until it is resumed; those it has are kept")
  addDataOptions(pausing, `website pause ${exampleId}`).action((id: string, options: DataOptions) =>
    change(id, { paused: true }, options, context),
  )

  const resuming = website.command("resume <id>").description("take the events of a paused website again")
  addDataOptions(resuming, `website resume ${exampleId}`).action((id: string, options: DataOptions) =>
    change(id, { paused: false }, options, context),
  )

  const deleting = website
    .command("delete <id>")
    .description("delete a website and all its events, for good")
    .option("--yes", "do it; without this it only says what would be deleted")
  addDataOptions(deleting, `website delete ${exampleId} --yes`).action((id: string, options: DeleteOptions) =>
    remove(id, options, context),
  )
}

function anonymizeOption(): Option {
  return new Option(
    "--anonymize <how>",
    "daily: store visitors' ids as a hash that changes every day",
  ).choices(anonymizeSettings)
}

function retainOption(): Option {
  return new Option(
    "--retain <time>",
    "keep its events for so long, such as 90d; forever; default: as the server's --retain says",
  )
}

async function create(domain: string, options: CreateOptions, context: Context): Promise<void> {
  const { name, anonymize, retain, allowedOrigin: allowedOrigins } = options
  const input = { domain, name, anonymize, retain, allowedOrigins, id: options.id }
  const { id = context.newId(), settings } = readNewWebsite(input)
  const make = (db: Db) => inTransaction(db, () => createWebsite(db, id, settings, context.world.now()))
  print(await withDatabase(options, context, make, { make: true }), options, context)
}

async function list(options: DataOptions, context: Context): Promise<void> {
  const websites = (await withDatabase(options, context, listWebsites)).map(websiteJson)
  if (options.json) printJson(websites, context)
  else if (websites.length === 0) context.out("no websites: databuddy website create <domain> makes one\n")
  else {
    const rows = websites.map((one) => [
      one.id,
      one.domain,
      one.name,
      one.anonymize,
      one.retain,
      stateOf(one),
      shortTime(one.createdAt, ""),
    ])
    printTable(["ID", "DOMAIN", "NAME", "ANONYMIZE", "RETAIN", "STATE", "CREATED"], rows, context)
  }
}

async function show(id: string, options: DataOptions, context: Context): Promise<void> {
  await withDatabase(options, context, (db) => {
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
  }
  if (Object.values(changes).every((value) => value === undefined)) {
    command.error(
      "error: nothing to change: give --domain, --name, --allowed-origin, --anonymize or --retain",
    )
  }
  await change(id, changes, options, context)
}

/** `input` as the body of a PATCH would be. */
async function change(id: string, input: object, options: DataOptions, context: Context): Promise<void> {
  const changes = readWebsiteChanges(input)
  await withDatabase(options, context, (db) => {
    const website = inTransaction(db, () => changeWebsite(db, id, changes, context.world.now()))
    print(website, options, context)
  })
}

async function remove(id: string, options: DeleteOptions, context: Context): Promise<void> {
  await withDatabase(options, context, async (db) => {
    const website = findWebsite(db, id)
    const events = countEvents(db, website.rid)
    const what = `the website ${website.id} (${shown(website.domain)}) and its ${events} events`
    if (!options.yes) {
      throw new UserError(`this would delete ${what}, for good`, "add --yes to do it")
    }
    inTransaction(db, () => deleteWebsite(db, id, context.world.now()))
    await context.sleep(noticed)
    await sweep(db, events, context)
    if (options.json) printJson({ id: website.id, events }, context)
    else context.out(`deleted ${what}\n`)
  })
}

/** Takes away what is left of deleted websites. Stopped half-way, the next `serve` or `website delete` goes on with it. */
async function sweep(db: Db, events: number, context: Context): Promise<void> {
  let done = 0
  while (inTransaction(db, () => sweepDeleted(db, context.world.now()))) {
    done = Math.min(done + sweepRows, events)
    if (context.errIsTerminal) context.err(`\rdeleted ${done} of ${events} events`)
    await context.sleep(sweepPause)
  }
  if (context.errIsTerminal) context.err("\n")
  await deleteUnusedTypes(db, {
    write: (work) => inTransaction(db, work),
    rest: async () => {
      await context.sleep(checkPause)
      return true
    },
  })
  while (inTransaction(db, () => giveBackRoom(db))) await context.sleep(sweepPause)
}

function print(
  website: Website,
  options: DataOptions,
  context: Context,
  more: { events?: number } = {},
): void {
  const one = websiteJson(website)
  if (options.json) {
    printJson({ ...one, ...more }, context)
    return
  }
  const fields: Record<string, string> = {
    id: one.id,
    domain: one.domain,
    name: one.name,
    "allowed origins": one.allowedOrigins.join(", ") || "none but the domain",
    anonymize: one.anonymize,
    retain: one.retain === "default" ? "as the server's --retain says" : one.retain,
    state: stateOf(one),
    created: shortTime(one.createdAt, ""),
  }
  if (more.events !== undefined) fields.events = String(more.events)
  printFields(fields, context)
}

function stateOf(website: WebsiteJson): string {
  return website.pausedAt === null ? "active" : `paused since ${shortTime(website.pausedAt, "")}`
}

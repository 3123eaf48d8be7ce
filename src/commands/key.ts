import { type Command, InvalidArgumentError } from "commander"
import { changeKey, keyJson, readKeyChanges, readNewKey } from "../admin-api/input.ts"
import { type KeyJson, maxRateLimit } from "../admin-api/schema.ts"
import { whole } from "../config.ts"
import { durationOf } from "../duration.ts"
import { requireWebsites } from "../http/permissions.ts"
import type { Db } from "../store/db/driver.ts"
import { createKey, findKey, type Key, listKeys, revokeKey, rotateKey, scopes } from "../store/keys.ts"
import type { Context } from "../terminal/context.ts"
import {
  addDataOptions,
  collect,
  type DataOptions,
  inTransaction,
  withDatabase,
} from "../terminal/database.ts"
import { printFields, printJson, printTable, shortTime } from "../terminal/print.ts"

interface CreateOptions extends DataOptions {
  name: string
  scope?: string[]
  website?: string[]
  expires?: string | number
  rateLimit?: number
}

const exampleId = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"

export function addKeyCommands(root: Command, context: Context): void {
  const key = root.command("key").description("look after API keys")

  const creating = key
    .command("create")
    .description("make a key and show it, this once")
    .requiredOption("--name <name>", "for people to tell keys apart")
    .option("--scope <scope>", `${scopes.join(", ")}; can be repeated (default: track:events)`, oneScope)
    .option("--website <id>", "limit it to this website; can be repeated (default: all websites)", collect)
    .option("--expires <when>", "such as 90d (s, m, h, d, w), or a date (default: never)", (text) =>
      expiry(text, context.world.now()),
    )
    .option("--rate-limit <requests>", "requests a minute (default: any number)", whole(1, maxRateLimit))
  addDataOptions(creating, "key create --name backend --scope track:events --expires 90d").action(
    (options: CreateOptions) => create(options, context),
  )

  const listing = key.command("list").description("show all keys, but not their secrets")
  addDataOptions(listing, "key list --json").action((options: DataOptions) => list(options, context))

  const showing = key.command("show <id>").description("show one key, but not its secret")
  addDataOptions(showing, `key show ${exampleId}`).action((id: string, options: DataOptions) =>
    act(id, findKey, options, context),
  )

  const revoking = key.command("revoke <id>").description("end a key, for good")
  addDataOptions(revoking, `key revoke ${exampleId}`).action((id: string, options: DataOptions) =>
    act(id, revokeKey, options, context),
  )

  const rotating = key
    .command("rotate <id>")
    .description("give a key a new secret and show it, this once; the old one stops")
  addDataOptions(rotating, `key rotate ${exampleId}`).action((id: string, options: DataOptions) =>
    rotate(id, options, context),
  )

  const disabling = key.command("disable <id>").description("refuse a key until it is enabled again")
  addDataOptions(disabling, `key disable ${exampleId}`).action((id: string, options: DataOptions) =>
    act(id, switchTo({ disabled: true }), options, context),
  )

  const enabling = key.command("enable <id>").description("accept a disabled key again")
  addDataOptions(enabling, `key enable ${exampleId}`).action((id: string, options: DataOptions) =>
    act(id, switchTo({ disabled: false }), options, context),
  )
}

function oneScope(value: string, before: string[] | undefined): string[] {
  if ((scopes as readonly string[]).includes(value)) return collect(value, before)
  throw new InvalidArgumentError(`Allowed choices are ${scopes.join(", ")}.`)
}

/** `90d` → Unix ms; a date stays as it is, for the rules to read. */
function expiry(text: string, now: number): string | number {
  const ms = durationOf(text)
  if (ms !== undefined) return now + ms
  if (/^\d{4}-\d\d-\d\d/.test(text)) return text
  throw new InvalidArgumentError(
    "It must be a time from now such as 12h, 90d or 4w, or a date such as 2030-12-31.",
  )
}

async function create(options: CreateOptions, context: Context): Promise<void> {
  const { name, scope, website, expires, rateLimit } = options
  const { random, now } = context.world
  const input = { name, scopes: scope, websites: website, expiresAt: expires, rateLimit }
  const grant = readNewKey(input, now())
  const make = (db: Db) =>
    inTransaction(db, () => {
      requireWebsites(db, grant.websites)
      const { key, secret } = createKey(db, context.newId(), grant, random, now())
      // Inside the transaction: a key that could not be shown is not made.
      print(key, options, context, secret)
    })
  // No key is limited to a website of a database that is yet to be made.
  await withDatabase(options, context, make, { make: grant.websites === null })
}

async function list(options: DataOptions, context: Context): Promise<void> {
  const keys = (await withDatabase(options, context, listKeys)).map(keyJson)
  if (options.json) printJson(keys, context)
  else if (keys.length === 0) context.out("no keys: databuddy key create --name <name> makes one\n")
  else {
    const rows = keys.map((one) => [
      one.id,
      one.name,
      `${one.start}…`,
      one.scopes.join(" "),
      websitesOf(one),
      stateOf(one, context),
      shortTime(one.expiresAt, "never"),
      shortTime(one.lastUsedAt, "never"),
    ])
    printTable(["ID", "NAME", "KEY", "SCOPES", "WEBSITES", "STATE", "EXPIRES", "LAST USED"], rows, context)
  }
}

async function rotate(id: string, options: DataOptions, context: Context): Promise<void> {
  await withDatabase(options, context, (db) =>
    inTransaction(db, () => {
      const { key, secret } = rotateKey(db, id, context.world.random)
      print(key, options, context, secret)
    }),
  )
}

/** Does one thing with a key and shows it as it is then. */
async function act(
  id: string,
  work: (db: Db, id: string, now: number) => Key,
  options: DataOptions,
  context: Context,
): Promise<void> {
  await withDatabase(options, context, (db) => {
    print(
      inTransaction(db, () => work(db, id, context.world.now())),
      options,
      context,
    )
  })
}

function switchTo(input: { disabled: boolean }) {
  return (db: Db, id: string, now: number) => changeKey(db, id, readKeyChanges(input, now), now)
}

function print(key: Key, options: DataOptions, context: Context, secret?: string): void {
  const one = keyJson(key)
  if (options.json) {
    printJson(secret ? { ...one, key: secret } : one, context)
    return
  }
  printFields(
    {
      id: one.id,
      name: one.name,
      key: secret ?? `${one.start}…`,
      scopes: one.scopes.join(" "),
      websites: websitesOf(one),
      "rate limit": one.rateLimit === null ? "none" : `${one.rateLimit} requests a minute`,
      state: stateOf(one, context),
      created: shortTime(one.createdAt, ""),
      expires: shortTime(one.expiresAt, "never"),
      "last used": shortTime(one.lastUsedAt, "never"),
    },
    context,
  )
  if (secret) context.out("\nThe key is shown this once: keep it now.\n")
}

function websitesOf(key: KeyJson): string {
  return key.websites?.join(" ") ?? "all"
}

function stateOf(key: KeyJson, context: Context): string {
  if (key.revokedAt) return "revoked"
  if (key.disabledAt) return "disabled"
  return key.expiresAt && Date.parse(key.expiresAt) <= context.world.now() ? "expired" : "active"
}

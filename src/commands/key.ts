import { type Command, InvalidArgumentError, Option } from "commander"
import { changeKey, keyJson, parseKeyChanges, parseNewKey } from "../admin-api/input.ts"
import { type KeyJson, maxRateLimit } from "../admin-api/schema.ts"
import { parseDuration } from "../duration.ts"
import { integer } from "../flag-values.ts"
import { requireExistingWebsites } from "../http/permissions.ts"
import type { Db } from "../store/db/driver.ts"
import {
  createKey,
  endKeyOverlap,
  findKey,
  type Key,
  listKeys,
  revokeKey,
  rotateKey,
  scopes,
} from "../store/keys.ts"
import { type Overlap, overlaps } from "../store/rotation.ts"
import type { Context } from "../terminal/context.ts"
import {
  addDataOptions,
  collect,
  type DataOptions,
  inTransaction,
  readDatabase,
  withDatabase,
} from "../terminal/database.ts"
import { printFields, printJson, printTable, requireVisibleOutput, shortTime } from "../terminal/print.ts"

interface CreateOptions extends DataOptions {
  name: string
  scope?: string[]
  website?: string[]
  expires?: string | number
  rateLimit?: number
}

interface RotateOptions extends DataOptions {
  overlap: Overlap
}

const exampleId = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"

export function addKeyCommands(root: Command, context: Context): void {
  const key = root.command("key").description("manage API keys")

  const createCommand = key
    .command("create")
    .description("create a key (shown once)")
    .requiredOption("--name <name>", "a name to recognize the key by")
    .option("--scope <scope>", `${scopes.join(", ")}; can be repeated (default: track:events)`, oneScope)
    .option(
      "--website <id>",
      "limit the key to this website; can be repeated (default: all websites)",
      collect,
    )
    .option("--expires <when>", "a duration such as 90d (s, m, h, d, w) or a date (default: never)", (text) =>
      expiry(text, context.environment.now()),
    )
    .option("--rate-limit <requests>", "requests per minute (default: unlimited)", integer(1, maxRateLimit))
  addDataOptions(createCommand, "key create --name backend --scope track:events --expires 90d").action(
    (options: CreateOptions) => create(options, context),
  )

  const listCommand = key.command("list").description("list all keys, without their secrets")
  addDataOptions(listCommand, "key list --json").action((options: DataOptions) => list(options, context))

  const showCommand = key.command("show <id>").description("show one key, without its secret")
  addDataOptions(showCommand, `key show ${exampleId}`).action((id: string, options: DataOptions) =>
    runOnKey(id, findKey, options, context),
  )

  const revokeCommand = key.command("revoke <id>").description("revoke a key permanently")
  addDataOptions(revokeCommand, `key revoke ${exampleId}`).action((id: string, options: DataOptions) =>
    runOnKey(id, revokeKey, options, context),
  )

  const rotateCommand = key
    .command("rotate <id>")
    .description("replace a key's secret (shown once)")
    .addOption(
      new Option("--overlap <duration>", "how long the current secret keeps working")
        .choices(overlaps)
        .default("none"),
    )
  addDataOptions(rotateCommand, `key rotate ${exampleId} --overlap 1d`).action(
    (id: string, options: RotateOptions) => rotate(id, options, context),
  )

  const endCommand = key
    .command("end-overlap <id>")
    .description("stop accepting the secret that the last rotation replaced")
  addDataOptions(endCommand, `key end-overlap ${exampleId}`).action((id: string, options: DataOptions) =>
    runOnKey(id, endKeyOverlap, options, context),
  )

  const disableCommand = key.command("disable <id>").description("reject a key until it is enabled again")
  addDataOptions(disableCommand, `key disable ${exampleId}`).action((id: string, options: DataOptions) =>
    runOnKey(id, switchTo({ disabled: true }), options, context),
  )

  const enableCommand = key.command("enable <id>").description("accept a disabled key again")
  addDataOptions(enableCommand, `key enable ${exampleId}`).action((id: string, options: DataOptions) =>
    runOnKey(id, switchTo({ disabled: false }), options, context),
  )
}

function oneScope(value: string, previous: string[] | undefined): string[] {
  if ((scopes as readonly string[]).includes(value)) return collect(value, previous)
  throw new InvalidArgumentError(`Allowed choices are ${scopes.join(", ")}.`)
}

/**
 * Converts a duration such as `90d` to the time when it ends, in Unix ms. Returns a date unchanged, because
 * `parseNewKey` converts and validates it.
 */
function expiry(text: string, now: number): string | number {
  const ms = parseDuration(text)
  if (ms !== undefined) return now + ms
  if (/^\d{4}-\d\d-\d\d/.test(text)) return text
  throw new InvalidArgumentError(
    "It must be a duration such as 12h, 90d or 4w, or a date such as 2030-12-31.",
  )
}

async function create(options: CreateOptions, context: Context): Promise<void> {
  const { name, scope, website, expires, rateLimit } = options
  const { random, now } = context.environment
  const input = { name, scopes: scope, websites: website, expiresAt: expires, rateLimit }
  const grant = parseNewKey(input, now())
  const create = (db: Db) =>
    inTransaction(db, () => {
      requireExistingWebsites(db, grant.websites)
      const { key, secret } = createKey(db, context.newId(), grant, random, now())
      // Prints inside the transaction, so that the key is not created if it cannot be printed.
      print(key, options, context, secret)
    })
  // A new database has no websites, so a key cannot be limited to one.
  await withDatabase(options, context, create, { createIfMissing: grant.websites === null })
}

function list(options: DataOptions, context: Context): void {
  const keys = readDatabase(options, listKeys).map(keyJson)
  if (options.json) printJson(keys, context)
  else if (keys.length === 0)
    context.out("no keys yet; create one with `databuddy key create --name <name>`\n")
  else {
    const rows = keys.map((key) => [
      key.id,
      key.name,
      `${key.start}…`,
      key.scopes.join(" "),
      websitesOf(key),
      stateOf(key, context),
      shortTime(key.expiresAt, "never"),
      shortTime(key.lastUsedAt, "never"),
      isOverlapping(key, context)
        ? `${key.previousStart}… until ${shortTime(key.previousExpiresAt, "")}`
        : "none",
    ])
    printTable(
      ["ID", "NAME", "KEY", "SCOPES", "WEBSITES", "STATE", "EXPIRES", "LAST USED", "PREVIOUS KEY"],
      rows,
      context,
    )
  }
}

async function rotate(id: string, options: RotateOptions, context: Context): Promise<void> {
  const { random, now } = context.environment
  await withDatabase(options, context, (db) =>
    inTransaction(db, () => {
      const { key, secret } = rotateKey(db, id, options.overlap, random, now())
      print(key, options, context, secret)
    }),
  )
}

/** Changes or reads one key and prints the result. */
async function runOnKey(
  id: string,
  work: (db: Db, id: string, now: number) => Key,
  options: DataOptions,
  context: Context,
): Promise<void> {
  await withDatabase(options, context, (db) => {
    print(
      inTransaction(db, () => work(db, id, context.environment.now())),
      options,
      context,
    )
  })
}

function switchTo(input: { disabled: boolean }) {
  return (db: Db, id: string, now: number) => changeKey(db, id, parseKeyChanges(input, now), now)
}

function print(key: Key, options: DataOptions, context: Context, secret?: string): void {
  if (secret) requireVisibleOutput("key", context)
  const json = keyJson(key)
  if (options.json) {
    printJson(secret ? { ...json, key: secret } : json, context)
    return
  }
  printFields(
    {
      id: json.id,
      name: json.name,
      key: secret ?? `${json.start}…`,
      scopes: json.scopes.join(" "),
      websites: websitesOf(json),
      "rate limit": json.rateLimit === null ? "none" : `${json.rateLimit} requests per minute`,
      state: stateOf(json, context),
      created: shortTime(json.createdAt, ""),
      expires: shortTime(json.expiresAt, "never"),
      "last used": shortTime(json.lastUsedAt, "never"),
      ...(isOverlapping(json, context)
        ? {
            "previous key": `${json.previousStart}…, accepted until ${shortTime(json.previousExpiresAt, "")}`,
          }
        : {}),
    },
    context,
  )
  if (secret) context.out("\nCopy the key now. It is not shown again.\n")
}

/** True if the secret that the last rotation replaced is still accepted. */
function isOverlapping({ previousExpiresAt }: KeyJson, context: Context): boolean {
  return previousExpiresAt !== null && Date.parse(previousExpiresAt) > context.environment.now()
}

function websitesOf(key: KeyJson): string {
  return key.websites?.join(" ") ?? "all"
}

function stateOf(key: KeyJson, context: Context): string {
  if (key.revokedAt) return "revoked"
  if (key.disabledAt) return "disabled"
  return key.expiresAt && Date.parse(key.expiresAt) <= context.environment.now() ? "expired" : "active"
}

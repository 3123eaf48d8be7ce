import { closeSync, fsyncSync, lstatSync, rmSync, writeSync } from "node:fs"
import { basename, dirname, resolve } from "node:path"
import { type Command, Option } from "commander"
import { readExportFilter } from "../admin-api/input.ts"
import { sameFile } from "../backups/files.ts"
import { type DatabaseOptions, databaseOption } from "../config.ts"
import { UserError } from "../errors.ts"
import { exportPerson, exportWanted, formats, gzipped, type Steps } from "../export/export.ts"
import type { Db } from "../store/db/driver.ts"
import { isKept } from "../store/db/file-lock.ts"
import { createFile, partialName, publish, removePartials, syncFolder } from "../store/db/files.ts"
import { pendingMigrations } from "../store/db/migrate.ts"
import { closeAfterReading, openForReading, refuseOlder } from "../store/db/open.ts"
import { findWebsite, listWebsites } from "../store/websites.ts"
import type { Context } from "../terminal/context.ts"
import { requireDatabase } from "../terminal/database.ts"
import { Progress } from "../terminal/progress.ts"

interface ExportOptions extends DatabaseOptions {
  website?: string
  profileId?: string
  anonymousId?: string
  from?: string
  to?: string
  format: string
  gzip?: boolean
  out?: string
  force?: boolean
}

/** Events that are read into memory at once, each of some 40 KiB at most. */
const readRows = 500
/** Events in a row group of a Parquet file: large enough to be read fast, some 20 MB while it is made. */
const groupRows = 20_000
const groupCharacters = 16_000_000
/** zlib's own choice between time and size. */
const gzipLevel = 6

export function addExportCommand(root: Command, context: Context): void {
  const command = root
    .command("export")
    .description("print events, in ndjson with websites and profiles too, for import or for other programs")
    .option("--website <id>", "of this website alone")
    .option("--from <time>", "events that happened then or later: a date (UTC) or Unix ms")
    .option("--to <time>", "events that happened before")
    .option(
      "--profile-id <id>",
      "what a website has of one profile: itself, its links, its events and those of its anonymous ids alone",
    )
    .option("--anonymous-id <id>", "what a website has of one visitor: events, and links to profiles")
    .addOption(new Option("--format <format>", "what to write").choices(formats).default("ndjson"))
    .option("--gzip", "compress it")
    .option("--out <file>", "write to a file, which is there when it is whole (default: standard output)")
    .option("--force", "replace that file if it exists")
    .addOption(databaseOption())
    .addHelpText(
      "after",
      "\nExample:\n  databuddy export --from 2026-11-01 --to 2026-12-01 --gzip --out november.ndjson.gz",
    )
  command.action((options: ExportOptions) => {
    const { profileId, anonymousId, website, from, to } = options
    if (profileId !== undefined && anonymousId !== undefined) {
      command.error("error: give either --profile-id or --anonymous-id")
    }
    const person = profileId === undefined ? "--anonymous-id" : "--profile-id"
    if ((profileId ?? anonymousId) !== undefined && website === undefined) {
      command.error(`error: ${person} takes --website, which the person is of`)
    }
    if ((profileId ?? anonymousId) !== undefined && (from ?? to) !== undefined) {
      command.error(`error: ${person} takes all that there is, without --from and --to`)
    }
    return write(options, context)
  })
}

async function write(options: ExportOptions, context: Context): Promise<void> {
  const { website, profileId, anonymousId, from, to, format, gzip } = options
  const filter = readExportFilter({
    ...(website === undefined ? {} : { website_id: website }),
    ...(profileId === undefined ? {} : { profile_id: profileId }),
    ...(anonymousId === undefined ? {} : { anonymous_id: anonymousId }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    format,
  })
  if (options.out === undefined && context.outIsTerminal && (gzip || format === "parquet")) {
    throw new UserError(
      "this would print bytes to the terminal",
      "name a file with --out, or send it on with | or >",
    )
  }
  const path = requireDatabase(options)
  const out = options.out === undefined ? undefined : resolve(options.out)
  if (out !== undefined) refusePlace(out, path, options)
  const db = openForReading(path)
  const progress = new Progress(context, out !== undefined || !context.outIsTerminal)
  let events = 0
  const onRead = (count: number) => {
    events += count
    progress.show(() => `exported ${events.toLocaleString("en")} events`)
  }
  try {
    refuseOlder(pendingMigrations(db, path), path)
    const steps = { rows: readRows, groupRows, groupCharacters, rest: () => undefined, onRead }
    const plain = made(db, filter, steps, context)
    const bytes = gzip ? gzipped(plain, gzipLevel) : plain
    if (out !== undefined) await toFile(out, bytes, options, context)
    else for await (const some of bytes) await context.outTaken(some)
  } finally {
    progress.end()
    closeAfterReading(db)
  }
}

function made(
  db: Db,
  { websiteId, person, from, to, format }: ReturnType<typeof readExportFilter>,
  steps: Steps,
  context: Context,
): AsyncGenerator<Uint8Array> {
  const website = websiteId === undefined ? undefined : findWebsite(db, websiteId)
  if (website && person) {
    const { world, sleep } = context
    return exportPerson(db, { website, id: person, now: world.now(), sleep }, format, steps)
  }
  const websites = website ? [website] : listWebsites(db)
  return exportWanted(db, { websites, ownEvents: !website, from, to }, format, steps)
}

function refusePlace(out: string, db: string, { force }: ExportOptions): void {
  if ([db, `${db}-wal`, `${db}-shm`].some((one) => one === out || sameFile(one, out))) {
    throw new UserError(
      `${out} is the database itself`,
      "give the place of the export, such as events.ndjson",
    )
  }
  const there = lstatSync(out, { throwIfNoEntry: false })
  if (!there) return
  if (!force) throw exists(out)
  if (!there.isFile() && !there.isSymbolicLink()) {
    throw new UserError(`${out} is not a file`, "give the name of a file, such as events.ndjson")
  }
  if (isKept(out)) throw new UserError(`${out} is a database that a server has open`, "give another name")
}

function exists(out: string): UserError {
  return new UserError(`${out} exists`, "give another name, or add --force")
}

/** Nobody finds half of it under its name. */
async function toFile(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  { force = false }: ExportOptions,
  { world: { pid, random } }: Context,
): Promise<void> {
  const partial = partialName(path, pid, random)
  let file: number | undefined
  try {
    removePartials(dirname(path), (place) => place === basename(path), pid)
    file = createFile(partial)
    for await (const some of bytes) writeAll(file, some)
    fsyncSync(file)
    publish(partial, path, force)
    syncFolder(dirname(path))
  } catch (error) {
    if (file !== undefined) rmSync(partial, { force: true })
    const { code, syscall } = error as NodeJS.ErrnoException
    if (code === "EEXIST") throw exists(path)
    if (!code || !syscall) throw error
    throw new UserError(`${path} cannot be written (${code})`, "check the folder, its rights and its room")
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/** The system may take a part of what it is given. */
function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done)
}

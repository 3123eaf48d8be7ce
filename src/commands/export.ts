import { closeSync, fsyncSync, rmSync, writeSync } from "node:fs"
import { basename, dirname, resolve } from "node:path"
import { type Command, Option } from "commander"
import { parseExportFilter } from "../admin-api/input.ts"
import { type ClusterOptions, clusterLogin } from "../clickhouse/address.ts"
import { messageOf, UserError } from "../errors.ts"
import { loadedOnDemand, type RemovedEvents } from "../export/complete-events.ts"
import { exportEvents, exportPerson, gzipped, type Steps } from "../export/export.ts"
import { formats } from "../export/formats.ts"
import { addFlagsOfServe, type DatabaseOptions } from "../serve-options.ts"
import type { Db } from "../store/db/driver.ts"
import { createPrivateFile, partialName, publish, removePartials, syncFolder } from "../store/db/files.ts"
import { pendingMigrations } from "../store/db/migrate.ts"
import { closeAfterReading, openForReading, requireCurrentSchema } from "../store/db/open.ts"
import { findWebsite, listWebsites } from "../store/websites.ts"
import type { Context } from "../terminal/context.ts"
import { commandDatabaseOption, requireDatabase } from "../terminal/database.ts"
import { fileExists, requireWritableOutput } from "../terminal/output-file.ts"
import { Progress } from "../terminal/progress.ts"

interface ExportOptions extends DatabaseOptions, ClusterOptions {
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

/** Number of events per read. An event uses up to 40 KiB of memory. */
const readRows = 500
/**
 * Number of events per row group of a Parquet file. Groups of this size are fast to read, and writing one needs only
 * about 20 MB of memory.
 */
const groupRows = 20_000
/** Maximum number of characters of properties per row group. */
const groupCharacters = 16_000_000
/** zlib's default level, a compromise between time and size. */
const gzipLevel = 6
const output = { what: "export", example: "events.ndjson" } as const

export function addExportCommand(root: Command, context: Context): void {
  const command = root
    .command("export")
    .description("export events; ndjson includes websites and profiles and can be imported")
    .option("--website <id>", "filter by website")
    .option("--from <time>", "events at or after this time: a date (UTC) or Unix ms")
    .option("--to <time>", "events before this time")
    .option(
      "--profile-id <id>",
      "all data about one profile of a website: the profile, its links, its events, and events that have no profile but come from anonymous ids linked to it",
    )
    .option("--anonymous-id <id>", "all data about one visitor of a website: events and links to profiles")
    .addOption(new Option("--format <format>", "output format").choices(formats).default("ndjson"))
    .option("--gzip", "compress the output")
    .option(
      "--out <file>",
      "write to this file, which appears once it is complete (default: standard output)",
    )
    .option("--force", "replace an existing file")
    .addOption(commandDatabaseOption())
  addFlagsOfServe(command, ["--clickhouse", "--clickhouse-password-file"]).addHelpText(
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
      command.error(`error: ${person} requires --website`)
    }
    if ((profileId ?? anonymousId) !== undefined && (from ?? to) !== undefined) {
      command.error(`error: ${person} exports all data about the person; remove --from and --to`)
    }
    return write(options, context)
  })
}

async function write(options: ExportOptions, context: Context): Promise<void> {
  const { website, profileId, anonymousId, from, to, format, gzip } = options
  const filter = parseExportFilter({
    ...(website === undefined ? {} : { website_id: website }),
    ...(profileId === undefined ? {} : { profile_id: profileId }),
    ...(anonymousId === undefined ? {} : { anonymous_id: anonymousId }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    format,
  })
  if (options.out === undefined && context.outIsTerminal && (gzip || format === "parquet")) {
    throw new UserError(
      "this would print binary data to the terminal",
      "write to a file with --out, or redirect the output",
    )
  }
  const path = requireDatabase(options)
  const out = options.out === undefined ? undefined : resolve(options.out)
  if (out !== undefined) requireWritableOutput(out, path, output, options.force)
  const db = openForReading(path)
  const progress = new Progress(context, out !== undefined || !context.outIsTerminal)
  let events = 0
  const onRead = (count: number) => {
    events += count
    progress.show(() => `exported ${events.toLocaleString("en")} events`)
  }
  try {
    requireCurrentSchema(pendingMigrations(db, path), path)
    const steps = { rows: readRows, groupRows, groupCharacters, pause: () => undefined, onRead }
    const plain = await exportChunks(db, filter, steps, options, context)
    const bytes = gzip ? gzipped(plain, gzipLevel) : plain
    if (out !== undefined) await toFile(out, bytes, options, context)
    else for await (const chunk of bytes) await context.outAndWait(chunk)
  } finally {
    progress.end()
    closeAfterReading(db)
  }
}

function exportChunks(
  db: Db,
  { websiteId, person, from, to, format }: ReturnType<typeof parseExportFilter>,
  steps: Steps,
  options: ExportOptions,
  context: Context,
): Promise<AsyncGenerator<Uint8Array>> {
  const cluster = options.clickhouse === undefined ? undefined : removedEventsIn(db, options, context)
  const source = { db, cluster, signal: new AbortController().signal }
  const website = websiteId === undefined ? undefined : findWebsite(db, websiteId)
  if (website && person) {
    const { environment, sleep } = context
    return exportPerson(source, { website, id: person, now: environment.now(), sleep }, format, steps)
  }
  const websites = website ? [website] : listWebsites(db)
  return exportEvents(source, { websites, includeWithoutWebsite: !website, from, to }, format, steps)
}

function removedEventsIn(db: Db, options: ExportOptions, { env }: Context): RemovedEvents {
  const load = async () => {
    const login = clusterLogin(options, env)
    const { EventsInCluster } = await import("../clickhouse/query/removed-events.ts")
    return new EventsInCluster(db, login)
  }
  return loadedOnDemand(load, (cause) =>
    cause instanceof UserError
      ? cause
      : new UserError(
          `the events that were removed from ${db.name} cannot be read: ${messageOf(cause)}`,
          "run the command again when the cluster responds, or export later days",
        ),
  )
}

/** Writes to a partial file and renames it at the end, so that `path` never holds an incomplete export. */
async function toFile(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  { force = false }: ExportOptions,
  { environment: { pid, random } }: Context,
): Promise<void> {
  const partial = partialName(path, pid, random)
  let file: number | undefined
  try {
    removePartials(dirname(path), (name) => name === basename(path), pid)
    file = createPrivateFile(partial)
    for await (const chunk of bytes) writeAll(file, chunk)
    fsyncSync(file)
    publish(partial, path, force)
    syncFolder(dirname(path))
  } catch (error) {
    if (file !== undefined) rmSync(partial, { force: true })
    const { code, syscall } = error as NodeJS.ErrnoException
    if (code === "EEXIST") throw fileExists(path)
    if (!code || !syscall) throw error
    throw new UserError(
      `${path} cannot be written (${code})`,
      "check the folder, its permissions and its free space",
    )
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/** Writes all bytes, because a single call of `writeSync` may write only some of them. */
function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done)
}

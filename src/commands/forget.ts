import { existsSync } from "node:fs"
import type { Command } from "commander"
import { forgetNote, parsePerson } from "../admin-api/input.ts"
import { listCopies } from "../backups/files.ts"
import { type ClusterOptions, clusterLogin } from "../clickhouse/address.ts"
import { messageOf, UserError } from "../errors.ts"
import { addFlagsOfServe, backupDirOption } from "../serve-options.ts"
import type { Db } from "../store/db/driver.ts"
import { openForReading } from "../store/db/open.ts"
import { DatabaseFiles } from "../store/db/unallocated-space.ts"
import { countEvents } from "../store/events.ts"
import {
  countPerson,
  type ForgetSchedule,
  type Forgotten,
  forgetPerson,
  holdsPerson,
  type Person,
  storedIdsOf,
} from "../store/forget.ts"
import { type RemovedEvent, removedText, removedTotals } from "../store/removed-days.ts"
import { readShipping } from "../store/shipping.ts"
import { findWebsite, type Website } from "../store/websites.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, inTransaction, withDatabase } from "../terminal/database.ts"
import { countText, printJson, shown } from "../terminal/print.ts"
import { Progress } from "../terminal/progress.ts"

interface ForgetOptions extends DataOptions, ClusterOptions {
  website: string
  anonymousId?: string
  profileId?: string
  backupDir?: string
  yes?: boolean
}

const clusterNote =
  "the ClickHouse cluster deletes the events once a server with --clickhouse or the command `databuddy clickhouse load` tells it to; their bytes are removed at the next merge"

export function addForgetCommand(root: Command, context: Context): void {
  const command = root
    .command("forget")
    .description("delete all data about one person of a website and overwrite it on disk")
    .requiredOption("--website <id>", "the website")
    .option(
      "--profile-id <id>",
      "the profile, its events and links, and events that have no profile but come from anonymous ids linked to it",
    )
    .option("--anonymous-id <id>", "the events of this visitor and its links to profiles")
    .addOption(
      backupDirOption(
        "also search the scheduled backups in this folder, and list those that contain the person's data",
      ),
    )
    .option("--yes", "delete; without it, only show what would be deleted")
  addDataOptions(
    addFlagsOfServe(command, ["--clickhouse", "--clickhouse-password-file"]),
    "forget --website 550e8400-e29b-41d4-a716-446655440000 --profile-id user_1 --yes",
  ).action((options: ForgetOptions) => {
    const { profileId, anonymousId } = options
    if ((profileId === undefined) === (anonymousId === undefined)) {
      command.error("error: give either --profile-id or --anonymous-id")
    }
    return forget(options, context)
  })
}

async function forget(options: ForgetOptions, context: Context): Promise<void> {
  const id = parsePerson(
    options.profileId === undefined ? { anonymousId: options.anonymousId } : { profileId: options.profileId },
  )
  await withDatabase(options, context, async (db) => {
    const website = findWebsite(db, options.website)
    const person = { websiteRid: website.rid, id }
    const progress = new Progress(context)
    const schedule = scheduleOf(db, website, progress, context)
    const now = context.environment.now()
    const who =
      "profileId" in id ? `the profile ${shown(id.profileId)}` : `the visitor ${shown(id.anonymousId)}`
    const summary = (found: Omit<Forgotten, "overwritten">) =>
      `${inWords(found)} of ${who} on the website ${website.id}`
    const note = forgetNote(website, id)
    const findRemoved = () => removedEventsOf(db, person, now, options, context)
    if (!options.yes) {
      const removed = await findRemoved()
      const found = { ...(await countPerson(db, person, now, schedule)), removedEvents: removed.length }
      progress.end()
      const hint = `add --yes to confirm${note ? `; ${note}` : ""}`
      throw new UserError(`this would permanently delete ${summary(found)}`, hint)
    }
    const known = storedIdsOf(db, person, now)
    const { overwritten, ...found } = await forgetPerson(
      db,
      new DatabaseFiles(),
      person,
      now,
      schedule,
      findRemoved,
    )
    progress.end()
    const copies = await listCopies(db.name, options.backupDir)
    const backups = copies.files.filter((file) => canHold(file, website.id, id, known))
    if (options.json) printJson({ website: website.id, ...id, ...found, overwritten, note, backups }, context)
    else {
      context.out(`deleted ${summary(found)}\n`)
      if (note) context.out(`note: ${note}\n`)
      if (readShipping(db)) context.out(`note: ${clusterNote}\n`)
      for (const file of backups) context.out(`still contains the data: ${shown(file)}\n`)
      context.out(
        backups.length > 0
          ? "note: delete these files or let them expire; other copies created before now also contain the data\n"
          : "note: copies created before now in other places still contain the data\n",
      )
    }
    if (copies.failure) throw copies.failure
    if (overwritten) return
    throw new UserError(
      `the data is deleted, but ${db.name} or its -wal file can still contain the deleted bytes: another process is using the database`,
      "stop that process and run this command again, or restart the server and run it then",
    )
  })
}

/**
 * Returns a person's events that were removed from the file. Throws a UserError if the cluster is not configured or
 * does not respond.
 */
async function removedEventsOf(
  db: Db,
  person: Person,
  now: number,
  options: ForgetOptions,
  { env }: Context,
): Promise<RemovedEvent[]> {
  const removed = removedTotals(db, [person.websiteRid])
  if (!removed) return []
  if (options.clickhouse === undefined) {
    throw new UserError(
      `${removedText(removed)}, and this person's events can be among them`,
      "nothing was changed; set --clickhouse or DATABUDDY_CLICKHOUSE as for `serve`, so that the events are also deleted there",
    )
  }
  const login = clusterLogin(options, env)
  const cluster = await import("../clickhouse/query/removed-person.ts")
  try {
    return await cluster.removedEventsOf(db, login, person, now)
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(
      messageOf(error),
      "nothing was changed; run the command again when the cluster responds",
    )
  }
}

/** True if a copy contains data about the person, cannot be read, or is a database in use. */
function canHold(file: string, websiteId: string, id: Person["id"], known: string[]): boolean {
  // A copy with a -wal file is not opened, because opening it would create or change files beside it.
  if (existsSync(`${file}-wal`)) return true
  try {
    const copy = openForReading(file)
    try {
      return holdsPerson(copy, websiteId, id, known)
    } finally {
      copy.close()
    }
  } catch {
    return true
  }
}

function scheduleOf(
  db: Db,
  website: Website,
  progress: Progress,
  { errIsTerminal, sleep }: Context,
): ForgetSchedule {
  const schedule: ForgetSchedule = { write: (work) => inTransaction(db, work), sleep }
  // Progress is shown only on a terminal. Otherwise, the events are not counted, because that takes time.
  if (!errIsTerminal) return schedule
  const total = countEvents(db, website.rid)
  const onProgress = (events: number) =>
    progress.show(() => `checked ${Math.min(events, total)} of ${countText(total, "event")}`)
  return { ...schedule, onProgress }
}

function inWords({ events, removedEvents, profiles, links }: Omit<Forgotten, "overwritten">): string {
  const inCluster =
    removedEvents > 0 ? ` and ${countText(removedEvents, "event")} that only the cluster has` : ""
  return `${countText(events, "event")}${inCluster}, ${countText(profiles, "profile")} and ${countText(links, "link")}`
}

import { existsSync } from "node:fs"
import type { Command } from "commander"
import { forgetNote, readPerson } from "../admin-api/input.ts"
import { listCopies } from "../backups/files.ts"
import { backupDirOption } from "../config.ts"
import { UserError } from "../errors.ts"
import type { Db } from "../store/db/driver.ts"
import { openForReading } from "../store/db/open.ts"
import { countEvents } from "../store/events.ts"
import {
  type Found,
  findPerson,
  forgetPerson,
  holdsPerson,
  idsOf,
  type Pace,
  type Person,
} from "../store/forget.ts"
import { findWebsite, type Website } from "../store/websites.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, inTransaction, withDatabase } from "../terminal/database.ts"
import { printJson, shown } from "../terminal/print.ts"

interface ForgetOptions extends DataOptions {
  website: string
  anonymousId?: string
  profileId?: string
  backupDir?: string
  yes?: boolean
}

export function addForgetCommand(root: Command, context: Context): void {
  const command = root
    .command("forget")
    .description("delete all that a website has of one person, and overwrite it")
    .requiredOption("--website <id>", "the website")
    .option("--profile-id <id>", "the profile, what names it, and what comes from its anonymous ids alone")
    .option("--anonymous-id <id>", "what comes from this visitor, and its links to profiles")
    .addOption(
      backupDirOption("name the backups in this folder, as serve makes them, that still hold the person"),
    )
    .option("--yes", "do it; without this it only says what would be deleted")
  addDataOptions(
    command,
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
  const id = readPerson(
    options.profileId === undefined ? { anonymousId: options.anonymousId } : { profileId: options.profileId },
  )
  await withDatabase(options, context, async (db) => {
    const website = findWebsite(db, options.website)
    const person = { websiteRid: website.rid, id }
    const pace = paceOf(db, website, context)
    const now = context.world.now()
    const who =
      "profileId" in id ? `the profile ${shown(id.profileId)}` : `the visitor ${shown(id.anonymousId)}`
    const whole = (found: Found) => `${inWords(found)} of ${who} on the website ${website.id}`
    const note = forgetNote(website, id)
    if (!options.yes) {
      const found = await findPerson(db, person, now, pace)
      endProgress(context)
      const hint = `add --yes to do it${note ? `; ${note}` : ""}`
      throw new UserError(`this would delete ${whole(found)}, for good`, hint)
    }
    const known = idsOf(db, person, now)
    const { overwritten, ...found } = await forgetPerson(db, person, now, pace)
    endProgress(context)
    const copies = await listCopies(db.name, options.backupDir)
    const backups = copies.files.filter((file) => mayHold(file, website.id, id, known))
    if (options.json) printJson({ website: website.id, ...id, ...found, overwritten, note, backups }, context)
    else {
      context.out(`deleted ${whole(found)}\n`)
      if (note) context.out(`note: ${note}\n`)
      for (const file of backups) context.out(`still holds it: ${shown(file)}\n`)
      context.out(
        backups.length > 0
          ? "note: delete these files, or let them grow old; other copies that were made before hold it too\n"
          : "note: copies that were made before, in other places, still hold it\n",
      )
      context.out(
        "note: ids may stay in unused bytes of the file until it is vacuumed (README, Upgrades and visitors)\n",
      )
    }
    if (copies.failure) throw copies.failure
    if (overwritten) return
    throw new UserError(
      `it is deleted, but ${db.name}-wal still holds its bytes: another process reads the database without a pause`,
      "end that process and run this again, or restart the server",
    )
  })
}

/** True too where it cannot be told: a file that cannot be read, or is in use as a database. */
function mayHold(file: string, websiteId: string, id: Person["id"], known: string[]): boolean {
  // Opened for reading, a database in WAL mode would get files beside it.
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

function paceOf(db: Db, website: Website, { errIsTerminal, err, sleep }: Context): Pace {
  const pace: Pace = { write: (work) => inTransaction(db, work), sleep }
  if (!errIsTerminal) return pace
  const total = countEvents(db, website.rid)
  return { ...pace, onProgress: (events) => err(`\rlooked at ${Math.min(events, total)} of ${total} events`) }
}

function endProgress({ errIsTerminal, err }: Context): void {
  if (errIsTerminal) err("\n")
}

function inWords({ events, profiles, links }: Found): string {
  const many = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`
  return `${many(events, "event")}, ${many(profiles, "profile")} and ${many(links, "link")}`
}

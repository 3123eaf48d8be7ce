import { existsSync } from "node:fs"
import type { Command } from "commander"
import { type DatabaseOptions, databaseOption } from "../config.ts"
import { UserError } from "../errors.ts"
import type { Db } from "../store/db/driver.ts"
import { databasePath, refuseOtherNames } from "../store/db/file-names.ts"
import { closeDatabase, openDatabase } from "../store/db/open.ts"
import type { Context } from "./context.ts"

/** What the commands that look after websites and keys have in common. */
export interface DataOptions extends DatabaseOptions {
  json?: boolean
}

/** ms that a command waits for its turn beside a running server. */
const busyTimeout = 5_000

/** Adds `--db`, `--json` and an example to a command. */
export function addDataOptions(command: Command, example: string): Command {
  const database = databaseOption()
  database.description = "the SQLite database that the server uses"
  return command
    .addOption(database)
    .option("--json", "print JSON")
    .addHelpText("after", `\nExample:\n  databuddy ${example}`)
}

/**
 * Opens the database for `work` and closes it behind it. `make`: also where there is none yet; without it a mistyped name
 * is complained of, not turned into an empty database.
 */
export async function withDatabase<Result>(
  options: DatabaseOptions,
  context: Context,
  work: (db: Db) => Result | Promise<Result>,
  { make = false } = {},
): Promise<Result> {
  const path = make ? databasePath(options.db) : requireDatabase(options, "write")
  if (make) refuseOtherNames(path, true)
  const db = openDatabase({ path, durability: "fsync", busyTimeout, now: context.world.now() })
  try {
    return await work(db)
  } finally {
    // Beside a busy server there may never be a chance to empty the WAL; the server does that itself when it stops.
    db.pragma("busy_timeout = 0")
    closeDatabase(db)
  }
}

/**
 * The path of a database that exists, to read it, to write to it, or to take the server's lock, which tells more itself. Throws a
 * Complaint where it may be in use under another name.
 */
export function requireDatabase(
  options: DatabaseOptions,
  purpose: "read" | "write" | "lock" = "read",
): string {
  const path = databasePath(options.db)
  if (existsSync(path)) {
    if (purpose !== "lock") refuseOtherNames(path, purpose === "write")
    return path
  }
  throw new UserError(
    `${path} does not exist`,
    "give the database with --db or DATABUDDY_DB, or start the server, which makes one",
  )
}

/** Takes its turn at writing before it reads: one that comes to write later is refused when another wrote in between. */
export function inTransaction<Result>(db: Db, work: () => Result): Result {
  return db.transaction(work).immediate()
}

/** For a flag that can be given several times. Commander's own list flags swallow the argument that follows them. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value]
}

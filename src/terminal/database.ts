import { existsSync } from "node:fs"
import type { Command, Option } from "commander"
import { UserError } from "../errors.ts"
import { type DatabaseOptions, databaseOption } from "../serve-options.ts"
import { databasePath, rejectAliases } from "../store/db/database-path.ts"
import type { Db } from "../store/db/driver.ts"
import { pendingMigrations } from "../store/db/migrate.ts"
import {
  closeAfterReading,
  closeDatabase,
  openDatabase,
  openForReading,
  requireCurrentSchema,
} from "../store/db/open.ts"
import { registryError } from "../store/registry-copy.ts"
import type { Context } from "./context.ts"

/** Options of commands that work on the database file. */
export interface DataOptions extends DatabaseOptions {
  json?: boolean
}

/** How long a command waits for the write lock while a server is running, in ms. */
const busyTimeout = 5_000

/**
 * Returns `--db` for commands other than `serve`. Only the description for `serve` says that a missing database is
 * created.
 */
export function commandDatabaseOption(description = "the SQLite database"): Option {
  const option = databaseOption()
  option.description = description
  return option
}

/** Adds `--db`, `--json` and an example to a command. */
export function addDataOptions(command: Command, example: string): Command {
  return command
    .addOption(commandDatabaseOption())
    .option("--json", "print JSON")
    .addHelpText("after", `\nExample:\n  databuddy ${example}`)
}

/**
 * Opens the database, runs `work` and closes the database. If `createIfMissing` is true, creates a missing database.
 * Otherwise, throws a UserError, so that a mistyped path does not create an empty database.
 */
export async function withDatabase<Result>(
  options: DatabaseOptions,
  context: Context,
  work: (db: Db) => Result | Promise<Result>,
  { createIfMissing = false } = {},
): Promise<Result> {
  const path = createIfMissing ? databasePath(options.db) : requireDatabase(options, "write")
  if (createIfMissing) rejectAliases(path, true)
  const db = openDatabase({ path, durability: "fsync", busyTimeout, now: context.environment.now() })
  try {
    return await work(db)
  } finally {
    // Does not wait until a busy server allows a checkpoint. The server checkpoints the WAL when it stops.
    db.pragma("busy_timeout = 0")
    closeDatabase(db)
  }
}

/**
 * Opens an existing database read-only, runs `work` and closes the database. Also works for a backup on a read-only
 * disk.
 */
export function readDatabase<Result>(options: DatabaseOptions, work: (db: Db) => Result): Result {
  const path = requireDatabase(options)
  const db = openForReading(path)
  try {
    requireCurrentSchema(pendingMigrations(db, path), path)
    return work(db)
  } finally {
    closeAfterReading(db)
  }
}

/**
 * Returns the path of an existing database. Throws a UserError if it does not exist, or if it might be in use under
 * another name. If the purpose is `lock`, skips the second check, because the server lock reports the conflict in more
 * detail.
 */
export function requireDatabase(
  options: DatabaseOptions,
  purpose: "read" | "write" | "lock" = "read",
): string {
  const path = databasePath(options.db)
  if (existsSync(path)) {
    if (purpose !== "lock") rejectAliases(path, purpose === "write")
    return path
  }
  throw new UserError(
    `${path} does not exist`,
    "set the database with --db or DATABUDDY_DB, or start the server, which creates it",
  )
}

/**
 * Runs `work` in a transaction that acquires the write lock first, and returns its result. SQLite would reject a
 * transaction that reads first and writes later if another process has written in between. Throws `registry_elsewhere`
 * if `work` changes a website, key or user that was copied from another server.
 */
export function inTransaction<Result>(db: Db, work: () => Result): Result {
  try {
    return db.transaction(work).immediate()
  } catch (error) {
    throw registryError(db, error)
  }
}

/** Parses a flag that can be repeated. Commander's own variadic flags would consume the argument that follows them. */
export function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value]
}

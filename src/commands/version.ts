import type { Command } from "commander"
import { openCountryTable } from "../ingest/geo.ts"
import { rulesVersion } from "../query/structures/tzdata.ts"
import { Database } from "../store/db/driver.ts"
import type { Context } from "../terminal/context.ts"
import { printFields, printJson } from "../terminal/print.ts"
import { commit, version } from "../version.ts"

export function addVersionCommand(root: Command, context: Context): void {
  root
    .command("version")
    .description("print the versions of databuddy, Bun and SQLite")
    .option("--json", "print one JSON object")
    .action((options: { json?: boolean }) => print(options, context))
}

function print({ json }: { json?: boolean }, context: Context): void {
  const facts = {
    version,
    commit,
    bun: Bun.version,
    sqlite: sqliteVersion(),
    timeZones: rulesVersion,
    countries: openCountryTable().builtOn,
  }
  if (json) printJson(facts, context)
  else {
    const { bun, sqlite, timeZones, countries } = facts
    printFields(
      { databuddy: version, commit, Bun: bun, SQLite: sqlite, tzdata: timeZones, countries },
      context,
    )
  }
}

/** Returns the versions on one line, for `--version`. */
export function versionLine(): string {
  return `databuddy ${version} (commit ${commit}, Bun ${Bun.version}, SQLite ${sqliteVersion()})\n`
}

function sqliteVersion(): string {
  const db = new Database(":memory:")
  try {
    return db.prepare("select sqlite_version()").pluck().get() as string
  } finally {
    db.close()
  }
}

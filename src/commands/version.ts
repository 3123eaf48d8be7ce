import { rulesVersion } from "../query/structures/tzdata.ts"
import { Database } from "../store/db/driver.ts"
import type { Context } from "../terminal/context.ts"
import { commit, version } from "../version.ts"

export function printVersion({ json }: { json?: boolean }, context: Context): void {
  const facts = { version, commit, bun: Bun.version, sqlite: sqliteVersion(), timeZones: rulesVersion }
  context.out(
    json
      ? `${JSON.stringify(facts)}\n`
      : `databuddy ${version}\ncommit    ${commit}\nBun       ${Bun.version}\nSQLite    ${facts.sqlite}\ntzdata    ${rulesVersion}\n`,
  )
}

/** The versions on one line, for `--version`. */
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

import { Database } from "../store/native.ts"
import { commit, version } from "../version.ts"
import type { Context } from "./context.ts"

export function printVersion({ json }: { json?: boolean }, context: Context): void {
  const db = new Database(":memory:")
  const sqlite = db.prepare("select sqlite_version()").pluck().get() as string
  db.close()
  const facts = { version, commit, bun: Bun.version, sqlite }
  context.out(
    json
      ? `${JSON.stringify(facts)}\n`
      : `databuddy ${version}\ncommit    ${commit}\nBun       ${Bun.version}\nSQLite    ${sqlite}\n`,
  )
}

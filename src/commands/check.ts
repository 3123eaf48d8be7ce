import type { Command } from "commander"
import { differences } from "../columns/check.ts"
import { UserError } from "../errors.ts"
import { type Contents, countContents, findProblems, schemaVersion } from "../store/check.ts"
import type { Db } from "../store/db/driver.ts"
import { closeAfterReading, openForReading } from "../store/db/open.ts"
import { contentsFields, contentsJson } from "../terminal/contents.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, requireDatabase } from "../terminal/database.ts"
import { printFields, printJson, shown } from "../terminal/print.ts"
import { Progress } from "../terminal/progress.ts"

export function addCheckCommand(root: Command, context: Context): void {
  const command = root
    .command("check")
    .description(
      "check the database for damage (safe while the server runs); exits with code 1 if there is any",
    )
  addDataOptions(command, "check --db /var/backups/databuddy-monday.db").action((options: DataOptions) =>
    check(options, context),
  )
}

function check(options: DataOptions, context: Context): void {
  const path = requireDatabase(options)
  const db = openForReading(path)
  const problems = findProblems(db, path)
  // The blocks of a damaged file are not compared, because they might not be readable.
  if (problems.length === 0) problems.push(...compareBlocks(db, context))
  if (problems.length === 0) {
    const [contents, schema] = [countContents(db), schemaVersion(db, path)]
    closeAfterReading(db)
    print(path, schema, contents, options, context)
    return
  }
  // Uses a plain close, because a damaged database must not be written to, not even by a checkpoint.
  db.close()
  if (options.json) printJson({ db: path, ok: false, problems }, context)
  else for (const problem of problems) context.out(`${shown(problem)}\n`)
  throw new UserError(
    `${path} has ${problems.length === 1 ? "a problem" : `${problems.length} problems`}`,
    "stop the server, keep a copy of the file and its -wal, and restore a backup; if only a migration is pending, start the server; if only blocks differ, run `databuddy rebuild`",
  )
}

function compareBlocks(db: Db, context: Context): string[] {
  const progress = new Progress(context)
  const show = (done: number, total: number) =>
    progress.show(() => `compared ${done} of ${total} blocks with their events`)
  try {
    return differences(db, show)
  } finally {
    progress.end()
  }
}

function print(
  path: string,
  schema: number,
  contents: Contents,
  options: DataOptions,
  context: Context,
): void {
  if (options.json) {
    printJson({ db: path, ok: true, problems: [], schema, ...contentsJson(contents) }, context)
    return
  }
  printFields({ database: path, schema: String(schema), ...contentsFields(contents) }, context)
  context.out("no problems found\n")
}

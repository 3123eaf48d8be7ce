import type { Command } from "commander"
import { differences } from "../columns/check.ts"
import { UserError } from "../errors.ts"
import { type Contents, contentsOf, findProblems, schemaVersion } from "../store/check.ts"
import { closeAfterReading, openForReading } from "../store/db/open.ts"
import { contentsFields, contentsJson } from "../terminal/contents.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, requireDatabase } from "../terminal/database.ts"
import { printFields, printJson, shown } from "../terminal/print.ts"

export function addCheckCommand(root: Command, context: Context): void {
  const command = root
    .command("check")
    .description(
      "look for damage in the database, beside a running server too; exit code 1 where there is any",
    )
  addDataOptions(command, "check --db /var/backups/databuddy-monday.db").action((options: DataOptions) =>
    check(options, context),
  )
}

function check(options: DataOptions, context: Context): void {
  const path = requireDatabase(options)
  const db = openForReading(path)
  const problems = findProblems(db, path)
  // What is damaged below cannot be compared.
  if (problems.length === 0) problems.push(...differences(db, progress(context)))
  if (problems.length === 0) {
    const [contents, schema] = [contentsOf(db), schemaVersion(db, path)]
    closeAfterReading(db)
    print(path, schema, contents, options, context)
    return
  }
  // Not as a sound one: nobody should write to it now, not even to bring the -wal in.
  db.close()
  if (options.json) printJson({ db: path, ok: false, problems }, context)
  else for (const problem of problems) context.out(`${shown(problem)}\n`)
  throw new UserError(
    `${path} has ${problems.length === 1 ? "a problem" : `${problems.length} problems`}`,
    "stop the server, keep a copy of the file and its -wal, and restore a backup; a pending migration needs only a start, and blocks that differ databuddy rebuild",
  )
}

function progress({ errIsTerminal, err }: Context): (done: number, all: number) => void {
  return (done, all) => {
    if (errIsTerminal)
      err(`\rcompared ${done} of ${all} blocks with the events${done + 1 === all ? "\n" : ""}`)
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
  context.out("no problems\n")
}

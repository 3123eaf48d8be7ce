import type { Command } from "commander"
import { type DatabaseOptions, databaseOption } from "../config.ts"
import { exportProfile } from "../store/forget.ts"
import { closeAfterReading, openForReading } from "../store/open.ts"
import { findWebsite } from "../store/websites.ts"
import type { Context } from "./context.ts"
import { requireDatabase } from "./database.ts"

interface ExportOptions extends DatabaseOptions {
  website: string
  profileId: string
}

export function addExportCommand(root: Command, context: Context): void {
  root
    .command("export")
    .description("print what a website has of one profile, a JSON object a line: profile, links, events")
    .requiredOption("--website <id>", "the website")
    .requiredOption("--profile-id <id>", "the profile; what comes from its anonymous ids alone is its too")
    .addOption(databaseOption())
    .addHelpText(
      "after",
      "\nExample:\n  databuddy export --website 550e8400-e29b-41d4-a716-446655440000 --profile-id user_1 > user_1.ndjson",
    )
    .action((options: ExportOptions) => print(options, context))
}

async function print(options: ExportOptions, context: Context): Promise<void> {
  const db = openForReading(requireDatabase(options))
  try {
    const { rid } = findWebsite(db, options.website)
    for await (const lines of exportProfile(db, rid, options.profileId, context.world.now(), context)) {
      // Of a slow reader, no more than this may wait in memory.
      await context.outTaken(lines.map((line) => `${line}\n`).join(""))
    }
  } finally {
    closeAfterReading(db)
  }
}

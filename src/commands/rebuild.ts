import type { Command } from "commander"
import { dayMs } from "../columns/batch.ts"
import { reset, Sealer, sealAll } from "../columns/sealer.ts"
import { countContents } from "../store/check.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, withDatabase } from "../terminal/database.ts"
import { countText, printJson } from "../terminal/print.ts"
import { Progress } from "../terminal/progress.ts"

export function addRebuildCommand(root: Command, context: Context): void {
  const command = root
    .command("rebuild")
    .description("rebuild the column blocks from the stored events (safe while the server runs)")
  addDataOptions(command, "rebuild --db /var/lib/databuddy/databuddy.db").action((options: DataOptions) =>
    withDatabase(options, context, (db) => {
      const startedAt = context.environment.elapsed()
      reset(db)
      // Progress is shown as a percentage of the ids rather than as a count of events, because ids have gaps.
      const ids = new Sealer(db).unsealed()
      const { events } = countContents(db)
      const today = Math.floor(context.environment.now() / dayMs)
      const progress = new Progress(context)
      sealAll(db, today, (left) =>
        progress.show(
          () => `${Math.floor(((ids - left) / Math.max(1, ids)) * 100)} % of ${countText(events, "event")}`,
        ),
      )
      progress.end()
      const seconds = (context.environment.elapsed() - startedAt) / 1_000
      if (options.json) printJson({ db: db.name, events, seconds }, context)
      else
        context.out(`rebuilt the column blocks of ${countText(events, "event")} in ${seconds.toFixed(1)} s\n`)
    }),
  )
}

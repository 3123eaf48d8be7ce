import { Command } from "commander"
import { benchGrowth } from "./growth.ts"
import { benchIngest } from "./ingest.ts"
import { benchTransfer } from "./transfer.ts"

const program = new Command("bun run bench").description(
  "measures the built binary; run `bun run build` first",
)
program
  .command("ingest")
  .description("requests a second against a bare server, one commit a request, and the raw insert")
  .option("--seconds <n>", "seconds of load a round", Number, 5)
  .option("--rounds <n>", "rounds, of which the median counts", Number, 3)
  .action(benchIngest)
program
  .command("growth")
  .description("what an event costs in time, memory and bytes as the database grows")
  .option("--events <n>", "events to store", Number, 10_000_000)
  .action(benchGrowth)
program
  .command("transfer")
  .description("export in each format and import, against the raw insert")
  .option("--events <n>", "events to store", Number, 1_000_000)
  .action(benchTransfer)
await program.parseAsync()

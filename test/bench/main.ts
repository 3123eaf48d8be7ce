import { Command } from "commander"
import { benchBacklog } from "./backlog.ts"
import { benchBatch } from "./batch.ts"
import { benchGrowth } from "./growth.ts"
import { benchIngest } from "./ingest.ts"
import { benchPages } from "./pages.ts"
import { benchQuery } from "./query.ts"
import { benchTraffic } from "./traffic.ts"
import { benchTransfer } from "./transfer.ts"
import { benchViews } from "./views.ts"
import { benchWide } from "./wide.ts"

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
program
  .command("backlog")
  .description(
    "queries after a load at full speed, a start with a backlog, an import, and while events arrive",
  )
  .option("--seconds <n>", "seconds of load", Number, 60)
  .option("--events <n>", "events of the backlog and of the import", Number, 3_000_000)
  .option("--rate <n>", "events per second while queries run", Number, 20_000)
  .option("--baseline <binary>", "another binary to measure, too")
  .action(benchBacklog)
program
  .command("query")
  .description("what each question takes in databuddy, plain SQLite, DuckDB and ClickHouse")
  .option("--events <n...>", "events to ask about", (text, list: number[] = []) => [...list, Number(text)])
  .option("--engines <name...>", "which of SQLite, DuckDB, ClickHouse, databuddy")
  .option("--rounds <n>", "times that a question is asked warm, of which the median counts", Number, 5)
  .option("--dir <folder>", "keep the databases here, and use those that are there")
  .action(benchQuery)
program
  .command("views")
  .description("what each page of the dashboard takes, all of its questions together, while events come in")
  .option("--events <n>", "events to ask about", Number, 10_000_000)
  .option("--rounds <n>", "times that a page is asked for warm", Number, 9)
  .option("--dir <folder>", "keep the database here, and use the one that is there")
  .action(benchViews)
program
  .command("pages")
  .description(
    "what each page of the dashboard takes in Chromium, its questions and until it is whole, while events come in",
  )
  .option("--events <n>", "events to look at", Number, 10_000_000)
  .option("--rounds <n>", "times that a page is loaded warm", Number, 9)
  .option("--dir <folder>", "keep the database here, and use the one that is there")
  .action(benchPages)
program
  .command("batch")
  .description("page views in requests to /batch, beside custom events to /track")
  .option("--seconds <n>", "seconds of load a round", Number, 5)
  .option("--rounds <n>", "rounds, of which the median counts", Number, 3)
  .action(benchBatch)
program
  .command("traffic")
  .description("page views: bytes on disk, each query of the Web page, and the page while events arrive")
  .option("--views <n>", "page views, each with an exit", Number, 10_000_000)
  .option("--no-exits", "page views alone")
  .option("--arriving <n>", "events that arrive each second while the page is loaded", Number, 200)
  .option("--rounds <n>", "repetitions of each query, of which the median counts", Number, 3)
  .option("--dir <folder>", "keep the database here, and use the one that is there")
  .action(benchTraffic)
program
  .command("wide")
  .description(
    "queries on a million visitors in six websites, cold, first, with a new value and repeated, beside DuckDB",
  )
  .option("--events <n>", "events to query", Number, 10_000_000)
  .option("--rounds <n>", "repetitions of each query, of which the median counts", Number, 3)
  .option(
    "--query-memory <MiB...>",
    "one table for each",
    (text, list: number[] = []) => [...list, Number(text)],
    [512],
  )
  .option("--arriving <n>", "events that arrive each second meanwhile", Number, 0)
  .option("--only <text>", "queries whose names contain this")
  .option("--dir <folder>", "keep the databases here, and use those that are there")
  .action(benchWide)
await program.parseAsync()

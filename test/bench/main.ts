import { Command } from "commander"
import { benchBacklog } from "./backlog.ts"
import { benchBatch } from "./batch.ts"
import { benchGrowth } from "./growth.ts"
import { benchIngest } from "./ingest.ts"
import { benchDuring } from "./ingest-during-queries.ts"
import { benchPages } from "./pages.ts"
import { benchQuery } from "./query.ts"
import { benchShipping } from "./shipping.ts"
import { benchTraffic } from "./traffic.ts"
import { benchTransfer } from "./transfer.ts"
import { benchViews } from "./views.ts"
import { benchWide } from "./wide.ts"

const program = new Command("bun run bench").description(
  "measures the built binary; run `bun run build` first",
)
program
  .command("ingest")
  .description("requests per second, compared with a bare server, one commit per request, and a raw insert")
  .option("--seconds <n>", "seconds of load per round", Number, 5)
  .option("--rounds <n>", "rounds; the median is reported", Number, 3)
  .action(benchIngest)
program
  .command("growth")
  .description("time, memory and bytes per event as the database grows")
  .option("--events <n>", "events to store", Number, 10_000_000)
  .action(benchGrowth)
program
  .command("transfer")
  .description("export in each format and import, compared with a raw insert")
  .option("--events <n>", "events to store", Number, 1_000_000)
  .action(benchTransfer)
program
  .command("backlog")
  .description(
    "queries after a load at full speed, a start with a backlog, an import, and while events arrive",
  )
  .option("--seconds <n>", "seconds of load", Number, 60)
  .option("--events <n>", "events in the backlog and in the import", Number, 3_000_000)
  .option("--rate <n>", "events per second while queries run", Number, 20_000)
  .option("--baseline <binary>", "another binary to measure as well")
  .action(benchBacklog)
program
  .command("query")
  .description("query times of databuddy, plain SQLite, DuckDB and ClickHouse")
  .option("--events <n...>", "events to query", (text, list: number[] = []) => [...list, Number(text)])
  .option("--engines <name...>", "which of SQLite, DuckDB, ClickHouse, databuddy")
  .option("--rounds <n>", "warm runs of each query; the median is reported", Number, 5)
  .option("--dir <folder>", "folder in which the databases are kept and reused")
  .action(benchQuery)
program
  .command("views")
  .description("time of all queries of each dashboard page, while events arrive")
  .option("--events <n>", "events to query", Number, 10_000_000)
  .option("--rounds <n>", "warm loads of each page", Number, 9)
  .option("--dir <folder>", "folder in which the database is kept and reused")
  .option("--wide", "query the wide data set instead of the standard one")
  .option("--query-memory <MiB>", "--query-memory of the server (default: that of serve)", Number)
  .option("--arriving <n>", "events that arrive per second during the queries", Number, 50)
  .action(benchViews)
program
  .command("pages")
  .description("load time of each dashboard page in Chromium, queries and complete page, while events arrive")
  .option("--events <n>", "events to query", Number, 10_000_000)
  .option("--rounds <n>", "warm loads of each page", Number, 9)
  .option("--dir <folder>", "folder in which the database is kept and reused")
  .action(benchPages)
program
  .command("shipping")
  .description("ingestion with and without serve --clickhouse, in turn; the cluster discards the events")
  .option("--seconds <n>", "seconds of load per turn", Number, 12)
  .option("--rounds <n>", "turns; the median is reported", Number, 5)
  .option("--rate <n>", "events per second (default: as many as possible)", Number)
  .action(benchShipping)
program
  .command("batch")
  .description("page views sent to /batch, compared with custom events sent to /track")
  .option("--seconds <n>", "seconds of load per round", Number, 5)
  .option("--rounds <n>", "rounds; the median is reported", Number, 3)
  .action(benchBatch)
program
  .command("traffic")
  .description("page views: bytes on disk, each query of the Web page, and the page while events arrive")
  .option("--views <n>", "page views, each with an exit", Number, 10_000_000)
  .option("--no-exits", "page views only")
  .option("--arriving <n>", "events that arrive per second while the page is loaded", Number, 200)
  .option("--rounds <n>", "repetitions of each query; the median is reported", Number, 3)
  .option("--dir <folder>", "folder in which the database is kept and reused")
  .action(benchTraffic)
program
  .command("wide")
  .description(
    "queries on a million visitors in six websites, cold, first, with a new value and repeated, compared with DuckDB",
  )
  .option("--events <n>", "events to query", Number, 10_000_000)
  .option("--rounds <n>", "repetitions of each query; the median is reported", Number, 3)
  .option(
    "--query-memory <MiB...>",
    "one table for each value (default: 512)",
    (text, list: number[] = []) => [...list, Number(text)],
  )
  .option("--arriving <n>", "events that arrive per second during the queries", Number, 0)
  .option("--only <text>", "run only queries whose names contain this text")
  .option("--dir <folder>", "folder in which the databases are kept and reused")
  .action(benchWide)
program
  .command("during")
  .description("/track at fixed rates, alone and while queries with new filters run on the wide data set")
  .option("--events <n>", "events to query", Number, 10_000_000)
  .option(
    "--rates <n...>",
    "events per second, each in its own request (default: 2000 6000 10000)",
    (text, list: number[] = []) => [...list, Number(text)],
  )
  .option("--dir <folder>", "folder in which the databases are kept and reused")
  .action(benchDuring)
await program.parseAsync()

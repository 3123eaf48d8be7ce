import { type Command, Option } from "commander"
import { filled } from "../flag-values.ts"
import { addFlagsOfServe } from "../serve-options.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions } from "../terminal/database.ts"
import type {
  ClickHouseLoadOptions,
  ClickHouseMigrateOptions,
  ClickHouseOptions,
} from "./clickhouse-actions.ts"

const flags = ["--clickhouse", "--clickhouse-password-file"]

/** The client of ClickHouse is loaded only by these commands, and by a server with `--clickhouse`. */
const actions = () => import("./clickhouse-actions.ts")

export function addClickHouseCommands(root: Command, context: Context): void {
  const group = root
    .command("clickhouse")
    .description("keep a copy of all events in a ClickHouse cluster; serve --clickhouse ships new ones")
  const migrate = group
    .command("migrate")
    .description("create the tables in the cluster, or migrate those of an older version")
    .option("--print", "print the statements instead, to apply them manually")
    .addOption(
      new Option(
        "--clickhouse-cluster <name>",
        "create replicated and distributed tables on this cluster of the server's configuration",
      )
        .env("DATABUDDY_CLICKHOUSE_CLUSTER")
        .argParser(filled("the name of a cluster")),
    )
    .option("--json", "print JSON")
  addFlagsOfServe(migrate, flags).action(async (options: ClickHouseMigrateOptions) =>
    (await actions()).migrate(options, context),
  )
  const load = group
    .command("load")
    .description(
      "ship everything that is not in the cluster yet, then compare both sides. It continues where an earlier run or a server stopped",
    )
    .option("--replace", "after a restore: first delete in the cluster what is newer than this file")
  addDataOptions(
    addFlagsOfServe(load, flags),
    "clickhouse load --clickhouse https://user@host:8443/database",
  ).action(async (options: ClickHouseLoadOptions) => (await actions()).load(options, context))
  const compare = group
    .command("compare")
    .description(
      "compare counts and hashes of the shipped events on both sides, by website and day; exits with code 1 if they differ",
    )
  addDataOptions(
    addFlagsOfServe(compare, flags),
    "clickhouse compare --clickhouse https://user@host:8443/database",
  ).action(async (options: ClickHouseOptions) => (await actions()).compareSides(options, context))
  const fetch = group
    .command("fetch")
    .description("add everything that only the cluster has to a file, then compare both sides")
  addDataOptions(
    addFlagsOfServe(fetch, flags),
    "clickhouse fetch --clickhouse https://user@host:8443/database --db new.db",
  ).action(async (options: ClickHouseOptions) => (await actions()).fetchEvents(options, context))
}

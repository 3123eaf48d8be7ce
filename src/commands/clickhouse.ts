import { type Command, Option } from "commander"
import { type ClusterOptions, clusterLogin } from "../clickhouse/address.ts"
import { Cluster, ClusterError, type RequestTimes, requestTimes } from "../clickhouse/cluster.ts"
import { type Comparison, compare } from "../clickhouse/comparison.ts"
import { deletedEvents, fetchRemovedDays, linesOfCluster, originOf } from "../clickhouse/fetch.ts"
import { shippingLockError, shippingLockPath } from "../clickhouse/lock.ts"
import { migrateCluster, printedSchema, readSchema, requireSchema } from "../clickhouse/schema.ts"
import { Shipper } from "../clickhouse/shipper.ts"
import { retryDelay } from "../clickhouse/shipping-loop.ts"
import { readWriters } from "../clickhouse/writers.ts"
import { UserError } from "../errors.ts"
import { integer, nonEmpty } from "../flag-values.ts"
import type { Report } from "../import/import.ts"
import { importLines, retryBusy } from "../import/import-lines.ts"
import { addFlagsOfServe } from "../serve-options.ts"
import type { Db } from "../store/db/driver.ts"
import { pendingMigrations } from "../store/db/migrate.ts"
import { closeAfterReading, openForReading, requireCurrentSchema } from "../store/db/open.ts"
import { ServerLock } from "../store/db/server-lock.ts"
import { maxNode } from "../store/node-ids.ts"
import { registrySource } from "../store/registry-copy.ts"
import { removedTotals } from "../store/removed-days.ts"
import { applyShippingChange, readShipping, type ShippingChange, shippingLag } from "../store/shipping.ts"
import type { Context } from "../terminal/context.ts"
import {
  addDataOptions,
  type DataOptions,
  inTransaction,
  requireDatabase,
  withDatabase,
} from "../terminal/database.ts"
import { countText, printFields, printJson, printTable } from "../terminal/print.ts"
import { Progress } from "../terminal/progress.ts"

interface ClickHouseOptions extends DataOptions, ClusterOptions {}

interface ClickHouseMigrateOptions extends ClusterOptions {
  print?: boolean
  shared?: boolean
  clickhouseCluster?: string
  json?: boolean
}

interface ClickHouseLoadOptions extends ClickHouseOptions {
  replace?: boolean
}

interface ClickHouseFetchOptions extends ClickHouseOptions {
  node?: number
}

const flags = ["--clickhouse", "--clickhouse-password-file"]
/**
 * `load` tries a step at most this many times, up to a minute apart. That leaves enough time for a cluster to restart,
 * which takes less than ten minutes. It does not retry the first step, because the URL, the password or the grants can be
 * wrong.
 */
const maxAttempts = 15
/** Timeout of a migration, in ms. It is long because a migration can copy the event ids of all events. */
const migrationTimeout = 86_400_000
/** ms between checks of whether deletions can be shipped. */
const deletionsPoll = 1_000
/** Maximum number of differences to print. All differences are counted. */
const maxPrintedDays = 20

export function addClickHouseCommands(root: Command, context: Context): void {
  const group = root
    .command("clickhouse")
    .description("keep a copy of all events in a ClickHouse cluster; `serve --clickhouse` ships new events")
  const migrateCommand = group
    .command("migrate")
    .description("create the tables in the cluster, or migrate tables from an older version")
    .option("--print", "print the statements instead, to apply them manually")
    .option(
      "--shared",
      "also create the tables that are needed if several nodes ship events to the cluster (`serve --node`)",
    )
    .addOption(
      new Option(
        "--clickhouse-cluster <name>",
        "create replicated and distributed tables on this cluster of the server's configuration",
      )
        .env("DATABUDDY_CLICKHOUSE_CLUSTER")
        .argParser(nonEmpty("the name of a cluster")),
    )
    .option("--json", "print JSON")
  addFlagsOfServe(migrateCommand, flags).action((options: ClickHouseMigrateOptions) =>
    migrate(options, context),
  )
  const loadCommand = group
    .command("load")
    .description(
      "ship everything that is not in the cluster yet, then compare both sides; continues where an earlier run or a server stopped",
    )
    .option(
      "--replace",
      "after a restore: first delete the events in the cluster that are newer than this file",
    )
  addDataOptions(
    addFlagsOfServe(loadCommand, flags),
    "clickhouse load --clickhouse https://user@host:8443/database",
  ).action((options: ClickHouseLoadOptions) => load(options, context))
  const compareCommand = group
    .command("compare")
    .description(
      "compare counts and hashes of the shipped events on both sides, by website and day; exits with code 1 if they differ",
    )
  addDataOptions(
    addFlagsOfServe(compareCommand, flags),
    "clickhouse compare --clickhouse https://user@host:8443/database",
  ).action((options: ClickHouseOptions) => compareSides(options, context))
  const fetchCommand = group
    .command("fetch")
    .description("add the events that only the cluster has to the file, then compare both sides")
  addDataOptions(
    addFlagsOfServe(fetchCommand, flags),
    "clickhouse fetch --clickhouse https://user@host:8443/database --db new.db",
  )
    .addOption(
      new Option(
        "--node <number>",
        "for a new file: number of the node whose events to fetch (default: the only node)",
      ).argParser(integer(0, maxNode)),
    )
    .action((options: ClickHouseFetchOptions) => fetchEvents(options, context))
}

async function migrate(options: ClickHouseMigrateOptions, context: Context): Promise<void> {
  const { clickhouse, clickhouseCluster: name, shared: isShared } = options
  if (options.print) {
    const { address } = clusterLogin(
      { ...options, clickhouse: clickhouse ?? "http://localhost" },
      context.env,
    )
    context.out(printedSchema(address, name, isShared))
    return
  }
  const { address, password } = clusterLogin(options, context.env)
  const applied = await withCluster(
    options,
    context,
    async (cluster) => {
      const server = new Cluster({ ...address, database: "default" }, password)
      try {
        return await migrateCluster(cluster, (statement) => server.run(statement), name, isShared)
      } finally {
        await server.close()
      }
    },
    { ...requestTimes, timeout: migrationTimeout },
  )
  if (options.json) printJson({ applied }, context)
  else if (applied.length === 0) context.out("no pending migrations\n")
  else printFields({ applied: applied.join(", ") }, context)
}

async function load(options: ClickHouseLoadOptions, context: Context): Promise<void> {
  await withCluster(options, context, (cluster) =>
    withDatabase(options, context, async (db) => {
      const lock = new ServerLock(shippingLockPath(db.name), context.environment.pid, shippingLockError)
      try {
        const { events, ms } = await ship(db, cluster, options.replace ?? false, context)
        const comparison = await compareShipped(db, cluster, context)
        const rate = ms > 0 ? Math.round((events * 1_000) / ms) : 0
        const took = `${(ms / 1_000).toFixed(1)} s, ${rate.toLocaleString("en")} per second`
        report({ shipped: countText(events, "event"), took }, { events, ms }, comparison, options, context)
      } finally {
        lock.release()
      }
    }),
  )
}

async function compareSides(options: ClickHouseOptions, context: Context): Promise<void> {
  await withCluster(options, context, async (cluster) => {
    const path = requireDatabase(options)
    const db = openForReading(path)
    try {
      requireCurrentSchema(pendingMigrations(db, path), path)
      report({}, {}, await compareShipped(db, cluster, context), options, context)
    } finally {
      closeAfterReading(db)
    }
  })
}

async function fetchEvents(options: ClickHouseFetchOptions, context: Context): Promise<void> {
  await withCluster(options, context, (cluster) =>
    withDatabase(
      options,
      context,
      async (db) => {
        requireSchema(await readSchema(cluster), cluster.name)
        const origin = originOf(db, await readWriters(cluster), options.node, cluster.name)
        const progress = new Progress(context)
        const showAdded = (added: number) => progress.show(() => `${added.toLocaleString("en")} events added`)
        const onProgress = ({ events }: Report) => showAdded(events.added)
        const startedAt = context.environment.elapsed()
        const returned = await fetchRemoved(db, cluster, origin.writer, showAdded, context)
        const isDeleted = deletedEvents(db)
        let left = 0
        const lines = linesOfCluster(db, cluster, origin, (event) => {
          const isLeft = isDeleted(event)
          if (isLeft) left++
          return isLeft
        })
        const imported = await importLines(db, lines, {
          ...context,
          onProgress,
        }).finally(() => progress.end())
        const ms = Math.round(context.environment.elapsed() - startedAt)
        const { events, refused } = imported
        const at = context.environment.now()
        const { writer, shippedId: id } = origin
        const mustCompare = readShipping(db)?.mustCompare ?? false
        // The change is stored before the comparison, so that the comparison includes events that a running server
        // stores in the meantime.
        if (refused.total === 0) await writeChange(db, { type: "adopt", writer, id, at })
        const comparison = await compareAll(db, cluster, id, context)
        const agrees = refused.total === 0 && comparison.differences.length === 0
        if (agrees && !mustCompare) await writeChange(db, { type: "compared" })
        const renumbered = events.renumbered > 0 ? `; ${events.renumbered} got a new id` : ""
        const fields = {
          ...(returned === undefined
            ? {}
            : { removed: `${countText(returned, "removed event")} stored again` }),
          events: `${events.added} added, ${events.present} already present${renumbered}`,
          ...(left > 0 && { "left out": countText(left, "deleted event") }),
          took: `${(ms / 1_000).toFixed(1)} s`,
        }
        printReport(
          fields,
          { fetched: { ...events, returned: returned ?? 0, leftOut: left }, rejected: refused.total, ms },
          comparison,
          options,
          context,
        )
        if (refused.total > 0) {
          throw new UserError(
            `${countText(refused.total, "row")} could not be added; the first one: ${refused.first[0]?.message ?? ""}`,
            registrySource(db)
              ? "if it is a website of the first node, start this server once with --registry and without --clickhouse, so that it copies the website; then run this command again"
              : "a later version or another program wrote them; use that version",
          )
        }
        requireEqual(comparison)
      },
      { createIfMissing: true },
    ),
  )
}

/**
 * Copies events that were removed from the file back to it. Returns their number, or undefined if no events were
 * removed.
 */
async function fetchRemoved(
  db: Db,
  cluster: Cluster,
  writer: string,
  onProgress: (events: number) => void,
  { environment: { pid, random } }: Context,
): Promise<number | undefined> {
  if (!removedTotals(db)) return undefined
  if (readShipping(db)?.writer !== writer) {
    throw new UserError(
      `${cluster.name} has the events of another file, not those that were removed from ${db.name}`,
      "correct the database in --clickhouse",
    )
  }
  const lock = new ServerLock(shippingLockPath(db.name), pid, (path, holder) => {
    const { message } = shippingLockError(path, holder)
    return new UserError(message, "stop the server, because it would remove the events again")
  })
  try {
    const returned = await fetchRemovedDays({ db, cluster, random, onProgress })
    const left = removedTotals(db)
    if (!left) return returned
    throw new UserError(
      `${left.events} events that were removed from ${db.name} are not in ${cluster.name}; ${returned} were stored again`,
      "restore a backup of the cluster that has them; or run `databuddy clickhouse load --replace`, which accepts the loss, and then this command again",
    )
  } finally {
    lock.release()
  }
}

async function withCluster<Result>(
  options: ClusterOptions,
  { env }: Context,
  work: (cluster: Cluster) => Promise<Result>,
  times?: RequestTimes,
): Promise<Result> {
  const { address, password } = clusterLogin(options, env)
  const cluster = new Cluster(address, password, times)
  try {
    return await work(cluster)
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error
    throw new UserError(
      error.message,
      "check --clickhouse, the password, the grants of the user and the network, then run the command again to continue",
    )
  } finally {
    await cluster.close()
  }
}

/**
 * Ships until nothing is left. Retries all steps but the first if the cluster fails. Returns the number of shipped
 * events and the duration in ms.
 */
async function ship(
  db: Db,
  cluster: Cluster,
  replaces: boolean,
  context: Context,
): Promise<{ events: number; ms: number }> {
  const { environment, sleep } = context
  const shipper = new Shipper({
    ...environment,
    db,
    cluster,
    write: (change) => writeChange(db, change),
    // Gives a running insert the chance to make progress.
    pause: () => new Promise((resolve) => setImmediate(resolve)),
    sleep,
    isShared: true,
    log: (level, message) => context.err(`${level}: ${message}\n`),
  })
  const progress = new Progress(context)
  const startedAt = environment.elapsed()
  let events = 0
  let hasSucceeded = false
  try {
    if (replaces) await shipper.replaceNewer()
    for (let failures = 0; ; ) {
      try {
        const result = await shipper.step()
        failures = 0
        hasSucceeded = true
        events += result.events
        progress.show(() => progressLine(db, events))
        if (!result.isDone) continue
        if (shippingLag(db, readShipping(db)?.shippedId ?? 0).deletions === 0) break
        await sleep(deletionsPoll)
      } catch (error) {
        if (!(error instanceof ClusterError) || !hasSucceeded || ++failures === maxAttempts) throw error
        const wait = retryDelay(failures, environment.random)
        progress.end()
        context.err(`warn: ${error.message}; trying again in ${Math.ceil(wait / 1_000)} s\n`)
        await sleep(wait)
      }
    }
  } finally {
    progress.end()
  }
  return { events, ms: Math.round(environment.elapsed() - startedAt) }
}

function progressLine(db: Db, events: number): string {
  const lag = shippingLag(db, readShipping(db)?.shippedId ?? 0)
  return `${events.toLocaleString("en")} events shipped, ${lag.events.toLocaleString("en")} left, ${lag.deletions.toLocaleString("en")} deletions left`
}

async function writeChange(db: Db, change: ShippingChange): Promise<void> {
  await retryBusy(() => inTransaction(db, () => applyShippingChange(db, change)))
}

async function compareShipped(db: Db, cluster: Cluster, context: Context): Promise<Comparison> {
  const shipping = readShipping(db)
  if (!shipping) {
    throw new UserError(
      `no events have been shipped from ${db.name}`,
      "run `databuddy clickhouse load`, or start the server with --clickhouse",
    )
  }
  requireSchema(await readSchema(cluster), cluster.name)
  return compareAll(db, cluster, shipping.shippedId, context)
}

async function compareAll(db: Db, cluster: Cluster, lastId: number, context: Context): Promise<Comparison> {
  const progress = new Progress(context)
  const pause = async (events: number) =>
    progress.show(() => `${events.toLocaleString("en")} events compared`)
  return compare(db, cluster, lastId, pause).finally(() => progress.end())
}

/**
 * Prints the result of a command and of the comparison after it. Throws a UserError if the file and the cluster differ.
 */
function report(
  fields: Record<string, string>,
  json: object,
  comparison: Comparison,
  options: ClickHouseOptions,
  context: Context,
): void {
  printReport(fields, json, comparison, options, context)
  requireEqual(comparison)
}

function printReport(
  fields: Record<string, string>,
  json: object,
  comparison: Comparison,
  options: ClickHouseOptions,
  context: Context,
): void {
  const { events, removed, days, differences } = comparison
  if (options.json) printJson({ ...json, compared: { events, removed, days, differences } }, context)
  else {
    const compared = `${countText(events, "event")} in ${countText(days, "group")} by website and day: counts and hashes ${differences.length === 0 ? "agree" : "differ"}`
    const onlyInCluster = removed === 0 ? {} : { "only in cluster": `${countText(removed, "event")} of them` }
    printFields({ ...fields, compared, ...onlyInCluster }, context)
    if (differences.length > 0) {
      const rows = differences
        .slice(0, maxPrintedDays)
        .map(({ website, day, here, inCluster }) => [
          website || "(none)",
          new Date(day * 86_400_000).toISOString().slice(0, 10),
          String(here),
          String(inCluster),
        ])
      const here = removed === 0 ? "IN THE FILE" : "FILE AND REMOVED"
      printTable(["WEBSITE", "DAY", here, "IN THE CLUSTER"], rows, context)
    }
  }
}

function requireEqual({ differences }: Comparison): void {
  if (differences.length === 0) return
  throw new UserError(
    `the file and the cluster differ in ${countText(differences.length, "group")} by website and day`,
    "recently deleted events can be the reason: run `databuddy clickhouse compare` again; if they still differ, `databuddy clickhouse load --replace` makes the cluster equal to the file",
  )
}

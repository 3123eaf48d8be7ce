import { createHash } from "node:crypto"
import { UserError } from "../errors.ts"
import type { ClusterAddress } from "./address.ts"
import { type Cluster, ClusterError, errorNumbers } from "./cluster.ts"
import events from "./schema/0001_events.sql" with { type: "text" }
import eventIds from "./schema/0002_event_ids.sql" with { type: "text" }
import fillEventIds from "./schema/0003_fill_event_ids.sql" with { type: "text" }

interface ClusterMigration {
  name: string
  sql: string
  /** True if the migration is needed only when several nodes ship to the database. */
  isForNodes?: boolean
}

/**
 * The migrations, in the order in which they are applied. Only append to this list, because a released migration must
 * never change.
 */
const migrations: readonly ClusterMigration[] = [
  { name: "0001_events", sql: events },
  { name: "0002_event_ids", sql: eventIds, isForNodes: true },
  { name: "0003_fill_event_ids", sql: fillEventIds, isForNodes: true },
]

/**
 * Tables that are distributed over the shards of a cluster, and for each one the SQL expression that chooses the shard
 * of a row. The shard depends only on the content of the row, so a row that is sent twice goes to the same shard.
 * Funnels and distinct counts require all events of a visitor to be on one shard. Every server has a complete copy of
 * all other tables.
 */
const sharded: Readonly<Record<string, string>> = {
  events: "cityHash64(website, ifNull(anonymous_id, toString(id)))",
}

const migrationsTable = `
create table if not exists migrations (
  name String,
  checksum String, -- SHA-256 of the file
  cluster String, -- of --clickhouse-cluster; '': none
  applied_at DateTime64(3, 'UTC')
)
engine = ReplacingMergeTree()
order by name
settings fsync_after_insert = 1, fsync_part_directory = 1`

/** State of the tables in a ClickHouse database. */
export interface SchemaState {
  /** Names of the pending migrations that every server needs. */
  pending: string[]
  /** Names of the pending migrations that are needed only when several nodes ship to the database. */
  pendingForNodes: string[]
  /** True if the cluster also stores the event ids of inserted events in the table `event_ids`. */
  hasEventIds: boolean
  /** Name of the cluster on which the tables are replicated and distributed. Undefined for plain tables. */
  cluster: string | undefined
}

type AppliedRow = [name: string, checksum: string, cluster: string]

const checksum = (sql: string) => createHash("sha256").update(sql).digest("hex")

/** Reads the state of the tables. Throws a ClusterError, or a UserError if a later version has applied a migration. */
export async function readSchema(cluster: Cluster): Promise<SchemaState> {
  return schemaState(await appliedRows(cluster), cluster.name)
}

/**
 * Returns the state for the rows of the table `migrations`. Throws a UserError if this version does not have one of
 * these migrations with the same checksum.
 */
export function schemaState(applied: readonly AppliedRow[], where: string): SchemaState {
  for (const [name, sum] of applied) {
    const ours = migrations.find((migration) => migration.name === name)
    if (!ours) {
      throw new UserError(
        `the tables in ${where} were created by a newer version: it applied the migration ${name}, which this version does not know`,
        "run the newer version; nothing was changed",
      )
    }
    if (checksum(ours.sql) !== sum) {
      throw new UserError(
        `the migration ${name} in ${where} differs from the one in this version`,
        "an unreleased build created the tables; use another database in the cluster",
      )
    }
  }
  const names = new Set(applied.map(([name]) => name))
  const missing = migrations.filter(({ name }) => !names.has(name))
  const pendingOf = (isForNodes: boolean) =>
    missing.filter((one) => (one.isForNodes ?? false) === isForNodes).map(({ name }) => name)
  return {
    pending: pendingOf(false),
    pendingForNodes: pendingOf(true),
    hasEventIds: names.has("0002_event_ids"),
    cluster: applied[0]?.[2] || undefined,
  }
}

/**
 * Throws a UserError if migrations are pending. The hint of the error says how to apply them. `isShared`: true if
 * several nodes ship to the database.
 */
export function requireSchema(
  { pending, pendingForNodes }: SchemaState,
  where: string,
  isShared = false,
): void {
  const [first] = isShared ? [...pending, ...pendingForNodes] : pending
  if (first === undefined) return
  throw new UserError(
    `the tables in ${where} are missing or outdated: the migration ${first} has not been applied`,
    `run \`databuddy clickhouse migrate${isShared ? " --shared" : ""}\` with the same --clickhouse; until then, events stay in the SQLite file`,
  )
}

/**
 * Applies the pending migrations and returns their names. Creates the database if it is missing. `name`: the cluster on
 * which to create replicated and distributed tables. `isShared`: true to include the migrations for several nodes. If
 * the call is interrupted, call it again to finish. Throws a UserError or a ClusterError.
 */
export async function migrateCluster(
  cluster: Cluster,
  createDatabase: (statement: string) => Promise<void>,
  name: string | undefined,
  isShared = false,
): Promise<string[]> {
  const applied = await appliedRows(cluster)
  const state = schemaState(applied, cluster.name)
  if (applied.length > 0 && state.cluster !== name) {
    throw new UserError(
      `the tables in ${cluster.name} were created ${state.cluster === undefined ? "without --clickhouse-cluster" : `with --clickhouse-cluster ${state.cluster}`}`,
      "use the same flag, or another database",
    )
  }
  const pending = [...state.pending, ...(isShared ? state.pendingForNodes : [])]
  if (pending.length === 0) return []
  await createDatabase(databaseStatement(cluster.address, name))
  for (const statement of statementsOf(migrationsTable, name)) await cluster.run(statement)
  for (const migration of migrations.filter((one) => pending.includes(one.name))) {
    for (const statement of statementsOf(migration.sql, name)) await cluster.run(statement)
    await cluster.run(recordStatement(migration, name))
  }
  return pending
}

/**
 * Returns all statements as SQL text, for an operator who applies them manually. `isShared`: as for `migrateCluster`.
 */
export function printedSchema(address: ClusterAddress, name: string | undefined, isShared = false): string {
  const statements = [
    databaseStatement(address, name),
    `use ${quoteName(address.database)}`,
    ...statementsOf(migrationsTable, name),
    ...migrations
      .filter(({ isForNodes }) => isShared || !isForNodes)
      .flatMap((migration) => [...statementsOf(migration.sql, name), recordStatement(migration, name)]),
  ]
  return `${statements.join(";\n\n")};\n`
}

/**
 * Returns the target of a `delete` statement: the table that holds the rows, and its cluster. Distributed tables do not
 * support deletions.
 */
export function deletionTarget(table: string, { cluster }: SchemaState): string {
  return cluster === undefined ? table : `${localName(table)} on cluster ${quoteText(cluster)}`
}

/** Returns the name of the table that holds the rows on each server. */
function localName(table: string): string {
  return table in sharded ? `${table}_local` : table
}

async function appliedRows(cluster: Cluster): Promise<AppliedRow[]> {
  try {
    return await cluster.all<AppliedRow>("select name, checksum, cluster from migrations final order by name")
  } catch (error) {
    const { unknownTable, unknownDatabase } = errorNumbers
    if (error instanceof ClusterError && (error.number === unknownTable || error.number === unknownDatabase))
      return []
    throw error
  }
}

function databaseStatement({ database }: ClusterAddress, cluster: string | undefined): string {
  const on = cluster === undefined ? "" : ` on cluster ${quoteText(cluster)}`
  return `create database if not exists ${quoteName(database)}${on}`
}

function recordStatement({ name, sql }: ClusterMigration, cluster = ""): string {
  const values = [name, checksum(sql), cluster].map(quoteText).join(", ")
  return `insert into migrations (name, checksum, cluster, applied_at) values (${values}, now64(3))`
}

const table = /create table if not exists (\w+) \(/
const engine = /engine = ReplacingMergeTree\((\w*)\)/
const view = /create materialized view if not exists (\w+) to (\w+) as/

/**
 * Splits SQL into statements. If `cluster` is defined, changes them so that they create replicated tables and, for each
 * table in `sharded`, a distributed table that reads from all shards.
 */
function statementsOf(sql: string, cluster: string | undefined): string[] {
  const statements = sql
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "")
  return cluster === undefined
    ? statements
    : statements.flatMap((statement) => replicated(statement, cluster))
}

function replicated(statement: string, cluster: string): string[] {
  const [, name = ""] = table.exec(statement) ?? []
  const key = sharded[name]
  const local = localName(name)
  const on = `on cluster ${quoteText(cluster)}`
  // For a table that is not sharded, {shard} is part of the replica name instead of the path, so that all servers are
  // replicas of one table.
  const path =
    key === undefined
      ? `/clickhouse/tables/{database}/${local}`
      : `/clickhouse/tables/{shard}/{database}/${local}`
  const replica = key === undefined ? "{shard}-{replica}" : "{replica}"
  const create = statement
    // On each server, the view reads the rows that are inserted into the table on the same server.
    .replace(
      view,
      (_, viewName: string, to: string) =>
        `create materialized view if not exists ${viewName} ${on} to ${to} as`,
    )
    .replace(/ from (\w+)(?= where)/, (from, source: string) =>
      view.test(statement) ? ` from ${localName(source)}` : from,
    )
    .replace(table, `create table if not exists ${local} ${on} (`)
    .replace(engine, (_, version: string) => {
      const parameters = [quoteText(path), quoteText(replica), ...(version === "" ? [] : [version])]
      return `engine = ReplicatedReplacingMergeTree(${parameters.join(", ")})`
    })
  if (key === undefined) return [create]
  return [
    create,
    `create table if not exists ${name} ${on} as ${local}
engine = Distributed(${quoteText(cluster)}, currentDatabase(), ${local}, ${key})`,
  ]
}

/** Returns a string as a SQL literal, for statements that cannot have parameters. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`
}

function quoteName(name: string): string {
  return `\`${name.replaceAll("\\", "\\\\").replaceAll("`", "\\`")}\``
}

import type { Command } from "commander"
import { withoutBasePath } from "./base-path.ts"

// Checks and adjusts flags of `serve` that depend on each other. Each function runs before the command, and ends it
// with an error if flags contradict each other.

/** Flag values by name. Contains only names from ServeOptions. */
type Options = Record<string, unknown>

/** Flags that other flags depend on, and what happens without them. */
const needs = {
  backups: { anyOf: ["backupDir", "backupTo"], without: "--backup-dir or --backup-to: no backups are made" },
  bucket: { anyOf: ["backupTo"], without: "--backup-to: nothing is uploaded" },
  acme: { anyOf: ["acme"], without: "--acme: no certificate is requested" },
  cluster: { anyOf: ["clickhouse"], without: "--clickhouse: nothing is shipped" },
} as const

/** Flags that have no effect without one of the flags in `need`. */
const dependentFlags = [
  { name: "backupEvery", flag: "--backup-every", need: needs.backups },
  { name: "backupKeep", flag: "--backup-keep", need: needs.backups },
  { name: "backupPing", flag: "--backup-ping", need: needs.backups },
  { name: "backupEndpoint", flag: "--backup-endpoint", need: needs.bucket },
  { name: "backupCredentials", flag: "--backup-credentials", need: needs.bucket },
  { name: "backupKey", flag: "--backup-key", need: needs.bucket },
  { name: "acmeDir", flag: "--acme-dir", need: needs.acme },
  { name: "acmeEmail", flag: "--acme-email", need: needs.acme },
  { name: "acmeDirectory", flag: "--acme-directory", need: needs.acme },
  { name: "acmeHttpPort", flag: "--acme-http-port", need: needs.acme },
  { name: "clickhousePasswordFile", flag: "--clickhouse-password-file", need: needs.cluster },
  { name: "clickhouseQueryTime", flag: "--clickhouse-query-time", need: needs.cluster },
  { name: "clickhouseQueryMemory", flag: "--clickhouse-query-memory", need: needs.cluster },
  { name: "keepLocal", flag: "--keep-local", need: needs.cluster },
  { name: "node", flag: "--node", need: needs.cluster },
] as const

/**
 * Rejects flags that have no effect, and --acme together with certificate files. Otherwise, an operator might believe
 * that backups exist or are encrypted, or that a certificate is renewed.
 */
export function rejectUselessFlags(command: Command): void {
  const options = command.opts<Options>()
  for (const { name, flag, need } of dependentFlags) {
    if (options[name] === undefined || command.getOptionValueSource(name) === "default") continue
    if (need.anyOf.some((other) => options[other] !== undefined)) continue
    command.error(`error: ${flag} has no effect without ${need.without}`)
  }
  if (options.acme === undefined) return
  const file = options.tlsCert === undefined ? "--tls-key" : "--tls-cert"
  if (options.tlsCert === undefined && options.tlsKey === undefined) return
  command.error(
    `error: --acme and ${file} cannot be combined: the certificate is either requested and renewed, or read from your files. Remove one of them.`,
  )
}

/** Flags that leave events out of the file. `events`: the events about which only the cluster can answer queries. */
const clusterFlags = [
  { name: "keepLocal", flag: "--keep-local", events: "removed events" },
  { name: "node", flag: "--node", events: "the events of all nodes" },
] as const

/** Rejects `clusterFlags` if queries are not sent to the cluster. */
export function requireClusterQueries(command: Command): void {
  const options = command.opts<Options>()
  if (options.clickhouseQueryTime !== 0) return
  for (const { name, flag, events } of clusterFlags) {
    if (options[name] === undefined) continue
    command.error(
      `error: ${flag} and --clickhouse-query-time 0 cannot be combined, because only the cluster can answer queries about ${events}. Remove one of them.`,
    )
  }
}

/**
 * Defaults with --acme: the standard HTTPS port on all addresses. A server with a public name must be reachable from
 * other machines.
 */
const acmeDefaults = { host: "::", port: 443 } as const

/** Applies `acmeDefaults` if `--acme` is given. */
export function listenForAcme(command: Command): void {
  if (command.opts<Options>().acme === undefined) return
  for (const [name, value] of Object.entries(acmeDefaults)) {
    if (command.getOptionValueSource(name) === "default") {
      command.setOptionValueWithSource(name, value, "implied")
    }
  }
}

type Paths = Record<"basePath" | "ingestPath", string>

/**
 * Rejects an --ingest-path that begins with --base-path, because every path is already under --base-path. If a proxy
 * removed --base-path, the rest of the path would still begin with it, and this server would remove it a second time.
 */
export function separatePaths(command: Command): void {
  const { basePath, ingestPath } = command.opts<Paths>()
  if (basePath === "" || withoutBasePath(ingestPath, basePath) === ingestPath) return
  command.error(
    `error: --ingest-path ${ingestPath} begins with --base-path ${basePath}, which applies to all paths. Leave ${basePath} out of --ingest-path.`,
  )
}

type QueueOptions = Record<"queueEvents" | "queueBytes" | "maxBatch" | "maxBody", number>

/** Each limit of the queue, with the limit of a single request that must not exceed it. */
const queues = [
  { queue: "queueEvents", queueFlag: "--queue-events", request: "maxBatch", requestFlag: "--max-batch" },
  { queue: "queueBytes", queueFlag: "--queue-bytes", request: "maxBody", requestFlag: "--max-body" },
] as const

/**
 * Makes sure that the queue can hold the largest allowed request, because the sender of a request that never fits would
 * retry forever. If only one of the two limits is given, the other one is adjusted. If both are given and conflict, the
 * command fails.
 */
export function fitQueue(command: Command): void {
  for (const { queue, queueFlag, request, requestFlag } of queues) {
    const { [queue]: capacity, [request]: max } = command.opts<QueueOptions>()
    if (max <= capacity) continue
    const isDefault = (name: string) => command.getOptionValueSource(name) === "default"
    if (isDefault(request)) command.setOptionValueWithSource(request, capacity, "implied")
    else if (isDefault(queue)) command.setOptionValueWithSource(queue, max, "implied")
    else {
      command.error(
        `error: ${queueFlag} ${capacity} is smaller than ${requestFlag} ${max}, so a request of that size would never fit. Raise ${queueFlag} or lower ${requestFlag}.`,
      )
    }
  }
}

import { type Command, Option } from "commander"
import {
  fitQueue,
  listenForAcme,
  rejectUselessFlags,
  requireClusterQueries,
  separatePaths,
} from "./flag-relations.ts"
import {
  acmeDirectory,
  backupInterval,
  basePath,
  certificateNames,
  clusterUrl,
  emailAddress,
  headerName,
  ingestPath,
  integer,
  localTime,
  networks,
  nonEmpty,
  registryAddress,
  retention,
  scriptName,
  webAddress,
} from "./flag-values.ts"
import type { TrustedNetworks } from "./http/address.ts"
import { type LogLevel, logLevels } from "./log.ts"
import type { Durability } from "./store/db/open.ts"
import { maxNode } from "./store/node-ids.ts"
import { defaultScriptName } from "./tracker/scripts.ts"

/** The option that all commands with a database share. */
export interface DatabaseOptions {
  db: string
}

export interface ServeOptions extends DatabaseOptions {
  host: string
  port: number
  durability: Durability
  setup: boolean
  maxBody: number
  maxBatch: number
  queueEvents: number
  queueBytes: number
  lockWait: number
  minFree: number
  /** In ms. If undefined, events are kept forever. */
  retain?: number
  /** If undefined, there are no scheduled backups. */
  backupDir?: string
  /** In ms. */
  backupEvery: number
  backupKeep: number
  /** An s3:// URL. If undefined, there are no off-site backups. */
  backupTo?: string
  /** URL of the S3 server. If undefined, backups are uploaded to Amazon S3. */
  backupEndpoint?: string
  /** If undefined, the server uses AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. */
  backupCredentials?: string
  /** If undefined, off-site backups are not encrypted. */
  backupKey?: string
  /** URL to request after each backup, or undefined if there is none. */
  backupPing?: string
  /** URL of the cluster. If undefined, events are not shipped. */
  clickhouse?: string
  /** If undefined, the server uses DATABUDDY_CLICKHOUSE_PASSWORD. */
  clickhousePasswordFile?: string
  /** In seconds. If 0, no query is sent to the cluster. */
  clickhouseQueryTime: number
  /** In bytes. */
  clickhouseQueryMemory: number
  /** In ms. If undefined, events stay in the file. */
  keepLocal?: number
  /** URL of another server, including its --base-path, or `none`. If undefined, see `followRegistry`. */
  registry?: string
  /** If undefined, the server uses DATABUDDY_REGISTRY_SECRET. */
  registrySecretFile?: string
  /** If undefined, no other server ships events to the same database of the cluster. */
  node?: number
  /** In bytes. If undefined, `standardQueryMemory` in server/memory-plan.ts determines the value. */
  queryMemory?: number
  rateLimit: number
  rateLimitEvents: number
  rateLimitBytes: number
  /** In ms. */
  shutdownDelay: number
  trustProxy: TrustedNetworks
  /** Name of a header, or undefined if there is none. */
  countryHeader?: string
  /** Path of an mmdb file. If undefined, the server uses the built-in country table. */
  geoDb?: string
  /** A path such as /stats, or empty if there is none. */
  basePath: string
  /** A path such as /e, or empty if there is none. */
  ingestPath: string
  scriptName: string
  tlsCert?: string
  tlsKey?: string
  /** If undefined, no certificate is requested. */
  acme?: string[]
  /** If undefined, the server uses the folder `acme` beside the database. */
  acmeDir?: string
  acmeEmail?: string
  acmeDirectory: string
  acmeHttpPort: number
  logLevel: LogLevel
  logLevelFile?: string
  metricsTokenFile?: string
  metrics?: "local"
}

export function databaseOption(): Option {
  return new Option("--db <file>", "the SQLite database; created if missing")
    .env("DATABUDDY_DB")
    .argParser(nonEmpty("a file path, such as ./databuddy.db"))
    .default("./databuddy.db")
}

/** The option for the folder of scheduled backups. Commands that read backups use it too. */
export function backupDirOption(description: string): Option {
  return option(
    "--backup-dir <folder>",
    description,
    undefined,
    nonEmpty("a folder, such as /var/backups/databuddy"),
  )
}

/** The ACME directory of Let's Encrypt, whose certificates are trusted everywhere and require no prior registration. */
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

/** Adds all flags of `serve`. */
export function addServeOptions(command: Command): Command {
  for (const option of serveOptions()) command.addOption(option)
  return command
    .hook("preAction", fitQueue)
    .hook("preAction", rejectUselessFlags)
    .hook("preAction", requireClusterQueries)
    .hook("preAction", separatePaths)
    .hook("preAction", listenForAcme)
}

/** Adds some of the flags of `serve` to another command, with their environment variables and defaults. */
export function addFlagsOfServe(command: Command, flags: readonly string[]): Command {
  for (const option of serveOptions()) if (flags.includes(option.long ?? "")) command.addOption(option)
  return command.hook("preAction", listenForAcme)
}

/**
 * Sets those of the given flags that have been set neither on the command line nor in this process's environment, from
 * the environment of a server.
 */
export function useEnvironment(command: Command, flags: readonly string[], env: NodeJS.ProcessEnv): void {
  for (const option of command.options) {
    const value = env[option.envVar ?? ""]?.trim()
    if (value === undefined || !flags.includes(option.long ?? "")) continue
    const name = option.attributeName()
    const source = command.getOptionValueSource(name)
    if (source === "cli" || source === "env") continue
    command.setOptionValueWithSource(name, option.parseArg?.(value, undefined) ?? value, "env")
  }
  listenForAcme(command)
}

/** Returns the defaults of `serve` for flags that are not set. */
export function defaultServeOptions(): Omit<ServeOptions, "db"> {
  const defaults = serveOptions().filter(({ defaultValue }) => defaultValue !== undefined)
  const values = Object.fromEntries(defaults.map((option) => [option.attributeName(), option.defaultValue]))
  // The type assertion is safe because Commander sets the same properties to the same values.
  return { setup: true, ...values } as Omit<ServeOptions, "db">
}

/**
 * Returns all flags of `serve`. Each can also be set with an environment variable, such as DATABUDDY_MAX_BODY for
 * `--max-body`.
 */
export function serveOptions(): Option[] {
  return [
    option(
      "--host <address>",
      "address to listen on",
      "127.0.0.1",
      nonEmpty("an address of this machine, such as 127.0.0.1"),
    ),
    option("--port <number>", "port to listen on (0: any free port)", 4000, integer(0, 65_535)),
    option(
      "--durability <how>",
      "acknowledge events after they are synced to disk (fsync) or handed to the kernel (os)",
      "fsync",
    ).choices(["fsync", "os"]),
    option("--no-setup", "do not create a website and an API key in an empty database"),
    option(
      "--max-body <bytes>",
      "maximum body size, after decompression",
      2_097_152,
      integer(1_024, 1_073_741_824),
    ),
    option("--max-batch <events>", "maximum events per request", 1_000, integer(1, 100_000)),
    option("--queue-events <number>", "maximum events waiting to be written", 50_000, integer(1, 10_000_000)),
    option(
      "--queue-bytes <bytes>",
      "maximum bytes of requests waiting to be written",
      67_108_864,
      integer(1_024, 2 ** 40),
    ),
    option(
      "--lock-wait <ms>",
      "how long a request waits while another process locks the database",
      5_000,
      integer(0, 600_000),
    ),
    option(
      "--min-free <bytes>",
      "minimum free disk space; with less, events are rejected, but deleting still works (0: no minimum)",
      268_435_456,
      integer(0, 2 ** 50),
    ),
    option(
      "--retain <duration>",
      "how long to keep the events of websites that do not set their own retention, such as 400d (default: forever)",
      undefined,
      retention,
    ),
    backupDirOption("write verified backups of the database to this folder on a schedule"),
    option("--backup-every <duration>", "interval between backups, such as 6h", "24h", backupInterval),
    option("--backup-keep <number>", "number of backups to keep", 7, integer(1, 100_000)),
    option(
      "--backup-to <url>",
      "also upload compressed backups to this bucket on the same schedule, such as s3://my-bucket/databuddy; each server needs its own prefix",
      undefined,
      nonEmpty("a bucket and an optional prefix, such as s3://my-bucket/databuddy"),
    ),
    option(
      "--backup-endpoint <url>",
      "S3 server that hosts the bucket (default: Amazon S3, in the region set with AWS_REGION)",
      undefined,
      webAddress,
    ),
    option(
      "--backup-credentials <file>",
      "file with the access key for the bucket, in the format of ~/.aws/credentials (default: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)",
      undefined,
      nonEmpty("a file path, such as /etc/databuddy/s3"),
    ),
    option(
      "--backup-key <file>",
      "encrypt backups in the bucket for the keys in this file, created by age-keygen; the public key (age1…) is enough unless you restore",
      undefined,
      nonEmpty("a file path, such as /etc/databuddy/backup-key"),
    ),
    option(
      "--backup-ping <url>",
      "request this URL after each successful backup, so that a monitor can report a missing backup",
      undefined,
      webAddress,
    ),
    option(
      "--clickhouse <url>",
      "ship all events to this ClickHouse database, such as https://user@host:8443/database, and use it to answer queries; run `databuddy clickhouse migrate` first",
      undefined,
      clusterUrl,
    ),
    option(
      "--clickhouse-password-file <file>",
      "file with the password of the ClickHouse user (default: DATABUDDY_CLICKHOUSE_PASSWORD)",
      undefined,
      nonEmpty("a file path, such as /etc/databuddy/clickhouse-password"),
    ),
    option(
      "--clickhouse-query-time <seconds>",
      "time after which ClickHouse stops a query (0: SQLite answers all queries)",
      60,
      integer(0, 86_400),
    ),
    option(
      "--clickhouse-query-memory <bytes>",
      "maximum memory of one query in ClickHouse",
      4_294_967_296,
      integer(16_777_216, 2 ** 50),
    ),
    option(
      "--keep-local <duration>",
      "remove events older than this, such as 30d, from the file once the cluster has them; queries for earlier days then need the cluster",
      undefined,
      localTime,
    ),
    option(
      "--node <number>",
      "unique number of this server among those that share one ClickHouse database; use 0 for the server that already shipped events; run `databuddy clickhouse migrate --shared` first",
      undefined,
      integer(0, maxNode),
    ),
    option(
      "--registry <url>",
      'copy websites, keys and users from this server, which must have the same secret in --registry-secret-file; "none" stops copying and keeps the last copy',
      undefined,
      registryAddress,
    ),
    option(
      "--registry-secret-file <file>",
      "file with a secret of at least 32 characters, which a server and the servers that copy its websites, keys and users with --registry must share (default: DATABUDDY_REGISTRY_SECRET)",
      undefined,
      nonEmpty("a file path, such as /etc/databuddy/registry-secret"),
    ),
    option(
      "--query-memory <bytes>",
      "memory for all queries; one query can use half, and unused memory caches data for later queries (default: an eighth of the machine's memory, from 128 MiB to 512 MiB)",
      undefined,
      integer(16_777_216, 2 ** 40),
    ),
    option(
      "--rate-limit <requests>",
      "requests per minute for one website ID or share link from one address (0: unlimited, also for events and bytes)",
      600,
      integer(0, 1e9),
    ),
    option(
      "--rate-limit-events <events>",
      "events per minute for one website ID from one address (0: unlimited)",
      50_000,
      integer(0, 1e9),
    ),
    option(
      "--rate-limit-bytes <bytes>",
      "bytes of events per minute for one website ID from one address, before or after decompression, whichever is more (0: unlimited)",
      33_554_432,
      integer(0, 2 ** 50),
    ),
    option(
      "--shutdown-delay <ms>",
      "how long to keep accepting requests after the stop signal; /ready responds with 503 and /health reports stopping, so that proxies stop sending requests first",
      0,
      integer(0, 60_000),
    ),
    option(
      "--trust-proxy <networks>",
      "comma-separated proxies whose X-Forwarded-For is trusted",
      "127.0.0.0/8,::1",
      networks,
    ),
    option(
      "--country-header <name>",
      "header in which a trusted proxy sends the visitor's country, such as CF-IPCountry",
      undefined,
      headerName,
    ),
    option(
      "--geo-db <file>",
      "look up visitors' countries, regions and cities in this mmdb file, read at startup (default: the built-in country table)",
      undefined,
      nonEmpty("a file path, such as /var/lib/databuddy/GeoLite2-City.mmdb"),
    ),
    option(
      "--base-path <path>",
      "serve everything under this path of the host, such as /stats; a proxy in front can remove it from requests or keep it",
      "",
      basePath,
    ),
    option(
      "--ingest-path <path>",
      "also serve all ingestion endpoints under this path, such as /e, because blocklists contain the usual paths",
      "",
      ingestPath,
    ),
    option(
      "--script-name <file>",
      "also serve databuddy.js under this name, such as app.js, because blocklists contain the usual name",
      defaultScriptName,
      scriptName,
    ),
    option(
      "--tls-cert <file>",
      "serve HTTPS with this certificate and its chain (PEM), read at startup and on SIGHUP",
    ),
    option("--tls-key <file>", "private key of the certificate (PEM, no passphrase)"),
    option(
      "--acme <names>",
      "serve HTTPS for these names, such as events.example.com, with a certificate from Let's Encrypt that the server obtains and renews; you accept its terms of service. Changes the defaults to --host :: and --port 443",
      undefined,
      certificateNames,
    ),
    option(
      "--acme-dir <folder>",
      'folder of the certificate and the account key (default: "acme" beside the database)',
      undefined,
      nonEmpty("a folder, such as /var/lib/databuddy/acme"),
    ),
    option(
      "--acme-email <address>",
      "where the certificate authority can reach you (default: no address)",
      undefined,
      emailAddress,
    ),
    option(
      "--acme-directory <url>",
      "ACME directory of the certificate authority",
      letsEncrypt,
      acmeDirectory,
    ),
    option(
      "--acme-http-port <number>",
      "port on which the certificate authority checks the names; other requests are redirected to HTTPS. If it is not 80, forward port 80 to it and port 443 to --port",
      80,
      integer(1, 65_535),
    ),
    option("--log-level <level>", "log level", "info").choices(logLevels),
    option(
      "--log-level-file <file>",
      "if this file exists, it overrides --log-level; read at startup and on SIGHUP",
      undefined,
      nonEmpty("a file path, such as /etc/databuddy/log-level"),
    ),
    option("--metrics-token-file <file>", "allow access to /metrics with the token in this file"),
    option("--metrics <who>", "allow access to /metrics from this machine without a token (local)").choices([
      "local",
    ]),
  ]
}

/**
 * Creates an option. If a flag can be repeated, the second argument of `parse` is the value of the earlier occurrences.
 */
function option<Value>(
  flags: string,
  description: string,
  defaultValue?: unknown,
  parse?: (text: string, previous?: Value) => Value,
): Option {
  const option = new Option(flags, description)
  // If the environment variable of a switch has any value, even 0, Commander turns the switch on.
  // `deleteDisabledSwitches` in flag-variables.ts prevents that.
  const name = option.long?.slice(2).replaceAll("-", "_").toUpperCase()
  option.env(`DATABUDDY_${name}`)
  if (parse) option.argParser(parse)
  if (defaultValue !== undefined) {
    option.default(parse ? parse(String(defaultValue)) : defaultValue, String(defaultValue))
  }
  return option
}

import { type Command, InvalidArgumentError, Option } from "commander"
import { durationOf } from "./duration.ts"
import { parseNetworks, type TrustedNetworks } from "./http/address.ts"
import { type Level, levels } from "./log.ts"
import type { Durability } from "./store/db/open.ts"
import { retentionForm, retentionOf } from "./store/retention.ts"

/** Where the database is, for every command. */
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
  /** ms; undefined: for ever. */
  retain?: number
  /** Left out: no backups on a schedule. */
  backupDir?: string
  /** ms */
  backupEvery: number
  backupKeep: number
  /** Left out: what `standardQueryMemory` says. */
  queryMemory?: number
  rateLimit: number
  rateLimitEvents: number
  rateLimitBytes: number
  /** ms */
  shutdownDelay: number
  trustProxy: TrustedNetworks
  tlsCert?: string
  tlsKey?: string
  logLevel: Level
  metricsTokenFile?: string
  metrics?: "local"
}

export function databaseOption(): Option {
  return new Option("--db <file>", "the SQLite database; made if it is missing")
    .env("DATABUDDY_DB")
    .argParser(filled("the path of a file, such as ./databuddy.db"))
    .default("./databuddy.db")
}

/** Where the backups of `serve` are, also for commands that look at them. */
export function backupDirOption(description: string): Option {
  return option(
    "--backup-dir <folder>",
    description,
    undefined,
    filled("a folder, such as /var/backups/databuddy"),
  )
}

/** Adds the flags of `serve`. */
export function addServeOptions(command: Command): Command {
  for (const one of serveOptions()) command.addOption(one)
  return command.hook("preAction", fitQueue).hook("preAction", requireBackupDir)
}

/** Adds those flags of `serve`, such as `--host`, that another command wants to know, with their variables and defaults. */
export function addFlagsOfServe(command: Command, flags: readonly string[]): Command {
  for (const one of serveOptions()) if (flags.includes(one.long ?? "")) command.addOption(one)
  return command
}

/**
 * Bytes, of as many that this process may have: an eighth, since it takes two to three times as much for a while. With less than the
 * least even a month of a small website is read anew by each question; the most holds what all pages ask of 10 million events.
 */
export function standardQueryMemory(machine: number): number {
  const [least, most] = [134_217_728, 536_870_912]
  return Math.max(least, Math.min(Math.floor(machine / 8), most))
}

/** Each is an environment variable too: `--max-body` is DATABUDDY_MAX_BODY. */
function serveOptions(): Option[] {
  return [
    option(
      "--host <address>",
      "address to listen on",
      "127.0.0.1",
      filled("an address of this machine, such as 127.0.0.1"),
    ),
    option("--port <number>", "port to listen on; 0: any free one", 4000, whole(0, 65_535)),
    option(
      "--durability <how>",
      "answer after the data is synced to disk (fsync), or after the kernel has it (os)",
      "fsync",
    ).choices(["fsync", "os"]),
    option("--no-setup", "make no website and no key in an empty database"),
    option("--max-body <bytes>", "largest body, after decompression", 2_097_152, whole(1_024, 1_073_741_824)),
    option("--max-batch <events>", "most events in a request", 1_000, whole(1, 100_000)),
    option("--queue-events <number>", "events that may wait for the disk", 50_000, whole(1, 10_000_000)),
    option(
      "--queue-bytes <bytes>",
      "bytes of requests that may wait for the disk",
      67_108_864,
      whole(1_024, 2 ** 40),
    ),
    option(
      "--lock-wait <ms>",
      "how long a request waits while another process locks the database",
      5_000,
      whole(0, 600_000),
    ),
    option(
      "--min-free <bytes>",
      "room to leave on the disk: with less, events are refused and deleting still works; 0: none",
      268_435_456,
      whole(0, 2 ** 50),
    ),
    option(
      "--retain <time>",
      "how long events are kept where their website does not say, such as 400d (default: for ever)",
      undefined,
      retention,
    ),
    backupDirOption("keep a checked backup of the database in this folder, on a schedule"),
    option("--backup-every <time>", "time between two backups, such as 6h", "24h", backupTime),
    option("--backup-keep <number>", "newest backups that stay", 7, whole(1, 100_000)),
    option(
      "--query-memory <bytes>",
      "memory for all queries together, half of it for one at most; what they leave is for what the next one may need (default: an eighth of the machine's, from 128 MiB to 512 MiB)",
      undefined,
      whole(16_777_216, 2 ** 40),
    ),
    option(
      "--rate-limit <requests>",
      "requests a minute for one website id or share link and one address; 0: any number, of events and bytes too",
      600,
      whole(0, 1e9),
    ),
    option(
      "--rate-limit-events <events>",
      "events a minute for one website id and one address; 0: any number",
      50_000,
      whole(0, 1e9),
    ),
    option(
      "--rate-limit-bytes <bytes>",
      "bytes of events a minute for one website id and one address, after decompression; 0: any number",
      33_554_432,
      whole(0, 2 ** 50),
    ),
    option(
      "--shutdown-delay <ms>",
      "how long to accept requests after the signal to stop, while /ready answers 503 and /health says stopping, so that proxies stop sending first",
      0,
      whole(0, 60_000),
    ),
    option(
      "--trust-proxy <networks>",
      "proxies whose X-Forwarded-For is believed, comma-separated",
      "127.0.0.0/8,::1",
      networks,
    ),
    option("--tls-cert <file>", "speak HTTPS with this certificate and its chain (PEM), read at start"),
    option("--tls-key <file>", "the private key of the certificate (PEM, without a passphrase)"),
    option("--log-level <level>", "least level that is logged", "info").choices(levels),
    option("--metrics-token-file <file>", "show /metrics to whoever sends what this file holds"),
    option("--metrics <who>", "show /metrics to whoever asks from this machine (local)").choices(["local"]),
  ]
}

/** Whoever says how often there should be backups believes that there are some. */
function requireBackupDir(command: Command): void {
  if (command.opts<ServeOptions>().backupDir !== undefined) return
  for (const [name, flag] of [
    ["backupEvery", "--backup-every"],
    ["backupKeep", "--backup-keep"],
  ] as const) {
    if (command.getOptionValueSource(name) === "default") continue
    command.error(`error: ${flag} is without effect: no backups are made without --backup-dir`)
  }
}

/** What a queue holds, and how much of it one request may bring. */
const queues = [
  { queue: "queueEvents", queueFlag: "--queue-events", request: "maxBatch", requestFlag: "--max-batch" },
  { queue: "queueBytes", queueFlag: "--queue-bytes", request: "maxBody", requestFlag: "--max-body" },
] as const

/**
 * A request that is larger than the whole queue would be told to try again, for ever. Where one of the two limits was
 * given, the other's default gives way; where both were, they are refused.
 */
function fitQueue(command: Command): void {
  for (const { queue, queueFlag, request, requestFlag } of queues) {
    const { [queue]: room, [request]: most } = command.opts<ServeOptions>()
    if (most <= room) continue
    const isDefault = (name: string) => command.getOptionValueSource(name) === "default"
    if (isDefault(request)) command.setOptionValueWithSource(request, room, "implied")
    else if (isDefault(queue)) command.setOptionValueWithSource(queue, most, "implied")
    else {
      command.error(
        `error: ${queueFlag} ${room} is smaller than ${requestFlag} ${most}: a request of that size would never fit. Raise ${queueFlag} or lower ${requestFlag}.`,
      )
    }
  }
}

function option(
  flags: string,
  description: string,
  standard?: unknown,
  parse?: (text: string) => unknown,
): Option {
  const made = new Option(flags, description)
  // A flag without a value is on by being there, in the environment too; see `settleSwitches`.
  const name = made.long?.slice(2).replaceAll("-", "_").toUpperCase()
  made.env(`DATABUDDY_${name}`)
  if (parse) made.argParser(parse)
  if (standard !== undefined) made.default(parse ? parse(String(standard)) : standard, String(standard))
  return made
}

/** `most` is below 2^53, and so has at most 16 digits. */
export function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (number >= least && number <= most) return number
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }
}

/** For what must not be empty: no path is the folder that the process runs in, no host is every network. */
function filled(what: string): (text: string) => string {
  return (text) => {
    if (text.trim() !== "") return text
    throw new InvalidArgumentError(`It must be ${what}.`)
  }
}

function retention(text: string): number {
  const ms = retentionOf(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError(`It must be ${retentionForm}.`)
}

/** s; a database of some GB takes half a minute to copy and check. */
const backupTimes = { least: 1, most: 366 * 86_400 } as const

function backupTime(text: string): number {
  const ms = durationOf(text) ?? 0
  if (ms >= backupTimes.least * 1_000 && ms <= backupTimes.most * 1_000) return ms
  throw new InvalidArgumentError("It must be a time such as 6h or 1d, of at most 366d.")
}

function networks(text: string): TrustedNetworks {
  const parsed = parseNetworks(text)
  if (parsed) return parsed
  throw new InvalidArgumentError("It must be addresses or networks such as 10.0.0.0/8, separated by commas.")
}

/** A file of variables with Windows' line ends, or a space behind a value, leaves a value that looks right and is not. */
export function trimVariables(env: NodeJS.ProcessEnv): void {
  for (const [name, value] of Object.entries(env)) {
    if (name.startsWith("DATABUDDY_") && value !== undefined) env[name] = value.trim()
  }
}

const on = new Set(["1", "true", "yes", "on"])
const off = new Set(["", "0", "false", "no", "off"])

/**
 * Takes the switches of `serve` that say no out of the environment that it is given, for commander takes a variable for set
 * whatever it says. Gives the name of one that says neither yes nor no.
 */
export function settleSwitches(env: NodeJS.ProcessEnv): string | undefined {
  for (const { envVar: name, required, optional } of serveOptions()) {
    // What takes a value is no switch.
    if (!name || required || optional) continue
    const value = env[name]?.toLowerCase()
    if (value === undefined || on.has(value)) continue
    if (!off.has(value)) return name
    delete env[name]
  }
  return undefined
}

import type { Backup } from "../backups/files.ts"
import { spareBytes } from "../backups/staging.ts"
import { formatDuration } from "../duration.ts"
import type { ServeOptions } from "../serve-options.ts"
import type { Growth } from "../store/db/growth.ts"
import type { RegistrySource } from "../store/registry-copy.ts"
import { isoTime, shortTime, size } from "../terminal/print.ts"
import type { CheckResult } from "./check-result.ts"
import { type ClusterFacts, checkCluster } from "./cluster.ts"
import { type CertificateFacts, checkCertificate, checkProxy } from "./reachability.ts"

/** The state of the machine and the database. */
export interface Facts {
  db: string
  /** The current time, in Unix ms like all times here. */
  now: number
  /** Process id of the server that uses the database. Undefined if there is none. */
  server: number | undefined
  /** The first pending migration. */
  pending: string | undefined
  /** SQLite's error if the database cannot be read. */
  damage: { message: string; hint: string | undefined } | undefined
  growth: Growth | undefined
  freeBytes: number
  /** The database and its -wal, -shm and -lock files, if they exist. */
  files: FileFacts[]
  /** Known copies of the database. */
  copies: FileFacts[]
  /** Permission bits of the database's folder. Undefined on systems without them. */
  folderMode: number | undefined
  backups: BackupFacts | undefined
  /** The backups in the bucket of --backup-to. */
  offsite: BackupFacts | undefined
  openFiles: { most: number; open: number | undefined; of: "server" | "own" } | undefined
  /** Versions of the time zone database, such as 2026f, in this program and in the system (if known). */
  zoneRules: { own: string; system: string | undefined }
  countries: CountryFacts
  /** Undefined if the server serves HTTP. */
  certificate: CertificateFacts | undefined
  cluster: ClusterFacts
  /** The server from which websites, keys and users are copied. Undefined if they are not copied. */
  registry: RegistrySource | undefined
}

/**
 * Source of the visitors' countries, and the day on which the table was built. `file`: the path in --geo-db, or
 * undefined for the built-in table.
 */
export type CountryFacts =
  | { file: string | undefined; builtOn: string }
  | { file: string; failure: { message: string; hint: string | undefined } }

export interface FileFacts {
  path: string
  bytes: number
  changedAt: number
  /** Permission bits and owner. Undefined on systems without them. */
  mode: number | undefined
  owner: number | undefined
}

export type BackupFacts =
  | { folder: string; list: Backup[]; onDisk: "same" | "other" }
  | { folder: string; failure: { message: string; hint: string | undefined } }

export type DiagnosisSettings = Pick<
  ServeOptions,
  "host" | "minFree" | "backupEvery" | "backupKeep" | "trustProxy"
> & {
  /** True if --trust-proxy is not its default. */
  namesProxies: boolean
}

const dayMs = 86_400_000
/**
 * Doctor reports a disk that will be full in fewer days than this, which is the time that it can take to get a larger
 * disk.
 */
const minDaysUntilFull = 30
/** Maximum number of days of a forecast. The rate of one week says little about a later time. */
const maxForecastDays = 3_650
/** Tolerance in ms for clock corrections, and for clocks of network file systems. */
const clockSlack = 60_000
/**
 * Maximum size of the -wal file in bytes. A checkpoint truncates the file to 64 MiB, so four times that size means that
 * a reader blocks checkpoints.
 */
const maxWalBytes = 268_435_456
/**
 * Minimum open file limit. A client keeps its connection for about 12 s, so this limit allows 340 new connections per
 * second. The usual limit of 1,024 allows 85.
 */
const minOpenFiles = 4_096
/** Maximum share of the open file limit that should be in use. */
const maxOpenFilesShare = 0.8
/** A backup is late after this many times --backup-every, because a failed backup is retried within an hour. */
const lateFactor = 2
/** Maximum number of files to name in a message. The rest are only counted. */
const maxNamedFiles = 3
/**
 * Maximum age in ms of a copy of another server's registry (websites, keys and users). A running server updates the
 * time of the copy every minute.
 */
const maxCopyAge = 900_000
/** With fewer events, most of the file is the 200 KB of an empty database, so bytes per event would be meaningless. */
const minEventsForRate = 1_000

/** Runs all checks that apply to the server. Results with a hint require action. */
export function diagnose(facts: Facts, settings: DiagnosisSettings): CheckResult[] {
  return [
    checkDatabase(facts),
    ...checkDisk(facts, settings),
    ...checkClock(facts),
    ...checkPermissions(facts),
    checkWal(facts),
    ...checkBackups(facts, settings),
    checkOpenFileLimit(facts),
    ...checkProxy(facts.certificate !== undefined, settings),
    ...checkCertificate(facts.certificate, facts.now),
    checkTimeZones(facts),
    checkCountries(facts),
    ...checkCluster(facts.cluster, facts.now),
    ...checkRegistry(facts),
  ]
}

function checkRegistry({ registry, now }: Facts): CheckResult[] {
  if (!registry) return []
  const { url, copiedAt, problem } = registry
  const about = "registry"
  const copied =
    copiedAt === 0
      ? `have never been copied from ${url}`
      : `were last copied from ${url} at ${new Date(copiedAt).toISOString()}`
  const message = `websites, keys and users ${copied}`
  if (problem !== "")
    return [{ about, message: `${message}; the last answer was not accepted`, hint: problem }]
  if (now - copiedAt <= maxCopyAge) return [{ about, message }]
  const hint = "start both servers; the log of this server says why copying fails"
  return [{ about, message, hint }]
}

function checkDatabase({ server, pending, damage, growth }: Facts): CheckResult {
  if (damage) {
    const hint = damage.hint ?? "run `databuddy check` for details; keep a copy of the file and its -wal file"
    return { about: "database", message: damage.message, hint }
  }
  if (pending !== undefined) {
    return {
      about: "database",
      message: `its schema is from an older version; migration ${pending} has not been applied`,
      hint: "stop the server of the older version and start this version, which backs up and migrates the database",
    }
  }
  const count = growth?.events ?? 0
  const events = `${formatNumber(count)} event${count === 1 ? "" : "s"}`
  const served = server === undefined ? "no server is running" : `process ${server} serves it`
  return { about: "database", message: `${events}; ${served}` }
}

/**
 * Returns in how many days the disk will be so full that events are rejected, if they arrive at the current rate. Null
 * if that will not happen or is unknown.
 */
export function daysUntilFull(facts: Facts, settings: DiagnosisSettings): number | null {
  const { growth, freeBytes, files, backups, now } = facts
  if (!growth || growth.bytesPerEvent === null || growth.eventsPerDay === 0) return null
  if (growth.events < minEventsForRate) return null
  const onSameDisk = backups && "onDisk" in backups && backups.onDisk === "same" ? backups : undefined
  const copies = onSameDisk ? settings.backupKeep : 0
  const missing = onSameDisk ? Math.max(0, copies - onSameDisk.list.length) * (files[0]?.bytes ?? 0) : 0
  const room = freeBytes - settings.minFree - missing
  const days = Math.max(0, room) / (growth.eventsPerDay * growth.bytesPerEvent * (1 + copies))
  const { longestRetention: retention, oldest } = growth
  // After this many days, retention deletes about as many events as arrive.
  const grows = retention === undefined || oldest === null ? undefined : (oldest + retention - now) / dayMs
  return grows !== undefined && days > grows ? null : days
}

function checkDisk(facts: Facts, settings: DiagnosisSettings): CheckResult[] {
  const { db, freeBytes, growth, files } = facts
  const about = "disk"
  const free = `${size(freeBytes)} free`
  if (freeBytes < settings.minFree) {
    const message = `${free}, less than the ${size(settings.minFree)} that --min-free reserves, so events are rejected`
    return [{ about, message, hint: "free space on the database's disk, enlarge it, or lower --min-free" }]
  }
  const isTooEarly = growth !== undefined && growth.events > 0 && growth.events < minEventsForRate
  const results: CheckResult[] = []
  const copied = files.filter(({ path }) => path === db || path === `${db}-wal`)
  const copy = copied.reduce((sum, { bytes }) => sum + bytes, spareBytes)
  if (freeBytes < copy) {
    results.push({
      about,
      message: `${free}, but a copy of the database takes ${size(copy)}, so an upgrade will fail because it starts with a copy`,
      hint: "free disk space; or back up to another disk and run `databuddy migrate --no-backup` when you upgrade",
    })
  }
  const days = daysUntilFull(facts, settings)
  const bytesPerEvent = growth?.bytesPerEvent
  const rate =
    growth && bytesPerEvent
      ? `, ${formatNumber(growth.eventsPerDay)} events per day at ${formatNumber(bytesPerEvent)} bytes each`
      : ", no events yet"
  if (isTooEarly) {
    const message = `${free}, too few events for a forecast yet`
    return [...results, { about, message }]
  }
  if (days === null || days > maxForecastDays) {
    const never =
      growth?.eventsPerDay && days === null ? "; enough for all events within the retention period" : ""
    const long = days === null ? never : "; it will take more than ten years to reach --min-free"
    return [...results, { about, message: `${free}${rate}${long}` }]
  }
  const message = `${free}${rate}; --min-free will be reached in ${formatNumber(days)} days, and events will then be rejected`
  if (days >= minDaysUntilFull) return [...results, { about, message }]
  const hint = "enlarge the disk, shorten --retain, lower --backup-keep, or move backups to another disk"
  return [...results, { about, message, hint }]
}

function checkClock({ now, growth, files, copies, backups, offsite }: Facts): CheckResult[] {
  const about = "clock"
  const newest = growth?.newest ?? null
  const list = [backups, offsite].flatMap((facts) => (facts && "list" in facts ? facts.list : []))
  const stamped = [
    ...(newest === null
      ? []
      : [{ what: `the newest event (received at ${formatTime(newest)})`, at: newest }]),
    ...[...files, ...copies].map(({ path, changedAt }) => ({ what: path, at: changedAt })),
    ...list.map(({ file, at }) => ({ what: file, at })),
  ]
  const ahead = new Set(stamped.filter(({ at }) => at > now + clockSlack).map(({ what }) => what))
  if (ahead.size > 0) {
    return [
      {
        about,
        message: `it is ${formatTime(now)}, but these are from a later time: ${listPaths([...ahead])}`,
        hint: "synchronize the clock (`timedatectl`); events stored while it was ahead keep their timestamps",
      },
    ]
  }
  const last = newest === null ? "" : `, and the newest event is from ${formatTime(newest)}`
  return [{ about, message: `it is ${formatTime(now)}${last}` }]
}

function checkPermissions({ files, copies, folderMode }: Facts): CheckResult[] {
  const about = "rights"
  if (folderMode === undefined) return [{ about, message: "unknown on this system" }]
  const results: CheckResult[] = []
  const open = [...files, ...copies].filter(({ mode = 0 }) => (mode & 0o077) !== 0).map(({ path }) => path)
  if (open.length > 0) {
    results.push({
      about,
      message: `other users can open ${listPaths(open)}, which hold visitor ids`,
      hint: "run `chmod 600` on each of them",
    })
  }
  const [main, ...beside] = files
  const foreign = beside.filter(({ owner }) => owner !== main?.owner).map(({ path }) => path)
  if (main && foreign.length > 0) {
    results.push({
      about,
      message: `${listPaths(foreign)} ${foreign.length === 1 ? "does" : "do"} not belong to the owner of the database, so the server might be unable to use it`,
      hint: `run \`chown --reference=${main.path}\` on each of them; run databuddy as the server's user`,
    })
  }
  // In a folder with the sticky bit, users cannot remove other users' files.
  if ((folderMode & 0o022) !== 0 && (folderMode & 0o1000) === 0) {
    results.push({
      about,
      message: "other users can remove and replace files in the database's folder",
      hint: "run `chmod go-w` on the folder",
    })
  }
  if (results.length > 0) return results
  return [{ about, message: "only the owner can open the database and its files" }]
}

function checkWal({ db, files, server }: Facts): CheckResult {
  const about = "wal"
  const bytes = files.find(({ path }) => path === `${db}-wal`)?.bytes ?? 0
  if (bytes > maxWalBytes) {
    return {
      about,
      message: `${size(bytes)}: a long-running reader blocks checkpoints`,
      hint: `run \`fuser -v ${db}\` to list the processes that have the database open; stop the processes that are not the server. \`databuddy backup\` and \`databuddy export\` finish on their own`,
    }
  }
  if (bytes > 0 && server === undefined) {
    return {
      about,
      message: `${size(bytes)}, but no server is running; the last server was killed, and the next start recovers the -wal file. To back up, copy the database and the -wal file`,
    }
  }
  return { about, message: size(bytes) }
}

function checkBackups({ backups, offsite, now }: Facts, settings: DiagnosisSettings): CheckResult[] {
  if (!backups && !offsite) {
    return [{ about: "backups", message: "not checked, because --backup-dir and --backup-to are not set" }]
  }
  const isOnlyCopy = !offsite && backups && "onDisk" in backups && backups.onDisk === "same"
  const note = isOnlyCopy
    ? "; on the same disk as the database, so copy it elsewhere too, or set --backup-to"
    : ""
  return [
    ...(backups ? [checkAge("backups", backups, "--backup-dir", note, now, settings)] : []),
    ...(offsite ? [checkAge("offsite", offsite, "--backup-to", "", now, settings)] : []),
  ]
}

/**
 * Checks the age of the newest backup. `flag`: the flag of `serve` that creates these backups. `note`: added to the
 * message if the check passes.
 */
function checkAge(
  about: "backups" | "offsite",
  facts: BackupFacts,
  flag: "--backup-dir" | "--backup-to",
  note: string,
  now: number,
  { backupEvery }: DiagnosisSettings,
): CheckResult {
  if ("failure" in facts) {
    const hint = facts.failure.hint ?? `correct ${flag}`
    return { about, message: facts.failure.message, hint }
  }
  const hint = `a server with ${flag} creates them and logs any failure; \`databuddy backup\` creates one manually`
  const { folder, list } = facts
  // Ignores backups dated in the future, because they were created while the clock was ahead.
  const newest = list.filter(({ at }) => at <= now + clockSlack).at(-1)
  if (!newest) return { about, message: `there are none in ${folder}`, hint }
  const age = now - newest.at
  const message = `the newest is ${formatAge(age)} old: ${newest.file}`
  if (age <= lateFactor * backupEvery) return { about, message: message + note }
  return { about, message: `${message}; expected one every ${formatDuration(backupEvery)}`, hint }
}

function checkOpenFileLimit({ openFiles, server }: Facts): CheckResult {
  const about = "limits"
  if (!openFiles) return { about, message: "the open file limit of the server is unknown on this system" }
  const { most, open, of } = openFiles
  const who = of === "server" ? `process ${server}` : "a process started here"
  const now = open === undefined ? "" : ` and has ${formatNumber(open)} open`
  const message = `${who} can open ${formatNumber(most)} files${now}; each connection takes one`
  const isFull = open !== undefined && open > maxOpenFilesShare * most
  if (most >= minOpenFiles && !isFull) return { about, message }
  return {
    about,
    message,
    hint: "raise the limit (`LimitNOFILE=65536` in the systemd unit, `ulimit -n 65536` in a shell) and restart",
  }
}

function checkTimeZones({ zoneRules: { own, system } }: Facts): CheckResult {
  const newer =
    system !== undefined && system > own
      ? `; the system has ${system}, and a newer databuddy might have it too`
      : ""
  return { about: "zones", message: `time zone rules ${own} (tzdata)${newer}` }
}

function checkCountries({ countries }: Facts): CheckResult {
  const about = "country"
  if ("failure" in countries) {
    const { message, hint = "set --geo-db to an mmdb file" } = countries.failure
    return { about, message, hint }
  }
  const { file, builtOn } = countries
  const table = file === undefined ? "the built-in table" : file
  return { about, message: `visitor countries come from ${table}, built on ${builtOn}` }
}

function listPaths(paths: readonly string[]): string {
  const more = paths.length - maxNamedFiles
  return `${paths.slice(0, maxNamedFiles).join(", ")}${more > 0 ? ` and ${more} more` : ""}`
}

function formatTime(at: number): string {
  return shortTime(isoTime(at), "")
}

function formatNumber(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 })
}

/** Formats an age in its largest whole unit, such as `3 days`. */
function formatAge(ms: number): string {
  const units = [
    ["day", dayMs],
    ["hour", 3_600_000],
    ["minute", 60_000],
  ] as const
  for (const [name, length] of units) {
    const count = Math.floor(ms / length)
    if (count > 0) return `${count} ${name}${count === 1 ? "" : "s"}`
  }
  return "less than a minute"
}

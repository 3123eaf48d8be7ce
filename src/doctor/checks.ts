import { isIP } from "node:net"
import { spareBytes } from "../backups/staging.ts"
import type { Backup } from "../backups/files.ts"
import type { ServeOptions } from "../config.ts"
import { formatDuration } from "../duration.ts"
import { isTrustedProxy } from "../http/address.ts"
import type { Growth } from "../store/db/growth.ts"
import { shortTime, size } from "../terminal/print.ts"

/** One thing that was looked at. */
export interface CheckResult {
  about: "database" | "disk" | "clock" | "rights" | "wal" | "backups" | "limits" | "proxy" | "zones"
  message: string
  /** What to do; undefined: nothing. */
  hint?: string
}

/** What the machine and the database are like. */
export interface Facts {
  db: string
  /** Unix ms, as every time here. */
  now: number
  /** The process that serves the database. */
  server: number | undefined
  /** The first migration that it lacks, and what SQLite said where it could not be read. */
  pending: string | undefined
  damage: { message: string; hint: string | undefined } | undefined
  growth: Growth | undefined
  freeBytes: number
  /** The database's own: itself, its -wal, -shm and -lock, as far as they are there, and then the copies of it that are known. */
  files: FileFacts[]
  copies: FileFacts[]
  /** Permission bits of the database's folder; undefined where the system has none. */
  folderMode: number | undefined
  checkBackups: BackupFacts | undefined
  openFiles: { most: number; open: number | undefined; of: "server" | "own" } | undefined
  /** Versions of the time zone rules, such as 2026f: this program's, and the system's where it says. */
  zoneRules: { own: string; system: string | undefined }
}

export interface FileFacts {
  path: string
  bytes: number
  changedAt: number
  /** Permission bits and owner; undefined where the system has none. */
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
  /** --trust-proxy is not what it is when nobody says anything. */
  namesProxies: boolean
  tlsCert?: string | undefined
}

const dayMs = 86_400_000
/** Days that a full disk should be away: time to order a larger one at leisure. */
const minDaysUntilFull = 30
/** Days beyond which the rate of a week says nothing. */
const maxForecastDays = 3_650
/** ms by which clocks are put right while they run, and file systems over a network are off. */
const clockSlack = 60_000
/** Bytes of -wal: a checkpoint cuts it to 64 MiB, so that four times that is held up by somebody. */
const maxWalBytes = 268_435_456
/** A client keeps its connection for some 12 s: 340 new ones a second, or a quarter of that with the usual 1,024. */
const minOpenFiles = 4_096
/** Share of the limit that may be in use. */
const maxOpenFilesShare = 0.8
/** Times --backup-every: one that fails is tried again within the hour. */
const lateFactor = 2
/** Files that a message names; of more it says how many. */
const maxNamedFiles = 3
/** Events below which most of the file is what an empty one holds too, 200 KB: bytes an event would say nothing. */
const minEventsForRate = 1_000
/** Addresses kept for documentation, which nobody's proxy has. */
const documentationAddresses = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"]

/** What was found, at least one finding for each thing; those with a hint want something done. */
export function diagnose(facts: Facts, settings: DiagnosisSettings): CheckResult[] {
  return [
    checkDatabase(facts),
    ...checkDisk(facts, settings),
    ...checkClock(facts),
    ...checkPermissions(facts),
    checkWal(facts),
    backups(facts, settings),
    checkOpenFileLimit(facts),
    ...checkProxy(settings),
    checkTimeZones(facts),
  ]
}

function checkDatabase({ server, pending, damage, growth }: Facts): CheckResult {
  if (damage) {
    const hint = damage.hint ?? "run databuddy check, which says more; keep a copy of the file and its -wal"
    return { about: "database", message: damage.message, hint }
  }
  if (pending !== undefined) {
    return {
      about: "database",
      message: `it is of an older version: the migration ${pending} has not been applied`,
      hint: "stop the server of the older version and start this one's, which backs up and migrates",
    }
  }
  const count = growth?.events ?? 0
  const events = `${formatNumber(count)} event${count === 1 ? "" : "s"}`
  const served = server === undefined ? "no server runs" : `process ${server} serves it`
  return { about: "database", message: `${events}; ${served}` }
}

/** Days until events are refused at the present rate; null: they will not be, or it cannot be told. */
export function daysUntilFull(facts: Facts, settings: DiagnosisSettings): number | null {
  const { growth, freeBytes, files, checkBackups: found, now } = facts
  if (!growth || growth.bytesPerEvent === null || growth.eventsPerDay === 0) return null
  if (growth.events < minEventsForRate) return null
  const onSameDisk = found && "onDisk" in found && found.onDisk === "same" ? found : undefined
  const copies = onSameDisk ? settings.backupKeep : 0
  const missing = onSameDisk ? Math.max(0, copies - onSameDisk.list.length) * (files[0]?.bytes ?? 0) : 0
  const room = freeBytes - settings.minFree - missing
  const days = Math.max(0, room) / (growth.eventsPerDay * growth.bytesPerEvent * (1 + copies))
  const { longestRetention: keptFor, oldest } = growth
  // From then on as much is deleted as comes.
  const grows = keptFor === undefined || oldest === null ? undefined : (oldest + keptFor - now) / dayMs
  return grows !== undefined && days > grows ? null : days
}

function checkDisk(facts: Facts, settings: DiagnosisSettings): CheckResult[] {
  const { db, freeBytes, growth, files } = facts
  const about = "disk"
  const free = `${size(freeBytes)} free`
  if (freeBytes < settings.minFree) {
    const message = `${free}, less than the ${size(settings.minFree)} of --min-free: events are refused`
    return [{ about, message, hint: "make room on the database's disk, or enlarge it; lower --min-free" }]
  }
  const isTooEarly = growth !== undefined && growth.events > 0 && growth.events < minEventsForRate
  const findings: CheckResult[] = []
  const copied = files.filter(({ path }) => path === db || path === `${db}-wal`)
  const copy = copied.reduce((sum, { bytes }) => sum + bytes, spareBytes)
  if (freeBytes < copy) {
    findings.push({
      about,
      message: `${free}, and a copy of the database takes ${size(copy)}: an upgrade, which begins with one, will refuse`,
      hint: "make room; or back up to another disk and run databuddy migrate --no-backup when you upgrade",
    })
  }
  const days = daysUntilFull(facts, settings)
  const a = growth?.bytesPerEvent
  const rate =
    growth && a
      ? `, ${formatNumber(growth.eventsPerDay)} events a day of ${formatNumber(a)} bytes each`
      : ", and nothing that would fill it"
  if (isTooEarly) {
    const message = `${free}, and too few events yet to tell how fast they fill it`
    return [...findings, { about, message }]
  }
  if (days === null || days > maxForecastDays) {
    const never = growth?.eventsPerDay && days === null ? ": what is kept will fit" : ""
    const long = days === null ? never : ": years away from --min-free"
    return [...findings, { about, message: `${free}${rate}${long}` }]
  }
  const message = `${free}${rate}: down to --min-free, and events refused, in ${formatNumber(days)} days`
  if (days >= minDaysUntilFull) return [...findings, { about, message }]
  const hint =
    "enlarge the disk, keep events for less time with --retain, or fewer backups with --backup-keep, or those on another disk"
  return [...findings, { about, message, hint }]
}

function checkClock({ now, growth, files, copies, checkBackups: found }: Facts): CheckResult[] {
  const about = "clock"
  const newest = growth?.newest ?? null
  const list = found && "list" in found ? found.list : []
  const stamped = [
    ...(newest === null ? [] : [{ what: `the newest event (received at ${formatTime(newest)})`, at: newest }]),
    ...[...files, ...copies].map(({ path, changedAt }) => ({ what: path, at: changedAt })),
    ...list.map(({ file, at }) => ({ what: file, at })),
  ]
  const ahead = new Set(stamped.filter(({ at }) => at > now + clockSlack).map(({ what }) => what))
  if (ahead.size > 0) {
    return [
      {
        about,
        message: `it is ${formatTime(now)}, and of a later time are ${listPaths([...ahead])}`,
        hint: "have the clock set (timedatectl); what was stamped while it was ahead stays so",
      },
    ]
  }
  const last = newest === null ? "" : `, and the newest event is from ${formatTime(newest)}`
  return [{ about, message: `it is ${formatTime(now)}${last}` }]
}

function checkPermissions({ files, copies, folderMode }: Facts): CheckResult[] {
  const about = "rights"
  if (folderMode === undefined) return [{ about, message: "not known on this system" }]
  const findings: CheckResult[] = []
  const open = [...files, ...copies].filter(({ mode = 0 }) => (mode & 0o077) !== 0).map(({ path }) => path)
  if (open.length > 0) {
    findings.push({
      about,
      message: `others than the owner may open ${listPaths(open)}: visitors' ids are in there`,
      hint: "chmod 600 each of them",
    })
  }
  const [main, ...beside] = files
  const foreign = beside.filter(({ owner }) => owner !== main?.owner).map(({ path }) => path)
  if (main && foreign.length > 0) {
    findings.push({
      about,
      message: `${listPaths(foreign)} ${foreign.length === 1 ? "does" : "do"} not belong to the owner of the database: a server may not be able to use it`,
      hint: `chown --reference=${main.path} each of them; run databuddy as the server's user`,
    })
  }
  // In a sticky folder nobody can take away what is another's.
  if ((folderMode & 0o022) !== 0 && (folderMode & 0o1000) === 0) {
    findings.push({
      about,
      message: "others than the owner may remove and replace files in the database's folder",
      hint: "chmod go-w the folder",
    })
  }
  if (findings.length > 0) return findings
  return [{ about, message: "nobody but the owner may open the database and what belongs to it" }]
}

function checkWal({ db, files, server }: Facts): CheckResult {
  const about = "wal"
  const bytes = files.find(({ path }) => path === `${db}-wal`)?.bytes ?? 0
  if (bytes > maxWalBytes) {
    return {
      about,
      message: `${size(bytes)}: a process reads for so long that what is in it cannot be brought into the file`,
      hint: `fuser -v ${db} names who has the database open; end what is not the server. A databuddy backup or export ends by itself`,
    }
  }
  if (bytes > 0 && server === undefined) {
    return {
      about,
      message: `${size(bytes)} and no server: one was killed, and the next start brings it in; a copy takes both files`,
    }
  }
  return { about, message: size(bytes) }
}

function backups({ checkBackups: found, now }: Facts, { backupEvery }: DiagnosisSettings): CheckResult {
  const about = "backups"
  if (!found) return { about, message: "not looked at, for --backup-dir names no folder" }
  if ("failure" in found) {
    return {
      about,
      message: found.failure.message,
      hint: found.failure.hint ?? "give a folder with --backup-dir",
    }
  }
  const hint =
    "serve --backup-dir makes them, and its log says why one failed; databuddy backup makes one by hand"
  const { folder, list, onDisk } = found
  // One from a clock that was ahead says nothing of when there was one last.
  const newest = list.filter(({ at }) => at <= now + clockSlack).at(-1)
  if (!newest) return { about, message: `there is none in ${folder}`, hint }
  const age = now - newest.at
  const message = `the newest is ${formatAge(age)} old, ${newest.file}`
  if (age > lateFactor * backupEvery) {
    return { about, message: `${message}; there should be one every ${formatDuration(backupEvery)}`, hint }
  }
  const where = onDisk === "same" ? "; on the database's own disk, so copy it elsewhere too" : ""
  return { about, message: `${message}${where}` }
}

function checkOpenFileLimit({ openFiles, server }: Facts): CheckResult {
  const about = "limits"
  if (!openFiles) return { about, message: "how many files the server may open is not known here" }
  const { most, open, of } = openFiles
  const who = of === "server" ? `process ${server}` : "a process started from here"
  const now = open === undefined ? "" : ` and has ${formatNumber(open)} open`
  const message = `${who} may open ${formatNumber(most)} files${now}; each connection is one`
  const isFull = open !== undefined && open > maxOpenFilesShare * most
  if (most >= minOpenFiles && !isFull) return { about, message }
  return {
    about,
    message,
    hint: "raise it (LimitNOFILE=65536 in the unit, ulimit -n 65536 in a shell) and restart",
  }
}

function checkProxy({ host, trustProxy, namesProxies, tlsCert }: DiagnosisSettings): CheckResult[] {
  const about = "proxy"
  if (documentationAddresses.some((address) => isTrustedProxy(address, trustProxy))) {
    return [
      {
        about,
        message:
          "--trust-proxy believes addresses all over the internet: whoever sends X-Forwarded-For says who they are, and no rate limit holds",
        hint: "name the addresses of your proxies alone",
      },
    ]
  }
  if (isLoopback(host)) {
    return [{ about, message: `only this machine reaches ${host}, as a proxy on it does` }]
  }
  if (tlsCert !== undefined) return [{ about, message: `${host} speaks HTTPS itself` }]
  if (namesProxies) {
    return [{ about, message: `${host} speaks HTTP to a proxy that --trust-proxy names` }]
  }
  return [
    {
      about,
      message: `${host} is reached from other machines, without TLS, and --trust-proxy names no proxy on another one: keys and visitors' ids can be read on the way, or all visitors count as the proxy's one address`,
      hint: "listen on 127.0.0.1 behind a proxy on this machine, name the proxy with --trust-proxy, or give --tls-cert and --tls-key",
    },
  ]
}

function checkTimeZones({ zoneRules: { own, system } }: Facts): CheckResult {
  const newer =
    system !== undefined && system > own ? `; the system has ${system}, a newer databuddy may too` : ""
  return { about: "zones", message: `time zone rules ${own} (tzdata)${newer}` }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."))
}

function listPaths(paths: readonly string[]): string {
  const more = paths.length - maxNamedFiles
  return `${paths.slice(0, maxNamedFiles).join(", ")}${more > 0 ? ` and ${more} more` : ""}`
}

function formatTime(at: number): string {
  return shortTime(new Date(at).toISOString(), "")
}

function formatNumber(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 })
}

/** `3 days`, in the largest unit that it is at least one of. */
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

import { formatDuration } from "../duration.ts"
import { size } from "../terminal/print.ts"
import type { CheckResult } from "./check-result.ts"
import { checkCluster } from "./cluster.ts"
import { checkDisk } from "./disk.ts"
import type { BackupFacts, DiagnosisSettings, Facts } from "./facts.ts"
import { formatAge, formatNumber, formatTime, listPaths } from "./format.ts"
import { checkCertificate, checkProxy } from "./reachability.ts"

/** Tolerance in ms for times in the future: clocks may be corrected, and network file systems use their own clocks. */
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
/**
 * A backup is late if the newest one is older than this many times --backup-every, which leaves time for retries. A
 * failed backup is retried within an hour.
 */
const lateFactor = 2
/**
 * Maximum age in ms of a copy of another server's registry (websites, keys and users). A running server updates the
 * time of the copy every minute.
 */
const maxCopyAge = 900_000

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

function checkDatabase({ server, hidesSettings, pending, damage, growth }: Facts): CheckResult {
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
  const unknown = hidesSettings ? "; run doctor as root to include its settings" : ""
  return { about: "database", message: `${events}; ${served}${unknown}` }
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

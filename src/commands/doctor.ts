import { readdirSync, readFileSync, readlinkSync, realpathSync, statfsSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { Command } from "commander"
import { listBackups, listCopies } from "../backups/files.ts"
import { addFlagsOfServe, type ServeOptions } from "../config.ts"
import {
  type Backups,
  type CheckResult,
  daysUntilFull,
  diagnose,
  type Facts,
  type SeenFile,
  type Settings,
} from "../doctor/checks.ts"
import { UserError } from "../errors.ts"
import { rulesVersion } from "../query/structures/tzdata.ts"
import { type Growth, growthOf } from "../store/db/growth.ts"
import { pendingMigrations } from "../store/db/migrate.ts"
import { closeAfterReading, openForReading, readable } from "../store/db/open.ts"
import { ServerLock } from "../store/db/server-lock.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, requireDatabase } from "../terminal/database.ts"
import { printJson, shown } from "../terminal/print.ts"

/** What `serve` is started with and what is found depends on. */
const flags = [
  "--host",
  "--min-free",
  "--retain",
  "--backup-dir",
  "--backup-every",
  "--backup-keep",
  "--trust-proxy",
  "--tls-cert",
]

type DoctorOptions = DataOptions & Omit<Settings, "namesProxies"> & Pick<ServeOptions, "retain" | "backupDir">

export function addDoctorCommand(root: Command, context: Context): void {
  const command = root
    .command("doctor")
    .description(
      "look at the disk, the clock, rights, backups, limits and the proxy, beside a running server too; exit code 1 where there is something to do. Give it the flags and variables of serve",
    )
  addDataOptions(addFlagsOfServe(command, flags), "doctor --backup-dir /var/backups/databuddy").action(
    (options: DoctorOptions) => {
      const namesProxies = command.getOptionValueSource("trustProxy") !== "default"
      return doctor(options, { ...options, namesProxies }, context)
    },
  )
}

async function doctor(options: DoctorOptions, settings: Settings, context: Context): Promise<void> {
  const facts = await look(requireDatabase(options), options, context)
  const findings = diagnose(facts, settings)
  const todo = findings.filter(({ hint }) => hint !== undefined).length
  if (options.json) {
    const listed = findings.map(({ hint = null, ...rest }) => ({ ...rest, hint }))
    printJson(
      { db: facts.db, server: facts.server ?? null, todo, findings: listed, facts: numbers(facts, settings) },
      context,
    )
  } else print(findings, context)
  if (todo === 0) return
  throw new UserError(
    todo === 1 ? "there is something to do" : `there are ${todo} things to do`,
    "what, stands with each finding",
  )
}

function print(findings: readonly CheckResult[], context: Context): void {
  for (const { about, message, hint } of findings) {
    context.out(`${hint === undefined ? "ok  " : "todo"}  ${about.padEnd(8)}  ${shown(message)}\n`)
    if (hint !== undefined) context.out(`${" ".repeat(16)}→ ${shown(hint)}\n`)
  }
}

/** For a monitoring program. */
function numbers(facts: Facts, settings: Settings) {
  const { growth, files, db, backups, openFiles } = facts
  const bytes = (path: string) => files.find((file) => file.path === path)?.bytes ?? 0
  return {
    events: growth?.events ?? null,
    eventsPerDay: growth?.eventsPerDay ?? null,
    bytesPerEvent: growth?.bytesPerEvent ?? null,
    databaseBytes: bytes(db),
    walBytes: bytes(`${db}-wal`),
    freeBytes: facts.freeBytes,
    daysUntilFull: daysUntilFull(facts, settings),
    newestEvent: isoTime(growth?.newest),
    newestBackup: isoTime(backups && "list" in backups ? backups.list.at(-1)?.at : undefined),
    openFilesLimit: openFiles?.most ?? null,
    openFiles: openFiles?.open ?? null,
  }
}

function isoTime(at: number | null | undefined): string | null {
  return typeof at === "number" ? new Date(at).toISOString() : null
}

async function look(db: string, options: DoctorOptions, context: Context): Promise<Facts> {
  const now = context.world.now()
  // Before it is opened: a reader makes a -wal where there is none.
  const files = [db, `${db}-wal`, `${db}-shm`, `${db}-lock`].flatMap(seen)
  const server = ServerLock.holder(db)
  const folder = dirname(db)
  const { bavail, bsize } = statfsSync(folder)
  const copies = await listCopies(db, options.backupDir)
  return {
    db,
    now,
    server,
    ...inside(db, options.retain, now),
    freeBytes: bavail * bsize,
    files,
    copies: copies.files.flatMap(seen),
    folderMode: hasModes() ? statSync(folder).mode : undefined,
    backups: await backupsIn(options.backupDir, db),
    openFiles: openFilesOf(server, db),
    zoneRules: { own: rulesVersion, system: systemZoneRules() },
  }
}

function inside(
  path: string,
  retain: number | undefined,
  now: number,
): { pending: string | undefined; damage: Facts["damage"]; growth: Growth | undefined } {
  const nothing = { pending: undefined, damage: undefined, growth: undefined }
  const db = openForReading(path)
  try {
    const [pending] = pendingMigrations(db, path)
    const found = pending
      ? { ...nothing, pending: pending.name }
      : { ...nothing, growth: growthOf(db, now, retain) }
    closeAfterReading(db)
    return found
  } catch (error) {
    // Not as a sound one: nobody should write to it now.
    db.close()
    const { message, hint } = readable(error, path) as Error & { hint?: string }
    return { ...nothing, damage: { message, hint } }
  }
}

function seen(path: string): SeenFile[] {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) return []
  const [mode, owner] = hasModes() ? [found.mode, found.uid] : []
  return [{ path, bytes: found.size, changedAt: found.mtimeMs, mode, owner }]
}

/** Windows shows bits that mean nothing. */
function hasModes(): boolean {
  return process.getuid !== undefined
}

async function backupsIn(folder: string | undefined, db: string): Promise<Backups | undefined> {
  if (folder === undefined) return undefined
  const place = resolve(folder)
  try {
    const list = await listBackups(place, db)
    return { folder: place, list, onDisk: statSync(place).dev === statSync(db).dev ? "same" : "other" }
  } catch (error) {
    const { message, hint } = error as Error & { hint?: string }
    return { folder: place, failure: { message, hint } }
  }
}

/** As Linux says it; undefined elsewhere, and where the server's processes are not seen from here, as with a container's. */
function openFilesOf(server: number | undefined, db: string): Facts["openFiles"] {
  try {
    if (server === undefined) return { most: openFilesLimit("self"), open: undefined, of: "own" }
    const folder = `/proc/${server}/fd`
    const names = readdirSync(folder)
    const lock = realpathSync(`${db}-lock`)
    if (!names.some((name) => target(`${folder}/${name}`) === lock)) return undefined
    return { most: openFilesLimit(String(server)), open: names.length, of: "server" }
  } catch {
    return undefined
  }
}

/** Undefined where the system does not say, as without tzdata. */
function systemZoneRules(): string | undefined {
  try {
    return /^# version (\w+)/.exec(readFileSync("/usr/share/zoneinfo/tzdata.zi", "utf8"))?.[1]
  } catch {
    return undefined
  }
}

function openFilesLimit(pid: string): number {
  const [, soft] = /^Max open files +(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8")) ?? []
  return soft === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(soft)
}

/** Undefined where it was closed meanwhile. */
function target(link: string): string | undefined {
  try {
    return readlinkSync(link)
  } catch {
    return undefined
  }
}

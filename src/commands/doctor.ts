import { readFileSync, statfsSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { Command } from "commander"
import { AcmeFolder } from "../acme/folder.ts"
import { listBackups, listCopies } from "../backups/files.ts"
import { openBucket } from "../backups/off-site.ts"
import { clusterLogin } from "../clickhouse/address.ts"
import type { CheckResult } from "../doctor/check-result.ts"
import { diagnose } from "../doctor/checks.ts"
import type { ClusterFacts } from "../doctor/cluster.ts"
import { daysUntilFull } from "../doctor/disk.ts"
import type { BackupFacts, CountryFacts, DiagnosisSettings, Facts, FileFacts } from "../doctor/facts.ts"
import type { CertificateFacts, FoundCertificate } from "../doctor/reachability.ts"
import {
  dropPrivileges,
  openFilesLimit,
  readServerProcess,
  type ServerProcess,
} from "../doctor/server-process.ts"
import { messageOf, UserError } from "../errors.ts"
import { openCountryTable, openGeoFile } from "../ingest/geo.ts"
import { rulesVersion } from "../query/structures/tzdata.ts"
import { addFlagsOfServe, type ServeOptions, useEnvironment } from "../serve-options.ts"
import { readTlsCertificate } from "../server/tls.ts"
import type { Db } from "../store/db/driver.ts"
import { type Growth, growthOf } from "../store/db/growth.ts"
import { pendingMigrations } from "../store/db/migrate.ts"
import { closeAfterReading, databaseError, openForReading } from "../store/db/open.ts"
import { ServerLock } from "../store/db/server-lock.ts"
import { registrySource } from "../store/registry-copy.ts"
import { removedTotals } from "../store/removed-days.ts"
import { readShipping, shippingLag } from "../store/shipping.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, requireDatabase } from "../terminal/database.ts"
import { isoTime, printJson, shown } from "../terminal/print.ts"

/** Flags of `serve` on which the checks depend. */
const flags = [
  "--host",
  "--min-free",
  "--retain",
  "--backup-dir",
  "--backup-every",
  "--backup-keep",
  "--backup-to",
  "--backup-endpoint",
  "--backup-credentials",
  "--clickhouse",
  "--clickhouse-password-file",
  "--trust-proxy",
  "--geo-db",
  "--tls-cert",
  "--acme",
  "--acme-dir",
  "--acme-directory",
]

type DoctorOptions = DataOptions &
  Omit<DiagnosisSettings, "namesProxies"> &
  Pick<
    ServeOptions,
    | "retain"
    | "backupDir"
    | "backupTo"
    | "backupEndpoint"
    | "backupCredentials"
    | "clickhouse"
    | "clickhousePasswordFile"
    | "geoDb"
    | "tlsCert"
    | "acme"
    | "acmeDir"
    | "acmeDirectory"
  >

/** Timeout of a request to the cluster, in ms. */
const clusterTimeout = 10_000

export function addDoctorCommand(root: Command, context: Context): void {
  const command = root
    .command("doctor")
    .description(
      "check disk, clock, permissions, backups, limits, proxy and certificate (safe while the server runs); exits with code 1 if something needs attention. Takes the flags and variables of `serve`; on Linux, other variables are those of the running server",
    )
  addDataOptions(addFlagsOfServe(command, flags), "doctor --backup-dir /var/backups/databuddy").action(
    (given: DataOptions) => {
      const db = requireDatabase(given)
      const server = findServer(db)
      const variables = server.process?.env
      if (variables) useEnvironment(command, flags, variables)
      const options = command.opts<DoctorOptions>()
      const namesProxies = command.getOptionValueSource("trustProxy") !== "default"
      const env = { ...variables, ...context.env }
      return doctor(db, server, options, { ...options, namesProxies }, { ...context, env })
    },
  )
}

interface FoundServer {
  /** Undefined if no server is running. */
  pid: number | undefined
  /** Undefined if the process cannot be read. */
  process: ServerProcess | undefined
}

/** Finds the server that uses the database. From then on, this process has no more permissions than the server. */
function findServer(db: string): FoundServer {
  const pid = ServerLock.holder(db)
  const found = pid === undefined ? undefined : readServerProcess(pid, db)
  return { pid, process: found && dropPrivileges(found) ? found : undefined }
}

async function doctor(
  db: string,
  server: FoundServer,
  options: DoctorOptions,
  settings: DiagnosisSettings,
  context: Context,
): Promise<void> {
  const facts = await collectFacts(db, server, options, context)
  const checks = diagnose(facts, settings)
  const todo = checks.filter(({ hint }) => hint !== undefined).length
  if (options.json) {
    const findings = checks.map(({ hint = null, ...rest }) => ({ ...rest, hint }))
    printJson(
      { db: facts.db, server: facts.server ?? null, todo, findings, facts: factsJson(facts, settings) },
      context,
    )
  } else print(checks, context)
  if (todo === 0) return
  throw new UserError(
    todo === 1 ? "one check needs attention" : `${todo} checks need attention`,
    "the lines marked todo say what to do",
  )
}

function print(checks: readonly CheckResult[], context: Context): void {
  for (const { about, message, hint } of checks) {
    context.out(`${hint === undefined ? "ok  " : "todo"}  ${about.padEnd(8)}  ${shown(message)}\n`)
    if (hint !== undefined) context.out(`${" ".repeat(16)}→ ${shown(hint)}\n`)
  }
}

/** Returns the facts to print with --json, which monitoring can use. */
function factsJson(facts: Facts, settings: DiagnosisSettings) {
  const { growth, files, db, backups, offsite, openFiles } = facts
  const found = facts.certificate?.found
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
    newestBackup: newestTime(backups),
    newestOffsiteBackup: newestTime(offsite),
    certificateExpires: isoTime(found && "expiresAt" in found ? found.expiresAt : undefined),
    openFilesLimit: openFiles?.most ?? null,
    openFiles: openFiles?.open ?? null,
  }
}

function newestTime(backups: BackupFacts | undefined): string | null {
  return isoTime(backups && "list" in backups ? backups.list.at(-1)?.at : undefined)
}

async function collectFacts(
  db: string,
  { pid: server, process }: FoundServer,
  options: DoctorOptions,
  context: Context,
): Promise<Facts> {
  const now = context.environment.now()
  // These facts are collected before the database is opened, because opening it creates a missing -wal file.
  const files = [db, `${db}-wal`, `${db}-shm`, `${db}-lock`].flatMap(fileFacts)
  const folder = dirname(db)
  const { bavail, bsize } = statfsSync(folder)
  const copies = await listCopies(db, options.backupDir)
  const { shipping, ...content } = contentFacts(db, options.retain, now)
  return {
    db,
    now,
    server,
    hidesSettings: server !== undefined && process === undefined,
    ...content,
    freeBytes: bavail * bsize,
    files,
    copies: copies.files.flatMap(fileFacts),
    folderMode: hasModes() ? statSync(folder).mode : undefined,
    backups: await backupsIn(options.backupDir, db),
    offsite: await backupsInBucket(options, db, context),
    openFiles: server === undefined ? ownOpenFiles() : process && { ...process.openFiles, of: "server" },
    zoneRules: { own: rulesVersion, system: systemZoneRules() },
    countries: countryFacts(options.geoDb),
    certificate: certificateFacts(options, db),
    cluster: await clusterFacts(options, shipping, context),
  }
}

function contentFacts(
  path: string,
  retain: number | undefined,
  now: number,
): {
  pending: string | undefined
  damage: Facts["damage"]
  growth: Growth | undefined
  shipping: ShippingFacts
  registry: Facts["registry"]
} {
  const shipping = { lag: undefined, removed: undefined }
  const none = { pending: undefined, damage: undefined, growth: undefined, shipping, registry: undefined }
  const db = openForReading(path)
  try {
    const [pending] = pendingMigrations(db, path)
    const facts = pending
      ? { ...none, pending: pending.name }
      : {
          ...none,
          growth: growthOf(db, now, retain),
          shipping: shippingFacts(db),
          registry: registrySource(db),
        }
    closeAfterReading(db)
    return facts
  } catch (error) {
    // Uses a plain close, because a damaged database must not be written to.
    db.close()
    const { message, hint } = databaseError(error, path) as Error & { hint?: string }
    return { ...none, damage: { message, hint } }
  }
}

function fileFacts(path: string): FileFacts[] {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat) return []
  const [mode, owner] = hasModes() ? [stat.mode, stat.uid] : []
  return [{ path, bytes: stat.size, changedAt: stat.mtimeMs, mode, owner }]
}

/** True if files have meaningful permission bits, which they do not on Windows. */
function hasModes(): boolean {
  return process.getuid !== undefined
}

/** Returns why something cannot be read and, if known, what to do about it. */
function failureOf(error: unknown): { message: string; hint: string | undefined } {
  return { message: messageOf(error), hint: error instanceof UserError ? error.hint : undefined }
}

async function backupsIn(folder: string | undefined, db: string): Promise<BackupFacts | undefined> {
  if (folder === undefined) return undefined
  const path = resolve(folder)
  try {
    const list = await listBackups(path, db)
    return { folder: path, list, onDisk: statSync(path).dev === statSync(db).dev ? "same" : "other" }
  } catch (error) {
    return { folder: path, failure: failureOf(error) }
  }
}

async function backupsInBucket(
  options: DoctorOptions,
  db: string,
  context: Context,
): Promise<BackupFacts | undefined> {
  const { backupTo: url } = options
  if (url === undefined) return undefined
  try {
    const list = await openBucket(url, options, context).list(db)
    return { folder: url, list, onDisk: "other" }
  } catch (error) {
    return { folder: url, failure: failureOf(error) }
  }
}

/** Checks that the cluster in --clickhouse responds and that its schema is current. */
async function clusterFacts(
  options: DoctorOptions,
  shipping: ShippingFacts,
  context: Context,
): Promise<ClusterFacts> {
  if (options.clickhouse === undefined) return { name: undefined, failure: undefined, ...shipping }
  // The client is loaded only if there is a cluster.
  const { Cluster, requestTimes } = await import("../clickhouse/cluster.ts")
  const { readSchema, requireSchema } = await import("../clickhouse/schema.ts")
  let name = "the cluster in --clickhouse"
  try {
    const { address, password } = clusterLogin(options, context.env)
    const cluster = new Cluster(address, password, { ...requestTimes, timeout: clusterTimeout })
    name = cluster.name
    try {
      requireSchema(await readSchema(cluster), name)
    } finally {
      await cluster.close()
    }
    return { name, failure: undefined, ...shipping }
  } catch (error) {
    return { name, failure: failureOf(error), ...shipping }
  }
}

/** `lag` is undefined if no events were ever shipped. */
type ShippingFacts = Pick<ClusterFacts, "lag" | "removed">

function shippingFacts(db: Db): ShippingFacts {
  const shipping = readShipping(db)
  return { lag: shipping && shippingLag(db, shipping.shippedId), removed: removedTotals(db) }
}

function countryFacts(file: string | undefined): CountryFacts {
  if (file === undefined) return { file, builtOn: openCountryTable().builtOn }
  try {
    return { file, builtOn: openGeoFile(file).builtOn }
  } catch (error) {
    return { file, failure: failureOf(error) }
  }
}

function certificateFacts(options: DoctorOptions, db: string): CertificateFacts | undefined {
  const { acme, tlsCert } = options
  const folder = acme && new AcmeFolder(options, db)
  const file = folder?.certificateFile ?? tlsCert
  if (file === undefined) return undefined
  try {
    return { file, isRenewed: folder !== undefined, found: folder ? storedIn(folder, acme) : storedAt(file) }
  } catch (error) {
    return { file, isRenewed: folder !== undefined, found: { failure: failureOf(error) } }
  }
}

function storedAt(file: string): FoundCertificate {
  const { validFrom, validTo } = readTlsCertificate(file).certificate
  return { validFrom: Date.parse(validFrom), expiresAt: Date.parse(validTo), missingNames: [] }
}

function storedIn(folder: AcmeFolder, names: readonly string[]): FoundCertificate | undefined {
  const stored = folder.readCertificate()
  if (stored === undefined) return undefined
  if ("problem" in stored) {
    const message = `${folder.certificateFile} cannot be used: ${stored.problem}`
    return { failure: { message, hint: "restart the server, which then requests another one" } }
  }
  const { validFrom, expiresAt, covers } = stored.tls
  return { validFrom, expiresAt, missingNames: names.filter((name) => !covers(name)) }
}

/** Returns undefined on systems without /proc. */
function ownOpenFiles(): Facts["openFiles"] {
  try {
    return { most: openFilesLimit("/proc/self"), open: undefined, of: "own" }
  } catch {
    return undefined
  }
}

/**
 * Returns the version of the system's time zone rules, or undefined if it is unknown, for example because tzdata is not
 * installed.
 */
function systemZoneRules(): string | undefined {
  try {
    return /^# version (\w+)/.exec(readFileSync("/usr/share/zoneinfo/tzdata.zi", "utf8"))?.[1]
  } catch {
    return undefined
  }
}

import type { Command } from "commander"
import { AcmeCertificate } from "../acme/renewal.ts"
import { bucketDestination, folderDestination } from "../backups/destinations.ts"
import { readBackupKey } from "../backups/encrypted-archive.ts"
import { openBucket } from "../backups/off-site.ts"
import { BackupSchedule } from "../backups/schedule.ts"
import { removeStaleStaging } from "../backups/staging.ts"
import { needsMigration, upgrade } from "../backups/upgrade.ts"
import { clusterLogin, isUnencrypted } from "../clickhouse/address.ts"
import { UserError } from "../errors.ts"
import { openGeoFile } from "../ingest/geo.ts"
import { createLog, faultLog, type Log } from "../log.ts"
import { addServeOptions, databaseOption, type ServeOptions } from "../serve-options.ts"
import { watchDescriptors } from "../server/file-descriptors.ts"
import { setUp } from "../server/first-run.ts"
import { Listener } from "../server/listen.ts"
import { memoryPlan } from "../server/memory-plan.ts"
import { readMetricsAccess } from "../server/metrics-token.ts"
import { openServer } from "../server/open-server.ts"
import { readRegistrySecret, registryOf } from "../server/registry-secret.ts"
import { readLogLevel, reload } from "../server/reload.ts"
import { ServiceManager } from "../server/service-manager.ts"
import { stopListening } from "../server/shutdown.ts"
import { readTls } from "../server/tls.ts"
import { databasePath } from "../store/db/database-path.ts"
import type { Db } from "../store/db/driver.ts"
import { removedText, removedTotals } from "../store/removed-days.ts"
import type { Context } from "../terminal/context.ts"
import { version } from "../version.ts"

export function addServeCommand(root: Command, context: Context): void {
  addServeOptions(root.command("serve").description("run the server (SIGTERM or SIGINT stops it)"))
    .addOption(databaseOption())
    .action((options: ServeOptions) => serve(options, context))
}

/**
 * Runs the server until SIGTERM or SIGINT. SIGHUP reloads the certificate and the log level. The database is closed
 * when the promise settles.
 */
async function serve(options: ServeOptions, context: Context): Promise<void> {
  const path = databasePath(options.db)
  const { environment, newId, memory } = context
  // Closing a terminal sends SIGHUP, which should then stop the server. So a server that runs in a terminal does not
  // handle SIGHUP.
  const onReload = context.errIsTerminal ? () => {} : context.reloadSignal()
  const logging = { level: readLogLevel(options), readable: context.errIsTerminal }
  const log = createLog(context.err, logging, environment.now)
  const metricsAccess = readMetricsAccess(options)
  const registrySecret = readRegistrySecret(options, context.env)
  const registrySource = registryOf(options, registrySecret)
  const geoFile = options.geoDb === undefined ? undefined : openGeoFile(options.geoDb)
  const cluster = options.clickhouse === undefined ? undefined : clusterLogin(options, context.env)
  const { clickhouseQueryTime: seconds, clickhouseQueryMemory: bytes } = options
  const clusterQuery = seconds > 0 ? { seconds, bytes } : undefined
  if (cluster && isUnencrypted(cluster.address))
    log("warn", "events and the password are sent to the cluster without encryption; use https", {
      cluster: cluster.address.url,
    })
  const acme = options.acme && new AcmeCertificate({ ...options, acme: options.acme }, path, context, log)
  const tls = acme ? acme.tls : readTls(options)
  const certificate = acme?.state ?? (tls && { expiresAt: tls.expiresAt })
  const tlsProblem = tls?.validityProblem(environment.now())
  if (tlsProblem && !acme) log("warn", tlsProblem, { cert: options.tlsCert })
  const stopped = context.stopSignal()
  const manager = new ServiceManager(context.env, environment.pid)
  if (needsMigration(path)) {
    manager.upgrading()
    if (!(await upgradeFirst(path, stopped, log, context))) return
  }
  const { schedule, states } = await scheduleBackups(path, options, log, context)
  const server = openServer(
    {
      ...options,
      path,
      certificate,
      metricsAccess,
      ...states,
      cluster,
      clusterQuery,
      geoFile,
      registrySource,
      registrySecret,
    },
    { ...environment, newId, memory, log },
  )
  let endWatchdog = () => {}
  try {
    if (!cluster) requireLocalEvents(server.store.db)
    await server.opened
    const listener = new Listener(server, options, certificate ? { https: true, tls } : { https: false })
    acme?.listen(listener.port)
    const publicUrl = acme && acme.originOf(listener.port) + options.basePath
    const url = listener.url ? listener.url.origin + options.basePath : (publicUrl ?? "")
    const onFault = faultLog(log, environment.elapsed)
    const isSetup = options.setup && (registrySource === undefined || registrySource === "none")
    if (isSetup && context.outIsDiscarded && server.store.registry.isEmpty())
      log(
        "warn",
        "did not create a first key or a setup link, because standard output, where they would be shown, is discarded",
      )
    const isShown = isSetup && !context.outIsDiscarded
    const address = { url, path, publicUrl, tls, isWaiting: listener.url === undefined }
    await setUp(server.store, isShown, address, context, onFault)
    removeStaleStaging(path, context)
    server.start()
    schedule?.start()
    log("info", "memory plan", memoryPlan(options, memory))
    log("info", "started", { version, url, db: path, durability: options.durability })
    const unwatch = watchDescriptors(() => listener.closeIdleConnections(), log)
    const ready = () => (listener.url ? manager.ready() : manager.readyWithoutCertificate())
    ready()
    // Keep-alives are not sent earlier, because systemd's watchdog does not begin until the start is complete, and
    // earlier keep-alives could fill the socket's queue.
    endWatchdog = manager.watch()
    const renewal = acme?.run(async (newTls) => {
      const isFirst = listener.url === undefined
      await listener.replaceTls(newTls)
      log("info", isFirst ? "started HTTPS" : "reloaded the certificate", { url: publicUrl })
      ready()
    })
    onReload(() => {
      manager.reloading()
      const retryCertificate = acme && (() => acme.retryNow())
      const running = { logging, listener, certificate, retryCertificate, log, now: environment.now }
      void reload(options, running).then(ready)
    })
    await Promise.race([stopped, ...(renewal ? [renewal] : [])])
    onReload(() => {})
    manager.stopping()
    unwatch()
    const scheduleStopped = schedule?.stop()
    await stopListening(server, listener, options.shutdownDelay, context, log)
    await Promise.all([scheduleStopped, acme?.stop()])
  } finally {
    const isSingleFile = await server.close()
    endWatchdog()
    if (isSingleFile) log("info", "stopped; the database is a single file", { db: path })
    else
      log("warn", "stopped; the -wal file holds recent events, so copy both files", {
        db: path,
        wal: `${path}-wal`,
      })
  }
}

/** Throws a UserError if query results would lack events that only a cluster has. */
function requireLocalEvents(db: Db): void {
  const removed = removedTotals(db)
  if (!removed) return
  throw new UserError(
    `${removedText(removed)}, and --clickhouse is not set`,
    `start the server with --clickhouse, or first fetch the events: databuddy clickhouse fetch --clickhouse https://user@host:8443/database --db ${db.name}`,
  )
}

/**
 * Creates the backup schedule without sending requests. Throws a UserError if the bucket, its credentials or its key
 * are invalid.
 */
async function scheduleBackups(db: string, options: ServeOptions, log: Log, context: Context) {
  const { backupDir, backupTo, backupEvery: every, backupKeep: keep, backupKey, minFree } = options
  const database = { db, minFree, pid: context.environment.pid }
  const folder = backupDir === undefined ? undefined : folderDestination(backupDir, database)
  if (backupKey !== undefined) await readBackupKey(backupKey)
  const bucket =
    backupTo === undefined
      ? undefined
      : bucketDestination(openBucket(backupTo, options, context), options, database)
  // The local backup comes first, so that the same backup is uploaded to the bucket.
  const destinations = [folder, bucket].filter((destination) => destination !== undefined)
  const schedule = new BackupSchedule(destinations, { every, keep, ping: options.backupPing }, context, log)
  const [local, offsite] = [schedule.stateOf(folder), schedule.stateOf(bucket)]
  return {
    schedule: destinations.length === 0 ? undefined : schedule,
    states: {
      backups: local && { every, keep, state: local },
      offsiteBackups: offsite &&
        bucket && { every, keep, state: offsite, url: bucket.name, isEncrypted: backupKey !== undefined },
    },
  }
}

/**
 * Backs up and migrates the database. If a stop signal interrupts the backup, leaves the database unchanged and returns
 * false.
 */
async function upgradeFirst(
  path: string,
  stopped: Promise<void>,
  log: Log,
  context: Context,
): Promise<boolean> {
  let isStopping = false
  void stopped.then(() => {
    isStopping = true
  })
  log("info", "the database has an older schema; backing it up, then migrating", { db: path })
  try {
    const { applied, backup } = await upgrade(path, true, context)
    log("info", "migrated", { db: path, applied: applied.join(" "), backup })
    return true
  } catch (error) {
    if (!isStopping) throw error
    log("info", "stopped during the backup; the database is unchanged", { db: path })
    return false
  }
}

import { rm, stat } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import type { Log } from "../log.ts"
import { archiveName, type Bucket, type BucketOptions } from "./bucket.ts"
import {
  type Backup,
  backupName,
  createBackupFolder,
  databaseBytes,
  listBackups,
  removePartialBackups,
  requireFreeSpaceBeside,
} from "./files.ts"

/** The fields in the output of `databuddy backup --json` that the schedule logs. */
export interface BackupReport {
  bytes: number
  /** Absent if an existing backup was uploaded. */
  events?: number
  ms: number
}

/** Runs `databuddy backup` with these arguments in a separate process. */
export type RunBackup = (args: readonly string[]) => Promise<BackupReport>

/** A place where the schedule stores backups. */
export interface Destination {
  /** The folder or s3:// URL, for the log. */
  readonly name: string
  /** Called when the server starts. */
  prepare: (log: Log) => void
  /** Lists the scheduled backups, oldest first. */
  list: () => Promise<Backup[]>
  bytesOf: (backup: Backup) => Promise<number>
  /** Creates a backup. `at`: the current time in Unix ms. */
  create: (at: number, run: RunBackup) => Promise<{ backup: Backup; report: BackupReport }>
  remove: (file: string) => Promise<void>
}

interface DatabaseFacts {
  db: string
  /** Bytes that must stay free on the database's disk. */
  minFree: number
  pid: number
}

/** Returns the destination for --backup-dir. */
export function folderDestination(path: string, { db, minFree, pid }: DatabaseFacts): Destination {
  const folder = resolve(path)
  return {
    name: folder,
    // A missing folder is created only at startup. If the folder disappears later, its disk was probably unmounted.
    prepare: (log) => {
      try {
        if (createBackupFolder(folder)) log("info", "created the backup folder", { folder })
      } catch {
        // The first backup fails with the same error, and reports it.
      }
    },
    list: () => listBackups(folder, db),
    bytesOf: async ({ file }) => (await stat(file)).size,
    create: async (at, run) => {
      await removePartialBackups(folder, db, pid)
      const [{ dev }, database] = await Promise.all([stat(folder), stat(db)])
      if (dev === database.dev)
        await requireFreeSpaceBeside(folder, databaseBytes(db), minFree, "--backup-dir")
      const file = join(folder, backupName(db, at))
      return { backup: { file, at }, report: await run([file, "--db", db]) }
    },
    remove: (file) => rm(file, { force: true }),
  }
}

export interface BucketDestinationOptions extends BucketOptions {
  backupKey?: string | undefined
  /** The folder of local backups, if there is one. */
  backupDir?: string | undefined
  /** ms from the start of one backup to the start of the next. */
  backupEvery: number
}

/**
 * Returns the destination for --backup-to. It uploads the newest local backup if that backup is recent and not in the
 * bucket yet. Otherwise, it copies the database and uploads the copy.
 */
export function bucketDestination(
  bucket: Bucket,
  options: BucketDestinationOptions,
  { db, minFree }: DatabaseFacts,
): Destination {
  const flags = [
    ["--backup-endpoint", options.backupEndpoint],
    ["--backup-credentials", options.backupCredentials],
    ["--backup-key", options.backupKey],
  ].flatMap(([flag, value]) => (flag !== undefined && value !== undefined ? [flag, value] : []))
  return {
    name: bucket.url,
    prepare: () => {},
    list: () => bucket.list(db),
    bytesOf: async ({ file, at }) =>
      (await bucket.list(db)).find((backup) => backup.file === file && backup.at === at)?.bytes ?? 0,
    create: async (now, run) => {
      // Lists the bucket first, so that if it cannot be used, the backup fails before the database is copied.
      const newest = (await bucket.list(db)).at(-1)
      const local = await newestLocal(options, db, now)
      const isMissing =
        local !== undefined && (newest === undefined || local.at > newest.at || newest.at > now)
      const existing = isMissing ? local : undefined
      if (!existing) await requireFreeSpaceBeside(dirname(db), databaseBytes(db), minFree, "--backup-to")
      const at = existing?.at ?? now
      const file = bucket.urlOf(archiveName(db, at, options.backupKey !== undefined))
      const source = existing ? ["--existing", existing.file] : []
      return { backup: { file, at }, report: await run([file, "--db", db, ...flags, ...source]) }
    },
    remove: (file) => bucket.remove(file),
  }
}

/** Returns the newest local backup if it is at most one interval old. */
async function newestLocal(
  { backupDir, backupEvery }: BucketDestinationOptions,
  db: string,
  now: number,
): Promise<Backup | undefined> {
  if (backupDir === undefined) return undefined
  try {
    const backups = await listBackups(resolve(backupDir), db)
    return backups.filter(({ at }) => at <= now && at > now - backupEvery).at(-1)
  } catch {
    return undefined // The folder's own schedule reports the error.
  }
}

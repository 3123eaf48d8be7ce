import { basename } from "node:path"
import { UserError } from "../errors.ts"
import type { Context } from "../terminal/context.ts"
import { size } from "../terminal/print.ts"
import { Progress } from "../terminal/progress.ts"
import { archiveName, Bucket, type BucketOptions, requireBucketUrl } from "./bucket.ts"
import {
  type BackupKey,
  packArchive,
  readBackupKey,
  requireSecretKey,
  unpackArchive,
} from "./encrypted-archive.ts"
import { type Download, explainDiskErrors, requireReserve } from "./staging.ts"

/** Options of commands that use a bucket. */
export interface ArchiveOptions extends BucketOptions {
  backupKey?: string | undefined
}

/** Names of the flags in ArchiveOptions. */
export const archiveFlags = ["--backup-endpoint", "--backup-credentials", "--backup-key"] as const

/**
 * Opens the bucket in `url` without sending a request. Throws a UserError if the URL or the credentials are invalid.
 */
export function openBucket(url: string, options: BucketOptions, context: Context): Bucket {
  const { env, environment, sleep } = context
  return new Bucket(requireBucketUrl(url), options, env, { elapsed: environment.elapsed, sleep })
}

/** An archive to write. */
export interface NewArchive {
  url: string
  /** Uploads the file at `path` and returns the size of the archive in bytes. */
  upload: (path: string, signal: AbortSignal) => Promise<number>
}

/**
 * Prepares an upload to `url`, which is a folder or the name of a new archive. Throws a UserError if the archive
 * exists, unless `force` is true.
 */
export async function newArchive(
  url: string,
  db: string,
  options: ArchiveOptions & { force?: boolean },
  context: Context,
): Promise<NewArchive> {
  const bucket = openBucket(url, options, context)
  const key = options.backupKey === undefined ? undefined : await readBackupKey(options.backupKey)
  const given = requireBucketUrl(url).name
  const name = given ?? archiveName(db, context.environment.now(), key !== undefined)
  if (given !== undefined && given.endsWith(".age") !== (key !== undefined)) {
    throw new UserError(
      `${url} ${key ? "would be encrypted, but its name does not end with .zst.age" : "ends with .age, but --backup-key is missing"}`,
      "end the name with .zst.age for an encrypted backup and with .zst for an unencrypted one, or give only the bucket and prefix",
    )
  }
  if (!options.force && (await bucket.sizeOf(name)) !== undefined) {
    throw new UserError(
      `${bucket.urlOf(name)} already exists`,
      "choose another name, or replace it with --force",
    )
  }
  return {
    url: bucket.urlOf(name),
    upload: (path, signal) =>
      withProgress(context, async (show) =>
        bucket.upload(name, await packArchive(path, key), Bun.file(path).size, signal, show),
      ),
  }
}

/** An archive to restore. */
export interface StoredArchive {
  url: string
  /** Size of the archive in bytes. */
  bytes: number
  download: Download
}

/**
 * Finds the archive at `url`, or the newest archive of `db` if `url` is a folder. Throws a UserError if there is no
 * such archive, or if it cannot be decrypted. The download fails with a UserError if it would leave fewer than
 * `reserve` bytes free on the disk that holds `db`.
 */
export async function findArchive(
  url: string,
  db: string,
  options: ArchiveOptions,
  reserve: number,
  context: Context,
): Promise<StoredArchive> {
  const bucket = openBucket(url, options, context)
  const name = requireBucketUrl(url).name ?? (await newestName(bucket, db))
  const key: BackupKey | undefined =
    options.backupKey === undefined ? undefined : await readBackupKey(options.backupKey)
  const full = bucket.urlOf(name)
  requireSecretKey(full, key)
  const bytes = await bucket.sizeOf(name)
  if (bytes === undefined)
    throw new UserError(
      `${full} does not exist`,
      `omit the name to choose the newest backup in ${bucket.url}`,
    )
  return {
    url: full,
    bytes,
    download: (to, signal) =>
      explainDiskErrors(to, () =>
        withProgress(context, (show) =>
          bucket.download(name, signal, show, (archive) =>
            unpackArchive(archive, full, key, to, () => requireReserve(db, reserve)),
          ),
        ),
      ),
  }
}

async function newestName(bucket: Bucket, db: string): Promise<string> {
  const newest = (await bucket.list(db)).at(-1)
  if (newest) return newest.file.slice(bucket.url.length)
  throw new UserError(
    `${bucket.url} contains no backup of a database named ${basename(db)}`,
    "correct the prefix, set --db to a path with the same file name as the database that was backed up, or add the name of one backup to the URL",
  )
}

async function withProgress<Result>(
  context: Context,
  work: (show: (verb: string, bytes: number) => void) => Promise<Result>,
): Promise<Result> {
  const progress = new Progress(context)
  try {
    return await work((verb, bytes) => progress.show(() => `${verb} ${size(bytes)}`))
  } finally {
    progress.end()
  }
}

import type { Backup } from "../backups/files.ts"
import type { ServeOptions } from "../serve-options.ts"
import type { Growth } from "../store/db/growth.ts"
import type { RegistrySource } from "../store/registry-copy.ts"
import type { ClusterFacts } from "./cluster.ts"
import type { CertificateFacts } from "./reachability.ts"

/** The state of the machine and the database. */
export interface Facts {
  db: string
  /** The current time, in Unix ms like all times here. */
  now: number
  /** Process id of the server that uses the database. Undefined if there is none. */
  server: number | undefined
  /** True if a server is running whose environment variables cannot be read. */
  hidesSettings: boolean
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
  /** True if --trust-proxy does not have its default value. */
  namesProxies: boolean
}

/** The result of one check of `databuddy doctor`. */
export interface CheckResult {
  about:
    | "database"
    | "disk"
    | "clock"
    | "rights"
    | "wal"
    | "backups"
    | "offsite"
    | "limits"
    | "proxy"
    | "https"
    | "zones"
    | "country"
    | "cluster"
    | "registry"
  message: string
  /** What to do. Undefined if the check passed. */
  hint?: string
}

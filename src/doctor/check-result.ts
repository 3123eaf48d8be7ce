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
  /** What the operator should do. Undefined if nothing needs to be done. */
  hint?: string
}

import { UserError } from "../errors.ts"

/** Returns the path of the `ServerLock` that a process holds while it ships events from the database file. */
export function shippingLockPath(database: string): string {
  return `${database}-shipping`
}

export function shippingLockError(path: string, holder: string): UserError {
  return new UserError(
    `another process is already shipping events from ${path.replace(/-shipping$/, "")}${holder}`,
    "a server with --clickhouse ships everything, including earlier events; its /metrics and `databuddy doctor` show the progress. To run this command instead, stop the server or start it without --clickhouse",
  )
}

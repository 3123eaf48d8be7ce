import { UserError } from "../errors.ts"

/** The path of the lock for the one process that ships the events of a file, for `ServerLock`. */
export function shippingLockPath(database: string): string {
  return `${database}-shipping`
}

export function shippingLockError(path: string, holder: string): UserError {
  return new UserError(
    `the events of ${path.replace(/-shipping$/, "")} are shipped by another process${holder}`,
    "a server with --clickhouse ships everything, including earlier events; its /metrics and databuddy doctor show the progress. To run this command instead, start the server without --clickhouse, or stop it",
  )
}

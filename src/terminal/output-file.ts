import { existsSync, lstatSync, realpathSync, statSync } from "node:fs"
import { UserError } from "../errors.ts"
import { isFileLocked } from "../store/db/file-lock.ts"

/** How errors refer to an output. */
export interface OutputName {
  what: "backup" | "export"
  /** An example of an acceptable path. */
  example: string
}

/**
 * Throws a UserError if a command must not write to `path`, because it is the database `db` itself, another database in
 * use, or, unless `force` is set, an existing file.
 */
export function requireWritableOutput(
  path: string,
  db: string,
  { what, example }: OutputName,
  force: boolean | undefined,
): void {
  if ([db, `${db}-wal`, `${db}-shm`].some((file) => file === path || isSameFile(file, path))) {
    throw new UserError(`${path} is the database itself`, `choose a path for the ${what}, such as ${example}`)
  }
  // A link would be replaced, not followed, so it counts as a file even if its target does not exist.
  if (!lstatSync(path, { throwIfNoEntry: false })) return
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) {
    throw new UserError(`${path} is not a file`, `include a file name for the ${what}, such as ${example}`)
  }
  if (!force) throw fileExists(path)
  if (isFileLocked(path))
    throw new UserError(`${path} is a database that a server is using`, "choose another name")
  if (existsSync(`${path}-wal`)) {
    throw new UserError(`${path} is a database in use: it has a -wal file`, "choose another name")
  }
}

export function fileExists(path: string): UserError {
  return new UserError(`${path} already exists`, "choose another name, or add --force to replace it")
}

/** Returns true if both paths refer to the same file. */
export function isSameFile(a: string, b: string): boolean {
  if (!existsSync(a) || !existsSync(b)) return false
  const [left, right] = [statSync(a), statSync(b)]
  return realpathSync(a) === realpathSync(b) || (left.ino === right.ino && left.dev === right.dev)
}

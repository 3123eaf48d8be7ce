import { readFileSync } from "node:fs"
import { codeOf, UserError } from "./errors.ts"

const readable = "check the path, and that the system user running databuddy can read the file"

/**
 * Reads the file named by a flag such as `--tls-cert`. Throws a UserError with the system's error code if that fails.
 */
export function readFlagFile(flag: string, file: string, hint = readable): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new UserError(`${flag} ${file} cannot be read (${codeOf(error)})`, hint)
  }
}

import { readFileSync } from "node:fs"
import { codeOf, UserError } from "./errors.ts"

const readable = "check the path, and that the user that databuddy runs as can read it"

/** Reads the file in a flag, such as `--tls-cert`. Throws a UserError with the code of the system if that is not possible. */
export function readFlagFile(flag: string, file: string, hint = readable): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new UserError(`${flag} ${file} cannot be read (${codeOf(error)})`, hint)
  }
}

import { tmpdir } from "node:os"
import type BetterSqlite3 from "better-sqlite3"
import { Complaint } from "../errors.ts"

export type Db = BetterSqlite3.Database
export type Statement<Parameters extends unknown[] = unknown[], Row = unknown> = BetterSqlite3.Statement<
  Parameters,
  Row
>

/** Replaced by src/build.ts with the addon of the platform the binary is for, such as "linuxmusl-arm64". */
declare const BUILD_ADDON: string | undefined

// The bundler folds this condition and the template, sees one literal path, and embeds that addon only.
// The package's main entry must not get into a binary: it looks for node_modules by the absolute path of
// the machine that built it, so it works there and nowhere else. Run from source, it is the right one,
// because it finds out by itself whether the machine has glibc or musl.
const Driver: typeof BetterSqlite3 =
  typeof BUILD_ADDON === "string" ? require(`better-sqlite3/${BUILD_ADDON}`) : require("better-sqlite3")

/** better-sqlite3's Database. The first `new` loads the addon, and throws a Complaint where the system refuses it. */
export class Database extends Driver {
  constructor(...args: ConstructorParameters<typeof Driver>) {
    try {
      super(...args)
    } catch (error) {
      throw isLoadFailure(error) ? complaint(error.message) : error
    }
  }
}

function isLoadFailure(error: unknown): error is Error {
  return error instanceof Error && "code" in error && error.code === "ERR_DLOPEN_FAILED"
}

/**
 * A binary unpacks the addon into the temporary folder, as `.bun-<uid>-<hash>.node`, and loads it from there. The
 * loader's reason "cannot open" on a `$bunfs` path means that it could not be written, and "failed to map segment"
 * that the folder is mounted noexec.
 */
function complaint(reason: string): Complaint {
  if (/GLIBC|libstdc\+\+|libgcc|libc\.musl/.test(reason)) {
    return new Complaint(
      `SQLite cannot be loaded, a system library is missing or too old: ${reason}`,
      "install libstdc++ (libstdc++6 on Debian), on glibc 2.34 or later (Debian 12, Ubuntu 22.04, RHEL 9); on Alpine " +
        "and other systems with musl take the -musl binary",
    )
  }
  const folder = process.env.BUN_TMPDIR ?? tmpdir()
  return new Complaint(
    `SQLite cannot be unpacked to and loaded from the temporary folder ${folder}: ${reason}`,
    "set TMPDIR to a folder that exists, can be written to, has 3 MB free and is not mounted noexec",
  )
}

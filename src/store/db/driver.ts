import type BetterSqlite3 from "better-sqlite3"
import { UserError } from "../../errors.ts"
import { addonFolder } from "./addon.ts"

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
const entry =
  typeof BUILD_ADDON === "string" ? require(`better-sqlite3/${BUILD_ADDON}`) : require("better-sqlite3")
// For Linux src/build.ts writes the entry as a module, which loads the addon by src/store/db/addon.ts.
const Driver: typeof BetterSqlite3 = entry.default ?? entry

/** better-sqlite3's Database. The first `new` loads the addon, and throws a Complaint where the system refuses it. */
export class Database extends Driver {
  constructor(...args: ConstructorParameters<typeof Driver>) {
    try {
      super(...args)
    } catch (error) {
      throw isLoadFailure(error) ? loadFailureError(error.message) : error
    }
  }
}

function isLoadFailure(error: unknown): error is Error {
  return error instanceof Error && "code" in error && error.code === "ERR_DLOPEN_FAILED"
}

/** What a file system mounted noexec makes the loader of glibc, or musl, say. */
const noexec = /failed to map|not permitted|permission denied/i

/** The loader's reason in words. */
export function loadFailureError(reason: string): UserError {
  if (process.platform !== "linux" || noexec.test(reason)) {
    return new UserError(
      `SQLite cannot be loaded from the temporary folder ${addonFolder()}: ${reason}`,
      "set TMPDIR to a folder that exists, can be written to, has 3 MB free and is not mounted noexec",
    )
  }
  // Missing libraries, missing versions of symbols (glibc) and missing symbols (musl).
  return new UserError(
    `SQLite cannot be loaded, a system library is missing or too old: ${reason}`,
    "it needs glibc 2.34 or later and libstdc++6 (Debian 12, Ubuntu 22.04, RHEL 9); on systems with musl the -musl binary and the " +
      "libstdc++ of GCC 13 or later (Alpine 3.19: apk add libstdc++)",
  )
}

/** Loads the addon, so that threads started from here find it loaded: a process must not load it twice. */
export function loadDriver(): void {
  new Database(":memory:").close()
}

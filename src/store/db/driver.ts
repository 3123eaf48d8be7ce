import type BetterSqlite3 from "better-sqlite3"
import { codeOf, UserError } from "../../errors.ts"
import { addonFolder } from "./addon.ts"

export type Db = BetterSqlite3.Database
export type Statement<Parameters extends unknown[] = unknown[], Row = unknown> = BetterSqlite3.Statement<
  Parameters,
  Row
>

/** Set by src/build.ts to the addon of the target platform, such as "linuxmusl-arm64". */
declare const BUILD_ADDON: string | undefined

// The bundler reduces the condition and the template to one literal path, and only embeds the addon at that path. A
// binary must not contain the package's main entry, which looks for node_modules at an absolute path from the build
// machine. When running from source, the main entry is used, because it detects whether the system uses glibc or musl.
const entry =
  typeof BUILD_ADDON === "string" ? require(`better-sqlite3/${BUILD_ADDON}`) : require("better-sqlite3")
// For Linux, src/build.ts replaces this entry with a module that loads the addon through src/store/db/addon.ts.
const Driver: typeof BetterSqlite3 = entry.default ?? entry

/** Matches a parameter after "=", "limit" or "offset". No string literal in our SQL contains a match. */
const comparedParameter = /(=|\blimit|\boffset)\s*:(?=[a-z])/g

/**
 * The Database class of better-sqlite3. The first instance loads the addon, and throws a UserError if the system
 * refuses to load it.
 *
 * `prepare` adds a unary plus to parameters, which does not change their values. Without it, the query planner reads
 * the bound value of `x = :id` in a join, and of `limit :n` (sqlite3ExprIsInteger). SQLite then recompiles the
 * statement whenever a value is bound, which takes 10 us, or 300 us for the `events` view. SQLITE_DBCONFIG_ENABLE_QPSG
 * would have the same effect, but better-sqlite3 cannot set it.
 */
export class Database extends Driver {
  constructor(...args: ConstructorParameters<typeof Driver>) {
    try {
      super(...args)
    } catch (error) {
      throw isLoadFailure(error) ? loadFailureError(error.message) : error
    }
  }

  override prepare<Parameters extends unknown[] | object = unknown[], Row = unknown>(source: string) {
    return super.prepare<Parameters, Row>(source.replace(comparedParameter, "$1 +:"))
  }
}

function isLoadFailure(error: unknown): error is Error {
  return error instanceof Error && codeOf(error) === "ERR_DLOPEN_FAILED"
}

/** Matches the messages of the glibc and musl loaders for a file system that is mounted noexec. */
const noexec = /failed to map|not permitted|permission denied/i

/** Converts the loader's message to an error that says what to do. */
export function loadFailureError(reason: string): UserError {
  if (process.platform !== "linux" || noexec.test(reason)) {
    return new UserError(
      `SQLite cannot be loaded from the temporary folder ${addonFolder()}: ${reason}`,
      "set TMPDIR to a writable folder that is not mounted noexec and has 3 MB free",
    )
  }
  // A library, a symbol version (glibc) or a symbol (musl) is missing.
  return new UserError(
    `SQLite cannot be loaded: a system library is missing or too old: ${reason}`,
    "install glibc 2.34 or later and libstdc++6 (Debian 12, Ubuntu 22.04, RHEL 9); on systems with musl, use the -musl binary and " +
      "libstdc++ from GCC 13 or later (Alpine 3.19: `apk add libstdc++`)",
  )
}

/** Loads the addon. Must be called before threads start, because a process must not load it twice. */
export function loadDriver(): void {
  new Database(":memory:").close()
}

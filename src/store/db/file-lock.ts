import { dlopen, FFIType } from "bun:ffi"
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs"

// Uses flock(2) on the database file, which locks the file under all of its names and across containers. On Linux,
// flock locks are independent of SQLite's fcntl locks. On macOS and BSD, the two conflict, so flock is not used there.

const [lockShared, lockExclusive, nonBlocking] = [1, 2, 4]
/** File names of the C libraries glibc and musl. */
export const cLibraries = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]
/**
 * Maximum number of attempts to acquire the lock. Retries are needed because a process that only tests the lock holds
 * it for a few µs.
 */
const maxAttempts = 10
/** Pause between attempts, in ms. */
const retryPause = 20

/**
 * An exclusive lock on a file. Only release it after this process has closed its SQLite connections to the file:
 * closing any descriptor of a file drops all fcntl locks that the process holds on it, including those of SQLite.
 */
export class FileLock {
  #file: number | undefined

  /**
   * Returns true if the lock was acquired, and also if the file does not exist or the system does not support the lock.
   * Returns false if another process holds the lock.
   */
  acquire(path: string): boolean {
    if (this.#file !== undefined) return true
    const file = openIfPresent(path)
    if (file === undefined) return true
    for (let attempt = 1; flock(file, lockExclusive) === false; attempt++) {
      if (attempt === maxAttempts) {
        closeSync(file)
        return false
      }
      Bun.sleepSync(retryPause)
    }
    this.#file = file
    return true
  }

  release(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }
}

/**
 * Returns true if a process holds the lock. Must be called while this process has no SQLite connection to the file (see
 * `FileLock`).
 */
export function isFileLocked(path: string): boolean {
  const file = openIfPresent(path)
  if (file === undefined) return false
  try {
    return isListed(fstatSync(file)) || flock(file, lockShared) === false
  } finally {
    closeSync(file)
  }
}

/**
 * Returns true if /proc/locks lists an flock(2) lock on the file. This list is checked first, because flock(2)
 * sometimes reports a held lock as free. This happened once in 50 commands that were started in quick succession.
 * flock(2) is still needed for file systems such as overlays, for which the list contains a different device number.
 */
function isListed({ dev, ino }: { dev: number; ino: number }): boolean {
  if (process.platform !== "linux") return false
  const hex = (number: number) => number.toString(16).padStart(2, "0")
  const device = `${hex((dev >> 8) & 0xfff)}:${hex((dev & 0xff) | ((dev >> 12) & 0xfff00))}`
  try {
    return readFileSync("/proc/locks", "utf8")
      .split("\n")
      .some((line) => / FLOCK +ADVISORY +WRITE /.test(line) && line.includes(` ${device}:${ino} `))
  } catch {
    return false
  }
}

/** Returns undefined if the file is missing or cannot be opened. Opening it as a database will report the reason. */
function openIfPresent(path: string): number | undefined {
  try {
    return openSync(path, "r")
  } catch {
    return undefined
  }
}

/** Calls flock(2). Returns false if another process holds the lock, or undefined if the system does not support it. */
function flock(file: number, operation: number): boolean | undefined {
  if (process.platform !== "linux") return undefined
  for (const name of cLibraries) {
    try {
      const library = dlopen(name, {
        flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
      })
      try {
        return library.symbols.flock(file, operation | nonBlocking) === 0
      } finally {
        library.close()
      }
    } catch {
      // Try the other C library.
    }
  }
  return undefined
}

import { dlopen, FFIType } from "bun:ffi"
import { closeSync, openSync } from "node:fs"

// flock(2) on the database file: a lock on the file itself, whatever it is called, which others see from other containers too. It
// has nothing to do with SQLite's locks (fcntl). Linux only: on macOS and BSD the two exclude each other.

const [lockShared, lockExclusive, nonBlocking] = [1, 2, 4]
/** What a C library is called: glibc's, musl's. */
const libraries = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]
/** A look at the lock by another process takes some µs, in which it cannot be had. */
const maxAttempts = 10
/** ms between two of them. */
const retryPause = 20

/**
 * Keeps `path` until it is released, and tells whether another process does. To be released only when this process has no SQLite
 * connection to the file any more: to close any descriptor of a file drops SQLite's locks on it.
 */
export class FileLock {
  #file: number | undefined

  /** False: another process has it. True also where there is no such file or no such lock. */
  acquire(path: string): boolean {
    if (this.#file !== undefined) return true
    const file = openIfPresent(path)
    if (file === undefined) return true
    for (let tried = 1; flock(file, lockExclusive) === false; tried++) {
      if (tried === maxAttempts) {
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

/** Whether a process keeps the file. Only for a process that has no SQLite connection to it: see `FileLock`. */
export function isFileLocked(path: string): boolean {
  const file = openIfPresent(path)
  if (file === undefined) return false
  try {
    return flock(file, lockShared) === false
  } finally {
    closeSync(file)
  }
}

/** Undefined where it is not there or cannot be opened: whoever opens it next says why. */
function openIfPresent(path: string): number | undefined {
  try {
    return openSync(path, "r")
  } catch {
    return undefined
  }
}

/** Undefined where the system has no such lock for the file. */
function flock(file: number, how: number): boolean | undefined {
  if (process.platform !== "linux") return undefined
  for (const name of libraries) {
    try {
      const library = dlopen(name, {
        flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
      })
      try {
        return library.symbols.flock(file, how | nonBlocking) === 0
      } finally {
        library.close()
      }
    } catch {
      // Not this library.
    }
  }
  return undefined
}

import { closeSync, fsyncSync, rmSync, statfsSync, statSync, writeSync } from "node:fs"
import { dirname } from "node:path"
import type { Random } from "../../environment.ts"
import { messageOf } from "../../errors.ts"
import { createPrivateFile, partialName } from "./files.ts"

/** A reason that prevents events from being stored, but that SQLite would not report. */
export type UnavailableReason = "disk_low" | "file_replaced"

/**
 * Checks what SQLite does not check: that the path still refers to the open file (SQLite silently commits to deleted
 * files), and that enough disk space is free.
 */
export class DiskGuard {
  #files = new Map<string, string>()
  #replaced = false
  #low = false

  /** `minFree` is the minimum free disk space in bytes, or 0 for no minimum. */
  constructor(
    private readonly path: string,
    private readonly minFree: number,
    private readonly pid: number,
    private readonly random: Random,
  ) {
    this.#recordFiles()
  }

  /** Returns why events cannot be stored, or undefined if they can be stored. */
  unavailableReason(): UnavailableReason | undefined {
    if (this.#replaced) return "file_replaced"
    return this.#low ? "disk_low" : undefined
  }

  /** Must be called after each commit, before responding. Throws if the commit did not reach the file at the path. */
  verifyFiles(): void {
    this.#recordFiles()
    for (const [file, before] of this.#files) {
      if (fileIdentity(file) === before) continue
      this.#replaced = true
      throw new Error(`${file} was removed or replaced while the server had it open: restart the server`)
    }
  }

  /** Measures free disk space. Returns true if it has crossed the minimum in either direction since the last call. */
  checkFreeSpace(): boolean {
    const before = this.#low
    const { bavail, bsize } = statfsSync(dirname(this.path))
    this.#low = bavail * bsize < this.minFree
    return this.#low !== before
  }

  /**
   * Returns an SQLite error about the disk with its likely cause added, and any other error unchanged. To find the
   * cause of an I/O error, tries to create a file next to the database, and quotes the system's error. SQLite itself
   * does not distinguish a read-only disk from a failing one, or an unreadable page from a corrupt one.
   */
  explain(error: unknown): unknown {
    const { message, code } = error as { message: string; code?: string }
    const withHint = (hint: string) => Object.assign(new Error(`${message}${hint}`), { code })
    if (code?.startsWith("SQLITE_CORRUPT")) {
      return withHint(", or the disk failed to read it: the kernel log (dmesg) shows the cause")
    }
    if (code?.startsWith("SQLITE_IOERR")) {
      return withHint(`${this.#probeFailure()}; see the kernel log (dmesg)`)
    }
    return error
  }

  /** Returns why the system cannot create a file next to the database, or '' if it can. */
  #probeFailure(): string {
    const probe = partialName(this.path, this.pid, this.random)
    let file: number | undefined
    try {
      file = createPrivateFile(probe)
      writeSync(file, "x")
      fsyncSync(file)
      return ""
    } catch (error) {
      return `; the system reports: ${messageOf(error)}`
    } finally {
      if (file !== undefined) {
        closeSync(file)
        rmSync(probe, { force: true })
      }
    }
  }

  /** Records the identity of each file when it first appears. The -wal might not exist until the first commit. */
  #recordFiles(): void {
    for (const file of [this.path, `${this.path}-wal`]) {
      const now = this.#files.has(file) ? undefined : fileIdentity(file)
      if (now) this.#files.set(file, now)
    }
  }
}

function fileIdentity(file: string): string | undefined {
  const entry = statSync(file, { throwIfNoEntry: false })
  return entry && `${entry.dev}:${entry.ino}`
}

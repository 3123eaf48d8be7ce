import { closeSync, fsyncSync, rmSync, statfsSync, statSync, writeSync } from "node:fs"
import { dirname } from "node:path"
import type { Random } from "../../environment.ts"
import { createPrivateFile, partialName } from "./files.ts"

/** What keeps events from being stored, before SQLite is even asked. */
export type UnavailableReason = "disk_low" | "file_replaced"

/**
 * Watches what SQLite does not: whether the file that it writes is still the one at its path (a deleted file takes commits
 * without a word), and whether the disk has room.
 */
export class DiskGuard {
  #files = new Map<string, string>()
  #replaced = false
  #low = false

  /** `minFree`: bytes that must be left on the disk; 0: any. */
  constructor(
    private readonly path: string,
    private readonly minFree: number,
    private readonly pid: number,
    private readonly random: Random,
  ) {
    this.#recordFiles()
  }

  /** Undefined while events can be stored. */
  unavailableReason(): UnavailableReason | undefined {
    if (this.#replaced) return "file_replaced"
    return this.#low ? "disk_low" : undefined
  }

  /** To be called between a commit and its answers: throws where what was committed is not in the file at the path. */
  verifyFiles(): void {
    this.#recordFiles()
    for (const [file, before] of this.#files) {
      if (fileIdentity(file) === before) continue
      this.#replaced = true
      throw new Error(`${file} was removed or replaced while the server had it open: restart the server`)
    }
  }

  /** Looks at the disk. Gives true when it has just become too full, or has room again. */
  checkFreeSpace(): boolean {
    const before = this.#low
    const { bavail, bsize } = statfsSync(dirname(this.path))
    this.#low = bavail * bsize < this.minFree
    return this.#low !== before
  }

  /**
   * An error of SQLite about the disk, with what the system says where a file is made beside the database: SQLite has the same words
   * for a disk that became read-only and one that fails, and calls a page damaged that could not be read.
   */
  explain(error: unknown): unknown {
    const { message, code } = error as { message: string; code?: string }
    const withHint = (hint: string) => Object.assign(new Error(`${message}${hint}`), { code })
    if (code?.startsWith("SQLITE_CORRUPT")) {
      return withHint(", or the disk could not read it: the kernel's log (dmesg) tells which")
    }
    if (code?.startsWith("SQLITE_IOERR")) {
      return withHint(`${this.#probeFailure()}; the kernel's log (dmesg) tells more`)
    }
    return error
  }

  /** What the system says against a new file; '' where it makes one. */
  #probeFailure(): string {
    const probe = partialName(this.path, this.pid, this.random)
    let file: number | undefined
    try {
      file = createPrivateFile(probe)
      writeSync(file, "x")
      fsyncSync(file)
      return ""
    } catch (error) {
      return `; the system: ${(error as Error).message}`
    } finally {
      if (file !== undefined) {
        closeSync(file)
        rmSync(probe, { force: true })
      }
    }
  }

  /** The first look at each file counts: the -wal is there from the first commit on at the latest. */
  #recordFiles(): void {
    for (const file of [this.path, `${this.path}-wal`]) {
      const now = this.#files.has(file) ? undefined : fileIdentity(file)
      if (now) this.#files.set(file, now)
    }
  }
}

function fileIdentity(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false })
  return found && `${found.dev}:${found.ino}`
}

import { fstatSync, statSync, writeSync } from "node:fs"
import { devNull, totalmem } from "node:os"
import { run } from "./cli.ts"
import { codeOf, OutputError } from "./errors.ts"
import { deleteDisabledSwitches, trimVariables } from "./flag-variables.ts"

// Files that commands write (databases, backups, exports) contain visitor ids, so only their owner can read them.
process.umask(0o077)
// The contract says that a timestamp without a time zone is in UTC. Date.parse would read some formats as local time.
process.env.TZ = "UTC"

/** Set by src/build.ts in a binary. Undefined if Bun runs this file from source. */
declare const BUILD_COMMIT: string | undefined

trimVariables(process.env)
const invalidSwitch = deleteDisabledSwitches(process.env)
if (invalidSwitch) {
  process.stderr.write(`error: ${invalidSwitch} must be 1 or 0\n`)
  process.exit(2)
}

/**
 * A second signal within this many ms counts as a duplicate. If npm runs this process, Ctrl+C sends two signals: one
 * from the terminal, which signals the whole process group, and one that npm forwards.
 */
const duplicateSignalWindow = 200

/**
 * Resolves when the first signal arrives. A second one ends the process immediately, which is safe because acknowledged
 * events are on disk.
 */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let firstSignal: number | undefined
    const onSignal = () => {
      firstSignal ??= performance.now()
      if (performance.now() - firstSignal > duplicateSignalWindow) process.exit(1)
      resolve()
    }
    process.on("SIGTERM", onSignal).on("SIGINT", onSignal)
  })
}

/** See `Context.reloadSignal`. */
function reloadSignal(): (reload: () => void) => void {
  let isPending = false
  let onSignal = () => {
    isPending = true
  }
  process.on("SIGHUP", () => onSignal())
  return (reload) => {
    onSignal = reload
    if (isPending) reload()
    isPending = false
  }
}

/** File descriptors. */
const stdout = 1
const stderr = 2

/** Returns a wrapper that opens a standard stream on first use, because opening it takes longer than most commands. */
function lazyStream(open: () => NodeJS.WriteStream) {
  let stream: NodeJS.WriteStream | undefined
  return {
    get: () => {
      // Ignores errors, because a failed write to stdout also rejects the promise of `writeAll`, and a failed write to
      // stderr cannot be reported.
      stream ??= open().on("error", () => {})
      return stream
    },
    /**
     * Waits until the reader of a pipe has read everything, because `process.exit` discards unread output. Also
     * resolves if the reader has closed the pipe.
     */
    flush: () =>
      new Promise<void>((resolve) => {
        if (!stream) return resolve()
        stream.once("error", () => resolve())
        stream.end(() => resolve())
      }),
  }
}

/**
 * Resolves when the text has been written. Uses the callback, because Bun's `writableNeedDrain` is false for a full
 * pipe.
 */
function writeAll(stream: NodeJS.WriteStream, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(new OutputError(error)) : resolve()))
  })
}

/** Time until the next attempt to write to a full pipe, in ms. */
const pipeRetryPause = 2

/**
 * Writes to stdout synchronously, so that a command that shows a secret only once can roll back if the write fails.
 * Throws an OutputError.
 */
function writeOut(text: string): void {
  const bytes = Buffer.from(text)
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(stdout, bytes, done)
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") throw new OutputError(error)
      Bun.sleepSync(pipeRetryPause)
    }
  }
}

/** True if the file descriptor is the null device, which Bun also opens in place of a closed file descriptor. */
function isNullDevice(fd: number): boolean {
  const stats = fstatSync(fd)
  return stats.isCharacterDevice() && stats.rdev === statSync(devNull, { throwIfNoEntry: false })?.rdev
}

/** True if the file descriptor is a terminal. Loads node:tty only for a device, which saves time in most scripts. */
async function isTerminal(fd: number): Promise<boolean> {
  return fstatSync(fd).isCharacterDevice() && (await import("node:tty")).isatty(fd)
}

const out = lazyStream(() => process.stdout)
const err = lazyStream(() => process.stderr)

const code = await run(process.argv.slice(2), {
  environment: {
    now: Date.now,
    elapsed: () => performance.now(),
    random: (bytes) => crypto.getRandomValues(bytes),
    pid: process.pid,
  },
  newId: () => crypto.randomUUID(),
  // A container can have less memory than the machine.
  memory: Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
  program: typeof BUILD_COMMIT === "string" ? [process.execPath] : [process.execPath, import.meta.path],
  env: process.env,
  input: () => Bun.stdin.text(),
  out: writeOut,
  err: (text) => err.get().write(text),
  outAndWait: (text) => writeAll(out.get(), text),
  outIsDiscarded: isNullDevice(stdout),
  outIsTerminal: await isTerminal(stdout),
  errIsTerminal: await isTerminal(stderr),
  sleep: (ms) => Bun.sleep(ms),
  stopSignal,
  reloadSignal,
  atExit: (work) => process.on("exit", work),
  ignoreSignals: () => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {})
  },
})
await Promise.all([out.flush(), err.flush()])
process.exit(code)

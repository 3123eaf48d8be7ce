import { writeSync } from "node:fs"
import { totalmem } from "node:os"
import { run } from "./cli.ts"
import { settleSwitches, trimVariables } from "./config.ts"
import { OutputError } from "./errors.ts"

// Whatever a command writes, a database, its -wal or a backup, holds visitors' ids: nobody but its owner reads it.
process.umask(0o077)
// The contract: a timestamp without a zone is UTC, in every form that Date.parse understands.
process.env.TZ = "UTC"

/** Set by src/build.ts: a binary is the program itself; otherwise Bun runs this file. */
declare const BUILD_COMMIT: string | undefined

trimVariables(process.env)
const invalidSwitch = settleSwitches(process.env)
if (invalidSwitch) {
  process.stderr.write(`error: ${invalidSwitch} must be 1 or 0\n`)
  process.exit(2)
}

/** ms in which a second signal is the same one: a terminal tells the whole group, and npm tells its child once more. */
const duplicateSignalWindow = 200

/** Settles at the first signal. Told twice, the person means at once: what was answered is on disk already. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let told: number | undefined
    const onSignal = () => {
      told ??= performance.now()
      if (performance.now() - told > duplicateSignalWindow) process.exit(1)
      resolve()
    }
    process.on("SIGTERM", onSignal).on("SIGINT", onSignal)
  })
}

/** What a slow reader of a pipe has not taken yet is lost by `process.exit`. A reader that is gone settles it too. */
function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.once("error", () => resolve())
    stream.end(() => resolve())
  })
}

/** Bun's `writableNeedDrain` says false of a full pipe, so it is the callback that tells. */
function writeAll(stream: NodeJS.WriteStream, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(new OutputError(error)) : resolve()))
  })
}

/** ms until a pipe whose reader is slow is tried again. */
const pipeRetryPause = 2

/** Writes before it returns: a command that shows a secret once undoes its work where this throws. Throws an OutputError. */
function writeOut(text: string): void {
  const bytes = Buffer.from(text)
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(process.stdout.fd, bytes, done)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw new OutputError(error)
      Bun.sleepSync(pipeRetryPause)
    }
  }
}

// Where nobody reads the log, and where a write failed, which rejects already, there is nothing left to say.
process.stderr.on("error", () => {})
process.stdout.on("error", () => {})

const code = await run(process.argv.slice(2), {
  environment: {
    now: Date.now,
    elapsed: () => performance.now(),
    random: (bytes) => crypto.getRandomValues(bytes),
    pid: process.pid,
  },
  newId: () => crypto.randomUUID(),
  // A container has less than its machine.
  memory: Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
  program: typeof BUILD_COMMIT === "string" ? [process.execPath] : [process.execPath, import.meta.path],
  env: process.env,
  input: () => Bun.stdin.text(),
  out: writeOut,
  err: (text) => process.stderr.write(text),
  outTaken: (text) => writeAll(process.stdout, text),
  outIsTerminal: process.stdout.isTTY ?? false,
  errIsTerminal: process.stderr.isTTY ?? false,
  sleep: (ms) => Bun.sleep(ms),
  stopSignal,
})
await Promise.all([flush(process.stdout), flush(process.stderr)])
process.exit(code)

import type { Environment } from "../environment.ts"

/** Everything that a command uses from its process. Tests pass their own. */
export interface Context {
  environment: Environment
  newId: () => string
  /** Bytes of memory available to this process. */
  memory: number
  /** The command that starts another instance of this program, without arguments. */
  program: readonly string[]
  /** Secrets come from here: arguments are visible in the process list. */
  env: NodeJS.ProcessEnv
  /** Reads standard input to its end. */
  input: () => Promise<string>
  /** Writes to standard output synchronously. Throws an OutputError. */
  out: (text: string) => void
  /** Writes to standard error. */
  err: (text: string) => void
  /** Writes to standard output; resolves when the reader has consumed it, rejects with an OutputError. */
  outAndWait: (text: string | Uint8Array) => Promise<void>
  /** True if standard output is the null device, as after `>&-`, so that nobody sees what is printed. */
  outIsDiscarded: boolean
  outIsTerminal: boolean
  errIsTerminal: boolean
  sleep: (ms: number) => Promise<void>
  /** Starts handling SIGTERM and SIGINT. Resolves at the first signal. */
  stopSignal: () => Promise<void>
  /**
   * Starts handling SIGHUP, which otherwise ends the process. The returned function sets what a signal does, and runs
   * it immediately if a signal has already arrived.
   */
  reloadSignal: () => (reload: () => void) => void
  /** Runs the synchronous `work` when the process exits, even if a second signal ends it. */
  atExit: (work: () => void) => void
  /** Makes the process ignore SIGINT, SIGTERM and SIGHUP. For the last part of a command, which must finish. */
  ignoreSignals: () => void
}

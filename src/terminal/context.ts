import type { Environment } from "../environment.ts"

/** Everything that a command needs from its process. Tests provide their own contexts. */
export interface Context {
  environment: Environment
  newId: () => string
  /** Memory available to this process, in bytes. */
  memory: number
  /** The command that starts another instance of this program, without arguments. */
  program: readonly string[]
  /** Secrets come from here, because arguments are visible in the process list. */
  env: NodeJS.ProcessEnv
  /** Reads standard input to its end. */
  input: () => Promise<string>
  /** Writes to standard output synchronously. Throws an OutputError on failure. */
  out: (text: string) => void
  /** Writes to standard error. */
  err: (text: string) => void
  /** Writes to standard output. Resolves once the reader has consumed the text, or rejects with an OutputError. */
  outAndWait: (text: string | Uint8Array) => Promise<void>
  /** True if standard output is the null device, as after `>&-`, so that nobody can see the output. */
  outIsDiscarded: boolean
  outIsTerminal: boolean
  errIsTerminal: boolean
  sleep: (ms: number) => Promise<void>
  /** Starts handling SIGTERM and SIGINT. Resolves at the first of these signals. */
  stopSignal: () => Promise<void>
  /**
   * Starts handling SIGHUP, which would otherwise end the process. The returned function sets what happens on a signal.
   * If a signal has already arrived, that function runs `reload` immediately.
   */
  reloadSignal: () => (reload: () => void) => void
  /** Runs the synchronous function `work` when the process exits, even if a second signal ends the process. */
  atExit: (work: () => void) => void
  /**
   * Makes the process ignore SIGINT, SIGTERM and SIGHUP. For the last part of a command, which must not be interrupted.
   */
  ignoreSignals: () => void
}

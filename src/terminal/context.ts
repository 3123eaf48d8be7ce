import type { Environment } from "../environment.ts"

/** Everything that a command needs from its process. Tests provide their own contexts. */
export interface Context {
  environment: Environment
  newId: () => string
  /** Memory available to this process, in bytes. */
  memory: number
  /** The command that starts another instance of this program, without arguments. */
  program: readonly string[]
  /** The environment variables. Secrets are passed in variables, because arguments are visible in the process list. */
  env: NodeJS.ProcessEnv
  /** Reads standard input to its end. */
  input: () => Promise<string>
  /** Writes to standard output synchronously. Throws an OutputError on failure. */
  out: (text: string) => void
  /** Writes to standard error. */
  err: (text: string) => void
  /** Writes to standard output. Resolves once the reader has consumed the text, or rejects with an OutputError. */
  outAndWait: (text: string | Uint8Array) => Promise<void>
  /**
   * True if standard output is the null device, for example because it was closed with `>&-`. Nobody can see the output
   * then.
   */
  outIsDiscarded: boolean
  outIsTerminal: boolean
  errIsTerminal: boolean
  sleep: (ms: number) => Promise<void>
  /** Starts handling SIGTERM and SIGINT. Resolves when the first of these signals arrives. */
  stopSignal: () => Promise<void>
  /**
   * Starts handling SIGHUP, which would otherwise end the process. Returns a function that sets what to run when the
   * signal arrives. If it has already arrived, the returned function runs `reload` immediately.
   */
  reloadSignal: () => (reload: () => void) => void
  /** Runs the synchronous function `work` when the process exits, even if a second signal ends the process. */
  atExit: (work: () => void) => void
  /**
   * Makes the process ignore SIGINT, SIGTERM and SIGHUP. Used for the last part of a command, if that part must not be
   * interrupted.
   */
  ignoreSignals: () => void
}

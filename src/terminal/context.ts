import type { Environment } from "../store/store.ts"

/** The process, as the commands see it: a test passes another. */
export interface Context {
  world: Environment
  newId: () => string
  /** Bytes of memory that this process may have. */
  memory: number
  /** What starts this program once more, before its arguments. */
  program: readonly string[]
  /** Where secrets come from: an argument would be seen in a list of processes. */
  env: NodeJS.ProcessEnv
  /** Standard input, to its end. */
  input: () => Promise<string>
  /** Standard output; written when it returns. Throws an OutputError. */
  out: (text: string) => void
  /** Standard error. */
  err: (text: string) => void
  /** As `out`; settles when the reader has taken it, rejects with an OutputError. */
  outTaken: (text: string | Uint8Array) => Promise<void>
  outIsTerminal: boolean
  errIsTerminal: boolean
  sleep: (ms: number) => Promise<void>
  /** Takes SIGTERM and SIGINT over from now on; settles at the first. */
  stopSignal: () => Promise<void>
}

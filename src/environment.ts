/** Fills `bytes` with randomness and returns them, as `crypto.getRandomValues` does. */
export type Random = (bytes: Uint8Array) => Uint8Array

/** Clocks, randomness and process id. They are injected, so that tests can set them. */
export interface Environment {
  /** The wall clock, in Unix ms. */
  now: () => number
  /** A monotonic clock in ms, which ignores changes to the system time. */
  elapsed: () => number
  random: Random
  /** Process id. The server lock shows it to other processes. */
  pid: number
}

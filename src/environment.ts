/** Fills `bytes` with randomness and returns them, as `crypto.getRandomValues` does. */
export type Random = (bytes: Uint8Array) => Uint8Array

/** Clocks, randomness and process id. Injected, so that a test can set them. */
export interface Environment {
  /** The wall clock, Unix ms. */
  now: () => number
  /** ms of a monotonic clock, which ignores changes to the system time. */
  elapsed: () => number
  random: Random
  /** Process id. The server lock shows it to other processes. */
  pid: number
}

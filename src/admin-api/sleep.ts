export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Returns a `sleep` that rejects if the client has disconnected, so that a search stops early. */
export function abortableSleep(signal: AbortSignal): typeof sleep {
  return async (ms) => {
    signal.throwIfAborted()
    await sleep(ms)
  }
}

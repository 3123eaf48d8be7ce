import type { Log } from "../log.ts"

/** Timeout of a request to the monitor, in ms. */
const timeout = 10_000
/** Maximum number of attempts. One lost request must not raise an alarm. */
const attempts = 3
/** Pause between attempts, in ms. */
const pause = 5_000

/**
 * Sends a GET request to a monitor that expects one after every backup (a dead man's switch). On failure, logs the
 * error instead of throwing. The log shows only the host, because the path of the URL is a secret.
 */
export async function sendPing(url: string, log: Log, sleep: (ms: number) => Promise<void>): Promise<void> {
  let error = ""
  for (let attempt = 1; attempt <= attempts; attempt++) {
    if (attempt > 1) await sleep(pause)
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(timeout) })
      await response.body?.cancel()
      if (response.ok) return
      error = `the monitor answered ${response.status}`
    } catch (cause) {
      const { name, message } = cause as Error
      error =
        name === "TimeoutError" ? `no answer within ${timeout / 1_000} s` : message.replaceAll(url, "the URL")
    }
  }
  log("warn", "the monitor in --backup-ping could not be reached; the backup itself is complete", {
    host: new URL(url).host,
    error,
    hint: "check the URL and the network; the monitor will report a missing backup",
  })
}

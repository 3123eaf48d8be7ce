import type { ShutdownState } from "../health/shutdown-state.ts"
import type { Log } from "../log.ts"
import type { Context } from "../terminal/context.ts"
import type { Listener } from "./listen.ts"
import type { OpenServer } from "./open-server.ts"

/** How long requests in flight can take to finish when the server stops, in ms. */
const stopTimeout = 8_000
/**
 * Time in ms between checks that only requests held by `/health?wait` are left, and the number of consecutive checks
 * that must confirm it. Several checks are needed because a request is not counted until its headers have arrived.
 */
const drainPoll = 20
const drainPolls = 10

/**
 * Stops listening. For `delay` ms, reports "stopping" in /health and /ready while still accepting requests. Then
 * finishes requests in flight, and closes connections that are still open after 8 s.
 */
export async function stopListening(
  { deps: { shutdownState }, closeStreams }: OpenServer,
  listener: Listener,
  delay: number,
  context: Context,
  log: Log,
): Promise<void> {
  shutdownState.start()
  if (delay > 0) {
    log(
      "info",
      "stopping: /health and /ready report that the server is stopping; requests are still accepted",
      { ms: delay },
    )
    await context.sleep(delay)
  }
  log("info", "stopping: finishing accepted requests")
  closeStreams()
  await Promise.race([
    listener.stop(),
    onlyHeldRequestsLeft(listener, shutdownState, context),
    context.sleep(stopTimeout),
  ])
  await listener.stop(true)
}

/**
 * Resolves once `/health?wait` holds all pending requests, or after `stopTimeout`. If no request is held,
 * `listener.stop()` resolves first.
 */
async function onlyHeldRequestsLeft(
  listener: Listener,
  shutdownState: ShutdownState,
  { environment, sleep }: Context,
): Promise<void> {
  const end = environment.elapsed() + stopTimeout
  for (let polls = 0; polls < drainPolls && environment.elapsed() < end; await sleep(drainPoll)) {
    polls = shutdownState.held > 0 && listener.pendingRequests <= shutdownState.held ? polls + 1 : 0
  }
}

import type { Draining } from "../health/draining.ts"
import type { Log } from "../log.ts"
import type { Context } from "../terminal/context.ts"
import type { Listener } from "./listen.ts"
import type { OpenServer } from "./open-server.ts"

/** ms for requests in flight to finish when the server stops. */
const stopTimeout = 8_000
/**
 * ms between two checks for whether only held requests are left, and the number of consecutive checks that must agree:
 * a request counts only after its headers have arrived.
 */
const drainPoll = 20
const drainPolls = 10

/**
 * Stops listening. First reports "stopping" in /health and /ready for `delay` ms while it still accepts requests, then
 * finishes requests in flight. Connections that are still open after 8 s are closed.
 */
export async function stopListening(
  { deps: { draining }, closeStreams }: OpenServer,
  listener: Listener,
  delay: number,
  context: Context,
  log: Log,
): Promise<void> {
  draining.start()
  if (delay > 0) {
    log("info", "stopping: /health and /ready report it, requests are still accepted", { ms: delay })
    await context.sleep(delay)
  }
  log("info", "stopping: finishing accepted requests")
  closeStreams()
  await Promise.race([
    listener.stop(),
    onlyHeldRequestsLeft(listener, draining, context),
    context.sleep(stopTimeout),
  ])
  await listener.stop(true)
}

/**
 * Settles when all pending requests are held by `/health?wait`. Never settles if none is held: `listener.stop()`
 * handles that case.
 */
async function onlyHeldRequestsLeft(
  listener: Listener,
  draining: Draining,
  { environment, sleep }: Context,
): Promise<void> {
  const end = environment.elapsed() + stopTimeout
  for (let polls = 0; polls < drainPolls && environment.elapsed() < end; await sleep(drainPoll)) {
    polls = draining.held > 0 && listener.pendingRequests <= draining.held ? polls + 1 : 0
  }
}
